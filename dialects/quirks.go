package dialects

// Quirk is behaviour of another program that its method does not call for. The
// translation reproduces it; docs/quirks.md has the evidence.
type Quirk struct {
	Name string
	What string // what happens
	Ours string // what we do, given a choice
}

// Quirks lists them.
func Quirks() []Quirk {
	return []Quirk{
		{
			"churn-after-evaluation",
			"Noise is added after the network was asked, so that its answer belongs to the state without the noise.",
			"Noise first, then the evaluation, as in the paper: `euler(schurn=…)`, `heun(schurn=…)`.",
		},
		{
			"step-target-not-next-timestep",
			"A step leads to t − ⌊T/n⌋, and the next one starts from the next listed timestep as if it had been reached.",
			"A step leads to the next level of the grid.",
		},
		{
			"inverse-label-ahead",
			"An inversion asks the network at the level that the step goes to, with the state of the level it comes from.",
			"`ddim-inversion` asks ahead and reads the answer there, the first iterate for the state that sampling leads from; with more iterations it is that state, and `belm` is inverted by algebra. `euler` on a rising grid asks at the level of the state.",
		},
		{
			"zero-length-last-step",
			"The last two levels are one: the last evaluation changes nothing.",
			"A grid whose levels do not fall is refused.",
		},
		{
			"double-shift",
			"The shift for larger images is applied to the ends when the scheduler is built, and to all levels again when the timesteps are set.",
			"`rf(shift=…)` shifts once.",
		},
		{
			"flow-ends-at-vp-level",
			"A run on flow levels with final_sigmas_type = sigma_min ends at s = 0.01, σ/α of the first entry of the β table, which is no level of the flow.",
			"A grid ends on the path that it is on.",
		},
		{
			"log-linear-extra-level",
			"One level too many is made: the run stops at the last but one, and the level meant to be last is never reached.",
			"n steps are n+1 levels, and the last is reached.",
		},
		{
			"sde3-second-difference-sign",
			"A sign in the weight of the second difference is wrong.",
			"`dpmpp-3m(eta=1)` has the exact weight.",
		},
		{
			"half-second-difference",
			"The three-step method weighs the second difference by φ₃ where 2 φ₃ is right, which leaves order 2. The first-order start of that program hides it.",
			"`dpmpp-3m` and `dpm-solver-3m` have the exact weight, and with `start=lean`, one evaluation more, order 3: that is what is measured without it.",
		},
		{
			"singlestep-draws-apart",
			"Noise is drawn anew for every step of a block, although the motions of its steps overlap: the state that is evaluated and the one that is kept share none.",
			"`dpmpp-2s-grid(eta=1)` and `dpmpp-sde` add up increments of one path.",
		},
		{
			"vary-coeff-corrector-index",
			"The corrector leaves out the last row of its matrix.",
			"`unipc(variant=vary)` uses every row.",
		},
		{
			"ipndm-v-bracket",
			"In the variable-step weights of order 3 a bracket closes too late: they hold on uniform grids only, and to order 3 on smooth families. Those of order 4 have a wrong sign besides and a wrong ratio of steps: they hold nowhere, and off uniform grids do not add up to 1.",
			"`ipndm-v` and `ab3`, `ab4` integrate the Lagrange polynomials of any grid; `ipndm-v(published=true)` has the weights as they are.",
		},
		{
			"forced-thresholding",
			"Predictions of x₀ are always thresholded dynamically (ratio 0.995, at least 1), whatever the range of the data.",
			"Thresholding is a wrapper that is asked for.",
		},
		{
			"ipndm-first-step-drops-x0",
			"The first step, out of α = 0, keeps nothing of x₀.",
			"Every solver leaves α = 0 by the named start, which is exact for a constant x₀.",
		},
		{
			"tcd-ends-at-first-level",
			"The result is a sample at timestep 0, which still has noise, as if it were clean.",
			"`tcd` on a grid that ends at σ = 0.",
		},
		{
			"sde-vp-step-size",
			"The step is 1/n although the n times lie 1/(n − 1) apart.",
			"`euler-maruyama` steps from one level of the grid to the next.",
		},
		{
			"karras-ve-squared-levels",
			"The noise level is σ² where σ is meant.",
			"Levels are σ.",
		},
		{
			"clipped-schedule-label",
			"After the noisy end of a table was clipped, its times are stretched over what is left, and the label that the network gets is not the index it was trained with.",
			"Levels carry the time of their schedule.",
		},
		{
			"rectangle-rule-coefficients",
			"The integrals of the multistep weights are taken by a rectangle rule of 10000 points.",
			"`ab2` to `ab4` and `deis` integrate them exactly.",
		},
		{
			"multistep-of-raw-predictions",
			"The multistep combination is made of what the network says, also where that is v, and becomes ε afterwards.",
			"`pndm` combines ε, in which the method has its order.",
		},
	}
}

// QuirkNames lists the names alone.
func QuirkNames() []string {
	var names []string
	for _, q := range Quirks() {
		names = append(names, q.Name)
	}
	return names
}
