package solvers

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/rng"
	"snrlab/schedules"
)

// lambdas returns a variance-preserving grid through the given λ.
func lambdas(ls ...float64) schedules.Grid {
	g := make(schedules.Grid, len(ls))
	for i, l := range ls {
		a2 := 1 / (1 + math.Exp(-l))
		g[i] = schedules.Level{T: math.NaN(), Alpha: math.Sqrt(a2), Sigma: math.Sqrt(1 / (1 + math.Exp(l)))}
	}
	return g
}

func uniformLambdas(from, to float64, n int) schedules.Grid {
	ls := make([]float64, n+1)
	for i := range ls {
		ls[i] = from + (to-from)*float64(i)/float64(n)
	}
	return lambdas(ls...)
}

// ask returns the scaled increment and integral between two levels.
func ask(t *testing.T, n Noise, from, to schedules.Level, size int) (z, in []float64) {
	t.Helper()
	z, in = make([]float64, size), make([]float64, size)
	if err := n.Normal(NoiseRequest{From: from, To: to, Z: z, Integral: in}); err != nil {
		t.Fatal(err)
	}
	return z, in
}

func clockOf(l schedules.Level) float64 { return l.LogSNR().SNR() }

// moments returns the mean product of two samples and the size of its error
// under independence: both have unit or known variance.
func meanProduct(a, b []float64) float64 {
	s := 0.0
	for i := range a {
		s += a[i] * b[i]
	}
	return s / float64(len(a))
}

func TestBrownian_Property_LawOfIncrements(t *testing.T) {
	const rows, dim = 50, 400
	// Two levels in one cell of the tree, levels far apart, and α = 0.
	grid := append(schedules.Grid{{Alpha: 0, Sigma: 1}}, lambdas(-30, -3, -1, -1+1e-5, -1+2e-5, 0.5, 3, 40)...)
	b, err := NewBrownian(RowKeys(rng.New(1), 0, rows), dim, grid)
	if err != nil {
		t.Fatal(err)
	}
	n := rows * dim
	sd := 1 / math.Sqrt(float64(n))
	var zs, is [][]float64
	for k := range grid.Steps() {
		z, in := ask(t, b, grid[k], grid[k+1], n)
		zs, is = append(zs, z), append(is, in)
	}
	// Products of independent unit normals have mean 0 and deviation 1; z² has
	// mean 1 and deviation √2; 5 standard errors are exceeded once in 2e6.
	for k := range zs {
		if v := meanProduct(zs[k], zs[k]); math.Abs(v-1) > 5*math.Sqrt2*sd {
			t.Errorf("increment %d has variance %g", k, v)
		}
		// The scaled integral has variance 1/3 and covariance 1/2 with z.
		if v := meanProduct(is[k], is[k]); math.Abs(v-1./3) > 5*math.Sqrt2/3*sd {
			t.Errorf("integral %d has variance %g, expected 1/3", k, v)
		}
		if v := meanProduct(is[k], zs[k]); math.Abs(v-0.5) > 5*math.Sqrt(1./3+1./4)*sd {
			t.Errorf("integral %d has covariance %g with its increment, expected 1/2", k, v)
		}
		for m := range k {
			if v := meanProduct(zs[k], zs[m]); math.Abs(v) > 5*sd {
				t.Errorf("increments %d and %d have correlation %g", m, k, v)
			}
			if v := meanProduct(is[k], zs[m]); math.Abs(v) > 5*sd {
				t.Errorf("integral %d and increment %d have correlation %g", k, m, v)
			}
			// Covariances are those of independent numbers of variance 1/3.
			if v := meanProduct(is[k], is[m]); math.Abs(v) > 5./3*sd {
				t.Errorf("integrals %d and %d have covariance %g", k, m, v)
			}
		}
		// Rows are independent: correlate each with the next.
		if v := meanProduct(zs[k][:n-dim], zs[k][dim:]); math.Abs(v) > 5*sd {
			t.Errorf("increment %d: neighbouring rows have correlation %g", k, v)
		}
	}
}

// Levels that come by another way differ in their last digits, and are found.
func TestBrownian_Limit_NearLevels(t *testing.T) {
	b, err := NewBrownian(RowKeys(rng.New(1), 0, 1), 1, lambdas(-2, 0.5))
	if err != nil {
		t.Fatal(err)
	}
	want := make([]float64, 1)
	if err := b.Normal(NoiseRequest{From: lambdas(-2)[0], To: lambdas(0.5)[0], Z: want}); err != nil {
		t.Fatal(err)
	}
	for _, d := range []float64{-1e-9, 1e-9} {
		for _, g := range []schedules.Grid{lambdas(-2+d, 0.5), lambdas(-2, 0.5+d)} {
			z := make([]float64, 1)
			if err := b.Normal(NoiseRequest{From: g[0], To: g[1], Z: z}); err != nil || z[0] != want[0] {
				t.Errorf("λ off by %g: %v, error %v, expected %v", d, z, err, want)
			}
		}
	}
	both, err := NewBrownian(RowKeys(rng.New(1), 0, 1), 1, lambdas(-2, 0.5), lambdas(-2+5e-10, 0.5))
	if err != nil || len(both.lambda) != 2 {
		t.Errorf("two levels, one of them twice, are drawn as %v, error %v", both.lambda, err)
	}
	for _, d := range []float64{-1e-8, 1e-8} {
		if err := b.Normal(NoiseRequest{From: lambdas(-2 + d)[0], To: lambdas(0.5)[0], Z: want}); err == nil {
			t.Errorf("a level %g from any that was drawn was answered", d)
		}
	}
}

func TestBrownian_Invariant_Refines(t *testing.T) {
	const rows, dim = 3, 5
	keys := RowKeys(rng.New(2), 0, rows)
	coarse, fine, odd := uniformLambdas(-10, 10, 4), uniformLambdas(-10, 10, 32), uniformLambdas(-10, 10, 7)
	union, err := NewBrownian(keys, dim, odd, fine, coarse)
	if err != nil {
		t.Fatal(err)
	}
	// Sums over the fine grid are the coarse increments, and the integrals add
	// up as integrals do: I = Σ I_k + (W_k − W_0) Δ_k. 1e-12 is rounding.
	for k := range coarse.Steps() {
		Z, I := ask(t, union, coarse[k], coarse[k+1], rows*dim)
		w, area := make([]float64, rows*dim), make([]float64, rows*dim)
		for j := 8 * k; j < 8*k+8; j++ {
			d := clockOf(fine[j+1]) - clockOf(fine[j])
			z, in := ask(t, union, fine[j], fine[j+1], rows*dim)
			for i := range w {
				area[i] += w[i]*d + in[i]*d*math.Sqrt(d)
				w[i] += z[i] * math.Sqrt(d)
			}
		}
		d := clockOf(coarse[k+1]) - clockOf(coarse[k])
		for i := range w {
			if math.Abs(w[i]-Z[i]*math.Sqrt(d)) > 1e-12*math.Sqrt(clockOf(coarse[k+1])) {
				t.Fatalf("step %d: increments sum to %g, the coarse one is %g", k, w[i], Z[i]*math.Sqrt(d))
			}
			if want := I[i] * d * math.Sqrt(d); math.Abs(area[i]-want) > 1e-11*d*math.Sqrt(d) {
				t.Fatalf("step %d: integrals sum to %g, the coarse one is %g", k, area[i], want)
			}
		}
	}
	// The key alone fixes W: other levels, other rows and another order of rows
	// leave every bit.
	slices.Reverse(keys)
	alone, err := NewBrownian(keys[:2], dim, coarse)
	if err != nil {
		t.Fatal(err)
	}
	for k := range coarse.Steps() {
		z, a := make([]float64, rows*dim), make([]float64, 2*dim)
		if err := union.Normal(NoiseRequest{From: coarse[k], To: coarse[k+1], Z: z}); err != nil {
			t.Fatal(err)
		}
		if err := alone.Normal(NoiseRequest{From: coarse[k], To: coarse[k+1], Z: a}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(a[:dim], z[2*dim:]) || !slices.Equal(a[dim:], z[dim:2*dim]) {
			t.Fatalf("step %d: the path depends on the other levels or rows", k)
		}
	}
}

func TestNoise_Refuses(t *testing.T) {
	keys := RowKeys(rng.New(3), 0, 2)
	g := lambdas(-2, 0, 2)
	b, err := NewBrownian(keys, 3, g)
	if err != nil {
		t.Fatal(err)
	}
	z := make([]float64, 6)
	replay := NewReplay([][]float64{make([]float64, 6), make([]float64, 5)})
	for name, c := range map[string]struct {
		n    Noise
		req  NoiseRequest
		want string
	}{
		"level not drawn": {b, NoiseRequest{From: g[0], To: lambdas(1)[0], Z: z}, "was not drawn at λ = 1"},
		"nearly a level":  {b, NoiseRequest{From: g[0], To: lambdas(float64(g[0].LogSNR()) + 5e-10)[0], Z: z}, "levels that differ"},
		"to σ = 0":        {b, NoiseRequest{From: g[0], To: schedules.Level{Alpha: 1}, Z: z}, "infinite"},
		"rows":            {b, NoiseRequest{From: g[0], To: g[1], Z: z[:3]}, "2 rows of 3"},
		"integral":        {b, NoiseRequest{From: g[0], To: g[1], Z: z, Integral: z[:2]}, "6 numbers and 2 integrals"},
		"odd size":        {NewIndependent(keys), NoiseRequest{Z: z[:5]}, "whole number"},
		"no row":          {NewIndependent(nil), NoiseRequest{Z: z}, "whole number"},
		"replay integral": {replay, NoiseRequest{Z: z, Integral: z}, "integral"},
		"replay uniform":  {replay, NoiseRequest{Z: z, Uniform: z[:2]}, "uniform"},
		"uniforms":        {b, NoiseRequest{From: g[0], To: g[1], Z: z, Uniform: z}, "one for each of 2 rows"},
	} {
		if err := c.n.Normal(c.req); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, expected an error with %q", name, err, c.want)
		}
	}
	if err := replay.Normal(NoiseRequest{Z: z}); err != nil {
		t.Fatal(err)
	}
	if err := replay.Normal(NoiseRequest{Z: z}); err == nil || !strings.Contains(err.Error(), "has 5 numbers") {
		t.Errorf("replay of another shape: %v", err)
	}
	if replay.Left() != 1 {
		t.Errorf("%d draws left, expected 1", replay.Left())
	}
	if err := replay.Seek(2); err != nil {
		t.Fatal(err)
	}
	if err := replay.Normal(NoiseRequest{Z: z}); err == nil || !strings.Contains(err.Error(), "only 2") {
		t.Errorf("exhausted replay: %v", err)
	}
	if _, err := NewBrownian(nil, 3, g); err == nil {
		t.Error("no rows: expected an error")
	}
	if _, err := NewBrownian(keys, 3, schedules.Grid{{Alpha: -1}}); err == nil {
		t.Error("negative α: expected an error")
	}
}

func TestIndependent_Invariant(t *testing.T) {
	const dim = 4
	keys := RowKeys(rng.New(4), 10, 3)
	draw := func(keys []rng.Key, step, stage int) []float64 {
		z := make([]float64, dim*len(keys))
		if err := NewIndependent(keys).Normal(NoiseRequest{Step: step, Stage: stage, Z: z}); err != nil {
			t.Fatal(err)
		}
		return z
	}
	all := draw(keys, 5, 1)
	if one := draw(keys[2:], 5, 1); !slices.Equal(one, all[2*dim:]) {
		t.Error("a row depends on the batch")
	}
	// The numbers are those of the documented stream.
	want := make([]float64, dim)
	keys[1].Split("noise", 5).Split("stage", 1).Normal(want)
	if !slices.Equal(want, all[dim:2*dim]) {
		t.Error("a row is not the stream of its key, step and stage")
	}
	if slices.Equal(draw(keys, 5, 0), all) || slices.Equal(draw(keys, 6, 1), all) {
		t.Error("another step or stage gives the same numbers")
	}
}

// Given its increment z the scaled integral is N(z/2, 1/12): variance 1/3 and
// covariance 1/2 with z, as for a Brownian path.
func TestIndependent_Property_Integral(t *testing.T) {
	const n = 20000
	g := lambdas(-1, 1)
	z, in := ask(t, NewIndependent(RowKeys(rng.New(5), 0, 2)), g[0], g[1], n)
	sd := 1 / math.Sqrt(float64(n)) // as in TestBrownian_Property_LawOfIncrements
	if v := meanProduct(in, in); math.Abs(v-1./3) > 5*math.Sqrt2/3*sd {
		t.Errorf("integral has variance %g, expected 1/3", v)
	}
	if v := meanProduct(in, z); math.Abs(v-0.5) > 5*math.Sqrt(1./3+1./4)*sd {
		t.Errorf("integral has covariance %g with its increment, expected 1/2", v)
	}
}

func BenchmarkBrownian(b *testing.B) {
	for _, levels := range []int{100, 500} {
		b.Run(fmt.Sprint(levels), func(b *testing.B) {
			keys, g := RowKeys(rng.New(1), 0, 64), uniformLambdas(-12, 12, levels-1)
			for b.Loop() {
				if _, err := NewBrownian(keys, 784, g); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// Uniform numbers are one a row, belong to the row's key, the step and the
// stage, and leave the normal ones as they are; a request that stays at a level
// has no part in the paths.
func TestNoise_Property_Uniform(t *testing.T) {
	const rows, dim, steps = 2000, 2, 3
	keys := RowKeys(rng.New(6), 0, rows)
	g := lambdas(-3, 0, 2, 4)
	brownian, err := NewBrownian(keys, dim, g)
	if err != nil {
		t.Fatal(err)
	}
	for name, n := range map[string]Noise{"independent": NewIndependent(keys), "brownian": brownian} {
		var all []float64
		for i := range steps {
			for _, to := range []schedules.Level{g[i+1], g[i]} {
				req := NoiseRequest{Step: i, Stage: 1, From: g[i], To: to, Z: make([]float64, rows*dim), Uniform: make([]float64, rows)}
				if err := n.Normal(req); err != nil {
					t.Fatal(err)
				}
				plain := req
				plain.Z, plain.Uniform = make([]float64, rows*dim), nil
				if err := n.Normal(plain); err != nil {
					t.Fatal(err)
				}
				if !slices.Equal(plain.Z, req.Z) {
					t.Errorf("%s: asking for uniform numbers changes the normal ones", name)
				}
				if to == g[i] {
					all = append(all, req.Uniform...)
				}
			}
		}
		mean, square := 0.0, 0.0
		for i, u := range all {
			if !(u >= 0 && u < 1) {
				t.Fatalf("%s: a uniform number is %g", name, u)
			}
			mean += u / float64(len(all))
			square += u * all[(i+rows)%len(all)] / float64(len(all)) // of the next step
		}
		// Deviations √(1/12) and, of a product, √(1/9 − 1/16): five standard errors.
		se := 5 / math.Sqrt(float64(len(all)))
		if math.Abs(mean-0.5) > se*math.Sqrt(1./12) || math.Abs(square-0.25) > se*math.Sqrt(1./9-1./16) {
			t.Errorf("%s: uniform numbers have mean %g and mean product with the next step's %g: expected 1/2 and 1/4", name, mean, square)
		}
	}
	// Staying at a level: not the path's increment, another number at every stage.
	stay := NoiseRequest{From: g[1], To: g[1], Z: make([]float64, rows*dim)}
	if err := brownian.Normal(stay); err != nil {
		t.Fatal(err)
	}
	move, _ := ask(t, brownian, g[0], g[1], rows*dim)
	if v := meanProduct(stay.Z, move); math.Abs(v) > 5/math.Sqrt(rows*dim) {
		t.Errorf("numbers of a request that stays at a level have correlation %g with the path", v)
	}
}
