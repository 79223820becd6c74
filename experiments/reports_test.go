package experiments

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/schedules"
	"snrlab/solvers"
)

// printed renders a report as text, and as JSON, which must be valid.
func printed(t *testing.T, v interface{ Text(io.Writer) error }) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil || !json.Valid(b) {
		t.Errorf("JSON: %v", err)
	}
	var s strings.Builder
	if err := v.Text(&s); err != nil {
		t.Error(err)
	}
	return s.String()
}

// Every reference that a solver or a source names is in the bibliography, and
// every entry of the bibliography is used.
func TestCite_Property(t *testing.T) {
	used := map[string]bool{"hairer1993": true, "bonneel2015": true, "efron1993": true, "lin2024": true}
	need := func(key, by string) {
		used[key] = true
		if _, ok := bibEntry(key); !ok {
			t.Errorf("%s refers to [%s], which is not in references.bib", by, key)
		}
	}
	for _, e := range solvers.Registry().Entries {
		refs := e.Default.Properties().References
		if len(refs) == 0 {
			t.Errorf("solver %s has no reference", e.Name)
		}
		for _, key := range refs {
			need(key, e.Name)
		}
	}
	for _, key := range (&solvers.Linear{}).Properties().References {
		need(key, "linear")
	}
	for name, keys := range sources {
		for _, key := range keys {
			need(key, name)
		}
	}
	for _, name := range Embedded() {
		recipe, err := Load(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range recipe.Experiment.uses().keys {
			need(key, name)
		}
	}
	for _, m := range bibHead.FindAllStringSubmatch(bibliography, -1) {
		if !used[m[1]] {
			t.Errorf("[%s] is in references.bib and nothing uses it", m[1])
		}
	}

	r, err := Load("compare-digits")
	if err != nil {
		t.Fatal(err)
	}
	c, err := Cite(r)
	if err != nil {
		t.Fatal(err)
	}
	text := printed(t, c)
	for _, want := range []string{"@inproceedings{karras2022,", "@inproceedings{song2021ddim,", "@misc{lecun1998,", "% edm, karras, heun"} {
		if !strings.Contains(text, want) {
			t.Errorf("the citations of the demo have no %q:\n%s", want, text)
		}
	}
	r.Experiment.(*Compare).Schedule = "on-path(schedule=beta(kind=squared-cosine,zerosnr=true))"
	if c, err = Cite(r); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"{ho2020,", "{nichol2021,", "{lin2024,"} {
		if text := printed(t, c); !strings.Contains(text, want) {
			t.Errorf("a nested schedule is not cited: no %q", want)
		}
	}
}

func TestList_Property(t *testing.T) {
	l, err := List("")
	if err != nil {
		t.Fatal(err)
	}
	text := printed(t, l)
	for _, name := range append(append(solvers.Registry().Names(), schedules.Registry().Names()...), "digits", "compare-digits", "karras") {
		if !strings.Contains(text, "  "+name) {
			t.Errorf("%s is not listed", name)
		}
	}
	for _, i := range append(append(l.Schedules, l.Models...), l.Recipes...) {
		if i.Summary == "" || strings.ContainsAny(i.Summary, "\n") {
			t.Errorf("%s has the summary %q: expected one line", i.Name, i.Summary)
		}
	}
	if _, err := List("solver"); err == nil || !strings.Contains(err.Error(), `did you mean "solvers"`) {
		t.Errorf("got %v", err)
	}
}

func TestSchedule_Limit(t *testing.T) {
	o := ScheduleOptions{Schedules: []string{"edm", "cosine"}, Spacings: []string{"karras(last=zero)", "uniform-lambda"}, Steps: 5, Points: 9, Axis: "t"}
	r, err := o.Run()
	if err != nil {
		t.Fatal(err)
	}
	printed(t, r)
	last := r.Grids[0].Levels[len(r.Grids[0].Levels)-1]
	if last.Sigma != 0 || !math.IsInf(float64(last.LogSNR), 1) {
		t.Errorf("the last level is %+v: expected σ = 0 and λ = +Inf", last)
	}
	for _, g := range r.Grids {
		if len(g.Curve) != 9 {
			t.Errorf("%d points: expected 9", len(g.Curve))
		}
		for _, l := range g.Curve[1:8] {
			if !(l.Rate < 0) {
				t.Errorf("dλ/dt is %v inside the domain: expected it to fall", l.Rate)
			}
		}
	}
	// λ of the cosine schedule is −2 log tan of an angle linear in t between
	// those of λ = ±15, so that dλ/dt = −4b at its middle, b the range of angles.
	mid := r.Grids[1].Curve[4]
	if want := -4 * (math.Pi/2 - 2*math.Atan(math.Exp(-7.5))); math.Abs(float64(mid.Rate)/want-1) > 1e-6 {
		t.Errorf("dλ/dt = %v at t = %v: expected %g", mid.Rate, mid.T, want)
	}
	o.Spacings = append(o.Spacings, "karras")
	if _, err := o.Run(); err == nil {
		t.Error("three spacings for two schedules were not refused")
	}
}

func TestDoctor(t *testing.T) {
	c := Doctor(Options{Out: filepath.Join(t.TempDir(), "runs"), MNIST: t.TempDir()})
	text := printed(t, c)
	for _, want := range []string{"processors", "memory", "run folders", "digit mixture", "MNIST"} {
		if !strings.Contains(text, want) {
			t.Errorf("no word about %s:\n%s", want, text)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if Doctor(Options{Out: file}).Healthy() {
		t.Error("a place that cannot be written was found healthy")
	}
}

// Text and JSON of a plan and of a run, with cells that do not exist.
func TestReports_Property(t *testing.T) {
	text := strings.Replace(gauss, `"dpmpp-2m"]`, `"ddim(eta=1)"]`, 1)
	p, err := parse(t, text).Plan(Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s := printed(t, p); !strings.Contains(s, "in all") || p.Evals() == 0 {
		t.Errorf("the plan has no cost: %s", s)
	}
	info := runOf(t, text)
	if s := printed(t, info); !strings.Contains(s, "ddim(eta=1)") || !strings.Contains(s, "–") {
		t.Errorf("the summary is not all there: %s", s)
	}
	b, err := json.Marshal(info)
	if err != nil || !bytes.Contains(b, []byte(`"rmse":null`)) || bytes.Contains(b, []byte("NaN")) {
		t.Errorf("%v: %s", err, b)
	}
}

func TestSample_Property(t *testing.T) {
	for _, solver := range []string{"dpmpp-2m", "ddim(eta=1)"} {
		text := `
kind = "sample"
model = "gm2d"
rows = 100
steps = 5
solver = "` + solver + `"
`
		read := func(text string) []byte {
			t.Helper()
			b, err := os.ReadFile(filepath.Join(runOf(t, text).Dir, SamplesNPZ))
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		a := read(text)
		if !bytes.Equal(a, read(text)) {
			t.Errorf("%s: the same recipe gave other samples", solver)
		}
		// More samples begin with the same ones: 100 rows of two numbers, after
		// the header of 128 bytes of the array x, the last of the archive.
		more := read(strings.Replace(text, "rows = 100", "rows = 140", 1))
		head := []byte("x.npy")
		i, j := bytes.Index(a, append([]byte{}, head...)), bytes.Index(more, head)
		if i < 0 || j < 0 || !bytes.Equal(a[i+5+128:i+5+128+1600], more[j+5+128:j+5+128+1600]) {
			t.Errorf("%s: 140 samples do not begin with the 100", solver)
		}
	}
	info := runOf(t, "kind = \"sample\"\nmodel = \"digits\"\nclass = 3\nrows = 4\nsteps = 4\n")
	if _, err := os.Stat(filepath.Join(info.Dir, SheetPNG)); err != nil {
		t.Errorf("images have no sheet: %v", err)
	}
	if _, err := parse(t, "kind = \"sample\"\nclass = 11\n").Plan(Options{}); err == nil || !strings.Contains(err.Error(), "[0 1 2 3 4 5 6 7 8 9]") {
		t.Errorf("got %v, expected the classes there are", err)
	}
}

// {total} in the names of a Sample is the total variance of what is sampled: of a
// class, where there is one.
func TestSample_Equals_Total(t *testing.T) {
	race.Measures(t)
	samples := func(class int, solver, spacing string) []byte {
		info := runOf(t, fmt.Sprintf("kind = \"sample\"\nclass = %d\nsolver = %q\nspacing = %q\nsteps = 4\nrows = 3\n", class, solver, spacing))
		b, err := os.ReadFile(filepath.Join(info.Dir, SamplesNPZ))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	m, err := OpenModel("digits", Options{})
	if err != nil {
		t.Fatal(err)
	}
	def := DefaultSample()
	var totals []float64
	for _, class := range []int{-1, 7} {
		mom, err := m.Moments(schedules.Level{Alpha: 1}, class)
		if err != nil {
			t.Fatal(err)
		}
		total := 0.0
		for _, v := range mom.Var {
			total += v
		}
		totals = append(totals, total)
		with := samples(class, atTotal(def.Solver, total), atTotal(def.Spacing, total))
		if got := samples(class, def.Solver, def.Spacing); !bytes.Equal(got, with) {
			t.Errorf("class %d: other samples than with total = %g", class, total)
		}
	}
	if totals[0] < 1.2*totals[1] {
		t.Errorf("total variances %g: one class has nearly that of all, so that this test says nothing", totals)
	}
}
