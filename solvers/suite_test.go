package solvers_test

import (
	"math"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/solvers"
	"snrlab/solvers/solvertest"
)

// variants are settings beside the registered defaults that run other code.
var variants = []string{
	"amed(r=0.7)", "amed(r=0.3,blend=true)", "amed-plugin(base=dpmpp-2m,r=0.4)", "amed-plugin(base=euler,r=0.6)",
	"epd(k=1,r=0.7,w=1)", "epd(r=[0.3,0.9],w=[0.7,0.3])", "epd(k=3,r=[0.2,0.5,1],w=[0.5,0.2,0.3])",
	// DDIM, ancestral sampling and inversion.
	"ddim(eta=0.5)", "ddim(eta=1)", "ddim(eta=0.5,first=own)",
	"ddpm(variance=large)", "ddpm(variance=learned,v=0.3)", "ddpm(first=own,last=own)", "ddpm(variance=large,first=own,last=own)",
	"analytic-ddpm(eta=0.5,first=own,last=own)", "analytic-ddpm(estimate=value)", "analytic-ddpm(estimate=marginal,draws=12,first=own)",
	"ddim-inversion(iterations=3)",
	"euler-ancestral(eta=0)", "euler-ancestral(process=rf)", "euler-ancestral(eta=0.5,process=rf)",
	"dpm2-ancestral-rf(eta=0)", "dpm2-ancestral-rf(eta=0.5)", "dpmpp-2s-ancestral-rf(eta=0)", "dpmpp-2s-ancestral-rf(eta=0.5)",

	// Runge–Kutta in one variable.
	"rk(method=heun2,in=sigma)", "rk(method=midpoint,in=lambda)", "rk(method=ralston2,in=lambda-data)", "rk(method=alpha,alpha=0.4,in=sigma)",
	"rk(method=kutta3,in=data)", "rk(method=heun3,in=angle)", "rk(method=ralston3,in=sigma)", "rk(method=vdh3)", "rk(method=ssprk3,in=lambda)",
	"rk(in=t)", "rk(in=sigma)", "rk(method=rk38,in=lambda)", "rk(method=euler,in=angle)", "rk(method=bs23,in=sigma)", "rk(method=heun2,in=t,last=own)", "rk(method=kutta3,in=angle,last=own)", "rk(method=alpha,alpha=0.7,in=t,schurn=10)", "rk(method=dopri5,in=lambda)",
	"euler(schurn=20)", "heun(schurn=40,stmin=0.05,stmax=10,snoise=1)",

	// Linear multistep.
	"ab2(start=rk)", "ab3(start=rk)", "ab4(start=rk)", "ab4(start=rk,last=own)", "ab3(last=own)", "ab3(start=lean)", "ab4(start=lean)",
	"ipndm(order=1)", "ipndm(order=2)", "ipndm(order=3,start=rk)", "ipndm(start=rk,last=own)",
	"ipndm-v(start=rk)", "ipndm-v(order=2,last=own)", "ipndm-v(order=3,start=lean)", "ipndm-v(order=3,start=rk,published=true)", "ipndm-v(start=rk,published=true)",
	"pndm(start=plms)", "pndm(start=plms,last=own)",
	"ab3(in=angle)", "ab4(in=angle,last=own,start=rk)", "ab3(in=lambda-data,start=lean)", "ab2(in=data)", "ab2(in=t,last=own)", "ab2(in=lambda)",
	"deis(order=4,in=t,start=rk)", "deis(order=3,in=t)", "deis(order=3,in=t,start=lean)", "deis(order=2,in=t,final=lower)",
	"deis(order=2)", "deis(order=3,start=rk)", "deis(order=6)", "deis(order=3,in=angle,start=rk)",

	// DPM-Solver and DPM-Solver++.
	"dpm-solver-2(form=taylor)", "dpm-solver-2(form=simple)", "dpm-solver-2(r=0.3)", "dpm-solver-2(schurn=10)",
	"dpm-solver-2(r=0.3,form=simple)", "dpm-solver-2(r=0.8,form=taylor)",
	"dpm-solver-2(inner=t)", "dpm-solver-2(short=1)", "dpm-solver-2(eta=1)",
	"dpm-solver-3(form=taylor)", "dpm-solver-3(r=0.2,r2=0.9)", "dpm-solver-3(inner=t)", "dpm-solver-3(short=1)",
	"dpm-solver-3(short=3)", "dpm-solver-3(eta=1)", "dpm-solver-3(short=2,eta=0.4,snoise=1)",
	"dpm-solver-2m(form=taylor)", "dpm-solver-2m(final=lower)", "dpm-solver-3m(start=lean)",
	"dpm-solver-1(eta=1)", "dpm-solver-2m(eta=1)", "dpm-solver-2m(form=taylor,eta=1)", "dpm-solver-3m(second=half)",
	"dpm-solver-2-grid(form=taylor)", "dpm-solver-3-grid(form=taylor)",
	"dpmpp-1(eta=1)", "dpmpp-1(eta=0.5)",
	"dpmpp-2s(r=0.3)", "dpmpp-2s(r=1)", "dpmpp-2s(form=taylor)", "dpmpp-2s(eta=1)",
	"dpmpp-3s(form=taylor)", "dpmpp-3s(short=2)",
	"dpmpp-2m(form=taylor)", "dpmpp-2m(eta=1)", "dpmpp-2m(form=taylor,eta=1)", "dpmpp-2m(final=lower,eta=0.5)",
	"dpmpp-3m(start=rk)", "dpmpp-3m(start=lean)", "dpmpp-3m(second=half)", "dpmpp-3m(start=lean,second=half)",
	"dpmpp-3m(start=lean,final=euler)", "dpmpp-3m(final=lower)", "dpmpp-3m(second=flipped)",
	"dpmpp-3m(eta=1)", "dpmpp-3m(form=taylor,second=half,eta=1)",
	"dpmpp-2s-grid(form=taylor)", "dpmpp-3s-grid(form=taylor)", "dpmpp-3s-grid(final=euler)", "dpmpp-2s-grid(eta=1)", "dpmpp-2s-grid(eta=1,draws=apart)", "dpmpp-3s-grid(eta=1)", "dpm-solver-3-grid(eta=0.5)",
	"dpmpp-sde(eta=0)", "dpmpp-sde(r=0.3,eta=0.5)", "dpmpp-sde(draws=apart)", "dpmpp-sde(r=1)",

	// Other exponential integrators, and predictor–corrector pairs.
	"unipc(order=1)", "unipc(order=1,variant=bh1,predict=noise)", "unipc(order=2,start=rk)", "unipc(order=2,variant=bh1,start=rk,predict=noise)",
	"unipc(order=2,variant=vary,corrector=false)", "unipc(order=3,start=rk)", "unipc(order=3,start=rk,predict=noise)", "unipc(order=3,corrector=false,start=rk)",
	"unipc(order=3,final=lower)", "unipc(order=3,skip=[0,1,2])", "unipc(order=3,predictor=false)", "unipc(order=3,variant=vary,published=true)",
	"unipc(order=4,start=rk)", "unipc(order=5,start=rk,corrector=false)", "unipc(order=6,start=rk)", "unipc(start=lean)",
	"dpm-solver-v3(order=1,corrector=false)", "dpm-solver-v3(order=2)", "dpm-solver-v3(start=lean,corrector=false)",
	"dpm-solver-v3(ppseudo=true,corrector=false)", "dpm-solver-v3(order=2,cpseudo=true)", "dpm-solver-v3(order=4,start=rk,corrector=false)", "dpm-solver-v3(final=lower)",
	"sa-solver(tau=0.5)", "sa-solver(predict=noise,variant=vary)", "sa-solver(predictor=3,corrector=0,stmin=0.05,stmax=1)",
	"sa-solver(tau=0)", "sa-solver(predictor=1,corrector=1,tau=0.3)", "sa-solver(predictor=3,corrector=4,tau=0,start=rk)",
	"sa-solver(predictor=3,corrector=3,tau=0,start=rk,predict=noise)", "sa-solver(predictor=3,corrector=0,tau=0,start=rk)",
	"sa-solver(predictor=3,corrector=4,tau=0,start=rk,correctend=true)", "sa-solver(predictor=3,corrector=3,tau=0,final=lower)",
	"sa-solver(correctend=true,predict=noise)",
	"res-2s(c2=0.3)", "res-2s(c2=1)", "res-m(order=3,start=rk)", "res-m(order=4,start=rk)", "res-m(order=3)",
	"seeds(stages=1)", "seeds(stages=2)", "seeds(stages=1,predict=data)", "seeds(stages=2,predict=data)", "seeds(predict=data)",
	"er-sde(order=1)", "er-sde(order=2,noise=sde)", "er-sde(noise=sde1)", "er-sde(noise=sde2)", "er-sde(noise=sde3)", "er-sde(order=2,noise=sde4)",
	"er-sde(order=1,noise=ode)", "er-sde(order=2,noise=ode)", "er-sde(noise=ode,start=rk)", "er-sde(noise=ode,published=true)",
	"gradient-estimation(gamma=1.5)", "gradient-estimation(gamma=1)",
	"gaussian-secant(order=1)", "gaussian-secant(total=2)", "gaussian-secant(free=true)", "gaussian-secant(order=1,total=1,free=true)",
	"restart(base=euler)", "restart(intervals=[0.05:0.5:1:30,1:5:2:40])",

	// Stochastic differential equations.
	"euler-maruyama(variable=lambda)", "euler-maruyama(variable=time)", "euler-maruyama(last=own)", "euler-maruyama(variable=time,last=own)",
	"reverse-diffusion(last=own)",
	"predictor-corrector(steps=2)", "predictor-corrector(predictor=ddim)", "predictor-corrector(predictor=dpmpp-2m,steps=2)", "predictor-corrector(predictor=sra1)",

	// Few-step samplers of distilled models.
	"consistency(smin=0.005)", "tcd(gamma=0)", "tcd(gamma=1)",
}

func TestSolvers_Invariant(t *testing.T) {
	var all []solvers.Solver
	for _, e := range solvers.Registry().Entries {
		all = append(all, e.Default)
	}
	for _, name := range variants {
		s, err := solvers.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		if !race.Enabled { // settings change numbers, and goroutines never
			all = append(all, s)
		}
	}
	for _, s := range all {
		if s.Properties().Adaptive {
			continue
		}
		t.Run(s.String(), func(t *testing.T) { solvertest.Run(t, s) })
	}
}

// adaptive are the adaptive solvers and variants of them, by their tolerance.
var adaptive = []func(tol float64) solvers.Solver{
	rkAdaptive(solvers.BS23, solvers.Sigma), rkAdaptive(solvers.BS23, solvers.Log),
	rkAdaptive(solvers.Dopri5, solvers.Sigma), rkAdaptive(solvers.Dopri5, solvers.Log), rkAdaptive(solvers.Dopri5, solvers.Angle),
	rkAdaptive(solvers.Dopri5, solvers.InTime), rkAdaptive(solvers.DOP853, solvers.LogData),
	dpmAdaptive(2, solvers.PredictNoise, 0), dpmAdaptive(3, solvers.PredictNoise, 0), dpmAdaptive(2, solvers.PredictData, 0), dpmAdaptive(3, solvers.PredictData, 0),
	dpmAdaptive(3, solvers.PredictNoise, 1),
	sdeAdaptive(solvers.Lambda), sdeAdaptive(solvers.Variance), sdeAdaptive(solvers.Time),
	func(tol float64) solvers.Solver {
		s := dpmAdaptive(3, solvers.PredictData, 0)(tol).(solvers.DPMAdaptive)
		s.Form, s.P, s.I, s.D = solvers.Taylor, 0.2, 0.7, 0.05
		return s
	},
}

// sdeAdaptive takes the root of the tolerance: the error of a step falls with
// h^{3/2} only, and the suite resumes after every attempt.
func sdeAdaptive(v solvers.Variable) func(tol float64) solvers.Solver {
	return func(tol float64) solvers.Solver {
		tol = math.Sqrt(tol)
		return solvers.SDEAdaptive{Variable: v, RTol: tol, ATol: tol, First: 0.05, MaxSteps: 20000}
	}
}

func dpmAdaptive(order int, p solvers.Prediction, eta float64) func(tol float64) solvers.Solver {
	return func(tol float64) solvers.Solver {
		return solvers.DPMAdaptive{Order: order, Predict: p, RTol: tol, ATol: tol, First: 0.05, I: 1, Eta: eta, SNoise: 1, MaxSteps: 40000}
	}
}

func rkAdaptive(method solvers.Scheme, in solvers.Coordinate) func(tol float64) solvers.Solver {
	return func(tol float64) solvers.Solver {
		return solvers.RKAdaptive{Method: method, In: in, RTol: tol, ATol: tol, MaxSteps: 10000}
	}
}

// parallel are the solvers that hold several points of a path at once.
var parallel = []string{
	"paradigms", "paradigms(window=3,tol=0.1)", "paradigms(window=4,lag=true)", "paradigms(window=4,eta=1,tol=0.01)",
}

func TestAdaptive_Invariant(t *testing.T) {
	covered := map[string]bool{}
	for _, name := range parallel {
		s, err := solvers.Parse(name)
		if err != nil {
			t.Fatal(err)
		}
		entry, _, _ := strings.Cut(name, "(")
		covered[entry] = true
		t.Run(name, func(t *testing.T) { solvertest.RunParallel(t, s) })
	}
	for _, with := range adaptive {
		name, _, _ := strings.Cut(with(1e-3).String(), "(")
		if race.Enabled && covered[name] {
			continue // as above
		}
		covered[name] = true
		t.Run(with(1e-3).String(), func(t *testing.T) { solvertest.RunAdaptive(t, with) })
	}
	for _, e := range solvers.Registry().Entries {
		if e.Default.Properties().Adaptive && !covered[e.Name] {
			t.Errorf("no test of the adaptive solver %s", e.Name)
		}
	}
}
