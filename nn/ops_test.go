package nn_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"snrlab/nn"
	"snrlab/nn/nntest"
)

// check runs the case over random shapes.
func check(t *testing.T, draw func(r *rapid.T) nntest.Case) {
	t.Helper()
	for seed := range 12 {
		c := rapid.Custom(draw).Example(seed)
		nntest.Run(t, c, uint64(seed))
	}
}

func linearOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	var bias *nn.Var[T]
	if len(in) > 2 {
		bias = in[2]
	}
	return t.Linear(in[0], in[1], bias)
}

func TestLinear_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		rows, in, out := rapid.IntRange(1, 5).Draw(r, "rows"), rapid.IntRange(1, 40).Draw(r, "in"), rapid.IntRange(1, 40).Draw(r, "out")
		c := nntest.Case{F64: linearOf[float64], F32: linearOf[float32], Inputs: []nntest.Input{nntest.Row(rows, 3, in), nntest.In(out, in)}}
		if rapid.Bool().Draw(r, "bias") {
			c.Inputs = append(c.Inputs, nntest.In(out))
		}
		return c
	})
}

// convOf has a bias if biased, and adds what comes after it.
func convOf[T nn.Float](stride int, pad nn.Padding, biased bool) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		var bias, more *nn.Var[T]
		rest := in[2:]
		if biased {
			bias, rest = rest[0], rest[1:]
		}
		if len(rest) > 0 {
			more = rest[0]
		}
		return t.ConvAdd(in[0], in[1], bias, more, stride, pad)
	}
}

func TestConv_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		size := func(name string, most int) int { return rapid.IntRange(1, most).Draw(r, name) }
		k := 2*size("kernel", 2) - 1
		h, w := max(k, size("height", 7)), max(k, size("width", 7))
		in, out := size("in", 9), size("out", 18)
		pad := nn.Pad(k / 2)
		if rapid.Bool().Draw(r, "one side") {
			pad.Top, pad.Left = 0, 0
		}
		stride := size("stride", 2)
		rows, biased := size("rows", 3), rapid.Bool().Draw(r, "bias")
		c := nntest.Case{
			F64: convOf[float64](stride, pad, biased), F32: convOf[float32](stride, pad, biased),
			Inputs: []nntest.Input{nntest.Row(rows, h, w, in), nntest.In(k, k, in, out)},
		}
		if biased {
			c.Inputs = append(c.Inputs, nntest.In(out))
		}
		switch rapid.IntRange(0, 2).Draw(r, "more") {
		case 1:
			c.Inputs = append(c.Inputs, nntest.Row(rows, out))
		case 2:
			c.Inputs = append(c.Inputs, nntest.Row(rows, (h+pad.Top+pad.Bottom-k)/stride+1, (w+pad.Left+pad.Right-k)/stride+1, out))
		}
		return c
	})
}

func groupNormOf[T nn.Float](groups int, silu bool) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		if silu {
			return t.GroupNormSiLU(in[0], in[1], in[2], groups, 1e-3)
		}
		return t.GroupNorm(in[0], in[1], in[2], groups, 1e-3)
	}
}

func TestGroupNorm_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		groups := rapid.IntRange(1, 4).Draw(r, "groups")
		channels := groups * rapid.IntRange(2, 5).Draw(r, "size") // one number a group is a constant
		silu := rapid.Bool().Draw(r, "silu")
		return nntest.Case{
			F64: groupNormOf[float64](groups, silu), F32: groupNormOf[float32](groups, silu),
			Inputs: []nntest.Input{
				nntest.Row(rapid.IntRange(1, 3).Draw(r, "rows"), rapid.IntRange(1, 4).Draw(r, "height"), 3, channels),
				nntest.In(channels), nntest.In(channels),
			},
			Within: 1e-4, // beside the largest; a group of nearly equal numbers is divided by a small deviation
			Curved: 1e-6, // of order h⁴ of the inverse of a deviation that may be 0.1
		}
	})
}

func layerNormOf[T nn.Float](scaled, shifted bool) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		var gamma, beta *nn.Var[T]
		if scaled {
			gamma = in[1]
		}
		if shifted {
			beta = in[len(in)-1]
		}
		return t.LayerNorm(in[0], gamma, beta, 1e-3)
	}
}

func TestLayerNorm_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		channels := 1 + size(r, "channels", 40) // the norm of one number is a constant
		scaled, shifted := rapid.Bool().Draw(r, "γ"), rapid.Bool().Draw(r, "β")
		c := nntest.Case{
			F64: layerNormOf[float64](scaled, shifted), F32: layerNormOf[float32](scaled, shifted),
			Inputs: []nntest.Input{nntest.Row(size(r, "rows", 3), size(r, "tokens", 5), channels)},
			Within: 1e-4, // as for GroupNorm
			Curved: 1e-5, // of order h⁴ of the inverse of a deviation that may be 0.05
		}
		// Two numbers that are nearly equal have no deviation to divide by.
		c.Inputs[0].Draw = spread()
		for range b2i(scaled) + b2i(shifted) {
			c.Inputs = append(c.Inputs, nntest.In(channels))
		}
		return c
	})
	var tape nn.Tape[float64]
	y := tape.LayerNorm(tape.Constant([]float64{1, 3, -2, 2}, 2, 2), tape.Constant([]float64{2, 3}, 2), tape.Constant([]float64{10, 20}, 2), 3)
	// Deviations 1 and 2, with ε: 2 and √7.
	for i, want := range []float64{10 - 2*1/2., 20 + 3*1/2., 10 - 2*2/math.Sqrt(7), 20 + 3*2/math.Sqrt(7)} {
		if math.Abs(y.Value()[i]-want) > 1e-13*want {
			t.Errorf("element %d is %v, expected %v", i, y.Value()[i], want)
		}
	}
}

// spread draws numbers that alternate in sign.
func spread() func(z float64) float64 {
	sign := 1.0
	return func(z float64) float64 {
		sign = -sign
		return sign + z/2
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
