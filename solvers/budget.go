package solvers

import (
	"fmt"

	"snrlab/schedules"
)

// StepsFor returns the largest number of steps n whose run over grid(n) costs
// at most nfe evaluations, and whether it costs exactly nfe. It fails if one
// step already costs more. grid must cost no fewer evaluations for more steps.
func StepsFor(s Solver, nfe int, grid func(n int) (schedules.Grid, error)) (n int, exact bool, err error) {
	cost := func(n int) (int, error) {
		g, err := grid(n)
		if err != nil {
			return 0, fmt.Errorf("solvers: %s: grid of %d steps: %w", s, n, err)
		}
		return s.NFE(g), nil
	}
	c, err := cost(1)
	if err != nil {
		return 0, false, err
	}
	if c > nfe {
		return 0, false, fmt.Errorf("solvers: %s: a budget of %d evaluations is too small: one step needs %d", s, nfe, c)
	}
	// Every step costs at least one evaluation, but for a first one that some
	// methods take for nothing: the answer is in [lo, hi].
	lo, hi, at := 1, nfe+1, c
	for lo < hi {
		mid := (lo + hi + 1) / 2
		if c, err = cost(mid); err != nil {
			return 0, false, err
		}
		if c <= nfe {
			lo, at = mid, c
		} else {
			hi = mid - 1
		}
	}
	return lo, at == nfe, nil
}
