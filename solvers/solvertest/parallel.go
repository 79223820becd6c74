package solvertest

import (
	"testing"

	"snrlab/schedules"
	"snrlab/solvers"
)

// RunParallel checks a solver that advances each row by as many levels of the
// grid as its error allows, see [solvers.ParaDiGMS]: what [RunAdaptive] checks,
// but for what follows from steps that such a solver does not choose.
func RunParallel(t *testing.T, s solvers.Solver) {
	if p := s.Properties(); !p.Adaptive || p.Coupled {
		t.Fatalf("solvertest: %s: RunParallel checks adaptive solvers whose rows are independent", s)
	}
	t.Run("Parse", func(t *testing.T) { parses(t, s) })
	t.Run("Evaluations", func(t *testing.T) { adaptiveEvaluations(t, s) })
	t.Run("Rows", func(t *testing.T) { adaptiveRows(t, s) })
	t.Run("Resume", func(t *testing.T) { adaptiveResumes(t, s) })
	t.Run("Retry", func(t *testing.T) { adaptiveFails(t, s) })
	t.Run("Alloc", func(t *testing.T) {
		vp := schedule(schedules.VPPath{})
		adaptiveAllocatesOn(t, s, named{"many", grid(t, schedules.Karras{Rho: 7}, vp, 400), vp})
	})
	t.Run("Inputs", func(t *testing.T) { inputs(t, s) })
	t.Run("Refuses", func(t *testing.T) { refuses(t, s) })
	t.Run("Ends", func(t *testing.T) { ends(t, s) })
	if !s.Properties().Stochastic && s.Properties().PathFree {
		t.Run("PathFree", func(t *testing.T) { adaptivePathFree(t, s) })
	}
}
