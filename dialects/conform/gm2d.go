package conform

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"snrlab/dialects"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// gmSolvers and gmGrids are the names of the convergence file in ours.
var (
	gmSolvers = map[string]string{
		"euler":       "euler",
		"heun":        "heun",
		"dpm2_simple": "dpm-solver-2(form=simple)",
		"dpmpp_2m":    "dpmpp-2m",
		"ipndm4":      "ipndm",
	}
	gmGrids = map[string]string{"polynomial": "karras", "time_uniform": "time-uniform", "logsnr": "uniform-lambda"}
)

// meanDistance is the file of errors against the exact ends of the
// probability-flow ODE.
type meanDistance struct {
	Format  json.RawMessage
	Problem struct {
		Weights   []float64
		Means     dialects.Array
		Variances []float64
	}
	SigmaMax  float64                                  `json:"sigma_max"`
	SigmaMin  float64                                  `json:"sigma_min"`
	Starts    dialects.Array                           `json:"starts"`
	ExactEnds dialects.Array                           `json:"exact_ends"`
	RMSE      map[string]map[string]map[string]float64 `json:"rmse"`
	AMED      map[string]struct {
		RMSE float64
		R    []float64
	} `json:"amed_shared_r"`
}

// runConvergence runs the solvers of the file from its starts on its grids, and
// AMED [zhou2024] with the places of its midpoints that the file gives. The
// ends are good to 1e-12 and the smallest error is 1e-5, so errors agree to a
// millionth of themselves.
func runConvergence(ctx context.Context, text []byte, _ map[string]models.Denoiser, emit func(Result)) error {
	var f meanDistance
	if err := decode(text, &f); err != nil {
		return err
	}
	k := len(f.Problem.Weights)
	if f.Problem.Means.Len() != k || len(f.Problem.Means.Shape) != 2 {
		return fmt.Errorf("problem.means has shape %v: expected %d rows", f.Problem.Means.Shape, k)
	}
	dim := f.Problem.Means.Shape[1]
	if n := f.Starts.Len(); n == 0 || !f.Starts.Is(n, dim) || !f.ExactEnds.Is(n, dim) {
		return fmt.Errorf("starts has shape %v and exact_ends %v: expected n × %d both", f.Starts.Shape, f.ExactEnds.Shape, dim)
	}
	exact, err := models.NewMixture(models.Components{
		Shape: []int{dim}, Weights: f.Problem.Weights, Means: f.Problem.Means.Values, Residual: f.Problem.Variances,
	})
	if err != nil {
		return fmt.Errorf("problem: %w", err)
	}
	schedule := schedules.EDM{SMin: f.SigmaMin, SMax: f.SigmaMax}
	if err := schedule.Validate(); err != nil {
		return err
	}
	start := slices.Clone(f.Starts.Values)
	for i := range start {
		start[i] *= f.SigmaMax
	}
	grid := func(name, n string) (schedules.Grid, error) {
		spacing, err := schedules.ParseSpacing(gmGrids[name])
		if err != nil {
			return nil, fmt.Errorf("grid %q is none of the file's format: %w", name, err)
		}
		steps, err := strconv.Atoi(n)
		if err != nil {
			return nil, fmt.Errorf("%q is no number of steps", n)
		}
		return spacing.Grid(schedule, steps)
	}
	problem := solvers.Problem{Denoiser: exact, Schedule: schedule}
	report := func(id, solver string, want float64, end []float64, err error) {
		r := Result{ID: "gm2d/" + id, Peer: "gm2d", Sampler: solver, Solver: solver}
		if err != nil {
			r.Problem = err.Error()
		} else {
			var w worst
			w.see(rowDistance(end, f.ExactEnds.Values, dim), want, 1e-6*want, func() string { return "RMSE" })
			r.Share, r.Error, r.Where, r.OK = w.Share, w.Error, w.Where, w.Share <= 1
		}
		emit(r)
	}
	for _, name := range sortedKeys(f.RMSE) {
		for _, n := range sortedKeys(f.RMSE[name]) {
			g, err := grid(name, n)
			if err != nil {
				return err
			}
			for _, solver := range sortedKeys(f.RMSE[name][n]) {
				s, err := solvers.Parse(gmSolvers[solver])
				if err != nil {
					return fmt.Errorf("solver %q is none of the file's format: %w", solver, err)
				}
				problem.Grid = g
				end, err := solvers.Sample(ctx, s, problem, start)
				report(name+"/"+solver+"-n"+n, solver, f.RMSE[name][n][solver], end, err)
			}
		}
	}
	for _, key := range sortedKeys(f.AMED) {
		name, n, _ := strings.Cut(key, "-")
		g, err := grid(name, n)
		if err != nil {
			return err
		}
		if len(f.AMED[key].R) != g.Steps() {
			return fmt.Errorf("amed_shared_r[%q] has %d values of r: expected %d", key, len(f.AMED[key].R), g.Steps())
		}
		end := start
		for i, r := range f.AMED[key].R {
			problem.Grid = g[i : i+2]
			s := solvers.DPMSinglestep{Order: 2, Predict: solvers.PredictNoise, R: r, Form: solvers.Simple, SMax: math.Inf(1), SNoise: 1}
			if end, err = solvers.Sample(ctx, s, problem, end); err != nil {
				break
			}
		}
		report("amed_shared_r/"+key, "amed_shared_r", f.AMED[key].RMSE, end, err)
	}
	return ctx.Err()
}

// rowDistance is the root of the mean squared distance of rows.
func rowDistance(a, b []float64, dim int) float64 {
	sum := 0.0
	for i := range a {
		sum += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(sum / float64(len(a)/dim))
}

// sortedKeys lists the keys in order, numbers by value.
func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b string) int {
		if len(a) != len(b) && a != "" && b != "" && a[0] <= '9' && b[0] <= '9' {
			return len(a) - len(b)
		}
		return strings.Compare(a, b)
	})
	return keys
}
