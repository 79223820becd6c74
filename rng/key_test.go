package rng

import (
	"math"
	"testing"
)

// The first draws of a fixed key. They came from this package and say nothing
// about correctness: they notice a change of the generators below, after which
// no stored result could be repeated.
func TestKey_Golden(t *testing.T) {
	z := make([]float64, 3)
	New(1).Split("sample", 0).Split("init", 0).Normal(z)
	want := []float64{0.67140355721728273, -1.8088610599936001, -1.0111507987500197}
	for i := range z {
		if z[i] != want[i] {
			t.Errorf("draw %d is %.17g, was %.17g", i, z[i], want[i])
		}
	}
}

func TestKey_Invariant(t *testing.T) {
	root := New(7)
	a, b := make([]float64, 5), make([]float64, 9)
	root.Split("sample", 3).Normal(a)
	root.Split("sample", 3).Normal(b)
	for i := range a {
		if a[i] != b[i] {
			t.Errorf("draw %d depends on how many are asked for: %g and %g", i, a[i], b[i])
		}
	}
	seen := map[Key]string{root: "root"}
	for _, c := range []struct {
		name string
		key  Key
	}{
		{"another seed", New(8)},
		{"sample 3", root.Split("sample", 3)},
		{"sample 4", root.Split("sample", 4)},
		{"noise 3", root.Split("noise", 3)},
		{"sample 3, init 0", root.Split("sample", 3).Split("init", 0)},
		{"init 0, sample 3", root.Split("init", 0).Split("sample", 3)},
		// A label that ends in the bytes of an index must not imitate it.
		{"label with index bytes", root.Split("sample\x00\x03", 0)},
	} {
		if other, ok := seen[c.key]; ok {
			t.Errorf("%s and %s have the same key", c.name, other)
		}
		seen[c.key] = c.name
	}
}

func TestKey_Property(t *testing.T) {
	const n = 200_000
	x, y := make([]float64, n), make([]float64, n)
	New(2).Split("sample", 0).Normal(x)
	New(2).Split("sample", 1).Normal(y)
	var mean, second, fourth, cross float64
	for i := range x {
		mean += x[i] / n
		second += x[i] * x[i] / n
		fourth += x[i] * x[i] * x[i] * x[i] / n
		cross += x[i] * y[i] / n
	}
	// Each bound is five standard errors: 1, √2, √96 and 1 over √n.
	se := 5 / math.Sqrt(n)
	for _, c := range []struct {
		name            string
		got, want, band float64
	}{
		{"mean", mean, 0, se},
		{"second moment", second, 1, se * math.Sqrt2},
		{"fourth moment", fourth, 3, se * math.Sqrt(96)},
		{"correlation of neighbours", cross, 0, se},
	} {
		if math.Abs(c.got-c.want) > c.band {
			t.Errorf("%s is %g, expected %g ± %g", c.name, c.got, c.want, c.band)
		}
	}
}

func TestParseKey(t *testing.T) {
	k := New(3).Split("x", 1)
	got, err := ParseKey(k.String())
	if err != nil || got != k {
		t.Errorf("got %v, %v", got, err)
	}
	for _, bad := range []string{"", "00", k.String()[1:], k.String() + "00", "zz" + k.String()[2:]} {
		if _, err := ParseKey(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}
