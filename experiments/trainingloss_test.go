package experiments

import (
	"testing"

	"snrlab/internal/race"
	"snrlab/internal/study"
)

// A small run tells the same as the whole one, of what does not hang on the number of
// draws.
func TestWeightsEquivalence(t *testing.T) {
	race.Measures(t)
	s := shrunk(t, "weights-equivalence", "rows", "2048", "draws", "2048", "levels", "33", "objectives", "eps-cosine,v-cosine", "densities", "cosine,log-normal", "denoisers", "scaled")
	for claim, want := range map[string]study.Verdict{
		"The expected loss depends on p·ω alone": study.Yes,
		"The variance does not stay":             study.Yes,
		"For the gradient of a network the same": study.Yes,
		"Stratified levels never cost more":      study.Yes,
		"The density p* ∝ w √E l² has the least": study.Yes,
	} {
		if got := verdict(t, s, claim); got != want {
			t.Errorf("%s: %s, expected %s", claim, got, want)
		}
	}
	// The mean gradient does not depend on the density, the variance does.
	g := s.Table("gradient")
	length, variance := g.Index("length"), g.Index("variance")
	for i := range 3 {
		a, b := g.Rows[0][length].(float64), g.Rows[i][length].(float64)
		if a/b-1 > 1e-3 || b/a-1 > 1e-3 {
			t.Errorf("mean gradients of the lengths %g and %g", a, b)
		}
		if v := g.Rows[i][variance].(float64); v < g.Rows[0][variance].(float64)*(1-1e-3) {
			t.Errorf("the density of row %d has the variance %g, below the best, %g", i, v, g.Rows[0][variance])
		}
	}
}

func TestDifficulty(t *testing.T) {
	s := shrunk(t, "difficulty", "models", "gm2d", "rows", "512", "levels", "29", "denoisers", "exact,gaussian", "pivots", "0")
	for claim, want := range map[string]study.Verdict{
		"The loss of the exact denoiser of gm2d is its entropy": study.Yes,
		"On gm2d the loss of a denoiser is that of the exact":   study.Yes,
		"On gm2d levels are tasks of unequal difficulty":        study.Yes,
	} {
		if got := verdict(t, s, claim); got != want {
			t.Errorf("%s: %s, expected %s", claim, got, want)
		}
	}
}

func TestLearnedSchedule(t *testing.T) {
	race.Measures(t)
	s := shrunk(t, "learned-schedule", "models", "gm2d", "rows", "1024", "draws", "4000", "levels", "61", "knots", "21", "rounds", "2", "bins", "8", "steps", "8")
	for claim, want := range map[string]study.Verdict{
		"On gm2d the learned schedule has at most half of the variance of the cosine schedule, for the objective elbo":       study.Yes,
		"On gm2d the learned schedule has at most half of the variance of the cosine schedule, for the objective eps-cosine": study.Yes,
		"The learned density is p* ∝ w √E l² within 10 % in every bin: gm2d, elbo":                                           study.Yes,
		"The expected loss depends on the ends of the schedule alone: gm2d, elbo":                                            study.Yes,
		"Equal times of the schedule of constant local error":                                                                study.Yes,
	} {
		if got := verdict(t, s, claim); got != want {
			t.Errorf("%s: %s, expected %s", claim, got, want)
		}
	}
}

func TestTrainingLoss_Refuses(t *testing.T) {
	for _, c := range [][3]string{
		{"weights-equivalence", "min", "9"},
		{"weights-equivalence", "densities", "uniform(min=-2,max=2)"}, // narrower than the objectives
		{"weights-equivalence", "denoisers", "perfect"},
		{"weights-equivalence", "objectives", "sd4"},
		{"difficulty", "rows", "100"},
		{"difficulty", "pivots", "30"},
		{"difficulty", "models", "gm2d,nothing"},
		{"learned-schedule", "max", "-20"},
		{"learned-schedule", "knots", "1"},
		{"learned-schedule", "cosine", "bins(edges=[0,1],mass=[2])"},
	} {
		r, err := Load(c[0])
		if err != nil {
			t.Fatal(err)
		}
		err = r.Set(c[1], c[2])
		if err == nil {
			_, err = r.Plan(Options{})
		}
		if err == nil {
			t.Errorf("%s with %s = %s was accepted", c[0], c[1], c[2])
		}
	}
}
