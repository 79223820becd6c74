package dialects

import (
	"snrlab/schedules"
	"snrlab/solvers"
)

// The program of UniPC [zhao2023]. States are variance preserving and are
// written down as the steps correct them; steps counts network calls.
//
// Its quirk vary-coeff-corrector-index: the sum over the rows of the corrector's
// matrix ends one early, and the new answer is weighted by a row before its own,
// which leaves order 1.

// unipcSample is UniPC.sample with method multistep, the only one it has.
func unipcSample(r Run) (*Translation, error) {
	vp, o := readVPTimes(r.Schedule), r.Args
	o.Text("method", "multistep")
	order := o.Int("order", 2)
	s := solvers.UniPC{Order: order, Predictor: true, Corrector: true}
	data := o.Text("algorithm_type", "data_prediction", "noise_prediction") == "data_prediction"
	if !data {
		s.Predict = solvers.PredictNoise
	}
	t := &Translation{States: Corrected, Quirks: vp.quirks}
	switch o.Text("variant", "bh1", "bh2", "vary_coeff") {
	case "bh1":
		s.Variant = solvers.BH1
	case "bh2":
		s.Variant = solvers.BH2
	case "vary_coeff":
		s.Variant = solvers.Vary
		if s.Published = order > 1; s.Published {
			t.Quirks = append(t.Quirks, "vary-coeff-corrector-index")
		}
	}
	if order < 1 || order > min(r.Steps, 6) || r.Steps > maxSteps {
		o.Fail("order", "is %d with %d steps: expected 1 to 6, and at least as many steps", order, r.Steps)
		return t, nil
	}
	if o.Text("correcting_x0_fn", "", "dynamic_thresholding") != "" && data {
		t.Wrap = readQuantile(o)
	}
	from, to := o.Float("t_start", 1), o.Float("t_end", 1/float64(vp.total))
	if !(to > 0 && from > to) {
		o.Fail("t_end", "is %g and t_start %g: expected 0 < t_end < t_start", to, from)
	}
	times := vp.between(o.Text("skip_type", "time_uniform", skipTypes...), from, to, r.Steps)
	for _, at := range times {
		t.Grid = append(t.Grid, vp.level(at))
	}
	t.Tables = vp.tables(times)
	lower := o.Bool("lower_order_final", true) && order > 1
	if lower {
		s.Final = solvers.FinalLower
	}
	if o.Bool("denoise_to_zero", false) {
		t.Grid = append(t.Grid, schedules.Level{Alpha: 1})
		if lower {
			o.Fail("denoise_to_zero", "is true with lower_order_final: the order falls a step before the last, which no solver here does")
		}
	}
	t.Solver = s
	return t, nil
}

// readQuantile reads the dynamic thresholding of the programs of DPM-Solver and
// UniPC, whose quantile is at least thresholding_max_val and has no ceiling.
func readQuantile(o *Options) wrapper {
	ratio, floor := o.Float("dynamic_thresholding_ratio", 0.995), o.Float("thresholding_max_val", 1)
	if !(ratio >= 0 && ratio <= 1) || !(floor > 0) {
		o.Fail("dynamic_thresholding_ratio", "is %g and thresholding_max_val %g: expected a fraction of the numbers, and a bound > 0", ratio, floor)
	}
	return changed(threshold{ratio, floor, noCeiling}.apply)
}
