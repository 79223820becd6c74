package experiments

import (
	"encoding/json"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"snrlab/internal/runfile"
	"snrlab/solvers"
	"snrlab/tune"
	"snrlab/viz"
)

// Leagues is what the files of a folder say about fitted solvers and grids:
// they are compared within their league, by their errors on fresh starts.
type Leagues struct {
	Dir     string        `json:"dir"`
	Entries []LeagueEntry `json:"entries"`
}

// LeagueEntry is one file.
type LeagueEntry struct {
	File    string      `json:"file"`
	League  string      `json:"league"`
	Name    string      `json:"name"`
	Model   string      `json:"model"`
	NFE     int         `json:"nfe"`
	Rows    int         `json:"rows"` // starts that it was fitted to
	RTol    float64     `json:"rtol"` // of the exact ends: errors up to here say nothing
	Tuning  tune.Errors `json:"tuning"`
	Unseen  tune.Errors `json:"unseen"`
	Command string      `json:"command"`
}

// The leagues in their order.
var leagueOrder = []string{tune.FittedGrid, tune.StepLevel, tune.FreeLevels, amedLeague}

// ReadLeagues reads the files of fit-solver and optimize grid in a folder.
func ReadLeagues(dir string) (*Leagues, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("experiments: %w", err)
	}
	l := &Leagues{Dir: dir}
	for _, name := range names {
		f, err := solvers.ReadFitted(name)
		if err != nil {
			return nil, err
		}
		var fit struct {
			League, Family, Method, Rule, Solver, Model, Command string
			NFE, Rows                                            int
			RTol                                                 float64
			Tuning, Unseen                                       tune.Errors
		}
		if err := json.Unmarshal(f.Fit, &fit); err != nil || fit.Command == "" {
			return nil, fmt.Errorf("experiments: %s does not say how it was made: expected a file of snrlab fit-solver or optimize grid", name)
		}
		e := LeagueEntry{
			File: filepath.Base(name), League: fit.League, Name: fit.Family, Model: fit.Model, NFE: fit.NFE, Rows: fit.Rows, RTol: fit.RTol,
			Tuning: fit.Tuning, Unseen: fit.Unseen, Command: fit.Command,
		}
		switch {
		case fit.Method != "":
			e.League, e.Name = tune.FittedGrid, fit.Method+", "+fit.Solver
		case fit.Family == "grid":
			e.Name = "gradient, " + fit.Rule
		}
		l.Entries = append(l.Entries, e)
	}
	if len(l.Entries) == 0 {
		return nil, fmt.Errorf("experiments: no files of fitted solvers in %s", dir)
	}
	rank := func(e LeagueEntry) string {
		return fmt.Sprintf("%d %s %s %03d", slices.Index(leagueOrder, e.League), e.Model, e.Name, e.NFE)
	}
	slices.SortStableFunc(l.Entries, func(a, b LeagueEntry) int { return strings.Compare(rank(a), rank(b)) })
	return l, nil
}

// values returns the different values of a field, in order of appearance.
func values[T comparable](entries []LeagueEntry, of func(LeagueEntry) T) []T {
	var out []T
	for _, e := range entries {
		if v := of(e); !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}

func (l *Leagues) league(name string) []LeagueEntry {
	var out []LeagueEntry
	for _, e := range l.Entries {
		if e.League == name {
			out = append(out, e)
		}
	}
	return out
}

// Text writes the leagues for people.
func (l *Leagues) Text(w io.Writer) error {
	t := new(table)
	for _, name := range leagueOrder {
		entries := l.league(name)
		if len(entries) == 0 {
			continue
		}
		t.line("%s", name)
		t.row("model", "what", "NFE", "RMSE", "median", "99 %", "largest", "fresh starts", "fitted to", "RMSE there")
		for _, e := range entries {
			t.row(e.Model, e.Name, fmt.Sprint(e.NFE), number(e.Unseen.RMSE), number(e.Unseen.Median), number(e.Unseen.P99), number(e.Unseen.Max), fmt.Sprint(e.Unseen.Rows), fmt.Sprint(e.Rows), number(e.Tuning.RMSE))
		}
		t.line("")
	}
	return t.flush(w)
}

var leaguesPlace = place{"leagues", "snrlab leagues --page"}

// Publish puts the leagues between the marks of a Markdown page, and a figure for
// each into the folder figures beside the page.
func (l *Leagues) Publish(page string) error {
	return leaguesPlace.fill(page, l.page(), l.figures(), "png")
}

func figureOf(league string) string {
	return "league-" + strings.Join(strings.FieldsFunc(league, func(r rune) bool { return r == ' ' || r == ',' }), "-")
}

// figures draws one figure for each league with more than one budget.
func (l *Leagues) figures() []*viz.Figure {
	var out []*viz.Figure
	for _, name := range leagueOrder {
		entries := l.league(name)
		if len(values(entries, func(e LeagueEntry) int { return e.NFE })) < 2 {
			continue
		}
		var panels []viz.WorkPanel
		for _, model := range values(entries, func(e LeagueEntry) string { return e.Model }) {
			p := viz.WorkPanel{Title: model, Label: "RMSE of the end"}
			for _, what := range values(entries, func(e LeagueEntry) string { return e.Name }) {
				c := viz.WorkCurve{Solver: what}
				for _, e := range entries {
					if e.Model == model && e.Name == what {
						c.NFE, c.Error = append(c.NFE, float64(e.NFE)), append(c.Error, e.Unseen.RMSE)
						if e.Unseen.RMSE <= e.RTol {
							p.Floor = max(p.Floor, e.RTol)
						}
					}
				}
				if len(c.NFE) > 0 {
					p.Curves = append(p.Curves, c)
				}
			}
			panels = append(panels, p)
		}
		names := values(entries, func(e LeagueEntry) string { return e.Name })
		out = append(out, viz.WorkPrecision(figureOf(name), "League: "+name, "Errors on fresh starts of what was fitted on others. In a grey band they are no larger than those of the exact ends.", panels, names[:min(len(names), 8)]))
	}
	return out
}

// page writes the leagues as Markdown, errors in thousandths.
func (l *Leagues) page() string {
	var b strings.Builder
	say := sayer(func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) })
	thousandths := func(v float64) string { return fmt.Sprintf("%.3g", 1000*v) }
	drawn := map[string]bool{}
	for _, f := range l.figures() {
		drawn[f.Name] = true
	}
	for _, name := range leagueOrder {
		entries := l.league(name)
		if len(entries) == 0 {
			continue
		}
		say("### %s\n", strings.ToUpper(name[:1])+name[1:])
		if drawn[figureOf(name)] {
			say("![RMSE against evaluations](%s/%s.png)\n", runfile.FiguresDir, figureOf(name))
		}
		say.head("model", "what", "NFE:", "RMSE:", "median:", "99 %:", "largest:", "fresh starts:", "fitted to:", "RMSE there:")
		for _, e := range entries {
			u := e.Unseen
			say.row(e.Model, e.Name, fmt.Sprint(e.NFE), thousandths(u.RMSE), thousandths(u.Median), thousandths(u.P99), thousandths(u.Max),
				fmt.Sprint(u.Rows), fmt.Sprint(e.Rows), thousandths(e.Tuning.RMSE))
		}
		say("")
	}
	return b.String()
}
