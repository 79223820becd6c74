package dialects

import (
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// asked is a run of a class of diffusers.
func asked(t *testing.T, class string, n int, config, set, step string) Run {
	t.Helper()
	return Run{Peer: "diffusers", Sampler: class, Steps: n, Dim: 2, Config: options(t, config), SetTimesteps: options(t, set), Step: options(t, step)}
}

func TestDDIM_Refuses(t *testing.T) {
	for _, c := range []struct {
		run  Run
		want string
	}{
		{asked(t, "DDIMScheduler", 4, `{"rescale_betas_zero_snr":true}`, `{}`, `{}`), "config.prediction_type is epsilon and rescale_betas_zero_snr is true"},
		{asked(t, "DDPMScheduler", 4, `{"rescale_betas_zero_snr":true}`, `{}`, `{}`), "use v_prediction or sample"},
		{asked(t, "DDPMScheduler", 4, `{"variance_type":"learned_range"}`, `{}`, `{}`), "config.variance_type is learned_range"},
		{asked(t, "DDPMScheduler", 4, `{"variance_type":"fixed_large_log"}`, `{}`, `{}`), "root of log β"},
		{asked(t, "DDPMScheduler", 4, `{"variance_type":"fixed_smal"}`, `{}`, `{}`), `did you mean "fixed_small"`},
		{asked(t, "DDPMScheduler", 1001, `{}`, `{}`, `{}`), "1001 steps are asked for"},
		{asked(t, "DDIMScheduler", 4, `{"steps_offset":300}`, `{}`, `{}`), "config.steps_offset leads to timestep 1050"},
		{asked(t, "DDIMScheduler", 4, `{"clip_sample":true,"clip_sample_range":-1}`, `{}`, `{}`), "config.clip_sample_range is -1"},
		{asked(t, "DDIMScheduler", 4, `{}`, `{}`, `{"etaa":1}`), `unknown field "etaa" in step`},
		{asked(t, "DDIMInverseScheduler", 4, `{"prediction_type":"sample"}`, `{}`, `{}`), "config.prediction_type is sample and set_alpha_to_one is true"},
		{asked(t, "LCMScheduler", 51, `{}`, `{}`, `{}`), "config.original_inference_steps leaves 50 timesteps and 51 steps"},
		{asked(t, "TCDScheduler", 4, `{}`, `{"original_inference_steps":2000}`, `{}`), "config.original_inference_steps is 2000"},
		{asked(t, "SCMScheduler", 4, `{}`, `{}`, `{}`), "set_timesteps.intermediate_timesteps is 1.3 and 4 steps"},
		{asked(t, "SCMScheduler", 2, `{"sigma_data":0}`, `{}`, `{}`), "config.sigma_data is 0"},
		{asked(t, "CMStochasticIterativeScheduler", 41, `{}`, `{}`, `{}`), "41 steps"},
		{asked(t, "FlowMatchLCMScheduler", 4, `{"scale_factors":[1,2]}`, `{}`, `{}`), "config.scale_factors"},
		{asked(t, "LTXEulerAncestralRFScheduler", 4, `{}`, `{}`, `{}`), "set_timesteps.sigmas is no list"},
		{asked(t, "LTXEulerAncestralRFScheduler", 4, `{}`, `{"sigmas":[0.5,0.7,0]}`, `{}`), "set_timesteps.sigmas is no list"},
		{asked(t, "KarrasVeScheduler", 1, `{}`, `{}`, `{}`), "1 steps"},
	} {
		if _, err := Translate(c.run); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, expected %q", c.run.Sampler, err, c.want)
		}
	}
}

// sampled runs a translation from unit normal states on the 2-D mixture.
func sampled(t *testing.T, r Run) []float64 {
	t.Helper()
	tr, err := Translate(r)
	if err != nil {
		t.Fatal(err)
	}
	const rows = 3
	x := make([]float64, 2*rows)
	rng.New(3).Normal(x)
	out, err := tr.Sample(t.Context(), models.GM2D(), x, solvers.NewIndependent(solvers.RowKeys(rng.New(4), 0, rows)), nil)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// A bound that nothing reaches changes nothing, though the step that keeps ε apart
// from a changed x₀ is another: on steps that go on and on those that do not, with
// noise, upwards and for the distilled.
func TestDDIM_AgreesWith_Unclipped(t *testing.T) {
	for _, c := range []struct{ class, config, step string }{
		{"DDIMScheduler", `"timestep_spacing":"trailing"`, `{"eta":0.7}`},
		{"DDIMScheduler", `"timestep_spacing":"linspace","beta_schedule":"squaredcos_cap_v2"`, `{}`},
		{"DDIMScheduler", `"timestep_spacing":"trailing","rescale_betas_zero_snr":true,"prediction_type":"v_prediction"`, `{"eta":0.7}`},
		{"DDIMInverseScheduler", `"beta_schedule":"scaled_linear"`, `{}`},
		{"DDIMInverseScheduler", `"timestep_spacing":"trailing"`, `{}`},
		{"TCDScheduler", `"beta_start":0.0009`, `{"eta":0.4}`},
		{"TCDScheduler", `"beta_start":0.0009`, `{"eta":0}`},
	} {
		free := sampled(t, asked(t, c.class, 7, `{"clip_sample":false,`+c.config+`}`, `{}`, c.step))
		bound := sampled(t, asked(t, c.class, 7, `{"clip_sample":true,"clip_sample_range":1e6,`+c.config+`}`, `{}`, c.step))
		for i := range free {
			// Rounding, amplified by 1/α at the noisy end.
			if math.Abs(free[i]-bound[i]) > 1e-11 {
				t.Errorf("%s %s %s: %v with a bound that nothing reaches, %v without", c.class, c.config, c.step, bound, free)
				break
			}
		}
	}
}

// A clipped answer leaves ε as it was: in a step to σ = 0 the result is in the
// bounds, in one to a noisy level x less its noise is.
func TestDDIM_Property_Clipped(t *testing.T) {
	out := sampled(t, asked(t, "DDIMScheduler", 5, `{"clip_sample_range":0.3}`, `{}`, `{}`))
	if m := slices.MaxFunc(out, func(a, b float64) int { return int(math.Copysign(1, math.Abs(a)-math.Abs(b))) }); math.Abs(m) > 0.3 {
		t.Errorf("clipped to 0.3: %v", out)
	}
	tr, err := Translate(asked(t, "DDIMScheduler", 5, `{"clip_sample_range":0.3}`, `{}`, `{}`))
	if err != nil {
		t.Fatal(err)
	}
	tr.Grid = tr.Grid[:2]
	x, mix := []float64{0.9, -0.4}, models.GM2D()
	got, err := tr.Sample(t.Context(), mix, x, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	a, b, d := tr.Grid[0], tr.Grid[1], make([]float64, 2)
	if err := mix.Denoise(t.Context(), d, models.Query{X: x, Rows: 1, At: []schedules.Level{a}}); err != nil {
		t.Fatal(err)
	}
	for i := range x {
		eps := (x[i] - a.Alpha*d[i]) / a.Sigma
		if want := b.Alpha*min(max(d[i], -0.3), 0.3) + b.Sigma*eps; math.Abs(got[i]-want) > 1e-14 {
			t.Errorf("value %d is %.16g, expected %.16g", i, got[i], want)
		}
	}
}
