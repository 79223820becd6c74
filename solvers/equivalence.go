package solvers

// Equivalence says that solvers are one method: from the same start, on the same
// grid, with the same noise, they give the same states to rounding.
type Equivalence struct {
	Solvers []string  // as [Parse] reads them
	Where   Condition // on which grids
	Steps   int       // on grids of at most so many steps; 0 for any number
	Why     string    // one line
}

// Condition is a family of grids that an equivalence holds on.
type Condition string

// The families that equivalences need.
const (
	AnyGrid        Condition = "any grid"
	WithoutTheEnds Condition = "any grid without α = 0 and σ = 0"
	UniformNoise   Condition = "grids uniform in σ/α"
	UniformLogSNR  Condition = "grids uniform in λ"
	TimeIsNoise    Condition = "any grid without α = 0 and σ = 0 of a schedule whose time is σ/α"
	ExplodingPath  Condition = "any grid on the variance exploding path"
)

// Equivalences lists methods that go by several names. Each is proved by a test,
// and so is the need for its condition.
func Equivalences() []Equivalence {
	list := func(names ...string) []string { return names }
	return []Equivalence{
		// The first order.
		{
			Solvers: list("ddim", "euler", "dpm-solver-1", "dpmpp-1", "euler-ancestral(eta=0)", "ipndm(order=1)", "rk(method=euler,in=sigma)", "rk(method=euler,in=data)", "gradient-estimation(gamma=1)", "unipc(order=1,corrector=false)", "unipc(order=1,predict=noise,corrector=false)", "sa-solver(predictor=1,corrector=0,tau=0)", "er-sde(order=1,noise=ode)"),
			Where:   AnyGrid,
			Why:     "x̂ goes along e by the difference of σ/α: explicit Euler in σ/α for e, or in α/σ for D, the first order of every exponential integrator and of every multistep method",
		},
		{
			Solvers: list("ddim", "paradigms(tol=1e-13)"),
			Where:   AnyGrid,
			Why:     "sweeps that go on until nothing moves end at the serial path, at more evaluations in all",
		},
		{
			Solvers: list("ddim(eta=1)", "ddpm", "ddpm(variance=learned,v=0)", "euler-ancestral", "dpmpp-1(eta=1)", "seeds(stages=1,predict=data)", "sa-solver(predictor=1,corrector=0)", "er-sde(order=1,noise=sde)"),
			Where:   AnyGrid,
			Why:     "DDPM's posterior (variance fixed small): down to ŝ_b²/ŝ_a and up by ŝ_b √(1 − ŝ_b²/ŝ_a²), which is the reverse SDE solved for a constant D",
		},
		{Solvers: list("ddpm(variance=large)", "ddpm(variance=learned,v=1)"), Where: AnyGrid, Why: "the interpolation of the logarithms ends at β"},
		{Solvers: list("ddim", "tcd(gamma=0)"), Where: AnyGrid, Why: "down to the target itself, and no noise"},
		{
			Solvers: list("ddim(eta=0.3)", "euler-ancestral(eta=0.3)"),
			Where:   AnyGrid,
			Why:     "the same for every η",
		},
		{
			Solvers: list("dpm-solver-1(eta=1)", "seeds(stages=1)", "sa-solver(predictor=1,corrector=0,predict=noise)"),
			Where:   AnyGrid,
			Why:     "the reverse SDE solved for a constant e",
		},
		{
			Solvers: list("euler-maruyama", "reverse-diffusion"),
			Where:   ExplodingPath,
			Why:     "with α constant there is no drift to discretise in one way or the other",
		},

		// Polynomials in σ/α: Adams–Bashforth.
		{
			Solvers: list("ab2", "ipndm-v(order=2)"),
			Where:   AnyGrid,
			Why:     "the weights of the variable-step form are the integrals of the Lagrange polynomials, in Newton's form",
		},
		{Solvers: list("ab3", "ipndm-v(order=3)"), Where: AnyGrid, Why: "the same at order 3"},
		{Solvers: list("ab4", "ipndm-v"), Where: AnyGrid, Why: "the same at order 4"},
		{
			Solvers: list("ab2", "deis(order=2,in=t)"),
			Where:   TimeIsNoise,
			Why:     "polynomials in t are polynomials in σ/α there: tAB-DEIS is ρAB-DEIS, k-diffusion's LMS",
		},
		{Solvers: list("ab3", "deis(order=3,in=t)"), Where: TimeIsNoise, Why: "the same at order 3"},
		{Solvers: list("ab4", "deis(in=t)"), Where: TimeIsNoise, Why: "the same at order 4"},
		{
			Solvers: list("ipndm(order=2)", "gradient-estimation(gamma=1.5)"),
			Where:   AnyGrid,
			Why:     "γ e + (1 − γ) e₁ at γ = 3/2 are the weights (3, −1)/2 of a uniform grid",
		},
		{
			Solvers: list("ab2", "ipndm(order=2)", "gradient-estimation(gamma=1.5)", "unipc(order=1,predict=noise)"),
			Where:   UniformNoise,
			Why:     "the weights of a uniform grid are the exact ones there; UniC-1 on e adds half the newest difference to DDIM",
		},
		{Solvers: list("ipndm-v(order=3)", "ipndm-v(order=3,published=true)"), Where: UniformNoise, Why: "the bracket of the program of iPNDM's variable-step form is right there"},
		{Solvers: list("ab3", "ipndm(order=3)"), Where: UniformNoise, Why: "the same at order 3"},
		{Solvers: list("ab4", "ipndm"), Where: UniformNoise, Why: "the same at order 4"},
		{Solvers: list("ab4(start=rk)", "ipndm(start=rk)"), Where: UniformNoise, Why: "the same with a Runge–Kutta start"},
		{
			Solvers: list("ipndm(order=2)", "dpm-solver-2m"),
			Where:   UniformLogSNR,
			Why:     "(ŝ_b − ŝ_a)(e + (e − e₁)/(2q)) with q = 1: what a uniform grid is to iPNDM, a grid uniform in λ is to DPM-Solver(2M)",
		},

		// Runge–Kutta.
		{Solvers: list("heun", "rk(method=heun2,in=sigma)", "rk(method=alpha,alpha=1,in=sigma)"), Where: AnyGrid, Why: "the trapezoidal rule in σ/α"},
		{Solvers: list("rk(method=ralston3)", "rk(method=bs23)"), Where: AnyGrid, Why: "Bogacki and Shampine's pair is Ralston's method of order 3 with an error estimate"},

		// Two evaluations between levels.
		{
			Solvers: list("dpm-solver-2", "dpm-solver-2(form=simple)"),
			Where:   AnyGrid,
			Why:     "at r = ½ the paper's weight 1/(2r) is 1: the midpoint rule of AMED",
		},
		{
			Solvers: list("amed(r=0.3)", "epd(k=1,r=0.3,w=1)", "epd(r=0.3)"),
			Where:   AnyGrid,
			Why:     "one direction, or two at one level, is AMED",
		},
		{
			Solvers: list("dpmpp-2s(form=taylor)", "res-2s"),
			Where:   AnyGrid,
			Why:     "φ₂/r as the weight of the difference: the refined exponential solver is the Taylor form of DPM-Solver++(2S)",
		},
		{Solvers: list("dpmpp-2s(r=0.3,form=taylor)", "res-2s(c2=0.3)"), Where: AnyGrid, Why: "the same at every r = c₂"},
		{
			Solvers: list("dpmpp-2s", "dpmpp-2s(form=simple)", "dpmpp-sde(eta=0)", "dpmpp-2s-ancestral-rf(eta=0)"),
			Where:   AnyGrid,
			Why:     "without noise the two-stage SDE sampler, and the ancestral one of rectified flows, are the midpoint of DPM-Solver++(2S)",
		},
		{
			Solvers: list("dpmpp-sde", "seeds(stages=2,predict=data)"),
			Where:   AnyGrid,
			Why:     "the same stages at r = ½ and the same motion of the noise from a through m to b",
		},

		// Multistep exponential integrators.
		{
			Solvers: list("dpmpp-2m", "unipc(order=2,corrector=false)", "sa-solver(corrector=0,tau=0,variant=bh2)"),
			Where:   AnyGrid,
			Why:     "UniP-2 with B₂ = e^{−h} − 1 and ρ = ½ is DPM-Solver++(2M): −α_b (e^{−h} − 1)(D_a − D₁)/(2q)",
		},
		{
			Solvers: list("dpmpp-2m(form=taylor)", "res-m", "unipc(order=2,variant=vary,corrector=false)", "sa-solver(corrector=0,tau=0,variant=vary)", "dpm-solver-v3(order=2,corrector=false)"),
			Where:   AnyGrid,
			Why:     "the line through the last two answers, integrated exactly: RES multistep is DPM-Solver++(2M) with φ₂ for φ₁/2",
		},
		{
			Solvers: list("dpm-solver-2m", "unipc(order=2,predict=noise,corrector=false)"),
			Where:   AnyGrid,
			Why:     "the same for e",
		},
		{
			Solvers: list("dpm-solver-2m(form=taylor)", "deis(order=2)", "unipc(order=2,variant=vary,predict=noise,corrector=false)"),
			Where:   AnyGrid,
			Why:     "the line through the last two e, in log σ/α: DEIS as diffusers has it",
		},
		{
			Solvers: list("dpmpp-3m", "unipc(corrector=false)"),
			Where:   AnyGrid,
			Why:     "the parabola through the last three D after the same first steps; in UniPC its weights come from a linear system",
		},
		{
			Solvers: list("dpmpp-3m(start=rk)", "unipc(corrector=false,start=rk)", "res-m(order=3,start=rk)", "sa-solver(predictor=3,corrector=0,tau=0,start=rk)"),
			Where:   AnyGrid,
			Why:     "the same with a Runge–Kutta start",
		},
		{
			Solvers: list("dpm-solver-3m", "unipc(predict=noise,corrector=false)"),
			Where:   AnyGrid,
			Why:     "the same for e",
		},
		{
			Solvers: list("dpm-solver-3m(start=rk)", "deis(order=3,start=rk)"),
			Where:   AnyGrid,
			Why:     "the parabola through the last three e, in log σ/α",
		},
		{
			Solvers: list("res-m(order=3)", "unipc(variant=vary,corrector=false)"),
			Where:   AnyGrid,
			Why:     "exponential Adams–Bashforth with exact weights, in its first steps too",
		},
		{Solvers: list("res-m(order=4)", "unipc(order=4,variant=vary,corrector=false)"), Where: AnyGrid, Why: "the same at order 4"},
		{
			Solvers: list("unipc", "sa-solver(predictor=3,corrector=4,tau=0,variant=bh2)"),
			Where:   AnyGrid,
			Why:     "SA-Solver without noise is UniPC: Adams–Bashforth predicts, Adams–Moulton of one answer more corrects",
		},
		{Solvers: list("unipc(variant=bh1)", "sa-solver(predictor=3,corrector=4,tau=0)"), Where: AnyGrid, Why: "the same with B(h) = h, SA-Solver's own"},
		{Solvers: list("unipc(order=2)", "sa-solver(predictor=2,corrector=3,tau=0,variant=bh2)"), Where: AnyGrid, Why: "the same at order 2"},
		{Solvers: list("unipc(variant=vary)", "sa-solver(predictor=3,corrector=4,tau=0,variant=vary)"), Where: AnyGrid, Why: "the same with exact weights"},
		{
			Solvers: list("dpm-solver-v3(start=rk)", "sa-solver(predictor=3,corrector=3,tau=0,variant=vary,start=rk)"),
			Where:   AnyGrid,
			Why:     "without statistics the third version is the exponential Adams method for D; its corrector takes as many answers as the predictor",
		},
		{
			Solvers: list("dpmpp-2m(eta=1)", "sa-solver(corrector=0,variant=bh2)"),
			Where:   AnyGrid,
			Why:     "SDE-DPM-Solver++(2M) is SA-Solver's predictor of two answers at τ = 1, in its midpoint form",
		},
		{Solvers: list("dpmpp-2m(form=taylor,eta=1)", "sa-solver(corrector=0,variant=vary)"), Where: AnyGrid, Why: "and in its Heun form, with exact weights"},

		// First steps and last ones.
		{Solvers: list("dpmpp-2m", "ddim"), Where: AnyGrid, Steps: 1, Why: "a first step has no earlier answer"},
		{Solvers: list("dpmpp-3m", "dpmpp-2m"), Where: AnyGrid, Steps: 2, Why: "nor a second step two"},
		{Solvers: list("ab4", "ab2"), Where: AnyGrid, Steps: 2, Why: "a cheap start goes through the lower orders"},
		{Solvers: list("ab4", "ab3"), Where: AnyGrid, Steps: 3, Why: "up to the third step"},
		{Solvers: list("pndm(start=plms)", "heun"), Where: WithoutTheEnds, Steps: 1, Why: "PLMS opens with Heun's step"},
		{Solvers: list("dpmpp-2m(final=lower)", "dpmpp-2m(final=euler)"), Where: AnyGrid, Why: "at order 2 the last step alone is lowered"},
		{Solvers: list("dpmpp-3m(final=lower)", "dpmpp-2m(final=lower)"), Where: AnyGrid, Steps: 4, Why: "a start and an end of lower orders leave room for no step of order 3: 1, 2, 2, 1"},
		{Solvers: list("ab2(start=rk)", "rk(method=heun2)"), Where: WithoutTheEnds, Steps: 1, Why: "the Runge–Kutta start of order 2 is Heun's step in the angle"},
	}
}

// Lookalike is two solvers that are often taken for one, and are two.
type Lookalike struct {
	A, B string
	Why  string // one line
}

// Lookalikes lists them. Each is proved by a test on a grid of ten steps.
func Lookalikes() []Lookalike {
	return []Lookalike{
		{"ab4", "ipndm", "exact weights against those of a uniform grid: the second has order 2 on any other"},
		{"ipndm-v", "ipndm-v(published=true)", "a bracket closed too late and a wrong sign in common code: exact weights on uniform grids at order 3, nowhere at order 4"},
		{"res-m", "dpmpp-2m", "φ₂ against φ₁/2 as the weight of the difference: both of order 2, apart by the second order of h"},
		{"res-2s", "dpmpp-2s", "the same of the two-stage forms"},
		{"dpm-solver-2", "dpmpp-2s", "midpoint in λ for e against one for D"},
		{"dpm-solver-2", "rk(method=midpoint,in=lambda)", "exponential weights against plain ones in the same variable"},
		{"dpm-solver-2(r=0.3)", "dpm-solver-2(r=0.3,form=simple)", "away from r = ½ the midpoint rule has order 1"},
		{"dpm-solver-2m", "dpmpp-2m", "one for e, one for D; equal on no grid"},
		{"dpmpp-3m", "dpmpp-3m(second=half)", "φ₃ in place of 2 φ₃, as in common code, leaves order 2"},
		{"dpmpp-3m", "res-m(order=3)", "the second step is of the paper's form in one and has exact weights in the other"},
		{"dpmpp-2s", "dpmpp-2s-grid", "a level between the grid's against the grid's next: the second takes two steps for the same evaluations"},
		{"dpmpp-2s(eta=1)", "dpmpp-sde", "DPM++ 2S a goes down past b and adds noise once; DPM++ SDE draws in both stages"},
		{"dpmpp-sde", "dpmpp-2m(eta=1)", "DPM++ SDE has two evaluations a step, DPM++ 2M SDE a memory"},
		{"heun", "dpmpp-2s(r=1)", "both evaluate at b: a trapezoid in σ/α against one with exponential weights"},
		{"unipc(order=1)", "ddim", "the corrector adds an order: UniPC-1 with its corrector has order 2"},
		{"unipc(variant=bh1)", "unipc(variant=bh2)", "B matters where ρ is ½ and not solved for: in the first steps of order 2"},
		{"gradient-estimation", "ipndm(order=2)", "γ = 2 against 3/2: order 1 against 2"},
		{"pndm", "ipndm(start=rk)", "pseudo Runge–Kutta steps through the middle of t against true ones in the angle"},
		{"pndm", "ipndm", "twelve evaluations in three steps against three"},
		{"ddim(eta=1)", "euler-maruyama", "both are the reverse SDE to order 1, and differ at order 2 in the step"},
		{"ddim(eta=1)", "dpm-solver-1(eta=1)", "the reverse SDE for a constant D against one for a constant e"},
		{"ddim(eta=0.5)", "dpmpp-1(eta=0.5)", "g² = η² σ² (1 − e^{−2h}) against σ² (1 − e^{−2ηh}): one method at η = 0 and 1 alone"},
		{"deis", "ab4", "polynomials in log σ/α against polynomials in σ/α"},
		{"rk(method=midpoint,in=sigma)", "rk(method=midpoint,in=lambda)", "a Runge–Kutta method of order 2 and up depends on its variable"},
		{"dpm-solver-v3(cpseudo=true)", "unipc(variant=vary)", "the same answers, but divided differences in place of the polynomial's derivatives"},
		{"er-sde", "er-sde(published=true)", "a parabola with a backward difference for its slope is of order 2"},
		{"sa-solver(tau=0)", "unipc(order=2)", "a corrector of two answers is UniC-1"},
		{"euler-ancestral", "euler-ancestral(process=rf)", "the same step down and up with another share of noise: τ_b²/τ_a against ŝ_b²/ŝ_a, in τ = ŝ/(1 + ŝ)"},
		{"ddpm", "ddpm(variance=large)", "β against β̃ = β σ_b²/σ_a²: the same mean"},
		{"euler", "ddim-inversion", "explicit Euler against one iteration of the implicit one"},
		{"dpm-solver-2", "dpm2-ancestral-rf(eta=0)", "the midpoint rule in σ/α against σ/(α + σ)"},
		{"er-sde", "er-sde(noise=sde)", "the default noise function is not the reverse SDE's"},
	}
}
