package experiments

import (
	"context"
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
)

// denoiserNames are the denoisers that a study can hold against the exact one of its
// model, by name.
var denoiserNames = []string{"exact", "scaled", "widened", "gaussian", "affine"}

// degraded makes a denoiser of the data of m that is not the exact one, but for "exact":
// scaled answers 0.9 times it, widened believes twice the covariances, gaussian knows
// mean and covariance alone, affine is an untrained network behind EDM's
// preconditioning, whose sd is that of the data.
func degraded(name string, m *Model) (models.Denoiser, error) {
	switch name {
	case "exact":
		return m, nil
	case "scaled":
		return scaledBy{m, 0.9}, nil
	case "widened":
		mix, ok := models.As[*models.Mixture](m)
		if !ok {
			return nil, fmt.Errorf("%s is no mixture of Gaussians, whose components could be widened", m.Name)
		}
		return mix.Widened(2)
	case "gaussian":
		mom, err := m.Moments(schedules.Level{Alpha: 1}, -1)
		if err != nil {
			return nil, err
		}
		cov, err := m.Covariance(schedules.Level{Alpha: 1}, -1)
		if err != nil {
			return nil, err
		}
		return models.NewGaussian(m.Shape(), mom.Mean, cov)
	case "affine":
		return untrained(m)
	}
	return nil, fmt.Errorf("unknown denoiser %q%s", name, spec.Suggest(name, denoiserNames))
}

// untrained is an affine network whose parameters are 0.
func untrained(m *Model) (*models.Affine, error) {
	total, err := totalOf(m, -1)
	if err != nil {
		return nil, err
	}
	n := models.Dim(m)
	return models.NewAffine(m.Shape(), models.EDM{SigmaData: math.Sqrt(total / float64(n))}, make([]float64, n), make([]float64, n))
}

// scaledBy answers by times a denoiser.
type scaledBy struct {
	models.Denoiser
	by float64
}

func (d scaledBy) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if err := d.Denoiser.Denoise(ctx, dst, q); err != nil {
		return err
	}
	for i := range dst {
		dst[i] *= d.by
	}
	return nil
}

// evenLevels are n levels from one to another.
func evenLevels(from, to float64, n int) []snr.LogSNR {
	at := make([]snr.LogSNR, n)
	for i := range at {
		at[i] = snr.LogSNR(from + (to-from)*float64(i)/float64(n-1))
	}
	return at
}

// lossOf returns |x₀ − D|² of one draw of (x₀, ε) of each key, at a level of its own.
func lossOf(ctx context.Context, d models.Denoiser, truth models.Exact, at []snr.LogSNR, keys []rng.Key) ([]float64, error) {
	dim := models.Dim(truth)
	loss := make([]float64, len(at))
	const batch = 512
	for lo := 0; lo < len(at); lo += batch {
		hi := min(lo+batch, len(at))
		n := (hi - lo) * dim
		x0, x, answer := make([]float64, n), make([]float64, n), make([]float64, n)
		if err := truth.Sample(x0, schedules.Level{Alpha: 1}, nil, keys[lo:hi]); err != nil {
			return nil, err
		}
		if err := truth.Sample(x, schedules.Level{Sigma: 1}, nil, keys[lo:hi]); err != nil {
			return nil, err
		}
		levels := make([]schedules.Level, hi-lo)
		for i := range levels {
			a, s := at[lo+i].VP()
			levels[i] = schedules.Level{T: math.NaN(), Alpha: a, Sigma: s}
			for j := i * dim; j < (i+1)*dim; j++ {
				x[j] = float64(a*x0[j]) + s*x[j]
			}
		}
		if err := d.Denoise(ctx, answer, models.Query{X: x, Rows: hi - lo, At: levels}); err != nil {
			return nil, err
		}
		for j, v := range answer {
			e := x0[j] - v
			loss[lo+j/dim] += float64(e * e)
		}
	}
	return loss, nil
}

// jackknife returns the estimate that f makes of all groups, and its standard error from
// those that leave out one of n.
func jackknife(n int, f func(leaveOut int) (float64, error)) (metrics.Estimate, error) {
	all, err := f(-1)
	if err != nil {
		return metrics.Estimate{}, err
	}
	parts := make([]float64, n)
	for i := range parts {
		if parts[i], err = f(i); err != nil {
			return metrics.Estimate{}, err
		}
	}
	mean, sum := metrics.Mean(parts), 0.0
	for _, p := range parts {
		sum += (p - mean) * (p - mean)
	}
	return metrics.Estimate{Value: all, SE: math.Sqrt(sum * float64(n-1) / float64(n))}, nil
}

// lossGroups is the number of groups of draws that intervals leave out one by one.
const lossGroups = 16

// momentsWithout are the moments of the losses of all draws but those of one of
// lossGroups; −1 leaves out none.
func momentsWithout(list []metrics.Difficulty, group int) *snr.Moments {
	m := &snr.Moments{}
	for _, d := range list {
		mean, second, n := 0.0, 0.0, 0.0
		for i, l := range d.Loss {
			if i%lossGroups == group {
				continue
			}
			mean += l
			second += l * l
			n++
		}
		m.Lambda = append(m.Lambda, float64(d.Lambda))
		m.Mean = append(m.Mean, []float64{mean / n})
		m.Second = append(m.Second, second/n)
	}
	return m
}

// bounds reports λ ends that are none.
func bounds(lo, hi float64) error {
	if !(lo < hi) || math.IsInf(lo, 0) || math.IsInf(hi, 0) {
		return fmt.Errorf("fields min and max are %g and %g: expected finite bounds of λ with min < max", lo, hi)
	}
	return nil
}

const z95 = 1.96 // standard errors of a 95 % interval
