// Package tune chooses the numbers of solvers: grids, levels told to the
// denoiser, and weights.
//
// A [Task] is a set of starts of an exact model with their exact ends. A [Fit]
// runs a solver end to end on it and follows the gradient of the error of the
// ends, through every evaluation, by L-BFGS: the denoiser's derivatives are the
// product with the posterior covariance and the rate in the level, the solver's
// own coefficients are differentiated by complex steps. What is free is a
// [Family]. The other methods need no gradient and find a grid for any solver.
//
// A [ScheduleFit] learns the schedule on which a training loss varies least, [Ends]
// chooses where it begins and ends, and [ConstantCost] makes one on which equal times
// cost alike.
//
// References:
//
//	[chen2024gits] D. Chen et al., On the Trajectory Regularity of ODE-based Diffusion Sampling, arXiv 2405.11326.
//	[kingma2021] D. Kingma, T. Salimans, B. Poole, J. Ho, Variational Diffusion Models, arXiv 2107.00630.
//	[pei2025]    J. Pei et al., Optimal Stepsize for Diffusion Sampling, arXiv 2503.21774.
//	[shaul2024]  N. Shaul et al., Bespoke Non-Stationary Solvers for Fast Sampling of Diffusion and Flow Models, arXiv 2403.01329.
//	[squire1998] W. Squire, G. Trapp, Using Complex Variables to Estimate Derivatives of Real Functions, SIAM Review 40 (1998).
//	[zhou2024]   Z. Zhou et al., Fast ODE-based Sampling for Diffusion Models in Around 5 Steps, arXiv 2312.00094.
//	[zhu2025]    B. Zhu et al., Distilling Parallel Gradients for Fast ODE Solvers of Diffusion Models, arXiv 2507.14797.
package tune
