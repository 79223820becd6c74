package viz

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"snrlab/internal/runfile"
)

// A small experiment of the test's own, so that reports are drawn from states
// that behave like real ones: the optimal denoiser of a few drawn glyphs (or
// of points in the plane), Euler, Heun and two-step methods in s = σ/α on the
// variance-preserving path, and a stochastic one.

type toy struct {
	shape  []int
	points [][]float64
	width  float64 // standard deviation around every point
}

func (m toy) dim() int { return len(m.points[0]) }

// denoise is E[y₀ | y] for y = y₀ + s ε.
func (m toy) denoise(y []float64, s float64) []float64 {
	v := m.width*m.width + s*s
	best, w := math.Inf(-1), make([]float64, len(m.points))
	for k, p := range m.points {
		q := 0.0
		for i := range y {
			q += (y[i] - p[i]) * (y[i] - p[i])
		}
		w[k] = -q / (2 * v)
		best = math.Max(best, w[k])
	}
	total := 0.0
	for k := range w {
		w[k] = math.Exp(w[k] - best)
		total += w[k]
	}
	out := make([]float64, len(y))
	for i := range y {
		mean := 0.0
		for k, p := range m.points {
			mean += w[k] / total * p[i]
		}
		out[i] = mean + m.width*m.width/v*(y[i]-mean)
	}
	return out
}

func glyphs() toy {
	m := toy{shape: []int{1, 28, 28}, width: 0.05}
	inside := []func(x, y float64) float64{
		func(x, y float64) float64 { return math.Abs(math.Hypot(x, y*0.8) - 7) },
		func(x, y float64) float64 { return math.Abs(x) + math.Max(0, math.Abs(y)-9) },
		func(x, y float64) float64 { return math.Min(math.Abs(x-y), math.Abs(x+y)) },
		func(x, y float64) float64 { return math.Min(math.Abs(x), math.Abs(y)) },
		func(x, y float64) float64 {
			return math.Min(math.Abs(math.Hypot(x, y-4.5)-4), math.Abs(math.Hypot(x, y+4.5)-4.5))
		},
		func(x, y float64) float64 {
			return math.Min(math.Abs(y+8)+math.Max(0, math.Abs(x)-6), math.Abs(x-(y*-0.5)))
		},
	}
	for _, f := range inside {
		p := make([]float64, 28*28)
		for i := range p {
			x, y := float64(i%28)-13.5, float64(i/28)-13.5
			d := f(x, y)
			if math.Hypot(x, y) > 11.5 {
				d = 9
			}
			p[i] = 2/(1+math.Exp(2*(d-1.6))) - 1
		}
		m.points = append(m.points, p)
	}
	return m
}

func plane() toy {
	m := toy{shape: []int{2}, width: 0.3}
	for k := range 5 {
		s, c := math.Sincos(2 * math.Pi * float64(k) / 5)
		m.points = append(m.points, []float64{1.8 * c, 1.8 * s})
	}
	return m
}

func grid(n int) []float64 {
	s := make([]float64, n+1)
	for i := range n {
		a, b := math.Pow(80, 1.0/7), math.Pow(0.02, 1.0/7)
		s[i] = math.Pow(a+float64(i)/math.Max(1, float64(n-1))*(b-a), 7)
	}
	return s
}

func level(s float64) (alpha, sigma, lambda float64) {
	alpha = 1 / math.Sqrt(1+s*s)
	return alpha, s * alpha, -2 * math.Log(s)
}

// walk runs one method on one row: y = x/α and the estimates at every level.
func (m toy) walk(method string, y0 []float64, s []float64, rng *rand.Rand, blend float64) (ys, ds [][]float64, nfe []int) {
	y := append([]float64(nil), y0...)
	ys, nfe = append(ys, append([]float64(nil), y...)), append(nfe, 0)
	var last []float64
	evals := 0
	for i := range len(s) - 1 {
		d := m.denoise(y, s[i])
		evals++
		next := make([]float64, len(y))
		h := s[i+1] - s[i]
		for k := range y {
			g := (y[k] - d[k]) / s[i]
			if method == "two" && last != nil {
				r := h / (s[i] - s[i-1])
				g += blend * r / 2 * (g - last[k])
			}
			next[k] = y[k] + h*g
		}
		switch {
		case method == "heun" && s[i+1] > 0:
			d2 := m.denoise(next, s[i+1])
			evals++
			for k := range y {
				next[k] = y[k] + h/2*((y[k]-d[k])/s[i]+(next[k]-d2[k])/s[i+1])
			}
		case method == "noisy":
			up := math.Sqrt(math.Max(0, s[i+1]*s[i+1]*(1-s[i+1]*s[i+1]/(s[i]*s[i]))))
			down := math.Sqrt(math.Max(0, s[i+1]*s[i+1]-up*up))
			for k := range y {
				next[k] = y[k] + (down-s[i])*(y[k]-d[k])/s[i] + up*rng.NormFloat64()
			}
		}
		if last == nil {
			last = make([]float64, len(y))
		}
		for k := range y {
			last[k] = (y[k] - d[k]) / s[i]
		}
		copy(y, next)
		ys, ds, nfe = append(ys, next), append(ds, d), append(nfe, evals)
	}
	return ys, ds, nfe
}

// exact follows Heun with 24 substeps an interval.
func (m toy) exact(y0 []float64, s []float64) (ys, ds [][]float64) {
	y := append([]float64(nil), y0...)
	for i := range s {
		ys = append(ys, append([]float64(nil), y...))
		if s[i] > 0 {
			ds = append(ds, m.denoise(y, s[i]))
		}
		if i+1 == len(s) {
			break
		}
		const sub = 24
		fine := make([]float64, sub+1)
		for k := range fine {
			if s[i+1] > 0 {
				fine[k] = s[i] * math.Pow(s[i+1]/s[i], float64(k)/sub)
			} else {
				fine[k] = s[i] * (1 - float64(k)/sub)
			}
		}
		fine[sub] = s[i+1]
		w, _, _ := m.walk("heun", y, fine, nil, 0)
		y = w[len(w)-1]
	}
	return ys, ds
}

func distance(a, b []float64) float64 {
	q := 0.0
	for i := range a {
		q += (a[i] - b[i]) * (a[i] - b[i])
	}
	return math.Sqrt(q)
}

// writeRun leaves a run folder like a driver's.
func writeRun(t testing.TB, dir string, m toy, methods, kept int, budgets []int) {
	t.Helper()
	const rows = 8
	rng := rand.New(rand.NewPCG(1, 2))
	start := make([][]float64, rows)
	for i := range start {
		start[i] = make([]float64, m.dim())
		for k := range start[i] {
			start[i][k] = 80 * rng.NormFloat64()
		}
	}
	type method struct {
		name, kind string
		blend      float64
	}
	list := []method{
		{"ddim", "euler", 0},
		{"heun", "heun", 0},
		{"ab2(start=rk)", "two", 1},
		{"euler-ancestral", "noisy", 0},
		{"ddim(eta=1)", "noisy", 0},
	}
	for k := len(list); k < methods; k++ {
		list = append(list, method{fmt.Sprintf("blend(w=%.2g)", 0.1*float64(k)), "two", 0.1 * float64(k)})
	}
	list = list[:methods]

	trace := &runfile.Trace{Shape: m.shape, Refs: map[int]runfile.TraceRef{}}
	for i := range kept {
		trace.Samples = append(trace.Samples, i)
	}
	toX := func(y []float64, s float64) []float64 {
		a, _, _ := level(s)
		x := make([]float64, len(y))
		for i := range y {
			x[i] = a * y[i]
		}
		return x
	}
	push := func(dst *[]float32, x []float64) {
		for _, v := range x {
			*dst = append(*dst, float32(v))
		}
	}
	type exact struct{ ys, ds [][]float64 }
	refs := map[int][]exact{}
	reference := func(n int) []exact {
		if refs[n] == nil {
			s := grid(n)
			var ref runfile.TraceRef
			for i := range rows {
				ys, ds := m.exact(start[i], s)
				refs[n] = append(refs[n], exact{ys, ds})
			}
			for k := range s {
				for i := range kept {
					push(&ref.X, toX(refs[n][i].ys[k], s[k]))
					if k < n {
						push(&ref.D, refs[n][i].ds[k])
					}
				}
			}
			trace.Refs[n] = ref
		}
		return refs[n]
	}
	var steps []runfile.StepRow
	var summary []runfile.SummaryRow
	var timings []runfile.TimingRow
	for _, me := range list {
		for _, budget := range budgets {
			n := budget
			if me.kind == "heun" {
				n = (budget + 1) / 2
			}
			s := grid(n)
			ref := reference(n)
			random := me.kind == "noisy"
			run := runfile.TraceRun{Solver: me.name, Budget: budget, Steps: n}
			ys, ds := make([][][]float64, rows), make([][][]float64, rows)
			var nfe []int
			for i := range rows {
				ys[i], ds[i], nfe = m.walk(me.kind, start[i], s, rand.New(rand.NewPCG(3, uint64(i))), me.blend)
			}
			final := make([]float64, rows)
			for k := range s {
				a, sg, lambda := level(s[k])
				nan := math.NaN()
				row := runfile.StepRow{
					Solver: me.name, Budget: budget, Steps: n, Step: k, T: s[k], Alpha: a, Sigma: sg, Lambda: lambda, NFE: nfe[k],
					Local: nan, Global: nan, GlobalQ5: nan, GlobalQ95: nan, Denoised: nan, Strong: nan,
				}
				var g2, d2, n2 float64
				for i := range rows {
					x := toX(ys[i][k], s[k])
					e := distance(x, toX(ref[i].ys[k], s[k]))
					final[i] = e
					g2 += e * e / rows
					n2 += distance(x, make([]float64, len(x))) * distance(x, make([]float64, len(x))) / rows
					if k > 0 {
						e := distance(ds[i][k-1], ref[i].ds[k-1])
						d2 += e * e / rows
					}
					if i < kept {
						push(&run.X, x)
						if k < n {
							push(&run.D, ds[i][k])
						}
					}
				}
				row.Norm = math.Sqrt(n2)
				if random {
					if k > 0 {
						row.Strong = math.Sqrt(g2)
					}
				} else {
					row.Global, row.GlobalQ5, row.GlobalQ95 = math.Sqrt(g2), 0.6*math.Sqrt(g2), 1.7*math.Sqrt(g2)
					if k > 0 {
						row.Denoised, row.Local = math.Sqrt(d2), math.Sqrt(g2)/float64(n)
					}
				}
				steps = append(steps, row)
			}
			last := steps[len(steps)-1]
			sum := runfile.SummaryRow{Solver: me.name, Stochastic: random, Budget: budget, Steps: n, NFE: nfe[n], Order: math.NaN(), SW2: 0.4 / float64(n), SW2Floor: 0.03, MeanZ: 1.4, CovZ: -0.6}
			sum.BelowFloor = sum.SW2 < sum.SW2Floor
			sum.RMSE, sum.RMSELo, sum.RMSEHi, sum.P95, sum.Strong = last.Global, 0.8*last.Global, 1.2*last.Global, 1.8*last.Global, last.Strong
			if budget > budgets[0] && !random {
				sum.Order = 1.5
			}
			summary = append(summary, sum)
			timings = append(timings, runfile.TimingRow{Solver: me.name, Budget: budget, Steps: n, SolverS: 0.001 * float64(n), DenoiserS: 0.01 * float64(nfe[n])})
			trace.Runs = append(trace.Runs, run)
		}
	}
	for i := range 12 {
		push(&trace.Exact, m.points[i%len(m.points)])
	}
	if m.dim() == 2 {
		g := &runfile.DensityGrid{X0: -3.2, X1: 3.2, Y0: -3.2, Y1: 3.2, NX: 61, NY: 61}
		for j := range g.NY {
			for i := range g.NX {
				x, y := -3.2+6.4*float64(i)/60, -3.2+6.4*float64(j)/60
				p := 0.0
				for _, c := range m.points {
					p += math.Exp(-((x-c[0])*(x-c[0]) + (y-c[1])*(y-c[1])) / (2 * m.width * m.width))
				}
				g.LogP = append(g.LogP, float32(math.Log(p+1e-300)))
			}
		}
		trace.Density = g
	}
	run := runfile.Run{
		Name: "toy", Driver: "compare", Recipe: "name = \"toy\"\ndriver = \"compare\"\nkey = 1\nbudgets = [5, 10, 20]\n# λ & <angle> \"quotes\"\n",
		RecipeHash: "5f0c9a6f4a3e1b7d5f0c9a6f4a3e1b7d5f0c9a6f4a3e1b7d5f0c9a6f4a3e1b7d", Program: "aa", Hash: "bb", Version: "(devel)", Go: "go1.26", Platform: "linux/amd64",
		CPU: "a processor", GOMAXPROCS: 2, Key: "1", Status: runfile.Finished, Start: time.Unix(1e9, 0).UTC(), End: time.Unix(1e9+31, 0).UTC(),
		Inputs: map[string]string{"glyphs": "cc"}, Notes: []string{"heun takes 9 evaluations where 10 were asked for."},
	}
	for _, err := range []error{
		os.MkdirAll(dir, 0o755),
		runfile.WriteRun(filepath.Join(dir, runfile.RunJSON), run),
		runfile.WriteSteps(filepath.Join(dir, runfile.StepsCSV), steps),
		runfile.WriteSummary(filepath.Join(dir, runfile.SummaryCSV), summary),
		runfile.WriteTimings(filepath.Join(dir, runfile.TimingsCSV), timings),
		runfile.WriteTrace(filepath.Join(dir, runfile.TraceNPZ), trace),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
}
