package solvers_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
	"time"

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

// PosteriorTrace answers what analytic variances ask for.
func (f free) PosteriorTrace(_ context.Context, dst []float64, _ models.Query) error {
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
// arrays, as two copies do. An op is a step and the copies, alternating so that
// other load of the machine meets both; the ratio is that of their medians.
func BenchmarkStep(b *testing.B) {
	f := free{[]int{3, 256, 256}}
	n := 64 * models.Dim(f)
	x := make([]float64, n)
	fill(x)
	grid, err := schedules.UniformLambda{}.Grid(schedules.EDM{SMin: 0.02, SMax: 80}, 1000)
	if err != nil {
		b.Fatal(err)
	}
	var st solvers.Stepper
	restart := func() {
		if st, err = (solvers.DPMMultistep{Order: 2}).Start(solvers.Problem{Denoiser: f, Grid: grid}, x); err != nil {
			b.Fatal(err)
		}
		for range 4 { // touch every array
			if _, err := st.Step(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	}
	restart()
	from, to := [2][]float64{x, slices.Clone(x)}, [2][]float64{slices.Clone(x), slices.Clone(x)}
	var steps, copies []float64
	b.ReportAllocs()
	for b.Loop() {
		begin := time.Now()
		_, err := st.Step(context.Background())
		steps = append(steps, time.Since(begin).Seconds())
		if errors.Is(err, io.EOF) {
			restart()
		} else if err != nil {
			b.Fatal(err)
		}
		begin = time.Now()
		for i := range from {
			copy(to[i], from[i])
		}
		copies = append(copies, time.Since(begin).Seconds())
	}
	slices.Sort(steps)
	slices.Sort(copies)
	step, plain := steps[len(steps)/2], copies[len(copies)/2]
	b.ReportMetric(1e3*step, "ms/step")
	b.ReportMetric(1e3*plain, "ms/copies")
	b.ReportMetric(step/plain, "step/copies")
}

// quietNoise hands out numbers that cost nothing.
type quietNoise struct{}

func (quietNoise) Normal(req solvers.NoiseRequest) error {
	for _, x := range [][]float64{req.Z, req.Integral} {
		if len(x) > 0 && x[len(x)-1] == 0 {
			fill(x)
		}
	}
	return nil
}

// BenchmarkOverhead measures what a step of every registered solver with a fixed
// grid costs beside its evaluations and its noise, on 64×3×32×32 values, and how
// many plain copies of the state that is. The medians are over steps; copies
// alternate with them, so that other load of the machine meets both.
func BenchmarkOverhead(b *testing.B) {
	f := free{[]int{3, 32, 32}}
	n := 64 * models.Dim(f)
	x := make([]float64, n)
	fill(x)
	to := slices.Clone(x)
	sch := schedules.EDM{SMin: 0.02, SMax: 80}
	grid, err := schedules.UniformLambda{}.Grid(sch, 1000)
	if err != nil {
		b.Fatal(err)
	}
	ctx := context.Background()
	for _, e := range solvers.Registry().Entries {
		if e.Default.Properties().Adaptive {
			continue // its steps are not the grid's
		}
		b.Run(e.Name, func(b *testing.B) {
			var st solvers.Stepper
			step := func() bool {
				_, err := st.Step(ctx)
				if err != nil && !errors.Is(err, io.EOF) {
					b.Fatal(err)
				}
				return err == nil
			}
			restart := func() {
				if st, err = e.Default.Start(solvers.Problem{Denoiser: f, Grid: grid, Schedule: sch, Noise: quietNoise{}}, x); err != nil {
					b.Fatal(err)
				}
				for range 5 { // past the opening, and every array touched
					step()
				}
			}
			restart()
			allocs := testing.AllocsPerRun(20, func() { step() })
			var steps, copies []float64
			for b.Loop() {
				begin := time.Now()
				more := step()
				took := time.Since(begin).Seconds()
				if !more {
					restart()
					continue
				}
				steps = append(steps, took)
				begin = time.Now()
				copy(to, x)
				copies = append(copies, time.Since(begin).Seconds())
			}
			slices.Sort(steps)
			slices.Sort(copies)
			one, plain := steps[len(steps)/2], copies[len(copies)/2]
			b.ReportMetric(1e6*one, "µs/step")
			b.ReportMetric(one/plain, "copies/step")
			b.ReportMetric(16e-9*float64(n)/plain, "GB/s-copy")
			b.ReportMetric(allocs, "allocs/step")
			b.ReportMetric(0, "ns/op") // of an op that is a step and a copy: says nothing
		})
	}
}
