// Package distill turns a denoiser into a generator of few evaluations.
//
// It holds the loss of score identity distillation and its exact gradient
// through denoisers that know their posterior covariance, so that a training
// loop can be judged where the answer is known in closed form.
//
// References:
//
//	[zhou2024sid] Zhou, Zheng, Wang, Yin, Huang: Score identity Distillation:
//	              Exponentially Fast Distillation of Pretrained Diffusion Models
//	              for One-Step Generation. arXiv:2404.04057, ICML 2024.
package distill

import (
	"context"
	"fmt"
	"math"

	"snrlab/models"
	"snrlab/schedules"
)

// SiD is the generator loss of score identity distillation [zhou2024sid]. With
// x_t = α x_g + σ ε, the teacher's estimate f_φ, the fake denoiser's f_ψ and
// δ = f_φ − f_ψ, both at x_t, it is per sample, in x₀ units,
//
//	L = δ · [(f_φ − x_g) − A δ]
//
// Frozen f_ψ drops a part of the true gradient. For Gaussians its sign is right
// everywhere if and only if 0.5 ≤ A ≤ 1 (A = 0.5 restores the exact gradient);
// the paper uses 1.2, which is stable near the solution only.
type SiD struct {
	A float64 `json:"a"`
}

// Loss returns L of one sample from f_φ, f_ψ and x_g, all of one length.
func (s SiD) Loss(phi, psi, xg []float64) float64 {
	sum := 0.0
	for i, f := range phi {
		d := f - psi[i]
		sum += d * ((f - xg[i]) - s.A*d)
	}
	return sum
}

// Weight returns the paper's ω = 1 / mean |x_g − f_φ| over one sample's values,
// the mean not below 10⁻⁵. No gradient flows through it [zhou2024sid].
func (s SiD) Weight(phi, xg []float64) float64 {
	sum := 0.0
	for i, f := range phi {
		sum += math.Abs(xg[i] - f)
	}
	return 1 / max(sum/float64(len(phi)), 1e-5)
}

// Differentiable is a denoiser that knows Cov[x₀ | x], hence its own Jacobian
// ∂D/∂x = (α/σ²) Cov[x₀ | x].
type Differentiable interface {
	models.Denoiser
	models.PosteriorCov
}

// Gradient writes ∂L/∂x_g into dst, rows×dim, for samples x_g and noises ε at
// one level. It flows through x_g itself and through x_t into both denoisers:
//
//	∂L/∂x_g = −δ + (α²/σ²) [ Cov_φ g_φ + Cov_ψ g_ψ ],
//	g_φ = (f_φ − x_g) + (1 − 2A) δ,   g_ψ = 2A δ − (f_φ − x_g)
//
// Two evaluations and one covariance product of each denoiser. It fails at
// σ = 0, where the loss says nothing about the generator.
func (s SiD) Gradient(ctx context.Context, dst []float64, teacher, fake Differentiable, xg, eps []float64, rows int, at schedules.Level) error {
	if len(xg) != len(eps) || len(xg) != len(dst) {
		return fmt.Errorf("distill: %d samples' values, %d of noise, %d of the gradient: expected as many of each", len(xg), len(eps), len(dst))
	}
	if at.Sigma == 0 {
		return fmt.Errorf("distill: score identity distillation at σ = 0: expected a level with noise")
	}
	n := len(xg)
	buf := make([]float64, 6*n)
	xt, phi, psi, gphi, gpsi, prod := buf[:n], buf[n:2*n], buf[2*n:3*n], buf[3*n:4*n], buf[4*n:5*n], buf[5*n:]
	for i, x := range xg {
		xt[i] = float64(at.Alpha*x) + float64(at.Sigma*eps[i])
	}
	q := models.Query{X: xt, Rows: rows, At: []schedules.Level{at}}
	if err := teacher.Denoise(ctx, phi, q); err != nil {
		return fmt.Errorf("distill: teacher: %w", err)
	}
	if err := fake.Denoise(ctx, psi, q); err != nil {
		return fmt.Errorf("distill: fake denoiser: %w", err)
	}
	for i, f := range phi {
		d, r := f-psi[i], f-xg[i]
		gphi[i] = r + (1-2*s.A)*d
		gpsi[i] = 2*s.A*d - r
		dst[i] = -d
	}
	jacobian := at.Alpha / at.Sigma * (at.Alpha / at.Sigma)
	for _, c := range []struct {
		model Differentiable
		g     []float64
	}{{teacher, gphi}, {fake, gpsi}} {
		if err := c.model.PosteriorCovMul(ctx, prod, c.g, q); err != nil {
			return fmt.Errorf("distill: %w", err)
		}
		for i, v := range prod {
			dst[i] += jacobian * v
		}
	}
	return nil
}
