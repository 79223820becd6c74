package dialects

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"

	"snrlab/internal/spec"
)

// What user interfaces call samplers and levels: the web UI of AUTOMATIC1111
// writes "DPM++ 2M Karras", ComfyUI "dpmpp_2m" and "karras". Both run the
// functions of k-diffusion, most on the levels of Stable Diffusion 1.

// nickname is a sampler by its names in user interfaces.
type nickname struct {
	names []string
	is    string // a function of k-diffusion with arguments, or a solver of ours
}

// nicknames lists them.
func nicknames() []nickname {
	return []nickname{
		{[]string{"Euler", "euler"}, "sample_euler"},
		{[]string{"Euler a", "euler_ancestral"}, "sample_euler_ancestral"},
		{[]string{"Heun", "heun"}, "sample_heun"},
		{[]string{"DPM2", "dpm_2"}, "sample_dpm_2"},
		{[]string{"LMS", "lms"}, "sample_lms"},
		{[]string{"DPM2 a", "dpm_2_ancestral"}, "sample_dpm_2_ancestral"},
		{[]string{"DPM fast", "dpm_fast"}, "sample_dpm_fast"},
		{[]string{"DPM adaptive", "dpm_adaptive"}, "sample_dpm_adaptive"},
		{[]string{"DPM++ 2M", "dpmpp_2m"}, "sample_dpmpp_2m"},
		{[]string{"DPM++ 2M SDE", "dpmpp_2m_sde", "dpmpp_2m_sde_gpu"}, "sample_dpmpp_2m_sde"},
		{[]string{"DPM++ 2M SDE Heun", "dpmpp_2m_sde_heun", "dpmpp_2m_sde_heun_gpu"}, "sample_dpmpp_2m_sde(solver_type=heun)"},
		{[]string{"DPM++ 3M SDE", "dpmpp_3m_sde", "dpmpp_3m_sde_gpu"}, "sample_dpmpp_3m_sde"},
		{[]string{"DPM++ 2S a", "dpmpp_2s_ancestral"}, "sample_dpmpp_2s_ancestral"},
		{[]string{"DPM++ SDE", "dpmpp_sde", "dpmpp_sde_gpu"}, "sample_dpmpp_sde"},
		{[]string{"DDIM", "ddim"}, "ddim"},
		{[]string{"DDPM", "ddpm"}, "ddpm"},
		{[]string{"UniPC", "uni_pc"}, "unipc(variant=bh1,final=lower)"},
		{[]string{"uni_pc_bh2"}, "unipc(final=lower)"},
		{[]string{"PLMS"}, "pndm(start=plms)"},
		{[]string{"ipndm"}, "ipndm"},
		{[]string{"ipndm_v"}, "ipndm-v(published=true)"},
		{[]string{"LCM", "lcm"}, "consistency"},
		{[]string{"Restart"}, "restart"},
		{[]string{"res_multistep"}, "res-m"},
		{[]string{"gradient_estimation"}, "gradient-estimation"},
		{[]string{"er_sde"}, "er-sde"},
		{[]string{"seeds_2"}, "seeds(stages=2,predict=data)"},
		{[]string{"seeds_3"}, "seeds(predict=data)"},
	}
}

// unequal names samplers that have no equal here, and why.
var unequal = map[string]string{
	"euler_cfg_pp":               "its steps mix the guided and the unguided answer (CFG++)",
	"euler_ancestral_cfg_pp":     "its steps mix the guided and the unguided answer (CFG++)",
	"dpmpp_2m_cfg_pp":            "its steps mix the guided and the unguided answer (CFG++)",
	"dpmpp_2s_ancestral_cfg_pp":  "its steps mix the guided and the unguided answer (CFG++)",
	"res_multistep_cfg_pp":       "its steps mix the guided and the unguided answer (CFG++)",
	"gradient_estimation_cfg_pp": "its steps mix the guided and the unguided answer (CFG++)",
	"heunpp2":                    "a three-stage rule with weights of the levels that no paper has",
}

// plain brings a name to the form that two spellings share.
func plain(name string) string {
	return strings.ToLower(strings.Join(strings.FieldsFunc(name, func(r rune) bool { return r == ' ' || r == '_' || r == '-' }), " "))
}

// levelNames are the names of levels, one of ours for each.
var levelNames = []struct {
	names []string
	of    func(tr training, n int) []float64
}{
	{[]string{"Karras", "karras"}, func(tr training, n int) []float64 {
		return withEnd(karrasSigmas(tr.noise(0), tr.noise(tr.len()-1), 7, n), 0)
	}},
	{[]string{"Exponential", "exponential"}, func(tr training, n int) []float64 {
		return withEnd(exponentialSigmas(tr.noise(0), tr.noise(tr.len()-1), n), 0)
	}},
	{[]string{"Polyexponential", "polyexponential"}, func(tr training, n int) []float64 {
		return withEnd(polyexponentialSigmas(tr.noise(0), tr.noise(tr.len()-1), 1, n), 0)
	}},
	{[]string{"Normal", "normal", "Uniform"}, func(tr training, n int) []float64 {
		return withEnd(tr.sigmasAt(linspace(float64(tr.len()-1), 0, n)), 0)
	}},
	{[]string{"SGM Uniform", "sgm_uniform"}, func(tr training, n int) []float64 {
		return withEnd(tr.sigmasAt(linspace(float64(tr.len()-1), 0, n+1)[:n]), 0)
	}},
	{[]string{"Simple", "simple"}, func(tr training, n int) []float64 {
		return withEnd(takeTable(tr, n, func(i int) float64 { return float64(tr.len() - 1 - int(float64(i)*(float64(tr.len())/float64(n)))) }), 0)
	}},
	{[]string{"DDIM uniform", "ddim_uniform"}, func(tr training, n int) []float64 {
		var at []float64
		for i, step := 1, max(tr.len()/n, 1); i < tr.len(); i += step {
			at = append(at, float64(i))
		}
		return withEnd(tr.sigmasAt(reversed(at)), 0)
	}},
	{[]string{"Beta", "beta"}, func(tr training, n int) []float64 {
		law := distuv.Beta{Alpha: 0.6, Beta: 0.6}
		at := takeTable(tr, n, func(i int) float64 {
			return math.RoundToEven(law.Quantile(1-float64(i)/float64(n)) * float64(tr.len()-1))
		})
		return withEnd(slices.Compact(at), 0)
	}},
	{[]string{"KL Optimal", "kl_optimal"}, func(tr training, n int) []float64 {
		return withEnd(each(linspace(math.Atan(tr.noise(tr.len()-1)), math.Atan(tr.noise(0)), n), math.Tan), 0)
	}},
	{[]string{"Align Your Steps", "align_your_steps"}, func(_ training, n int) []float64 {
		found := AlignYourSteps()["StableDiffusionSigmas"]
		logs := each(append(slices.Clone(found[:len(found)-1]), 0.029), math.Log)
		return withEnd(each(linspace(0, float64(len(logs)-1), n), func(at float64) float64 { return math.Exp(interp(at, logs)) }), 0)
	}},
	{[]string{"Linear Quadratic", "linear_quadratic"}, func(tr training, n int) []float64 {
		return each(linearQuadratic(n), func(s float64) float64 { return s * tr.noise(tr.len()-1) })
	}},
}

// sigmasAt returns σ/α at fractional timesteps, linear in log σ/α as k-diffusion
// has it.
func (tr training) sigmasAt(times []float64) []float64 {
	logs := each(tr.noises(), math.Log)
	return each(times, func(t float64) float64 { return math.Exp(interp(t, logs)) })
}

// takeTable returns the table's σ/α at n whole timesteps.
func takeTable(tr training, n int, at func(i int) float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = tr.noise(int(at(i)))
	}
	return v
}

// linearQuadratic is 1 less a ramp that is a line for half of its steps, up to
// 0.025, and then a parabola up to 1.
func linearQuadratic(n int) []float64 {
	const threshold = 0.025
	linear := n / 2
	if linear == 0 {
		return []float64{1, 0}
	}
	quadratic := float64(n - linear)
	excess := float64(linear) - threshold*float64(n)
	a := excess / (float64(linear) * quadratic * quadratic)
	b := threshold/float64(linear) - 2*excess/(quadratic*quadratic)
	v := make([]float64, n+1)
	for i := range v {
		x := float64(i)
		switch {
		case i < linear:
			v[i] = 1 - threshold*x/float64(linear)
		case i < n:
			v[i] = 1 - (a*x*x + b*x + a*float64(linear*linear))
		}
	}
	return v
}

// stableDiffusion is the table of Stable Diffusion 1 and 2.
func stableDiffusion() training {
	return readTraining(&Options{}, betaDefaults{"scaled_linear", 0.00085, 0.012}, 0)
}

// findNickname takes a name as an interface writes it apart: sampler, arguments
// in brackets, and levels, which are "Normal" if none are named.
func findNickname(name string, steps int) (n nickname, args string, levels string, sigmas []float64, ok bool) {
	rest, levels := name, ""
	of := levelNames[3]
	for _, l := range levelNames {
		for _, alias := range l.names {
			if end := " " + plain(alias); strings.HasSuffix(plain(name), end) && len(alias) > len(levels) {
				levels, of = alias, l
			}
		}
	}
	if levels != "" {
		rest = strings.TrimRight(name[:len(name)-len(levels)], " _-/,")
	} else {
		levels = of.names[0]
	}
	rest, args, _ = strings.Cut(rest, "(")
	for _, n := range nicknames() {
		for _, alias := range n.names {
			if plain(alias) == plain(rest) {
				return n, strings.TrimSuffix(strings.TrimSpace(args), ")"), levels, of.of(stableDiffusion(), steps), true
			}
		}
	}
	return nickname{}, "", "", nil, false
}

// knownNames lists what Read understands, for messages.
func knownNames() []string {
	var names []string
	for _, n := range nicknames() {
		names = append(names, n.names...)
	}
	for _, t := range Registry() {
		names = append(names, t.Sampler)
	}
	return names
}

// unknownName is the error for a name that nothing has.
func unknownName(name string) error {
	head, _, _ := strings.Cut(name, "(")
	if why, ok := unequal[strings.TrimSpace(head)]; ok {
		return fmt.Errorf("dialects: %s has no equal here: %s", head, why)
	}
	return fmt.Errorf("dialects: no sampler is called %q%s", name, spec.Suggest(head, knownNames()))
}
