package data

import (
	"errors"
	"math"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"gorgonia.org/tensor"
)

// tensor checks at start that the garbage collector does not move objects, by
// the Go version; the pin in go.mod is what lets it start. A test binary could
// hide that, so a program of its own is built and run.
func TestTensor_Starts(t *testing.T) {
	bin := filepath.Join(t.TempDir(), "starts.exe")
	if out, err := exec.Command("go", "build", "-o", bin, "./testdata/starts").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	out, err := exec.Command(bin).CombinedOutput()
	if got, want := strings.TrimSpace(string(out)), "(1, 1, 2, 2) [-1 0 0.5 1]"; err != nil || got != want {
		t.Fatalf("the program ends with %v and prints %q, want %q", err, got, want)
	}
}

func TestSet_Property(t *testing.T) {
	values := []float64{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
	s, err := NewSet("x", values, 2, 3, 1, 2, []int{4, -1})
	if err != nil {
		t.Fatal(err)
	}
	if s.Len() != 2 || s.Dim() != 6 || len(s.Shape()) != 3 {
		t.Errorf("%d images of %d values, shape %v", s.Len(), s.Dim(), s.Shape())
	}
	v, err := s.Images.At(1, 2, 0, 1)
	if err != nil || v != 12.0 {
		t.Errorf("last element is %v (%v), want 12", v, err)
	}
	s.Values()[0] = 100
	if values[0] != 100 {
		t.Error("Values is a copy, want a view")
	}
	points, err := NewSet("p", values, 6, 1, 1, 2, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := points.Shape(); len(got) != 1 || got[0] != 2 {
		t.Errorf("points have shape %v, want [2]", got)
	}
}

func TestSet_Refuses(t *testing.T) {
	ones := func(n int) []float64 { return make([]float64, n) }
	for name, f := range map[string]func() (*Set, error){
		"too few values":  func() (*Set, error) { return NewSet("x", ones(3), 1, 1, 2, 2, nil) },
		"no images":       func() (*Set, error) { return NewSet("x", nil, 0, 1, 2, 2, nil) },
		"negative sizes":  func() (*Set, error) { return NewSet("x", ones(4), -1, -1, 2, 2, nil) },
		"overflow":        func() (*Set, error) { return NewSet("x", nil, 1<<32, 1<<31, 2, 1, nil) },
		"too many labels": func() (*Set, error) { return NewSet("x", ones(4), 1, 1, 2, 2, []int{1, 2}) },
		"float32": func() (*Set, error) {
			s := &Set{Images: tensor.New(tensor.Of(tensor.Float32), tensor.WithShape(1, 1, 2, 2))}
			return s, s.Validate()
		},
		"a matrix": func() (*Set, error) {
			s := &Set{Images: tensor.New(tensor.Of(tensor.Float64), tensor.WithShape(2, 2))}
			return s, s.Validate()
		},
		"nothing": func() (*Set, error) { s := &Set{}; return s, s.Validate() },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	x := ones(12)
	x[7] = math.NaN()
	_, err := NewSet("x", x, 3, 1, 2, 2, nil)
	if !errors.Is(err, ErrNotFinite) || !strings.Contains(err.Error(), "row 1, column 3") {
		t.Errorf("NaN: %v, want row 1, column 3", err)
	}
}

func TestHalf_Property(t *testing.T) {
	for bits := range 1 << 16 {
		b := uint16(bits)
		v := fromHalf(b)
		got, ok := toHalf(v)
		finite := b>>10&31 != 31
		if ok != finite || finite && got != b {
			t.Fatalf("%04x is %g and comes back as %04x, %v", b, v, got, ok)
		}
		if !finite || b&0x8000 != 0 || b == 0x7bff {
			continue
		}
		// Around the middle of two neighbours: below goes down, above goes up, the middle goes to the even one.
		next := fromHalf(b + 1)
		mid := (v + next) / 2
		even := b + b&1
		for x, want := range map[float64]uint16{math.Nextafter(mid, 0): b, mid: even, math.Nextafter(mid, 1e9): b + 1} {
			if got, ok := toHalf(x); !ok || got != want {
				t.Fatalf("%g rounds to %04x, want %04x", x, got, want)
			}
		}
	}
	// Values of the format's definition: largest, one, smallest normal and smallest number.
	for v, want := range map[float64]uint16{65504: 0x7bff, 1: 0x3c00, -2: 0xc000, 0x1p-14: 0x0400, 0x1p-24: 1, 1. / 3: 0x3555} {
		if got, _ := toHalf(v); got != want {
			t.Errorf("%g is %04x, want %04x", v, got, want)
		}
	}
	for _, v := range []float64{65520, 1e300, math.Inf(1), math.Inf(-1), math.NaN()} {
		if _, ok := toHalf(v); ok {
			t.Errorf("%g has no half but was taken", v)
		}
	}
}
