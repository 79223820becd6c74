package experiments

import (
	"cmp"
	"context"
	_ "embed"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"snrlab/dialects/conform"
	"snrlab/internal/runfile"
	"snrlab/internal/spec"
	"snrlab/solvers"
)

// What the pages about solvers hold that takes long to find out: orders that
// were measured, and recorded cases of other programs that were run. Both are
// remade by make catalogue.
//
//go:embed orders.csv
var measuredOrders string

//go:embed conformance.csv
var conformance string

//go:generate go run snrlab/cmd/snrlab catalogue ../docs

// orderModels are the problems on which orders are measured: a Gaussian, a
// mixture and a stiff one.
var orderModels = []string{"gauss4", "gm2d", "needles"}

// MeasureOrders measures the order of every registered solver, multistep ones
// with both starts, for the catalogue. Deterministic ones take up to 2560 steps:
// before, two terms of an error may still cancel on one of the problems (on gauss4
// deis goes down with order 1.4 from 320 to 640 steps, with 2.0 from 1280 to 2560).
func MeasureOrders(ctx context.Context, o Options) ([]runfile.OrderRow, error) {
	var ode, sde []string
	for _, s := range registered() {
		if s.Properties().Stochastic {
			sde = append(sde, s.String())
		} else {
			ode = append(ode, s.String())
		}
	}
	var rows []runfile.OrderRow
	for _, m := range orderModels {
		fine, strong := DefaultConverge(), DefaultConverge()
		fine.Model, fine.Solvers, fine.FineSteps = m, ode, 0
		fine.Steps = []int{80, 160, 320, 640, 1280, 2560}
		strong.Model, strong.Solvers = m, sde
		strong.Steps = []int{320, 640}
		for _, c := range []Converge{fine, strong} {
			t, err := c.Run(ctx, o)
			if err != nil {
				return nil, err
			}
			for _, l := range t.Lines {
				r := runfile.OrderRow{Solver: l.Solver, Model: m, Order: math.NaN(), Strong: l.Strong, Error: math.NaN()}
				if l.Order != nil {
					r.Order, r.From, r.To = *l.Order, l.From, l.To
					r.Error = l.Errors[slices.Index(t.Steps, l.To)]
				}
				rows = append(rows, r)
			}
		}
	}
	return rows, nil
}

// MeasureConformance runs recorded cases of other programs and sums them up by
// the solver that they run through.
func MeasureConformance(ctx context.Context, paths ...string) ([]runfile.ConformanceRow, error) {
	report, err := conform.Check(ctx, conform.Options{}, paths...)
	if err != nil {
		return nil, err
	}
	type key struct{ solver, peer, sampler string }
	sums := map[key]*runfile.ConformanceRow{}
	for _, r := range report.Results {
		name, _, _ := strings.Cut(r.Solver, "(")
		if name = strings.TrimSpace(name); name == "" || r.Peer == "gm2d" {
			continue // a table, a case that was not translated, or none of another program
		}
		k := key{name, r.Peer, r.Sampler}
		if sums[k] == nil {
			sums[k] = &runfile.ConformanceRow{Solver: name, Peer: r.Peer, Sampler: r.Sampler}
		}
		sums[k].Cases++
		if r.OK {
			sums[k].Passed++
			sums[k].Worst = max(sums[k].Worst, r.Error)
		}
	}
	var rows []runfile.ConformanceRow
	for _, r := range sums {
		rows = append(rows, *r)
	}
	slices.SortFunc(rows, func(a, b runfile.ConformanceRow) int {
		return cmp.Or(cmp.Compare(a.Solver, b.Solver), cmp.Compare(a.Peer, b.Peer), cmp.Compare(a.Sampler, b.Sampler))
	})
	return rows, nil
}

// WriteCatalogue writes the pages about solvers into a folder: solvers.md and
// equivalences.md.
func WriteCatalogue(dir string) error {
	orders, err := runfile.DecodeOrders(strings.NewReader(measuredOrders), "orders.csv")
	if err != nil {
		return err
	}
	cases, err := runfile.DecodeConformance(strings.NewReader(conformance), "conformance.csv")
	if err != nil {
		return err
	}
	c := catalogue{orders, cases}
	page, err := c.solvers()
	if err != nil {
		return err
	}
	for name, text := range map[string]string{"solvers.md": page, "equivalences.md": equivalencesPage()} {
		path := filepath.Join(dir, name)
		if old, err := os.ReadFile(path); err == nil && string(old) == text {
			continue
		}
		if err := runfile.WriteFile(path, func(w io.Writer) error { _, err := io.WriteString(w, text); return err }); err != nil {
			return err
		}
	}
	return nil
}

type catalogue struct {
	orders []runfile.OrderRow
	cases  []runfile.ConformanceRow
}

// measured are the orders of a solver on the problems, as cells; "–" where the
// method has none that can be measured.
func (c catalogue) measured(name string) ([]string, error) {
	cells := make([]string, len(orderModels))
	for i, m := range orderModels {
		k := slices.IndexFunc(c.orders, func(r runfile.OrderRow) bool { return r.Solver == name && r.Model == m })
		if k < 0 {
			return nil, fmt.Errorf("experiments: orders.csv has no order of %s on %s: run make catalogue", name, m)
		}
		cells[i] = "–"
		if r := c.orders[k]; r.Order == r.Order {
			if cells[i] = fmt.Sprintf("%.2f", r.Order); r.Strong {
				cells[i] += "\\*"
			}
		}
	}
	return cells, nil
}

// solvers is the page of all registered solvers.
func (c catalogue) solvers() (string, error) {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# Solvers\n")
	say("<!-- Written by go generate ./experiments from the registry of package solvers; do not edit. -->\n")
	say("Every registered solver as it is at its defaults. A step goes from level a to the cleaner b; x = α x₀ + σ ε, λ = log(α²/σ²), ℓ = λ/2, h = ℓ_b − ℓ_a; hats divide by α (x̂ = x/α, ŝ = σ/α); D is the denoiser's answer E[x₀ | x], and e = (x − αD)/σ; D₁ is the answer one step before. z is standard normal. Out of α = 0 and into σ = 0 every method takes the same two named steps unless its section says otherwise.\n")
	say("Which of them are one method under several names is in [equivalences.md](equivalences.md), what they are worth in [ranking.md](ranking.md).\n")
	say("**All.** Orders measured on %s (`snrlab converge`, karras from σ/α = 80 to 0.002, the last doubling above rounding, as RMSE over 64 starts); \\*: strong order, on Brownian paths. More than is promised is measured where a few first steps of a lower order are all that keeps a multistep method from more: they are taken in strong noise, where paths are nearly straight, and their part of the error is too small to see. NFE: denoiser evaluations of an inner step, +k for what the opening costs once. History: earlier answers kept. Path: whether the same λ grid gives the same x/α on every path.\n", strings.Join(orderModels, ", "))
	say("| solver | order promised | %s | NFE a step | history | noise | path-free | |\n| --- | ---: | %s ---: | ---: | --- | --- | --- |", strings.Join(orderModels, " | "), strings.Repeat("---: | ", len(orderModels)))
	for _, s := range registered() {
		p := s.Properties()
		cells, err := c.measured(s.String())
		if err != nil {
			return "", err
		}
		name, _, _ := strings.Cut(s.String(), "(")
		say("| [%s](#%s) | %g | %s | %s | %s | %s | %s | %s |", s, name, p.Order, strings.Join(cells, " | "), evalsOf(p), count(p.History), yes(p.Stochastic, "yes", "–"), yes(p.PathFree, "yes", "no"), p.Summary)
	}
	say("")
	for _, e := range solvers.Registry().Entries {
		if err := c.section(say, e); err != nil {
			return "", err
		}
	}
	if rest := c.others(); len(rest) > 0 {
		say("## Habits of other programs\n")
		say("Recorded cases that run through a step of their own in package dialects, because what they do has no equal here:\n")
		for _, r := range rest {
			say("- %s", r)
		}
		say("")
	}
	return strings.TrimRight(b.String(), "\n") + "\n", nil
}

// section is the part of the page on one solver.
func (c catalogue) section(say sayer, e solvers.Entry) error {
	p := e.Default.Properties()
	say("## %s\n", e.Name)
	say("%s.\n", strings.ToUpper(p.Summary[:1])+p.Summary[1:])
	say("- **Equation**: %s", p.Equation)
	if full := spec.Full(e.Name, e.Default); full != e.Name {
		say("- **Options** at their defaults: `%s`", full)
	}
	if names := aliases(e); len(names) > 0 {
		say("- **Elsewhere**: %s", strings.Join(names, ", "))
	}
	orders := fmt.Sprintf("%g promised", p.Order)
	for _, s := range registered() {
		name, args, err := spec.Split(s.String())
		if err != nil || name != e.Name {
			continue
		}
		cells, err := c.measured(s.String())
		if err != nil {
			return err
		}
		if len(args) > 0 {
			orders += fmt.Sprintf("; `%s`: %g promised", s, s.Properties().Order)
		}
		if slices.ContainsFunc(cells, func(s string) bool { return s != "–" }) {
			orders += ", measured " + strings.Join(cells, ", ")
		} else {
			orders += ", not measured"
		}
	}
	say("- **Order**: %s", strings.ReplaceAll(orders, "\\*", "*"))
	say("- **Evaluations**: %s a step, %s into σ = 0%s", evalsOf(p), count(p.LastEvals), yes(p.Between, "; between the levels of the grid, so that it needs the schedule", ""))
	say("- **Ends**: %s", cmp.Or(p.Ends, "the two named steps"))
	var traits []string
	for _, t := range []struct {
		has  bool
		text string
	}{
		{p.Stochastic, "draws noise"},
		{p.OwnNoise, "some of it beside the reverse process's own"},
		{!p.PathFree, "depends on the path of the schedule"},
		{p.Adaptive, "chooses its own levels"},
		{p.Coupled, "lets the rows of a batch influence each other"},
		{p.Varies, "steps of different cost"},
		{p.Rises, "walks from data to noise too"},
		{p.Biased, "made for distilled models: an exact denoiser and many steps do not give the data's law"},
	} {
		if t.has {
			traits = append(traits, t.text)
		}
	}
	if len(traits) > 0 {
		say("- **Traits**: %s", strings.Join(traits, "; "))
	}
	if same := sameAs(e.Name); len(same) > 0 {
		say("- **The same method**: %s", strings.Join(same, "; "))
	}
	if cases := c.conforms(e.Name); len(cases) > 0 {
		say("- **Recorded cases that it reproduces**: %s", strings.Join(cases, ", "))
	} else {
		say("- **Recorded cases**: none")
	}
	var refs []string
	for _, key := range p.References {
		refs = append(refs, reference(key))
	}
	say("- **Reference**: %s\n", strings.Join(refs, "; "))
	return nil
}

func evalsOf(p solvers.Properties) string {
	text := count(p.Evals)
	if p.FirstEvals > 0 {
		text += fmt.Sprintf(" (+%d)", p.FirstEvals)
	}
	if p.Varies {
		text += ", varying"
	}
	if p.Adaptive {
		text = "adaptive"
	}
	return text
}

func count(n int) string { return fmt.Sprint(n) }

func yes(b bool, one, other string) string {
	if b {
		return one
	}
	return other
}

// aliases are the names that other programs and papers use for an entry, with
// settings where they mean some.
func aliases(e solvers.Entry) []string {
	names := slices.Clone(e.Aliases)
	for _, v := range slices.Sorted(maps.Keys(solvers.Variants())) {
		full := solvers.Variants()[v]
		if name, _, _ := strings.Cut(full, "("); name == e.Name {
			names = append(names, fmt.Sprintf("%s (`%s`)", v, full))
		}
	}
	return names
}

// sameAs are the equivalences that an entry, at any setting, is part of.
func sameAs(name string) []string {
	var list []string
	for _, e := range solvers.Equivalences() {
		if e.Steps > 0 || !slices.ContainsFunc(e.Solvers, func(s string) bool { n, _, _ := strings.Cut(s, "("); return n == name }) {
			continue
		}
		list = append(list, fmt.Sprintf("%s on %s", strings.Join(ticked(e.Solvers), " = "), e.Where))
	}
	return list
}

func ticked(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = "`" + s + "`"
	}
	return out
}

// conforms are the samplers of other programs whose recorded cases run through
// a solver.
func (c catalogue) conforms(name string) []string {
	var list []string
	for _, r := range c.cases {
		if r.Solver != name {
			continue
		}
		text := fmt.Sprintf("%s %s (%d)", r.Peer, r.Sampler, r.Passed)
		if r.Passed < r.Cases {
			text = fmt.Sprintf("%s %s (%d of %d)", r.Peer, r.Sampler, r.Passed, r.Cases)
		}
		list = append(list, text)
	}
	return list
}

// others are the cases that run through no registered solver.
func (c catalogue) others() []string {
	names := solvers.Registry().Names()
	var list []string
	for _, r := range c.cases {
		if !slices.Contains(names, r.Solver) {
			list = append(list, fmt.Sprintf("%s %s: %d of %d cases, as %s", r.Peer, r.Sampler, r.Passed, r.Cases, r.Solver))
		}
	}
	return list
}

var bibField = regexp.MustCompile(`(?m)^\s*([a-z]+)\s*=\s*\{(.*)\},?$`)

// reference is one work in a line: authors, title, year, where.
func reference(key string) string {
	entry, ok := bibEntry(key)
	if !ok {
		return "[" + key + "]"
	}
	field := map[string]string{}
	for _, m := range bibField.FindAllStringSubmatch(entry, -1) {
		field[m[1]] = strings.NewReplacer("{", "", "}", "", "\\", "").Replace(m[2])
	}
	authors := strings.Split(field["author"], " and ")
	who, _, _ := strings.Cut(authors[0], ",")
	if len(authors) > 1 {
		who += " et al."
	}
	text := fmt.Sprintf("%s, *%s*, %s", who, field["title"], field["year"])
	if field["year"] == "" {
		text = strings.TrimSuffix(text, ", ")
	}
	switch {
	case field["eprint"] != "":
		text += fmt.Sprintf(", [arXiv %s](https://arxiv.org/abs/%s)", field["eprint"], field["eprint"])
	case field["url"] != "" || strings.Contains(field["howpublished"], "http"):
		text += ", " + cmp.Or(field["url"], strings.TrimPrefix(field["howpublished"], "url"))
	}
	return text
}

// equivalencesPage is the page of methods that are the same, and of those that
// only look so.
func equivalencesPage() string {
	var b strings.Builder
	say := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	say("# One method, several names\n")
	say("<!-- Written by go generate ./experiments from the tables of package solvers; do not edit. -->\n")
	say("Solvers of one line give the same states to rounding from the same start, with the same noise, on the grids it names. `TestEquivalences_AgreesWith` in package solvers proves each line on a 16-dimensional mixture, on up to six kinds of grids (from α = 0 and to σ = 0 among them) of 1, 2, 3 and 11 steps, to 1e-10, and, where the line names a condition, that it is needed.\n")
	say("| the same | where | why |\n| --- | --- | --- |")
	for _, e := range solvers.Equivalences() {
		where := string(e.Where)
		switch e.Steps {
		case 0:
		case 1:
			where += ", of one step"
		default:
			where += fmt.Sprintf(", of at most %d steps", e.Steps)
		}
		say("| %s | %s | %s |", strings.Join(ticked(e.Solvers), " = "), where, e.Why)
	}
	say("\n## Often taken for one, and two\n")
	say("`TestLookalikes_Property` holds that they differ by more than 1e-4 on the mixture in ten steps.\n")
	say("| this | and this | differ because |\n| --- | --- | --- |")
	for _, l := range solvers.Lookalikes() {
		say("| `%s` | `%s` | %s |", l.A, l.B, l.Why)
	}
	return b.String()
}
