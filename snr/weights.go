package snr

import (
	"cmp"
	"fmt"
	"math"

	"snrlab/internal/spec"
)

// Weight is ω(λ), the factor of |x₀ − D|² at noise level λ, in x₀ units. Constant
// factors matter: they scale the loss.
type Weight interface {
	Log(l LogSNR) float64 // log ω(λ) at finite λ
	Tails() (noisy, clean Tail)
	String() string // parseable, e.g. "min-snr(gamma=5)"
}

// LogIn returns the logarithm of w as a factor of the residual in unit u, ω/c, at
// any λ; at λ = ±Inf it is the limit.
func LogIn(w Weight, u Unit, l LogSNR) float64 {
	if !math.IsInf(float64(l), 0) {
		return w.Log(l) - u.Log(l)
	}
	a, b := w.Tails()
	c, d := u.Tails()
	if l < 0 {
		return a.over(c).at(l)
	}
	return b.over(d).at(l)
}

// In returns w as a factor of the residual in unit u.
func In(w Weight, u Unit, l LogSNR) float64 { return math.Exp(LogIn(w, u, l)) }

// Uniform gives the residual in a unit the weight 1: ω = c. Uniform in eps is the
// simple loss of DDPM [ho2020], uniform in edm the weight of [karras2022].
type Uniform struct {
	Unit Unit `json:"unit"`
}

// Power is ω = SNR^Exponent: 1 is the simple loss of ε, 0 that of x₀.
type Power struct {
	Exponent float64 `json:"exponent"`
}

// Debiased is ω = √SNR, 1/√SNR on ε [yu2024].
type Debiased struct{}

// TruncatedSNR is ω = max(SNR, 1) [salimans2022].
type TruncatedSNR struct{}

// MinSNR is ω = min(SNR, γ): on ε min(SNR, γ)/SNR, which is 1 at zero SNR, and on v
// min(SNR, γ)/(SNR + 1) [hang2023].
type MinSNR struct {
	Gamma float64 `json:"gamma"`
}

// SoftMinSNR is ω = γ SNR/(SNR + γ), γ/(SNR + γ) on ε [crowson2024]. With γ = 1/sd²
// it is 1/(σ² + sd²) in σ of variance-exploding notation.
type SoftMinSNR struct {
	Gamma float64 `json:"gamma"`
}

// P2 is ω = SNR/(k + SNR)^q [choi2022].
type P2 struct {
	K float64 `json:"k"`
	Q float64 `json:"q"`
}

// Sigmoid is sigmoid(b − λ) on ε, ω = e^λ sigmoid(b − λ) [kingma2023]. There it
// is an objective, the product with the density: write over(weight=sigmoid(...),density=...)
// for that.
type Sigmoid struct {
	B float64 `json:"b"`
}

// Over is ω = weight/p: under the density p the objective, counted in ε units, is
// that of the weight, whatever p is.
type Over struct {
	Weight  Weight  `json:"weight"`
	Density Density `json:"density"`
}

// ELBO is ω = e^λ/p, the objective w = 1: the variational bound of [kingma2021]
// when levels are drawn from p.
type ELBO struct {
	Density Density `json:"density"`
}

// Levelled holds the objective of a weight under a density, w = p ω e^{−λ}, constant at
// noise above the level Below, and leaves it at less: what falls from there on becomes
// a variational bound of noisy data, "EDM-monotonic" of [kingma2023]. It is a weight
// under that density.
type Levelled struct {
	Weight  Weight  `json:"weight"`
	Density Density `json:"density"`
	Below   float64 `json:"below"` // λ
}

// Product is ω = ω_a ω_b, both factors of |Δx₀|².
type Product struct {
	A Weight `json:"a"`
	B Weight `json:"b"`
}

// Scaled is ω = By·ω of another weight.
type Scaled struct {
	Weight Weight  `json:"weight"`
	By     float64 `json:"by"`
}

// Log returns log c of the unit.
func (w Uniform) Log(l LogSNR) float64 { return w.Unit.Log(l) }

// Log returns Exponent·λ.
func (w Power) Log(l LogSNR) float64 { return w.Exponent * float64(l) }

// Log returns λ/2.
func (Debiased) Log(l LogSNR) float64 { return l.Half() }

// Log returns max(λ, 0).
func (TruncatedSNR) Log(l LogSNR) float64 { return max(float64(l), 0) }

// Log returns min(λ, log γ).
func (w MinSNR) Log(l LogSNR) float64 { return min(float64(l), math.Log(w.Gamma)) }

// Log returns λ − log(1 + e^λ/γ).
func (w SoftMinSNR) Log(l LogSNR) float64 {
	return float64(l) - softplus(float64(l)-math.Log(w.Gamma))
}

// Log returns λ − q log(k + e^λ).
func (w P2) Log(l LogSNR) float64 { return float64(l) - w.Q*addLogs(math.Log(w.K), float64(l)) }

// Log returns λ − log(1 + e^{λ−b}).
func (w Sigmoid) Log(l LogSNR) float64 { return float64(l) - softplus(float64(l)-w.B) }

// Log returns log ω − log p.
func (w Over) Log(l LogSNR) float64 { return w.Weight.Log(l) - w.Density.LogPDF(l) }

// Log returns λ − log p.
func (w ELBO) Log(l LogSNR) float64 { return float64(l) - w.Density.LogPDF(l) }

// Log returns log w(max(λ, Below)) + λ − log p.
func (w Levelled) Log(l LogSNR) float64 {
	at := max(l, LogSNR(w.Below))
	return Recipe{Weight: w.Weight, Density: w.Density}.LogObjective(at) + float64(l) - w.Density.LogPDF(l)
}

// Log returns log ω_a + log ω_b.
func (w Product) Log(l LogSNR) float64 { return w.A.Log(l) + w.B.Log(l) }

// Log returns log By + log ω.
func (w Scaled) Log(l LogSNR) float64 { return math.Log(w.By) + w.Weight.Log(l) }

// Tails are those of the unit.
func (w Uniform) Tails() (noisy, clean Tail) { return w.Unit.Tails() }

// Tails are those of SNR^Exponent.
func (w Power) Tails() (noisy, clean Tail) { return Tail{w.Exponent, 0}, Tail{w.Exponent, 0} }

// Tails are those of √SNR.
func (Debiased) Tails() (noisy, clean Tail) { return Tail{0.5, 0}, Tail{0.5, 0} }

// Tails are those of 1 and SNR.
func (TruncatedSNR) Tails() (noisy, clean Tail) { return Tail{}, Tail{1, 0} }

// Tails are those of SNR and γ.
func (w MinSNR) Tails() (noisy, clean Tail) { return Tail{1, 0}, Tail{0, math.Log(w.Gamma)} }

// Tails are those of SNR and γ.
func (w SoftMinSNR) Tails() (noisy, clean Tail) { return Tail{1, 0}, Tail{0, math.Log(w.Gamma)} }

// Tails are those of SNR/k^q and SNR^(1−q).
func (w P2) Tails() (noisy, clean Tail) { return Tail{1, -w.Q * math.Log(w.K)}, Tail{1 - w.Q, 0} }

// Tails are those of SNR and e^b.
func (w Sigmoid) Tails() (noisy, clean Tail) { return Tail{1, 0}, Tail{0, w.B} }

// Tails are those of the weight over those of the density.
func (w Over) Tails() (noisy, clean Tail) {
	a, b := w.Weight.Tails()
	c, d := tailsOf(w.Density)
	return a.over(c), b.over(d)
}

// Tails are those of SNR over those of the density.
func (w ELBO) Tails() (noisy, clean Tail) { return Over{Uniform{Eps{}}, w.Density}.Tails() }

// Tails are those of SNR over the density, and those of the weight.
func (w Levelled) Tails() (noisy, clean Tail) {
	noisy, _ = ELBO{w.Density}.Tails()
	noisy.Log += Recipe{Weight: w.Weight, Density: w.Density}.LogObjective(LogSNR(w.Below))
	_, clean = w.Weight.Tails()
	return noisy, clean
}

// Tails are the products of those of the factors.
func (w Product) Tails() (noisy, clean Tail) {
	a, b := w.A.Tails()
	c, d := w.B.Tails()
	return a.times(c), b.times(d)
}

// Tails are those of the weight, scaled.
func (w Scaled) Tails() (noisy, clean Tail) {
	a, b := w.Weight.Tails()
	by := Tail{0, math.Log(w.By)}
	return a.times(by), b.times(by)
}

// Validate reports a missing unit or one that is not valid.
func (w Uniform) Validate() error { return check("uniform", "unit", w.Unit) }

// Validate reports an exponent that is not finite.
func (w Power) Validate() error { return finite("power", "exponent", w.Exponent) }

// Validate reports a γ that is not positive.
func (w MinSNR) Validate() error { return positive("min-snr", "gamma", w.Gamma) }

// Validate reports a γ that is not positive.
func (w SoftMinSNR) Validate() error { return positive("soft-min-snr", "gamma", w.Gamma) }

// Validate reports a k that is not positive or a q that is not finite.
func (w P2) Validate() error { return cmp.Or(positive("p2", "k", w.K), finite("p2", "q", w.Q)) }

// Validate reports a bias that is not finite.
func (w Sigmoid) Validate() error { return finite("sigmoid", "b", w.B) }

// Validate reports a part that is missing or not valid.
func (w Over) Validate() error {
	return cmp.Or(check("over", "weight", w.Weight), check("over", "density", w.Density))
}

// Validate reports a density that is missing or not valid.
func (w ELBO) Validate() error { return check("elbo", "density", w.Density) }

// Validate reports a part that is missing or not valid, or a level that is not finite.
func (w Levelled) Validate() error {
	return cmp.Or(check("levelled", "weight", w.Weight), check("levelled", "density", w.Density), finite("levelled", "below", w.Below))
}

// Validate reports a factor that is missing or not valid.
func (w Product) Validate() error {
	return cmp.Or(check("product", "a", w.A), check("product", "b", w.B))
}

// Validate reports a weight that is missing or not valid, or a factor that is not positive.
func (w Scaled) Validate() error {
	return cmp.Or(check("scaled", "weight", w.Weight), positive("scaled", "by", w.By))
}

// check reports a part of name that is missing or not valid.
func check(name, field string, part any) error {
	if part == nil {
		return fmt.Errorf("snr: %s needs a %s", name, field)
	}
	if v, ok := part.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// Weights lists the weights that [ParseWeight] reads.
func Weights() spec.Registry[Weight] {
	return spec.Registry[Weight]{
		Kind: "weight",
		Entries: []spec.Entry[Weight]{
			{Name: "uniform", Summary: "1 on the residual in a unit", Default: Uniform{Unit: Eps{}}},
			{Name: "power", Summary: "SNR^exponent on x₀", Aliases: []string{"snr"}, Default: Power{Exponent: 1}},
			{Name: "debiased", Summary: "√SNR on x₀, 1/√SNR on ε", Default: Debiased{}},
			{Name: "truncated-snr", Summary: "max(SNR, 1) on x₀", Default: TruncatedSNR{}},
			{Name: "min-snr", Summary: "min(SNR, γ) on x₀", Default: MinSNR{Gamma: 5}},
			{Name: "soft-min-snr", Summary: "γ SNR/(SNR + γ) on x₀; γ = 1/sd² makes it 1/(σ² + sd²)", Default: SoftMinSNR{Gamma: 4}},
			{Name: "p2", Summary: "SNR/(k + SNR)^q on x₀", Default: P2{K: 1, Q: 1}},
			{Name: "sigmoid", Summary: "sigmoid(b − λ) on ε", Default: Sigmoid{B: 0}},
			{Name: "elbo", Summary: "1/p on ε: the variational bound under the density p", Aliases: []string{"vdm"}, Default: ELBO{Density: Cosine{S: 1}}},
			{Name: "over", Summary: "a weight over a density: its objective under that density", Default: Over{Weight: Sigmoid{}, Density: Cosine{S: 1}}},
			{Name: "levelled", Summary: "a weight whose objective under a density is held constant at noise above a level", Default: Levelled{Weight: Uniform{Unit: Eps{}}, Density: Cosine{S: 1}}},
			{Name: "product", Summary: "the product of two weights on x₀", Default: Product{A: Power{1}, B: Power{0}}},
			{Name: "scaled", Summary: "a weight times a number", Default: Scaled{Weight: Uniform{Unit: Eps{}}, By: 1}},
			{Name: "moved", Summary: "the weight that keeps the objective when levels come from another density: ω p/p'", Default: Moved{Weight: Uniform{Unit: Eps{}}, From: Cosine{S: 1}, To: Laplace{B: 0.5}}},
		},
		Nested: parsers(),
	}
}

// ParseWeight reads what a weight's String prints.
func ParseWeight(s string) (Weight, error) { return prefixed(Weights().Parse(s)) }

func (w Uniform) String() string      { return Weights().Format("uniform", w) }
func (w Power) String() string        { return Weights().Format("power", w) }
func (w Debiased) String() string     { return Weights().Format("debiased", w) }
func (w TruncatedSNR) String() string { return Weights().Format("truncated-snr", w) }
func (w MinSNR) String() string       { return Weights().Format("min-snr", w) }
func (w SoftMinSNR) String() string   { return Weights().Format("soft-min-snr", w) }
func (w P2) String() string           { return Weights().Format("p2", w) }
func (w Sigmoid) String() string      { return Weights().Format("sigmoid", w) }
func (w Over) String() string         { return Weights().Format("over", w) }
func (w ELBO) String() string         { return Weights().Format("elbo", w) }
func (w Levelled) String() string     { return Weights().Format("levelled", w) }
func (w Product) String() string      { return Weights().Format("product", w) }
func (w Scaled) String() string       { return Weights().Format("scaled", w) }
func (w Moved) String() string        { return Weights().Format("moved", w) }

// Moved is ω' = ω·p/p' with p = From and p' = To: under p' it has the objective
// that ω has under p. See [Recipe.Move].
type Moved struct {
	Weight Weight  `json:"weight"`
	From   Density `json:"from"`
	To     Density `json:"to"`
}

// Log returns log ω + log p − log p'.
func (w Moved) Log(l LogSNR) float64 { return w.Weight.Log(l) + w.From.LogPDF(l) - w.To.LogPDF(l) }

// Tails are those of ω p/p'.
func (w Moved) Tails() (noisy, clean Tail) {
	a, b := w.Weight.Tails()
	c, d := tailsOf(w.From)
	e, f := tailsOf(w.To)
	return a.times(c).over(e), b.times(d).over(f)
}

// Validate reports a part that is missing or not valid.
func (w Moved) Validate() error {
	return cmp.Or(check("moved", "weight", w.Weight), check("moved", "from", w.From), check("moved", "to", w.To))
}

// CheckWeight reports a weight that is infinite or no number where p draws from, at
// any of a thousand levels that split p evenly, from its quantile 1e-9 to 1 − 1e-9.
func CheckWeight(w Weight, p Density) error {
	if err := cmp.Or(check("recipe", "weight", w), check("recipe", "density", p)); err != nil {
		return err
	}
	const n = 1000
	for i := range n + 1 {
		below := (float64(i) + 1e-6) / (n + 2e-6)
		l := p.Quantile(below, 1-below)
		if v := w.Log(l); math.IsNaN(v) || math.IsInf(v, 1) {
			return fmt.Errorf("snr: weight %s has the logarithm %g at λ = %g, inside the support of %s: truncate the density or choose another weight", w, v, float64(l), p)
		}
	}
	return nil
}
