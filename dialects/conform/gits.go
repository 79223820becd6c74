package conform

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"

	"snrlab/dialects"
	"snrlab/models"
	"snrlab/solvers"
)

// search is one schedule search by the GITS rule [chen2024gits].
type search struct {
	Problem, Metric string
	Coeff           float64
	Teacher         int                        `json:"num_steps_teacher"`
	Schedule        map[string]json.RawMessage `json:"schedule"`
	Solver          string                     `json:"solver_teacher"`
	Latents         dialects.Array             `json:"latents_unit"`
	Costs           dialects.Array             `json:"cost_matrix"`
	Lists           map[string][]int           `json:"dp_lists"`
}

// runSearches walks the teacher along all its levels and repeats the searches.
func runSearches(ctx context.Context, text []byte, problems map[string]models.Denoiser, emit func(Result)) error {
	var file struct {
		Format   json.RawMessage
		Sources  json.RawMessage
		Searches []search
	}
	if err := decode(text, &file); err != nil {
		return err
	}
	for _, s := range file.Searches {
		r := Result{ID: fmt.Sprintf("tables/gits/%s-%g-%d", s.Metric, s.Coeff, s.Teacher), Peer: "diff-sampler", Sampler: "gits"}
		w, err := s.run(ctx, problems[s.Problem])
		r.Share, r.Error, r.Where, r.OK = w.Share, w.Error, w.Where, err == nil && w.Share <= 1
		if err != nil {
			r.Problem = err.Error()
		}
		emit(r)
	}
	return ctx.Err()
}

func (s search) run(ctx context.Context, exact models.Denoiser) (w worst, err error) {
	if exact == nil {
		return w, fmt.Errorf("unknown problem %q", s.Problem)
	}
	dim := models.Dim(exact)
	if !s.Latents.Is(s.Latents.Len(), dim) || !s.Costs.Is(s.Teacher, s.Teacher) {
		return w, fmt.Errorf("latents_unit has shape %v and cost_matrix %v: expected rows × %d and %d × %d", s.Latents.Shape, s.Costs.Shape, dim, s.Teacher, s.Teacher)
	}
	t, err := dialects.Translate(dialects.Run{
		Peer: "diff-sampler", Sampler: s.Solver + "_sampler", Steps: s.Teacher, Schedule: dialects.NewOptions(s.Schedule),
	})
	if err != nil {
		return w, err
	}
	x := slices.Clone(s.Latents.Values)
	for i := range x {
		x[i] *= t.StartScale
	}
	walk := dialects.Walk{Sigmas: t.Tables["t_steps"], X: [][]float64{x}, Dim: dim}
	_, err = t.Sample(ctx, exact, x, nil, func(step solvers.Step) error {
		from := walk.X[len(walk.X)-1]
		slope := make([]float64, len(from))
		for i := range slope {
			slope[i] = (from[i] - step.Denoised[i]) / step.From.Sigma
		}
		walk.D = append(walk.D, slope)
		walk.X = append(walk.X, slices.Clone(step.X))
		return nil
	})
	if err != nil {
		return w, err
	}
	cost, err := dialects.GITSCosts(s.Metric, walk)
	if err != nil {
		return w, err
	}
	// Euler walks reach any next level exactly: what is left is rounding, which
	// differences of states of size 100 leave at 1e-14.
	w.seeAll(slices.Concat(cost...), s.Costs.Values, s.Teacher, 1e-9*max(1, largest(s.Costs.Values)), "cost")
	for _, points := range sortedKeys(s.Lists) {
		n, err := strconv.Atoi(points)
		if err != nil {
			return w, fmt.Errorf("dp_lists has %q: expected a number of levels", points)
		}
		route, err := dialects.GITSRoute(cost, n, s.Coeff)
		if err != nil {
			return w, err
		}
		if !slices.Equal(route, s.Lists[points]) {
			w.fail(fmt.Sprintf("the route through %d levels is %v, the record has %v", n, route, s.Lists[points]))
		}
	}
	return w, nil
}
