package conform

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"

	"snrlab/dialects"
	"snrlab/models"
	"snrlab/solvers"
)

// Result is what became of one case.
type Result struct {
	ID      string  `json:"id"`
	Peer    string  `json:"peer"`
	Sampler string  `json:"sampler"` // or the name of a table
	Solver  string  `json:"solver,omitempty"`
	NFE     int     `json:"nfe"`
	OK      bool    `json:"ok"`
	Share   float64 `json:"share"`           // of the tolerance that the worst comparison used
	Error   float64 `json:"error"`           // the difference there
	Where   string  `json:"where,omitempty"` // and what it was
	Problem string  `json:"problem,omitempty"`
}

// run translates and replays a case.
func (c *recorded) run(ctx context.Context, problems map[string]models.Denoiser) (r Result) {
	r = Result{ID: c.ID, Peer: c.Peer, Sampler: c.Sampler}
	fail := func(err error) Result {
		r.OK, r.Problem, r.Share, r.Error = false, err.Error(), 0, 0
		return r
	}
	exact, ok := problems[c.Problem]
	if !ok {
		return fail(fmt.Errorf("unknown problem %q", c.Problem))
	}
	if err := c.validate(models.Dim(exact)); err != nil {
		return fail(err)
	}
	asked := c.asked(models.Dim(exact))
	t, err := dialects.Translate(asked)
	if err != nil {
		return fail(err)
	}
	r.Solver = t.Solver.String()
	if n := t.Grid.Steps(); n > c.NFE+1 { // an analytic first step asks nothing
		return fail(fmt.Errorf("the translation takes %d steps, the record has %d calls", n, c.NFE))
	}
	var w worst
	c.compareTables(t, &w)
	c.compareQuirks(t, &w)
	c.compareStart(t, &w)
	ours, err := c.replay(ctx, t, exact, nil)
	if err != nil {
		return fail(err)
	}
	r.NFE = len(ours.calls)
	c.compareCalls(ours.calls, &w)
	c.compareStates(ours.states, &w)
	c.compareAttempts(ours.attempts, &w)
	if err := c.compareMean(ctx, t, exact, &w); err != nil {
		return fail(err)
	}
	r.Share, r.Error, r.Where = w.Share, w.Error, w.Where
	r.OK = w.Share <= 1
	if math.IsInf(w.Share, 1) {
		return fail(fmt.Errorf("%s", w.Where))
	}
	return r
}

// inputs are tables that a program is given rather than makes.
var inputs = map[string]bool{"stat_l": true, "stat_s": true, "stat_b": true, "indexes": true}

// asked is the case as another program's request.
func (c *recorded) asked(dim int) dialects.Run {
	given := map[string]json.RawMessage{}
	if c.Amed != nil {
		given["amed"] = c.Amed
	}
	for name, a := range c.Tables {
		if inputs[name] {
			given[name] = a.JSON()
		}
	}
	return dialects.Run{
		Peer: c.Peer, Sampler: c.Sampler, Steps: c.NumSteps, Dim: dim,
		Config: dialects.NewOptions(c.Config), Schedule: dialects.NewOptions(c.Schedule), Args: dialects.NewOptions(c.Args),
		SetTimesteps: dialects.NewOptions(c.SetTimesteps), Step: dialects.NewOptions(c.Step), Given: dialects.NewOptions(given),
	}
}

// tolerance is what a number may be off by, where such numbers reach scale: a
// billionth of the scale, times what the run makes of a small change. Runs on
// 32-bit tables are as far from a run in double precision as the record says.
func (c *recorded) tolerance(scale float64) float64 {
	if c.Precision == "as_shipped" {
		return max(1e-5, 4**c.GapToFloat64) * max(1, scale/max(1, c.XScale))
	}
	return 1e-9 * max(1, c.XScale, scale) * max(1, c.Sensitivity)
}

// level is what a noise level or another number of a table may be off by, whose
// largest number is most: a billionth, or what single says of 32-bit numbers. A
// number near 0 among large ones has half a unit in the last place of the largest.
func (c *recorded) level(v, most float64) float64 {
	if c.Precision == "as_shipped" {
		return single(v, most)
	}
	return max(1e-9*math.Abs(v), 0x1p-53*most)
}

// compareTables holds the program's tables against ours.
func (c *recorded) compareTables(t *dialects.Translation, w *worst) {
	all := map[string]dialects.Array{}
	for name, a := range c.Tables {
		if !inputs[name] {
			all[name] = a
		}
	}
	if c.CoeffList != nil {
		all["coeff_list"] = *c.CoeffList
	}
	for name, want := range all {
		got, ok := t.Tables[name]
		if !ok {
			w.fail(fmt.Sprintf("the translation has no table %q", name))
			return
		}
		if len(got) != len(want.Values) {
			w.fail(fmt.Sprintf("table %s has %d numbers, the record %d", name, len(got), len(want.Values)))
			return
		}
		most := largest(want.Values)
		for i, v := range want.Values {
			tol := c.level(v, most)
			if c.Precision == "as_shipped" && name == "lambda" {
				tol = singleLambda(want.Values)
			}
			w.see(got[i], v, tol, func() string { return fmt.Sprintf("table %s[%d]", name, i) })
		}
	}
	for name := range t.Tables {
		if _, ok := all[name]; !ok {
			w.fail(fmt.Sprintf("the translation has a table %q that the record lacks", name))
		}
	}
}

// compareQuirks fails for what the program is recorded to get wrong and the
// translation does not name, and for names that nobody has explained.
func (c *recorded) compareQuirks(t *dialects.Translation, w *worst) {
	for _, q := range c.Quirks {
		if !slices.Contains(t.Quirks, q) {
			w.fail(fmt.Sprintf("the translation names the quirks %q, the record %q", t.Quirks, c.Quirks))
		}
	}
	for _, q := range t.Quirks {
		if !slices.Contains(dialects.QuirkNames(), q) {
			w.fail(fmt.Sprintf("the translation names a quirk %q that is not in the list", q))
		}
	}
}

// compareStart holds the first state against the program's latents.
func (c *recorded) compareStart(t *dialects.Translation, w *worst) {
	if c.LatentsUnit == nil {
		return
	}
	if t.StartScale == 0 {
		w.fail("the translation does not say how latents become the first state")
		return
	}
	scaled := make([]float64, len(c.LatentsUnit.Values))
	for i, v := range c.LatentsUnit.Values {
		scaled[i] = t.StartScale * v
	}
	w.seeAll(scaled, c.XInit.Values, c.dim(), c.tolerance(largest(c.XInit.Values)), "first state")
}

func (c *recorded) dim() int { return c.XInit.Shape[1] }

// replayed is what a run of ours did.
type replayed struct {
	states   [][]float64
	calls    []seen
	attempts []solvers.RowStep // of the first row, where the solver chooses its steps
}

// replay runs a translation on the recorded draws, or on others in their place.
func (c *recorded) replay(ctx context.Context, t *dialects.Translation, exact models.Denoiser, draws [][]float64) (*replayed, error) {
	if draws == nil {
		for i := range c.Noises.Len() {
			draws = append(draws, c.Noises.At(i))
		}
	}
	var noise solvers.Noise
	inOrder, taken := solvers.NewReplay(draws), &accepted{draws: draws}
	switch {
	case t.DrawsAccepted:
		noise = taken
	case t.Draw == nil && t.Draws > 0:
		return nil, fmt.Errorf("the translation plans %d draws and does not say which answer what", t.Draws)
	case t.Draw == nil:
		noise = inOrder
	case t.Draws != len(draws):
		return nil, fmt.Errorf("the translation plans %d draws, the record has %d", t.Draws, len(draws))
	default:
		noise = &planned{draws: draws, plan: t.Draw}
	}
	w := &witness{Denoiser: exact}
	r := &replayed{}
	if t.States == dialects.PerStep || t.States == dialects.Corrected {
		r.states = append(r.states, c.XInit.Values)
	}
	final, err := t.Sample(ctx, w, c.XInit.Values, noise, func(s solvers.Step) error {
		taken.see(s)
		if len(s.Rows) > 0 {
			r.attempts = append(r.attempts, s.Rows[0])
		}
		switch s := s.Clone(); t.States {
		case dialects.PerStep:
			r.states = append(r.states, s.X)
		case dialects.Corrected:
			if s.Corrected != nil {
				r.states[len(r.states)-1] = s.Corrected
			}
			r.states = append(r.states, s.X)
		}
		return nil
	})
	switch {
	case err != nil:
		return nil, err
	case t.DrawsAccepted && taken.done != len(draws):
		return nil, fmt.Errorf("%d steps were accepted, the record has %d draws", taken.done, len(draws))
	case t.Draw == nil && !t.DrawsAccepted && inOrder.Left() > 0:
		return nil, fmt.Errorf("%d of %d recorded draws were not asked for", inOrder.Left(), len(draws))
	}
	switch t.States {
	case dialects.PerCall:
		for _, k := range w.calls {
			r.states = append(r.states, k.x)
		}
		r.states = append(r.states, final)
	case dialects.EndsOnly:
		r.states = [][]float64{c.XInit.Values, final}
	}
	r.calls = w.calls
	return r, nil
}

// compareCalls holds every network call against ours: the level, the state and
// the answer. What is compared is x/α; x itself at α = 0. A level that went past
// pure noise, to a negative α, is that of −x at −α.
func (c *recorded) compareCalls(calls []seen, w *worst) {
	for i, k := range calls[:min(len(calls), len(c.Calls))] {
		want := c.Calls[i]
		alpha, sigma := want.Alpha.Values[0], want.Sigma.Values[0]
		at := func() string { return fmt.Sprintf("call %d", i) }
		w.see(k.at.Noise(), sigma/math.Abs(alpha), c.level(sigma/alpha, 0), func() string { return at() + ", level" })
		ours, theirs := scaled(k.x, k.at.Alpha), scaled(want.XIn.Values, alpha)
		w.seeAll(ours, theirs, c.dim(), c.tolerance(largest(theirs)), at()+", state")
		w.seeAll(k.d, want.X0.Values, c.dim(), c.tolerance(largest(want.X0.Values)), at()+", answer")
	}
	if len(calls) != len(c.Calls) {
		w.fail(fmt.Sprintf("%d calls, the record has %d", len(calls), len(c.Calls)))
	}
}

// scaled divides by α where it can.
func scaled(x []float64, alpha float64) []float64 {
	if alpha == 0 {
		return x
	}
	out := make([]float64, len(x))
	for i, v := range x {
		out[i] = v / alpha
	}
	return out
}

func (c *recorded) compareStates(states [][]float64, w *worst) {
	if len(states) != c.States.Len() {
		w.fail(fmt.Sprintf("%d states, the record has %d", len(states), c.States.Len()))
		return
	}
	for i, s := range states {
		want := c.States.At(i)
		w.seeAll(s, want, c.dim(), c.tolerance(largest(want)), fmt.Sprintf("state %d", i))
	}
	w.seeAll(states[len(states)-1], c.XFinal.Values, c.dim(), c.tolerance(0), "result")
}

// compareAttempts holds every attempt of a method that chooses its steps against
// the record, where that has them: its error in tolerances, and where it led to.
func (c *recorded) compareAttempts(attempts []solvers.RowStep, w *worst) {
	if c.Adaptive == nil {
		return
	}
	if len(attempts) != len(c.Adaptive) {
		w.fail(fmt.Sprintf("%d attempts, the record has %d", len(attempts), len(c.Adaptive)))
		return
	}
	accepted := 0
	for i, want := range c.Adaptive {
		got := attempts[i]
		at := got.From
		if !got.Rejected {
			at = got.To
			accepted++
		}
		w.see(got.ErrEst, want.Error, c.tolerance(0), func() string { return fmt.Sprintf("attempt %d, error", i) })
		w.see(-math.Log(at.Noise()), want.T, c.tolerance(0), func() string { return fmt.Sprintf("attempt %d, level", i) })
		if accepted != want.Accepted || i+1-accepted != want.Rejected {
			w.fail(fmt.Sprintf("after attempt %d %d are accepted, in the record %d", i, accepted, want.Accepted))
		}
	}
}

// compareMean repeats the run with the last draw at zero: the result without
// its own noise.
func (c *recorded) compareMean(ctx context.Context, t *dialects.Translation, exact models.Denoiser, w *worst) error {
	if c.XFinalMean == nil {
		return nil
	}
	var draws [][]float64
	for i := range c.Noises.Len() {
		draws = append(draws, c.Noises.At(i))
	}
	draws[len(draws)-1] = make([]float64, len(c.XInit.Values))
	ours, err := c.replay(ctx, t, exact, draws)
	if err != nil {
		return err
	}
	w.seeAll(ours.states[len(ours.states)-1], c.XFinalMean.Values, c.dim(), c.tolerance(0), "mean of the result")
	return nil
}
