// Package snr holds the one quantity that everything else is a function of, the
// log signal-to-noise ratio λ = log(α²/σ²) of x_t = α x₀ + σ ε [kingma2021], and
// what a training loss is in it: weights ω(λ) and densities p(λ).
//
// The loss of a denoiser D that is trained at levels λ ~ p is
//
//	L = ∫ p(λ) ω(λ) mse(λ) dλ,    mse(λ) = E|x₀ − D(x; λ)|².
//
// A [Weight] is ω in x₀ units, whatever the network predicts: in another [Unit],
// whose residual is |Δ|² = c(λ)|Δx₀|², the same loss is written with ω/c
// (see [LogIn]). So a loss that gives the residual of ε the weight 1 has
// ω = e^λ here. The product p·ω of [karras2022], [kingma2023] and [hang2024] is
// counted in ε units instead, in which the variational bound has weight 1:
//
//	w(λ) = p(λ) ω(λ) e^{−λ}    (see [Recipe.LogObjective])
//
// The two conventions differ by e^λ; a published weight is no number until it is
// said which of them it is in. A published recipe is a pair (ω, p): a [Recipe].
//
// Levels with α = 0 or σ = 0 are legal, with no epsilon anywhere: a weight knows
// its [Tail] towards both, so that the min-SNR weight of ε, 0/0 at zero SNR, is 1.
// A probability is carried as a pair (below, above) of numbers that sum to one,
// each to its own accuracy: the level at t = 1e-30 exists.
//
// Weights, densities, units and recipes are small values that print and parse:
//
//	w, err := snr.ParseWeight("min-snr(gamma=5)")
//	p, err := snr.ParseDensity("truncated(density=laplace(b=0.75),min=-15,max=15)")
//	r, err := snr.ParseRecipe("sd3")
//
// The package schedules adds the densities that schedules induce; its
// ParseDensity, ParseWeight and ParseRecipe read all that these read.
//
// References:
//
//	[choi2022]       J. Choi et al., Perception Prioritized Training of Diffusion Models, arXiv 2204.00227.
//	[crowson2024]    K. Crowson et al., Scalable High-Resolution Pixel-Space Image Synthesis with Hourglass Diffusion Transformers, arXiv 2401.11605.
//	[delbracio2023]  M. Delbracio, P. Milanfar, Inversion by Direct Iteration, arXiv 2303.11435.
//	[esser2024]      P. Esser et al., Scaling Rectified Flow Transformers for High-Resolution Image Synthesis, arXiv 2403.03206.
//	[hang2023]       T. Hang et al., Efficient Diffusion Training via Min-SNR Weighting Strategy, arXiv 2303.09556.
//	[hang2024]       T. Hang, S. Gu et al., Improved Noise Schedule for Diffusion Training, arXiv 2407.03297.
//	[ho2020]         J. Ho, A. Jain, P. Abbeel, Denoising Diffusion Probabilistic Models, arXiv 2006.11239.
//	[karras2022]     T. Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, arXiv 2206.00364.
//	[kingma2021]     D. Kingma, T. Salimans, B. Poole, J. Ho, Variational Diffusion Models, arXiv 2107.00630.
//	[kingma2023]     D. Kingma, R. Gao, Understanding Diffusion Objectives as the ELBO with Simple Data Augmentation, arXiv 2303.00848.
//	[liu2023]        X. Liu, C. Gong, Q. Liu, Flow Straight and Fast: Learning to Generate and Transfer Data with Rectified Flow, arXiv 2209.03003.
//	[lu2022]         C. Lu et al., DPM-Solver, arXiv 2206.00927.
//	[nichol2021]     A. Nichol, P. Dhariwal, Improved Denoising Diffusion Probabilistic Models, arXiv 2102.09672.
//	[salimans2022]   T. Salimans, J. Ho, Progressive Distillation for Fast Sampling of Diffusion Models, arXiv 2202.00512.
//	[yu2024]         H. Yu et al., Unmasking Bias in Diffusion Model Training, arXiv 2310.08442.
package snr
