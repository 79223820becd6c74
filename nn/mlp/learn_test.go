package mlp_test

import (
	"math"
	"slices"
	"testing"

	"snrlab/models"
	"snrlab/nn"
	"snrlab/nn/mlp"
	"snrlab/rng"
	"snrlab/schedules"
)

// levels are n noise levels of a variance-preserving path with λ uniform on
// [−5, 5].
func levels(n int, key rng.Key) []schedules.Level {
	z := key.Stream()
	at := make([]schedules.Level, n)
	for i := range at {
		at[i] = level(10*z.Float64() - 5)
	}
	return at
}

func level(lambda float64) schedules.Level {
	return schedules.Level{
		T:     math.NaN(),
		Alpha: math.Sqrt(1 / (1 + math.Exp(-lambda))), Sigma: math.Sqrt(1 / (1 + math.Exp(lambda))),
	}
}

// A learner is a network in training on a mixture.
type learner struct {
	exact  *models.Mixture
	output models.EDM
	net    *mlp.Net[float32]
	tape   nn.Tape[float32]
}

// run computes the network's raw output for states x.
func (l *learner) run(x []float64, at []schedules.Level) *nn.Var[float32] {
	in, times := make([]float32, len(x)), make([]float32, len(at))
	for r, a := range at {
		scale, label := l.output.Input(a)
		times[r] = float32(label.T)
		for i := range 2 {
			in[2*r+i] = float32(scale * x[2*r+i])
		}
	}
	return l.net.Apply(&l.tape, l.tape.Constant(in, len(at), 2), l.tape.Constant(times, len(at)), nil)
}

// batch draws clean points and states at each level.
func (l *learner) batch(t *testing.T, at []schedules.Level, key rng.Key) (x0, x []float64) {
	t.Helper()
	keys := make([]rng.Key, len(at))
	for r := range keys {
		keys[r] = key.Split("sample", uint64(r))
	}
	x0 = make([]float64, 2*len(at))
	if err := l.exact.Sample(x0, schedules.Level{Alpha: 1}, nil, keys); err != nil {
		t.Fatal(err)
	}
	x = make([]float64, len(x0))
	key.Split("noise", 0).Normal(x)
	for i, z := range x {
		a := at[i/2]
		x[i] = a.Alpha*x0[i] + a.Sigma*z
	}
	return x0, x
}

// step trains on one batch and returns the loss.
func (l *learner) step(t *testing.T, o *nn.Optimiser[float32], rows int, key rng.Key) float32 {
	t.Helper()
	at := levels(rows, key.Split("levels", 0))
	x0, x := l.batch(t, at, key)
	target := make([]float32, len(x0))
	for i := range target {
		skip, out, err := l.output.Encode(at[i/2])
		if err != nil {
			t.Fatal(err)
		}
		target[i] = float32(skip*x[i] + out*x0[i])
	}
	l.tape.Reset()
	loss := l.tape.MeanSquare(l.run(x, at), l.tape.Constant(target, rows, 2))
	value := loss.Value()[0]
	if err := l.tape.Backward(loss, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Step(); err != nil {
		t.Fatal(err)
	}
	return value
}

// excess returns, at one level, the posterior variance E|x₀ − E[x₀|x]|², and what
// the error of the network and of a network of zeros are beside it: E|D − E[x₀|x]|²,
// which is their mse less the variance, exactly and with less noise than the
// difference of two means.
func (l *learner) excess(t *testing.T, a schedules.Level, rows int, key rng.Key) (variance, trained, trivial float64) {
	t.Helper()
	at := slices.Repeat([]schedules.Level{a}, rows)
	_, x := l.batch(t, at, key)
	q := models.Query{X: x, Rows: rows, At: at}
	best, trace := make([]float64, len(x)), make([]float64, rows)
	if err := l.exact.Denoise(t.Context(), best, q); err != nil {
		t.Fatal(err)
	}
	if err := l.exact.PosteriorTrace(t.Context(), trace, q); err != nil {
		t.Fatal(err)
	}
	skip, out, err := l.output.Decode(a)
	if err != nil {
		t.Fatal(err)
	}
	l.tape.Reset()
	y := l.run(x, at).Value()
	for i, d := range best {
		trained += square(skip*x[i]+out*float64(y[i])-d) / float64(rows)
		trivial += square(skip*x[i]-d) / float64(rows)
	}
	for _, v := range trace {
		variance += v / float64(rows)
	}
	return variance, trained, trivial
}

func square(v float64) float64 { return v * v }

func start(t *testing.T, steps int) (*learner, *nn.Optimiser[float32]) {
	t.Helper()
	exact := models.GM2D()
	l := &learner{exact: exact, output: models.EDM{SigmaData: 0.507}}
	c := mlp.DefaultConfig()
	c.Hidden, c.Layers = 48, 2
	var err error
	if l.net, err = mlp.New[float32](c, rng.New(1)); err != nil {
		t.Fatal(err)
	}
	o, err := nn.NewOptimiser(l.net.Params(), nn.AdamW{Beta1: 0.9, Beta2: 0.99, Epsilon: 1e-8, Decay: 0.01},
		nn.WarmupRate{Steps: 20, Then: nn.CosineRate{Peak: 4e-3, To: steps}})
	if err != nil {
		t.Fatal(err)
	}
	return l, o
}

func TestNet_Learns(t *testing.T) {
	if testing.Short() {
		t.Skip("trains for two seconds")
	}
	const steps = 1000
	l, o := start(t, steps)
	for i := range steps {
		l.step(t, o, 256, rng.New(2).Split("step", uint64(i)))
	}
	for _, lambda := range []float64{-4, -2, 0, 2, 4} {
		variance, trained, trivial := l.excess(t, level(lambda), 4096, rng.New(3))
		t.Logf("λ = %v: mse %.5f, of which posterior variance %.5f: %.2f%% above, zeros %.2f%% above", lambda, variance+trained, variance, 100*trained/variance, 100*trivial/variance)
		if trained > 0.02*variance || trained > trivial/10 {
			t.Errorf("λ = %v: expected at most 2%% above, and a tenth of what zeros are", lambda)
		}
	}
}

func TestNet_LearnsTheSame(t *testing.T) {
	train := func() (losses []float32) {
		l, o := start(t, 5)
		for i := range 5 {
			losses = append(losses, l.step(t, o, 16, rng.New(2).Split("step", uint64(i))))
		}
		return losses
	}
	if a, b := train(), train(); !slices.Equal(a, b) {
		t.Errorf("the same key gives the losses %v and %v", a, b)
	}
}
