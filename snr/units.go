package snr

import (
	"fmt"
	"math"
	"reflect"

	"snrlab/internal/spec"
)

// Unit is what a residual is counted in. The same mistake Δ of a network shows as
// |Δ|² = c(λ)·|Δx₀|² with
//
//	x0     c = 1
//	eps    c = e^λ
//	v      c = 1 + e^λ                on a variance-preserving path
//	flow   c = (1 + e^{λ/2})²         of u = ε − x₀, on any path
//	edm    c = e^λ + 1/sd²            of the network F behind the preconditioning
//	score  c = e^λ/σ²                 whose σ is that of the path
//
// so that Δε = −(α/σ)Δx₀, Δv = −Δx₀/σ, and so on.
type Unit interface {
	Log(l LogSNR) float64 // log c(λ) at finite λ
	Tails() (noisy, clean Tail)
	String() string // parseable, e.g. "edm(sd=0.5)"
}

// Tail is how a positive function of λ goes at an end of the axis:
// log f → Slope·λ + Log. A tail that falls below every exponential has an
// infinite Slope, and Log = −Inf is a function that vanishes.
type Tail struct{ Slope, Log float64 }

// at returns the limit of log f as λ → l, one of ±Inf.
func (t Tail) at(l LogSNR) float64 {
	if t.Slope == 0 {
		return t.Log
	}
	return t.Slope * float64(l)
}

func (t Tail) times(o Tail) Tail { return Tail{t.Slope + o.Slope, t.Log + o.Log} }

func (t Tail) over(o Tail) Tail { return Tail{t.Slope - o.Slope, t.Log - o.Log} }

// X0 is the residual of x₀ itself.
type X0 struct{}

// Eps is the residual of the noise ε.
type Eps struct{}

// V is the residual of v = α ε − σ x₀ on a variance-preserving path.
type V struct{}

// Flow is the residual of u = ε − x₀, the velocity of rectified flow.
type Flow struct{}

// EDM is the residual of the network F of [karras2022], whose data have the
// standard deviation SD.
type EDM struct {
	SD float64 `json:"sd"`
}

// Score is the residual of ∇ log p = −ε/σ, which depends on the scale of x: Path
// says which σ belongs to λ.
type Score struct {
	Path ScorePath `json:"path"`
}

// ScorePath is the path of a score: vp (α² + σ² = 1), ve (α = 1) or rf (α + σ = 1).
type ScorePath uint8

// The paths that a score is counted on.
const (
	ScoreVP ScorePath = iota
	ScoreVE
	ScoreRF
)

var scorePaths = []string{"vp", "ve", "rf"}

func (p ScorePath) String() string { return spec.EnumName(p, scorePaths) }

// Log returns 0.
func (X0) Log(LogSNR) float64 { return 0 }

// Log returns λ.
func (Eps) Log(l LogSNR) float64 { return float64(l) }

// Log returns log(1 + e^λ).
func (V) Log(l LogSNR) float64 { return softplus(float64(l)) }

// Log returns 2 log(1 + e^{λ/2}).
func (Flow) Log(l LogSNR) float64 { return 2 * softplus(l.Half()) }

// Log returns log(e^λ + 1/sd²).
func (u EDM) Log(l LogSNR) float64 { return addLogs(float64(l), -2*math.Log(u.SD)) }

// Log returns λ − log σ².
func (u Score) Log(l LogSNR) float64 {
	x := float64(l)
	switch u.Path {
	case ScoreVP:
		return x + softplus(x)
	case ScoreVE:
		return 2 * x
	default:
		return x + 2*softplus(x/2)
	}
}

// Tails are those of 1.
func (X0) Tails() (noisy, clean Tail) { return Tail{}, Tail{} }

// Tails are those of e^λ.
func (Eps) Tails() (noisy, clean Tail) { return Tail{1, 0}, Tail{1, 0} }

// Tails are those of 1 + e^λ.
func (V) Tails() (noisy, clean Tail) { return Tail{}, Tail{1, 0} }

// Tails are those of (1 + e^{λ/2})².
func (Flow) Tails() (noisy, clean Tail) { return Tail{}, Tail{1, 0} }

// Tails are those of e^λ + 1/sd².
func (u EDM) Tails() (noisy, clean Tail) { return Tail{0, -2 * math.Log(u.SD)}, Tail{1, 0} }

// Tails are those of e^λ/σ².
func (u Score) Tails() (noisy, clean Tail) {
	if u.Path == ScoreVE {
		return Tail{2, 0}, Tail{2, 0}
	}
	return Tail{1, 0}, Tail{2, 0}
}

// Validate reports a data scale that is none.
func (u EDM) Validate() error { return positive("edm", "sd", u.SD) }

// Units lists the units that [ParseUnit] reads.
func Units() spec.Registry[Unit] {
	return spec.Registry[Unit]{
		Kind: "unit",
		Entries: []spec.Entry[Unit]{
			{Name: "x0", Summary: "clean sample x₀: c = 1", Default: X0{}},
			{Name: "eps", Summary: "noise ε: c = e^λ", Aliases: []string{"epsilon"}, Default: Eps{}},
			{Name: "v", Summary: "α ε − σ x₀: c = 1 + e^λ", Default: V{}},
			{Name: "flow", Summary: "ε − x₀: c = (1 + e^(λ/2))²", Default: Flow{}},
			{Name: "edm", Summary: "network behind the EDM preconditioning: c = e^λ + 1/sd²", Default: EDM{SD: 0.5}},
			{Name: "score", Summary: "∇ log p on a path: c = e^λ/σ²", Default: Score{}},
		},
		Nested: map[reflect.Type]func(string) (any, error){
			reflect.TypeFor[ScorePath](): func(s string) (any, error) { return spec.ParseEnum[ScorePath]("path", s, scorePaths) },
		},
	}
}

// ParseUnit reads what a unit's String prints.
func ParseUnit(s string) (Unit, error) { return prefixed(Units().Parse(s)) }

func (u X0) String() string    { return Units().Format("x0", u) }
func (u Eps) String() string   { return Units().Format("eps", u) }
func (u V) String() string     { return Units().Format("v", u) }
func (u Flow) String() string  { return Units().Format("flow", u) }
func (u EDM) String() string   { return Units().Format("edm", u) }
func (u Score) String() string { return Units().Format("score", u) }

// softplus returns log(1 + e^x).
func softplus(x float64) float64 { return max(x, 0) + math.Log1p(math.Exp(-math.Abs(x))) }

// addLogs returns log(e^a + e^b).
func addLogs(a, b float64) float64 {
	if a < b {
		a, b = b, a
	}
	if math.IsInf(a, 0) {
		return a
	}
	return a + math.Log1p(math.Exp(b-a))
}

// positive reports a field that is no finite number > 0.
func positive(name, field string, v float64) error {
	if !(v > 0) || math.IsInf(v, 1) {
		return fmt.Errorf("snr: %s has %s = %g: expected a finite number > 0", name, field, v)
	}
	return nil
}

// finite reports a field that is no finite number.
func finite(name, field string, v float64) error {
	if v-v != 0 {
		return fmt.Errorf("snr: %s has %s = %g: expected a finite number", name, field, v)
	}
	return nil
}
