package solvers

// Equivalence says that solvers are one method: from the same start, on the same
// grid, with the same noise, they give the same states to rounding.
type Equivalence struct {
	Solvers []string // as [Parse] reads them
	Where   Grids    // on which grids
	Steps   int      // on grids of at most so many steps; 0 for any number
	Why     string   // one line
}

// Grids is a family of grids.
type Grids string

// The families that equivalences need.
const (
	AnyGrid        Grids = "any grid"
	UniformNoise   Grids = "grids uniform in σ/α"
	UniformLogSNR  Grids = "grids uniform in λ"
	WithoutTheEnds Grids = "any grid without α = 0 and σ = 0"
)

// Equivalences lists methods that go by several names. Each is proved by a test.
func Equivalences() []Equivalence {
	return []Equivalence{
		{
			Solvers: []string{"ddim", "euler", "dpmpp-1", "dpm-solver-1", "euler-ancestral(eta=0)", "ipndm(order=1)", "unipc(order=1,corrector=false)", "unipc(order=1,predict=noise,corrector=false)", "er-sde(order=1,noise=ode)", "gradient-estimation(gamma=1)"},
			Where:   AnyGrid,
			Why:     "x̂ is moved along e by the difference of σ/α: explicit Euler in σ/α, the first order of every exponential integrator, and of every multistep method",
		},
		{
			Solvers: []string{"ddim(eta=1)", "ddpm", "ddpm(variance=learned,v=0)", "euler-ancestral", "dpmpp-1(eta=1)", "seeds(stages=1,predict=data)", "er-sde(order=1,noise=sde)", "sa-solver(predictor=1,corrector=0)"},
			Where:   AnyGrid,
			Why:     "down to ŝ_down = ŝ_b²/ŝ_a and up by ŝ_b √(1 − ŝ_b²/ŝ_a²) is DDPM's posterior (variance fixed small): g is the same noise, √(σ_b² − g²) the same rest",
		},
		{
			Solvers: []string{"ddpm(variance=large)", "ddpm(variance=learned,v=1)"},
			Where:   AnyGrid,
			Why:     "the interpolation of the logarithms ends at β",
		},
		{
			Solvers: []string{"ddim", "tcd(gamma=0)"},
			Where:   AnyGrid,
			Why:     "down to the target itself, and no noise",
		},
		{
			Solvers: []string{"dpmpp-2s", "dpmpp-2s-ancestral-rf(eta=0)"},
			Where:   AnyGrid,
			Why:     "down to the target itself, and no noise",
		},
		{
			Solvers: []string{"ddim(eta=0.3)", "euler-ancestral(eta=0.3)"},
			Where:   AnyGrid,
			Why:     "the same for every η",
		},
		{
			Solvers: []string{"dpm-solver-2", "dpm-solver-2(form=simple)"},
			Where:   AnyGrid,
			Why:     "at r = ½ the paper's weight 1/(2r) is 1: the midpoint rule",
		},
		{
			Solvers: []string{"dpmpp-2s", "dpmpp-sde(eta=0)", "dpmpp-2s(form=simple)"},
			Where:   AnyGrid,
			Why:     "without noise the two-stage SDE sampler is the midpoint of DPM-Solver++(2S)",
		},
		{
			Solvers: []string{"dpmpp-2m", "dpmpp-2m(eta=1e-26)"},
			Where:   AnyGrid,
			Why:     "without noise the SDE is the ODE; what is left is √(2ηh)",
		},
		{
			Solvers: []string{"dpmpp-3m", "dpmpp-3m(eta=1e-26)"},
			Where:   AnyGrid,
			Why:     "the same at order 3",
		},
		{
			Solvers: []string{"dpm-solver-2m", "dpm-solver-2m(eta=1e-28)"},
			Where:   AnyGrid,
			Why:     "the same for e, with √(η (e^{2h} − 1))",
		},
		{
			Solvers: []string{"dpm-solver-3", "dpm-solver-3(eta=1e-14)"},
			Where:   AnyGrid,
			Why:     "an ancestral step without noise goes to the level itself",
		},
		{
			Solvers: []string{"dpmpp-3s-grid", "dpmpp-3s-grid(eta=1e-26)"},
			Where:   AnyGrid,
			Why:     "the same over blocks of grid levels",
		},
		{
			Solvers: []string{"ab2", "ipndm(order=2)"},
			Where:   UniformNoise,
			Why:     "the fixed coefficients are the integrals of the Lagrange polynomials there",
		},
		{
			Solvers: []string{"ipndm(order=2)", "gradient-estimation(gamma=1.5)"},
			Where:   AnyGrid,
			Why:     "at γ = 3/2 the extrapolation is the second order of Adams–Bashforth on a uniform grid",
		},
		{
			Solvers: []string{"unipc(order=2,variant=vary,corrector=false)", "res-m", "sa-solver(predictor=2,corrector=0,tau=0,variant=vary)", "dpm-solver-v3(order=2,corrector=false)"},
			Where:   AnyGrid,
			Why:     "the line through the last two answers, integrated exactly",
		},
		{
			Solvers: []string{"dpm-solver-v3(start=rk)", "sa-solver(predictor=3,corrector=3,tau=0,variant=vary,start=rk)"},
			Where:   AnyGrid,
			Why:     "without statistics the third version is the exponential Adams method for D; its corrector takes as many answers as the predictor",
		},
		{
			Solvers: []string{"unipc(variant=bh1)", "sa-solver(predictor=3,corrector=4,tau=0)"},
			Where:   AnyGrid,
			Why:     "without noise the stochastic Adams method is UniPC, a corrector of p+1 answers UniC-p, and its special case for two answers is B(h) = h",
		},
		{
			Solvers: []string{"ab3", "ipndm(order=3)"},
			Where:   UniformNoise,
			Why:     "the same at order 3",
		},
		{
			Solvers: []string{"ab4", "ipndm"},
			Where:   UniformNoise,
			Why:     "the same at order 4",
		},
		{
			Solvers: []string{"ab4(start=rk)", "ipndm(start=rk)"},
			Where:   UniformNoise,
			Why:     "the same with a Runge–Kutta start",
		},
		{
			Solvers: []string{"dpmpp-2m", "unipc(order=2,corrector=false)"},
			Where:   AnyGrid,
			Why:     "UniP-2 with B₂ = e^{−h} − 1 and ρ = ½ is the two-step form: −α_b (e^{−h} − 1) (D_a − D₁)/(2q)",
		},
		{
			Solvers: []string{"dpmpp-3m(start=rk)", "unipc(corrector=false,start=rk)"},
			Where:   AnyGrid,
			Why:     "the parabola through the last three answers, integrated exactly; in UniPC the weights come from a linear system",
		},
		{
			Solvers: []string{"dpmpp-2m", "ddim"},
			Where:   AnyGrid, Steps: 1,
			Why: "a first step has no earlier answer",
		},
		{
			Solvers: []string{"dpmpp-3m", "dpmpp-2m"},
			Where:   AnyGrid, Steps: 2,
			Why: "nor a second step two",
		},
		{
			Solvers: []string{"dpmpp-2m(final=lower)", "dpmpp-2m(final=euler)"},
			Where:   AnyGrid,
			Why:     "at order 2 the last step alone is lowered",
		},
		{
			Solvers: []string{"dpmpp-3m(final=lower)", "dpmpp-2m(final=lower)"},
			Where:   AnyGrid, Steps: 4,
			Why: "a start and an end of lower orders leave room for no step of order 3: 1, 2, 2, 1",
		},
		{
			Solvers: []string{"ab4", "ab2"},
			Where:   AnyGrid, Steps: 2,
			Why: "a cheap start goes through the lower orders",
		},
		{
			Solvers: []string{"ab4", "ab3"},
			Where:   AnyGrid, Steps: 3,
			Why: "up to the third step",
		},
		{
			Solvers: []string{"ab2(start=rk)", "heun"},
			Where:   WithoutTheEnds, Steps: 1,
			Why: "the Runge–Kutta start of order 2 is Heun's step",
		},
		{
			Solvers: []string{"ddim", "rk(method=euler)", "rk(method=euler,in=data)"},
			Where:   AnyGrid,
			Why:     "Euler's step for x/α in σ/α and for x/σ in α/σ: the straight line between x₀ = D and ε = e in both",
		},
		{
			Solvers: []string{"heun", "rk(method=heun2)", "rk(method=alpha,alpha=1)"},
			Where:   AnyGrid,
			Why:     "the trapezoidal rule in σ/α",
		},
		{
			Solvers: []string{"ab2", "ipndm-v(order=2)"},
			Where:   AnyGrid,
			Why:     "Newton's form of the same polynomial's integral",
		},
		{
			Solvers: []string{"ab3", "ipndm-v(order=3)"},
			Where:   AnyGrid,
			Why:     "the same at order 3",
		},
		{
			Solvers: []string{"ab4", "ipndm-v"},
			Where:   AnyGrid,
			Why:     "the same at order 4",
		},
		{
			Solvers: []string{"ipndm-v(order=3)", "ipndm-v(order=3,published=true)"},
			Where:   UniformNoise,
			Why:     "the bracket of the program of iPNDM's variable-step form is right there",
		},
		{
			Solvers: []string{"pndm(start=plms)", "heun"},
			Where:   WithoutTheEnds, Steps: 1,
			Why: "PLMS opens with Heun's step",
		},
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
		{"dpm-solver-2", "dpmpp-2s", "midpoint in λ for e against one for D: the exponential weights differ"},
		{"dpm-solver-2(r=0.3)", "dpm-solver-2(r=0.3,form=simple)", "away from r = ½ the midpoint rule has order 1"},
		{"dpmpp-3m", "dpmpp-3m(second=half)", "φ₃ in place of 2 φ₃ leaves order 2"},
		{"dpmpp-sde", "dpmpp-2s(eta=1)", "noise in both stages against noise after them"},
		{"dpmpp-2m", "dpmpp-2m(form=taylor)", "midpoint and Heun weights of the slope: both of order 2"},
		{"ddim(eta=0.5)", "dpmpp-1(eta=0.5)", "g² = η² σ² (1 − e^{−2h}) against σ² (1 − e^{−2ηh}): one method at η = 0 and 1 alone"},
		{"dpmpp-1(eta=1)", "dpm-solver-1(eta=1)", "the reverse SDE with D held constant against e held constant"},
		{"ipndm-v", "ipndm-v(published=true)", "a sign, a bracket and a ratio of steps in the weights of order 4"},
		{"deis(in=lambda)", "ab3", "polynomials in log σ/α against polynomials in σ/α"},
		{"pndm", "ipndm", "one method with two starts"},
		{"rk(method=midpoint)", "rk(method=midpoint,in=lambda)", "a Runge–Kutta method of order 2 and up depends on its variable"},
		{"dpm-solver-2", "rk(method=midpoint,in=lambda)", "both evaluate at the middle of λ: the slope e against σ/α e"},
		{"heun", "dpmpp-2s(r=1)", "both evaluate at b: a trapezoid in σ/α against one with exponential weights"},
		{"dpm-solver-v3(cpseudo=true)", "unipc(variant=vary)", "the same answers, but divided differences in place of the polynomial's derivatives"},
		{"res-2s", "dpmpp-2s", "φ₂/c₂ against φ₁/(2 c₂): the same order, another constant, smaller where D is stiff"},
		{"seeds(stages=1)", "seeds(stages=1,predict=data)", "e held constant against D: both are the reverse SDE to order 1"},
		{"er-sde", "er-sde(published=true)", "a parabola with a backward difference for its slope is of order 2"},
		{"sa-solver(tau=0)", "unipc(order=2)", "a corrector of two answers is UniC-1"},
		{"unipc(order=1)", "ddim", "the corrector adds an order: UniPC-1 with its corrector is a method of order 2"},
		{"unipc(variant=bh1)", "unipc(variant=bh2)", "B matters where ρ is ½ and not solved for: in the first steps of order 2"},
		{"euler-ancestral", "euler-ancestral(process=rf)", "the same step down and up with another share of noise: τ_b²/τ_a against ŝ_b²/ŝ_a, in τ = ŝ/(1 + ŝ)"},
		{"ddpm", "ddpm(variance=large)", "β against β̃ = β σ_b²/σ_a²: the same mean"},
		{"euler", "ddim-inversion", "explicit Euler against one iteration of the implicit one"},
		{"dpm-solver-2", "dpm2-ancestral-rf(eta=0)", "the midpoint rule in σ/α against σ/(α + σ)"},
		{"ddim(eta=1)", "euler-maruyama", "both are the reverse SDE to order 1; they differ at order 2 in the step"},
	}
}
