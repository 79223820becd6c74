package solvers

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
)

// tableau holds an explicit Runge–Kutta method: stage i is taken at c[i] with
// weights a[i] of the earlier slopes, b makes the step. An embedded pair has
// the weights low of a second result, whose distance from the first estimates
// its error.
type tableau struct {
	order int
	c     []float64
	a     [][]float64
	b     []float64
	low   []float64 // nil, or the weights of the result of order below
	below int       // order of low
	// third holds, of a pair with two estimates, the weights of a result of a
	// yet lower order: see [tableau.estimate].
	third []float64
}

// stages returns the evaluations of a step.
func (t tableau) stages() int { return len(t.c) }

// closes reports that the last stage is taken at the result of the step, so
// that its slope is the first of the next step.
func (t tableau) closes() bool {
	last := t.stages() - 1
	if t.c[last] != 1 || t.b[last] != 0 {
		return false
	}
	for j, a := range t.a[last] {
		if a != t.b[j] {
			return false
		}
	}
	return true
}

// inner reports stages between the ends of a step.
func (t tableau) inner() bool {
	for _, c := range t.c {
		if c != 0 && c != 1 {
			return true
		}
	}
	return false
}

// validate reports a tableau that belongs to no explicit method of order 1: of
// the wrong shape, with rows that do not add up to c, or weights not to 1.
func (t tableau) validate() error {
	n := t.stages()
	if n == 0 || len(t.a) != n || len(t.b) != n || t.low != nil && len(t.low) != n {
		return fmt.Errorf("tableau of %d nodes has %d rows, %d weights and %d of the lower order: expected as many of each", n, len(t.a), len(t.b), len(t.low))
	}
	// 3e-14: rounding of up to 12 terms of size 40.
	off := func(sum, want float64) bool { return !(math.Abs(sum-want) <= 3e-14) }
	for i, row := range t.a {
		if len(row) != i {
			return fmt.Errorf("tableau row %d has %d weights: expected %d", i, len(row), i)
		}
		if s := total(row); off(s, t.c[i]) {
			return fmt.Errorf("tableau row %d adds up to %g: expected its node %g", i, s, t.c[i])
		}
	}
	if s := total(t.b); off(s, 1) {
		return fmt.Errorf("tableau weights add up to %g: expected 1", s)
	}
	for _, low := range [][]float64{t.low, t.third} {
		if s := total(low); low != nil && off(s, 1) {
			return fmt.Errorf("tableau weights of a lower order add up to %g: expected 1", s)
		}
	}
	return nil
}

func total(v []float64) float64 {
	sum := 0.0
	for _, a := range v {
		sum += a
	}
	return sum
}

// Scheme names an explicit Runge–Kutta method [hairer1993, chapter II].
type Scheme uint8

const (
	RK4       Scheme = iota // the classical method. The default
	RK38                    // the 3/8 rule
	Euler1                  // Euler
	Midpoint                // midpoint rule, c₂ = 1/2
	Heun2                   // trapezoidal rule, c₂ = 1
	Ralston2                // c₂ = 2/3, the least error bound of order 2
	AlphaHeun               // any c₂ = α: the family of the three above [karras2022, eq. 156]
	Kutta3                  // Kutta's third order
	Heun3                   // Heun's third order
	Ralston3                // Ralston's third order
	VdH3                    // van der Houwen's and Wray's third order
	SSP3                    // strong stability preserving third order of Shu and Osher
	Nystrom5                // Nyström's fifth order, 6 stages
	Butcher6                // Butcher's sixth order, 7 stages
	BS23                    // pair 3(2) of Bogacki and Shampine
	Dopri5                  // pair 5(4) of Dormand and Prince
	DOP853                  // pair 8(5,3) of Dormand and Prince
)

var schemeNames = []string{
	"rk4", "rk38", "euler", "midpoint", "heun2", "ralston2", "alpha",
	"kutta3", "heun3", "ralston3", "vdh3", "ssprk3", "nystrom5", "butcher6", "bs23", "dopri5", "dop853",
}

func (s Scheme) String() string { return spec.EnumName(s, schemeNames) }

// MarshalText writes the name.
func (s Scheme) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a name.
func (s *Scheme) UnmarshalText(b []byte) (err error) {
	*s, err = parseChoice[Scheme](schemeNames, string(b))
	return err
}

// twoStage returns the method of order 2 whose second stage is at α: one-half
// is the midpoint rule, 1 Heun's, 2/3 Ralston's.
func twoStage(alpha float64) tableau {
	return tableau{
		order: 2, c: []float64{0, alpha},
		a: [][]float64{{}, {alpha}},
		b: []float64{1 - 1/(2*alpha), 1 / (2 * alpha)},
	}
}

// tableaux holds the schemes without a parameter.
var tableaux = map[Scheme]tableau{
	Euler1:   {order: 1, c: []float64{0}, a: [][]float64{{}}, b: []float64{1}},
	Midpoint: twoStage(1. / 2),
	Heun2:    twoStage(1),
	Ralston2: twoStage(2. / 3),
	Kutta3: {
		order: 3, c: []float64{0, 1. / 2, 1},
		a: [][]float64{{}, {1. / 2}, {-1, 2}},
		b: []float64{1. / 6, 2. / 3, 1. / 6},
	},
	Heun3: {
		order: 3, c: []float64{0, 1. / 3, 2. / 3},
		a: [][]float64{{}, {1. / 3}, {0, 2. / 3}},
		b: []float64{1. / 4, 0, 3. / 4},
	},
	Ralston3: {
		order: 3, c: []float64{0, 1. / 2, 3. / 4},
		a: [][]float64{{}, {1. / 2}, {0, 3. / 4}},
		b: []float64{2. / 9, 1. / 3, 4. / 9},
	},
	VdH3: {
		order: 3, c: []float64{0, 8. / 15, 2. / 3},
		a: [][]float64{{}, {8. / 15}, {1. / 4, 5. / 12}},
		b: []float64{1. / 4, 0, 3. / 4},
	},
	SSP3: {
		order: 3, c: []float64{0, 1, 1. / 2},
		a: [][]float64{{}, {1}, {1. / 4, 1. / 4}},
		b: []float64{1. / 6, 1. / 6, 2. / 3},
	},
	RK4: {
		order: 4, c: []float64{0, 1. / 2, 1. / 2, 1},
		a: [][]float64{{}, {1. / 2}, {0, 1. / 2}, {0, 0, 1}},
		b: []float64{1. / 6, 1. / 3, 1. / 3, 1. / 6},
	},
	RK38: {
		order: 4, c: []float64{0, 1. / 3, 2. / 3, 1},
		a: [][]float64{{}, {1. / 3}, {-1. / 3, 1}, {1, -1, 1}},
		b: []float64{1. / 8, 3. / 8, 3. / 8, 1. / 8},
	},
	Nystrom5: {
		order: 5, c: []float64{0, 1. / 3, 2. / 5, 1, 2. / 3, 4. / 5},
		a: [][]float64{
			{},
			{1. / 3},
			{4. / 25, 6. / 25},
			{1. / 4, -3, 15. / 4},
			{2. / 27, 10. / 9, -50. / 81, 8. / 81},
			{2. / 25, 12. / 25, 2. / 15, 8. / 75, 0},
		},
		b: []float64{23. / 192, 0, 125. / 192, 0, -27. / 64, 125. / 192},
	},
	Butcher6: {
		order: 6, c: []float64{0, 1. / 3, 2. / 3, 1. / 3, 1. / 2, 1. / 2, 1},
		a: [][]float64{
			{},
			{1. / 3},
			{0, 2. / 3},
			{1. / 12, 1. / 3, -1. / 12},
			{-1. / 16, 9. / 8, -3. / 16, -3. / 8},
			{0, 9. / 8, -3. / 8, -3. / 4, 1. / 2},
			{9. / 44, -9. / 11, 63. / 44, 18. / 11, 0, -16. / 11},
		},
		b: []float64{11. / 120, 0, 27. / 40, 27. / 40, -4. / 15, -4. / 15, 11. / 120},
	},
	BS23: {
		order: 3, c: []float64{0, 1. / 2, 3. / 4, 1},
		a:   [][]float64{{}, {1. / 2}, {0, 3. / 4}, {2. / 9, 1. / 3, 4. / 9}},
		b:   []float64{2. / 9, 1. / 3, 4. / 9, 0},
		low: []float64{7. / 24, 1. / 4, 1. / 3, 1. / 8}, below: 2,
	},
	Dopri5: {
		order: 5, c: []float64{0, 1. / 5, 3. / 10, 4. / 5, 8. / 9, 1, 1},
		a: [][]float64{
			{},
			{1. / 5},
			{3. / 40, 9. / 40},
			{44. / 45, -56. / 15, 32. / 9},
			{19372. / 6561, -25360. / 2187, 64448. / 6561, -212. / 729},
			{9017. / 3168, -355. / 33, 46732. / 5247, 49. / 176, -5103. / 18656},
			{35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84},
		},
		b:   []float64{35. / 384, 0, 500. / 1113, 125. / 192, -2187. / 6784, 11. / 84, 0},
		low: []float64{5179. / 57600, 0, 7571. / 16695, 393. / 640, -92097. / 339200, 187. / 2100, 1. / 40}, below: 4,
	},
	DOP853: dop853Tableau(),
}

// dop853Tableau is the pair that [Reference] runs, in the common form.
func dop853Tableau() tableau {
	t := tableau{order: 8, below: 5}
	for i := range stageEnd + 1 {
		t.c = append(t.c, dopC[i])
		t.a = append(t.a, dopA[i][:i])
	}
	t.b = append(dopA[stageEnd][:stageEnd:stageEnd], 0)
	for j, b := range t.b[:stageEnd] {
		t.low = append(t.low, b-dopE5[j])
		t.third = append(t.third, dopB3[j])
	}
	t.low, t.third = append(t.low, 0), append(t.third, 0)
	return t
}
