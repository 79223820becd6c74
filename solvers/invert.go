package solvers

import (
	"context"
	"fmt"
	"slices"
)

// Invert carries data back to noise by DDIM inversion [song2021ddim, section
// 4.3]: it walks p.Grid from its clean end to its noisy end with
//
//	x_t = (σ_t/σ_s) x_s + (α_t − α_s σ_t/σ_s) D(x_s, s),   s cleaner than t
//
// evaluating at the cleaner level, one evaluation a step. x, rows×dim, holds
// states at the grid's last level and is not modified. It is first order, and
// not the exact inverse of the sampling step. Neither end may be a limit: at
// σ = 0 the noise in x is lost, and from α = 0 nothing leads back.
func Invert(ctx context.Context, p Problem, x []float64) ([]float64, error) {
	n := p.Grid.Steps()
	if n >= 1 && (p.Grid[n].Sigma == 0 || p.Grid[0].Alpha == 0) {
		return nil, fmt.Errorf("solvers: inversion over a grid from α = %g to σ = %g: expected both above 0", p.Grid[0].Alpha, p.Grid[n].Sigma)
	}
	s := Euler(noChurn)
	st, err := start(s, s.method(), p, x, nil)
	if err != nil {
		return nil, err
	}
	w := st.(*walk)
	slices.Reverse(w.problem.Grid)
	for _, err := range Steps(ctx, w) {
		if err != nil {
			return nil, fmt.Errorf("inversion: %w", err)
		}
	}
	return w.state, nil
}
