package viz

import (
	"fmt"
	"image/color"
	"math"
	"slices"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"snrlab/internal/runfile"
)

const nfeLabel = "denoiser evaluations per sample (NFE)"

// errorByNFE draws the final error of the deterministic solvers against their
// evaluations, nil if there is nothing to draw.
func (f *folder) errorByNFE() *Figure {
	sure, _ := f.split()
	var nfe, errs []float64
	var lost dropped
	for _, s := range sure {
		for _, r := range f.rows(s) {
			lost.see(r.RMSE)
			if r.RMSE > 0 {
				nfe = append(nfe, float64(r.NFE))
				errs = append(errs, r.RMSE, r.RMSELo, r.RMSEHi)
			}
		}
	}
	if len(nfe) == 0 {
		return nil
	}
	slices.Sort(nfe)
	nfe = slices.Compact(nfe)
	p := panel{
		x: countAxis(nfeLabel, nfe, f.budgets),
		y: logAxis("final error ‖x − x*‖, rms over rows", errs),
	}
	p.layers = append(p.layers, orderGuides(nfe, errs))
	for _, s := range sure {
		rows, look := f.rows(s), f.styles[s]
		p.layers = append(p.layers, func(pn pen) {
			var xs, ys []float64
			for _, r := range rows {
				pn.bar(float64(r.NFE), r.RMSELo, r.RMSEHi, 0, look.color)
				xs, ys = append(xs, float64(r.NFE)), append(ys, r.RMSE)
			}
			pn.curve(xs, ys, look)
		})
	}
	return simpleFigure("error-by-nfe",
		"Final error against evaluations: same noise, same grid family, budgets matched by NFE",
		"Distance of the final state to the end of the exact trajectory from the same noise; root mean square over the rows of the batch, bars are 95 % bootstrap intervals over rows. Dashed grey lines have the slopes of orders 1, 2 and 3."+lost.note(),
		columnWidth, 7.2*vg.Centimeter, [][]panel{{p}}, f.legend(sure))
}

// orderGuides draws lines of slope −1, −2, −3 through one point near the
// middle of the leftmost errors.
func orderGuides(nfe, errs []float64) func(pen) {
	lo, hi := nfe[0], nfe[len(nfe)-1]
	top := math.Inf(-1)
	for _, e := range errs {
		if !math.IsNaN(e) && !math.IsInf(e, 0) {
			top = math.Max(top, e)
		}
	}
	return func(p pen) {
		if !(hi > lo) || !(top > 0) {
			return
		}
		s := draw.LineStyle{Color: quiet, Width: 0.5, Dashes: []vg.Length{3, 2}}
		floor := math.Pow(10, p.y.lo)
		for order := 1.0; order <= 3; order++ {
			end := hi
			value := func(n float64) float64 { return top * math.Pow(n/lo, -order) }
			if value(end) < floor {
				end = lo * math.Pow(top/floor, 1/order)
			}
			p.line([]float64{lo, end}, []float64{value(lo), value(end)}, s)
			from, _ := p.at(lo, value(lo))
			to, ok := p.at(end, value(end))
			if !ok {
				continue
			}
			// Along the line, near its end, above it.
			angle := math.Atan2(float64(to.Y-from.Y), float64(to.X-from.X))
			label := vg.Point{X: from.X + 0.86*(to.X-from.X), Y: from.Y + 0.86*(to.Y-from.Y)}
			faint.fillTurned(p.Canvas, label, angle, 2, fmt.Sprintf("order %g", order))
		}
	}
}

// lawByNFE draws what can be said of stochastic solvers: the strong error and
// the distance of the law, with its sampling floor.
func (f *folder) lawByNFE() *Figure {
	_, random := f.split()
	var nfe, strong, sw2 []float64
	floor := 0.0
	var lost dropped
	for _, s := range random {
		for _, r := range f.rows(s) {
			nfe = append(nfe, float64(r.NFE))
			strong, sw2 = append(strong, r.Strong), append(sw2, r.SW2)
			lost.see(r.Strong, r.SW2)
			if r.SW2Floor > floor {
				floor = r.SW2Floor
			}
		}
	}
	if len(nfe) == 0 {
		return nil
	}
	slices.Sort(nfe)
	x := countAxis(nfeLabel, slices.Compact(nfe), f.budgets)
	ps := []panel{
		{title: "strong error", x: x, y: logAxis("‖x − x_{fine}‖, same Brownian path", strong)},
		{title: "error of the law", x: x, y: logAxis("sliced Wasserstein distance", append(sw2, floor))},
	}
	get := []func(runfile.SummaryRow) float64{
		func(r runfile.SummaryRow) float64 { return r.Strong },
		func(r runfile.SummaryRow) float64 { return r.SW2 },
	}
	if floor > 0 {
		ps[1].layers = append(ps[1].layers, func(p pen) {
			p.band(0, floor, color.NRGBA{128, 128, 128, 48})
			if pt, ok := p.at(math.Pow(10, p.x.lo), floor); ok {
				faint.fill(p.Canvas, vg.Point{X: pt.X + 3, Y: pt.Y - smallSize}, 0, "sampling floor")
			}
		})
	}
	for i := range ps {
		for _, s := range random {
			rows, look := f.rows(s), f.styles[s]
			ps[i].layers = append(ps[i].layers, func(p pen) {
				var xs, ys []float64
				for _, r := range rows {
					xs, ys = append(xs, float64(r.NFE)), append(ys, get[i](r))
				}
				p.curve(xs, ys, look)
			})
		}
	}
	return simpleFigure("law-by-nfe",
		"Stochastic solvers against evaluations: same noise, one Brownian path shared, same grid family",
		"Left: distance to the solver's own fine run on the same Brownian path, root mean square over rows. Right: sliced 2-Wasserstein distance to exact samples; in the grey band it cannot be told from the distance between two exact sets of this size."+lost.note(),
		pageWidth, 6.2*vg.Centimeter, [][]panel{ps}, f.legend(random))
}

// simpleFigure is a figure of panels over a legend.
func simpleFigure(name, title, caption string, width, height vg.Length, rows [][]panel, l legend) *Figure {
	return &Figure{
		Name: name, Title: title, Caption: caption,
		width: width, height: height + l.height(width),
		draw: func(c draw.Canvas) { drawPanels(l.drawAt(c), rows) },
	}
}
