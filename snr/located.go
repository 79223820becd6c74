package snr

import (
	"cmp"
	"math"

	"gonum.org/v1/gonum/mathext"
	"gonum.org/v1/gonum/stat/distuv"
)

// LogNormal has log σ ~ N(PMean, PStd²) of variance-exploding noise [karras2022], so
// that λ = −2 log σ ~ N(−2 PMean, 4 PStd²).
type LogNormal struct {
	PMean float64 `json:"pmean"`
	PStd  float64 `json:"pstd"`
}

// LogitNormal has the times t = sigmoid(M + S z), z ~ N(0, 1), of rectified flow
// [esser2024], so that λ = −2 log(t/(1 − t)) ~ N(−2M, 4S²): it is the [LogNormal]
// of the same two numbers.
type LogitNormal struct {
	M float64 `json:"m"`
	S float64 `json:"s"`
}

// Cosine is p = S sech(S(λ − Mu)/2)/2π, λ = Mu − (2/S) log tan(πt/2): the cosine
// schedule [nichol2021] shifted and scaled as in [hang2024].
type Cosine struct {
	Mu float64 `json:"mu"`
	S  float64 `json:"s"`
}

// CosMap has the times t = 1 − 1/(1 + tan(πu/2)) of rectified flow, whose levels are
// those of the cosine schedule [esser2024]: in λ it is [Cosine]. In t,
// p = 2/(π − 2πt + 2πt²).
type CosMap struct{}

// Laplace is p = exp(−|λ − Mu|/B)/2B [hang2024].
type Laplace struct {
	Mu float64 `json:"mu"`
	B  float64 `json:"b"`
}

// Cauchy is p = (G/π)/((λ − Mu)² + G²) [hang2024]. It has no moments, and reaches
// |λ| > 30 G in 2 % of the draws: truncate it before α and σ are formed.
type Cauchy struct {
	Mu float64 `json:"mu"`
	G  float64 `json:"g"`
}

// RF is uniform t of rectified flow with a resolution shift [liu2023], [esser2024],
// λ = 2 log((1 − t)/(Shift·t)): p = sech²((λ + 2 log Shift)/4)/8.
type RF struct {
	Shift float64 `json:"shift"`
}

// shape is a density symmetric about 0: its lower half is enough.
type shape struct {
	log      func(z float64) float64 // log p
	cdf      func(z float64) float64 // P(Z ≤ z), to full relative accuracy for z ≤ 0
	quantile func(p float64) float64 // the inverse, for p ≤ ½
	tail     Tail                    // of log p at z = −Inf
}

// located is a shape about mu, scale wide.
type located struct {
	*shape
	mu, scale float64
}

func (d located) z(l LogSNR) float64 { return (float64(l) - d.mu) / d.scale }

func (d located) pdf(l LogSNR) float64 { return d.log(d.z(l)) - math.Log(d.scale) }

func (d located) split(l LogSNR) (below, above float64) {
	if z := d.z(l); z > 0 {
		above = d.cdf(-z)
		return 1 - above, above
	} else {
		below = d.cdf(z)
		return below, 1 - below
	}
}

func (d located) at(below, above float64) LogSNR {
	if below > above {
		return LogSNR(d.mu - d.scale*d.quantile(above))
	}
	return LogSNR(d.mu + d.scale*d.quantile(below))
}

func (d located) tails() (noisy, clean Tail) {
	t := d.tail
	t.Slope /= d.scale
	// log p(z) → slope·(λ − mu)/scale + log, whose mu goes into the constant.
	shift := t.Slope * d.mu
	if math.IsInf(t.Slope, 0) {
		shift = 0
	}
	off := t.Log - math.Log(d.scale)
	return Tail{t.Slope, off - shift}, Tail{-t.Slope, off + shift}
}

var normal = shape{
	log:      distuv.UnitNormal.LogProb,
	cdf:      distuv.UnitNormal.CDF,
	quantile: mathext.NormalQuantile,
	tail:     Tail{math.Inf(1), 0},
}

var sech = shape{
	log: func(z float64) float64 {
		a := math.Abs(z)
		return -a/2 - math.Log1p(math.Exp(-a)) - math.Log(math.Pi)
	},
	cdf:      func(z float64) float64 { return 2 / math.Pi * math.Atan(math.Exp(z/2)) },
	quantile: func(p float64) float64 { return 2 * math.Log(math.Tan(math.Pi/2*p)) },
	tail:     Tail{0.5, -math.Log(math.Pi)},
}

var laplace = shape{
	log:      func(z float64) float64 { return -math.Abs(z) - math.Ln2 },
	cdf:      func(z float64) float64 { return math.Exp(z) / 2 },
	quantile: func(p float64) float64 { return math.Log(2 * p) },
	tail:     Tail{1, -math.Ln2},
}

var cauchy = shape{
	log:      func(z float64) float64 { return -math.Log(math.Pi) - 2*math.Log(math.Hypot(1, z)) },
	cdf:      func(z float64) float64 { return math.Atan2(1, -z) / math.Pi },
	quantile: func(p float64) float64 { return -1 / math.Tan(math.Pi*p) },
	tail:     Tail{0, math.Inf(-1)},
}

var logistic = shape{
	log: func(z float64) float64 {
		a := math.Abs(z)
		return -a - 2*math.Log1p(math.Exp(-a))
	},
	cdf:      func(z float64) float64 { return 1 / (1 + math.Exp(-z)) },
	quantile: func(p float64) float64 { return math.Log(p) - math.Log1p(-p) },
	tail:     Tail{1, 0},
}

func (d LogNormal) located() located   { return located{&normal, -2 * d.PMean, 2 * d.PStd} }
func (d LogitNormal) located() located { return located{&normal, -2 * d.M, 2 * d.S} }
func (d Cosine) located() located      { return located{&sech, d.Mu, 1 / d.S} }
func (d CosMap) located() located      { return located{&sech, 0, 1} }
func (d Laplace) located() located     { return located{&laplace, d.Mu, d.B} }
func (d Cauchy) located() located      { return located{&cauchy, d.Mu, d.G} }
func (d RF) located() located          { return located{&logistic, -2 * math.Log(d.Shift), 2} }

// LogPDF returns log p(λ).
func (d LogNormal) LogPDF(l LogSNR) float64 { return d.located().pdf(l) }

// LogPDF returns log p(λ).
func (d LogitNormal) LogPDF(l LogSNR) float64 { return d.located().pdf(l) }

// LogPDF returns log p(λ).
func (d Cosine) LogPDF(l LogSNR) float64 { return d.located().pdf(l) }

// LogPDF returns log p(λ).
func (d CosMap) LogPDF(l LogSNR) float64 { return d.located().pdf(l) }

// LogPDF returns log p(λ).
func (d Laplace) LogPDF(l LogSNR) float64 { return d.located().pdf(l) }

// LogPDF returns log p(λ).
func (d Cauchy) LogPDF(l LogSNR) float64 { return d.located().pdf(l) }

// LogPDF returns log p(λ).
func (d RF) LogPDF(l LogSNR) float64 { return d.located().pdf(l) }

// CDF returns P(λ' ≤ λ) and P(λ' > λ).
func (d LogNormal) CDF(l LogSNR) (below, above float64) { return d.located().split(l) }

// CDF returns P(λ' ≤ λ) and P(λ' > λ).
func (d LogitNormal) CDF(l LogSNR) (below, above float64) { return d.located().split(l) }

// CDF returns P(λ' ≤ λ) and P(λ' > λ).
func (d Cosine) CDF(l LogSNR) (below, above float64) { return d.located().split(l) }

// CDF returns P(λ' ≤ λ) and P(λ' > λ).
func (d CosMap) CDF(l LogSNR) (below, above float64) { return d.located().split(l) }

// CDF returns P(λ' ≤ λ) and P(λ' > λ).
func (d Laplace) CDF(l LogSNR) (below, above float64) { return d.located().split(l) }

// CDF returns P(λ' ≤ λ) and P(λ' > λ).
func (d Cauchy) CDF(l LogSNR) (below, above float64) { return d.located().split(l) }

// CDF returns P(λ' ≤ λ) and P(λ' > λ).
func (d RF) CDF(l LogSNR) (below, above float64) { return d.located().split(l) }

// Quantile is the inverse of CDF.
func (d LogNormal) Quantile(below, above float64) LogSNR { return d.located().at(below, above) }

// Quantile is the inverse of CDF.
func (d LogitNormal) Quantile(below, above float64) LogSNR { return d.located().at(below, above) }

// Quantile is the inverse of CDF.
func (d Cosine) Quantile(below, above float64) LogSNR { return d.located().at(below, above) }

// Quantile is the inverse of CDF.
func (d CosMap) Quantile(below, above float64) LogSNR { return d.located().at(below, above) }

// Quantile is the inverse of CDF.
func (d Laplace) Quantile(below, above float64) LogSNR { return d.located().at(below, above) }

// Quantile is the inverse of CDF.
func (d Cauchy) Quantile(below, above float64) LogSNR { return d.located().at(below, above) }

// Quantile is the inverse of CDF.
func (d RF) Quantile(below, above float64) LogSNR { return d.located().at(below, above) }

// Tails are those of p at λ = ±Inf.
func (d LogNormal) Tails() (noisy, clean Tail) { return d.located().tails() }

// Tails are those of p at λ = ±Inf.
func (d LogitNormal) Tails() (noisy, clean Tail) { return d.located().tails() }

// Tails are those of p at λ = ±Inf.
func (d Cosine) Tails() (noisy, clean Tail) { return d.located().tails() }

// Tails are those of p at λ = ±Inf.
func (d CosMap) Tails() (noisy, clean Tail) { return d.located().tails() }

// Tails are those of p at λ = ±Inf.
func (d Laplace) Tails() (noisy, clean Tail) { return d.located().tails() }

// Tails are those of p at λ = ±Inf.
func (d Cauchy) Tails() (noisy, clean Tail) { return d.located().tails() }

// Tails are those of p at λ = ±Inf.
func (d RF) Tails() (noisy, clean Tail) { return d.located().tails() }

// Validate reports a mean that is not finite or a deviation that is not positive.
func (d LogNormal) Validate() error {
	return cmp.Or(finite("log-normal", "pmean", d.PMean), positive("log-normal", "pstd", d.PStd))
}

// Validate reports a mean that is not finite or a deviation that is not positive.
func (d LogitNormal) Validate() error {
	return cmp.Or(finite("logit-normal", "m", d.M), positive("logit-normal", "s", d.S))
}

// Validate reports a shift that is not finite or a scale that is not positive.
func (d Cosine) Validate() error {
	return cmp.Or(finite("cosine", "mu", d.Mu), positive("cosine", "s", d.S))
}

// Validate reports a centre that is not finite or a width that is not positive.
func (d Laplace) Validate() error {
	return cmp.Or(finite("laplace", "mu", d.Mu), positive("laplace", "b", d.B))
}

// Validate reports a centre that is not finite or a width that is not positive.
func (d Cauchy) Validate() error {
	return cmp.Or(finite("cauchy", "mu", d.Mu), positive("cauchy", "g", d.G))
}

// Validate reports a shift that is not positive.
func (d RF) Validate() error { return positive("rf", "shift", d.Shift) }

func (d LogNormal) String() string   { return Densities().Format("log-normal", d) }
func (d LogitNormal) String() string { return Densities().Format("logit-normal", d) }
func (d Cosine) String() string      { return Densities().Format("cosine", d) }
func (d CosMap) String() string      { return Densities().Format("cosmap", d) }
func (d Laplace) String() string     { return Densities().Format("laplace", d) }
func (d Cauchy) String() string      { return Densities().Format("cauchy", d) }
func (d RF) String() string          { return Densities().Format("rf", d) }
