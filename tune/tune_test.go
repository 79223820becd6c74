package tune

import (
	"context"
	"math"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/solvers"
)

var ctx = context.Background()

func task(t *testing.T, m Model, rows int, seed uint64) *Task {
	t.Helper()
	task, err := NewTask(ctx, m, 80, 0.002, rows, rng.New(seed), 1e-10)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func grid(t *testing.T, c, k float64, n int) []float64 {
	t.Helper()
	g, err := arctanLog(c, k, 80, 0.002, n)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// slopes compares the gradient with central differences of order 4, whose
// truncation and rounding are about 1e-9 of the third derivatives of a log loss.
func slopes(t *testing.T, name string, o *objective, theta []float64, every int) {
	t.Helper()
	if err := o.compute(theta); err != nil {
		t.Fatal(err)
	}
	grad := append([]float64(nil), o.grad...)
	for k := 0; k < len(theta); k += every {
		const h = 1e-5
		sum, keep := 0.0, theta[k]
		for _, p := range []struct{ at, weight float64 }{{2, -1}, {1, 8}, {-1, -8}, {-2, 1}} {
			theta[k] = keep + p.at*h
			if err := o.compute(theta); err != nil {
				t.Fatal(err)
			}
			sum += p.weight * o.value / (12 * h)
		}
		theta[k] = keep
		if d := math.Abs(sum - grad[k]); d > 1e-6*(1+math.Abs(sum)) {
			t.Errorf("%s: parameter %d of %d: derivative %.10g, differences %.10g", name, k, len(theta), grad[k], sum)
		}
	}
}

func TestGradient_AgreesWith_Differences(t *testing.T) {
	gm, needles := task(t, models.GM2D(), 40, 1), task(t, models.GMM16(), 12, 1)
	g := grid(t, 0.25, 0.03, 5)
	l := adamsLinear(g, 3)
	for name, s := range map[string]*scheme{
		"grid of ipndm":    ruled(ipndm(3), g),
		"grid of dpmpp-2m": ruled(dpmpp2m, g),
		"grid of unipc":    ruled(unipc(3), g),
		"s4s":              Free{Window: 3, Levels: true, Weights: true, Consistent: true}.scheme(l),
		"epd":              epd(g[:4], false),
		"epd, afs":         epd(g[:4], true),
		"bns":              Free{Levels: true, Told: true, Weights: true, Gains: true}.scheme(l),
	} {
		slopes(t, name, newObjective(ctx, gm, s, nil, nil), append([]float64(nil), s.first...), 1)
	}
	for _, task := range []*Task{gm, needles} {
		gates, err := newGates(ctx, task, l, dataMean(task), 3, rng.New(5))
		if err != nil {
			t.Fatal(err)
		}
		o := newObjective(ctx, task, Free{Levels: true, Weights: true, Consistent: true}.scheme(l), dataMean(task), gates)
		theta := o.parameters()
		z := make([]float64, len(theta))
		rng.New(3).Normal(z)
		for i := range theta {
			theta[i] += 0.05 * z[i]
		}
		slopes(t, "gated", o, theta, 3)
	}
}

// A scheme on forms is the solver of the same name.
func TestRules_AgreeWith_Solvers(t *testing.T) {
	task := task(t, models.GM2D(), 30, 2)
	for _, name := range []string{"ddim", "ipndm(order=2)", "ipndm(order=3)", "ipndm", "dpmpp-2m", "unipc(order=2)", "unipc"} {
		r, err := ruleOf(name)
		if err != nil {
			t.Fatal(err)
		}
		g := grid(t, 0.3, 0.05, 9)
		s := ruled(r, g)
		o := newObjective(ctx, task, s, nil, nil)
		got, err := o.measure(task, s.first)
		if err != nil {
			t.Fatal(err)
		}
		solver, err := solvers.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		want, err := task.Run(ctx, solver, g)
		if err != nil {
			t.Fatal(err)
		}
		// Sums of a few numbers of size 80 in another order.
		if math.Abs(got.RMSE/want.RMSE-1) > 1e-10 || math.Abs(got.Max/want.Max-1) > 1e-10 {
			t.Errorf("%s: the scheme has errors %+v, the solver %+v", name, got, want)
		}
	}
	for _, name := range []string{"heun", "unipc(variant=bh1)", "ipndm(start=rk)", "nonsense"} {
		if _, err := ruleOf(name); err == nil {
			t.Errorf("%s has a rule", name)
		}
	}
}

// A fit ends on a solver that has the loss it says, lowers it well below where
// it begins, and goes on from where it was.
func TestFit(t *testing.T) {
	tuning := task(t, models.GM2D(), 256, 3)
	for _, family := range Families() {
		nfe := 4
		if family.Name == "epd" {
			nfe = 5 // 2 and 3
		}
		f := DefaultFit(family.Name, nfe)
		f.Starts, f.Iterations, f.Hidden, f.Key = 2, 24, 4, rng.New(1)
		var last Progress
		fitted, err := f.Run(ctx, tuning, nil, func(p Progress) { last = p })
		if err != nil {
			t.Fatal(family.Name, err)
		}
		s := solverOf(t, fitted)
		e, err := tuning.Run(ctx, s, fitted.Grid)
		if err != nil {
			t.Fatal(family.Name, err)
		}
		// Another order of sums, and weights rounded to sum to 1.
		if d := math.Abs(2*math.Log(e.RMSE) - fitted.Loss); d > 1e-8 {
			t.Errorf("%s: the solver has a loss of %.12g, the fit says %.12g", family.Name, 2*math.Log(e.RMSE), fitted.Loss)
		}
		begin, err := tuning.Run(ctx, solvers.IPNDM{Order: 3}, last.Begin)
		if err != nil {
			t.Fatal(err)
		}
		if !(e.RMSE < 0.95*begin.RMSE) {
			t.Errorf("%s: %g after the fit, %g before", family.Name, e.RMSE, begin.RMSE)
		}
		again, err := f.Run(ctx, tuning, &last, nil)
		if err != nil {
			t.Fatal(err)
		}
		if again.Loss > fitted.Loss+1e-9 {
			t.Errorf("%s: gone on from its end, the loss is %g, not %g or less", family.Name, again.Loss, fitted.Loss)
		}
	}
}

func solverOf(t *testing.T, f *Fitted) solvers.Solver {
	t.Helper()
	switch {
	case f.Linear != nil:
		return f.Linear
	case f.Gated != nil:
		return f.Gated
	}
	s, err := solvers.Parse(f.Rule)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
