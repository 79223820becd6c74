package models

import (
	"fmt"
	"math"
	"slices"
)

// Widened returns the mixture whose components have by times the covariance:
// below 1 a sharper law, above 1 the law of a model that blurs, with the means,
// weights and labels that it should have.
func (m *Mixture) Widened(by float64) (*Mixture, error) {
	if !(by > 0) || math.IsInf(by, 1) {
		return nil, fmt.Errorf("models: components widened by %g: expected a finite factor > 0", by)
	}
	w := &Mixture{shares: m.shares, shape: m.shape, parts: m.parts}
	p := &w.parts
	p.rows, p.l, p.resid = slices.Clone(p.rows), slices.Clone(p.l), slices.Clone(p.resid)
	for i := range p.resid {
		p.resid[i] *= by
	}
	if p.diag { // whose directions carry their own lengths
		for k := range p.k {
			for j := range p.q {
				row := p.row(k, j+1)
				for i := range row {
					row[i] *= math.Sqrt(by)
				}
			}
		}
		w.family = newDiagonal(p, w.logw)
		return w, nil
	}
	for i := range p.l {
		p.l[i] *= by
	}
	w.family = newStack(p, w.logw)
	return w, nil
}
