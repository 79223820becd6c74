package experiments

import (
	"bytes"
	"context"
	"encoding/json"
	"math"
	"strings"
	"testing"
)

// The flow gives the exact density, of all models and of classes; Hutchinson's
// estimate is within its own error, and without products nothing is counted.
func TestLikelihood_AgreesWith_Exact(t *testing.T) {
	base := DefaultLikelihood()
	base.Rows = 3
	with := func(f func(l *Likelihood)) Likelihood {
		l := base
		f(&l)
		return l
	}
	for name, l := range map[string]Likelihood{
		"gm2d":   base,
		"gauss4": with(func(l *Likelihood) { l.Model = "gauss4" }),
		"gmm16":  with(func(l *Likelihood) { l.Model = "gmm16" }),
		"digits": with(func(l *Likelihood) { l.Model, l.Class, l.Sigma, l.Rows, l.RTol = "digits", 3, 0.1, 1, 1e-8 }),
		"steps":  with(func(l *Likelihood) { l.Steps = 200 }),
		"probes": with(func(l *Likelihood) { l.Model, l.Divergence, l.Probes, l.RTol = "gmm16", "hutchinson", 30, 1e-5 }),
	} {
		r, err := l.Run(context.Background(), Options{})
		if err != nil {
			t.Fatal(err)
		}
		worst := 0.0
		for i, line := range r.Lines {
			// Some tens of steps of the tolerance, of a density that grows with
			// the dimension; RK4's own error at 200 steps.
			bound := max(1e-8, 100*l.RTol*float64(r.Dim))
			if l.Divergence == "hutchinson" {
				bound = 5 * float64(line.StdErr)
			}
			miss := math.Abs(line.LogP - line.Exact)
			worst = max(worst, miss)
			if !(miss <= bound) {
				t.Errorf("%s: sample %d has log p %.12g, exactly %.12g", name, i, line.LogP, line.Exact)
			}
			if d := line.Bits + line.LogP/math.Ln2/float64(r.Dim); math.Abs(d) > 1e-12 {
				t.Errorf("%s: %g nats are %g bits a dimension", name, line.LogP, line.Bits)
			}
		}
		if r.Worst != worst || (r.Products > 0) != (l.Divergence == "hutchinson") || l.Steps > 0 && r.Evals != 4*float64(l.Steps) {
			t.Errorf("%s: worst %g of %g, %g products, %g evaluations", name, r.Worst, worst, r.Products, r.Evals)
		}
		var text bytes.Buffer
		if err := r.Text(&text); err != nil || !strings.Contains(text.String(), "bits/dim") {
			t.Errorf("%s: %v\n%s", name, err, &text)
		}
		if _, err := json.Marshal(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLikelihood_Refuses(t *testing.T) {
	for want, change := range map[string]func(l *Likelihood){
		"unknown model":         func(l *Likelihood) { l.Model = "gm3d" },
		"field rows is 0":       func(l *Likelihood) { l.Rows = 0 },
		"field sigma is 0":      func(l *Likelihood) { l.Sigma = 0 },
		"field sigma is +Inf":   func(l *Likelihood) { l.Sigma = math.Inf(1) },
		"field divergence":      func(l *Likelihood) { l.Divergence = "trace" },
		"field probe:":          func(l *Likelihood) { l.Probe = "uniform" },
		"probes have no effect": func(l *Likelihood) { l.Probes = 2 },
		"field steps is -1":     func(l *Likelihood) { l.Steps = -1 },
		"field rtol is 0":       func(l *Likelihood) { l.RTol = 0 },
		"field class":           func(l *Likelihood) { l.Class = 4 },
	} {
		l := DefaultLikelihood()
		change(&l)
		if _, err := l.Run(context.Background(), Options{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
}
