package runfile

import (
	"archive/zip"
	"bytes"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"codeberg.org/sbinet/npyio/npz"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func steps() []StepRow {
	nan, inf := math.NaN(), math.Inf(1)
	return []StepRow{
		{Solver: "ddim(eta=0.5,x=[1,2])", Budget: 10, Steps: 10, T: 1, Sigma: 1, Lambda: -inf, Local: nan, Global: nan, Norm: 28.000000000000004},
		{Solver: `odd "name"`, Budget: 10, Steps: 10, Step: 10, Alpha: 1, Lambda: inf, NFE: 10, Local: 5e-324, Global: math.MaxFloat64, GlobalQ5: -0.1, Norm: 0.1},
	}
}

func encode[T any](t *testing.T, rows []T) string {
	t.Helper()
	var b bytes.Buffer
	if err := EncodeRows(&b, rows); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestRows_Property(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, StepsCSV)
	if err := WriteSteps(path, steps()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadSteps(path)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(steps(), got, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
	sum := []SummaryRow{{Solver: "heun", Stochastic: true, Budget: 5, BelowFloor: true, Order: math.NaN()}}
	if err := WriteSummary(filepath.Join(dir, SummaryCSV), sum); err != nil {
		t.Fatal(err)
	}
	gotSum, err := ReadSummary(filepath.Join(dir, SummaryCSV))
	if d := cmp.Diff(sum, gotSum, cmpopts.EquateNaNs()); d != "" || err != nil {
		t.Error(d, err)
	}
	tim := []TimingRow{{Solver: "heun", Budget: 5, Steps: 3, SolverS: 1e-9, DenoiserS: 2}}
	if err := WriteTimings(filepath.Join(dir, TimingsCSV), tim); err != nil {
		t.Fatal(err)
	}
	gotTim, err := ReadTimings(filepath.Join(dir, TimingsCSV))
	if d := cmp.Diff(tim, gotTim); d != "" || err != nil {
		t.Error(d, err)
	}
	// Columns may stand in any order.
	swapped := "budget,solver,steps,solver_s,denoiser_s\n5,heun,3,1e-09,2\n"
	gotTim, err = DecodeRows[TimingRow](strings.NewReader(swapped), "t.csv")
	if d := cmp.Diff(tim, gotTim); d != "" || err != nil {
		t.Error(d, err)
	}
	// Only the file itself is left behind.
	if names, _ := filepath.Glob(filepath.Join(dir, ".*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
}

func TestRows_Refuses(t *testing.T) {
	const head = "solver,budget,steps,solver_s,denoiser_s\n"
	for in, want := range map[string]string{
		"":                               "is empty",
		"solver,budget,steps,solver_s\n": `column "denoiser_s" is missing`,
		"solver,budget,steps,solver_s,denoiser_s,x\n":          `unknown column "x"`,
		"solver,budget,steps,solver_s,denoiser\n":              `did you mean "denoiser_s"?`,
		"solver,solver,budget,steps,solver_s,denoiser_s\n":     "is there twice",
		head + "heun,5,3,0.1,0.2\nheun,6,3,0.1":                "line 3",
		head + "heun,5,3,0.1,0.2,7\n":                          "line 2",
		head + "heun,5.5,3,0.1,0.2\n":                          `line 2, column budget: "5.5" is not a whole number`,
		head + "heun,5,3,0.1,0.2\nheun,5,,0.1,0.2\n":           `line 3, column steps: "" is not a whole number`,
		head + "heun,5,3,NaN,0.2\n":                            `line 2, column solver_s: "NaN" is not a number`,
		head + "heun,5,3,0.1,1e999\n":                          `line 2, column denoiser_s: "1e999" is not a number`,
		head + "\"heun,5,3,0.1,0.2\n":                          "line",
		head + "\"he\nun\",5,3,0.1,0.2\n":                      "line 2, column solver",
		head + "heun,99999999999999999999,3,0.1,0.2\nheun,5,3": "line 2, column budget",
	} {
		_, err := DecodeRows[TimingRow](strings.NewReader(in), "t.csv")
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "t.csv") {
			t.Errorf("%q: got %v, expected an error with t.csv and %q", in, err, want)
		}
	}
	bools := strings.Replace(encode(t, []SummaryRow{{Solver: "a"}}), "false", "no", 1)
	if _, err := DecodeRows[SummaryRow](strings.NewReader(bools), "s.csv"); err == nil || !strings.Contains(err.Error(), "neither true nor false") {
		t.Errorf("got %v", err)
	}
	if err := EncodeRows(io.Discard, []TimingRow{{Solver: "a\nb"}}); err == nil {
		t.Error("a name with a line break was written")
	}
	if _, err := ReadSteps(filepath.Join(t.TempDir(), "none.csv")); !os.IsNotExist(unwrap(err)) {
		t.Errorf("got %v, expected one that wraps os.ErrNotExist", err)
	}
}

func unwrap(err error) error {
	if u, ok := err.(interface{ Unwrap() error }); ok {
		return u.Unwrap()
	}
	return err
}

func TestWriteFile_Refuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.csv")
	if err := os.WriteFile(path, []byte("old"), 0o644); err != nil {
		t.Fatal(err)
	}
	err := WriteFile(path, func(w io.Writer) error {
		if _, err := io.WriteString(w, strings.Repeat("new", 1<<16)); err != nil {
			return err
		}
		return io.ErrShortWrite // a full disk
	})
	if err == nil {
		t.Fatal("the failed write was not reported")
	}
	got, _ := os.ReadFile(path)
	if string(got) != "old" {
		t.Errorf("a failed write changed the file to %d bytes", len(got))
	}
	if names, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".*")); len(names) > 0 {
		t.Errorf("left behind: %v", names)
	}
	if err := WriteFile(filepath.Join(path, "b"), func(io.Writer) error { return nil }); err == nil {
		t.Error("wrote into a folder that is none")
	}
}

func TestRun_Property(t *testing.T) {
	want := Run{
		Name: "demo", Driver: "compare", Recipe: "name = \"demo\"\n[a]\nb = 'λ<&>'\n", RecipeHash: "00ff",
		Inputs: map[string]string{"digits": "aa"}, Program: "bb", Version: "v0", Go: "go1.26", Platform: "linux/amd64",
		CPU: "some", GOMAXPROCS: 2, Key: "7", Status: Finished, Start: time.Unix(1, 0).UTC(), End: time.Unix(2, 5).UTC(),
		Notes: []string{"heun takes 9 of 10 evaluations"},
	}
	path := filepath.Join(t.TempDir(), RunJSON)
	for _, want := range []Run{want, {Status: Running}, {Status: Failed, Error: "no"}} {
		if err := WriteRun(path, want); err != nil {
			t.Fatal(err)
		}
		got, err := ReadRun(path)
		if d := cmp.Diff(want, got); d != "" || err != nil {
			t.Error(d, err)
		}
	}
}

func TestRun_Refuses(t *testing.T) {
	for in, want := range map[string]string{
		``:                                  "ends in the middle",
		`{"status":"finished"`:              "ends in the middle",
		`{"status":"finished"} x`:           "goes on",
		`{"status":"finished","extra":1}`:   "extra",
		`{"status":"done"}`:                 `status "done"`,
		`{"status":"finished","start":"x"}`: "r.json",
	} {
		_, err := DecodeRun(strings.NewReader(in), "r.json")
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, expected an error with %q", in, err, want)
		}
	}
}

func ramp(n int) []float32 {
	v := make([]float32, n)
	for i := range v {
		v[i] = float32(i) / 3
	}
	return v
}

func trace() *Trace {
	const level = 2 * 2 * 3 // samples × 2×3
	return &Trace{
		Shape:   []int{2, 3},
		Samples: []int{0, 7},
		Runs: []TraceRun{
			{Solver: "heun", Budget: 3, Steps: 2, X: ramp(3 * level), D: ramp(2 * level)},
			{Solver: "ddim(eta=0.5,x=a/b)", Budget: 1, Steps: 1, X: ramp(2 * level), D: ramp(level)},
		},
		Refs: map[int]TraceRef{
			1: {X: ramp(2 * level), D: ramp(level)},
			2: {X: ramp(3 * level), D: ramp(3 * level)},
		},
		Exact:   ramp(5 * 6),
		Real:    ramp(4 * 6),
		Density: &DensityGrid{-1, 1, -2, 2, 3, 2, ramp(6)},
	}
}

func encodeTrace(t testing.TB, tr *Trace) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := EncodeTrace(&b, tr); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func decodeTrace(b []byte) (*Trace, error) {
	return DecodeTrace(bytes.NewReader(b), int64(len(b)), "trace.npz")
}

func TestTrace_Property(t *testing.T) {
	small := &Trace{Shape: []int{2}}
	nan := trace()
	nan.Runs[0].X[0] = float32(math.NaN())
	nan.Runs[0].X[1] = float32(math.Inf(-1))
	for _, want := range []*Trace{trace(), small, nan} {
		b := encodeTrace(t, want)
		got, err := decodeTrace(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
			t.Error(d)
		}
		if !bytes.Equal(b, encodeTrace(t, want)) {
			t.Error("the same trace gave other bytes")
		}
	}
	path := filepath.Join(t.TempDir(), TraceNPZ)
	if err := WriteTrace(path, trace()); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTrace(path)
	if d := cmp.Diff(trace(), got); d != "" || err != nil {
		t.Error(d, err)
	}
	if r := got.Run("heun", 3); r == nil || r.Steps != 2 {
		t.Errorf("Run found %v", r)
	}
	if r := got.Run("heun", 4); r != nil {
		t.Errorf("Run found %v", r)
	}
}

// The file is numpy's: another reader of the format finds the same numbers.
func TestTrace_AgreesWith(t *testing.T) {
	b := encodeTrace(t, trace())
	r, err := npz.NewReader(bytes.NewReader(b), int64(len(b)))
	if err != nil {
		t.Fatal(err)
	}
	var x []float32
	if err := r.Read("run/heun/3/x.npy", &x); err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(trace().Runs[0].X, x); d != "" {
		t.Error(d)
	}
	if got := r.Header("run/heun/3/x.npy").Descr.Shape; !reflect.DeepEqual(got, []int{3, 2, 2, 3}) {
		t.Errorf("shape %v", got)
	}
	var rows []int64
	if err := r.Read("samples.npy", &rows); err != nil || !reflect.DeepEqual(rows, []int64{0, 7}) {
		t.Errorf("samples %v, %v", rows, err)
	}
	if got := r.Header("runs.npy").Descr.Type; !strings.Contains(got, "<U21") {
		t.Errorf("runs have dtype %s, expected <U21", got)
	}
}

func TestTrace_Refuses(t *testing.T) {
	for want, spoil := range map[string]func(*Trace){
		"shape is empty":    func(t *Trace) { t.Shape = nil },
		"positive sizes":    func(t *Trace) { t.Shape = []int{1 << 20, 1 << 20} },
		"is there twice":    func(t *Trace) { t.Runs[1] = t.Runs[0] },
		"in x":              func(t *Trace) { t.Runs[0].X = t.Runs[0].X[1:] },
		"in denoised":       func(t *Trace) { t.Runs[0].D = nil },
		"reference of 2":    func(t *Trace) { t.Refs[2] = t.Refs[1] },
		"multiples of 6":    func(t *Trace) { t.Exact = t.Exact[1:] },
		"density":           func(t *Trace) { t.Density.NX = 7 },
		"no proper solver":  func(t *Trace) { t.Runs[0].Solver = "" },
		"numbers in x: exp": func(t *Trace) { t.Samples = []int{1} },
	} {
		tr := trace()
		spoil(tr)
		if err := EncodeTrace(io.Discard, tr); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}

	good := encodeTrace(t, trace())
	for n := 0; n < len(good); n += 97 {
		if _, err := decodeTrace(good[:n]); err == nil {
			t.Errorf("the first %d of %d bytes were read without an error", n, len(good))
		}
	}
	repack := func(method uint16, edit func(name string, b []byte) (string, []byte)) []byte {
		z, err := zip.NewReader(bytes.NewReader(good), int64(len(good)))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for _, f := range z.File {
			rc, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(rc)
			if err != nil {
				t.Fatal(err)
			}
			name, b := edit(f.Name, b)
			if name == "" {
				continue
			}
			e, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: method})
			if err != nil {
				t.Fatal(err)
			}
			if _, err := e.Write(b); err != nil {
				t.Fatal(err)
			}
		}
		w.Close()
		return out.Bytes()
	}
	if _, err := decodeTrace(repack(zip.Store, func(n string, b []byte) (string, []byte) { return n, b })); err != nil {
		t.Fatalf("repacked as it was: %v", err)
	}
	in := func(entry, old, new string) func(string, []byte) (string, []byte) {
		return func(n string, b []byte) (string, []byte) {
			if n == entry {
				b = bytes.Replace(b, []byte(old), []byte(new), 1)
			}
			return n, b
		}
	}
	rename := func(old, new string) func(string, []byte) (string, []byte) {
		return func(n string, b []byte) (string, []byte) {
			if n == old {
				n = new
			}
			return n, b
		}
	}
	for want, b := range map[string][]byte{
		"expected it stored":           repack(zip.Deflate, rename("", "")),
		`entry "shape" is missing`:     repack(zip.Store, rename("shape.npy", "")),
		`entry "extra" is unknown`:     repack(zip.Store, rename("exact.npy", "extra.npy")),
		`"readme.txt" is unknown`:      repack(zip.Store, rename("exact.npy", "readme.txt")),
		`"ref/3/x" has 3 levels`:       repack(zip.Store, rename("ref/2/x.npy", "ref/3/x.npy")),
		"shape [5 9 9] of <f4":         repack(zip.Store, in("exact.npy", "(5, 2, 3)", "(5, 9, 9)")),
		"shape [99999 99999]":          repack(zip.Store, in("exact.npy", "(5, 2, 3), }     ", "(99999, 99999), }")),
		"Fortran":                      repack(zip.Store, in("exact.npy", "False, 'shape': (5, 2, 3), }", "True, 'shape': (5, 2, 3), } ")),
		"plain array":                  repack(zip.Store, in("exact.npy", "'shape'", "'shaqe'")),
		`holds []float32: expected []`: repack(zip.Store, in("density/extent.npy", "<f8', 'fortran_order': False, 'shape': (4,)", "<f4', 'fortran_order': False, 'shape': (8,)")),
		"has shape":                    repack(zip.Store, in("real.npy", "(4, 2, 3)", "(4, 3, 2)")),
	} {
		_, err := decodeTrace(b)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "trace.npz") {
			t.Errorf("got %v, expected an error with trace.npz and %q", err, want)
		}
	}
}

func FuzzDecodeRows(f *testing.F) {
	var b bytes.Buffer
	if err := EncodeRows(&b, steps()); err != nil {
		f.Fatal(err)
	}
	f.Add(b.String())
	f.Add(strings.Replace(b.String(), ",", ";", 3))
	f.Fuzz(func(t *testing.T, in string) {
		rows, err := DecodeRows[StepRow](strings.NewReader(in), "f")
		if err != nil {
			return
		}
		again, err := DecodeRows[StepRow](strings.NewReader(encode(t, rows)), "f")
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(rows, again, cmpopts.EquateNaNs()); d != "" {
			t.Error(d)
		}
	})
}

func FuzzDecodeTrace(f *testing.F) {
	f.Add(encodeTrace(f, trace()))
	f.Add(encodeTrace(f, &Trace{Shape: []int{2}}))
	f.Fuzz(func(t *testing.T, in []byte) {
		tr, err := decodeTrace(in)
		if err != nil {
			return
		}
		again, err := decodeTrace(encodeTrace(t, tr))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(tr, again, cmpopts.EquateNaNs()); d != "" {
			t.Error(d)
		}
	})
}

// The array reader alone, so that the fuzzer need not guess zip checksums.
func FuzzDecodeNPY(f *testing.F) {
	for _, a := range []npyArray{
		{[]int{2, 2}, ramp(4)},
		{[]int{1}, []float64{1}},
		{[]int{3}, []int64{1, -2, 3}},
		{[]int{2}, []string{"a", "λ/∞"}},
		{nil, []float64{2}},
	} {
		var b bytes.Buffer
		if err := a.encode(&b); err != nil {
			f.Fatal(err)
		}
		f.Add(b.Bytes())
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		a, err := decodeNPY(in)
		if err != nil {
			return
		}
		var b bytes.Buffer
		if err := a.encode(&b); err != nil {
			t.Fatal(err)
		}
		again, err := decodeNPY(b.Bytes())
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(a, again, cmpopts.EquateNaNs(), cmpopts.EquateEmpty()); d != "" {
			t.Error(d)
		}
	})
}
