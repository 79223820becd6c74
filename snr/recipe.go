package snr

import (
	"cmp"
	"fmt"
	"math"

	"snrlab/internal/spec"
)

// Recipe is a training loss: levels are drawn from Density, and |x₀ − D|² has the
// weight Weight. The published ones are listed by [Recipes] under their names.
type Recipe struct {
	Weight  Weight  `json:"weight"`
	Density Density `json:"density"`

	name  string
	usual *usual // parts that the name stands for
}

type usual struct {
	weight  Weight
	density Density
}

// NamedRecipe is a recipe that prints under a name, for registries that add their own.
func NamedRecipe(name string, w Weight, p Density) Recipe {
	return Recipe{Weight: w, Density: p, name: name, usual: &usual{w, p}}
}

// Validate reports a part that is missing or not valid, a density that does not
// integrate to one, and a weight that is not finite inside its support.
func (r Recipe) Validate() error {
	return cmp.Or(check("recipe", "weight", r.Weight), CheckDensity(r.Density), CheckWeight(r.Weight, r.Density))
}

// LogObjective returns log w = log(p ω e^{−λ}), the objective in ε units: the
// variational bound has w = 1. It is what [kingma2023] and [hang2024] call w.
func (r Recipe) LogObjective(l LogSNR) float64 {
	return r.Density.LogPDF(l) + LogIn(r.Weight, Eps{}, l)
}

// Objective returns w = p ω e^{−λ}.
func (r Recipe) Objective(l LogSNR) float64 { return math.Exp(r.LogObjective(l)) }

// Move returns the recipe with the same objective whose levels come from another
// density: ω' = ω p/p'. It refuses a p' that leaves out more than 1e-6 of p.
func (r Recipe) Move(to Density) (Recipe, error) {
	if err := cmp.Or(r.Validate(), CheckDensity(to)); err != nil {
		return Recipe{}, err
	}
	noisy, clean := Support(to)
	below, _ := r.Density.CDF(noisy)
	_, above := r.Density.CDF(clean)
	if out := below + above; out > 1e-6 {
		return Recipe{}, fmt.Errorf("snr: %s never draws levels that make up %.3g of %s: the objective would change, choose a density at least as wide", to, out, r.Density)
	}
	moved := Recipe{Weight: Moved{Weight: r.Weight, From: r.Density, To: to}, Density: to}
	return moved, moved.Validate()
}

// Absorb returns the recipe with the same objective in which the density has taken
// over the weight: p' ∝ p·ω_unit, and what is left is a constant on the residual
// in the unit.
func (r Recipe) Absorb(u Unit) (Recipe, error) {
	d := &Tilted{Density: r.Density, Weight: r.Weight, Unit: u}
	if err := d.Validate(); err != nil {
		return Recipe{}, err
	}
	return Recipe{Weight: Scaled{Weight: Uniform{Unit: u}, By: d.Mass()}, Density: d}, nil
}

// Recipes lists the recipes that [ParseRecipe] reads. Where a paper gives no
// density with its weight, that of the cosine schedule stands; indi is the loss of
// [delbracio2023] with noise for the degraded image.
func Recipes() spec.Registry[Recipe] {
	r := spec.Registry[Recipe]{Kind: "recipe", Nested: parsers()}
	edm := LogNormal{PMean: -1.2, PStd: 1.2}
	for _, e := range []struct {
		name, summary string
		w             Weight
		p             Density
	}{
		{"pair", "a weight and a density", Uniform{Eps{}}, Cosine{S: 1}},
		{"eps-cosine", "ε loss on the cosine schedule", Uniform{Eps{}}, Cosine{S: 1}},
		{"v-cosine", "v loss on the cosine schedule; the objective of rf", Uniform{V{}}, Cosine{S: 1}},
		{"x0-cosine", "x₀ loss on the cosine schedule", Uniform{X0{}}, Cosine{S: 1}},
		{"rf", "flow loss, uniform times", Uniform{Flow{}}, RF{Shift: 1}},
		{"sd3", "flow loss, logit-normal times", Uniform{Flow{}}, LogitNormal{S: 1}},
		{"rf-mode", "flow loss, mode sampling of times", Uniform{Flow{}}, Mode{S: 1.29}},
		{"rf-cosmap", "flow loss, levels of the cosine schedule", Uniform{Flow{}}, CosMap{}},
		{"edm", "network F of EDM, log-normal σ", Uniform{EDM{SD: 0.5}}, edm},
		{"edm-monotonic", "EDM's, its objective held at its peak for more noise: a bound", Levelled{Uniform{EDM{SD: 0.5}}, edm, edmPeak()}, edm},
		{"elbo", "variational bound, levels of the cosine schedule", ELBO{Cosine{S: 1}}, Cosine{S: 1}},
		{"vdm", "variational bound, λ uniform between its ends", ELBO{Flat{Min: -5, Max: 13.3}}, Flat{Min: -5, Max: 13.3}},
		{"vdm++", "sigmoid objective under EDM's density", Over{Sigmoid{B: 2}, edm}, edm},
		{"truncated-snr", "truncated SNR on the cosine schedule", TruncatedSNR{}, Cosine{S: 1}},
		{"min-snr", "min-SNR-5 on the cosine schedule", MinSNR{5}, Cosine{S: 1}},
		{"soft-min-snr", "soft-min-SNR on the cosine schedule", SoftMinSNR{4}, Cosine{S: 1}},
		{"p2", "P2 on the cosine schedule", P2{1, 1}, Cosine{S: 1}},
		{"debiased", "debiased estimation on the cosine schedule", Debiased{}, Cosine{S: 1}},
		{"laplace", "v loss, Laplace levels", Uniform{V{}}, Laplace{B: 0.5}},
		{"cauchy", "v loss, Cauchy levels", Uniform{V{}}, Cauchy{G: 1}},
		{"cosine-scaled", "v loss on the cosine schedule, scaled", Uniform{V{}}, Cosine{S: 2}},
		{"indi", "x₀ loss, uniform times of rectified flow", Uniform{X0{}}, RF{Shift: 1}},
	} {
		r.Entries = append(r.Entries, spec.Entry[Recipe]{Name: e.name, Summary: e.summary, Default: NamedRecipe(e.name, e.w, e.p)})
	}
	return r
}

// edmPeak is where EDM's objective N(λ; 2.4, 2.4²)(e^{−λ} + ¼) is largest: the slope of
// its logarithm, −(λ − 2.4)/2.4² − 1/(1 + e^λ/4), falls through zero.
func edmPeak() float64 {
	return root(func(l float64) (value, slope float64) {
		q := 1 / (1 + math.Exp(l)/4)
		return (l-2.4)/(2.4*2.4) + q, 1/(2.4*2.4) - q*(1-q)
	}, -4, -3)
}

// ParseRecipe reads what a recipe's String prints: "sd3", "rf(density=laplace)" or
// "pair(weight=p2,density=cauchy)".
func ParseRecipe(s string) (Recipe, error) { return prefixed(Recipes().Parse(s)) }

func (r Recipe) String() string {
	if r.usual == nil {
		return spec.Full("pair", r)
	}
	own := spec.Registry[Recipe]{Entries: []spec.Entry[Recipe]{{Name: r.name, Default: Recipe{Weight: r.usual.weight, Density: r.usual.density}}}}
	return own.Format(r.name, r)
}
