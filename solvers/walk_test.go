package solvers

import (
	"context"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// c² + g² = σ² on every pair of levels, and at η = 1 the noise is that of the
// Markov posterior q(x_s | x_t, x₀), from Bayes' rule for two Gaussians:
// 1/g² = 1/σ_s² + a²/v with x_t = a x_s + √v z.
func TestDDIM_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := func(l, scale float64) schedules.Level {
			a, s := snr.LogSNR(l).VP()
			return schedules.Level{Alpha: scale * a, Sigma: scale * s}
		}
		l := rapid.Float64Range(-15, 15).Draw(t, "lambda")
		step := rapid.Float64Range(0.01, 10).Draw(t, "step")
		a := level(l, rapid.Float64Range(0.1, 10).Draw(t, "scale from"))
		b := level(l+step, rapid.Float64Range(0.1, 10).Draw(t, "scale to"))
		eta := rapid.Float64Range(0, 1).Draw(t, "eta")
		c, g := etaSplit(eta, a, b)
		if d := math.Abs(c*c+g*g-b.Sigma*b.Sigma) / (b.Sigma * b.Sigma); d > 1e-12 {
			t.Errorf("c² + g² differs from σ² by %.2g relative", d)
		}
		_, g = etaSplit(1, a, b)
		ratio := a.Alpha / b.Alpha
		v := a.Sigma*a.Sigma - ratio*ratio*b.Sigma*b.Sigma
		posterior := math.Sqrt(1 / (1/(b.Sigma*b.Sigma) + ratio*ratio/v))
		// v cancels by a factor e^{−step}: 1e-16/0.01 of it, and λ has rounded.
		if d := math.Abs(g-posterior) / posterior; d > 1e-12 {
			t.Errorf("g = %.15g, the posterior's deviation is %.15g", g, posterior)
		}
	})
}

// The weights integrate every polynomial of degree below the order exactly.
func TestAdamsBashforth_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		order := rapid.IntRange(1, 4).Draw(t, "order")
		b := rapid.Float64Range(0, 10).Draw(t, "to")
		nodes := make([]float64, order)
		u := b
		for i := range nodes {
			u += rapid.Float64Range(0.05, 2).Draw(t, "step")
			nodes[i] = u
		}
		w := make([]float64, order)
		abWeights(w, nodes, b)
		a := nodes[0]
		for d := range order {
			// ∫_a^b (s − b)^d ds, small where the weights' sum would cancel.
			got, size := 0.0, 0.0
			for i, n := range nodes {
				got += w[i] * math.Pow(n-b, float64(d))
				size += math.Abs(w[i] * math.Pow(n-b, float64(d)))
			}
			want := -math.Pow(a-b, float64(d+1)) / float64(d+1)
			if math.Abs(got-want) > 1e-13*size { // rounding of the sum
				t.Errorf("order %d, nodes %v to %g: degree %d gives %.15g, expected %.15g", order, nodes, b, d, got, want)
			}
		}
	})
	// On a uniform grid they are the coefficients of iPNDM.
	for order, c := range ipndm {
		w, nodes := make([]float64, order+1), []float64{4, 5, 6, 7}[:order+1]
		abWeights(w, nodes, 3)
		for i := range w {
			if math.Abs(w[i]+c[i]) > 1e-14 {
				t.Errorf("order %d: weight %d is %.15g, expected %.15g", order+1, i, -w[i], c[i])
			}
		}
	}
}

// The variable-step form of iPNDM has these weights in another shape. What its
// program has in their place is right up to order 3 on uniform grids, and beyond
// that nowhere; its weights of order 4 do not even add up to 1 on others.
func TestIPNDMV_Property(t *testing.T) {
	nodes := []float64{3, 4.1, 6, 6.7}
	uniform := []float64{3, 4, 5, 6}
	weights := func(nodes []float64, b float64, published bool) (got, want []float64) {
		h := b - nodes[0]
		var before []float64
		for k := 1; k < len(nodes); k++ {
			before = append(before, nodes[k-1]-nodes[k])
		}
		w := newtonWeights(h, before, published)
		want = make([]float64, len(nodes))
		abWeights(want, nodes, b)
		for i := range want {
			got = append(got, h*w[i])
		}
		return got, want
	}
	distance := func(a, b []float64) (d float64) {
		for i := range a {
			d = max(d, math.Abs(a[i]-b[i]))
		}
		return d
	}
	for order := 2; order <= 4; order++ {
		got, want := weights(nodes[:order], 2.3, false)
		if d := distance(got, want); d > 1e-14 { // rounding
			t.Errorf("order %d: weights %v, expected %v", order, got, want)
		}
		got, want = weights(uniform[:order], 2, true)
		if d := distance(got, want); (d < 1e-14) != (order < 4) {
			t.Errorf("order %d: the published weights on a uniform grid are off by %g", order, d)
		}
		got, _ = weights(nodes[:order], 2.3, true)
		if d := math.Abs(total(got) + 0.7); (d < 1e-14) != (order < 4) {
			t.Errorf("order %d: the published weights add up to %g in a step of −0.7", order, total(got))
		}
	}
}

// The Taylor form of e integrates a slope u/(r h), linear in u = ℓ − ℓ_a, exactly
// in dŝ ∝ e^−u du: its weight is ∫ u e^−u du/(r h ∫ e^−u du) over [0, h], also where
// e^h overflows. The other forms are constants.
func TestForm_Limit_Weight(t *testing.T) {
	const r = 0.3
	for _, h := range []float64{0.5, 1, 3, 30, 340, 700} {
		a := schedules.Level{Alpha: 1, Sigma: 1}
		b := schedules.Level{Alpha: 1, Sigma: math.Exp(-h)}
		k := PredictNoise.exponent(a, b, 0)
		weight := func(f Form) float64 {
			p := nodes{n: 2}
			p.z[1] = r
			w := f.weights(&p, k)
			return w[1] / (w[0] + w[1]) // of φ₁
		}
		want := (1 - (1+h)*math.Exp(-h)) / (r * h * -math.Expm1(-h))
		// At h = 1/2 the numerator loses one digit.
		if got := weight(Taylor); math.Abs(got-want) > 2e-14*want {
			t.Errorf("Taylor: weight at h = %g is %g, expected %g", h, got, want)
		}
		if got := weight(Paper); math.Abs(got-1/(2*r)) > 1e-15 {
			t.Errorf("paper: weight at h = %g is %g, expected %g", h, got, 1/(2*r))
		}
		if got := weight(Simple); math.Abs(got-1) > 1e-15 {
			t.Errorf("simple: weight at h = %g is %g, expected 1", h, got)
		}
	}
}

// Churn is drawn at both ends of its interval, and beside them not.
func TestChurn_Limit_Interval(t *testing.T) {
	edm := schedules.EDM{SMin: 0.5, SMax: 8}
	g := schedules.Grid{edm.At(8), edm.At(4), edm.At(2), edm.At(1), edm.At(0.5)}
	d := gaussian(1, 0)
	for _, c := range []struct {
		min, max float64
		draws    int
	}{{2, 4, 2}, {2.1, 4, 1}, {2, 3.9, 1}, {1, 8, 4}, {4, 4, 1}} {
		draws := slices.Repeat([][]float64{{0.1}}, 4)
		noise := NewReplay(draws)
		s := Euler{SChurn: 1, SMin: c.min, SMax: c.max, SNoise: 1}
		if _, err := Sample(context.Background(), s, Problem{Denoiser: d, Grid: g, Schedule: edm, Noise: noise}, []float64{3}); err != nil {
			t.Fatal(err)
		}
		if noise.Position() != c.draws {
			t.Errorf("churn in [%g, %g] drew %d times over σ/α = 8, 4, 2, 1: expected %d", c.min, c.max, noise.Position(), c.draws)
		}
	}
	// Four steps share SChurn, and none raises the noise by more than √2.
	for schurn, factor := range map[float64]float64{1: 1.25, 1.6: 1.4, 1.7: math.Sqrt2, 40: math.Sqrt2} {
		s := Euler{SChurn: schurn, SMax: math.Inf(1), SNoise: 1}
		st, err := s.Start(Problem{Denoiser: d, Grid: g, Schedule: edm, Noise: NewReplay(slices.Repeat([][]float64{{0.1}}, 4))}, []float64{3})
		if err != nil {
			t.Fatal(err)
		}
		for step, err := range Steps(context.Background(), st) {
			if err != nil {
				t.Fatal(err)
			}
			if got, want := step.DenoisedAt.Noise(), factor*step.From.Noise(); math.Abs(got-want) > 1e-14*want {
				t.Errorf("schurn = %g: step %d is evaluated at σ/α = %g, expected %g", schurn, step.Index, got, want)
			}
		}
	}
}

// A replayed source resumes where it was.
func TestReplay_Resume(t *testing.T) {
	g, x := uniformLambdas(-4, 4, 6), []float64{0.3, -0.2, 1.1, 0.7}
	var draws [][]float64
	for i := range 6 {
		z := make([]float64, len(x))
		rng.New(uint64(i)).Normal(z)
		draws = append(draws, z)
	}
	s := DDIM{Eta: 1}
	run := func(opts ...RunOption) ([]float64, State) {
		replay := NewReplay(draws)
		st, err := s.Start(Problem{Denoiser: models.GM2D(), Grid: g, Noise: replay}, x, opts...)
		if err != nil {
			t.Fatal(err)
		}
		var half State
		for step, err := range Steps(context.Background(), st) {
			if err != nil {
				t.Fatal(err)
			}
			if step.Index == 2 {
				half = st.State()
			}
		}
		if replay.Left() != 0 {
			t.Errorf("%d draws left", replay.Left())
		}
		return st.State().X, half
	}
	whole, half := run()
	if half.Noise != 3 {
		t.Errorf("the state after 3 steps has consumed %d draws", half.Noise)
	}
	if again, _ := run(Resume(half)); !slices.Equal(again, whole) {
		t.Errorf("resumed at %v, uninterrupted %v", again, whole)
	}
	half.Noise = 99
	if _, err := s.Start(Problem{Denoiser: models.GM2D(), Grid: g, Noise: NewReplay(draws)}, x, Resume(half)); err == nil || !strings.Contains(err.Error(), "position 99") {
		t.Errorf("a position beyond the recording gives %v", err)
	}
}

// failsOnce is the mixture, which fails at one of its calls.
type failsOnce struct {
	*models.Mixture
	at int
}

func (f *failsOnce) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if f.at--; f.at == -1 {
		return errors.New("the denoiser is out of order")
	}
	return f.Mixture.Denoise(ctx, dst, q)
}

// A step that failed after it drew draws the same numbers when it is repeated.
func TestReplay_Invariant_Retry(t *testing.T) {
	edm := schedules.EDM{SMin: 0.1, SMax: 10}
	g := schedules.Grid{edm.At(10), edm.At(3), edm.At(1), edm.At(0.1)}
	draws := [][]float64{{0.3, -1}, {0.7, 0.2}, {-0.4, 0.5}}
	run := func(at int) []float64 {
		st, err := Heun{SChurn: 1, SMax: math.Inf(1), SNoise: 1}.Start(Problem{
			Denoiser: &failsOnce{models.GM2D(), at}, Grid: g, Schedule: edm, Noise: NewReplay(draws),
		}, []float64{4, -7})
		if err != nil {
			t.Fatal(err)
		}
		for range 5 { // three steps, a failure and the end
			if _, err := st.Step(context.Background()); errors.Is(err, io.EOF) {
				break
			}
		}
		return st.State().X
	}
	whole := run(-1)
	for at := range 6 {
		if got := run(at); !slices.Equal(got, whole) {
			t.Errorf("failed at call %d and repeated: %v, expected %v", at, got, whole)
		}
	}
}

// A NaN that the noise brings is told from one of the denoiser.
func TestReplay_Refuses_NaN(t *testing.T) {
	noise := NewReplay([][]float64{{0, 0, 0, 0}, {0, 0, math.NaN(), 0}})
	_, err := Sample(context.Background(), DDIM{Eta: 1}, Problem{Denoiser: models.GM2D(), Grid: uniformLambdas(-4, 4, 2), Noise: noise}, []float64{1, 2, 3, 4})
	var step *StepError
	var bad *NonFiniteError
	if !errors.As(err, &step) || !errors.As(err, &bad) || step.Index != 1 || bad.Source != "noise" || bad.Row != 1 || bad.Col != 0 {
		t.Errorf("got %v, expected a NaN from the noise in row 1, column 0, step 1", err)
	}
}

// Sources may be shared by steppers that run at once.
func TestNoise_Invariant_Concurrent(t *testing.T) {
	const rows = 3
	g := uniformLambdas(-4, 4, 8)
	keys := RowKeys(rng.New(1), 0, rows)
	path, err := NewBrownian(keys, 2, g)
	if err != nil {
		t.Fatal(err)
	}
	x := make([]float64, 2*rows)
	rng.New(2).Normal(x)
	for _, n := range []Noise{path, NewIndependent(keys)} {
		var wg sync.WaitGroup
		ends := make([][]float64, 8)
		for i := range ends {
			wg.Go(func() {
				end, err := Sample(context.Background(), DDIM{Eta: 1}, Problem{Denoiser: models.GM2D(), Grid: g, Noise: n}, x)
				if err != nil {
					t.Error(err)
				}
				ends[i] = end
			})
		}
		wg.Wait()
		for _, e := range ends[1:] {
			if !slices.Equal(e, ends[0]) {
				t.Errorf("%T: runs at once differ", n)
			}
		}
	}
}

// A value that is finite and a state that is not: the step overflowed.
func TestWalk_Refuses_Overflow(t *testing.T) {
	g := schedules.Grid{{Alpha: 1e-300, Sigma: 1}, {Alpha: 1, Sigma: 0.5}}
	// Heun divides by α: the state of the first level is beyond the range.
	_, err := Sample(context.Background(), Heun{}, Problem{Denoiser: models.GM2D(), Grid: g}, []float64{1e200, 0})
	if err == nil || !strings.Contains(err.Error(), "row 0, column 0") || !strings.Contains(err.Error(), "solvers: heun") {
		t.Errorf("got %v", err)
	}
}

// Out of α = 0 the formula of DDIM keeps the share 1 − η² of the noise's
// variance and draws the rest: x_b = α_b D + σ_b (√(1 − η²) x_a/σ_a + η z).
func TestDDIM_Limit_First(t *testing.T) {
	gauss, err := models.IsotropicGaussian(1, 0.25)
	if err != nil {
		t.Fatal(err)
	}
	a, b := schedules.Level{Sigma: 2}, schedules.Level{Alpha: 0.6, Sigma: 0.8}
	s := DDIM{Eta: 0.6, First: OwnFirst}
	p := Problem{Denoiser: gauss, Grid: schedules.Grid{a, b}, Noise: NewReplay([][]float64{{-1.5}})}
	x, err := Sample(t.Context(), s, p, []float64{3})
	if err != nil {
		t.Fatal(err)
	}
	want := 0.8 * (0.8*3/2 + 0.6*-1.5)         // the data's mean is 0
	if d := math.Abs(x[0] - want); d > 1e-15 { // one rounding
		t.Errorf("x = %.16g, expected %.16g", x[0], want)
	}
	if err := (DDIM{First: OwnFirst}).Validate(); err == nil || !strings.Contains(err.Error(), "eta") {
		t.Errorf("first = own without noise gives %v", err)
	}
}
