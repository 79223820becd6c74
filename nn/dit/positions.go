package dit

import (
	"math"

	"snrlab/nn"
	"snrlab/nn/internal/pieces"
)

// places is the table [tokens, hidden] of sincos positions, with a quarter of the
// channels each for
//
//	sin(j ω_i), cos(j ω_i), sin(l ω_i), cos(l ω_i),  ω_i = base^(−4i/hidden)
//
// of the token in line l and column j, as in the paper's program.
func places[T nn.Float](c *Config) []T {
	lines, columns, quarter := c.Height/c.Patch, c.Width/c.Patch, c.Hidden/4
	table := make([]T, 0, lines*columns*c.Hidden)
	for l := range lines {
		for j := range columns {
			for _, place := range []int{j, l} {
				for _, wave := range []func(float64) float64{math.Sin, math.Cos} {
					for i := range quarter {
						table = append(table, T(wave(float64(place)*math.Pow(c.PositionBase, -float64(i)/float64(quarter)))))
					}
				}
			}
		}
	}
	return table
}

// turn is queries or keys x, which are needed no more, turned by their places
// where positions are rotary.
func turn[T nn.Float](t *nn.Tape[T], x *nn.Var[T], c *Config) *nn.Var[T] {
	if c.Positions != "rotary" {
		return x
	}
	return pieces.Then(t, x, t.Rotary(x, nn.Rotary{Heads: c.Heads, Base: c.PositionBase, Width: c.Width / c.Patch}))
}
