package solvers

import (
	"math"
	"testing"

	"snrlab/schedules"
	"snrlab/snr"
)

// The weights of DEIS against integrals in closed form: in log ŝ, whose powers
// have ∫ log ŝ dŝ = ŝ log ŝ − ŝ; and in the time of EDM's schedule, which is ŝ, the
// weights of Adams–Bashforth. The second also where a schedule's ŝ is not smooth
// in t, as √t at the clean end of a linear β: there by Simpson's rule in log ŝ.
func TestDEIS_Limit_Weights(t *testing.T) {
	edm := schedules.EDM{SMin: 0.002, SMax: 80}
	level := func(s float64) schedules.Level { return schedules.LevelAt(edm, snr.FromSigma(s)) }
	for _, step := range [][]float64{{1, 3, 4.5, 9, 0.7}, {0.02, 80, 80.5, 81, 0.002}, {5, 4, 3, 2, 7}} {
		nodes, b := step[:4], step[4]
		for order := 2; order <= 4; order++ {
			want, got := make([]float64, order), make([]float64, order)
			abWeights(want, nodes[:order], b)
			InTime.lagrange(got, nodes[:order], level(nodes[0]), level(b), edm)
			size := 0.0
			for _, w := range want {
				size = max(size, math.Abs(w))
			}
			for j := range want {
				if math.Abs(got[j]-want[j]) > 1e-13*size { // rounding of 32 terms
					t.Errorf("order %d, %v to %g: weight %d is %.15g in t = ŝ, expected %.15g", order, nodes[:order], b, j, got[j], want[j])
				}
			}
			var logs [4]float64 // ℓ = −log ŝ
			for i, s := range nodes {
				logs[i] = -math.Log(s)
			}
			Log.lagrange(got, logs[:order], level(nodes[0]), level(b), edm)
			// Moments ∫ (log ŝ)^d dŝ; the antiderivatives by parts.
			anti := []func(s float64) float64{
				func(s float64) float64 { return s },
				func(s float64) float64 { l := math.Log(s); return s * (l - 1) },
				func(s float64) float64 { l := math.Log(s); return s * (l*l - 2*l + 2) },
				func(s float64) float64 { l := math.Log(s); return s * (l*l*l - 3*l*l + 6*l - 6) },
			}
			for d := range order {
				sum, size := 0.0, 0.0
				for j := range order {
					v := got[j] * math.Pow(-logs[j], float64(d))
					sum += v
					size = max(size, math.Abs(v))
				}
				want := anti[d](b) - anti[d](nodes[0])
				if math.Abs(sum-want) > 1e-12*max(size, math.Abs(want)) {
					t.Errorf("order %d, %v to %g: moment %d in log ŝ is %.15g, expected %.15g", order, nodes[:order], b, d, sum, want)
				}
			}
		}
	}

	vp := schedules.VPLinear{BetaMin: 0.1, BetaMax: 20}
	times := []float64{0.05, 0.2, 0.4}
	a, b := vp.At(times[0]), vp.At(1e-4)
	got := make([]float64, 3)
	InTime.lagrange(got, times, a, b, vp)
	const n = 20000 // error of Simpson's rule below 1e-13
	from, to := math.Log(a.Noise()), math.Log(b.Noise())
	for j := range got {
		sum := 0.0
		for i := range n + 1 {
			w := 2.0
			switch {
			case i == 0 || i == n:
				w = 1
			case i%2 == 1:
				w = 4
			}
			l := from + (to-from)*float64(i)/n
			u := vp.TimeOf(snr.LogSNR(-2 * l))
			p := w * math.Exp(l) * (to - from) / (3 * n)
			for m, other := range times {
				if m != j {
					p *= (u - other) / (times[j] - other)
				}
			}
			sum += p
		}
		if math.Abs(got[j]-sum) > 1e-11*math.Abs(sum) {
			t.Errorf("weight %d in t of a linear β is %.14g, by Simpson's rule %.14g", j, got[j], sum)
		}
	}
}
