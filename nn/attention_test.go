package nn_test

import (
	"math"
	"testing"

	"pgregory.net/rapid"

	"snrlab/nn"
	"snrlab/nn/nntest"
)

func attentionOf[T nn.Float](heads int, scale float64) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		return t.Attention(in[0], in[1], in[2], heads, scale)
	}
}

// selfAttentionOf takes one array for queries, keys and values.
func selfAttentionOf[T nn.Float](heads int, scale float64) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		return t.Attention(in[0], in[0], in[0], heads, scale)
	}
}

func TestAttention_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		heads := size(r, "heads", 3)
		channels, rows := heads*size(r, "channels", 9), size(r, "rows", 3)
		scale := rapid.SampledFrom([]float64{0, 0.4, -0.3}).Draw(r, "scale")
		tokens, keys := size(r, "tokens", 7), size(r, "keys", 12)
		c := nntest.Case{
			F64: attentionOf[float64](heads, scale), F32: attentionOf[float32](heads, scale),
			Inputs: []nntest.Input{nntest.Row(rows, tokens, channels), nntest.Row(rows, keys, channels), nntest.Row(rows, keys, channels)},
			Curved: 1e-6, // of order h⁴ of the fifth power of scores
		}
		if rapid.Bool().Draw(r, "self") {
			c.F64, c.F32, c.Inputs = selfAttentionOf[float64](heads, scale), selfAttentionOf[float32](heads, scale), c.Inputs[:1]
		}
		return c
	})
}

// Softmax of scores written out for two keys: p = σ(s_1 − s_2).
func TestAttention_Golden(t *testing.T) {
	var tape nn.Tape[float64]
	q := tape.Constant([]float64{1, -2}, 1, 1, 2)
	k := tape.Constant([]float64{0.5, 1, 0.25, -1}, 1, 2, 2)
	v := tape.Constant([]float64{10, 20, 30, 40}, 1, 2, 2)
	o := tape.Attention(q, k, v, 2, 0).Value()
	// Heads of one channel have scale 1: scores 0.5 and 0.25, −2 and 2.
	for h, want := range []float64{10 + 20*sigmoid(0.25-0.5), 20 + 20*sigmoid(2+2)} {
		if math.Abs(o[h]-want) > 1e-13*want {
			t.Errorf("head %d gives %v, expected %v", h, o[h], want)
		}
	}
	o = tape.Attention(q, k, v, 1, 0).Value()
	p := sigmoid((0.25 + 2 - 0.5 + 2) / math.Sqrt2)
	for c, want := range []float64{10 + 20*p, 20 + 20*p} {
		if math.Abs(o[c]-want) > 1e-13*want {
			t.Errorf("channel %d of one head is %v, expected %v", c, o[c], want)
		}
	}
}
