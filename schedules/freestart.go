package schedules

import (
	"fmt"
	"math"
)

// FreeStart is a grid for solvers whose first step asks the denoiser nothing, as
// gaussian-secant's with free = true. Its first step is long, from the noisy end to
//
//	ŝ_1 = 1/(1/x + 1/ŝ_0),   x = √T (n − 1)/4
//
// and the n − 1 steps after it are [ArctanLog] with c = T/10 and k = 1/(5 (n − 1)):
// the only number is the total variance of the data, T = E|x₀ − E x₀|². The
// constants were chosen for gaussian-secant on the mean over five exact models of
// dimensions 2 to 784 at 5 to 20 evaluations; see docs/own-method.md.
type FreeStart struct {
	Total float64 `json:"total"` // T, in units of x₀²
	SMin  float64 `json:"smin"`  // σ/α of the clean end; 0 for the schedule's own
	SMax  float64 `json:"smax"`  // σ/α of the noisy end; 0 for the schedule's own
	Last  Last    `json:"last"`
}

// Validate reports a variance that is not positive.
func (f FreeStart) Validate() error {
	if !(f.Total > 0) || math.IsInf(f.Total, 1) {
		return fmt.Errorf("schedules: free-start has total = %g: expected a finite total variance > 0", f.Total)
	}
	return nil
}

// Grid returns the levels of n steps; one step goes from end to end.
func (f FreeStart) Grid(s Schedule, n int) (Grid, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	sp, err := newSpan(s, n, f.Last, f.SMin, f.SMax)
	if err != nil {
		return nil, err
	}
	if n == 1 {
		return sp.grid(nil) // no level lies between
	}
	if sp.clean.Sigma == 0 {
		return nil, sp.finite("free-start", true)
	}
	asked := float64(n - 1)
	first := 1 / (4/(math.Sqrt(f.Total)*asked) + 1/sp.noisy.Noise())
	if !(first > sp.clean.Noise()) {
		return nil, fmt.Errorf("schedules: free-start of %d steps goes to σ/α = %g first, below the clean end %g: expected a larger total than %g, or a smaller smin", n, first, sp.clean.Noise(), f.Total)
	}
	rest, err := ArctanLog{C: f.Total / 10, K: 1 / (5 * asked), SMin: f.SMin, SMax: first, Last: f.Last}.Grid(s, n-1)
	if err != nil {
		return nil, err
	}
	return append(Grid{sp.noisy}, rest...), nil
}

func (f FreeStart) String() string { return Spacings().Format("free-start", f) }
