package experiments

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"snrlab/guidance"
	"snrlab/internal/spec"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/upsample"
)

// Listing is what there is, with one line for each.
type Listing struct {
	Solvers   []SolverItem `json:"solvers,omitempty"`
	Schedules []Item       `json:"schedules,omitempty"`
	Spacings  []Item       `json:"spacings,omitempty"`
	Paths     []Item       `json:"paths,omitempty"`
	Weights   []Item       `json:"weights,omitempty"`
	Densities []Item       `json:"densities,omitempty"`
	Losses    []Item       `json:"losses,omitempty"`
	Guidance  []Item       `json:"guidance,omitempty"`
	Upsample  []Item       `json:"upsample,omitempty"`
	Models    []Item       `json:"models,omitempty"`
	Recipes   []Item       `json:"recipes,omitempty"`
}

// Item is one named thing. Full is its name with every argument at its default.
type Item struct {
	Name    string   `json:"name"`
	Full    string   `json:"full,omitempty"`
	Aliases []string `json:"aliases,omitempty"`
	Summary string   `json:"summary"`
}

// SolverItem is a solver with what it promises at its defaults.
type SolverItem struct {
	Item
	Order      float64  `json:"order"`
	Evals      int      `json:"evals"` // denoiser evaluations of an inner step
	Stochastic bool     `json:"stochastic"`
	PathFree   bool     `json:"path_free"`
	References []string `json:"references"`
}

// Kinds are the lists that [List] knows.
func Kinds() []string {
	return []string{"solvers", "schedules", "spacings", "paths", "weights", "densities", "losses", "guidance", "upsample", "models", "recipes"}
}

// List lists one kind, or everything for "".
func List(kind string) (*Listing, error) {
	if kind != "" && !slices.Contains(Kinds(), kind) {
		return nil, fmt.Errorf("experiments: nothing called %q to list%s", kind, spec.Suggest(kind, Kinds()))
	}
	want := func(k string) bool { return kind == "" || kind == k }
	l := &Listing{}
	if want("solvers") {
		for _, e := range solvers.Registry().Entries {
			p := e.Default.Properties()
			l.Solvers = append(l.Solvers, SolverItem{itemOf(e), p.Order, p.Evals, p.Stochastic, p.PathFree, p.References})
		}
	}
	if want("schedules") {
		l.Schedules = itemsOf(schedules.Registry())
	}
	if want("spacings") {
		l.Spacings = itemsOf(schedules.Spacings())
	}
	if want("paths") {
		l.Paths = itemsOf(schedules.Paths())
	}
	if want("weights") {
		l.Weights = itemsOf(schedules.Weights())
	}
	if want("densities") {
		l.Densities = itemsOf(schedules.Densities())
	}
	if want("losses") {
		for _, e := range schedules.Recipes().Entries {
			l.Losses = append(l.Losses, Item{Name: e.Name, Full: spec.Full(e.Name, e.Default), Summary: e.Summary})
		}
	}
	if want("guidance") {
		l.Guidance = slices.Concat(itemsOf(guidance.Rules()), itemsOf(guidance.Scales()), itemsOf(guidance.Thresholds()))
	}
	if want("upsample") {
		l.Upsample = slices.Concat(itemsOf(upsample.Poolings()), itemsOf(upsample.Strengths()))
	}
	if want("models") {
		for _, m := range Models() {
			l.Models = append(l.Models, Item{Name: m.Name, Summary: m.Summary})
		}
	}
	if want("recipes") {
		for _, name := range Embedded() {
			text, err := embedded.ReadFile("recipes/" + name + ".toml")
			if err != nil {
				return nil, err
			}
			l.Recipes = append(l.Recipes, Item{Name: name, Summary: firstComment(string(text))})
		}
	}
	return l, nil
}

// registered are all registered solvers, and beside each that has the choice
// the same with a Runge–Kutta start.
func registered() []solvers.Solver {
	var list []solvers.Solver
	for _, e := range solvers.Registry().Entries {
		list = append(list, e.Default)
		if !slices.Contains(spec.Fields(e.Default), "start") {
			continue
		}
		if s, err := solvers.Parse(e.Name + "(start=rk)"); err == nil && s != e.Default {
			list = append(list, s)
		}
	}
	return list
}

func itemOf[T any](e spec.Entry[T]) Item {
	return Item{Name: e.Name, Full: spec.Full(e.Name, e.Default), Aliases: e.Aliases, Summary: e.Summary}
}

func itemsOf[T any](r spec.Registry[T]) []Item {
	var items []Item
	for _, e := range r.Entries {
		items = append(items, itemOf(e))
	}
	return items
}

// firstComment is the first sentence of the comment that opens a recipe.
func firstComment(text string) string {
	var words []string
	for line := range strings.Lines(text) {
		c, ok := strings.CutPrefix(line, "#")
		if !ok {
			break
		}
		words = append(words, strings.TrimSpace(c))
	}
	sentence, _, _ := strings.Cut(strings.Join(words, " ")+" ", ". ")
	return strings.TrimSpace(sentence)
}

// Text writes the lists for people.
func (l *Listing) Text(w io.Writer) error {
	t := new(table)
	title := func(s string) {
		if t.b.Len() > 0 || t.rows != nil {
			t.line("")
		}
		t.line("%s", s)
	}
	if len(l.Solvers) > 0 {
		title("solvers (order, evaluations a step)")
		for _, s := range l.Solvers {
			noise := ""
			if s.Stochastic {
				noise = "noise"
			}
			t.row("  "+s.Full, strconv.FormatFloat(s.Order, 'g', -1, 64), strconv.Itoa(s.Evals), noise, s.Summary, "["+strings.Join(s.References, ", ")+"]")
		}
	}
	items := func(name string, list []Item) {
		if len(list) == 0 {
			return
		}
		title(name)
		for _, i := range list {
			t.row("  "+cmp.Or(i.Full, i.Name), i.Summary)
		}
	}
	items("schedules", l.Schedules)
	items("spacings", l.Spacings)
	items("paths", l.Paths)
	items("weights (in x₀ units)", l.Weights)
	items("densities (of λ)", l.Densities)
	items("losses (training recipes: a weight and a density)", l.Losses)
	items("guidance: rules, their scales and thresholds", l.Guidance)
	items("upsample guidance: poolings and strengths θ(λ)", l.Upsample)
	items("models", l.Models)
	items("recipes", l.Recipes)
	return t.flush(w)
}
