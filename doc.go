// Package snrlab is a toolkit for research on diffusion samplers that knows
// the right answer.
//
// Everything is a function of the log signal-to-noise ratio λ = log(α²/σ²). The
// packages, from the bottom up:
//
//   - rng: keys, from which every random number comes
//   - snr: λ as a type
//   - schedules: paths λ → (α, σ), schedules t → λ, grids, spacings
//   - models: the denoiser, its adapters, and exact models
//   - nn: networks, their training and checkpoints: nn/unet the U-Net of diffusers,
//     nn/mlp a perceptron for points, nn/dit the diffusion transformer
//   - data: MNIST, numpy and PNG inputs, the embedded mixture of digits
//   - solvers: DDIM, Heun, DPM-Solver++, Adams–Bashforth, …, noise sources and
//     the reference integrator
//   - dialects: what other programs call it, held to recorded runs of theirs
//   - tune: solvers and grids fitted to a model
//   - metrics: errors and distances with their sampling floors
//   - upsample, distill: a denoiser at another resolution, and in fewer evaluations
//   - experiments, viz: recipes, runs, figures, reports
//   - cmd/snrlab: all of it from the command line
//
// What only they need is under internal: kernels, row-splitting, the format of a
// run folder, names with arguments.
package snrlab
