package solvers

import (
	"context"
	"math"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/schedules"
)

// The step is its formula, written out row by row: constants of their own for each
// step and direction, and the analytic first step.
func TestEPD_Formula(t *testing.T) {
	x := gm2dStarts(3, 1)
	grid := veGrid([]float64{80, 3, 0.4})
	s, err := Parse("epd(r=[0.2,0.7,0.4,0.9],w=[0.3,0.7,0.8,0.2],kappa=[1.1,0.9,0.8,1.2],c=[0.98,1.03],afs=true)")
	if err != nil {
		t.Fatal(err)
	}
	p := Problem{Denoiser: models.GM2D(), Grid: grid, Schedule: schedules.EDM{SMin: 0.002, SMax: 80}}
	got, err := Sample(context.Background(), s, p, x)
	if err != nil {
		t.Fatal(err)
	}
	if n := s.NFE(grid); n != 5 {
		t.Errorf("NFE = %d: expected 2 and 3", n)
	}
	want := append([]float64(nil), x...)
	denoise := func(x []float64, s float64) []float64 {
		d := make([]float64, len(x))
		q := models.Query{X: x, Rows: len(x) / 2, At: []schedules.Level{{T: s, Alpha: 1, Sigma: s}}}
		if err := p.Denoiser.Denoise(context.Background(), d, q); err != nil {
			t.Fatal(err)
		}
		return d
	}
	for i, step := range []struct {
		a, b, c     float64
		r, w, kappa [2]float64
	}{
		{80, 3, 0.98, [2]float64{0.2, 0.7}, [2]float64{0.3, 0.7}, [2]float64{1.1, 0.9}},
		{3, 0.4, 1.03, [2]float64{0.4, 0.9}, [2]float64{0.8, 0.2}, [2]float64{0.8, 1.2}},
	} {
		e := denoise(want, step.a)
		for j := range e {
			e[j] = (want[j] - e[j]) / step.a
			if i == 0 {
				e[j] = want[j] / math.Sqrt(1+80*80)
			}
		}
		next := append([]float64(nil), want...)
		for k := range 2 {
			m := math.Pow(step.b, step.r[k]) * math.Pow(step.a, 1-step.r[k])
			y := make([]float64, len(e))
			for j := range y {
				y[j] = want[j] + (m-step.a)*e[j]
			}
			d := denoise(y, step.kappa[k]*m)
			for j := range y {
				next[j] += step.c * (step.b - step.a) * step.w[k] * (y[j] - d[j]) / m
			}
		}
		want = next
	}
	for j := range want {
		if math.Abs(got[j]-want[j]) > 1e-11 { // levels by way of λ, times 80
			t.Fatalf("end[%d] = %.15g, by the formula %.15g", j, got[j], want[j])
		}
	}
}

// The order that is promised is that of the place of the mean direction.
func TestEPD_Order(t *testing.T) {
	for name, want := range map[string]float64{
		"epd":                            2,
		"epd(r=[0.2,0.7])":               1,
		"epd(r=[0.2,0.8,0.4,0.6])":       2,
		"epd(r=[0.2,0.8,0.4,0.7])":       1,
		"epd(r=0.5)":                     2,
		"epd(r=0.25,w=[0.1,0.9])":        1,
		"epd(r=[0.2,1],w=[0.625,0.375])": 2,
		"epd(c=0.9)":                     0,
		"epd(kappa=[1,1.1])":             0,
		"epd(afs=true)":                  0,
	} {
		s, err := Parse(name)
		if err != nil {
			t.Fatal(name, err)
		}
		if p := s.Properties(); p.Order != want || p.Evals != 3 {
			t.Errorf("%s: order %g with %d evaluations: expected %g with 3", name, p.Order, p.Evals, want)
		}
	}
}

func TestEPD_Refuses(t *testing.T) {
	for want, name := range map[string]string{
		"k = 0: expected 1 to 8":             "epd(k=0)",
		"k = 9":                              "epd(k=9)",
		"0 < r ≤ 1":                          "epd(r=[0,0.5])",
		"kappa = -1":                         "epd(kappa=-1)",
		"w = -0.5":                           "epd(w=[-0.5,1.5])",
		"of step 0 sum to 0.9: expected 1":   "epd(w=[0.5,0.4])",
		"of step 1 sum to 1.1: expected 1":   "epd(w=[0.5,0.5,0.6,0.5])",
		"r has 3 numbers: expected one, 2":   "epd(r=[0.1,0.2,0.3])",
		"w = [0.5,y]: \"y\" is no finite nu": "epd(w=[0.5,y])",
	} {
		if _, err := Parse(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v: expected %q", name, err, want)
		}
	}
	p := Problem{Denoiser: models.GM2D(), Grid: veGrid(karras5), Schedule: schedules.EDM{SMin: 0.002, SMax: 80}}
	for name, want := range map[string]string{
		"epd(r=[0.1,0.2,0.3,0.4])": "r has 4 numbers: expected 2 for all steps, or for each of 5",
		"epd(c=[1,1])":             "c has 2 numbers: expected 1 for all steps, or for each of 5",
	} {
		s, err := Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Start(p, []float64{1, 2}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v: expected %q", name, err, want)
		}
	}
}
