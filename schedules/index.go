package schedules

import (
	"fmt"
	"math"
)

// Leading takes every r-th entry of a discrete schedule from the clean end,
// r = ⌊T/n⌋ [ho2020] in the words of [lin2024]: (n−1)r + Offset, …, r + Offset,
// Offset. It never starts at the last entry unless the offset says so.
//
// The n entries are followed by σ = 0 (last=zero), or by entry 0 (last=min),
// which then must not be among them: give an offset.
type Leading struct {
	Offset int  `json:"offset"`
	Last   Last `json:"last"`
}

// Validate reports a negative offset.
func (k Leading) Validate() error {
	if k.Offset < 0 {
		return fmt.Errorf("schedules: leading has offset = %d: expected a number ≥ 0", k.Offset)
	}
	return nil
}

// Grid returns the levels of n steps on a discrete schedule.
func (k Leading) Grid(s Schedule, n int) (Grid, error) {
	if err := k.Validate(); err != nil {
		return nil, err
	}
	return indexGrid("leading", s, n, n, k.Last, func(size, i int) float64 {
		return float64((n-1-i)*(size/n) + k.Offset)
	})
}

func (k Leading) String() string { return Spacings().Format("leading", k) }

// Linspace takes entries of a discrete schedule evenly from the last to the
// first, rounded, halves to even [lin2024].
//
// With last=zero the n entries end at entry 0 and σ = 0 follows; with last=min
// n+1 entries end at entry 0.
type Linspace struct {
	Last Last `json:"last"`
}

// Grid returns the levels of n steps on a discrete schedule.
func (k Linspace) Grid(s Schedule, n int) (Grid, error) {
	points := n
	if k.Last == LastMin {
		points++
	}
	return indexGrid("linspace", s, n, points, k.Last, func(size, i int) float64 {
		if points == 1 {
			return float64(size - 1)
		}
		return math.RoundToEven(float64(points-1-i) * (float64(size-1) / float64(points-1)))
	})
}

func (k Linspace) String() string { return Spacings().Format("linspace", k) }

// Trailing takes entries of a discrete schedule from the noisy end at distance
// T/n, rounded, halves to even: round(T − i T/n) − 1 for i < n [lin2024]. It
// starts at the last entry whatever n is, which zero terminal SNR needs.
//
// The n entries are followed by σ = 0 (last=zero) or by entry 0 (last=min).
type Trailing struct {
	Last Last `json:"last"`
}

// Grid returns the levels of n steps on a discrete schedule.
func (k Trailing) Grid(s Schedule, n int) (Grid, error) {
	return indexGrid("trailing", s, n, n, k.Last, func(size, i int) float64 {
		return math.RoundToEven(float64(size)-float64(i)*(float64(size)/float64(n))) - 1
	})
}

func (k Trailing) String() string { return Spacings().Format("trailing", k) }

// indexGrid collects the entries index(T, 0), index(T, 1), … of a table of T and
// what follows them in a grid of n steps.
func indexGrid(name string, s Schedule, n, points int, last Last, index func(size, i int) float64) (Grid, error) {
	sp, err := newSpan(s, n, last, 0, 0)
	if err != nil {
		return nil, err
	}
	size := entries(s)
	switch {
	case size == 0:
		return nil, fmt.Errorf("schedules: %s chooses table entries and %s has none: use a discrete schedule, or a spacing in t or λ", name, s)
	case points > size:
		return nil, fmt.Errorf("schedules: %s asks for %d entries of %s, which has %d: use fewer steps", name, points, s, size)
	}
	g := make(Grid, 0, n+1)
	for i := range points {
		t := index(size, i)
		if t > float64(size-1) {
			return nil, fmt.Errorf("schedules: %s asks for entry %g of %s, which ends at %d: use a smaller offset", name, t, s, size-1)
		}
		g = append(g, s.At(t))
	}
	switch {
	case len(g) == n+1:
	case last == LastZero:
		g = append(g, cleanLevel(s))
	case g[n-1].T == 0:
		return nil, fmt.Errorf("schedules: %s ends at entry 0 already, so last=min has no further step: use last=zero, or an offset", name)
	default:
		g = append(g, sp.clean)
	}
	return checked(g)
}
