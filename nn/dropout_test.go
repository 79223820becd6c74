package nn_test

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"snrlab/nn"
	"snrlab/nn/nntest"
	"snrlab/rng"
)

// dropoutOf gives all rows one key, for rows alone in a batch to have theirs.
func dropoutOf[T nn.Float](p float64) nntest.Func[T] {
	var keys [8]rng.Key
	for i := range keys {
		keys[i] = rng.New(7)
	}
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		return t.Dropout(in[0], p, keys[:in[0].Shape()[0]])
	}
}

func TestDropout_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		p := rapid.SampledFrom([]float64{0.1, 0.5, 0.9}).Draw(r, "p")
		return nntest.Case{F64: dropoutOf[float64](p), F32: dropoutOf[float32](p), Inputs: []nntest.Input{
			nntest.Row(size(r, "rows", 4), size(r, "pixels", 9), size(r, "channels", 9)),
		}}
	})
}

func TestDropout_Invariant(t *testing.T) {
	const rows, n, p = 3, 20001, 0.25
	keys := []rng.Key{rng.New(1), rng.New(2), rng.New(3)}
	ones := slices.Repeat([]float32{1}, rows*n)
	var tape nn.Tape[float32]
	x := tape.Constant(ones, rows, n)
	y := tape.Dropout(x, p, keys).Value()
	for r := range rows {
		kept := 0
		for _, v := range y[r*n : (r+1)*n] {
			switch v {
			case 0:
			case float32(1 / (1 - p)):
				kept++
			default:
				t.Fatalf("row %d has %v, expected 0 or 4/3", r, v)
			}
		}
		// Five deviations of a binomial number.
		if want := (1 - p) * n; math.Abs(float64(kept)-want) > 5*math.Sqrt(n*p*(1-p)) {
			t.Errorf("row %d keeps %d of %d, expected about %v", r, kept, n, want)
		}
		if alone := tape.Dropout(tape.Constant(ones[:n], 1, n), p, keys[r:r+1]).Value(); !slices.Equal(alone, y[r*n:(r+1)*n]) {
			t.Errorf("row %d alone is dropped in other places than in the batch", r)
		}
	}
	if slices.Equal(y[:n], y[n:2*n]) {
		t.Error("two keys drop the same places")
	}
	if tape.Dropout(x, p, nil) != x || tape.Dropout(x, 0, keys) != x {
		t.Error("without keys or with p = 0 expected x itself")
	}
}
