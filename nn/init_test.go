package nn_test

import (
	"fmt"
	"math"
	"slices"
	"testing"

	"snrlab/nn"
	"snrlab/rng"
)

// Distributions of torch's initialisers as its documentation has them: bounds of
// the uniform ones, deviations of the normal ones, 0 for the other.
func TestInit_Property(t *testing.T) {
	const n = 40_000
	for _, c := range []struct {
		name             string
		init             nn.Init
		bound, deviation float64
	}{
		// kaiming_uniform(a = √5): gain √(2/(1 + 5)), bound gain √(3/fanIn).
		{"linear and convolution", nn.UniformFanIn(48), math.Sqrt(2.0/6) * math.Sqrt(3.0/48), 0},
		{"kaiming uniform", nn.KaimingUniform(48, math.Sqrt2), math.Sqrt2 * math.Sqrt(3.0/48), 0},
		{"kaiming normal", nn.KaimingNormal(48, math.Sqrt2), 0, math.Sqrt2 / math.Sqrt(48)},
		{"xavier uniform", nn.XavierUniform(48, 12, 5.0/3), 5.0 / 3 * math.Sqrt(6.0/60), 0},
		{"xavier normal", nn.XavierNormal(48, 12, 5.0/3), 0, 5.0 / 3 * math.Sqrt(2.0/60)},
		{"embedding", nn.Normal(1), 0, 1},
	} {
		s := nn.NewScope[float64](rng.New(17))
		x := slices.Clone(s.Param(c.name, c.init, n).Value())
		slices.Sort(x)
		cdf := func(v float64) float64 { return math.Erfc(-v/c.deviation/math.Sqrt2) / 2 }
		variance := c.deviation * c.deviation
		kurtosis := 3.0
		if c.bound > 0 {
			cdf = func(v float64) float64 { return (v/c.bound + 1) / 2 }
			variance, kurtosis = c.bound*c.bound/3, 9.0/5
			if x[0] < -c.bound || x[n-1] > c.bound || x[n-1] < c.bound*(1-1e-3) {
				t.Errorf("%s: from %v to %v, want ±%v", c.name, x[0], x[n-1], c.bound)
			}
		}
		mean, square, gap := 0.0, 0.0, 0.0
		for i, v := range x {
			mean += v / n
			square += v * v / n
			gap = max(gap, math.Abs(cdf(v)-float64(i)/n), math.Abs(cdf(v)-float64(i+1)/n))
		}
		// Four deviations of the mean and of the variance; Kolmogorov's distance
		// is beyond 2/√n in one of 1500 keys.
		if math.Abs(mean) > 4*math.Sqrt(variance/n) {
			t.Errorf("%s: mean %v", c.name, mean)
		}
		if math.Abs(square-variance) > 4*variance*math.Sqrt((kurtosis-1)/n) {
			t.Errorf("%s: variance %v, want %v", c.name, square, variance)
		}
		if gap > 2/math.Sqrt(n) {
			t.Errorf("%s: Kolmogorov's distance is %v", c.name, gap)
		}
	}
	s := nn.NewScope[float32](rng.New(1))
	zeros, ones := s.Param("zeros", nn.Zeros, 9).Value(), s.Param("ones", nn.Ones, 9).Value()
	if slices.Max(zeros) != 0 || slices.Min(zeros) != 0 || slices.Max(ones) != 1 || slices.Min(ones) != 1 {
		t.Errorf("zeros are %v, ones %v", zeros, ones)
	}
}

func TestLayers_Init(t *testing.T) {
	s := nn.NewScope[float32](rng.New(3))
	l := nn.NewLinear(s.Sub("linear"), 100, 300, true)
	c := nn.NewConv(s.Sub("conv"), 8, 40, 3, 1, nn.Pad(1))
	g := nn.NewGroupNorm(s.Sub("norm"), 8, 2, 1e-5)
	for _, x := range []struct {
		p     *nn.Param[float32]
		bound float64
	}{{l.Weight, 0.1}, {l.Bias, 0.1}, {c.Weight, 1 / math.Sqrt(72)}, {c.Bias, 1 / math.Sqrt(72)}} {
		most := 0.0
		for _, v := range x.p.Value() {
			most = max(most, math.Abs(float64(v)))
		}
		// Of the fewest, 40, the largest is below 0.8 in one of 7000 keys.
		if most > x.bound*(1+0x1p-24) || most < 0.8*x.bound {
			t.Errorf("%s: up to %v, want %v", x.p.Name(), most, x.bound)
		}
	}
	for i, v := range g.Weight.Value() {
		if v != 1 || g.Bias.Value()[i] != 0 {
			t.Errorf("norm has γ = %v and β = %v", v, g.Bias.Value()[i])
		}
	}
}

// A parameter's first value depends on its name and the key alone.
func TestScope_Invariant(t *testing.T) {
	value := func(key rng.Key, before []string, name string) string {
		s := nn.NewScope[float32](key).Sub("net")
		for _, b := range before {
			s.Param(b, nn.Normal(1), 5, 3)
		}
		return fmt.Sprint(s.Param(name, nn.Normal(1), 4, 2).Value())
	}
	want := value(rng.New(1), nil, "weight")
	if got := value(rng.New(1), []string{"a", "b"}, "weight"); got != want {
		t.Error("a value depends on the parameters before it")
	}
	if value(rng.New(2), nil, "weight") == want || value(rng.New(1), nil, "bias") == want {
		t.Error("a value does not depend on its key or its name")
	}
	// float64 rounds to float32.
	s := nn.NewScope[float64](rng.New(1))
	var rounded []float32
	for _, v := range s.Sub("net").Param("weight", nn.Normal(1), 4, 2).Value() {
		rounded = append(rounded, float32(v))
	}
	if got := fmt.Sprint(rounded); got != want {
		t.Errorf("float64 begins at %s, float32 at %s", got, want)
	}
}
