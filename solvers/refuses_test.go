package solvers_test

import (
	"context"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// begins starts a solver on a problem of gm2d whose denoiser counts.
func begins(s solvers.Solver, g schedules.Grid, on schedules.Schedule, d models.Denoiser) (solvers.Stepper, error) {
	noise, err := solvers.NoiseFor(s, solvers.RowKeys(rng.New(7), 0, 2), 2)
	if err != nil {
		return nil, err
	}
	return s.Start(solvers.Problem{Denoiser: d, Grid: g, Schedule: on, Noise: noise}, []float64{1, 2, 3, 4})
}

// An order that no registered method has is refused, whether it is an option or a
// part of the name, before the denoiser is asked.
func TestRegistry_Refuses_Orders(t *testing.T) {
	on := schedules.EDM{SMin: 0.02, SMax: 20}
	g, err := schedules.Karras{Rho: 7}.Grid(on, 8)
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	for _, e := range solvers.Registry().Entries {
		v := reflect.New(reflect.TypeOf(e.Default)).Elem()
		v.Set(reflect.ValueOf(e.Default))
		if v.Kind() != reflect.Struct || !v.FieldByName("Order").IsValid() {
			continue
		}
		seen++
		for _, order := range []int64{-1, 0, 7, 1 << 40} {
			v.FieldByName("Order").SetInt(order)
			counter := models.NewCounter(models.GM2D())
			_, err := begins(v.Interface().(solvers.Solver), g, on, counter)
			if err == nil || !strings.Contains(err.Error(), "order") || counter.Calls() > 0 {
				t.Errorf("%s of order %d: %d evaluations and the error %v", e.Name, order, counter.Calls(), err)
			}
		}
	}
	if seen < 15 {
		t.Errorf("%d solvers have an order", seen)
	}
}

// Every numeric option of every registered solver refuses NaN, and a negative
// number unless it has a meaning, by its name.
func TestRegistry_Refuses_Options(t *testing.T) {
	signed := []string{"c", "gamma"} // factors of a difference, which may turn it round
	for _, e := range solvers.Registry().Entries {
		for _, field := range spec.Fields(e.Default) {
			for _, value := range []string{"NaN", "-1"} {
				text := fmt.Sprintf("%s(%s=%s)", e.Name, field, value)
				_, err := solvers.Parse(text)
				if value == "-1" && slices.Contains(signed, field) {
					continue
				}
				if err == nil || !strings.Contains(err.Error(), field) {
					t.Errorf("%s gives %v", text, err)
				}
			}
		}
	}
}

// deaf is a model of ε that counts.
type deaf struct{ calls int }

func (d *deaf) Shape() []int { return []int{2} }

func (d *deaf) Predict(_ context.Context, dst []float64, _ models.Query) error {
	d.calls++
	clear(dst)
	return nil
}

// A model of ε says nothing of x₀ at zero signal-to-noise ratio: a run from there
// ends with an error that says so before the model is asked, with every solver.
func TestRegistry_Refuses_EpsAtZeroSNR(t *testing.T) {
	on := schedules.RF{Shift: 1}
	g := schedules.Grid{{T: 1, Sigma: 1}, on.At(0.7), on.At(0.4), on.At(0.1)}
	for _, e := range solvers.Registry().Entries {
		model := &deaf{}
		// What needs an exact model is refused at the start, for want of one.
		st, err := begins(e.Default, g, on, models.FromRaw(models.Eps{}, model))
		if err == nil {
			_, err = st.Step(t.Context())
		}
		if err == nil || model.calls > 0 || !strings.Contains(err.Error(), "ε does not determine x₀ at α = 0") && !strings.Contains(err.Error(), "exact") {
			t.Errorf("%s: %d evaluations and the error %v", e.Name, model.calls, err)
		}
	}
}

// Rules of the last steps, and of steps and levels by name, refuse a grid that ends
// before them; on the next longer one they are walked.
func TestFitsGrid_Refuses(t *testing.T) {
	on := schedules.EDM{SMin: 0.02, SMax: 20}
	spaced := func(n int, last schedules.Last) schedules.Grid {
		g, err := schedules.Karras{Rho: 7, Last: last}.Grid(on, n)
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	from := func(noise ...float64) (g schedules.Grid) {
		for _, s := range noise {
			g = append(g, on.At(s))
		}
		return g
	}
	for _, tc := range []struct {
		solver     string
		bad, good  schedules.Grid
		complaints string
	}{
		{"dpm-solver-3(short=3)", spaced(1, schedules.LastMin), spaced(2, schedules.LastMin), "short = 3 shortens the last 2"},
		{"dpm-solver-3(short=3)", spaced(2, schedules.LastZero), spaced(3, schedules.LastZero), "of which the grid has 1"},
		{"dpmpp-3s(short=2)", spaced(1, schedules.LastZero), spaced(1, schedules.LastMin), "short = 2"},
		{"dpm-solver-2(short=1)", spaced(1, schedules.LastZero), spaced(2, schedules.LastZero), "short = 1"},
		{"unipc(skip=[0,3])", spaced(3, schedules.LastMin), spaced(4, schedules.LastMin), "the grid has 3 steps"},
		{"restart(intervals=[0.06:0.3:2])", from(20, 5, 1), from(20, 1, 0.1), "no level in [0.06, 0.3]"},
		{"restart(intervals=[1:3:2])", from(0.5, 0.1), from(3, 1, 0.1), "no level in [1, 3]"},
		{"consistency(smin=0.05)", from(20, 1, 0.02), from(20, 1, 0.05), "smin = 0.05"},
		{"amed(r=[0.5,0.4])", spaced(3, schedules.LastMin), spaced(2, schedules.LastMin), "2 numbers"},
		{"epd(k=1,r=[0.5,0.4],w=1)", spaced(3, schedules.LastMin), spaced(2, schedules.LastMin), "2 numbers"},
		{"predictor-corrector(predictor=dpm-solver-3(short=3))", spaced(1, schedules.LastMin), spaced(2, schedules.LastMin), "short = 3"},
	} {
		s := parse(t, tc.solver)
		counter := models.NewCounter(models.GM2D())
		_, err := begins(s, tc.bad, on, counter)
		if err == nil || !strings.Contains(err.Error(), tc.complaints) || counter.Calls() > 0 {
			t.Errorf("%s over %d steps: %d evaluations and the error %v", tc.solver, tc.bad.Steps(), counter.Calls(), err)
		}
		if err := solvers.FitsGrid(s, tc.bad); err == nil {
			t.Errorf("%s fits a grid that it refuses", tc.solver)
		}
		st, err := begins(s, tc.good, on, counter)
		if err != nil {
			t.Errorf("%s over %d steps: %v", tc.solver, tc.good.Steps(), err)
			continue
		}
		for _, err := range solvers.Steps(t.Context(), st) {
			if err != nil {
				t.Errorf("%s over %d steps: %v", tc.solver, tc.good.Steps(), err)
			}
		}
	}
}
