package schedules

import (
	"fmt"
	"math"
	"sort"
	"sync"

	"snrlab/internal/spec"
	"snrlab/snr"
)

// Beta is a discrete variance-preserving chain of T steps with variances β_i,
// i = 0 … T−1, in the numbering of common code:
//
//	α_i² = Π_{j≤i} (1 − β_j), accumulated as Σ log(1 − β_j).
//
// Time is the index: At(i) of a whole number is table entry i, to the bit, and
// the domain is [0, T−1]. Between two entries λ (hence log σ/α) is linear in t,
// which makes a continuous schedule that is invertible everywhere. Outside the
// table At gives no level (NaN) and TimeOf the nearest end.
//
// Start and End are the first and last β of the kinds that have them; 0 is the
// kind's own, listed at each [BetaKind], and the only value the others accept.
//
// LaplaceBeta has the quantiles of the paper's density at mid-cells, which are
// finite without a cap. Differs from the "laplace" table of diffusers, which adds
// 1e-6 in the logarithm to keep t = 0 and 1 finite, takes √(SNR/(1 + SNR)), that
// is α, for ᾱ, divides it by its value at t = 0, reads t at (i + 1)/T, and caps β at
// 0.999: its λ at the middle of 1000 entries is 0.88, and the median is 0.
//
// ZeroSNR rescales α affinely so that the last entry is α = 0 exactly and the
// first stays [lin2024]. Linear interpolation cannot reach λ = −Inf: there, on
// the last interval, α/σ is linear in t instead.
type Beta struct {
	Kind    BetaKind `json:"kind"`
	T       int      `json:"T"`
	Start   float64  `json:"bstart"`
	End     float64  `json:"bend"`
	ZeroSNR bool     `json:"zerosnr"`
}

// BetaKind is a family of β tables.
type BetaKind int

const (
	LinearBeta    BetaKind = iota // β linear from 1e-4 to 0.02 [ho2020]
	ScaledLinear                  // √β linear from √0.00085 to √0.012, of latent diffusion [rombach2022]
	SquaredCosine                 // ᾱ ∝ cos²((i/T + 0.008)/1.008 · π/2), β at most 0.999 [nichol2021]
	SigmoidBeta                   // β logistic on [−6, 6], between 1e-4 and 0.02
	LaplaceBeta                   // λ at the quantiles (i + ½)/T of Laplace(0, ½) [hang2024]
	ExpBeta                       // ᾱ = e^{−12 i/T}: β constant
)

var betaKinds = []string{"linear", "scaled-linear", "squared-cosine", "sigmoid", "laplace", "exp"}

func (k BetaKind) String() string { return spec.EnumName(k, betaKinds) }

func parseBetaKind(s string) (BetaKind, error) {
	return prefixed(spec.ParseEnum[BetaKind]("kind of β", s, betaKinds))
}

// ownEnds returns the default first and last β of a kind; ok is false for the
// kinds that have none.
func (k BetaKind) ownEnds() (start, end float64, ok bool) {
	switch k {
	case LinearBeta, SigmoidBeta:
		return 1e-4, 0.02, true
	case ScaledLinear:
		return 0.00085, 0.012, true
	}
	return 0, 0, false
}

// maxTable bounds T so that a slip of the keyboard is an error, not a machine
// out of memory.
const maxTable = 1_000_000

// Validate reports a length or ends that make no table.
func (s Beta) Validate() error {
	if s.Kind < 0 || int(s.Kind) >= len(betaKinds) {
		return fmt.Errorf("schedules: beta has an unknown kind %d", int(s.Kind))
	}
	if s.T < 2 || s.T > maxTable {
		return fmt.Errorf("schedules: beta has T = %d: expected 2 to %d entries", s.T, maxTable)
	}
	start, end, has := s.Kind.ownEnds()
	if !has {
		if s.Start != 0 || s.End != 0 {
			return fmt.Errorf("schedules: beta of kind %s takes neither bstart nor bend: got %g, %g", s.Kind, s.Start, s.End)
		}
		return nil
	}
	start, end = or(s.Start, start), or(s.End, end)
	if !(start > 0 && start < 1 && end > 0 && end < 1) {
		return fmt.Errorf("schedules: beta has bstart = %g, bend = %g: expected numbers between 0 and 1", start, end)
	}
	return nil
}

// or returns v, or its default if it is 0.
func or(v, otherwise float64) float64 {
	if v == 0 {
		return otherwise
	}
	return v
}

// At returns the level at t: a table entry if t is whole.
func (s Beta) At(t float64) Level { return s.table().at(t) }

// TimeOf inverts At; whole at the table's entries.
func (s Beta) TimeOf(l snr.LogSNR) float64 { return s.table().timeOf(l) }

// LogSNRRate returns the slope of λ at t, at an entry that of its noisy side.
func (s Beta) LogSNRRate(t float64) float64 { return s.table().rate(t) }

// Domain is [0, T−1].
func (s Beta) Domain() (clean, noisy float64) { return 0, float64(s.T - 1) }

// Path is VP.
func (Beta) Path() Path { return VPPath{} }

// Entries returns T.
func (s Beta) Entries() int { return s.T }

func (s Beta) String() string { return Registry().Format("beta", s) }

// logAlphaBar returns Σ_{j≤i} log(1 − β_j), that is log ᾱ, for every entry.
func (s Beta) logAlphaBar() []float64 {
	start, end, _ := s.Kind.ownEnds()
	start, end = or(s.Start, start), or(s.End, end)
	n := s.T
	ramp := func(a, b float64, i int) float64 { return a + (b-a)*float64(i)/float64(n-1) }
	logs := make([]float64, n)
	sum := 0.0
	for i := range logs {
		switch s.Kind {
		case LinearBeta:
			sum += math.Log1p(-ramp(start, end, i))
		case ScaledLinear:
			root := ramp(math.Sqrt(start), math.Sqrt(end), i)
			sum += math.Log1p(-root * root)
		case SquaredCosine:
			sum += max(2*(logCos008(i+1, n)-logCos008(i, n)), math.Log1p(-0.999))
		case SigmoidBeta:
			sum += math.Log1p(-(start + (end-start)/(1+math.Exp(-ramp(-6, 6, i)))))
		case LaplaceBeta:
			p := (float64(i) + 0.5) / float64(n)
			sum = snr.LogSNR(0.5 * math.Copysign(math.Log1p(-math.Abs(2*p-1)), 0.5-p)).LogAlphaBar()
		case ExpBeta:
			sum = -12 * float64(i+1) / float64(n)
		}
		logs[i] = sum
	}
	return logs
}

// logCos008 returns log cos((i/T + 0.008)/1.008 · π/2), taken as a sine of the
// distance from the end so that it does not cancel there.
func logCos008(i, n int) float64 {
	return math.Log(math.Sin(math.Pi / 2 * float64(n-i) / float64(n) / 1.008))
}

// table is a computed Beta: levels, and their λ, by entry.
type table struct {
	levels []Level
	lambda []float64 // strictly falling; the last may be −Inf
}

// tables keeps what was computed: a Beta is a small value that is used as a
// literal, and a program has few distinct ones. A search over many starts anew
// when the tables are maxTables, so that it does not fill the memory.
var tables = struct {
	sync.RWMutex
	of map[Beta]*table
}{of: map[Beta]*table{}}

const maxTables = 64

func (s Beta) table() *table {
	tables.RLock()
	tb := tables.of[s]
	tables.RUnlock()
	if tb == nil {
		tb = s.compute()
		tables.Lock()
		if len(tables.of) >= maxTables {
			clear(tables.of)
		}
		tables.of[s] = tb
		tables.Unlock()
	}
	return tb
}

func (s Beta) compute() *table {
	if s.Validate() != nil {
		return &table{} // no levels: every answer is NaN
	}
	logs := s.logAlphaBar()
	tb := &table{levels: make([]Level, s.T), lambda: make([]float64, s.T)}
	for i, l := range logs {
		lv := Level{T: float64(i), Alpha: math.Exp(l / 2), Sigma: math.Sqrt(-math.Expm1(l))}
		switch {
		case s.ZeroSNR && i == s.T-1:
			lv.Alpha, lv.Sigma = 0, 1
		case s.ZeroSNR && i > 0:
			lv.Alpha, lv.Sigma = zeroTerminal(l, logs[0], logs[s.T-1])
		}
		tb.levels[i], tb.lambda[i] = lv, float64(lv.LogSNR())
	}
	return tb
}

// zeroTerminal returns the rescaled coefficients [lin2024]
//
//	r ← (r − r_T) r_0/(r_0 − r_T), r = α, σ² = (1 − r)(1 + r)
//
// from log ᾱ here, at the first entry and at the last, with each difference
// from 1 or from r_T taken by expm1.
func zeroTerminal(l, first, last float64) (alpha, sigma float64) {
	r0, rT := math.Exp(first/2), math.Exp(last/2)
	span := rT * math.Expm1((first-last)/2) // r_0 − r_T
	alpha = rT * math.Expm1((l-last)/2) * r0 / span
	below := (rT*math.Expm1(first/2) - r0*math.Expm1(l/2)) / span // 1 − α
	return alpha, math.Sqrt(below * (1 + alpha))
}

func (tb *table) at(t float64) Level {
	last := len(tb.levels) - 1
	if !(t >= 0 && t <= float64(last)) {
		return Level{T: t, Alpha: math.NaN(), Sigma: math.NaN()}
	}
	i := int(t)
	u := t - float64(i)
	if u == 0 {
		return tb.levels[i]
	}
	a, b := tb.lambda[i], tb.lambda[i+1]
	l := a + u*(b-a)
	if math.IsInf(b, -1) {
		l = a + 2*math.Log1p(-u)
	}
	alpha, sigma := snr.LogSNR(l).VP()
	return Level{T: t, Alpha: alpha, Sigma: sigma}
}

func (tb *table) timeOf(l snr.LogSNR) float64 {
	last := len(tb.lambda) - 1
	x := float64(l)
	switch {
	case last < 0 || math.IsNaN(x):
		return math.NaN()
	case x >= tb.lambda[0]:
		return 0
	case x <= tb.lambda[last]:
		return float64(last)
	}
	// The first entry noisier than l ends the interval that holds it.
	i := sort.Search(last, func(i int) bool { return tb.lambda[i+1] < x })
	a, b := tb.lambda[i], tb.lambda[i+1]
	if math.IsInf(b, -1) {
		return float64(i) - math.Expm1((x-a)/2)
	}
	return float64(i) + (a-x)/(a-b)
}

func (tb *table) rate(t float64) float64 {
	last := len(tb.levels) - 1
	if !(t >= 0 && t <= float64(last)) {
		return math.NaN()
	}
	i := min(int(t), last-1)
	a, b := tb.lambda[i], tb.lambda[i+1]
	if math.IsInf(b, -1) {
		return -2 / (float64(last) - t)
	}
	return b - a
}
