package data

import (
	"archive/zip"
	"bytes"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snrlab/internal/npy"
)

// A mixture whose numbers all have an exact half.
func sample() *Mixture {
	return &Mixture{
		Shape: []int{1, 1, 3}, Rank: 1,
		Weights:  []float64{0.3, 0.7},
		Means:    []float64{-1, 0.5, 0, 1, 2, -0.25},
		Loadings: []float64{1, 0, 0, 0, 0.125, 3},
		Residual: []float64{0.01, 1e-30},
		Labels:   []int{3, -1},
		Origin:   Origin{Method: "by hand", Source: "x", Rows: 2, Stored: 0.1, Train: Nats{Fitted: -1.5}},
	}
}

func packed(t testing.TB, m *Mixture) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := WriteMixture(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestMixture_Property(t *testing.T) {
	diagonal := sample()
	diagonal.Residual = []float64{1, 2, 3, 4, 5, 6}
	diagonal.Labels = nil
	isotropic := sample()
	isotropic.Rank, isotropic.Loadings = 0, []float64{}
	for _, m := range []*Mixture{sample(), diagonal, isotropic} {
		raw := packed(t, m)
		got, err := ReadMixture(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, got); d != "" {
			t.Errorf("read back:\n%s", d)
		}
		if !bytes.Equal(raw, packed(t, got)) {
			t.Error("writing it again gives other bytes")
		}
	}
	// What cannot be kept exactly is kept as Rounded says.
	m := sample()
	m.Means[0] = 1. / 3
	want, err := m.Rounded()
	if err != nil {
		t.Fatal(err)
	}
	got, err := ReadMixture(bytes.NewReader(packed(t, m)))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(want, got); d != "" || got.Means[0] == m.Means[0] || m.Means[0] != 1./3 {
		t.Errorf("rounded:\n%s", d)
	}
}

func TestWriteMixture_Refuses(t *testing.T) {
	for name, spoil := range map[string]func(m *Mixture){
		"no shape":            func(m *Mixture) { m.Shape = nil },
		"negative shape":      func(m *Mixture) { m.Shape = []int{-1, -3} },
		"no components":       func(m *Mixture) { m.Weights = nil },
		"short means":         func(m *Mixture) { m.Means = m.Means[1:] },
		"other rank":          func(m *Mixture) { m.Rank = 2 },
		"negative rank":       func(m *Mixture) { m.Rank = -1 },
		"rank above size":     func(m *Mixture) { m.Rank = 4 },
		"residuals":           func(m *Mixture) { m.Residual = []float64{1, 2, 3} },
		"labels":              func(m *Mixture) { m.Labels = []int{1} },
		"label −2":            func(m *Mixture) { m.Labels[1] = -2 },
		"NaN":                 func(m *Mixture) { m.Loadings[2] = math.NaN() },
		"infinity":            func(m *Mixture) { m.Residual[1] = math.Inf(1) },
		"no weight":           func(m *Mixture) { m.Weights = []float64{1, 0} },
		"weights":             func(m *Mixture) { m.Weights[0] = 0.4 },
		"negative":            func(m *Mixture) { m.Residual[0] = -1 },
		"no half":             func(m *Mixture) { m.Means[0] = 1e6 },
		"origin not a number": func(m *Mixture) { m.Origin.Fitted = math.NaN() },
	} {
		m := sample()
		spoil(m)
		if err := WriteMixture(io.Discard, m); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	m := sample()
	m.Means[4] = math.NaN()
	if err := m.Validate(); !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "means: row 1, column 1") {
		t.Errorf("NaN: %v, want row 1, column 1", err)
	}
}

// entries unpacks an archive into name, bytes, name, bytes, …
func entries(t *testing.T, raw []byte) (out []any) {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, f.Name, b)
	}
	return out
}

func TestReadMixture_Refuses(t *testing.T) {
	raw := packed(t, sample())
	for i := range raw {
		if _, err := ReadMixture(bytes.NewReader(raw[:i])); !errors.Is(err, ErrMixture) {
			t.Fatalf("cut after %d of %d bytes: %v, want ErrMixture", i, len(raw), err)
		}
	}
	// A changed byte is found, or lies where nothing is kept (a time stamp, say).
	for i := range raw {
		bad := slices.Clone(raw)
		bad[i] ^= 0x10
		if m, err := ReadMixture(bytes.NewReader(bad)); err == nil && !cmp.Equal(m, sample()) {
			t.Fatalf("byte %d changed, and so did the mixture", i)
		}
	}
	for name, bad := range map[string][]byte{
		"one byte more":   append(slices.Clone(raw), 0),
		"a byte before":   append([]byte{0}, raw...),
		"two of them":     append(slices.Clone(raw), raw...),
		"an empty zip":    archive(t),
		"another archive": archive(t, "a.npy", array("|u1", "(1, 1)", 1)),
	} {
		if _, err := ReadMixture(bytes.NewReader(bad)); !errors.Is(err, ErrMixture) {
			t.Errorf("%s: %v, want ErrMixture", name, err)
		}
	}

	const format, origin, shape, weights, means, loadings, residual, labels = 1, 3, 5, 7, 9, 11, 13, 15
	replace := func(at int, b []byte) []byte {
		e := entries(t, raw)
		e[at] = b
		return archive(t, e...)
	}
	inf := append(npy.AppendHeader(nil, "<f2", []int{2, 3}), 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x7c)
	for name, c := range map[string]struct {
		raw  []byte
		want string
	}{
		"unchanged":           {archive(t, entries(t, raw)...), ""},
		"missing":             {archive(t, entries(t, raw)[:labels-1]...), "labels is missing"},
		"unknown":             {archive(t, append(entries(t, raw), "extra.npy", array("|u1", "(1,)", 1))...), "unknown array"},
		"twice":               {archive(t, append(entries(t, raw), "means.npy", inf)...), "twice"},
		"version 2":           {replace(format, append(npy.AppendHeader(nil, "|u1", []int{16}), "snrlab mixture 2"...)), "format"},
		"unknown origin":      {replace(origin, append(npy.AppendHeader(nil, "|u1", []int{9}), `{"a": 1 }`...)), "unknown field"},
		"two origins":         {replace(origin, append(npy.AppendHeader(nil, "|u1", []int{4}), `{}{}`...)), "goes on"},
		"other size":          {replace(shape, append(npy.AppendHeader(nil, "<i8", []int{1}), ints([]int{4})...)), "shape [4]"},
		"overflowing size":    {replace(shape, append(npy.AppendHeader(nil, "<i8", []int{2}), ints([]int{1 << 40, 1 << 40})...)), "shape"},
		"weights of float32":  {replace(weights, append(npy.AppendHeader(nil, "<f4", []int{2}), singles(0.5, 0.5)...)), "type <f4"},
		"three weights":       {replace(weights, append(npy.AppendHeader(nil, "<f8", []int{3}), doubles([]float64{0.2, 0.2, 0.6})...)), "3 weights"},
		"infinite mean":       {replace(means, inf), "means: row 1, column 2"},
		"claim of means":      {replace(means, npy.AppendHeader(nil, "<f2", []int{1 << 20, 1 << 20})), "needs"},
		"flat loadings":       {replace(loadings, append(npy.AppendHeader(nil, "<f2", []int{6}), make([]byte, 12)...)), "3 dimensions"},
		"other loadings":      {replace(loadings, append(npy.AppendHeader(nil, "<f2", []int{1, 2, 3}), make([]byte, 12)...)), "beside means"},
		"other residual":      {replace(residual, append(npy.AppendHeader(nil, "<f8", []int{1}), make([]byte, 8)...)), "beside means"},
		"NaN residual":        {replace(residual, append(npy.AppendHeader(nil, "<f8", []int{2}), doubles([]float64{1, math.NaN()})...)), "residual: row 1"},
		"a label":             {replace(labels, append(npy.AppendHeader(nil, "<i8", []int{1}), ints([]int{1})...)), "1 labels"},
		"label of many":       {replace(labels, append(npy.AppendHeader(nil, "<i8", []int{2}), ints([]int{1, -5})...)), "label 1"},
		"no name of an array": {archive(t, append(entries(t, raw), "extra", array("|u1", "(1,)", 1))...), "not the name"},
	} {
		_, err := ReadMixture(bytes.NewReader(c.raw))
		if c.want == "" && err != nil || c.want != "" && (!errors.Is(err, ErrMixture) || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := ReadMixture(io.LimitReader(zeros{}, maxMixture+10)); !errors.Is(err, ErrMixture) {
		t.Errorf("too many bytes: %v", err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func FuzzReadMixture(f *testing.F) {
	m := sample()
	f.Add(packed(f, m))
	m.Labels, m.Residual = nil, []float64{1, 2, 3, 4, 5, 6}
	f.Add(packed(f, m))
	f.Fuzz(func(t *testing.T, raw []byte) {
		m, err := ReadMixture(bytes.NewReader(raw))
		if err != nil {
			if !errors.Is(err, ErrMixture) {
				t.Fatalf("%v is not ErrMixture", err)
			}
			return
		}
		again, err := ReadMixture(bytes.NewReader(packed(t, m)))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, again); d != "" {
			t.Fatalf("written and read again:\n%s", d)
		}
	})
}

// The embedded file is what it says: twenty or so components for each digit.
func TestDigits_Property(t *testing.T) {
	m, err := Digits()
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Shape; len(got) != 3 || got[0] != 1 || got[1] != 28 || got[2] != 28 {
		t.Fatalf("shape %v, want [1 28 28]", got)
	}
	weight := map[int]float64{}
	for k, l := range m.Labels {
		weight[l] += m.Weights[k]
	}
	if len(weight) != 10 {
		t.Fatalf("classes %v, want ten", weight)
	}
	// The classes of MNIST are between 9.0 % (fives) and 11.2 % (ones) of its 60,000 images; the fit keeps each share as it is.
	for digit, images := range map[int]float64{0: 5923, 1: 6742, 5: 5421, 8: 5851} {
		if got, want := weight[digit], images/60000; math.Abs(got-want) > 1e-12 { // sums of twenty rounded weights
			t.Errorf("share of digit %d is %.15g, want %.15g", digit, got, want)
		}
	}
	if len(digits) > 4<<20 {
		t.Errorf("embedded file has %d bytes, more than 4 MiB", len(digits))
	}
	// Corners are black in every training image, so every mean is −1 there and nothing loads on them.
	for k := range m.Len() {
		if got := m.Means[k*784]; got != -1 {
			t.Errorf("component %d: mean of the corner is %g, want −1", k, got)
		}
		for r := range m.Rank {
			if got := m.Loadings[(k*m.Rank+r)*784]; math.Abs(got) > 1e-6 { // rounding of an orthogonal basis
				t.Errorf("component %d: loading %d of the corner is %g, want 0", k, r, got)
			}
		}
	}
}
