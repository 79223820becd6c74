package solvers

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"snrlab/internal/spec"
	"snrlab/schedules"
	"snrlab/snr"
)

// Restart walks the probability-flow ODE and goes back up from some levels
// [xu2023, algorithm 1]: on arriving at the lower end of an interval it adds
// the noise of the forward process up to the upper end and walks down again, K
// times, so that errors contract as those of an SDE do while steps stay those
// of an ODE. With hats for division by α, from ŝ_min to ŝ_max
//
//	x̂ ← x̂ + SNoise √(ŝ_max² − ŝ_min²) z,   then Heun's (or Euler's) steps back to ŝ_min
//
// The lower end is the level of the grid nearest in σ/α to the one asked for,
// as in the program of [xu2023]. The walk back is on the grid's own levels from
// the one nearest to the upper end, or, where a number of steps is given, on so
// many of spacing karras(rho=7) from the upper end itself, whose levels come
// from the problem's schedule. An interval that a grid is too coarse for is left
// out. Every step of Heun's is two evaluations, one into σ = 0; NFE counts the
// excursions.
type Restart struct {
	Intervals Intervals   `json:"intervals"` // [min:max:K] or [min:max:K:steps], several separated by commas
	Base      RestartBase `json:"base"`      // method of the steps
	SNoise    float64     `json:"snoise"`    // factor of the noise added
}

// RestartBase is the method that [Restart] walks with.
type RestartBase uint8

const (
	RestartHeun  RestartBase = iota // [Heun]'s steps. The default
	RestartEuler                    // [Euler]'s
)

var restartBaseNames = []string{"heun", "euler"}

func (b RestartBase) String() string { return spec.EnumName(b, restartBaseNames) }

// MarshalText writes the name.
func (b RestartBase) MarshalText() ([]byte, error) { return []byte(b.String()), nil }

// UnmarshalText reads a name.
func (b *RestartBase) UnmarshalText(t []byte) (err error) {
	*b, err = parseChoice[RestartBase](restartBaseNames, string(t))
	return err
}

// Intervals is a list of the intervals of [Restart] in σ/α, "[0.06:0.3:2]" say:
// from 0.06 up to 0.3 twice, or "[0.06:0.3:2:4]", walking back in four steps. It
// is a text so that solvers can be compared.
type Intervals string

// interval is one entry of [Intervals].
type interval struct {
	lo, hi float64
	times  int
	steps  int // 0 for the grid's own levels
}

// read returns the list.
func (s Intervals) read() ([]interval, error) {
	text := string(s)
	inner, ok := strings.CutPrefix(text, "[")
	inner, closed := strings.CutSuffix(inner, "]")
	if !ok || !closed || inner == "" {
		return nil, fmt.Errorf("intervals = %s: expected a list of min:max:K or min:max:K:steps such as [0.06:0.3:2]", text)
	}
	var list []interval
	for v := range strings.SplitSeq(inner, ",") {
		parts := strings.Split(strings.TrimSpace(v), ":")
		if len(parts) != 3 && len(parts) != 4 {
			return nil, fmt.Errorf("intervals = %s: %q has %d numbers: expected min:max:K or min:max:K:steps", text, v, len(parts))
		}
		var r interval
		var errs [4]error
		r.lo, errs[0] = strconv.ParseFloat(parts[0], 64)
		r.hi, errs[1] = strconv.ParseFloat(parts[1], 64)
		r.times, errs[2] = strconv.Atoi(parts[2])
		if len(parts) == 4 {
			if r.steps, errs[3] = strconv.Atoi(parts[3]); r.steps < 1 {
				return nil, fmt.Errorf("intervals = %s: %q walks back in %q steps: expected a whole number ≥ 1", text, v, parts[3])
			}
		}
		if err := errors.Join(errs[:]...); err != nil || !(r.lo > 0 && r.lo < r.hi) || math.IsInf(r.hi, 1) || r.times < 1 {
			return nil, fmt.Errorf("intervals = %s: %q: expected 0 < min < max in σ/α and a whole number K ≥ 1", text, v)
		}
		list = append(list, r)
	}
	return list, nil
}

func (s Restart) String() string { return Registry().Format("restart", s) }

// Validate reports settings without meaning.
func (s Restart) Validate() error {
	if _, err := s.Intervals.read(); err != nil {
		return err
	}
	if !(s.SNoise > 0) || math.IsInf(s.SNoise, 1) {
		return fmt.Errorf("snoise = %g: expected a positive finite factor", s.SNoise)
	}
	return checkChoice("base", restartBaseNames, s.Base)
}

// Properties implements [Solver].
func (s Restart) Properties() Properties {
	list, _ := s.Intervals.read()
	p := Properties{
		Order: 2, Evals: s.evals(), LastEvals: 1, PathFree: true, Stochastic: true, OwnNoise: true, Varies: true,
		Between:    slices.ContainsFunc(list, func(r interval) bool { return r.steps > 0 }),
		Summary:    "Heun's or Euler's steps that go back up over chosen intervals and down again",
		Equation:   "x̂ ← x̂ + √(ŝ_max² − ŝ_min²) z at ŝ_min, and back by the same steps, K times",
		References: []string{"xu2023"},
	}
	if s.Base == RestartEuler {
		p.Order = 1
	}
	return p
}

// evals are the evaluations of one step of the base.
func (s Restart) evals() int {
	if s.Base == RestartEuler {
		return 1
	}
	return 2
}

func (s Restart) method() method {
	list, _ := s.Intervals.read()
	return method{
		evals: s.evals(), scratch: 5,
		step: func(w *walk) { s.step(w, list) },
		fits: func(g schedules.Grid) error {
			for _, r := range list {
				if first, last := g[0].Noise(), g[g.Steps()].Noise(); last >= r.hi || first <= r.lo {
					return fmt.Errorf("intervals = %s: a grid from σ/α = %.4g to %.4g has no level in [%g, %g]: expected one that reaches the interval", s.Intervals, first, last, r.lo, r.hi)
				}
			}
			return nil
		},
		cost: func(at place) int {
			n := s.evals()
			for _, r := range list {
				n += r.times * r.back(at) * s.evals()
			}
			return n
		},
	}
}

// back is the number of steps that lead back from the upper end, 0 where a step
// does not arrive at the lower one.
func (r interval) back(at place) int {
	if nearest(at.grid, r.lo) != at.index+1 {
		return 0
	}
	if r.steps > 0 {
		if r.hi <= at.to().Noise() {
			return 0
		}
		return r.steps
	}
	return max(at.index+1-nearest(at.grid, r.hi), 0)
}

// nearest is the index of the level whose σ/α is nearest to s, of those that a
// step arrives at or that have a finite one.
func nearest(g schedules.Grid, s float64) int {
	best, gap := -1, math.Inf(1)
	for i, l := range g {
		if d := math.Abs(l.Noise() - s); l.Sigma > 0 && d < gap {
			best, gap = i, d
		}
	}
	return best
}

func (s Restart) step(w *walk, list []interval) {
	at := w.place()
	s.move(w, w.next, w.x, w.d, w.from, w.to)
	for _, r := range list {
		n := r.back(at)
		if n == 0 {
			continue
		}
		// level is the j-th level of the walk back, from the upper end.
		bottom := w.to
		level := func(j int) schedules.Level {
			switch {
			case j == n:
				return bottom
			case r.steps == 0:
				return at.grid[at.index+1-n+j]
			}
			hi, lo := math.Pow(r.hi, 1./7), math.Pow(bottom.Noise(), 1./7)
			return w.between(snr.FromSigma(math.Pow(hi+float64(j)/float64(n)*(lo-hi), 7)))
		}
		for range r.times {
			top, x, y := level(0), w.tmp[0], w.tmp[1]
			z := w.normal(bottom, top)
			u, v := top.Noise(), bottom.Noise()
			w.lin(x, term{top.Alpha / bottom.Alpha, w.next}, term{s.SNoise * top.Alpha * math.Sqrt((u-v)*(u+v)), z})
			for j := range n {
				a, b, d := level(j), level(j+1), w.tmp[2]
				if j == n-1 {
					y = w.next
				}
				w.eval(d, x, a)
				s.move(w, y, x, d, a, b)
				x, y = y, x
			}
		}
	}
}

// move writes into dst the step of the base from x at a, where D is d, to b.
func (s Restart) move(w *walk, dst, x, d []float64, a, b schedules.Level) {
	y, dy := w.tmp[3], w.tmp[4]
	if s.Base == RestartEuler {
		y = dst
	}
	w.lin(y, term{b.Sigma / a.Sigma, x}, term{-b.Alpha * math.Expm1(-halfStep(a, b)), d})
	if s.Base == RestartEuler {
		return
	}
	w.eval(dy, y, b)
	k := b.Alpha * (b.Noise() - a.Noise()) / 2
	w.lin(dst,
		term{b.Alpha/a.Alpha + k/a.Sigma, x}, term{-k * a.Alpha / a.Sigma, d},
		term{k / b.Sigma, y}, term{-k * b.Alpha / b.Sigma, dy})
}

// NFE implements [Solver].
func (s Restart) NFE(g schedules.Grid) int { return s.method().nfe(g) }

// Start implements [Solver].
func (s Restart) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
