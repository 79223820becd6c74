package viz

import (
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"math"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"

	"snrlab/internal/runfile"
)

// Report reads the run in dir and writes figures/*.svg, figures/*.png, their
// captions, and report.html, each file whole or not at all. The same run
// folder gives the same bytes.
func Report(dir string) error {
	f, err := readFolder(dir)
	if err != nil {
		return err
	}
	figures := f.figures()
	if err := saveFigures(filepath.Join(dir, runfile.FiguresDir), figures); err != nil {
		return err
	}
	p, err := f.page(figures)
	if err != nil {
		return err
	}
	return runfile.WriteFile(filepath.Join(dir, runfile.ReportHTML), func(w io.Writer) error {
		return reportTemplate.Execute(w, p)
	})
}

// figures returns all that this run has something to show in, in the order of
// the page.
func (f *folder) figures() []*Figure {
	budget := f.middleBudget()
	var out []*Figure
	for _, g := range []*Figure{
		f.errorByNFE(),
		f.errorByLevel(),
		f.lawByNFE(),
		f.gridLevels(),
		f.plane(budget),
		f.filmstrip(f.chosen(budget), budget, 0),
		f.samples(),
	} {
		if g != nil {
			out = append(out, g)
		}
	}
	return out
}

func saveFigures(dir string, figures []*Figure) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("viz: %w", err)
	}
	var captions strings.Builder
	captions.WriteString("# Figures\n")
	errs := make([]error, len(figures))
	var wait sync.WaitGroup
	for i, g := range figures {
		wait.Go(func() { errs[i] = g.Save(dir) })
	}
	wait.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, g := range figures {
		fmt.Fprintf(&captions, "\n## %s\n\n**%s.** %s\n", g.Name, g.Title, g.Caption)
	}
	return runfile.WriteFile(filepath.Join(dir, "captions.md"), func(w io.Writer) error {
		_, err := io.WriteString(w, captions.String())
		return err
	})
}

//go:embed report.tmpl.html
var reportHTML string

//go:embed report.css
var reportCSS string

//go:embed report.js
var reportJS string

var reportTemplate = template.Must(template.New("report").Parse(reportHTML))

// page is what the template shows.
type page struct {
	Run     runfile.Run
	Title   string
	Lede    string
	Warning string // of an unfinished or failed run
	CSS     template.CSS
	JS      template.JS

	Lead        *pageFigure // error against evaluations
	Findings    []findingRow
	Figures     []pageFigure
	FiguresNote string
	// FiguresFirst puts them before the tables.
	FiguresFirst bool
	Matrix       *matrix
	Tables       []table
	Timings      *table
	Facts        []fact
	Inputs       []fact

	View   *view
	Pixels template.HTML
}

type pageFigure struct {
	Name, Title, Caption string
	SVG                  template.HTML
}

type fact struct{ Name, Value string }

// matrix is the final error of every deterministic solver at every budget.
type matrix struct {
	Budgets []int
	Rows    []matrixRow
}

type matrixRow struct {
	Solver string
	Cells  []tableCell
}

// table is one that sorts.
type table struct {
	ID, Title, Text string
	Heads           []tableHead
	Rows            [][]tableCell
	Mark            string // what the marked cells are
	Folded          string // how many rows are folded away; "" shows them
}

type tableHead struct {
	Text, Help string
	Number     bool
}

type tableCell struct {
	Text  string
	Sort  string // what the column sorts by: a number, or the text
	Best  bool   // the best of its budget
	Faint bool
	Words bool // not a number
}

func (f *folder) page(figures []*Figure) (*page, error) {
	p := &page{
		Run: f.run, Title: f.run.Name, Lede: f.lede(),
		CSS: template.CSS(reportCSS), JS: template.JS(reportJS), // embedded files of this package
		Matrix: f.matrix(), Warning: f.warning(), Facts: f.facts(), Inputs: f.inputs(),
		FiguresNote: "A solver has one colour, marker and dash in all of them.",
	}
	for _, g := range figures {
		svg, err := g.inline()
		if err != nil {
			return nil, err
		}
		pf := pageFigure{g.Name, g.Title, g.Caption, svg}
		if g.Name == "error-by-nfe" {
			p.Lead = &pf
		} else {
			p.Figures = append(p.Figures, pf)
		}
	}
	sure, random := f.split()
	if len(sure) > 0 {
		p.Tables = append(p.Tables, f.sureTable())
	}
	if len(random) > 0 {
		p.Tables = append(p.Tables, f.randomTable())
	}
	if len(f.timings) > 0 {
		t := f.timingTable()
		p.Timings = &t
	}
	v, raw, err := f.view()
	if err != nil {
		return nil, err
	}
	if v != nil {
		text, err := packed(raw)
		if err != nil {
			return nil, err
		}
		p.View, p.Pixels = v, template.HTML(text) // base64
	}
	return p, nil
}

// warning is what a reader of an unfinished or failed run has to know.
func (f *folder) warning() string {
	switch f.run.Status {
	case runfile.Running:
		return "This run was not finished when the page was made: what follows is incomplete."
	case runfile.Failed:
		return "This run failed: " + f.run.Error
	}
	return ""
}

// inputs are the inputs by name, with their hashes.
func (f *folder) inputs() []fact {
	var list []fact
	for name, sum := range f.run.Inputs {
		list = append(list, fact{name, sum})
	}
	sort.Slice(list, func(i, j int) bool { return list[i].Name < list[j].Name })
	return list
}

// lede says in one paragraph what was compared and what was held fixed.
func (f *folder) lede() string {
	sure, random := f.split()
	var budgets []string
	for _, b := range f.budgets {
		budgets = append(budgets, strconv.Itoa(b))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s at %s of %s denoiser evaluations a sample. ", count(len(f.solvers), "solver"), numberWord(len(budgets), "a budget", "budgets"), joined(budgets))
	b.WriteString("Every solver starts from the same noise, and solvers that take the same number of steps visit the same levels. Budgets are matched by evaluations (NFE), not by steps: a method that evaluates twice a step takes half as many steps. ")
	if len(sure) > 0 {
		b.WriteString("Deterministic solvers are measured against the exact trajectory from the same noise. ")
	}
	if len(random) > 0 {
		b.WriteString("Stochastic solvers share one Brownian path; they are measured against their own fine run on it, and against the exact law.")
	}
	return strings.TrimSpace(b.String())
}

func count(n int, one string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %ss", n, one)
}

func numberWord(n int, one, more string) string {
	if n == 1 {
		return one
	}
	return more
}

func joined(list []string) string {
	switch len(list) {
	case 0:
		return "no"
	case 1:
		return list[0]
	}
	return strings.Join(list[:len(list)-1], ", ") + " and " + list[len(list)-1]
}

// best returns the least score of each budget.
func best(rows []runfile.SummaryRow, score func(runfile.SummaryRow) float64) map[int]float64 {
	out := map[int]float64{}
	for _, r := range rows {
		v := score(r)
		if old, ok := out[r.Budget]; v == v && (!ok || v < old) {
			out[r.Budget] = v
		}
	}
	return out
}

func (f *folder) only(stochastic bool) []runfile.SummaryRow {
	var out []runfile.SummaryRow
	for _, r := range f.summary {
		if r.Stochastic == stochastic {
			out = append(out, r)
		}
	}
	return out
}

func rmse(r runfile.SummaryRow) float64 { return r.RMSE }

func (f *folder) matrix() *matrix {
	rows := f.only(false)
	if len(rows) == 0 {
		return nil
	}
	top := best(rows, rmse)
	m := &matrix{Budgets: f.budgets}
	sure, _ := f.split()
	for _, s := range sure {
		row := matrixRow{Solver: s}
		for _, b := range f.budgets {
			c := tableCell{Text: "–", Sort: ""}
			for _, r := range rows {
				if r.Solver == s && r.Budget == b {
					c = numberCell(r.RMSE)
					c.Best = r.RMSE == top[b]
				}
			}
			row.Cells = append(row.Cells, c)
		}
		m.Rows = append(m.Rows, row)
	}
	return m
}

func numberCell(v float64) tableCell {
	c := tableCell{Text: shortNumber(v), Sort: strconv.FormatFloat(v, 'g', -1, 64)}
	if math.IsNaN(v) {
		c.Sort, c.Faint = "", true
	}
	return c
}

func intCell(v int) tableCell { return tableCell{Text: strconv.Itoa(v), Sort: strconv.Itoa(v)} }

func textCell(s string) tableCell { return tableCell{Text: s, Sort: s} }

// sorted returns rows by budget, best first.
func sorted(rows []runfile.SummaryRow, score func(runfile.SummaryRow) float64) []runfile.SummaryRow {
	rows = append([]runfile.SummaryRow(nil), rows...)
	key := func(r runfile.SummaryRow) float64 {
		if v := score(r); v == v {
			return v
		}
		return math.Inf(1)
	}
	sort.SliceStable(rows, func(i, j int) bool {
		if rows[i].Budget != rows[j].Budget {
			return rows[i].Budget < rows[j].Budget
		}
		return key(rows[i]) < key(rows[j])
	})
	return rows
}

var commonHeads = []tableHead{
	{"solver", "as it is written in a recipe", false},
	{"budget", "evaluations asked for", true},
	{"NFE", "denoiser evaluations per sample, counted", true},
	{"steps", "steps of the grid", true},
}

func commonCells(r runfile.SummaryRow) []tableCell {
	return []tableCell{textCell(r.Solver), intCell(r.Budget), intCell(r.NFE), intCell(r.Steps)}
}

func floorCells(r runfile.SummaryRow) []tableCell {
	c := numberCell(r.SW2)
	if r.BelowFloor {
		c.Text, c.Faint = c.Text+" ≤ floor", true
	}
	return []tableCell{c, numberCell(r.SW2Floor)}
}

var lawHeads = []tableHead{
	{"SW₂", "sliced 2-Wasserstein distance to exact samples; “≤ floor” where it cannot be told from zero", true},
	{"floor", "the same distance between two exact sets of this size", true},
}

func (f *folder) sureTable() table {
	t := table{
		ID: "summary", Title: "Deterministic solvers",
		Text: "Final errors are Euclidean distances of a sample to the end of the exact trajectory from the same noise.",
		Mark: "smallest error of its budget",
		Heads: append(append([]tableHead(nil), commonHeads...), append([]tableHead{
			{"error", "root mean square over rows of the final distance", true},
			{"from", "lower end of the 95 % bootstrap interval over rows", true},
			{"to", "upper end of it", true},
			{"95th pct", "95 % quantile over rows of the final distance", true},
			{"order", "slope of log error on log steps over the last two budgets", true},
		}, lawHeads...)...),
	}
	top := best(f.only(false), rmse)
	for _, r := range sorted(f.only(false), rmse) {
		e := numberCell(r.RMSE)
		e.Best = r.RMSE == top[r.Budget]
		cells := append(commonCells(r), e, numberCell(r.RMSELo), numberCell(r.RMSEHi), numberCell(r.P95), numberCell(r.Order))
		t.Rows = append(t.Rows, append(cells, floorCells(r)...))
	}
	return t
}

func (f *folder) randomTable() table {
	t := table{
		ID: "stochastic", Title: "Stochastic solvers",
		Text: "They have no exact trajectory to follow. The strong error is the distance to the solver's own fine run on the same Brownian path; z-scores hold sample moments against the exact ones.",
		Mark: "smallest strong error of its budget",
		Heads: append(append([]tableHead(nil), commonHeads...), append([]tableHead{
			{"strong", "root mean square over rows of the distance to the fine run", true},
			{"mean z", "largest |z| of the sample mean against the exact mean", true},
			{"variance z", "z of the total variance against the exact one", true},
		}, lawHeads...)...),
	}
	strong := func(r runfile.SummaryRow) float64 { return r.Strong }
	top := best(f.only(true), strong)
	for _, r := range sorted(f.only(true), strong) {
		e := numberCell(r.Strong)
		e.Best = r.Strong == top[r.Budget]
		cells := append(commonCells(r), e, numberCell(r.MeanZ), numberCell(r.CovZ))
		t.Rows = append(t.Rows, append(cells, floorCells(r)...))
	}
	return t
}

func (f *folder) timingTable() table {
	t := table{
		ID: "timings", Title: "Seconds",
		Text: "Clock readings of this one run on this one machine, for the whole batch. They do not repeat, unlike everything above.",
		Heads: []tableHead{
			commonHeads[0], commonHeads[1], commonHeads[3],
			{"solver s", "seconds outside the denoiser", true},
			{"denoiser s", "seconds inside the denoiser", true},
			{"solver share", "of the sum of both, per cent", true},
		},
	}
	for _, r := range f.timings {
		share := numberCell(100 * r.SolverS / (r.SolverS + r.DenoiserS))
		t.Rows = append(t.Rows, []tableCell{
			textCell(r.Solver), intCell(r.Budget), intCell(r.Steps), numberCell(r.SolverS), numberCell(r.DenoiserS), share,
		})
	}
	return t
}

func (f *folder) facts() []fact {
	r := f.run
	list := []fact{
		{"Status", string(r.Status)},
		{"Driver", r.Driver},
		{"Key", r.Key},
		{"Hash of recipe, inputs and program", r.Hash},
		{"Hash of the recipe", r.RecipeHash},
		{"Hash of the program", r.Program},
		{"Version", r.Version},
		{"Go", r.Go + " " + r.Platform},
		{"Processor", r.CPU},
		{"GOMAXPROCS", strconv.Itoa(r.GOMAXPROCS)},
	}
	if !r.Start.IsZero() {
		list = append(list, fact{"Started", r.Start.UTC().Format(time.DateTime) + " UTC"})
	}
	if !r.End.IsZero() {
		list = append(list, fact{"Took", r.End.Sub(r.Start).Round(time.Millisecond).String()})
	}
	out := list[:0]
	for _, x := range list {
		if x.Value != "" {
			out = append(out, x)
		}
	}
	return out
}
