package nn_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"gonum.org/v1/gonum/integrate/quad"

	"snrlab/nn"
	"snrlab/rng"
)

func newEMA[T nn.Float](t testing.TB, ps nn.Params[T], average string) *nn.EMA[T] {
	t.Helper()
	a, err := nn.ParseAverage(average)
	if err != nil {
		t.Fatal(err)
	}
	e, err := nn.NewEMA(ps, a)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// mean is what an EMA would put into the parameters, one after the other.
func mean[T nn.Float](t testing.TB, e *nn.EMA[T], ps nn.Params[T]) (all []float64) {
	t.Helper()
	e.Swap()
	defer e.Swap()
	for _, p := range ps {
		for _, v := range p.Value() {
			all = append(all, float64(v))
		}
	}
	return all
}

func TestAverage_Golden(t *testing.T) {
	for _, c := range []struct {
		average      string
		updates      int
		seen, images int64
		want         float64
	}{
		{"constant(beta=0.75)", 0, 0, 8, 0.75},
		{"warmup(beta=0.75)", 0, 0, 8, 0.1},
		{"warmup(beta=0.75)", 8, 64, 8, 0.5},    // 9/18
		{"warmup(beta=0.75)", 26, 208, 8, 0.75}, // 27/36
		{"warmup(beta=0.75)", 100, 800, 8, 0.75},
		{"half-life(images=100,ramp=0)", 0, 0, 200, 0.25},
		{"half-life(images=100,ramp=0.5)", 0, 0, 8, 0},
		{"half-life(images=100,ramp=0.5)", 5, 80, 40, 0.5}, // h = 40
		{"half-life(images=100,ramp=0.5)", 50, 8000, 100, 0.5},
		{"power(std=0.28867513459481287)", 3, 30, 10, 0.75}, // γ = 0: equal weights
		{"power(std=0.1)", 0, 0, 10, 0},
		{"power(std=0.23570226039551584)", 3, 30, 10, 0.5625}, // γ = 1, std 1/√18
	} {
		a, err := nn.ParseAverage(c.average)
		if err != nil {
			t.Fatal(err)
		}
		if got := a.Keep(c.updates, c.seen, c.images); math.Abs(got-c.want) > 1e-14 {
			t.Errorf("%s after %d updates, %d images: %v, want %v", c.average, c.updates, c.seen, got, c.want)
		}
		if again, err := nn.ParseAverage(a.String()); err != nil || again != a {
			t.Errorf("%v prints as %s, which reads as %v, %v", c.average, a, again, err)
		}
	}
}

func TestPowerExponent_Golden(t *testing.T) {
	// The paper's two pairs, to its digits.
	for std, want := range map[float64]float64{0.05: 16.97, 0.10: 6.94} {
		if got := nn.PowerExponent(std); math.Abs(got-want) > 0.005 {
			t.Errorf("σ_rel = %v: γ = %v, want %v", std, got, want)
		}
	}
	for _, gamma := range []float64{0, 1e-3, 0.5, 1, 6.94, 100, 1e5} {
		std := nn.PowerStd(gamma)
		if gamma <= 100 { // of which quadrature makes enough
			mean := (gamma + 1) / (gamma + 2)
			want := math.Sqrt(quad.Fixed(func(tau float64) float64 {
				return (gamma + 1) * math.Pow(tau, gamma) * (tau - mean) * (tau - mean)
			}, 0, 1, 300, nil, 0))
			if math.Abs(std-want) > 1e-6*want {
				t.Errorf("γ = %v: σ_rel = %v, by quadrature %v", gamma, std, want)
			}
		}
		if got := nn.PowerExponent(std); math.Abs(got-gamma) > 1e-9*(1+gamma) {
			t.Errorf("γ = %v has σ_rel = %v, which has γ = %v", gamma, std, got)
		}
	}
	for _, std := range []float64{0, -1, 0.2887, math.Inf(1), math.NaN()} {
		if got := nn.PowerExponent(std); !math.IsNaN(got) {
			t.Errorf("σ_rel = %v has γ = %v", std, got)
		}
	}
}

// The average is an integral over values that are held from step to step, whose
// weights are differences of τ^(γ+1).
func TestEMA_AgreesWith_Sum(t *testing.T) {
	ps := paramsOf[float64](t)
	e := newEMA(t, ps, "power(std=0.1)")
	gamma := nn.PowerExponent(0.1)
	want := make([]float64, ps.Len())
	time, images := 0.0, []int{3, 1, 4, 1, 5, 9, 2, 6}
	total := 31.0
	for k, n := range images {
		weight := (math.Pow(time+float64(n), gamma+1) - math.Pow(time, gamma+1)) / math.Pow(total, gamma+1)
		time += float64(n)
		i := 0
		for _, p := range ps {
			for j := range p.Value() {
				p.Value()[j] = math.Sin(float64(7*k + 3*i))
				want[i] += weight * p.Value()[j]
				i++
			}
		}
		if err := e.Update(n); err != nil {
			t.Fatal(err)
		}
	}
	for i, got := range mean(t, e, ps) {
		if math.Abs(got-want[i]) > 1e-15*8 {
			t.Errorf("number %d: %v, want %v", i, got, want[i])
		}
	}
	if e.Updates() != len(images) || e.Images() != 31 {
		t.Errorf("%d updates, %d images", e.Updates(), e.Images())
	}
}

// In float32 an average that moves by less than half a bit would not move.
func TestEMA_Property_Small(t *testing.T) {
	s := nn.NewScope[float32](rng.New(1))
	p := s.Param("p", nn.Ones, 3)
	e := newEMA(t, s.Params(), "constant(beta=0.9999)")
	p.Value()[1] = 1 + 0x1p-12
	const n = 10_000
	for range n {
		if err := e.Update(1); err != nil {
			t.Fatal(err)
		}
	}
	got := mean(t, e, s.Params())
	if want := 1 + 0x1p-12*(1-math.Pow(0.9999, n)); got[0] != 1 || math.Abs(got[1]-want) > 0x1p-24 {
		t.Errorf("%v, want 1 and %v", got, want)
	}
}

func TestEMA_Swap(t *testing.T) {
	ps := paramsOf[float32](t)
	before := fmt.Sprint(ps[0].Value(), ps[1].Value())
	e := newEMA(t, ps, "constant(beta=0.5)")
	ps[0].Value()[0] += 1
	if err := e.Update(1); err != nil {
		t.Fatal(err)
	}
	trained := fmt.Sprint(ps[0].Value(), ps[1].Value())
	other := paramsOf[float32](t)
	if err := e.CopyTo(other); err != nil {
		t.Fatal(err)
	}
	e.Swap()
	averaged := fmt.Sprint(ps[0].Value(), ps[1].Value())
	if averaged == before || averaged == trained {
		t.Error("the average is not between")
	}
	if got := fmt.Sprint(other[0].Value(), other[1].Value()); got != averaged {
		t.Errorf("copied %s, swapped %s", got, averaged)
	}
	if err := e.Update(1); err == nil {
		t.Error("the average of an average is taken")
	}
	e.Swap()
	if got := fmt.Sprint(ps[0].Value(), ps[1].Value()); got != trained {
		t.Errorf("%s after two swaps, want %s", got, trained)
	}
	s := nn.NewScope[float32](rng.New(1))
	s.Param("a", nn.Ones, 3, 2)
	s.Param("b", nn.Ones, 4)
	if err := e.CopyTo(s.Params()); err == nil || !strings.Contains(err.Error(), "expected parameter a of shape [2 3], got a of [3 2]") {
		t.Errorf("other shape: %v", err)
	}
	if n := testing.AllocsPerRun(3, func() {
		if err := e.Update(1); err != nil {
			t.Fatal(err)
		}
		e.Swap()
		e.Swap()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEMA_Refuses(t *testing.T) {
	for _, a := range []string{"constant(beta=1)", "warmup(beta=-0.5)", "half-life(images=0)", "half-life(ramp=-1)", "power(std=0)", "power(std=0.3)", "expo"} {
		if _, err := nn.ParseAverage(a); err == nil || !strings.HasPrefix(err.Error(), "nn: ") {
			t.Errorf("%s: %v", a, err)
		}
	}
	e := newEMA(t, paramsOf[float64](t), "constant")
	if err := e.Update(0); err == nil {
		t.Error("an update after no images is accepted")
	}
}

// profiles are two widths at n even times of a training of t images.
func profiles(n int, t int64) (all []nn.Profile) {
	for i := 1; i <= n; i++ {
		for _, std := range []float64{0.05, 0.10} {
			all = append(all, nn.Profile{Std: std, Images: t * int64(i) / int64(n)})
		}
	}
	return all
}

// density is the value of a profile at a time.
func density(p nn.Profile, tau float64) float64 {
	g, t := nn.PowerExponent(p.Std), float64(p.Images)
	if tau > t {
		return 0
	}
	return (g + 1) * math.Pow(tau/t, g) / t
}

// miss by quadrature, and that no small change of the weights, which keeps their
// sum, is nearer.
func TestPosthocWeights_Property(t *testing.T) {
	stored := profiles(3, 999)
	for _, wanted := range []nn.Profile{{0.15, 999}, {0.07, 800}, {0.2, 350}} {
		x, miss, err := nn.PosthocWeights(stored, wanted)
		if err != nil {
			t.Fatal(err)
		}
		distance := func(x []float64) float64 {
			difference, whole := 0.0, 0.0
			ends := []float64{0, 333, 350, 666, 800, 999} // between which all is smooth
			for k := range ends[1:] {
				difference += quad.Fixed(func(tau float64) float64 {
					d := -density(wanted, tau)
					for i, p := range stored {
						d += x[i] * density(p, tau)
					}
					return d * d
				}, ends[k]+1e-9, ends[k+1]-1e-9, 60, nil, 0)
				whole += quad.Fixed(func(tau float64) float64 { return density(wanted, tau) * density(wanted, tau) }, ends[k]+1e-9, ends[k+1]-1e-9, 60, nil, 0)
			}
			return math.Sqrt(difference / whole)
		}
		best := distance(x)
		if math.Abs(best-miss) > 1e-7 {
			t.Errorf("%v: miss %v, by quadrature %v", wanted, miss, best)
		}
		for i := range x {
			for _, h := range []float64{-1e-3, 1e-3} {
				x[i] += h
				x[(i+1)%len(x)] -= h
				if d := distance(x); d < best {
					t.Errorf("%v: weights moved at %d are nearer, %v instead of %v", wanted, i, d, best)
				}
				x[i] -= h
				x[(i+1)%len(x)] += h
			}
		}
	}
}

func TestPosthocWeights_Limit(t *testing.T) {
	// A stored profile is itself. The system's condition is up to 1e9 here.
	stored := profiles(20, 1_000_000)
	for k, p := range stored {
		x, miss, err := nn.PosthocWeights(stored, p)
		if err != nil {
			t.Fatal(err)
		}
		sum := 0.0
		for i, v := range x {
			sum += v
			want := 0.0
			if i == k {
				want = 1
			}
			if math.Abs(v-want) > 1e-6 {
				t.Errorf("%v: weight %v of %v", p, v, stored[i])
			}
		}
		if math.Abs(sum-1) > 1e-10 || miss > 1e-6 {
			t.Errorf("%v: the sum of weights is 1 + %g, miss %g", p, sum-1, miss)
		}
	}
	// Others come nearer with the number of stored ones, and the weights sum to 1.
	for _, std := range []float64{0.03, 0.075, 0.15, 0.25} {
		before := 2.0
		for _, n := range []int{2, 4, 8, 16, 32, 64} {
			x, miss, err := nn.PosthocWeights(profiles(n, 1<<20), nn.Profile{Std: std, Images: 1 << 20})
			if err != nil {
				t.Fatal(err)
			}
			sum, size := 0.0, 0.0
			for _, v := range x {
				sum += v
				size += math.Abs(v)
			}
			if math.Abs(sum-1) > 1e-9 {
				t.Errorf("std %v, %d: the sum of weights is %v", std, n, sum)
			}
			if !(miss < before) {
				t.Errorf("std %v, %d snapshots: miss %v, before %v", std, n, miss, before)
			}
			t.Logf("std %v, %d snapshots of two widths: miss %.2g, Σ|x| %.3g", std, n, miss, size)
			before = miss
		}
	}
}

func TestPosthocWeights_Refuses(t *testing.T) {
	two := profiles(1, 100)
	for _, c := range []struct {
		stored []nn.Profile
		wanted nn.Profile
		want   string
	}{
		{nil, nn.Profile{0.1, 100}, "no averages"},
		{two, nn.Profile{0.1, 200}, "ends at 100"},
		{two, nn.Profile{0.3, 100}, "std = 0.3"},
		{two, nn.Profile{0.1, 0}, "at least 1"},
		{append(two, two[0]), nn.Profile{0.2, 100}, "stored twice"},
		{[]nn.Profile{{0.1, 1 << 62}, {0.1, 1<<62 - 1}}, nn.Profile{0.2, 100}, "told apart"},
		{append(two, nn.Profile{math.NaN(), 50}), nn.Profile{0.2, 100}, "std = NaN"},
	} {
		if _, _, err := nn.PosthocWeights(c.stored, c.wanted); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v of %v: %v, want …%s…", c.wanted, c.stored, err, c.want)
		}
	}
}

// A random walk with averages of two widths, stored at n times, against the
// average of a third width that was tracked.
func TestReconstruct_AgreesWith_Tracked(t *testing.T) {
	const steps, batch = 960, 16
	folder := t.TempDir()
	errorOf := map[string][]float64{}
	counts := []int{2, 4, 8, 16, 32}
	for _, n := range counts {
		r := rand.New(rand.NewPCG(1, 2)) // the same walk for all n
		s := nn.NewScope[float64](rng.New(1))
		p := s.Param("walk", nn.Zeros, 8, 8, 3, 3)
		ps := s.Params()
		emas := []*nn.EMA[float64]{newEMA(t, ps, "power(std=0.05)"), newEMA(t, ps, "power(std=0.1)")}
		others := []*nn.EMA[float64]{newEMA(t, ps, "power(std=0.075)"), newEMA(t, ps, "power(std=0.15)")}
		var paths []string
		for k := 1; k <= steps; k++ {
			for j := range p.Value() {
				p.Value()[j] += r.NormFloat64() / math.Sqrt(steps)
			}
			for _, e := range append(emas[:2:2], others...) {
				if err := e.Update(batch); err != nil {
					t.Fatal(err)
				}
			}
			if k%(steps/n) == 0 {
				for i, e := range emas {
					paths = append(paths, filepath.Join(folder, fmt.Sprint(n, "-", i, "-", k)))
					if err := e.Save(paths[len(paths)-1], nn.SaveOptions{}); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
		end := append([]float64(nil), p.Value()...)
		for _, e := range others {
			std := e.Average().(nn.PowerAverage).Std
			want := mean(t, e, ps)
			if _, err := nn.Reconstruct(ps, nn.Profile{Std: std, Images: steps * batch}, paths...); err != nil {
				t.Fatal(err)
			}
			// Against how far the average is from the walk's end.
			square, scale := 0.0, 0.0
			for _, q := range ps {
				for j, v := range q.Value() {
					square += (v - want[j]) * (v - want[j])
					scale += (end[j] - want[j]) * (end[j] - want[j])
				}
			}
			copy(p.Value(), end)
			key := fmt.Sprint(std)
			errorOf[key] = append(errorOf[key], math.Sqrt(square/scale))
		}
	}
	for std, e := range errorOf {
		t.Logf("std %s, from %v snapshots: error %.2g", std, counts, e)
		for i := range e[1:] {
			if !(e[i+1] < e[i]) {
				t.Errorf("std %s: error %v from %d snapshots, %v from %d", std, e[i], counts[i], e[i+1], counts[i+1])
			}
		}
		if last := e[len(e)-1]; last > 1e-3 {
			t.Errorf("std %s: error %v from %d snapshots", std, last, counts[len(counts)-1])
		}
	}
}

func TestReconstruct_Refuses(t *testing.T) {
	ps := paramsOf[float32](t)
	path := filepath.Join(t.TempDir(), "average")
	e := newEMA(t, ps, "constant")
	if err := e.Update(3); err != nil {
		t.Fatal(err)
	}
	if err := e.Save(path, nn.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	wanted := nn.Profile{Std: 0.1, Images: 3}
	if _, err := nn.Reconstruct(ps, wanted, path); err == nil || !strings.Contains(err.Error(), "expected a power") {
		t.Errorf("a constant average: %v", err)
	}
	if _, err := nn.Reconstruct(ps, wanted, path+"s"); err == nil {
		t.Error("a file that is not there is accepted")
	}
	e = newEMA(t, ps, "power(std=0.1)")
	if err := e.Save(path, nn.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := nn.Reconstruct(ps, wanted, path); err == nil || !strings.Contains(err.Error(), "at least 1") {
		t.Errorf("an average of nothing: %v", err)
	}
	if err := e.Update(3); err != nil {
		t.Fatal(err)
	}
	if err := e.Save(path, nn.SaveOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := nn.Reconstruct(ps[:1], wanted, path); err == nil || !strings.Contains(err.Error(), `"b"`) {
		t.Errorf("another network's average: %v", err)
	}
}
