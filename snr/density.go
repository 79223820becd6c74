package snr

import (
	"fmt"
	"math"
	"reflect"
	"strings"

	"snrlab/internal/spec"
	"snrlab/rng"
)

// Density is p(λ), from which levels are drawn. A probability is the pair of
// what lies below and above, which sum to one: each has its own accuracy near 0.
// With uniform times, above is the time, t = P(λ' > λ).
type Density interface {
	LogPDF(l LogSNR) float64              // log p(λ); −Inf outside the support
	CDF(l LogSNR) (below, above float64)  // P(λ' ≤ λ) and P(λ' > λ)
	Quantile(below, above float64) LogSNR // the inverse of CDF
	String() string                       // parseable, e.g. "laplace(b=0.75)"
}

// PDF returns p(λ).
func PDF(d Density, l LogSNR) float64 { return math.Exp(d.LogPDF(l)) }

// Support returns the ends of the interval that d draws from, ±Inf included.
func Support(d Density) (noisy, clean LogSNR) { return d.Quantile(0, 1), d.Quantile(1, 0) }

// Draw fills dst with independent levels of d from the key's stream.
func Draw(d Density, k rng.Key, dst []LogSNR) {
	r := k.Stream()
	for i := range dst {
		t := (float64(r.Uint64()>>11) + 0.5) * 0x1p-53 // never 0 or 1, whose levels may be infinite
		dst[i] = d.Quantile(1-t, t)
	}
}

// Stratified fills dst with a low-discrepancy batch of d: the levels of the times
// t_i = mod(u + i/B, 1), one u for the batch of B [kingma2021]. Each level alone is a
// draw of d.
func Stratified(d Density, k rng.Key, dst []LogSNR) {
	u := (float64(k.Stream().Uint64()>>11) + 0.5) * 0x1p-53
	for i := range dst {
		t := u + float64(i)/float64(len(dst))
		if t >= 1 {
			t--
		}
		dst[i] = d.Quantile(1-t, t)
	}
}

// Tailed is a density with infinite support that knows how it vanishes at λ = ±Inf.
type Tailed interface {
	Tails() (noisy, clean Tail)
}

// tailsOf returns the tails of d; NaN where it has infinite support and does not
// know them.
func tailsOf(d Density) (noisy, clean Tail) {
	if t, ok := d.(Tailed); ok {
		return t.Tails()
	}
	noisy, clean = Tail{math.Inf(1), 0}, Tail{math.Inf(-1), 0}
	a, b := Support(d)
	if math.IsInf(float64(a), 0) {
		noisy = Tail{math.NaN(), math.NaN()}
	}
	if math.IsInf(float64(b), 0) {
		clean = Tail{math.NaN(), math.NaN()}
	}
	return noisy, clean
}

// between returns P(a < λ ≤ b) without cancellation in either tail.
func between(d Density, a, b LogSNR) float64 {
	belowA, aboveA := d.CDF(a)
	belowB, aboveB := d.CDF(b)
	switch {
	case belowB <= 0.5:
		return belowB - belowA
	case aboveA <= 0.5:
		return aboveA - aboveB
	default:
		return 1 - belowA - aboveB
	}
}

// Densities lists the densities that [ParseDensity] reads.
func Densities() spec.Registry[Density] {
	return spec.Registry[Density]{
		Kind: "density",
		Entries: []spec.Entry[Density]{
			{Name: "log-normal", Summary: "log σ normal: λ ~ N(−2 pmean, (2 pstd)²)", Aliases: []string{"edm"}, Default: LogNormal{PMean: -1.2, PStd: 1.2}},
			{Name: "logit-normal", Summary: "t = sigmoid(m + s z) of rectified flow: λ ~ N(−2m, (2s)²)", Aliases: []string{"sd3"}, Default: LogitNormal{M: 0, S: 1}},
			{Name: "mode", Summary: "rectified flow with the times of SD3's mode sampling", Default: Mode{S: 1.29}},
			{Name: "cosmap", Summary: "rectified flow with the levels of the cosine schedule", Default: CosMap{}},
			{Name: "cosine", Summary: "s sech(s(λ − mu)/2)/2π: the cosine schedule, shifted and scaled", Default: Cosine{S: 1}},
			{Name: "laplace", Summary: "exp(−|λ − mu|/b)/2b", Default: Laplace{B: 0.5}},
			{Name: "cauchy", Summary: "Cauchy about mu with half width g", Default: Cauchy{G: 1}},
			{Name: "rf", Summary: "uniform times of rectified flow, with a shift", Aliases: []string{"flow"}, Default: RF{Shift: 1}},
			{Name: "uniform", Summary: "uniform in λ from min to max", Default: Flat{Min: -15, Max: 15}},
			{Name: "truncated", Summary: "a density restricted to [min, max]", Default: Truncated{Density: Cosine{S: 1}, Min: -15, Max: 15}},
			{Name: "mixture", Summary: "share of a, the rest of b", Default: Mixture{A: Laplace{B: 0.5}, B: Flat{Min: -15, Max: 15}, Share: 0.9}},
			{Name: "tilted", Summary: "proportional to a density times a weight in a unit", Default: &Tilted{Density: Cosine{S: 1}, Weight: Uniform{Unit: Eps{}}, Unit: Eps{}}},
			{Name: "bins", Summary: "constant on each of a list of bins", Default: &Bins{Edges: []float64{-15, 15}, Mass: []float64{1}}},
			{Name: "log-linear", Summary: "log p linear between knots", Default: &LogLinear{Knots: []float64{-15, 15}, Log: []float64{0, 0}}},
			{Name: "empirical", Summary: "the levels of a file, as equal shares between their quantiles", Default: &Empirical{Bins: 64}},
		},
		Nested: parsers(),
	}
}

// parsers reads the parts of weights, densities and recipes by their type.
func parsers() map[reflect.Type]func(string) (any, error) {
	return map[reflect.Type]func(string) (any, error){
		reflect.TypeFor[Unit]():    func(s string) (any, error) { return ParseUnit(s) },
		reflect.TypeFor[Weight]():  func(s string) (any, error) { return ParseWeight(s) },
		reflect.TypeFor[Density](): func(s string) (any, error) { return ParseDensity(s) },
	}
}

// ParseDensity reads what a density's String prints.
func ParseDensity(s string) (Density, error) { return prefixed(Densities().Parse(s)) }

// prefixed names the package once, however deep in a name the error arose.
func prefixed[T any](v T, err error) (T, error) {
	if err != nil {
		err = fmt.Errorf("snr: %s", strings.ReplaceAll(err.Error(), "snr: ", ""))
	}
	return v, err
}
