package schedules

import (
	"fmt"
	"reflect"
	"strings"

	"snrlab/internal/spec"
	"snrlab/snr"
)

// Registry lists the schedules that [Parse] reads, with one line for each.
func Registry() spec.Registry[Schedule] {
	return spec.Registry[Schedule]{
		Kind: "schedule",
		Entries: []spec.Entry[Schedule]{
			{Name: "edm", Summary: "time is σ, α = 1, from smin to smax", Default: EDM{SMin: 0.002, SMax: 80}},
			{Name: "ve", Summary: "variance exploding, σ geometric in t", Default: VE{SMin: 0.01, SMax: 50}},
			{Name: "vp-linear", Summary: "variance preserving, β linear in continuous t", Default: VPLinear{BetaMin: 0.1, BetaMax: 20}},
			{Name: "subvp", Summary: "σ = 1 − α² with the β of vp-linear", Default: SubVP{BetaMin: 0.1, BetaMax: 20}},
			{Name: "beta", Summary: "discrete table of β, any length, with or without zero terminal SNR", Default: Beta{T: 1000}},
			{Name: "cosine", Summary: "continuous cosine, λ from max to min", Default: Cosine{Min: -15, Max: 15}},
			{Name: "chen-linear", Summary: "α² falls linearly", Default: ChenLinear{}},
			{Name: "chen-sigmoid", Summary: "α² a piece of a logistic curve, scaled to reach both ends", Default: ChenSigmoid{Start: -3, End: 3, Tau: 1}},
			{Name: "chen-cosine", Summary: "α² a piece of a power of a cosine, scaled to reach both ends", Default: ChenCosine{Start: 0, End: 1, Tau: 1}},
			{Name: "rf", Summary: "rectified flow, σ = t, with a resolution shift", Aliases: []string{"flow"}, Default: RF{Shift: 1}},
			{Name: "shift", Summary: "a schedule with a constant added to its λ", Default: Shift{Schedule: Cosine{Min: -15, Max: 15}}},
			{Name: "aligned", Summary: "a schedule tuned at one image size, for another, its ends kept", Default: Aligned{Size: 256, Ref: 64, Fraction: 1, Schedule: Cosine{Min: -15, Max: 15}}},
			{Name: "interpolated", Summary: "aligned to a small image size where noise prevails, to a large one where signal does", Default: Interpolated{Size: 256, Low: 32, High: 256, Schedule: Cosine{Min: -15, Max: 15}}},
			{Name: "input-scaled", Summary: "a variance-preserving schedule on images multiplied by b", Default: InputScaled{B: 1, Schedule: ChenLinear{}}},
			{Name: "flux", Summary: "rectified flow with a shift by the number of image tokens", Default: Flux{Tokens: 4096, Low: 256, High: 4096, MuLow: 0.5, MuHigh: 1.15, Power: 1}},
			{Name: "on-path", Summary: "the λ(t) of a schedule on another path", Default: OnPath{To: VPPath{}, Schedule: EDM{SMin: 0.002, SMax: 80}}},
			{Name: "density", Summary: "λ(t) is the quantile of a density of λ", Default: FromDensity{Of: snr.Cosine{S: 1}, To: VPPath{}}},
			{Name: "learned", Summary: "λ(t) of a file, made by snrlab fit-schedule", Default: &Learned{To: VPPath{}}},
		},
		Nested: map[reflect.Type]func(string) (any, error){
			reflect.TypeFor[BetaKind]():    func(s string) (any, error) { return parseBetaKind(s) },
			reflect.TypeFor[Path]():        func(s string) (any, error) { return Paths().Parse(s) },
			reflect.TypeFor[snr.Density](): func(s string) (any, error) { return ParseDensity(s) },
			reflect.TypeFor[Schedule]():    func(s string) (any, error) { return Registry().Parse(s) },
		},
	}
}

// Paths lists the paths that [ParsePath] reads.
func Paths() spec.Registry[Path] {
	return spec.Registry[Path]{
		Kind: "path",
		Entries: []spec.Entry[Path]{
			{Name: "vp", Summary: "variance preserving, α² + σ² = 1", Default: VPPath{}},
			{Name: "ve", Summary: "variance exploding, α = 1", Default: VEPath{}},
			{Name: "rf", Summary: "rectified flow, α + σ = 1", Default: RFPath{}},
			{Name: "subvp", Summary: "sub-variance preserving, σ = 1 − α²", Default: SubVPPath{}},
			{Name: "scale", Summary: "x = s·(x₀ + ŝε) with s = by·(sd² + ŝ²)^(−power/2)", Default: ScalePath{SD: 0.5, Power: 1, By: 1}},
		},
	}
}

// Spacings lists the spacings that [ParseSpacing] reads.
func Spacings() spec.Registry[Spacing] {
	return spec.Registry[Spacing]{
		Kind: "spacing",
		Entries: []spec.Entry[Spacing]{
			{Name: "karras", Summary: "uniform in (σ/α)^(1/ρ)", Aliases: []string{"polynomial"}, Default: Karras{Rho: 7}},
			{Name: "uniform-lambda", Summary: "uniform in λ", Aliases: []string{"exponential", "logsnr"}, Default: UniformLambda{}},
			{Name: "polyexponential", Summary: "log(σ/α) as a power of a uniform ramp", Default: Polyexponential{Rho: 1}},
			{Name: "arctan-log", Summary: "uniform in arctan(ŝ/√c) + k log ŝ with ŝ = σ/α", Default: ArctanLog{C: 0.25, K: 0.02}},
			{Name: "free-start", Summary: "a long first step that asks nothing, then arctan-log, both from the data's total variance", Default: FreeStart{Total: 0.5}},
			{Name: "uniform-t", Summary: "uniform in the schedule's time", Default: UniformT{}},
			{Name: "quadratic", Summary: "uniform in the root of the schedule's time", Default: Quadratic{}},
			{Name: "time-uniform", Summary: "uniform in the time of a vp-linear process fitted to the ends", Default: TimeUniform{Rho: 1, Eps: 1e-3}},
			{Name: "leading", Summary: "every (T/n)-th table entry from the clean end, plus an offset", Default: Leading{Last: LastZero}},
			{Name: "linspace", Summary: "table entries evenly from the last to the first, rounded", Default: Linspace{Last: LastZero}},
			{Name: "trailing", Summary: "every (T/n)-th table entry from the noisy end, rounded", Default: Trailing{Last: LastZero}},
			{Name: "list", Summary: "levels written out, as sigmas (σ/α), lambdas or times", Default: &List{}},
			{Name: "fitted", Summary: "levels of a file, made by snrlab optimize grid or fit-solver", Default: &Fitted{}},
		},
		Nested: map[reflect.Type]func(string) (any, error){
			reflect.TypeFor[Last](): func(s string) (any, error) { return parseLast(s) },
		},
	}
}

// Parse reads a schedule, "vp-linear(bmax=12)" say.
func Parse(s string) (Schedule, error) { return prefixed(Registry().Parse(s)) }

// ParsePath reads a path, "scale(sd=0.5)" say.
func ParsePath(s string) (Path, error) { return prefixed(Paths().Parse(s)) }

// ParseSpacing reads a spacing, "karras(rho=7,last=zero)" say.
func ParseSpacing(s string) (Spacing, error) {
	k, err := Spacings().Parse(s)
	if f, ok := k.(*Fitted); ok && err == nil {
		err = f.load()
	}
	return prefixed(k, err)
}

// prefixed names the package once, however deep in a name the error arose.
func prefixed[T any](v T, err error) (T, error) {
	if err != nil {
		bare := strings.NewReplacer("schedules: ", "", "snr: ", "").Replace(err.Error())
		err = fmt.Errorf("schedules: %s", bare)
	}
	return v, err
}
