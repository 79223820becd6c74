package schedules

import (
	"errors"
	"math"
)

// UniformT is uniform in the schedule's own time. On a discrete schedule it
// falls between entries; the index rules do not.
type UniformT struct {
	TMin float64 `json:"tmin"` // time of the clean end; 0 for the schedule's own
	TMax float64 `json:"tmax"` // time of the noisy end; 0 for the schedule's own
	SMin float64 `json:"smin"` // the clean end by its σ/α instead; 0 for the schedule's own
	SMax float64 `json:"smax"` // the noisy end by its σ/α instead; 0 for the schedule's own
	Last Last    `json:"last"`
}

// Validate reports an end that is given twice.
func (k UniformT) Validate() error {
	if k.TMin != 0 && k.SMin != 0 || k.TMax != 0 && k.SMax != 0 {
		return errors.New("schedules: an end is given as a time and as a σ/α: choose one of tmin and smin, one of tmax and smax")
	}
	return nil
}

// Grid returns the levels of n steps.
func (k UniformT) Grid(s Schedule, n int) (Grid, error) {
	return k.powerGrid(s, n, 1)
}

func (k UniformT) String() string { return Spacings().Format("uniform-t", k) }

// Quadratic is uniform in √t:
//
//	t_i = (√t_max + i/N (√t_min − √t_max))².
type Quadratic struct {
	TMin float64 `json:"tmin"` // time of the clean end; 0 for the schedule's own
	TMax float64 `json:"tmax"` // time of the noisy end; 0 for the schedule's own
	SMin float64 `json:"smin"` // the clean end by its σ/α instead; 0 for the schedule's own
	SMax float64 `json:"smax"` // the noisy end by its σ/α instead; 0 for the schedule's own
	Last Last    `json:"last"`
}

// Validate reports an end that is given twice.
func (k Quadratic) Validate() error { return UniformT(k).Validate() }

// Grid returns the levels of n steps. Times must not be negative.
func (k Quadratic) Grid(s Schedule, n int) (Grid, error) {
	return UniformT(k).powerGrid(s, n, 2)
}

func (k Quadratic) String() string { return Spacings().Format("quadratic", k) }

// powerGrid is uniform in t^{1/p}.
func (k UniformT) powerGrid(s Schedule, n int, p float64) (Grid, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	sp, err := newSpan(s, n, k.Last, k.SMin, k.SMax)
	if err != nil {
		return nil, err
	}
	if err := sp.cut(k.TMin, k.TMax); err != nil {
		return nil, err
	}
	a, b := math.Pow(sp.noisy.T, 1/p), math.Pow(sp.clean.T, 1/p)
	return sp.grid(func(u float64) Level { return s.At(math.Pow(mix(a, b, u), p)) })
}
