// Package solvers moves samples from noise to data, one named method a file.
//
// A [Solver] is an immutable description of a method; a [Stepper] is one
// solver running on one [Problem], owning its buffers and history:
//
//	st, err := solver.Start(problem, x)
//	for step, err := range solvers.Steps(ctx, st) { ... }
//
// [Parse] reads a solver from its name, "heun" or "ddim(eta=0.5)"; [Registry]
// lists them. In the formulas x = α x₀ + σ ε with λ = log(α²/σ²), a step goes
// from level a to the cleaner b, hats divide by α (x̂ = x/α, ŝ = σ/α), D is the
// denoiser's answer, E[x₀ | x], and e = (x − αD)/σ its estimate of ε.
//
// Two steps are the same for every method. Out of α = 0, where ŝ has no finite
// value, it is the named start
//
//	x_b = (σ_b/σ_a) x_a + (α_b − α_a σ_b/σ_a) D
//
// which keeps nothing for a history, D being a constant there; and into σ = 0
// it is the rule called [Last], whose default Denoise is the same formula, that
// is x = α D. All other steps are written in x̂, ŝ and λ, so that the same λ
// give the same x̂ on every path.
//
// Multistep methods may open with lower orders or with Runge–Kutta steps: see
// [Opening]. Stochastic ones ask a [Noise] source for unit normal numbers,
// scaled by themselves: [Independent], [Brownian], [BrownianTree] or [Replay].
// [Reference] integrates the probability-flow ODE to a tolerance.
//
// References:
//
//	[bao2022]      F. Bao, C. Li, J. Zhu, B. Zhang, Analytic-DPM: an Analytic Estimate of the Optimal Reverse Variance in Diffusion Probabilistic Models, arXiv 2201.06503.
//	[bao2022cov]   F. Bao et al., Estimating the Optimal Covariance with Imperfect Mean in Diffusion Probabilistic Models, arXiv 2206.07309.
//	[barzilai1988] J. Barzilai, J. M. Borwein, Two-Point Step Size Gradient Methods, IMA Journal of Numerical Analysis 8 (1988).
//	[comfyui2023]  ComfyUI, https://github.com/comfyanonymous/ComfyUI.
//	[crowson2022]  K. Crowson, k-diffusion, https://github.com/crowsonkb/k-diffusion.
//	[cui2023]      Q. Cui, X. Zhang, Z. Lu, Q. Liao, Elucidating the Solution Space of Extended Reverse-Time SDE for Diffusion Models, arXiv 2309.06169.
//	[frankel2025]  E. Frankel et al., S4S: Solving for a Diffusion Model Solver, arXiv 2502.17423.
//	[gonzalez2023] M. Gonzalez et al., SEEDS: Exponential SDE Solvers for Fast High-Quality Sampling from Diffusion Models, arXiv 2305.14267.
//	[grathwohl2019] W. Grathwohl et al., FFJORD: Free-form Continuous Dynamics for Scalable Reversible Generative Models, arXiv 1810.01367.
//	[hacohen2025]  Y. HaCohen et al., LTX-Video: Realtime Video Latent Diffusion, arXiv 2501.00103.
//	[hairer1993]   E. Hairer, S. P. Nørsett, G. Wanner, Solving Ordinary Differential Equations I, 2nd edition, Springer 1993.
//	[ho2020]       J. Ho, A. Jain, P. Abbeel, Denoising Diffusion Probabilistic Models, arXiv 2006.11239.
//	[hutchinson1990] M. F. Hutchinson, A Stochastic Estimator of the Trace of the Influence Matrix for Laplacian Smoothing Splines, Communications in Statistics – Simulation and Computation 19, 1990.
//	[jolicoeur2021] A. Jolicoeur-Martineau et al., Gotta Go Fast When Generating Data with Score-Based Models, arXiv 2105.14080.
//	[karras2022]   T. Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, arXiv 2206.00364.
//	[li2020]       X. Li, T.-K. L. Wong, R. T. Q. Chen, D. Duvenaud, Scalable Gradients for Stochastic Differential Equations, arXiv 2001.01328.
//	[liu2022]      L. Liu et al., Pseudo Numerical Methods for Diffusion Models on Manifolds, arXiv 2202.09778.
//	[lu2022]       C. Lu et al., DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps, arXiv 2206.00927.
//	[lu2022pp]     C. Lu et al., DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models, arXiv 2211.01095.
//	[lu2025]       C. Lu, Y. Song, Simplifying, Stabilizing and Scaling Continuous-Time Consistency Models, arXiv 2410.11081.
//	[luo2023]      S. Luo et al., Latent Consistency Models: Synthesizing High-Resolution Images with Few-Step Inference, arXiv 2310.04378.
//	[nichol2021]   A. Nichol, P. Dhariwal, Improved Denoising Diffusion Probabilistic Models, arXiv 2102.09672.
//	[pan2023]      Z. Pan, R. Gherardi, X. Xie, S. Huang, Effective Real Image Editing with Accelerated Iterative Diffusion Inversion, arXiv 2309.04907.
//	[permenter2023] F. Permenter, C. Yuan, Interpreting and Improving Diffusion Models from an Optimization Perspective, arXiv 2306.04848.
//	[roberts1996]  G. O. Roberts, R. L. Tweedie, Exponential Convergence of Langevin Distributions and Their Discrete Approximations, Bernoulli 2, 1996.
//	[rossler2010]  A. Rößler, Runge–Kutta Methods for the Strong Approximation of Solutions of Stochastic Differential Equations, SIAM J. Numer. Anal. 48, 2010.
//	[shaul2024]    N. Shaul et al., Bespoke Non-Stationary Solvers for Fast Sampling of Diffusion and Flow Models, arXiv 2403.01329.
//	[shih2023]     A. Shih et al., Parallel Sampling of Diffusion Models, arXiv 2305.16317.
//	[soderlind2003] G. Söderlind, Digital Filters in Adaptive Time-Stepping, ACM Transactions on Mathematical Software 29 (2003).
//	[song2019]     Y. Song, S. Ermon, Generative Modeling by Estimating Gradients of the Data Distribution, arXiv 1907.05600.
//	[song2021]     Y. Song et al., Score-Based Generative Modeling through Stochastic Differential Equations, arXiv 2011.13456.
//	[song2021ddim] J. Song, C. Meng, S. Ermon, Denoising Diffusion Implicit Models, arXiv 2010.02502.
//	[song2023]     Y. Song, P. Dhariwal, M. Chen, I. Sutskever, Consistency Models, arXiv 2303.01469.
//	[tong2024]     V. Tong et al., Learning to Discretize Denoising Diffusion ODEs, arXiv 2405.15506.
//	[wang2024]     F. Wang et al., BELM: Bidirectional Explicit Linear Multi-step Sampler for Exact Inversion in Diffusion Models, arXiv 2410.07273.
//	[xu2023]       Y. Xu et al., Restart Sampling for Improving Generative Processes, arXiv 2306.14878.
//	[xue2023]      S. Xue et al., SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion Models, arXiv 2309.05019.
//	[zhang2023]    Q. Zhang, Y. Chen, Fast Sampling of Diffusion Models with Exponential Integrator, arXiv 2204.13902.
//	[zhang2023res] Q. Zhang, J. Song, Y. Chen, Improved Order Analysis and Design of Exponential Integrator for Diffusion Models Sampling, arXiv 2308.02157.
//	[zhao2023]     W. Zhao et al., UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models, arXiv 2302.04867.
//	[zhao2026]     T. Zhao et al., DyWeight: Dynamic Gradient Weighting for Few-Step Diffusion Sampling, arXiv 2603.11607.
//	[zheng2023]    K. Zheng, C. Lu, J. Chen, J. Zhu, DPM-Solver-v3: Improved Diffusion ODE Solver with Empirical Model Statistics, arXiv 2310.13268.
//	[zheng2024]    J. Zheng et al., Trajectory Consistency Distillation, arXiv 2402.19159.
//	[zhou2024]     Z. Zhou, D. Chen, C. Wang, C. Chen, Fast ODE-based Sampling for Diffusion Models in Around 5 Steps, arXiv 2312.00094.
//	[zhu2025]      B. Zhu, R. Wang, T. Zhao, H. Zhang, C. Zhang, Distilling Parallel Gradients for Fast ODE Solvers of Diffusion Models, arXiv 2507.14797.
package solvers

import (
	"context"

	"snrlab/models"
	"snrlab/schedules"
)

// Problem is what a solver is run on.
type Problem struct {
	Denoiser models.Denoiser
	Grid     schedules.Grid
	Schedule schedules.Schedule // levels between grid points, and rates of change; only methods whose Properties say so need it
	Noise    Noise              // only stochastic methods need it
	Labels   []int              // nil, or one class a row, handed to the denoiser
}

// Properties is what a solver promises; tests hold it to each.
type Properties struct {
	Order      float64 // of global convergence in the grid's step, deterministic sense
	Evals      int     // denoiser evaluations of an inner step
	LastEvals  int     // evaluations of a step to σ = 0
	FirstEvals int     // evaluations that the opening steps cost beyond Evals (a Runge–Kutta start), in all
	History    int     // earlier evaluations kept
	Stochastic bool
	PathFree   bool     // the same λ grid gives the same x/α on every path
	Between    bool     // evaluates between grid levels, or steps in the schedule's own time, so the Problem needs a Schedule
	Adaptive   bool     // grid ends are bounds; evaluations are not promised
	Parallel   bool     // Adaptive, but it walks the grid, many levels at once: its steps count the evaluations in sequence
	Coupled    bool     // rows of a batch influence each other
	OwnNoise   bool     // draws noise beside the reverse process's own (churn, Langevin steps), so that runs on other grids share no path
	OnePath    bool     // attempts may be refused for their noise, which has to know one path between any levels: see NoiseFor
	Varies     bool     // the evaluations of a step depend on its place in the grid: Solver.NFE has them
	Rises      bool     // a grid that rises, from data to noise, is walked too
	FromData   bool     // and it may start at σ = 0
	OwnFirst   bool     // the step out of α = 0 is a formula of its own, not the named start
	Biased     bool     // an exact denoiser and many steps do not give the data's law: made for distilled models
	Bias       float64  // relative bias of the variance of isotropic data that many steps leave, at most; 0 for an exact law
	Summary    string   // one line
	Equation   string   // the update in one line, in the symbols of the package comment
	Ends       string   // what it does at α = 0 and at σ = 0 where that is not the two named steps; "" where it is
	References []string // keys into the package's References block
}

// Solver is an immutable, comparable, printable description of a method.
type Solver interface {
	String() string // parseable: Parse(s.String()) gives back an equal value
	Properties() Properties
	// NFE returns the evaluations per sample that a run over g will count; of
	// an adaptive method, the most that a row can take before its limit of
	// attempts ends the run with an error.
	NFE(g schedules.Grid) int
	// Start prepares a run from the rows of x, which it copies. It refuses a
	// problem that it cannot serve before the first evaluation.
	Start(p Problem, x []float64, opts ...RunOption) (Stepper, error)
}

// NoiseLevels returns the levels that a run of s over g on a schedule asks for
// noise at: those of g, and the ones between that some methods take stages at.
// A [Brownian] source is drawn on them.
func NoiseLevels(s Solver, g schedules.Grid, on schedules.Schedule) schedules.Grid {
	if b, ok := s.(interface {
		noiseLevels(g schedules.Grid, on schedules.Schedule) schedules.Grid
	}); ok {
		return b.noiseLevels(g, on)
	}
	return g
}

// Stepper is one solver running on one problem. It serves one goroutine and
// allocates nothing after its first step.
type Stepper interface {
	// Step advances every row by one grid interval; io.EOF after the last. Of
	// an adaptive method it is one attempt, accepted or not, of every row that
	// has not arrived.
	Step(ctx context.Context) (Step, error)
	// State returns a copy of everything needed to resume bit for bit.
	State() State
}

// Step is what one step did. X, Corrected and Denoised are views valid until the
// next step; Clone keeps them.
type Step struct {
	Index      int             // 0 for the first
	From, To   schedules.Level // the levels it went between
	X          []float64       // the state at To, rows×dim
	Corrected  []float64       // the state at From after a predictor–corrector pair corrected it; nil where the step corrects nothing
	Denoised   []float64       // the denoiser's answer of the step's first evaluation after any corrections, at DenoisedAt
	DenoisedAt schedules.Level // From, unless the method moves before it evaluates (churn)
	OrderUsed  int
	Evals      int     // evaluations per sample so far, this step included; the most of any row where rows differ
	EvalsMean  float64 // their mean over the rows
	ErrEst     float64 // local error estimate; NaN where the method has none; the greatest of the rows

	// Rows is nil where all rows share levels. An adaptive method has one entry
	// for each row that it attempted; From and To are then the levels that the
	// last of the rows stood at before and after, and Denoised holds the last
	// answer at each row's own From. A view, as X is.
	Rows []RowStep
}

// RowStep is one attempt of one row of an adaptive method.
type RowStep struct {
	Row      int
	From, To schedules.Level
	Rejected bool    // the row stays at From
	Evals    int     // evaluations of the row so far
	ErrEst   float64 // in tolerances; NaN for a named step
}

// stands returns the level of the row after the attempt.
func (r RowStep) stands() schedules.Level {
	if r.Rejected {
		return r.From
	}
	return r.To
}

// Clone returns a Step that owns its arrays.
func (s Step) Clone() Step {
	s.X = append([]float64(nil), s.X...)
	s.Corrected = append([]float64(nil), s.Corrected...)
	s.Denoised = append([]float64(nil), s.Denoised...)
	s.Rows = append([]RowStep(nil), s.Rows...)
	return s
}

// State is a Stepper between two steps.
type State struct {
	Solver  string      `json:"solver"` // its text
	Index   int         `json:"index"`  // steps done
	Evals   int         `json:"evals"`  // so far
	X       []float64   `json:"x"`
	History [][]float64 `json:"history,omitempty"` // method-specific, newest first
	Carry   [][]float64 `json:"carry,omitempty"`   // method-specific, what the last step passed on
	Noise   int         `json:"noise,omitempty"`   // draws consumed by a replayed source
	Rows    []RowState  `json:"rows,omitempty"`    // of an adaptive method
}

// RowState is one row of an adaptive method between two attempts.
type RowState struct {
	Phase    int        `json:"phase"`              // 0 before the step from α = 0, 1 between the ends, 2 before the step to σ = 0, 3 arrived
	Clock    float64    `json:"clock"`              // where it stands, in the variable that steps are measured in
	Size     float64    `json:"size"`               // of the next attempt
	Inverse  [2]float64 `json:"inverse"`            // of the errors of the accepted attempts before, in tolerances; 0 for none
	Rejected bool       `json:"rejected,omitempty"` // the last attempt was
	Known    bool       `json:"known,omitempty"`    // History holds the answer of the first evaluation
	Tries    int        `json:"tries"`              // attempts
	Evals    int        `json:"evals"`              // so far
}

// Noise is a source of standard normal numbers for stochastic steps.
// [Independent], [Brownian], [BrownianTree] and [Replay] are the sources of this
// package.
type Noise interface {
	// Normal fills req.Z, rows×dim, and req.Integral and req.Uniform if not nil.
	Normal(req NoiseRequest) error
}

// NoiseRequest asks for the noise of one stage of one step. The clock of the
// reverse process is e^λ: the increment of its Brownian motion between the
// levels, divided by its standard deviation √|e^λ_to − e^λ_from|, is Z. A
// request toward more noise (churn) belongs to an independent motion with
// clock σ²/α²; one that stays at a level (a Langevin step) to none: its numbers
// are independent of all others.
type NoiseRequest struct {
	Step, Stage int
	From, To    schedules.Level
	Rows        []int     // nil for every row; else the rows of the batch that Z holds, in order
	Z           []float64 // rows×dim, written
	Integral    []float64 // nil, or the scaled iterated integral ∫(W−W_from)dτ / (Δτ^{3/2}), written
	Uniform     []float64 // nil, or one number a row, uniform on [0, 1) and independent of the rest, written
}
