package study_test

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"snrlab/internal/study"
)

func sample() *study.Study {
	s := &study.Study{
		Title: "A line", Held: "Its slope.",
		Tables: []*study.Table{{Name: "line", Caption: "Points.", Columns: []study.Column{
			{Name: "x", Label: "λ"}, {Name: "y", Unit: "m"}, {Name: "y_lo"}, {Name: "y_hi"}, {Name: "kind", Text: true},
		}}},
		Figures: []study.Figure{{
			Name: "line", Title: "Line", Caption: "A line.", Table: "line",
			Panels: []study.Panel{{X: "x", Y: []string{"y"}, Low: []string{"y_lo"}, High: []string{"y_hi"}, Series: "kind", Where: map[string]string{"kind": "b"}}},
		}},
		Sheets: []*study.Sheet{{Name: "dots", Title: "Dots", Caption: "Noise.", Shape: []int{2, 2}, Columns: 2, Heads: []string{"a", "b"}, Data: []float64{1, -1, 0, 0.5, 1, 1, -1, math.NaN()}}},
	}
	s.Table("line").Add(1, 0.1, math.NaN(), math.Inf(1), "a")
	s.Table("line").Add(math.Inf(-1), -1e-300, 0.0, 3, "b, \"quoted\"")
	s.Find(study.Finding{Claim: "It rises.", Measured: math.NaN(), Holds: study.Reported})
	s.Find(study.Finding{Claim: "It is steep.", Expected: "2", Measured: 2.5, Unit: "m", Interval: []float64{2.4, 2.6}, Source: "a2020", Holds: study.Holds(false)})
	return s
}

// What is written comes back whole: NaN, infinities, quotes and shapes too.
func TestWrite_Property(t *testing.T) {
	dir := t.TempDir()
	files, err := study.Write(dir, sample())
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"line.csv", "trace.npz", study.JSON}; !cmp.Equal(files, want) {
		t.Errorf("files %v: expected %v", files, want)
	}
	got, err := study.Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(sample(), got, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
	b, err := os.ReadFile(filepath.Join(dir, "line.csv"))
	if want := "x,y,y_lo,y_hi,kind\n1,0.1,,+Inf,a\n-Inf,-1e-300,0,3,\"b, \"\"quoted\"\"\"\n"; err != nil || string(b) != want {
		t.Errorf("line.csv holds %q: expected %q", b, want)
	}
}

// Each mistake of a declaration has an error that names it.
func TestValidate_Refuses(t *testing.T) {
	for want, spoil := range map[string]func(s *study.Study){
		"no column \"z\"":                   func(s *study.Study) { s.Figures[0].Panels[0].X = "z" },
		"no column \"y_l\"; did you mean":   func(s *study.Study) { s.Figures[0].Panels[0].Low[0] = "y_l" },
		"kind of table line holds words":    func(s *study.Study) { s.Figures[0].Panels[0].Y[0] = "kind" },
		"no column \"sort\"":                func(s *study.Study) { s.Figures[0].Panels[0].Where = map[string]string{"sort": "a"} },
		"no column \"type\"":                func(s *study.Study) { s.Figures[0].Panels[0].Series = "type" },
		"no column \"ref\"":                 func(s *study.Study) { s.Figures[0].Panels[0].Reference = []string{"ref"} },
		"expected an interval for each":     func(s *study.Study) { s.Figures[0].Panels[0].High = nil },
		"unknown table \"lines\"; did you":  func(s *study.Study) { s.Figures[0].Table = "lines" },
		"figure line, panel 1: range [2 1]": func(s *study.Study) { s.Figures[0].Panels[0].XRange = []float64{2, 1} },
		"positive on a logarithmic axis": func(s *study.Study) {
			s.Figures[0].Panels[0].YRange, s.Figures[0].Panels[0].LogY = []float64{0, 1}, true
		},
		"draw \"bars\"":                    func(s *study.Study) { s.Figures[0].Panels[0].Draw = "bars" },
		"expected a finite place":          func(s *study.Study) { s.Figures[0].Panels[0].Level = []study.Mark{{At: math.NaN()}} },
		"figure dots is there twice":       func(s *study.Study) { s.Figures[0].Name = "dots" },
		"table \"../x\"":                   func(s *study.Study) { s.Tables[0].Name = "../x" },
		"column y is there twice":          func(s *study.Study) { s.Tables[0].Columns[0].Name = "y" },
		"expected a title and what":        func(s *study.Study) { s.Held = "" },
		"verdict \"maybe\"":                func(s *study.Study) { s.Findings[0].Holds = "maybe" },
		"interval 3 to 2":                  func(s *study.Study) { s.Findings[1].Interval = []float64{3, 2} },
		"expected a claim":                 func(s *study.Study) { s.Findings[1].Claim = "" },
		"8 values: expected a multiple of": func(s *study.Study) { s.Sheets[0].Shape = []int{3, 2} },
		"1 heads for 2 columns":            func(s *study.Study) { s.Sheets[0].Heads = []string{"a"} },
		"3 labels for 1 rows":              func(s *study.Study) { s.Sheets[0].Labels = []string{"a", "b", "c"} },
	} {
		s := sample()
		spoil(s)
		if err := s.Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: expected an error with %q", err, want)
		}
	}
}

// Files that were tampered with are errors that name file and place.
func TestRead_Refuses(t *testing.T) {
	for want, spoil := range map[string]struct{ file, old, now string }{
		"line 1: columns x,z":           {"line.csv", "x,y", "x,z"},
		"line 2, column y":              {"line.csv", "0.1", "one"},
		"line 3":                        {"line.csv", ",0,3", ",3"},
		"unknown field":                 {study.JSON, `"held"`, `"hold"`},
		"has no array in trace.npz":     {study.JSON, `"name": "dots"`, `"name": "spots"`},
		"a table without a proper name": {study.JSON, `"name": "line",` + "\n      \"caption", `"name": "../line",` + "\n      \"caption"},
	} {
		dir := t.TempDir()
		if _, err := study.Write(dir, sample()); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, spoil.file)
		b, err := os.ReadFile(path)
		if err != nil || !strings.Contains(string(b), spoil.old) {
			t.Fatalf("%s: %v, no %q in it", path, err, spoil.old)
		}
		if err := os.WriteFile(path, []byte(strings.Replace(string(b), spoil.old, spoil.now, 1)), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := study.Read(dir); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q for %q: %v: expected an error with %q", spoil.now, spoil.old, err, want)
		}
	}
}

func TestAdd_Refuses(t *testing.T) {
	for _, cells := range [][]any{{1, 2, 3, 4}, {1, 2, 3, 4, 5}, {"1", 2, 3, 4, "a"}, {nil, 2, 3, 4, "a"}} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%v was taken", cells)
				}
			}()
			sample().Table("line").Add(cells...)
		}()
	}
}
