package dialects

import (
	"math"
	"strings"
	"testing"
)

// Requests of multistep samplers that have no equal, or contradict themselves.
func TestMultistep_Refuses(t *testing.T) {
	ask := func(peer, sampler string, steps int, config, schedule, args string) Run {
		return Run{Peer: peer, Sampler: sampler, Steps: steps, Config: options(t, config), Schedule: options(t, schedule), Args: options(t, args)}
	}
	for _, c := range []struct {
		want string
		run  Run
	}{
		{"args.ab_order is 4", ask("deis", "get_sampler", 10, `{}`, `{"name":"linear"}`, `{"method":"t_ab","ab_order":4}`)},
		{`args.method is "t_abc"`, ask("deis", "get_sampler", 10, `{}`, `{"name":"linear"}`, `{"method":"t_abc"}`)},
		{"0 steps", ask("deis", "get_sampler", 0, `{}`, `{"name":"linear"}`, `{}`)},
		{`did you mean "3kutta"`, ask("deis", "get_sampler", 5, `{}`, `{"name":"linear"}`, `{"method":"rho_rk","rk_method":"3kuta"}`)},
		{"args.max_order is 5", ask("diff-sampler", "ipndm_v_sampler", 5, `{}`, `{}`, `{"max_order":5}`)},
		{"args.max_order is 0", ask("diff-sampler", "deis_sampler", 5, `{}`, `{}`, `{"max_order":0}`)},
		{`args.deis_mode is "rho"`, ask("diff-sampler", "deis_sampler", 5, `{}`, `{}`, `{"deis_mode":"rho"}`)},
		{"args.alpha is 0", ask("edm", "ablation_sampler", 5, `{}`, `{}`, `{"alpha":0}`)},
		{"args.M is 3", ask("edm", "ablation_sampler", 5, `{}`, `{}`, `{"discretization":"iddpm","M":3}`)},
		{"sigma_min is 2", ask("edm", "ablation_sampler", 5, `{}`, `{}`, `{"sigma_min":2,"sigma_max":1}`)},
		{"config.skip_prk_steps is false with 3 steps", ask("diffusers", "PNDMScheduler", 3, `{}`, `{}`, `{}`)},
		{"config.steps_offset leads to timestep", ask("diffusers", "PNDMScheduler", 10, `{"steps_offset":500,"skip_prk_steps":true}`, `{}`, `{}`)},
		{"steps", ask("diffusers", "PNDMScheduler", -1, `{}`, `{}`, `{}`)},
		{`config.prediction_type is "sample"`, ask("diffusers", "PNDMScheduler", 10, `{"prediction_type":"sample"}`, `{}`, `{}`)},
		{"config.trained_betas has 2 numbers", ask("diffusers", "IPNDMScheduler", 5, `{"trained_betas":[1,0]}`, `{}`, `{}`)},
		{"0 steps", ask("diffusers", "IPNDMScheduler", 0, `{}`, `{}`, `{}`)},
		{"config.solver_order is 4", ask("diffusers", "DEISMultistepScheduler", 10, `{"solver_order":4}`, `{}`, `{}`)},
		{"config.lower_order_final is true", ask("diffusers", "DEISMultistepScheduler", 10, `{"solver_order":3,"use_karras_sigmas":true}`, `{}`, `{}`)},
		{"steps", ask("diffusers", "DEISMultistepScheduler", -3, `{"use_flow_sigmas":true}`, `{}`, `{}`)},
	} {
		if _, err := Translate(c.run); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("got %v, expected %q", err, c.want)
		}
	}
}

// The rectangle rule tends to the integral that the exact weights have.
func TestRectangles_Limit(t *testing.T) {
	nodes := []float64{3, 4.1, 6}
	one := func(float64) float64 { return 1 }
	want := gauss(3, 2.2).interpolate(nodes)
	sum := 0.0
	for i, w := range want {
		sum += w
		last := math.Inf(1)
		for _, n := range []int{100, 1000, 10000} {
			got := rectangles(3, 2.2, n, false, one).interpolate(nodes)[i]
			e := math.Abs(got - w)
			if !(e < last/8) { // of order 1
				t.Errorf("weight %d by %d rectangles is off by %g, by a tenth of them by %g", i, n, e, last)
			}
			last = e
		}
	}
	if math.Abs(sum+0.8) > 1e-14 {
		t.Errorf("weights add up to %g over a step of −0.8", sum)
	}
}

// No number of steps makes a translator panic, with or without options.
func TestTranslate_Refuses_Steps(t *testing.T) {
	for _, tr := range Registry() {
		for _, steps := range []int{-1 << 40, -2, -1, 0, 1, 2, 3, 1 << 40} {
			for _, config := range []string{`{}`, `{"use_flow_sigmas":true}`, `{"use_karras_sigmas":true}`, `{"steps_offset":900}`, `{"num_train_timesteps":1}`, `{"num_train_timesteps":-4}`, `{"timestep_spacing":"trailing"}`} {
				r := Run{Peer: tr.Peer, Sampler: tr.Sampler, Steps: steps, Dim: 2, Config: options(t, config)}
				if _, err := Translate(r); err == nil && (steps < 0 || steps > 1<<30) {
					t.Errorf("%s %s of %d steps with %s was translated", tr.Peer, tr.Sampler, steps, config)
				}
			}
		}
	}
}
