package guidance

import (
	"errors"
	"fmt"
	"math"
	"sort"

	"snrlab/models"
	"snrlab/schedules"
)

// ErrNotNormal says that a tilted law has no finite mass: p_from falls faster
// than G allows, so that there is nothing to sample.
var ErrNotNormal = errors.New("not normalisable")

// Line is a law on the line as a table, equidistant and dense. Integrals are
// trapezoidal sums, which for smooth densities that have fallen to nothing at
// both ends converge faster than any power of the distance.
type Line struct {
	X       []float64
	Density []float64
	mass    []float64 // cumulative
}

// Points of a Line, and of each side of a Plane.
const (
	linePoints  = 1<<14 + 1
	planePoints = 1<<9 + 1
)

// fallen is the share of the greatest density that may be left at the ends.
const fallen = 1e-14

// Line returns the tilted law at a level, for models of one value.
func (t Tilt) Line(at schedules.Level) (*Line, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if d := models.Dim(t.To); d != 1 {
		return nil, fmt.Errorf("guidance: the tilted law on a line of a model of %d values: expected 1", d)
	}
	var l *Line
	err := t.spread(at, func(centre []float64, half float64) (edge float64, err error) {
		x := spacedAbout(centre[0], half, linePoints)
		density := make([]float64, len(x))
		if err := t.density(density, models.Query{X: x, Rows: len(x), At: []schedules.Level{at}}); err != nil {
			return 0, err
		}
		l = newLine(x, density)
		return max(density[0], density[len(x)-1]), nil
	})
	return l, err
}

// spread calls table with wider and wider ranges, until what is left at the edge
// is nothing beside the greatest density.
func (t Tilt) spread(at schedules.Level, table func(centre []float64, half float64) (edge float64, err error)) error {
	to, err := t.To.Moments(at, t.Class)
	if err != nil {
		return err
	}
	from, err := t.From.Moments(at, -1)
	if err != nil {
		return err
	}
	half := 0.0
	for i := range to.Mean {
		apart := math.Abs(to.Mean[i] - from.Mean[i])
		half = max(half, 8*math.Sqrt(max(to.Var[i], from.Var[i]))+(1+math.Abs(t.G))*apart)
	}
	for range 5 {
		edge, err := table(to.Mean, half)
		if err != nil || edge < fallen {
			return err
		}
		half *= 2
	}
	return fmt.Errorf("guidance: the tilted law with G = %g at α = %g, σ = %g: %w: its density does not fall off within %.3g of the mean", t.G, at.Alpha, at.Sigma, ErrNotNormal, half)
}

// density writes π over its greatest value.
func (t Tilt) density(dst []float64, q models.Query) error {
	if err := t.LogDensity(dst, q); err != nil {
		return err
	}
	top := math.Inf(-1)
	for _, v := range dst {
		top = max(top, v)
	}
	for i, v := range dst {
		dst[i] = math.Exp(v - top)
	}
	return nil
}

func spacedAbout(centre, half float64, n int) []float64 {
	x := make([]float64, n)
	for i := range x {
		x[i] = centre + half*(2*float64(i)/float64(n-1)-1)
	}
	return x
}

// newLine normalises.
func newLine(x, density []float64) *Line {
	l := &Line{X: x, Density: density, mass: make([]float64, len(x))}
	h := x[1] - x[0]
	for i := 1; i < len(x); i++ {
		l.mass[i] = l.mass[i-1] + h*(density[i-1]+density[i])/2
	}
	total := l.mass[len(x)-1]
	for i := range x {
		l.Density[i] /= total
		l.mass[i] /= total
	}
	return l
}

// Expect returns E[f(x)].
func (l *Line) Expect(f func(x float64) float64) float64 {
	sum, h := 0.0, l.X[1]-l.X[0]
	for i, x := range l.X {
		sum += h * l.Density[i] * f(x)
	}
	return sum
}

// Moments returns the mean and the standard deviation.
func (l *Line) Moments() (mean, sd float64) {
	mean = l.Expect(func(x float64) float64 { return x })
	return mean, math.Sqrt(l.Expect(func(x float64) float64 { return (x - mean) * (x - mean) }))
}

// Quantile returns the x below which a share u of the law lies.
func (l *Line) Quantile(u float64) float64 {
	i := min(max(sort.SearchFloat64s(l.mass, u), 1), len(l.X)-1)
	a, b := l.mass[i-1], l.mass[i]
	if b == a {
		return l.X[i]
	}
	return l.X[i-1] + (u-a)/(b-a)*(l.X[i]-l.X[i-1])
}

// Plane is a law in the plane as a table, row-major over X and then Y.
type Plane struct {
	X, Y    []float64
	Density []float64 // of (X[i], Y[j]) at i*len(Y)+j
}

// Plane returns the tilted law at a level, for models of two values.
func (t Tilt) Plane(at schedules.Level) (*Plane, error) {
	if err := t.Validate(); err != nil {
		return nil, err
	}
	if d := models.Dim(t.To); d != 2 {
		return nil, fmt.Errorf("guidance: the tilted law in a plane of a model of %d values: expected 2", d)
	}
	const n = planePoints
	var p *Plane
	err := t.spread(at, func(centre []float64, half float64) (edge float64, err error) {
		p = &Plane{X: spacedAbout(centre[0], half, n), Y: spacedAbout(centre[1], half, n), Density: make([]float64, n*n)}
		points := make([]float64, 0, 2*n*n)
		for _, x := range p.X {
			for _, y := range p.Y {
				points = append(points, x, y)
			}
		}
		if err := t.density(p.Density, models.Query{X: points, Rows: n * n, At: []schedules.Level{at}}); err != nil {
			return 0, err
		}
		total := 0.0
		for k, v := range p.Density {
			total += v
			if i, j := k/n, k%n; i == 0 || j == 0 || i == n-1 || j == n-1 {
				edge = max(edge, v)
			}
		}
		area := (p.X[1] - p.X[0]) * (p.Y[1] - p.Y[0])
		for k := range p.Density {
			p.Density[k] /= total * area
		}
		return edge, nil
	})
	return p, err
}

// Expect returns E[f(x, y)].
func (p *Plane) Expect(f func(x, y float64) float64) float64 {
	sum, area := 0.0, (p.X[1]-p.X[0])*(p.Y[1]-p.Y[0])
	for i, x := range p.X {
		for j, y := range p.Y {
			if v := p.Density[i*len(p.Y)+j]; v > 0 {
				sum += area * v * f(x, y)
			}
		}
	}
	return sum
}
