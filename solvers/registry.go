package solvers

import (
	"fmt"
	"maps"
	"math"
	"reflect"
	"slices"
	"strings"

	"snrlab/internal/spec"
)

// Entry is one line of [Registry]: a name, aliases, one line of summary, and the
// solver with every option at its default.
type Entry = spec.Entry[Solver]

// Registry returns the list of solvers, each at its defaults. It is a fresh
// value: append an [Entry] to add your own, and parse with its own Parse.
func Registry() spec.Registry[Solver] {
	nested := map[reflect.Type]func(string) (any, error){}
	choice[First](nested, firstNames)
	choice[Last](nested, lastNames)
	choice[Opening](nested, openingNames)
	choice[Final](nested, finalNames)
	choice[Prediction](nested, predictionNames)
	choice[Variant](nested, variantNames)
	choice[Rule](nested, ruleNames)
	nested[reflect.TypeFor[StatisticsFile]()] = func(s string) (any, error) {
		_, f, err := StatisticsFile(s).read()
		return f, err
	}
	choice[NoiseFunction](nested, noiseFunctionNames)
	choice[RestartBase](nested, restartBaseNames)
	choice[Form](nested, formNames)
	choice[Second](nested, secondNames)
	choice[Inner](nested, innerNames)
	choice[Draws](nested, drawsNames)
	choice[StepRule](nested, stepRuleNames)
	choice[StepVariance](nested, varianceNames)
	choice[Process](nested, processNames)
	choice[Estimate](nested, estimateNames)
	choice[Variable](nested, variableNames)
	choice[Scheme](nested, schemeNames)
	choice[Coordinate](nested, coordinateNames)
	choice[PseudoOpening](nested, pseudoNames)
	choice[CorrectorSize](nested, correctorSizeNames)
	nested[reflect.TypeFor[Solver]()] = func(s string) (any, error) { return Parse(s) }
	r := spec.Registry[Solver]{Kind: "solver", Nested: nested, Entries: []spec.Entry[Solver]{
		// DDIM, ancestral sampling and inversion.
		{Name: "ddim", Default: DDIM{}, Aliases: []string{"DDIM"}},
		{Name: "ddpm", Default: DDPM{}, Aliases: []string{"DDPM"}},
		{Name: "analytic-ddpm", Default: AnalyticDDPM{Eta: 1}, Aliases: []string{"Analytic-DPM"}},
		{Name: "euler-ancestral", Default: EulerAncestral{Eta: 1, SNoise: 1}, Aliases: []string{"Euler a"}},
		{Name: "dpm2-ancestral-rf", Default: AncestralRF{Predict: PredictNoise, Eta: 1, SNoise: 1}, Aliases: []string{"DPM2 a RF"}},
		{Name: "dpmpp-2s-ancestral-rf", Default: AncestralRF{Eta: 1, SNoise: 1}, Aliases: []string{"DPM++ 2S a RF"}},
		{Name: "ddim-inversion", Default: DDIMInversion{Iterations: 1}},
		{Name: "belm", Default: BELM{}, Aliases: []string{"O-BELM"}},

		// Runge–Kutta in one variable.
		{Name: "euler", Default: Euler(noChurn), Aliases: []string{"Euler"}},
		{Name: "heun", Default: Heun(noChurn), Aliases: []string{"Heun"}},
		{Name: "rk", Default: RK{In: Angle, SMax: noChurn.SMax, SNoise: noChurn.SNoise}},
		{Name: "rk-adaptive", Default: RKAdaptive{Method: Dopri5, In: Angle, RTol: 1e-4, ATol: 1e-4, MaxSteps: 10000}},

		// Linear multistep.
		{Name: "ab2", Default: AdamsBashforth{Order: 2}},
		{Name: "ab3", Default: AdamsBashforth{Order: 3}},
		{Name: "ab4", Default: AdamsBashforth{Order: 4}},
		{Name: "ipndm", Default: IPNDM{Order: 4}, Aliases: []string{"iPNDM"}},
		{Name: "ipndm-v", Default: IPNDMV{Order: 4}},
		{Name: "pndm", Default: PNDM{}, Aliases: []string{"PNDM"}},
		{Name: "deis", Default: DEIS{Order: 4, In: Log}, Aliases: []string{"DEIS"}},

		// DPM-Solver and DPM-Solver++.
		{Name: "dpm-solver-1", Default: DPMMultistep{Order: 1, Predict: PredictNoise, SNoise: 1}},
		{Name: "dpm-solver-2", Default: NewDPMSinglestep(2, PredictNoise), Aliases: []string{"DPM2", "DPM-Solver-2"}},
		{Name: "dpm-solver-3", Default: NewDPMSinglestep(3, PredictNoise), Aliases: []string{"DPM-Solver-3"}},
		{Name: "dpm-solver-2m", Default: DPMMultistep{Order: 2, Predict: PredictNoise, SNoise: 1}},
		{Name: "dpm-solver-3m", Default: DPMMultistep{Order: 3, Predict: PredictNoise, SNoise: 1}},
		{Name: "dpm-solver-2-grid", Default: DPMGrid{Order: 2, Predict: PredictNoise, SNoise: 1}},
		{Name: "dpm-solver-3-grid", Default: DPMGrid{Order: 3, Predict: PredictNoise, SNoise: 1}},
		{Name: "dpmpp-1", Default: DPMMultistep{Order: 1, SNoise: 1}},
		{Name: "dpmpp-2s", Default: NewDPMSinglestep(2, PredictData), Aliases: []string{"DPM++ 2S", "DPM-Solver++(2S)"}},
		{Name: "dpmpp-3s", Default: NewDPMSinglestep(3, PredictData), Aliases: []string{"DPM-Solver++(3S)"}},
		{Name: "dpmpp-2m", Default: DPMMultistep{Order: 2, SNoise: 1}, Aliases: []string{"DPM++ 2M", "DPM-Solver++(2M)"}},
		{Name: "dpmpp-3m", Default: DPMMultistep{Order: 3, SNoise: 1}, Aliases: []string{"DPM++ 3M", "DPM-Solver++(3M)"}},
		{Name: "dpmpp-2s-grid", Default: DPMGrid{Order: 2, SNoise: 1}},
		{Name: "dpmpp-3s-grid", Default: DPMGrid{Order: 3, SNoise: 1}},
		{Name: "dpm-solver-12", Default: NewDPMAdaptive(2, PredictNoise)},
		{Name: "dpm-solver-23", Default: NewDPMAdaptive(3, PredictNoise), Aliases: []string{"DPM adaptive"}},
		{Name: "dpmpp-12", Default: NewDPMAdaptive(2, PredictData)},
		{Name: "dpmpp-23", Default: NewDPMAdaptive(3, PredictData)},
		{Name: "dpmpp-sde", Default: DPMPPSDE{R: 0.5, Eta: 1, SNoise: 1}, Aliases: []string{"DPM++ SDE"}},

		// Other exponential integrators, and predictor–corrector pairs.
		{Name: "unipc", Default: UniPC{Order: 3, Variant: BH2, Predictor: true, Corrector: true}, Aliases: []string{"UniPC"}},
		{Name: "dpm-solver-v3", Default: DPMSolverV3{Order: 3, Corrector: true}, Aliases: []string{"DPM-Solver-v3"}},
		{Name: "sa-solver", Default: SASolver{Predictor: 2, Corrector: 2, Tau: 1, SMax: math.Inf(1)}, Aliases: []string{"SA-Solver"}},
		{Name: "res-2s", Default: RES2S{C2: 0.5}, Aliases: []string{"RES 2S"}},
		{Name: "res-m", Default: RESM{Order: 2}, Aliases: []string{"RES multistep"}},
		{Name: "seeds", Default: SEEDS{Stages: 3, Predict: PredictNoise}, Aliases: []string{"SEEDS-3"}},
		{Name: "er-sde", Default: ERSDE{Order: 3}, Aliases: []string{"ER-SDE-Solver-3"}},
		{Name: "gaussian-secant", Default: GaussianSecant{Order: 2}},
		{Name: "gradient-estimation", Default: GradientEstimation{Gamma: 2}, Aliases: []string{"GE"}},
		{Name: "restart", Default: Restart{Intervals: "[0.06:0.3:2]", SNoise: 1}, Aliases: []string{"Restart"}},

		// Stochastic differential equations.
		{Name: "euler-maruyama", Default: EulerMaruyama{}},
		{Name: "reverse-diffusion", Default: ReverseDiffusion{}},
		{Name: "sra1", Default: SRA1{}},
		{Name: "sde-adaptive", Default: SDEAdaptive{Variable: Lambda, RTol: 0.01, ATol: 0.0078, First: 0.05, MaxSteps: 100000}},
		{Name: "predictor-corrector", Default: PredictorCorrector{Predictor: ReverseDiffusion{}, SNR: 0.16, Steps: 1}, Aliases: []string{"PC"}},

		// Parallel in time.
		{Name: "paradigms", Default: ParaDiGMS{Window: 16, Tol: 1e-3}, Aliases: []string{"ParaDiGMS"}},

		// Few-step samplers of distilled models.
		{Name: "consistency", Default: Consistency{SNoise: 1}, Aliases: []string{"CM", "LCM", "sCM"}},
		{Name: "tcd", Default: TCD{Gamma: 0.3}, Aliases: []string{"TCD"}},

		// Learned coefficients.
		{Name: "amed", Default: AMED{R: "0.5", C: "1", Kappa: "1"}, Aliases: []string{"AMED-Solver"}},
		{Name: "amed-plugin", Default: AMEDPlugin{Base: IPNDM{Order: 3}, R: "0.5", C: "1", Kappa: "1"}, Aliases: []string{"AMED-Plugin"}},
		{Name: "epd", Default: EPD{K: 2, R: "[0.25,0.75]", W: "[0.5,0.5]", Kappa: "1", C: "1"}, Aliases: []string{"EPD-Solver"}},
	}}
	for i := range r.Entries {
		r.Entries[i].Summary = r.Entries[i].Default.Properties().Summary
	}
	return r
}

// variants are names used elsewhere for a solver with settings.
var variants = map[string]string{
	"LMS":                  "ab4(last=own)",
	"tAB-DEIS":             "deis(in=t)",
	"DPM2 a":               "dpm-solver-2(eta=1)",
	"DPM++ 2S a":           "dpmpp-2s(eta=1)",
	"DPM++ 2M SDE":         "dpmpp-2m(eta=1)",
	"DPM++ 2M SDE Heun":    "dpmpp-2m(form=taylor,eta=1)",
	"DPM++ 3M SDE":         "dpmpp-3m(form=taylor,second=half,eta=1)",
	"SDE-DPM-Solver-1":     "dpm-solver-1(eta=1)",
	"SDE-DPM-Solver-2M":    "dpm-solver-2m(eta=1)",
	"SDE-DPM-Solver++(1)":  "dpmpp-1(eta=1)",
	"SDE-DPM-Solver++(2M)": "dpmpp-2m(eta=1)",
}

// Variants returns the names used elsewhere that mean a solver with settings, and
// what they mean: "DPM2 a" for "dpm-solver-2(eta=1)".
func Variants() map[string]string { return maps.Clone(variants) }

// Parse reads a solver such as "heun" or "ddim(eta=0.5)". It also knows names
// that are used elsewhere: the aliases of the registry's entries ("DPM++ 2M",
// "Euler a"), and those of [Variants].
func Parse(s string) (Solver, error) {
	r := Registry()
	name := strings.TrimSpace(s)
	for _, e := range r.Entries {
		if slices.Contains(e.Aliases, name) {
			return e.Default, nil
		}
	}
	if full, ok := variants[name]; ok {
		name = full
	}
	if head, _, _ := strings.Cut(name, "("); slices.Contains(OwnGrid().Names(), head) {
		r = OwnGrid()
	}
	v, err := r.Parse(name)
	if err != nil {
		return nil, fmt.Errorf("solvers: %w", err)
	}
	if f, ok := v.(*Fitted); ok {
		if err := f.load(); err != nil {
			return nil, fmt.Errorf("solvers: %w", err)
		}
	}
	return v, nil
}

// OwnGrid lists the solvers that [Parse] reads beside those of [Registry]: each
// carries the one grid that it can be run on, so that nothing can be said of them
// at their defaults.
func OwnGrid() spec.Registry[Solver] {
	return spec.Registry[Solver]{Kind: "solver", Entries: []spec.Entry[Solver]{
		{Name: "linear", Summary: "linear multistep with levels and weights of its own", Default: &Linear{}},
		{Name: "fitted", Summary: "the solver of a file, made by snrlab fit-solver", Default: &Fitted{}},
	}}
}
