package dit

import (
	"math"
	"slices"
	"testing"

	"snrlab/nn"
	"snrlab/rng"
)

func small(positions string) Config {
	return Config{
		Height: 4, Width: 6, Channels: 2, Patch: 2, Hidden: 8, Depth: 2, Heads: 2, MLPRatio: 1.5, Labels: 2,
		Positions: positions, PositionBase: 100, TimeFeatures: 6, TimeScale: 0.5,
	}
}

func normal[T nn.Float](n int, key rng.Key) []T {
	z, x := key.Stream(), make([]T, n)
	for i := range x {
		x[i] = T(z.NormFloat64())
	}
	return x
}

// At first a block is the identity and the network zero, and what is between is
// not.
func TestNet_Initial(t *testing.T) {
	for _, positions := range []string{"sincos", "rotary"} {
		n, err := New[float32](small(positions), rng.New(1))
		if err != nil {
			t.Fatal(err)
		}
		var tape nn.Tape[float32]
		h := normal[float32](2*6*8, rng.New(2))
		x, c := tape.Constant(h, 2, 6, 8), tape.Constant(normal[float32](2*8, rng.New(3)), 2, 8)
		for i, b := range n.blocks {
			if y := b.apply(&tape, x, c); !slices.Equal(y.Value(), h) {
				t.Errorf("%s: block %d changes tokens", positions, i)
			}
			if r := b.attend(&tape, x); slices.Max(r.Value()) == 0 {
				t.Errorf("%s: the attention of block %d is zero", positions, i)
			}
			if r := b.perceive(&tape, x); slices.Max(r.Value()) == 0 {
				t.Errorf("%s: the perceptron of block %d is zero", positions, i)
			}
		}
		images := tape.Constant(normal[float32](2*4*6*2, rng.New(4)), 2, 4, 6, 2)
		y := n.Apply(&tape, images, tape.Constant([]float32{1, 999}, 2), []int{1, -1})
		if err := tape.Err(); err != nil || !slices.Equal(y.Shape(), []int{2, 4, 6, 2}) || slices.Max(y.Value()) != 0 || slices.Min(y.Value()) != 0 {
			t.Errorf("%s: expected zeros of the images' shape, got %v, %v (%v)", positions, y.Shape(), y.Value(), err)
		}
	}
}

// The bounds and deviations that the paper's program draws from.
func TestNew_Spread(t *testing.T) {
	c := small("sincos")
	c.Hidden = 64
	n, err := New[float64](c, rng.New(1))
	if err != nil {
		t.Fatal(err)
	}
	largest := func(p *nn.Param[float64]) (m float64) {
		for _, v := range p.Value() {
			m = max(m, math.Abs(v))
		}
		return m
	}
	b := n.blocks[0]
	for _, u := range []struct {
		p    *nn.Param[float64]
		fans float64
	}{{n.patches.Weight, 8 + 64}, {b.qkv.Weight, 4 * 64}, {b.proj.Weight, 2 * 64}, {b.fc1.Weight, 64 + 96}, {b.fc2.Weight, 64 + 96}} {
		// Of 512 uniform numbers or more the largest is within 2 % of the bound but
		// for a chance of e^-10.
		if bound := math.Sqrt(6 / u.fans); largest(u.p) > bound || largest(u.p) < 0.98*bound {
			t.Errorf("%s reaches %v: expected %v", u.p.Name(), largest(u.p), bound)
		}
	}
	for _, p := range []*nn.Param[float64]{n.time[0].Weight, n.time[1].Weight, n.classes} {
		sum := 0.0
		for _, v := range p.Value() {
			sum += v * v
		}
		count := float64(len(p.Value()))
		if v := sum / count / 4e-4; math.Abs(v-1) > 4*math.Sqrt(2/count) {
			t.Errorf("%s has variance %v × 0.02²: expected 1", p.Name(), v)
		}
	}
	for _, p := range []*nn.Param[float64]{
		n.patches.Bias, n.time[0].Bias, n.time[1].Bias, b.qkv.Bias, b.proj.Bias, b.fc1.Bias, b.fc2.Bias,
		b.modulation.Weight, b.modulation.Bias, n.final.linear.Weight, n.final.linear.Bias, n.final.modulation.Weight, n.final.modulation.Bias,
	} {
		if largest(p) != 0 {
			t.Errorf("%s is not zero", p.Name())
		}
	}
}

func TestPlaces_Golden(t *testing.T) {
	c := small("sincos") // frequencies 1 and 100^(−1/2)
	table := places[float64](&c)
	if len(table) != 2*3*8 {
		t.Fatalf("%d numbers: expected 6 tokens of 8", len(table))
	}
	for token, want := range map[int][]float64{
		0: {0, 0, 1, 1, 0, 0, 1, 1},
		// Line 1, column 2.
		5: {math.Sin(2), math.Sin(0.2), math.Cos(2), math.Cos(0.2), math.Sin(1), math.Sin(0.1), math.Cos(1), math.Cos(0.1)},
	} {
		for i, v := range want {
			if got := table[8*token+i]; math.Abs(got-v) > 1e-15 {
				t.Errorf("token %d, channel %d: %v, expected %v", token, i, got, v)
			}
		}
	}
}

// With the same query and the same key everywhere, scores depend on the
// differences of lines and of columns, and on both.
func TestTurn_Invariant(t *testing.T) {
	c := small("rotary")
	c.Height, c.Width = 6, 10 // 3 × 5 tokens
	const tokens, columns = 15, 5
	var tape nn.Tape[float64]
	everywhere := func(x []float64) *nn.Var[float64] {
		return tape.Constant(slices.Repeat(x, tokens), 1, tokens, c.Hidden)
	}
	q := turn(&tape, everywhere(normal[float64](c.Hidden, rng.New(5))), &c).Value()
	k := turn(&tape, everywhere(normal[float64](c.Hidden, rng.New(6))), &c).Value()
	if err := tape.Err(); err != nil {
		t.Fatal(err)
	}
	d := c.Hidden / c.Heads
	for head := range c.Heads {
		score := map[[2]int]float64{}
		for i := range tokens {
			for j := range tokens {
				s := 0.0
				for e := range d {
					s += q[i*c.Hidden+head*d+e] * k[j*c.Hidden+head*d+e]
				}
				apart := [2]int{i/columns - j/columns, i%columns - j%columns}
				if was, ok := score[apart]; ok && math.Abs(s-was) > 1e-13 {
					t.Fatalf("head %d: scores of tokens %v apart are %v and %v", head, apart, was, s)
				}
				score[apart] = s
			}
		}
		for _, other := range [][2]int{{1, 0}, {0, 1}, {-1, 0}, {0, -1}} {
			if math.Abs(score[other]-score[[2]int{}]) < 1e-3 {
				t.Errorf("head %d: tokens %v apart have the score of one with itself", head, other)
			}
		}
	}
}
