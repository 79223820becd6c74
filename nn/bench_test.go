package nn_test

import (
	"testing"

	"snrlab/nn"
)

// BenchmarkOperations measures the operations that are bound by memory, forward
// and backward at the finest level of a U-Net: what they must read and write, beside
// the time.
func BenchmarkOperations(b *testing.B) {
	const rows, side, channels = 32, 32, 64
	const n = rows * side * side * channels
	x, v := normals(n, 1), normals(rows*channels, 2)
	seed := normals(4*n, 3)
	for _, c := range []struct {
		name   string
		arrays float64 // of n numbers that are read or written
		f      func(t *nn.Tape[float32], x, v *nn.Var[float32]) *nn.Var[float32]
	}{
		// Forward x and y, backward dy, x and dx; the seed's copy is two more.
		{"SiLU", 2 + 3 + 2, func(t *nn.Tape[float32], x, _ *nn.Var[float32]) *nn.Var[float32] { return t.SiLU(x) }},
		{"Add", 3 + 3 + 2, func(t *nn.Tape[float32], x, _ *nn.Var[float32]) *nn.Var[float32] { return t.Add(x, x) }},
		{"Mul", 3 + 6 + 2, func(t *nn.Tape[float32], x, _ *nn.Var[float32]) *nn.Var[float32] { return t.Mul(x, x) }},
		{"AddChannels", 2 + 1 + 2, func(t *nn.Tape[float32], x, v *nn.Var[float32]) *nn.Var[float32] { return t.AddChannels(x, v) }},
		{"Modulate", 2 + 4 + 2, func(t *nn.Tape[float32], x, v *nn.Var[float32]) *nn.Var[float32] { return t.Modulate(x, v, v) }},
		{"Concat", 4 + 5 + 4, func(t *nn.Tape[float32], x, _ *nn.Var[float32]) *nn.Var[float32] { return t.Concat(x, x) }},
		{"Slice", 1 + 1.5 + 1, func(t *nn.Tape[float32], x, _ *nn.Var[float32]) *nn.Var[float32] { return t.Slice(x, 16, 48) }},
		{"Upsample", 5 + 5 + 8, func(t *nn.Tape[float32], x, _ *nn.Var[float32]) *nn.Var[float32] { return t.Upsample(x) }},
		{"AvgPool", 1.25 + 1.25 + 0.5, func(t *nn.Tape[float32], x, _ *nn.Var[float32]) *nn.Var[float32] { return t.AvgPool(x, 2) }},
		{"RowMean", 1 + 2, func(t *nn.Tape[float32], x, _ *nn.Var[float32]) *nn.Var[float32] { return t.RowMean(x) }},
	} {
		b.Run(c.name, func(b *testing.B) {
			var tape nn.Tape[float32]
			step := func() {
				tape.Reset()
				y := c.f(&tape, tape.Input(x, rows, side, side, channels), tape.Input(v, rows, channels))
				if err := tape.Backward(y, seed[:y.Len()]); err != nil {
					b.Fatal(err)
				}
			}
			step() // makes the memory
			b.ReportAllocs()
			for b.Loop() {
				step()
			}
			b.ReportMetric(c.arrays*4*n*float64(b.N)/b.Elapsed().Seconds()/1e9, "GB/s")
		})
	}
}
