// Package dialects says what other programs call things: it translates a run of
// another program into a schedule, a grid and a solver.
//
// A [Run] is what the program was asked for in its own words, a [Translation]
// the same run in ours: [Translate] looks the sampler up in [Registry] and fails
// for anything without an equal. Integer timesteps, β tables, last-step habits,
// thresholding, levels that a step is not taken from and plain mistakes live
// here, so that package solvers need not know them; the mistakes are named in
// docs/quirks.md.
//
// Package conform runs recorded cases through it.
//
// References:
//
//	[chen2024gits] D. Chen et al., On the Trajectory Regularity of ODE-based Diffusion Sampling, arXiv 2405.11326.
//	[crowson2022]  K. Crowson, k-diffusion, https://github.com/crowsonkb/k-diffusion.
//	[diffusers]    P. von Platen et al., Diffusers: state-of-the-art diffusion models, https://github.com/huggingface/diffusers.
//	[karras2022]   T. Karras et al., Elucidating the Design Space of Diffusion-Based Generative Models, arXiv 2206.00364.
//	[lin2024]      S. Lin et al., Common Diffusion Noise Schedules and Sample Steps Are Flawed, arXiv 2305.08891.
//	[liu2022]      L. Liu et al., Pseudo Numerical Methods for Diffusion Models on Manifolds, arXiv 2202.09778.
//	[lu2022]       C. Lu et al., DPM-Solver: A Fast ODE Solver for Diffusion Probabilistic Model Sampling in Around 10 Steps, arXiv 2206.00927.
//	[lu2022pp]     C. Lu et al., DPM-Solver++: Fast Solver for Guided Sampling of Diffusion Probabilistic Models, arXiv 2211.01095.
//	[saharia2022]  C. Saharia et al., Photorealistic Text-to-Image Diffusion Models with Deep Language Understanding, arXiv 2205.11487.
//	[zhang2023]    Q. Zhang, Y. Chen, Fast Sampling of Diffusion Models with Exponential Integrator, arXiv 2204.13902.
//	[zhao2023]     W. Zhao et al., UniPC: A Unified Predictor-Corrector Framework for Fast Sampling of Diffusion Models, arXiv 2302.04867.
//	[zheng2023]    K. Zheng, C. Lu, J. Chen, J. Zhu, DPM-Solver-v3: Improved Diffusion ODE Solver with Empirical Model Statistics, arXiv 2310.13268.
//	[zhou2024]     Z. Zhou et al., Fast ODE-based Sampling for Diffusion Models in Around 5 Steps, arXiv 2312.00094.
package dialects

import (
	"errors"
	"fmt"

	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Run is what another program was asked for, in its own words.
type Run struct {
	Peer    string // the program: "diffusers", "k-diffusion", …
	Sampler string // its function or class: "DDIMScheduler", "sample_heun"
	Steps   int    // its own step argument
	Dim     int    // numbers in one sample, where a habit depends on it; 0 if unknown

	Config       *Options // constructor arguments
	Schedule     *Options // arguments of the noise schedule
	Args         *Options // further arguments of the sampler
	SetTimesteps *Options // arguments of set_timesteps
	Step         *Options // arguments of step
	Given        *Options // numbers handed to the sampler that are no arguments: statistics, learned constants
}

// options lists the groups of a run; groups that are nil become empty.
func (r *Run) options() []*Options {
	groups := []struct {
		name string
		o    **Options
	}{
		{"config", &r.Config},
		{"schedule", &r.Schedule},
		{"args", &r.Args},
		{"set_timesteps", &r.SetTimesteps},
		{"step", &r.Step},
		{"given", &r.Given},
	}
	list := make([]*Options, len(groups))
	for i, g := range groups {
		if *g.o == nil {
			*g.o = &Options{}
		}
		(*g.o).name = g.name
		list[i] = *g.o
	}
	return list
}

// StatesAt is when a program writes down its state.
type StatesAt uint8

const (
	PerStep   StatesAt = iota // after every step of the solver
	PerCall                   // at every denoiser call, and at the end
	Corrected                 // before every step as the step corrects it, and at the end
	EndsOnly                  // at the start and at the end
)

// Translation is a run of another program in ours.
type Translation struct {
	Schedule schedules.Schedule // where levels between grid points come from; nil if the solver needs none
	Spacing  schedules.Spacing  // what makes Grid on Schedule, for a recipe; nil where only the list of levels says it
	Grid     schedules.Grid     // the levels visited, in the space in which the program keeps its states
	Solver   solvers.Solver

	// Wrap changes what the denoiser answers: thresholding, clipping, labels of
	// another level. Nil for nothing.
	Wrap func(models.Denoiser) models.Denoiser
	// Legs[i] is the level that step i goes to where that is not Grid[i+1], from
	// which the next step goes on as if it had arrived there. Nil for none.
	Legs []schedules.Level
	// targets are legs that a habit takes by itself.
	targets []schedules.Level
	// Ahead evaluations at the first level come before the first step, and Idle ones
	// at the last level follow the last step. They change nothing.
	Ahead, Idle int

	// StartScale times unit normal numbers is the first state; 0 where the
	// program does not say.
	StartScale float64
	// Draw is the recorded draw that answers a noise request, and Draws how many
	// the program makes in all, used or not. Without Draw requests are answered in
	// order and none is left.
	Draw  func(step, stage int) int
	Draws int
	// DrawsAccepted says that the program chooses its steps and draws once for
	// each that it accepts, used or not; so how often is known only afterwards.
	DrawsAccepted bool

	States StatesAt
	Tables map[string][]float64 // the program's own tables, by its names
	Quirks []string             // names in docs/quirks.md
}

// Translator is one line of [Registry].
type Translator struct {
	Peer, Sampler string
	Translate     func(Run) (*Translation, error)
}

// Translate translates a run. Unknown programs, samplers and options, options
// that contradict each other and options that nothing reads are errors that
// name them.
func Translate(r Run) (*Translation, error) {
	t, err := find(r)
	if err != nil {
		return nil, err
	}
	if r.Steps < 0 || r.Steps > maxSteps {
		return nil, fmt.Errorf("dialects: %s %s: %d steps: expected 1 to %d, or 0 where the program chooses them", r.Peer, r.Sampler, r.Steps, maxSteps)
	}
	groups := r.options()
	out, err := t.Translate(r)
	if err == nil {
		var errs []error
		for _, o := range groups {
			errs = append(errs, o.check())
		}
		err = errors.Join(errs...)
	}
	if err != nil {
		return nil, fmt.Errorf("dialects: %s %s: %w", r.Peer, r.Sampler, err)
	}
	return out, nil
}

// find looks a sampler up.
func find(r Run) (Translator, error) {
	var peers, samplers []string
	for _, t := range Registry() {
		if t.Peer == r.Peer && t.Sampler == r.Sampler {
			return t, nil
		}
		if t.Peer == r.Peer {
			samplers = append(samplers, t.Sampler)
		}
		if len(peers) == 0 || peers[len(peers)-1] != t.Peer {
			peers = append(peers, t.Peer)
		}
	}
	if samplers == nil {
		return Translator{}, fmt.Errorf("dialects: unknown program %q%s", r.Peer, spec.Suggest(r.Peer, peers))
	}
	return Translator{}, fmt.Errorf("dialects: %s has no sampler %q%s", r.Peer, r.Sampler, spec.Suggest(r.Sampler, samplers))
}
