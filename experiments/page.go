package experiments

import (
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"snrlab/internal/runfile"
	"snrlab/viz"
)

// report is what a finished run says: its figures, and the generated part of a
// page, which finds them in a folder.
type report interface {
	figures() []*viz.Figure
	page(figures string) string
}

// sayer writes lines of a page.
type sayer func(format string, args ...any)

// head begins a table; names that end in ":" are of columns of numbers.
func (say sayer) head(columns ...string) {
	names, rules := slices.Clone(columns), make([]string, len(columns))
	for i, c := range columns {
		var right bool
		if names[i], right = strings.CutSuffix(c, ":"); right {
			rules[i] = "---:"
		} else {
			rules[i] = "---"
		}
	}
	say.row(names...)
	say.row(rules...)
}

// row writes one row of a table.
func (say sayer) row(cells ...string) { say("%s", "| "+strings.Join(cells, " | ")+" |") }

// numbers are the columns of numbers with these names.
func numbers[T any](format string, names []T) []string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = fmt.Sprintf(format, n) + ":"
	}
	return out
}

// geometric is a geometric mean in the making.
type geometric struct {
	logs float64
	n    int
}

func (g *geometric) add(v float64) { g.logs, g.n = g.logs+math.Log(v), g.n+1 }

// mean is NaN of nothing.
func (g geometric) mean() float64 { return math.Exp(g.logs / float64(g.n)) }

// readRun reads what a run folder says of itself.
func readRun(dir string) (runfile.Run, Experiment, error) {
	run, err := runfile.ReadRun(filepath.Join(dir, runfile.RunJSON))
	if err != nil {
		return run, nil, err
	}
	recipe, err := Parse(dir, []byte(run.Recipe))
	if err != nil {
		return run, nil, err
	}
	return run, recipe.Experiment, nil
}

// drawReport writes the figures and then the page into a run folder.
func drawReport(dir, name string, p report) error {
	if err := viz.SaveFigures(filepath.Join(dir, runfile.FiguresDir), p.figures()); err != nil {
		return err
	}
	return runfile.WriteFile(filepath.Join(dir, name), func(w io.Writer) error {
		_, err := io.WriteString(w, p.page(runfile.FiguresDir))
		return err
	})
}

// place is where a Markdown page holds what a program wrote: between two marks.
// What stands around them is written by hand and kept.
type place struct{ name, by string }

func (p place) begin() string { return fmt.Sprintf("<!-- %s: begin; written by %s -->", p.name, p.by) }
func (p place) end() string   { return fmt.Sprintf("<!-- %s: end -->", p.name) }

// fill writes the text between the marks, and the figures into the folder figures
// beside the page, as svg or png.
func (p place) fill(page, text string, figures []*viz.Figure, format string) error {
	old, err := os.ReadFile(page)
	if err != nil {
		return fmt.Errorf("experiments: %w", err)
	}
	before, rest, ok := strings.Cut(string(old), p.begin())
	_, after, closed := strings.Cut(rest, p.end())
	if !ok || !closed {
		return fmt.Errorf("experiments: %s has no place for the %s: expected the lines %q and %q", page, p.name, p.begin(), p.end())
	}
	folder := filepath.Join(filepath.Dir(page), runfile.FiguresDir)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("experiments: %w", err)
	}
	for _, f := range figures {
		write := f.SVG
		if format == "png" {
			write = f.PNG
		}
		if err := runfile.WriteFile(filepath.Join(folder, f.Name+"."+format), write); err != nil {
			return err
		}
	}
	return runfile.WriteFile(page, func(w io.Writer) error {
		_, err := io.WriteString(w, before+p.begin()+"\n\n"+strings.TrimRight(text, "\n")+"\n\n"+p.end()+after)
		return err
	})
}

// reports read the run folders that a page holds the result of, by driver.
var reports = map[string]struct {
	read  func(dir string) (report, error)
	file  string // in the run folder
	place place
}{
	"rank": {func(dir string) (report, error) { return readRanking(dir) }, runfile.RankingMD, place{"ranking", "snrlab rank --page"}},
	"duel": {func(dir string) (report, error) { return readDuel(dir) }, runfile.DuelMD, place{"duel", "snrlab rank --page"}},
}

// Publish puts the result of a finished ranking or duel between the marks of a
// Markdown page, and its figures into the folder figures beside the page.
func Publish(dir, page string) error {
	run, err := runfile.ReadRun(filepath.Join(dir, runfile.RunJSON))
	if err != nil {
		return err
	}
	of, ok := reports[run.Driver]
	if !ok {
		return fmt.Errorf("experiments: %s holds a run of kind %s: expected a ranking or a duel", dir, run.Driver)
	}
	r, err := of.read(dir)
	if err != nil {
		return err
	}
	return of.place.fill(page, r.page(runfile.FiguresDir), r.figures(), "svg")
}
