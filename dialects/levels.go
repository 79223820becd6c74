package dialects

import (
	"math"
	"slices"

	"snrlab/schedules"
)

// veLevel is the level σ of x = x₀ + σε.
func veLevel(sigma float64) schedules.Level {
	return schedules.Level{T: math.NaN(), Alpha: 1, Sigma: sigma}
}

// vpLevel is the level of x = αx₀ + σε, α² + σ² = 1, at σ/α = noise.
func vpLevel(noise float64) schedules.Level {
	if math.IsInf(noise, 1) {
		return schedules.Level{T: math.NaN(), Alpha: 0, Sigma: 1}
	}
	r := math.Hypot(1, noise)
	return schedules.Level{T: math.NaN(), Alpha: 1 / r, Sigma: noise / r}
}

// flowLevel is the level of x = (1−s)x₀ + sε.
func flowLevel(s float64) schedules.Level {
	return schedules.Level{T: math.NaN(), Alpha: 1 - s, Sigma: s}
}

// gridOf applies one of the three to a list.
func gridOf(level func(float64) schedules.Level, values []float64) schedules.Grid {
	g := make(schedules.Grid, len(values))
	for i, v := range values {
		g[i] = level(v)
	}
	return g
}

// line is the variance-exploding schedule t = σ through positive levels, the
// place of levels between them.
func line(sigmas []float64) schedules.Schedule {
	positive := slices.DeleteFunc(slices.Clone(sigmas), func(s float64) bool { return !(s > 0) })
	if len(positive) == 0 {
		return nil
	}
	return schedules.EDM{SMin: slices.Min(positive), SMax: slices.Max(positive)}
}

// The lists below follow numpy: ends included, halves rounded to even.

// linspace returns n numbers from a to b.
func linspace(a, b float64, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = a
		if n > 1 {
			v[i] = a + float64(i)*((b-a)/float64(n-1))
		}
	}
	if n > 1 {
		v[n-1] = b
	}
	return v
}

// each returns f of every number.
func each(v []float64, f func(float64) float64) []float64 {
	w := make([]float64, len(v))
	for i, x := range v {
		w[i] = f(x)
	}
	return w
}

// reversed returns the list from its end.
func reversed(v []float64) []float64 {
	w := slices.Clone(v)
	slices.Reverse(w)
	return w
}

// interp returns the table's value at a place that is not whole, linear between
// entries and constant outside.
func interp(at float64, table []float64) float64 {
	last := len(table) - 1
	switch {
	case !(at > 0):
		return table[0]
	case at >= float64(last):
		return table[last]
	}
	i := int(at)
	return table[i] + (at-float64(i))*(table[i+1]-table[i])
}
