package nn_test

import (
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"snrlab/nn"
	"snrlab/nn/nntest"
	"snrlab/rng"
)

// size draws a small size, 1 often enough.
func size(r *rapid.T, name string, most int) int { return rapid.IntRange(1, most).Draw(r, name) }

func concatOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Concat(in...) }

// Concat of the same array twice.
func concatTwiceOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
	return t.Concat(in[0], t.Tanh(in[0]), in[0])
}

func TestConcat_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		rows, pixels := size(r, "rows", 3), size(r, "pixels", 6)
		c := nntest.Case{F64: concatOf[float64], F32: concatOf[float32]}
		for range size(r, "arrays", 4) {
			c.Inputs = append(c.Inputs, nntest.Row(rows, pixels, size(r, "channels", 9)))
		}
		if rapid.Bool().Draw(r, "twice") {
			c.F64, c.F32, c.Inputs = concatTwiceOf[float64], concatTwiceOf[float32], c.Inputs[:1]
		}
		return c
	})
	var tape nn.Tape[float64]
	y := tape.Concat(tape.Constant([]float64{1, 2}, 2, 1), tape.Constant([]float64{3, 4, 5, 6}, 2, 2))
	if want := []float64{1, 3, 4, 2, 5, 6}; !slices.Equal(y.Value(), want) || !slices.Equal(y.Shape(), []int{2, 3}) {
		t.Errorf("%v of shape %v, expected %v", y.Value(), y.Shape(), want)
	}
}

func sliceOf[T nn.Float](from, to int) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Slice(in[0], from, to) }
}

func TestSlice_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		channels := size(r, "channels", 20)
		to := size(r, "to", channels)
		from := size(r, "from", to) - 1
		return nntest.Case{F64: sliceOf[float64](from, to), F32: sliceOf[float32](from, to), Inputs: []nntest.Input{nntest.Row(size(r, "rows", 3), 2, channels)}}
	})
	var tape nn.Tape[float64]
	y := tape.Slice(tape.Constant([]float64{1, 2, 3, 4, 5, 6}, 2, 3), 1, 3)
	if want := []float64{2, 3, 5, 6}; !slices.Equal(y.Value(), want) || !slices.Equal(y.Shape(), []int{2, 2}) {
		t.Errorf("%v of shape %v, expected %v", y.Value(), y.Shape(), want)
	}
}

func upsampleOf[T nn.Float](t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Upsample(in[0]) }

func avgPoolOf[T nn.Float](k int) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.AvgPool(in[0], k) }
}

func TestUpsample_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		return nntest.Case{F64: upsampleOf[float64], F32: upsampleOf[float32], Inputs: []nntest.Input{
			nntest.Row(size(r, "rows", 3), size(r, "height", 5), size(r, "width", 5), size(r, "channels", 17)),
		}}
	})
	var tape nn.Tape[float64]
	y := tape.Upsample(tape.Constant([]float64{1, 2}, 1, 1, 2, 1))
	if want := []float64{1, 1, 2, 2, 1, 1, 2, 2}; !slices.Equal(y.Value(), want) || !slices.Equal(y.Shape(), []int{1, 2, 4, 1}) {
		t.Errorf("%v of shape %v, expected %v", y.Value(), y.Shape(), want)
	}
}

func TestAvgPool_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		k := size(r, "k", 3)
		return nntest.Case{F64: avgPoolOf[float64](k), F32: avgPoolOf[float32](k), Inputs: []nntest.Input{
			nntest.Row(size(r, "rows", 3), k-1+size(r, "height", 5), k-1+size(r, "width", 5), size(r, "channels", 17)),
		}}
	})
	var tape nn.Tape[float64]
	y := tape.AvgPool(tape.Constant([]float64{1, 2, 9, 3, 6, 9}, 1, 2, 3, 1), 2)
	if want := []float64{3}; !slices.Equal(y.Value(), want) || !slices.Equal(y.Shape(), []int{1, 1, 1, 1}) {
		t.Errorf("%v of shape %v, expected %v", y.Value(), y.Shape(), want)
	}
}

func embeddingOf[T nn.Float](ids []int) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Embedding(in[0], ids) }
}

func TestEmbedding_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		classes := size(r, "classes", 6)
		ids := rapid.SliceOfN(rapid.IntRange(-1, classes-1), 1, 8).Draw(r, "ids")
		return nntest.Case{F64: embeddingOf[float64](ids), F32: embeddingOf[float32](ids), Inputs: []nntest.Input{nntest.In(classes, size(r, "dim", 9))}}
	})
	var tape nn.Tape[float64]
	y := tape.Embedding(tape.Constant([]float64{1, 2, 3, 4}, 2, 2), []int{1, -1, 0})
	if want := []float64{3, 4, 0, 0, 1, 2}; !slices.Equal(y.Value(), want) || !slices.Equal(y.Shape(), []int{3, 2}) {
		t.Errorf("%v of shape %v, expected %v", y.Value(), y.Shape(), want)
	}
}

func permuteOf[T nn.Float](axes []int) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Permute(in[0], axes...) }
}

func TestPermute_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		axes := rapid.Permutation([]int{0, 1, 2, 3}).Draw(r, "axes")
		return nntest.Case{F64: permuteOf[float64](axes), F32: permuteOf[float32](axes), Inputs: []nntest.Input{
			nntest.In(size(r, "a", 3), size(r, "b", 4), size(r, "c", 5), size(r, "d", 6)),
		}}
	})
	var tape nn.Tape[float64]
	x := tape.Constant([]float64{1, 2, 3, 4, 5, 6}, 1, 2, 3)
	y := tape.Permute(x, 2, 0, 1)
	if want := []float64{1, 4, 2, 5, 3, 6}; !slices.Equal(y.Value(), want) || !slices.Equal(y.Shape(), []int{3, 1, 2}) {
		t.Errorf("%v of shape %v, expected %v", y.Value(), y.Shape(), want)
	}
}

func patchesOf[T nn.Float](p int) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] { return t.Patches(in[0], p) }
}

// unpatchOf are images put together again from functions of their patches.
func unpatchOf[T nn.Float](p int) nntest.Func[T] {
	return func(t *nn.Tape[T], in []*nn.Var[T]) *nn.Var[T] {
		x := in[0].Shape()
		return t.Unpatch(t.Tanh(t.Patches(in[0], p)), x[1], x[2], p)
	}
}

func TestPatches_Property(t *testing.T) {
	check(t, func(r *rapid.T) nntest.Case {
		p := size(r, "p", 3)
		c := nntest.Case{F64: patchesOf[float64](p), F32: patchesOf[float32](p), Inputs: []nntest.Input{
			nntest.Row(size(r, "rows", 3), p*size(r, "height", 3), p*size(r, "width", 3), size(r, "channels", 5)),
		}}
		if rapid.Bool().Draw(r, "back") {
			c.F64, c.F32 = unpatchOf[float64](p), unpatchOf[float32](p)
		}
		return c
	})
	var tape nn.Tape[float64]
	image := []float64{
		1, 2, 3, 4, 5, 6, 7, 8,
		11, 12, 13, 14, 15, 16, 17, 18,
	}
	y := tape.Patches(tape.Constant(image, 1, 2, 4, 2), 2)
	if want := []float64{1, 2, 3, 4, 11, 12, 13, 14, 5, 6, 7, 8, 15, 16, 17, 18}; !slices.Equal(y.Value(), want) || !slices.Equal(y.Shape(), []int{1, 2, 8}) {
		t.Errorf("%v of shape %v, expected %v", y.Value(), y.Shape(), want)
	}
	if back := tape.Unpatch(y, 2, 4, 2); !slices.Equal(back.Value(), image) || !slices.Equal(back.Shape(), []int{1, 2, 4, 2}) {
		t.Errorf("%v of shape %v, expected the image", back.Value(), back.Shape())
	}
}

// Arrays large enough to be split over processors, by one and by two of them.
func TestLarge_Invariant(t *testing.T) {
	const rows, tokens, channels = 2, 1024, 64
	x := normals(rows*tokens*channels, 1)
	keys := []rng.Key{rng.New(1), rng.New(2)}
	run := func(procs int) [][]float32 {
		before := runtime.GOMAXPROCS(procs)
		defer runtime.GOMAXPROCS(before)
		var tape nn.Tape[float32]
		in := tape.Input(x, rows, tokens, channels)
		h := tape.Concat(tape.Slice(in, 0, 40), tape.Slice(in, 8, 64))
		h = tape.Dropout(tape.Rotary(h, nn.Rotary{Heads: 2}), 0.3, keys)
		value := slices.Clone(h.Value())
		loss := tape.WeightedMeanSquare(h, tape.Scale(h, 0.25), tape.Constant([]float32{1, 3}, rows))
		first := slices.Clone(loss.Value())
		if err := tape.Backward(loss, nil); err != nil {
			t.Fatal(err)
		}
		return [][]float32{value, first, slices.Clone(in.Grad())}
	}
	one, two := run(1), run(2)
	for i := range one {
		if !slices.Equal(one[i], two[i]) {
			t.Errorf("array %d has other bits with two workers than with one", i)
		}
	}
	// Without dropout and rotation, columns are where they belong.
	var tape nn.Tape[float32]
	in := tape.Constant(x, rows, tokens, channels)
	y := tape.Concat(tape.Slice(in, 0, 40), tape.Slice(in, 8, 64)).Value()
	for i := range rows * tokens {
		if !slices.Equal(y[i*96:i*96+40], x[i*64:i*64+40]) || !slices.Equal(y[i*96+40:(i+1)*96], x[i*64+8:(i+1)*64]) {
			t.Fatalf("token %d is not in its place", i)
		}
	}
}
