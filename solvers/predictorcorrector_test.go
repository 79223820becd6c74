package solvers_test

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
)

// corrected returns the states after the Langevin steps of one step from a.
// Without noise in the predictor, and to a level 1e-9 away, the end is the
// corrected state.
func corrected(t *testing.T, s solvers.Solver, d models.Denoiser, a schedules.Level, x []float64, n solvers.Noise) []float64 {
	t.Helper()
	sch := schedules.EDM{SMin: 0.001, SMax: 100}
	b := schedules.LevelAt(sch, a.LogSNR()+1e-9)
	return run(t, s, solvers.Problem{Denoiser: d, Grid: schedules.Grid{a, b}, Schedule: sch, Noise: n}, x)
}

// A Langevin step has the paper's form and sizes.
func TestPredictorCorrector_AgreesWith_Paper(t *testing.T) {
	const rows, dim, r = 3, 4, 0.2
	gauss, at := models.Gauss4(), schedules.Level{T: 0.5, Alpha: 1, Sigma: 0.5}
	x, z := normals(rows*dim, 1), normals(rows*dim, 1.3)
	d := make([]float64, len(x))
	if err := gauss.Denoise(context.Background(), d, models.Query{X: x, Rows: rows, At: []schedules.Level{at}}); err != nil {
		t.Fatal(err)
	}
	score, zNorm, sNorm := make([]float64, len(x)), make([]float64, rows), make([]float64, rows)
	for i := range x {
		score[i] = (d[i] - x[i]) / 0.25
		zNorm[i/dim] += z[i] * z[i]
		sNorm[i/dim] += score[i] * score[i]
	}
	zMean, sMean := 0.0, 0.0
	for i := range rows {
		zNorm[i], sNorm[i] = math.Sqrt(zNorm[i]), math.Sqrt(sNorm[i])
		zMean, sMean = zMean+zNorm[i], sMean+sNorm[i]
	}
	for size, eps := range map[string]func(row int) float64{
		"level": func(int) float64 { return 2 * r * r * 0.25 },
		"row":   func(i int) float64 { return 2 * math.Pow(r*zNorm[i]/sNorm[i], 2) },
		"batch": func(int) float64 { return 2 * math.Pow(r*zMean/sMean, 2) },
	} {
		s := parse(t, fmt.Sprintf("predictor-corrector(predictor=ddim,snr=%g,size=%s)", r, size))
		got := corrected(t, s, gauss, at, x, solvers.NewReplay([][]float64{z}))
		for i, v := range got {
			e := eps(i / dim)
			// The step of the predictor is 1e-9 long, times e of about 10.
			if want := x[i] + e*score[i] + math.Sqrt(2*e)*z[i]; math.Abs(v-want) > 1e-8 {
				t.Errorf("size = %s: value %d is %.10g, expected %.10g", size, i, v, want)
			}
		}
	}
}

// Adjusted Langevin steps leave the marginal as it is, whatever their size;
// others do not. Both start from the exact marginal.
func TestPredictorCorrector_Invariant_Adjusted(t *testing.T) {
	const rows, dim, steps = 6000, 2, 12
	mix := models.GM2D()
	at := schedules.LevelAt(schedules.EDM{SMin: 0.001, SMax: 100}, snr.FromSigma(0.15))
	start, exact := make([]float64, rows*dim), make([]float64, rows*dim)
	if err := mix.Sample(start, at, nil, solvers.RowKeys(rng.New(1), 0, rows)); err != nil {
		t.Fatal(err)
	}
	if err := mix.Sample(exact, at, nil, solvers.RowKeys(rng.New(2), 0, rows)); err != nil {
		t.Fatal(err)
	}
	moments, err := mix.Moments(at, -1)
	if err != nil {
		t.Fatal(err)
	}
	logs := func(x []float64) (mean, deviation float64) {
		l := make([]float64, rows)
		if err := mix.LogDensity(l, models.Query{X: x, Rows: rows, At: []schedules.Level{at}}); err != nil {
			t.Fatal(err)
		}
		sq := 0.0
		for _, v := range l {
			mean, sq = mean+v/rows, sq+v*v/rows
		}
		return mean, math.Sqrt(sq - mean*mean)
	}
	wantLog, sd := logs(exact)
	se := sd / math.Sqrt(rows)
	for _, adjusted := range []bool{true, false} {
		s := parse(t, fmt.Sprintf("predictor-corrector(predictor=ddim,snr=0.8,steps=%d,adjusted=%v)", steps, adjusted))
		counter := models.NewCounter(mix)
		x := corrected(t, s, counter, at, start, solvers.NewIndependent(solvers.RowKeys(rng.New(3), 0, rows)))
		if n := counter.Calls(); n != steps+1 || s.NFE(schedules.Grid{at, {Alpha: 1, Sigma: 0.1}}) != steps+1 {
			t.Errorf("adjusted = %v: %d evaluations for %d steps and a prediction, expected %d", adjusted, n, steps, steps+1)
		}
		moved := 0
		for i := 0; i < len(x); i += dim {
			if math.Abs(x[i]-start[i]) > 1e-6 {
				moved++
			}
		}
		if moved < rows*9/10 {
			t.Errorf("adjusted = %v: only %d of %d rows moved in %d steps", adjusted, moved, rows, steps)
		}
		meanLog, _ := logs(x)
		// Both sides have the standard error se; five of their difference.
		off := math.Abs(meanLog-wantLog) / (math.Sqrt2 * se)
		t.Logf("adjusted = %v: mean log density %.4f, exactly %.4f: %.1f standard errors", adjusted, meanLog, wantLog, off)
		if adjusted == (off > 5) {
			t.Errorf("adjusted = %v: mean log density is %.1f standard errors from the exact one", adjusted, off)
		}
		for j, want := range moments.Mean {
			m := 0.0
			for i := j; i < len(x); i += dim {
				m += x[i] / rows
			}
			if z := math.Abs(m-want) / math.Sqrt(moments.Var[j]/rows); z > 5 {
				t.Errorf("adjusted = %v: mean of column %d is %g, exactly %g: %.1f standard errors", adjusted, j, m, want, z)
			}
		}
	}
}

// What solvertest does not run: sizes by norms and adjusted steps. Rows are
// alone, but for the batch's mean norms; resuming changes no bit.
func TestPredictorCorrector_Invariant_Rows(t *testing.T) {
	const rows, dim = 5, 4
	sch := schedules.EDM{SMin: 0.05, SMax: 20}
	g := append(gridOf(t, schedules.Karras{Rho: 7}, sch, 6), schedules.Level{Alpha: 1})
	keys, x := solvers.RowKeys(rng.New(5), 0, rows), normals(rows*dim, 20)
	problem := func(keys []rng.Key) solvers.Problem {
		return solvers.Problem{Denoiser: models.Gauss4(), Grid: g, Schedule: sch, Noise: solvers.NewIndependent(keys)}
	}
	for _, name := range []string{
		"predictor-corrector(size=row,steps=2)", "predictor-corrector(size=batch)",
		"predictor-corrector(adjusted=true,steps=3)", "predictor-corrector(predictor=dpmpp-2s,adjusted=true)",
	} {
		s := parse(t, name)
		all := run(t, s, problem(keys), x)
		alone := run(t, s, problem(keys[2:3]), x[2*dim:3*dim])
		if same := slices.Equal(alone, all[2*dim:3*dim]); same == s.Properties().Coupled {
			t.Errorf("%s: a row alone is the row in its batch: %v; Properties say coupled: %v", name, same, s.Properties().Coupled)
		}
		st, err := s.Start(problem(keys), x)
		if err != nil {
			t.Fatal(err)
		}
		for i := range g.Steps() {
			step, err := st.Step(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if want := s.NFE(g[:i+2]); step.Evals != want {
				t.Errorf("%s: %d evaluations after step %d, promised %d", name, step.Evals, i, want)
			}
			again, err := solvers.Sample(context.Background(), s, problem(keys), x, solvers.Resume(st.State()))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(again, all) {
				t.Errorf("%s: resumed after step %d ends elsewhere", name, i)
			}
		}
	}
}

func TestPredictorCorrector_Refuses(t *testing.T) {
	for name, want := range map[string]string{
		"predictor-corrector(snr=0)":                         "snr = 0",
		"predictor-corrector(snr=1)":                         "snr = 1",
		"predictor-corrector(steps=0)":                       "steps = 0",
		"predictor-corrector(size=row,adjusted=true)":        "size = row",
		"predictor-corrector(size=mean)":                     "mean",
		"predictor-corrector(predictor=hein)":                "heun",
		"predictor-corrector(predictor=ddim(eta=2))":         "eta = 2",
		"predictor-corrector(predictor=predictor-corrector)": "corrects already",
		"predictor-corrector(predictor=unipc)":               "hands states",
	} {
		if _, err := solvers.Parse(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s gives %v, expected an error with %q", name, err, want)
		}
	}
	if _, err := (solvers.PredictorCorrector{SNR: 0.1, Steps: 1}).Start(solvers.Problem{}, nil); err == nil || !strings.Contains(err.Error(), "predictor is missing") {
		t.Errorf("no predictor: %v", err)
	}
	sch := schedules.EDM{SMin: 0.05, SMax: 20}
	p := solvers.Problem{Denoiser: inexact{models.Gauss4()}, Grid: gridOf(t, schedules.Karras{Rho: 7}, sch, 6), Noise: solvers.NewReplay(nil)}
	if _, err := parse(t, "predictor-corrector(adjusted=true)").Start(p, make([]float64, 4)); err == nil || !strings.Contains(err.Error(), "exact model") {
		t.Errorf("adjusted steps without a density: %v", err)
	}
}

// inexact hides what a denoiser knows beside its answers.
type inexact struct{ models.Denoiser }
