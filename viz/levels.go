package viz

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"snrlab/internal/runfile"
)

const lambdaLabel = "log SNR λ = log(α²/σ²)"

// someBudgets returns the least, the middle and the largest budget.
func (f *folder) someBudgets() []int {
	if len(f.budgets) == 0 {
		return nil
	}
	list := []int{f.budgets[0], f.middleBudget(), f.budgets[len(f.budgets)-1]}
	return slices.Compact(list)
}

// errorByLevel draws global, local and strong errors over λ at a few budgets,
// one panel each, nil if there are none.
func (f *folder) errorByLevel() *Figure {
	budgets := f.someBudgets()
	kinds := []struct {
		name, label string
		get         func(runfile.StepRow) float64
	}{
		{"global", "global error", func(r runfile.StepRow) float64 { return r.Global }},
		{"local", "error of one step", func(r runfile.StepRow) float64 { return r.Local }},
		{"strong", "strong error", func(r runfile.StepRow) float64 { return r.Strong }},
	}
	var lambdas []float64
	for _, b := range budgets {
		for _, s := range f.solvers {
			for _, r := range f.walks[cell{s, b}] {
				lambdas = append(lambdas, r.Lambda)
			}
		}
	}
	if len(lambdas) == 0 {
		return nil
	}
	var rows [][]panel
	var shown []string
	var lost dropped
	for _, k := range kinds {
		var values []float64
		for _, b := range budgets {
			for _, s := range f.solvers {
				for _, r := range f.walks[cell{s, b}] {
					if v := k.get(r); v > 0 {
						values = append(values, v)
					}
					if r.Step > 0 {
						lost.see(k.get(r))
					}
				}
			}
		}
		if len(values) == 0 {
			continue
		}
		var row []panel
		for i, b := range budgets {
			p := panel{
				x: linearAxis(lambdaLabel, lambdas), y: logAxis(k.label, values),
				bareX: true, bareY: i > 0,
			}
			if len(rows) == 0 {
				p.title = fmt.Sprintf("budget %d", b)
			}
			for _, s := range f.solvers {
				walk, look := f.walks[cell{s, b}], f.styles[s]
				var xs, ys []float64
				for _, r := range walk {
					xs, ys = append(xs, r.Lambda), append(ys, k.get(r))
				}
				if !slices.ContainsFunc(ys, func(v float64) bool { return v > 0 }) {
					continue
				}
				if !slices.Contains(shown, s) {
					shown = append(shown, s)
				}
				p.layers = append(p.layers, func(pn pen) {
					pn.line(xs, ys, draw.LineStyle{Color: look.color, Width: 0.9, Dashes: look.dashes})
					pn.marks(xs, ys, look, 1.6)
				})
			}
			row = append(row, p)
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		return nil
	}
	for i := range rows[len(rows)-1] {
		rows[len(rows)-1][i].bareX = false
	}
	inOrder := slices.DeleteFunc(slices.Clone(f.solvers), func(s string) bool { return !slices.Contains(shown, s) })
	return simpleFigure("error-by-level",
		"Errors along the way: same noise, the same levels for the same number of steps",
		"Root mean square over rows of Euclidean distances, by the level reached; noise falls to the right, ∞ is σ = 0. Global: to the exact trajectory from the same noise. Error of one step: to one exact step from the solver's own state, on the recipe's subset of rows. Strong: to a stochastic solver's own fine run on the same Brownian path. The start, where every error is zero, is not shown."+lost.note(),
		pageWidth, vg.Length(len(rows))*4.2*vg.Centimeter+0.9*vg.Centimeter, rows, f.legend(inOrder))
}

// gridLevels draws the SNR curve and, beside it on the same axis, the levels
// that each number of steps puts on it.
func (f *folder) gridLevels() *Figure {
	grids := map[int][]runfile.StepRow{} // by steps
	for _, b := range f.budgets {
		for _, s := range f.solvers {
			w := f.walks[cell{s, b}]
			if len(w) > 1 && grids[len(w)-1] == nil {
				grids[len(w)-1] = w
			}
		}
	}
	if len(grids) == 0 {
		return nil
	}
	var counts []int
	var lambdas, ts []float64
	type point struct{ t, lambda float64 }
	var curve []point
	for n, w := range grids {
		counts = append(counts, n)
		for _, r := range w {
			lambdas = append(lambdas, r.Lambda)
			if !math.IsNaN(r.T) {
				ts = append(ts, r.T)
				curve = append(curve, point{r.T, r.Lambda})
			}
		}
	}
	slices.Sort(counts)
	slices.SortFunc(curve, func(a, b point) int {
		switch {
		case a.t < b.t, a.t == b.t && a.lambda > b.lambda:
			return -1
		case a == b:
			return 0
		}
		return 1
	})
	var lost dropped
	y := linearAxis(lambdaLabel, lambdas)
	levels := panel{
		title: "levels of each grid",
		x:     axis{label: "number of steps", lo: -0.5, hi: float64(len(counts)) - 0.5},
		y:     y, bareY: len(curve) > 0,
	}
	for i, n := range counts {
		levels.x.ticks = append(levels.x.ticks, tick{float64(i), fmt.Sprint(n)})
		look := styleOf(i)
		look.color = ink // colours belong to solvers
		w := grids[n]
		levels.layers = append(levels.layers, func(p pen) {
			for _, r := range w {
				p.marks([]float64{float64(i)}, []float64{r.Lambda}, look, 2)
			}
		})
	}
	row := []panel{levels}
	if len(curve) > 0 {
		p := panel{title: "λ on the schedule", x: linearAxis("time t, rising with noise", ts), y: y}
		if wide(ts) {
			lost.see(ts...)
			p.x = logAxis("time t, rising with noise", ts)
		}
		p.layers = append(p.layers, func(pn pen) {
			var xs, ys []float64
			for _, c := range curve {
				xs, ys = append(xs, c.t), append(ys, c.lambda)
			}
			pn.line(xs, ys, draw.LineStyle{Color: quiet, Width: 1})
		})
		for i, n := range counts {
			look, w := styleOf(i), grids[n]
			look.color = ink
			p.layers = append(p.layers, func(pn pen) {
				for _, r := range w {
					pn.marks([]float64{r.T}, []float64{r.Lambda}, look, 2)
				}
			})
		}
		row = []panel{p, levels}
	}
	return simpleFigure("grid-levels",
		"Where each grid puts its levels on the SNR curve",
		"The grey line joins the levels of all grids: it is the schedule where they are dense. A grid of n steps has n + 1 levels; solvers with the same number of steps share them."+lost.note(),
		pageWidth, 6*vg.Centimeter, [][]panel{row}, nil)
}

// wide tells whether the positive values cover more than three decades.
func wide(v []float64) bool {
	lo, hi := math.Inf(1), 0.0
	for _, x := range v {
		if x > 0 {
			lo, hi = math.Min(lo, x), math.Max(hi, x)
		}
	}
	return hi > 1000*lo
}
