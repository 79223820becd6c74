package solvers

import (
	"context"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"testing"

	"gonum.org/v1/gonum/mat"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/snr"
)

// golden holds runs of other programs; see each file's own provenance.
type golden struct {
	Problems []goldenProblem
	Cases    []struct {
		ID, Solver, Problem string
		Alpha, Sigma        []float64
		XInit               [][]float64 `json:"x_init"`
		Noises              [][][]float64
		NFE                 int
		Sensitivity         float64
		XScale              float64 `json:"x_scale"`
		States              [][][]float64
		XFinal              [][]float64 `json:"x_final"`
	}
}

// goldenProblem is the closed-form denoiser of the recorded runs. It is
// written here a second time, apart from package models, from the formula
// D = Σ r_k (m_k + C_k (C_k + s²I)⁻¹ (x̂ − m_k)), s = σ/α, x̂ = x/α.
type goldenProblem struct {
	ID, Kind string
	Dim      int
	Weights  []float64
	Means    [][]float64
	Stds     []float64
	Vars     [][]float64
	Cov      [][]float64
}

func (p goldenProblem) Shape() []int { return []int{p.Dim} }

func (p goldenProblem) Denoise(_ context.Context, dst []float64, q models.Query) error {
	if err := q.Check(dst, p.Dim); err != nil {
		return err
	}
	for i := range q.Rows {
		l := q.Level(i)
		x, out := make([]float64, p.Dim), dst[i*p.Dim:(i+1)*p.Dim]
		for j := range x {
			x[j] = q.X[i*p.Dim+j] / l.Alpha
		}
		p.denoise(out, x, l.Sigma/l.Alpha)
	}
	return nil
}

func (p goldenProblem) denoise(out, x []float64, s float64) {
	n := p.Dim
	logr, d := make([]float64, len(p.Weights)), make([][]float64, len(p.Weights))
	for k, m := range p.Means {
		c := mat.NewSymDense(n, nil)
		for i := range n {
			switch p.Kind {
			case "mixture_isotropic":
				c.SetSym(i, i, p.Stds[k]*p.Stds[k])
			case "mixture_diagonal":
				c.SetSym(i, i, p.Vars[k][i])
			default:
				for j := range n {
					c.SetSym(i, j, p.Cov[i][j])
				}
			}
		}
		t := mat.NewSymDense(n, nil)
		t.CopySym(c)
		for i := range n {
			t.SetSym(i, i, t.At(i, i)+s*s)
		}
		var chol mat.Cholesky
		if !chol.Factorize(t) {
			panic("covariance is not positive definite")
		}
		r := mat.NewVecDense(n, nil)
		for i := range n {
			r.SetVec(i, x[i]-m[i])
		}
		var y, cy mat.VecDense
		if err := chol.SolveVecTo(&y, r); err != nil {
			panic(err)
		}
		logr[k] = math.Log(p.Weights[k]) - mat.Dot(r, &y)/2 - chol.LogDet()/2
		cy.MulVec(c, &y)
		d[k] = make([]float64, n)
		for i := range n {
			d[k][i] = m[i] + cy.AtVec(i)
		}
	}
	top, sum := math.Inf(-1), 0.0
	for _, l := range logr {
		top = max(top, l)
	}
	for _, l := range logr {
		sum += math.Exp(l - top)
	}
	clear(out)
	for k, l := range logr {
		w := math.Exp(l-top) / sum
		for i := range out {
			out[i] += w * d[k][i]
		}
	}
}

// line is the variance-exploding schedule t = σ with nothing in it that could
// be wrong.
type line struct{}

func (line) At(t float64) schedules.Level       { return schedules.Level{T: t, Alpha: 1, Sigma: t} }
func (line) TimeOf(l snr.LogSNR) float64        { return l.Sigma() }
func (line) Domain() (clean, noisy float64)     { return 0, math.Inf(1) }
func (line) Path() schedules.Path               { return line{} }
func (line) Coeffs(l snr.LogSNR) (a, s float64) { return 1, l.Sigma() }
func (line) String() string                     { return "line" }

func flat(x [][]float64) []float64 {
	var out []float64
	for _, r := range x {
		out = append(out, r...)
	}
	return out
}

func readGolden(t testing.TB) golden {
	files, err := filepath.Glob("testdata/golden*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("golden files: %d, %v", len(files), err)
	}
	var all golden
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		var g golden
		if err := json.Unmarshal(b, &g); err != nil {
			t.Fatal(err)
		}
		all.Problems = append(all.Problems, g.Problems...)
		all.Cases = append(all.Cases, g.Cases...)
	}
	return all
}

func TestSolvers_Golden(t *testing.T) {
	g := readGolden(t)
	problems := map[string]goldenProblem{}
	for _, p := range g.Problems {
		problems[p.ID] = p
	}
	for _, c := range g.Cases {
		t.Run(c.ID, func(t *testing.T) {
			s, err := Parse(c.Solver)
			if err != nil {
				t.Fatal(err)
			}
			grid := make(schedules.Grid, len(c.Sigma))
			for i := range grid {
				grid[i] = schedules.Level{T: math.NaN(), Alpha: c.Alpha[i], Sigma: c.Sigma[i]}
			}
			var draws [][]float64
			for _, z := range c.Noises {
				draws = append(draws, flat(z))
			}
			replay := NewReplay(draws)
			p := Problem{Denoiser: problems[c.Problem], Grid: grid, Schedule: line{}, Noise: replay}
			st, err := s.Start(p, flat(c.XInit))
			if err != nil {
				t.Fatal(err)
			}
			// The programs agree with one another to about 1e-15; the golden
			// page allows 1e-9 of the scale times the sensitivity.
			tol := 1e-9 * max(1, c.XScale) * max(1, c.Sensitivity)
			evals := 0
			for step, err := range Steps(context.Background(), st) {
				if err != nil {
					t.Fatal(err)
				}
				evals = step.Evals
				want := c.XFinal
				if len(c.States) > 0 {
					want = c.States[step.Index+1]
				} else if step.Index+1 < grid.Steps() {
					continue
				}
				// States on the way are larger than the end.
				scale := 0.0
				for _, w := range flat(want) {
					scale = max(scale, math.Abs(w))
				}
				for i, w := range flat(want) {
					if d := math.Abs(step.X[i] - w); !(d <= tol*max(1, scale)) {
						t.Fatalf("step %d: value %d is %.17g, the program has %.17g: differs by %.2g", step.Index, i, step.X[i], w, d)
					}
				}
			}
			if evals != c.NFE || s.NFE(grid) != c.NFE {
				t.Errorf("counted %d evaluations, promised %d, the program made %d", evals, s.NFE(grid), c.NFE)
			}
			if replay.Left() != 0 {
				t.Errorf("%d recorded draws were not asked for", replay.Left())
			}
		})
	}
}
