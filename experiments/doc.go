// Package experiments runs recipes: one TOML file describes one experiment,
// and a run leaves one folder behind.
//
//	recipe, err := experiments.Load("compare-gm2d")
//	info, err := experiments.Run(ctx, recipe, experiments.Options{Out: "runs"})
//
// A driver wires a denoiser, a schedule, a spacing, solvers and a key
// together; it does no mathematics. What a recipe leaves out is filled in, and
// the resolved recipe is stored with the run. The folder is named after a hash
// of the resolved recipe, of the content of its inputs and of the program, so
// a finished run is found again and an old result is never returned for a new
// program. The work is cut into cells, stored one by one as they finish: a run
// that was killed computes what is missing and ends with the same bytes.
//
// References:
//
//	[bonneel2015] N. Bonneel, J. Rabin, G. Peyré, H. Pfister: Sliced and Radon
//	              Wasserstein barycenters of measures. J. Math. Imaging Vis. 51, 2015.
//	[efron1993]   B. Efron, R. J. Tibshirani: An introduction to the bootstrap.
//	              Chapman & Hall, 1993.
//	[hairer1993]  E. Hairer, S. P. Nørsett, G. Wanner: Solving ordinary differential
//	              equations I. Springer, 2nd edition, 1993.
//
// What a recipe uses is printed by [Cite], from references.bib.
package experiments
