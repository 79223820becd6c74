// Package study is the common form of what an experiment found: claims with the
// numbers that they were held against, tables, figures that are drawn from the
// tables' columns, and sheets of images.
//
// A study is declared first and filled in afterwards. [Study.Validate] checks
// the declaration, so that a figure of a column that no table has is an error
// before any work:
//
//	s := &study.Study{
//		Title: "The error of an unaligned schedule",
//		Held:  "1/f² fields, DDIM with 32 steps, 256 samples of key 1.",
//		Tables: []*study.Table{{
//			Name: "error", Caption: "Error of the end by field size and shift.",
//			Columns: []study.Column{
//				{Name: "size", Unit: "pixels"}, {Name: "shift", Label: "shift of λ"},
//				{Name: "rmse"}, {Name: "rmse_lo"}, {Name: "rmse_hi"},
//			},
//		}},
//		Figures: []study.Figure{{
//			Name: "error", Title: "Error against the shift", Caption: "Bars are 95 % intervals.", Table: "error",
//			Panels: []study.Panel{{X: "shift", Y: []string{"rmse"}, Low: []string{"rmse_lo"}, High: []string{"rmse_hi"}, Series: "size", LogY: true}},
//		}},
//	}
//	…
//	s.Table("error").Add(64, -1.39, 0.021, 0.020, 0.022)
//	s.Find(study.Finding{Claim: "…", Expected: "−1.386", Measured: -1.39, Interval: []float64{-1.45, -1.33}, Source: "hoogeboom2023", Holds: study.Holds(ok)})
//
// [Write] leaves study.json, a CSV file for each table and trace.npz for the
// sheets; [Read] brings all of it back, so that a study can be drawn from its
// folder alone.
package study

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"snrlab/internal/runfile"
	"snrlab/internal/spec"
)

// Study is what an experiment found.
type Study struct {
	Title    string    `json:"title"`
	Held     string    `json:"held"` // what was held fixed, in sentences
	Findings []Finding `json:"findings"`
	Tables   []*Table  `json:"tables"`
	Figures  []Figure  `json:"figures"`
	Sheets   []*Sheet  `json:"sheets,omitempty"`
}

// Finding is one claim and what was measured of it.
type Finding struct {
	Claim    string    `json:"claim"`              // one sentence
	Expected string    `json:"expected,omitempty"` // the number or bound that the claim calls for
	Measured float64   `json:"-"`                  // NaN where there is no one number
	Unit     string    `json:"unit,omitempty"`     // of the measured number
	Interval []float64 `json:"interval,omitempty"` // low and high end, or none; 95 % where Remark does not say otherwise
	Remark   string    `json:"remark,omitempty"`   // what a reader of the number has to know
	Source   string    `json:"source,omitempty"`   // who claims it: a key of the bibliography
	Holds    Verdict   `json:"holds"`
}

// Verdict says whether a claim held.
type Verdict string

// The verdicts.
const (
	Yes      Verdict = "yes"
	No       Verdict = "no"
	Reported Verdict = "reported" // a number without a claim to be held against
)

// Holds is the verdict of a comparison.
func Holds(ok bool) Verdict {
	if ok {
		return Yes
	}
	return No
}

// String is the verdict in words.
func (v Verdict) String() string {
	switch v {
	case Yes:
		return "holds"
	case No:
		return "does not hold here"
	}
	return string(v)
}

// Column is one column of a table.
type Column struct {
	Name  string `json:"name"`            // head in the CSV file: a-z, 0-9 and _
	Label string `json:"label,omitempty"` // in figures and reports; "" is Name with blanks
	Unit  string `json:"unit,omitempty"`
	Help  string `json:"help,omitempty"` // what the number is
	Text  bool   `json:"text,omitempty"` // holds words, not numbers
}

// Title is the column's label with its unit.
func (c Column) Title() string {
	label := cmp.Or(c.Label, strings.ReplaceAll(c.Name, "_", " "))
	if c.Unit != "" {
		label += " (" + c.Unit + ")"
	}
	return label
}

// Table is one CSV file.
type Table struct {
	Name    string   `json:"name"` // of NAME.csv
	Caption string   `json:"caption"`
	Columns []Column `json:"columns"`

	Rows [][]any `json:"-"` // a string in text columns, elsewhere a float64
}

// Add appends a row: a string or bool for each text column, for each other an
// int or a float64. NaN stands for what does not exist. It panics where the
// cells do not fit the columns.
func (t *Table) Add(cells ...any) {
	if len(cells) != len(t.Columns) {
		panic(fmt.Sprintf("study: table %s: %d cells for %d columns", t.Name, len(cells), len(t.Columns)))
	}
	row := make([]any, len(cells))
	for i, c := range cells {
		switch v := c.(type) {
		case int:
			row[i] = float64(v)
		case float64:
			row[i] = v
		case string:
			row[i] = v
		case bool:
			row[i] = fmt.Sprint(v)
		case fmt.Stringer:
			row[i] = v.String()
		}
		if _, text := row[i].(string); row[i] == nil || text != t.Columns[i].Text {
			panic(fmt.Sprintf("study: table %s, column %s: a cell of type %T", t.Name, t.Columns[i].Name, c))
		}
	}
	t.Rows = append(t.Rows, row)
}

// Index is the place of a column, −1 if there is none of that name.
func (t *Table) Index(column string) int {
	return slices.IndexFunc(t.Columns, func(c Column) bool { return c.Name == column })
}

// Column returns the column of a name.
func (t *Table) Column(name string) Column { return t.Columns[t.Index(name)] }

// Cell returns a cell as its CSV file has it.
func Cell(v any) string {
	if f, ok := v.(float64); ok {
		return runfile.FormatFloat(f)
	}
	return v.(string)
}

// Figure is a row or a grid of panels.
type Figure struct {
	Name    string  `json:"name"` // stem of its files
	Title   string  `json:"title"`
	Caption string  `json:"caption"`
	Table   string  `json:"table,omitempty"` // of panels that name none
	Panels  []Panel `json:"panels"`
	Columns int     `json:"columns,omitempty"` // panels side by side; 0 chooses
}

// Panel is one pair of axes. Each y column is a curve or, with Series, one for
// each value of that column; a curve has one look in all panels of a figure.
// Values without a place (on a logarithmic axis those that are not positive)
// are left out and counted in the caption; infinities have places of their own
// on linear axes.
type Panel struct {
	Title  string            `json:"title,omitempty"`
	Table  string            `json:"table,omitempty"`
	X      string            `json:"x"`
	Y      []string          `json:"y"`
	Series string            `json:"series,omitempty"` // column that splits the rows into curves
	Where  map[string]string `json:"where,omitempty"`  // only rows whose cells of these columns read so
	Dots   map[string]string `json:"dots,omitempty"`   // rows that are markers on the curves instead
	Low    []string          `json:"low,omitempty"`    // columns of the ends of intervals, one for each of Y
	High   []string          `json:"high,omitempty"`
	// Columns that Y is held against, drawn dashed and without markers: in the
	// colour of their curve, or in ink where there is no Series.
	Reference []string  `json:"reference,omitempty"`
	LogX      bool      `json:"log_x,omitempty"`
	LogY      bool      `json:"log_y,omitempty"`
	XLabel    string    `json:"x_label,omitempty"` // "" is the column's
	YLabel    string    `json:"y_label,omitempty"`
	XRange    []float64 `json:"x_range,omitempty"` // ends of the axis; none is all data
	YRange    []float64 `json:"y_range,omitempty"`
	// Trim leaves the outermost hundredths of the values out of the y axis: a
	// spike at an end would flatten all else.
	Trim     bool   `json:"trim,omitempty"`
	Draw     Style  `json:"draw,omitempty"`
	Vertical []Mark `json:"vertical,omitempty"` // lines at values of x
	Level    []Mark `json:"level,omitempty"`    // lines at values of y
}

// Style is how a curve is drawn.
type Style string

// The styles. Auto draws markers where a curve has few points.
const (
	Auto   Style = ""
	Curve  Style = "curve"  // line and markers
	Lines  Style = "line"   // no markers
	Points Style = "points" // no line
)

// Mark is a reference line across a panel.
type Mark struct {
	At    float64 `json:"at"`
	Label string  `json:"label,omitempty"`
}

// Sheet is images of one shape in rows, from an array of trace.npz. The place of
// an image of NaN alone stays empty.
type Sheet struct {
	Name    string   `json:"name"` // of its files and of the array
	Title   string   `json:"title"`
	Caption string   `json:"caption"`
	Shape   []int    `json:"shape"`            // of one image: [h w], [1 h w] or [3 h w]
	Columns int      `json:"columns"`          // images side by side
	Heads   []string `json:"heads,omitempty"`  // over the columns
	Labels  []string `json:"labels,omitempty"` // beside the rows
	Low     float64  `json:"low,omitempty"`    // value of black; both zero is −1 and 1
	High    float64  `json:"high,omitempty"`   // value of white
	Signed  bool     `json:"signed,omitempty"` // differences: blue below the middle, vermillion above

	Data []float64 `json:"-"` // images one after the other, rows first
}

// Table returns the table of a name; it panics if there is none.
func (s *Study) Table(name string) *Table {
	t := s.find(name)
	if t == nil {
		panic("study: no table " + name)
	}
	return t
}

func (s *Study) find(name string) *Table {
	for _, t := range s.Tables {
		if t.Name == name {
			return t
		}
	}
	return nil
}

// Sheet returns the sheet of a name; it panics if there is none.
func (s *Study) Sheet(name string) *Sheet {
	for _, t := range s.Sheets {
		if t.Name == name {
			return t
		}
	}
	panic("study: no sheet " + name)
}

// Find adds a finding.
func (s *Study) Find(f Finding) { s.Findings = append(s.Findings, f) }

// Of returns the table that a panel of a figure is drawn from.
func (s *Study) Of(f Figure, p Panel) *Table { return s.find(cmp.Or(p.Table, f.Table)) }

// Validate reports what cannot be written or drawn: names that are missing,
// repeated or refer to nothing, and findings without a claim or verdict.
func (s *Study) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("study: "+format, args...)) }
	if s.Title == "" || s.Held == "" {
		bad("expected a title and what was held fixed, got %q and %q", s.Title, s.Held)
	}
	for _, f := range s.Findings {
		if err := f.validate(); err != nil {
			bad("finding %q: %w", f.Claim, err)
		}
	}
	seen := map[string]bool{}
	name := func(kind, name string, extra string) {
		if !proper(name, extra) {
			bad("%s %q: expected a name of a-z, 0-9 and %s", kind, name, strings.Join(strings.Split(extra, ""), " "))
		}
		if seen[kind+name] {
			bad("%s %s is there twice", kind, name)
		}
		seen[kind+name] = true
	}
	for _, t := range s.Tables {
		name("table", t.Name, "-_")
		if t.Caption == "" || len(t.Columns) == 0 {
			bad("table %s: expected a caption and columns", t.Name)
		}
		for i, c := range t.Columns {
			if !proper(c.Name, "_") {
				bad("table %s: column %q: expected a name of a-z, 0-9 and _", t.Name, c.Name)
			}
			if t.Index(c.Name) != i {
				bad("table %s: column %s is there twice", t.Name, c.Name)
			}
		}
	}
	for _, f := range s.Figures {
		name("figure", f.Name, "-_")
		if f.Title == "" || f.Caption == "" || len(f.Panels) == 0 {
			bad("figure %s: expected a title, a caption and panels", f.Name)
		}
		for i, p := range f.Panels {
			if err := s.validatePanel(f, p); err != nil {
				bad("figure %s, panel %d: %w", f.Name, i+1, err)
			}
		}
	}
	for _, t := range s.Sheets {
		name("figure", t.Name, "-_")
		if err := t.validate(); err != nil {
			bad("sheet %s: %w", t.Name, err)
		}
	}
	return errors.Join(errs...)
}

func (f Finding) validate() error {
	switch {
	case f.Claim == "":
		return errors.New("expected a claim")
	case f.Holds != Yes && f.Holds != No && f.Holds != Reported:
		return fmt.Errorf("verdict %q: expected yes, no or reported", string(f.Holds))
	case len(f.Interval) != 0 && len(f.Interval) != 2:
		return fmt.Errorf("an interval of %d ends: expected two, or none", len(f.Interval))
	case len(f.Interval) == 2 && !(f.Interval[0] <= f.Interval[1] && !math.IsInf(f.Interval[0], 0) && !math.IsInf(f.Interval[1], 0)):
		return fmt.Errorf("interval %g to %g: expected finite ends, the lower first", f.Interval[0], f.Interval[1])
	}
	return nil
}

func (s *Study) validatePanel(f Figure, p Panel) error {
	t := s.Of(f, p)
	if t == nil {
		var names []string
		for _, t := range s.Tables {
			names = append(names, t.Name)
		}
		return fmt.Errorf("unknown table %q%s", cmp.Or(p.Table, f.Table), spec.Suggest(cmp.Or(p.Table, f.Table), names))
	}
	column := func(name string, number bool) error {
		i := t.Index(name)
		if i < 0 {
			var names []string
			for _, c := range t.Columns {
				names = append(names, c.Name)
			}
			return fmt.Errorf("table %s has no column %q%s", t.Name, name, spec.Suggest(name, names))
		}
		if number && t.Columns[i].Text {
			return fmt.Errorf("column %s of table %s holds words: expected numbers", name, t.Name)
		}
		return nil
	}
	if len(p.Y) == 0 {
		return errors.New("expected y columns")
	}
	if n := len(p.Low); n != len(p.High) || n != 0 && n != len(p.Y) {
		return fmt.Errorf("%d y, %d low and %d high columns: expected an interval for each y or for none", len(p.Y), len(p.Low), len(p.High))
	}
	for _, name := range slices.Concat([]string{p.X}, p.Y, p.Low, p.High, p.Reference) {
		if err := column(name, true); err != nil {
			return err
		}
	}
	for _, rows := range []map[string]string{p.Where, p.Dots} {
		for _, name := range slices.Sorted(maps.Keys(rows)) {
			if err := column(name, false); err != nil {
				return err
			}
		}
	}
	if p.Series != "" {
		if err := column(p.Series, false); err != nil {
			return err
		}
	}
	for _, r := range []struct {
		ends []float64
		log  bool
	}{{p.XRange, p.LogX}, {p.YRange, p.LogY}} {
		if r.ends != nil && (len(r.ends) != 2 || !(r.ends[0] < r.ends[1]) || math.IsInf(r.ends[1]-r.ends[0], 0) || r.log && r.ends[0] <= 0) {
			return fmt.Errorf("range %v: expected two finite rising ends, positive on a logarithmic axis", r.ends)
		}
	}
	switch p.Draw {
	case Auto, Curve, Lines, Points:
	default:
		return fmt.Errorf("draw %q: expected %q, %q, %q or nothing", p.Draw, Curve, Lines, Points)
	}
	for _, m := range slices.Concat(p.Vertical, p.Level) {
		if math.IsNaN(m.At) || math.IsInf(m.At, 0) {
			return fmt.Errorf("line %q at %g: expected a finite place", m.Label, m.At)
		}
	}
	return nil
}

func (t *Sheet) validate() error {
	dim := 1
	for _, n := range t.Shape {
		if n < 1 {
			return fmt.Errorf("shape %v: expected positive sizes", t.Shape)
		}
		dim *= n
	}
	switch {
	case t.Title == "" || t.Caption == "":
		return errors.New("expected a title and a caption")
	case len(t.Shape) < 2 || len(t.Shape) > 3:
		return fmt.Errorf("shape %v: expected height and width, or channels before them", t.Shape)
	case t.Columns < 1:
		return fmt.Errorf("%d columns: expected at least 1", t.Columns)
	case len(t.Heads) != 0 && len(t.Heads) != t.Columns:
		return fmt.Errorf("%d heads for %d columns", len(t.Heads), t.Columns)
	case len(t.Data)%dim != 0:
		return fmt.Errorf("%d values: expected a multiple of %d, the values of an image of shape %v", len(t.Data), dim, t.Shape)
	case (t.Low != 0 || t.High != 0) && !(t.Low < t.High):
		return fmt.Errorf("black at %g and white at %g: expected them to rise", t.Low, t.High)
	}
	if rows := (len(t.Data)/dim + t.Columns - 1) / t.Columns; len(t.Data) > 0 && len(t.Labels) != 0 && len(t.Labels) != rows {
		return fmt.Errorf("%d labels for %d rows", len(t.Labels), rows)
	}
	return nil
}

func proper(name, extra string) bool {
	return name != "" && strings.IndexFunc(name, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune(extra, r)) || unicode.IsControl(r)
	}) < 0
}
