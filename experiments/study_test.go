package experiments

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/internal/runfile"
	"snrlab/internal/study"
)

// parabola is a driver as the doc comment of studied says.
type parabola struct {
	Header
	studied
	Height float64  `toml:"height" json:"height"`
	Source string   `toml:"source" json:"source"`
	Column string   `toml:"column" json:"column"` // that the figure is of
	Cites  []string `toml:"cites" json:"cites"`

	works, stop int // how often the work began; the size at which it stops
}

func newParabola() *parabola {
	return &parabola{Header: Header{Kind: "parabola", Name: "parabola"}, Height: 2, Source: "hairer1993", Column: "y", Cites: []string{"hairer1993"}}
}

func (p *parabola) Validate() error { return nil }

func (p *parabola) uses() uses { return uses{keys: p.Cites} }

func (p *parabola) plan(_ *Plan, _ Options) (job, error) {
	s := &study.Study{
		Title: "A parabola and its slope",
		Held:  "Height and width. All numbers are exact.",
		Tables: []*study.Table{
			{Name: "curve", Caption: "The curve.", Columns: []study.Column{
				{Name: "x", Label: "λ = log(α²/σ²)"}, {Name: "y", Label: "height", Unit: "m"}, {Name: "expected"}, {Name: "y_lo"}, {Name: "y_hi"}, {Name: "size"}, {Name: "shape", Text: true},
			}},
			{Name: "decay", Caption: "A decay.", Columns: []study.Column{{Name: "n", Label: "NFE"}, {Name: "error"}, {Name: "lo"}, {Name: "hi"}, {Name: "method", Text: true}}},
		},
		Figures: []study.Figure{
			{Name: "curve", Title: "Two parabolas, one upside down", Caption: "Shaded: intervals.", Table: "curve", Panels: []study.Panel{
				{Title: "all", X: "x", Y: []string{p.Column}, Low: []string{"y_lo"}, High: []string{"y_hi"}, Reference: []string{"expected"}, Series: "shape", Where: map[string]string{"size": "1"}, Vertical: []study.Mark{{At: 0, Label: "apex"}}, Level: []study.Mark{{At: 1.5, Label: "bound"}}},
				{Title: "small ones", X: "x", Y: []string{"y", "expected"}, Where: map[string]string{"size": "1", "shape": "up"}, YRange: []float64{0, 5}},
			}},
			{Name: "decay", Title: "Error against evaluations", Caption: "Bars: intervals.", Table: "decay", Panels: []study.Panel{
				{X: "n", Y: []string{"error"}, Low: []string{"lo"}, High: []string{"hi"}, Series: "method", LogX: true, LogY: true},
			}},
		},
		Sheets: []*study.Sheet{
			{Name: "rings", Title: "Rings", Caption: "Black is 0.", Shape: []int{16, 16}, Columns: 4, Heads: []string{"θ = 0", "1", "2", "3"}, Labels: []string{"plain", "guided"}, Low: 0, High: 1},
			{Name: "signs", Title: "Signs", Caption: "Differences.", Shape: []int{1, 8, 8}, Columns: 8, Signed: true},
		},
	}
	return studyJob(p, s, func(ctx context.Context, r *run) error {
		p.works++
		for size := 1; size <= 2; size++ {
			if size == p.stop {
				return context.Canceled
			}
			c, err := cell(ctx, r, fmt.Sprintf("size-%d", size), 0, func(context.Context) (*[]float64, error) {
				y := make([]float64, 61)
				for i := range y {
					y[i] = p.Height * math.Pow(float64(i-30)/30, 2) * float64(size)
				}
				return &y, nil
			})
			if err != nil {
				return err
			}
			for i, y := range *c {
				x := float64(i-30) / 10
				s.Table("curve").Add(x, y, y+0.1, y-0.2, y+0.2, size, "up")
				if size == 1 {
					s.Table("curve").Add(x, -y, -y-0.1, -y-0.2, -y+0.2, size, "down")
				}
			}
		}
		for i, n := range []int{3, 5, 8, 12, 20, 30} {
			e := 1 / math.Pow(float64(n), 2)
			s.Table("decay").Add(n, e, e/1.3, e*1.3, "second order")
			s.Table("decay").Add(n, 10*e*float64(i%2), e, e, "zero now and then")
		}
		for k := range 7 {
			for i := range 256 {
				v := math.Hypot(float64(i/16)-7.5, float64(i%16)-7.5)
				s.Sheet("rings").Data = append(s.Sheet("rings").Data, 0.5+0.5*math.Sin(v+float64(k)))
			}
			for i := range 64 {
				s.Sheet("signs").Data = append(s.Sheet("signs").Data, float64(i-32)/32*float64(k-3)/3)
			}
		}
		s.Find(study.Finding{Claim: "The curve opens upwards.", Expected: "2 m at the ends", Measured: p.Height, Unit: "m", Interval: []float64{1.9, 2.1}, Source: p.Source, Holds: study.Holds(p.Height > 0)})
		s.Find(study.Finding{Claim: "It is higher than three.", Expected: "> 3", Measured: p.Height, Unit: "m", Holds: study.Holds(p.Height > 3), Remark: "The recipe says so."})
		s.Find(study.Finding{Claim: "There are 244 rows.", Measured: math.NaN(), Holds: study.Reported})
		return nil
	})
}

// A study runs, is found again, and is drawn again to the same bytes from its
// folder alone.
func TestStudy_Property(t *testing.T) {
	out := t.TempDir()
	recipe := &Recipe{Source: "test", Experiment: newParabola()}
	info, err := Run(context.Background(), recipe, Options{Out: out})
	if err != nil {
		t.Fatal(err)
	}
	text := printed(t, info)
	for _, want := range []string{
		"HOLDS: The curve opens upwards. [hairer1993]\n    expected 2 m at the ends; measured 2 m (1.9 to 2.1)\n",
		"DOES NOT HOLD HERE: It is higher than three.\n    expected > 3; measured 2 m\n    The recipe says so.\n",
		"REPORTED: There are 244 rows.\n",
		"look at: ",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	files := []string{"curve.csv", "decay.csv", study.JSON, runfile.TraceNPZ, runfile.ReportHTML, "figures/curve.svg", "figures/curve.png", "figures/decay.svg", "figures/rings.png", "figures/signs.svg", "figures/captions.md"}
	read := func(dir string) map[string][]byte {
		all := map[string][]byte{}
		for _, name := range files {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			all[name] = b
		}
		return all
	}
	before := read(info.Dir)
	for _, name := range []string{runfile.ReportHTML, "figures/curve.svg", "figures/signs.svg"} {
		if err := os.Remove(filepath.Join(info.Dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	if shown, err := Redraw(info.Dir); err != nil || shown != filepath.Join(info.Dir, runfile.ReportHTML) {
		t.Fatalf("%s, %v", shown, err)
	}
	again, err := Run(context.Background(), recipe, Options{Out: out})
	if err != nil || !again.Reused || recipe.Experiment.(*parabola).works != 1 {
		t.Errorf("a finished study was not found again: %v", err)
	}
	for name, b := range read(info.Dir) {
		if !bytes.Equal(b, before[name]) {
			t.Errorf("%s differs when drawn again", name)
		}
	}
	report := string(before[runfile.ReportHTML])
	for _, want := range []string{"does not hold here", "−0.2", `id="fig-rings"`, `id="table-decay"`, "height (m)"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in the report", want)
		}
	}
	if c := string(before["figures/captions.md"]); !strings.Contains(c, "3 values that are zero or not finite") {
		t.Errorf("the three zeros on a logarithmic axis are not counted:\n%s", c)
	}
}

// A study that was stopped goes on with the cells that it has.
func TestStudy_Resume(t *testing.T) {
	whole, stopped := t.TempDir(), t.TempDir()
	e := newParabola()
	e.stop = 2
	recipe := &Recipe{Source: "test", Experiment: e}
	if _, err := Run(context.Background(), recipe, Options{Out: stopped}); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v: expected the work to stop", err)
	}
	e.stop = 0
	info, err := Run(context.Background(), recipe, Options{Out: stopped, Undrawn: true})
	if err != nil || info.Found != 1 || info.Computed != 1 || info.Shown != "" {
		t.Fatalf("%+v, %v: expected one part found, one computed, nothing drawn", info, err)
	}
	want, err := Run(context.Background(), &Recipe{Source: "test", Experiment: newParabola()}, Options{Out: whole})
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"curve.csv", study.JSON, runfile.TraceNPZ} {
		a, _ := os.ReadFile(filepath.Join(info.Dir, name))
		b, err := os.ReadFile(filepath.Join(want.Dir, name))
		if err != nil || !bytes.Equal(a, b) {
			t.Errorf("%s differs after a stop: %v", name, err)
		}
	}
}

// A column that no table has is refused before any work, and so is a source
// that the recipe does not use.
func TestStudy_Refuses(t *testing.T) {
	e := newParabola()
	e.Column = "yy"
	if _, err := (&Recipe{Source: "test", Experiment: e}).Plan(Options{}); err == nil || !strings.Contains(err.Error(), `no column "yy"`) {
		t.Errorf("%v: expected an error with the column", err)
	}
	e = newParabola()
	e.Cites = []string{"nobody2000"}
	if _, err := (&Recipe{Source: "test", Experiment: e}).Plan(Options{}); err == nil || !strings.Contains(err.Error(), "nobody2000") {
		t.Errorf("%v: expected an error with the reference", err)
	}
	e = newParabola()
	e.Source = "efron1993"
	_, err := Run(context.Background(), &Recipe{Source: "test", Experiment: e}, Options{Out: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "[efron1993], which is not among what the recipe uses") {
		t.Errorf("%v: expected an error with the source", err)
	}
}
