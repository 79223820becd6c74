package denoise_test

import (
	"context"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"snrlab/models"
	"snrlab/nn"
	"snrlab/nn/denoise"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// exact is a network that knows the law: it answers, in its own prediction, as
// the exact denoiser does at the level that it is told, of images with channels
// last. It sees float32 alone.
type exact struct {
	denoiser   models.Denoiser
	prediction models.Prediction
	level      func(time float64) schedules.Level
	channels   int

	mu   *sync.Mutex
	told *[]float32
	rows *[]int
	bad  bool
}

func (e exact) Apply(t *nn.Tape[float32], x, times *nn.Var[float32], labels []int) *nn.Var[float32] {
	if labels != nil && labels[0] == 1 {
		return t.Reshape(x, 1, 2, 3)
	}
	rows := times.Len()
	e.mu.Lock()
	*e.told = append(*e.told, times.Value()...)
	*e.rows = append(*e.rows, rows)
	e.mu.Unlock()
	dim := x.Len() / rows
	out := make([]float32, x.Len())
	for r := range rows {
		at := e.level(float64(times.Value()[r]))
		state := make([]float64, dim)
		for i, v := range x.Value()[r*dim : (r+1)*dim] {
			state[i%e.channels*(dim/e.channels)+i/e.channels] = float64(v)
		}
		y := make([]float64, dim)
		if err := models.ToRaw(e.prediction, e.denoiser).Predict(context.Background(), y, models.Query{X: state, Rows: 1, At: []schedules.Level{at}}); err != nil {
			return t.Fail(err)
		}
		for i := range dim {
			out[r*dim+i] = float32(y[i%e.channels*(dim/e.channels)+i/e.channels])
		}
		if e.bad {
			out[r*dim] = float32(math.NaN())
		}
	}
	return t.Constant(out, x.Shape()...)
}

// law is a Gaussian over images of 2 channels, every number with its own mean
// and variance.
func law(t *testing.T) models.Denoiser {
	t.Helper()
	mean, cov := make([]float64, 12), make([]float64, 12*12)
	for i := range mean {
		mean[i], cov[13*i] = float64(i)/6-1, 0.2+0.1*float64(i)
	}
	g, err := models.NewGaussian([]int{2, 2, 3}, mean, cov)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func network(d models.Denoiser, p models.Prediction, level func(float64) schedules.Level) exact {
	return exact{denoiser: d, prediction: p, level: level, channels: 2, mu: new(sync.Mutex), told: new([]float32), rows: new([]int)}
}

// A network that knows the law is the exact denoiser behind the adapter, to the
// rounding of float32, whatever it predicts and however it is told the level.
func TestDenoiser_AgreesWith_Exact(t *testing.T) {
	d := law(t)
	beta := schedules.Beta{T: 1000}
	cosine := schedules.Cosine{Min: -12, Max: 12}
	edm := func(time float64) schedules.Level {
		return schedules.Level{T: time, Alpha: 1, Sigma: math.Exp(4 * time)}
	}
	cases := map[string]struct {
		training denoise.Training
		level    func(float64) schedules.Level
	}{
		"eps, indices": {denoise.Training{Prediction: models.Eps{}, Schedule: beta}, beta.At},
		"v, indices":   {denoise.Training{Prediction: models.V{}, Schedule: beta}, beta.At},
		"x0, t":        {denoise.Training{Prediction: models.X0{}, Schedule: cosine}, cosine.At},
		"v, 1000 t":    {denoise.Training{Prediction: models.V{}, Schedule: cosine, Scale: 1000}, func(t float64) schedules.Level { return cosine.At(t / 1000) }},
		"flow, t":      {denoise.Training{Prediction: models.Flow{}, Schedule: schedules.RF{Shift: 1}}, schedules.RF{Shift: 1}.At},
		"edm":          {denoise.Training{Prediction: models.EDM{SigmaData: 0.5}}, edm},
	}
	rows := 7
	q := models.Query{Rows: rows, X: make([]float64, 12*rows)}
	rng.New(3).Normal(q.X)
	for i := range rows { // on a path of no network's
		l := snr.LogSNR(-6 + 2*float64(i))
		q.At = append(q.At, schedules.Level{T: math.NaN(), Alpha: 3, Sigma: 3 * l.Sigma()})
	}
	want := make([]float64, len(q.X))
	if err := d.Denoise(t.Context(), want, q); err != nil {
		t.Fatal(err)
	}
	for name, c := range cases {
		c.training.Shape, c.training.Rows = []int{2, 2, 3}, 3
		got := ask(t, network(d, c.training.Prediction, c.level), c.training, q)
		for i := range got {
			// float32 rounds states, times and answers, 6e-8 each, times of up to
			// 1000 and λ of up to 12 within, and ε is multiplied by σ/α ≤ e³.
			if math.Abs(got[i]-want[i]) > 2e-4*(1+math.Abs(want[i])) {
				t.Errorf("%s: number %d of row %d is %v, expected %v", name, i%12, i/12, got[i], want[i])
				break
			}
		}
		// A row alone, and one level for all.
		for r := range rows {
			one := models.Query{Rows: 1, X: q.X[12*r : 12*(r+1)], At: q.At[r : r+1]}
			if alone := ask(t, network(d, c.training.Prediction, c.level), c.training, one); !slices.Equal(alone, got[12*r:12*(r+1)]) {
				t.Errorf("%s: row %d alone is not the row in the batch", name, r)
			}
		}
	}
}

func ask(t *testing.T, net denoise.Network, training denoise.Training, q models.Query) []float64 {
	t.Helper()
	d, err := denoise.New(net, training)
	if err != nil {
		t.Fatal(err)
	}
	dst := make([]float64, len(q.X))
	if err := d.Denoise(t.Context(), dst, q); err != nil {
		t.Fatal(err)
	}
	return dst
}

// Indices come back from their λ exactly, on every path; between them the index
// is that of the interpolated λ, or the nearest in λ.
func TestDenoiser_Times(t *testing.T) {
	beta := schedules.Beta{T: 1000}
	q := models.Query{}
	for k := 0; k < 1000; k += 37 {
		at := beta.At(float64(k))
		q.At = append(q.At, schedules.Level{Alpha: 1, Sigma: at.Sigma / at.Alpha})
	}
	// A quarter of the way in λ from 10 to 11, and three quarters.
	a, b := float64(beta.At(10).LogSNR()), float64(beta.At(11).LogSNR())
	for _, part := range []float64{0.25, 0.75} {
		q.At = append(q.At, schedules.Level{Alpha: 1, Sigma: snr.LogSNR(a + part*(b-a)).Sigma()})
	}
	q.Rows = len(q.At)
	q.X = make([]float64, 12*q.Rows)
	for _, nearest := range []bool{false, true} {
		net := network(law(t), models.Eps{}, beta.At)
		ask(t, net, denoise.Training{Shape: []int{2, 2, 3}, Prediction: models.Eps{}, Schedule: beta, Nearest: nearest}, q)
		told := *net.told
		for i := range told[:len(told)-2] {
			// λ goes through a logarithm on the way: 1e-16·λ over a distance of at least 0.008.
			if math.Abs(float64(told[i])-float64(37*i)) > 1e-4 {
				t.Errorf("nearest=%v: index %d was told as %v", nearest, 37*i, told[i])
			}
		}
		want := []float32{10.25, 10.75}
		if nearest {
			want = []float32{10, 11}
		}
		for i, w := range want {
			if got := told[len(told)-2+i]; math.Abs(float64(got-w)) > 1e-5 {
				t.Errorf("nearest=%v: told %v between 10 and 11, expected %v", nearest, got, w)
			}
		}
	}
}

// σ = 0 is answered by x/α; beyond the schedule is refused, or clamped.
func TestDenoiser_Limit(t *testing.T) {
	beta := schedules.Beta{T: 1000}
	training := denoise.Training{Shape: []int{2, 2, 3}, Prediction: models.Eps{}, Schedule: beta}
	x := make([]float64, 12)
	rng.New(5).Normal(x)
	net := network(law(t), models.Eps{}, beta.At)
	for _, p := range []denoise.Training{training, {Shape: training.Shape, Prediction: models.EDM{SigmaData: 0.5}}} {
		net.prediction = p.Prediction
		net.level = func(float64) schedules.Level { return beta.At(0) }
		got := ask(t, net, p, models.Query{Rows: 1, X: x, At: []schedules.Level{{Alpha: 2, Sigma: 0}}})
		for i := range x {
			if got[i] != x[i]/2 {
				t.Fatalf("at σ = 0 number %d is %v, expected %v", i, got[i], x[i]/2)
			}
		}
	}
	beyond := models.Query{Rows: 1, X: x, At: []schedules.Level{{Alpha: 1, Sigma: 300}}}
	d, err := denoise.New(net, training)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Denoise(t.Context(), make([]float64, 12), beyond); err == nil || !strings.Contains(err.Error(), "λ from") {
		t.Errorf("λ beyond the schedule gave %v", err)
	}
	training.Clamp = true
	net = network(law(t), models.Eps{}, beta.At)
	ask(t, net, training, beyond)
	if told := (*net.told)[0]; told != 999 {
		t.Errorf("clamped time is %v, expected 999", told)
	}
	d, err = denoise.New(net, denoise.Training{Shape: training.Shape, Prediction: models.Eps{}, Schedule: schedules.RF{Shift: 1}})
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Denoise(t.Context(), make([]float64, 12), models.Query{Rows: 1, X: x, At: []schedules.Level{{Alpha: 0, Sigma: 1}}}); err == nil {
		t.Error("ε at zero signal-to-noise ratio was not refused")
	}
}

func TestDenoiser_Refuses(t *testing.T) {
	net := network(law(t), models.Eps{}, schedules.Beta{T: 1000}.At)
	shape := []int{2, 2, 3}
	for name, training := range map[string]denoise.Training{
		"no shape":         {Prediction: models.Eps{}, Schedule: schedules.RF{Shift: 1}},
		"negative side":    {Shape: []int{2, -2, 3}, Prediction: models.Eps{}, Schedule: schedules.RF{Shift: 1}},
		"no prediction":    {Shape: shape, Schedule: schedules.RF{Shift: 1}},
		"no schedule":      {Shape: shape, Prediction: models.Eps{}},
		"edm and schedule": {Shape: shape, Prediction: models.EDM{SigmaData: 1}, Schedule: schedules.RF{Shift: 1}},
		"nearest of none":  {Shape: shape, Prediction: models.Eps{}, Schedule: schedules.RF{Shift: 1}, Nearest: true},
		"bad schedule":     {Shape: shape, Prediction: models.Eps{}, Schedule: schedules.Beta{T: -1}},
		"negative rows":    {Shape: shape, Prediction: models.Eps{}, Schedule: schedules.RF{Shift: 1}, Rows: -1},
	} {
		if _, err := denoise.New(net, training); err == nil {
			t.Errorf("%s was not refused", name)
		}
	}
	training := denoise.Training{Shape: shape, Prediction: models.Eps{}, Schedule: schedules.Beta{T: 1000}, Classes: []int{1}}
	query := models.Query{Rows: 1, X: make([]float64, 12), At: []schedules.Level{schedules.Beta{T: 1000}.At(500)}}
	net.bad = true
	d, err := denoise.New(net, training)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Denoise(t.Context(), make([]float64, 12), query); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("NaN of the network gave %v", err)
	}
	query.Labels = []int{2}
	if err := d.Denoise(t.Context(), make([]float64, 12), query); err == nil || !strings.Contains(err.Error(), "classes [1]") {
		t.Errorf("a label of no class gave %v", err)
	}
	query.Labels = []int{1}
	if err := d.Denoise(t.Context(), make([]float64, 12), query); err == nil {
		t.Error("a result of another shape was not refused")
	}
	query.Rows = 2
	if err := d.Denoise(t.Context(), make([]float64, 12), query); err == nil {
		t.Error("rows without states were not refused")
	}
}

// smooth is a network with a derivative: 2 tanh x + x times a time.
type smooth struct{}

func (smooth) Apply(t *nn.Tape[float32], x, times *nn.Var[float32], _ []int) *nn.Var[float32] {
	s := x.Shape()
	if t.Err() != nil {
		return x
	}
	flat := t.Reshape(x, s[0], x.Len()/s[0], 1)
	y := t.Add(t.Scale(t.Tanh(flat), 2), t.MulChannels(flat, t.Reshape(t.Scale(times, 1e-3), s[0], 1)))
	return t.Reshape(y, s...)
}

// The product with the covariance is σ²/α times the slope of D along v, for every
// prediction and on every path.
func TestDenoiser_PosteriorCovMul(t *testing.T) {
	rows := 5
	q := models.Query{Rows: rows, X: make([]float64, 12*rows)}
	rng.New(11).Normal(q.X)
	v := make([]float64, len(q.X))
	rng.New(12).Normal(v)
	for i := range rows {
		l := snr.LogSNR(-4 + 2*float64(i))
		q.At = append(q.At, schedules.Level{T: math.NaN(), Alpha: 0.5, Sigma: 0.5 * l.Sigma()})
	}
	shared := q
	shared.At = q.At[1:2]
	for name, training := range map[string]denoise.Training{
		"eps":  {Prediction: models.Eps{}, Schedule: schedules.Beta{T: 1000}},
		"v":    {Prediction: models.V{}, Schedule: schedules.Beta{T: 1000}},
		"flow": {Prediction: models.Flow{}, Schedule: schedules.RF{Shift: 1}, Scale: 1000},
		"edm":  {Prediction: models.EDM{SigmaData: 0.5}},
	} {
		training.Shape, training.Rows = []int{2, 2, 3}, 2
		d, err := denoise.New(smooth{}, training)
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range []models.Query{q, shared} {
			got := make([]float64, len(q.X))
			if err := d.PosteriorCovMul(t.Context(), got, v, q); err != nil {
				t.Fatal(err)
			}
			const h = 1e-2
			at := func(h float64) []float64 {
				moved := q
				moved.X = slices.Clone(q.X)
				for i := range v {
					moved.X[i] += h * v[i]
				}
				return ask(t, smooth{}, training, moved)
			}
			a, b := at(h), at(-h)
			for i := range got {
				level := q.Level(i / 12)
				want := level.Sigma * level.Sigma / level.Alpha * (a[i] - b[i]) / (2 * h)
				// Differences of float32 leave 1e-7/h of what D is made of, which is up
				// to σ/α times larger; the third derivative h².
				bound := 3e-4 * (1 + math.Abs(want) + level.Sigma*level.Sigma/level.Alpha*(1+level.Sigma/level.Alpha))
				if math.Abs(got[i]-want) > bound {
					t.Errorf("%s, %d levels: number %d of row %d is %v, differences say %v", name, len(q.At), i%12, i/12, got[i], want)
					break
				}
			}
		}
		none := q
		none.At = []schedules.Level{{Alpha: 0, Sigma: 1}}
		if err := d.PosteriorCovMul(t.Context(), make([]float64, len(q.X)), v, none); err == nil {
			t.Errorf("%s: α = 0 was not refused", name)
		}
		if err := d.PosteriorCovMul(t.Context(), make([]float64, len(q.X)), v[1:], q); err == nil {
			t.Errorf("%s: too few numbers were not refused", name)
		}
	}
}

// still is a network that allocates nothing: twice its input.
type still struct{}

func (still) Apply(t *nn.Tape[float32], x, _ *nn.Var[float32], _ []int) *nn.Var[float32] {
	return t.Scale(x, 2)
}

func TestDenoiser_Alloc(t *testing.T) {
	d, err := denoise.New(still{}, denoise.Training{Shape: []int{2, 2, 3}, Prediction: models.V{}, Schedule: schedules.Beta{T: 1000}, Rows: 4})
	if err != nil {
		t.Fatal(err)
	}
	q := models.Query{Rows: 10, X: make([]float64, 120), At: []schedules.Level{schedules.Beta{T: 1000}.At(500)}}
	dst := make([]float64, 120)
	run := func() {
		if err := d.Denoise(context.Background(), dst, q); err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(5, run); n > 0 {
		t.Errorf("a call allocates %v times once it has run", n)
	}
	// Several goroutines at once get what one gets.
	want := slices.Clone(dst)
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(4))
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			mine := make([]float64, 120)
			if err := d.Denoise(context.Background(), mine, q); err != nil || !slices.Equal(mine, want) {
				t.Errorf("a goroutine of several got another answer (%v)", err)
			}
		})
	}
	wg.Wait()
}

// α = 0 lies beyond a schedule that ends at a finite λ; it is no case of rounding.
func TestDenoiser_Refuses_ZeroSNR(t *testing.T) {
	beta := schedules.Beta{T: 1000}
	q := models.Query{Rows: 1, X: make([]float64, 12), At: []schedules.Level{{Alpha: 0, Sigma: 1}}}
	for _, p := range []models.Prediction{models.Eps{}, models.V{}} {
		for _, clamp := range []bool{false, true} {
			d, err := denoise.New(network(law(t), p, beta.At), denoise.Training{Shape: []int{2, 2, 3}, Prediction: p, Schedule: beta, Clamp: clamp})
			if err != nil {
				t.Fatal(err)
			}
			err = d.Denoise(t.Context(), make([]float64, 12), q)
			// Clamped, v still determines x₀ there, and ε does not.
			if answers := clamp && p == (models.V{}); (err == nil) != answers {
				t.Errorf("%s, clamp=%v: α = 0 gave the error %v", p, clamp, err)
			}
		}
	}
}

// Beyond the schedule too, a state and its multiple at one λ have one answer.
func TestDenoiser_Clamp_Invariant(t *testing.T) {
	beta := schedules.Beta{T: 1000}
	training := denoise.Training{Shape: []int{2, 2, 3}, Prediction: models.V{}, Schedule: beta, Clamp: true}
	x := make([]float64, 12)
	rng.New(5).Normal(x)
	for _, s := range []float64{1e-3, 300, 1000} {
		on := schedules.Level{Alpha: 1 / math.Hypot(1, s), Sigma: s / math.Hypot(1, s)}
		ve := make([]float64, 12)
		for i := range x {
			ve[i] = x[i] / on.Alpha
		}
		net := network(law(t), models.V{}, beta.At)
		want := ask(t, net, training, models.Query{Rows: 1, X: x, At: []schedules.Level{on}})
		got := ask(t, net, training, models.Query{Rows: 1, X: ve, At: []schedules.Level{{Alpha: 1, Sigma: s}}})
		for i := range got {
			// float32 rounds the two inputs, 6e-8, apart by rounding of the factor.
			if math.Abs(got[i]-want[i]) > 1e-5*(1+math.Abs(want[i])) {
				t.Fatalf("σ/α = %v: number %d is %v with α = 1, and %v variance-preserving", s, i, got[i], want[i])
			}
		}
	}
}
