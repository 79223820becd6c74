// Package upsample relates a denoiser at one resolution to another.
//
// Average pooling by s×s keeps the coarse content of x = α x₀ + σ ε and divides
// the standard deviation of its noise by s, so that a pooled image is the image
// of a smaller model at λ + 2 log s. This package holds the pair of linear maps
// that this rests on, and the level at which the smaller model has to be asked.
//
// References:
//
//	[hwang2024] Hwang, Park, Jo: Upsample Guidance: Scale Up Diffusion Models
//	            without Training. arXiv:2404.01709, 2024.
package upsample

import (
	"fmt"
	"math"

	"snrlab/schedules"
	"snrlab/snr"
)

// Pair is the pair of maps between images of channels×h×w and the same images
// at (h/s)×(w/s): P, the average over s×s blocks, and U, the repetition of a
// pixel over its block. They satisfy P U = I, U = s² Pᵀ and P Pᵀ = I/s², so U P
// is an orthogonal projection [hwang2024, section 3].
type Pair struct {
	Channels, Height, Width int // of the high resolution
	Factor                  int // s, the linear ratio of the resolutions
}

// Validate reports a pair whose blocks do not tile the image.
func (p Pair) Validate() error {
	if p.Factor < 1 || p.Channels < 1 || p.Height < 1 || p.Width < 1 || p.Height%p.Factor != 0 || p.Width%p.Factor != 0 {
		return fmt.Errorf("upsample: %d×%d×%d images by a factor of %d: expected positive sizes that the factor divides", p.Channels, p.Height, p.Width, p.Factor)
	}
	return nil
}

// HighDim returns the number of values of one image of the high resolution.
func (p Pair) HighDim() int { return p.Channels * p.Height * p.Width }

// LowDim returns the number of values of one image of the low resolution.
func (p Pair) LowDim() int { return p.HighDim() / (p.Factor * p.Factor) }

// Pool writes P x of one image into dst, of length LowDim. x has length
// HighDim and is not modified; it must not overlap dst.
func (p Pair) Pool(dst, x []float64) {
	s, w := p.Factor, p.Width
	lh, lw := p.Height/s, w/s
	scale := 1 / float64(s*s)
	for c := range p.Channels {
		for i := range lh {
			for j := range lw {
				sum := 0.0
				for di := range s {
					row := x[(c*p.Height+i*s+di)*w+j*s:][:s]
					for _, v := range row {
						sum += v
					}
				}
				dst[(c*lh+i)*lw+j] = sum * scale
			}
		}
	}
}

// Repeat writes U y of one image into dst, of length HighDim. y has length
// LowDim and is not modified; it must not overlap dst.
func (p Pair) Repeat(dst, y []float64) {
	s, w := p.Factor, p.Width
	lh, lw := p.Height/s, w/s
	for c := range p.Channels {
		for i := range p.Height {
			row := dst[(c*p.Height+i)*w:][:w]
			src := y[(c*lh+i/s)*lw:][:lw]
			for j := range row {
				row[j] = src[j/s]
			}
		}
	}
}

// MatchedLevel returns the level on sched at which a model of the low
// resolution has to be asked about a pooled image, and the factor α_τ/α_t that
// the pooled state must be multiplied by first:
//
//	λ(τ) = λ(t) + 2 log s,    y = (α_τ/α_t) P x_t
//
// [hwang2024, section 3]. It fails where the matched level is cleaner than the
// schedule's clean end, at which the model cannot be asked, and at α_t = 0,
// where there is no signal to match.
func MatchedLevel(sched schedules.Schedule, at schedules.Level, factor int) (level schedules.Level, scale float64, err error) {
	if factor < 1 {
		return level, 0, fmt.Errorf("upsample: factor %d: expected at least 1", factor)
	}
	if at.Alpha == 0 {
		return level, 0, fmt.Errorf("upsample: no level matches α = 0, where the pooled state holds no signal: start at a level with α > 0")
	}
	l := at.LogSNR() + snr.LogSNR(2*math.Log(float64(factor)))
	clean, _ := sched.Domain()
	if end := sched.At(clean).LogSNR(); l > end {
		return level, 0, fmt.Errorf("upsample: the matched level λ = %.4g is cleaner than the schedule's clean end λ = %.4g: stop the guidance at λ = %.4g", float64(l), float64(end), float64(end)-2*math.Log(float64(factor)))
	}
	level = schedules.LevelAt(sched, l)
	return level, level.Alpha / at.Alpha, nil
}
