package schedules

import (
	"fmt"
	"math"

	"snrlab/snr"
)

// List is a grid written out, noisy to clean: as σ/α, as λ or as times, exactly
// one of the three. Nothing is appended or altered, and the number of steps is
// one less than the number of levels. σ/α = 0 and λ = ±Inf are legal where the
// schedule's path has them.
//
// List is used by pointer, so that spacings stay comparable.
type List struct {
	Sigmas  []float64 `json:"sigmas,omitempty"`
	Lambdas []float64 `json:"lambdas,omitempty"`
	Times   []float64 `json:"times,omitempty"`
}

// Validate reports a list that is given in no way or in several.
func (k *List) Validate() error {
	given := 0
	for _, l := range [][]float64{k.Sigmas, k.Lambdas, k.Times} {
		if len(l) > 0 {
			given++
		}
	}
	if given != 1 {
		return fmt.Errorf("schedules: list is given in %d ways: expected one of sigmas, lambdas and times", given)
	}
	if steps := k.Steps(); steps < 1 {
		return fmt.Errorf("schedules: list has %d level: expected at least 2", steps+1)
	}
	return nil
}

// Steps returns the number of steps, one less than the levels.
func (k *List) Steps() int { return len(k.Sigmas) + len(k.Lambdas) + len(k.Times) - 1 }

// Grid returns the levels as written; n must be their number of steps.
func (k *List) Grid(s Schedule, n int) (Grid, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	if n != k.Steps() {
		return nil, fmt.Errorf("schedules: list has %d steps and %d were asked for: a list is never altered", k.Steps(), n)
	}
	if err := validate(s); err != nil {
		return nil, err
	}
	g := make(Grid, 0, n+1)
	for _, noise := range k.Sigmas {
		switch {
		case !(noise >= 0):
			return nil, fmt.Errorf("schedules: list has σ/α = %g: expected numbers ≥ 0", noise)
		case noise == 0:
			g = append(g, cleanLevel(s))
		default:
			g = append(g, levelAtNoise(s, noise))
		}
	}
	for _, l := range k.Lambdas {
		if math.IsInf(l, 1) {
			g = append(g, cleanLevel(s))
			continue
		}
		g = append(g, LevelAt(s, snr.LogSNR(l)))
	}
	for _, t := range k.Times {
		g = append(g, s.At(t))
	}
	return checked(g)
}

func (k *List) String() string { return Spacings().Format("list", k) }
