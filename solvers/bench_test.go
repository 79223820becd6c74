package solvers_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// free is a denoiser whose answer costs nothing once an array has been filled:
// pages never written would all be one page of zeros, and cost nothing to read.
type free struct{ shape []int }

func (f free) Shape() []int { return f.shape }
func (f free) Denoise(_ context.Context, dst []float64, _ models.Query) error {
	if dst[len(dst)-1] == 0 {
		fill(dst)
	}
	return nil
}

func fill(x []float64) {
	for i := range x {
		x[i] = 1 + float64(i%1000)/1000
	}
}

// BenchmarkStep measures one step of DPM-Solver++(2M) on 64×3×256×256 values,
// its check for NaN included, against plain copies that move the same bytes:
// a step reads the state and two answers and writes the new state, four
// arrays, as two copies do.
func BenchmarkStep(b *testing.B) {
	const rows = 64
	f := free{[]int{3, 256, 256}}
	n := rows * models.Dim(f)
	x := make([]float64, n)
	fill(x)
	grid, err := schedules.UniformLambda{}.Grid(schedules.EDM{SMin: 0.02, SMax: 80}, 1000)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("dpmpp-2m", func(b *testing.B) {
		start := func() solvers.Stepper {
			st, err := solvers.DPMPP2M{}.Start(solvers.Problem{Denoiser: f, Grid: grid}, x)
			if err != nil {
				b.Fatal(err)
			}
			for range 4 { // fill the history
				if _, err := st.Step(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
			return st
		}
		st := start()
		b.SetBytes(int64(4 * 8 * n))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := st.Step(context.Background()); errors.Is(err, io.EOF) {
				b.StopTimer()
				st = start()
				b.StartTimer()
			} else if err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("copies", func(b *testing.B) {
		from, to := [2][]float64{x, append([]float64(nil), x...)}, [2][]float64{make([]float64, n), make([]float64, n)}
		b.SetBytes(int64(4 * 8 * n))
		for b.Loop() {
			for i := range from {
				copy(to[i], from[i])
			}
		}
	})
}
