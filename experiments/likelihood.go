package experiments

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"strconv"

	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Likelihood holds the log-density that the probability-flow ODE gives for exact
// samples of a model against the exact one. The flow goes from x = x₀ + σε to
// α = 0, where the law is normal whatever the data are.
type Likelihood struct {
	Model      string  `json:"model"` // see [Models]
	Class      int     `json:"class"` // −1, or the class to condition a labelled model on
	Rows       int     `json:"rows"`
	Key        int64   `json:"key"`        // seed of the samples and the probes
	Sigma      float64 `json:"sigma"`      // noise of the samples, σ/α, above 0
	Divergence string  `json:"divergence"` // "exact", "hutchinson"
	Probe      string  `json:"probe"`      // of hutchinson: "rademacher", "normal"
	Probes     int     `json:"probes"`     // a sample, of hutchinson
	RTol       float64 `json:"rtol"`       // error control, without steps
	Steps      int     `json:"steps"`      // 0, or steps of Runge–Kutta's order 4 instead, uniform in asinh(α/σ)
}

// DefaultLikelihood returns a Likelihood that needs no other field.
func DefaultLikelihood() Likelihood {
	return Likelihood{
		Model: "gm2d", Class: -1, Rows: 16, Key: 1, Sigma: 0.002,
		Divergence: "exact", Probe: "rademacher", Probes: 1, RTol: 1e-10,
	}
}

// Validate reports fields that cannot be used.
func (l Likelihood) Validate() error {
	err := cmp.Or(
		required("model", l.Model),
		inside("class", l.Class, -1, 1<<20),
		inside("rows", l.Rows, 1, 1<<16),
		inside("key", l.Key, 0, math.MaxInt64),
		oneOf("divergence", l.Divergence, "exact", "hutchinson"),
		oneOf("probe", l.Probe, "rademacher", "normal"),
		inside("probes", l.Probes, 1, 1<<12),
		inside("steps", l.Steps, 0, 1<<16),
		tolerance("rtol", l.RTol),
	)
	switch {
	case err != nil:
		return err
	case !(l.Sigma > 0) || math.IsInf(l.Sigma, 1):
		return fmt.Errorf("field sigma is %g: expected a finite noise σ/α above 0", l.Sigma)
	case l.Divergence == "exact" && (l.Probes != 1 || l.Probe != "rademacher"):
		return fmt.Errorf("field probes: probes have no effect with divergence = exact; set divergence = hutchinson or leave them out")
	}
	return nil
}

// LikelihoodReport is what Likelihood found.
type LikelihoodReport struct {
	Likelihood
	Dim       int           `json:"dim"`
	Lines     []DensityLine `json:"lines"`
	Bits      float64       `json:"bits_per_dim"`       // mean over samples
	ExactBits float64       `json:"exact_bits_per_dim"` // and exactly
	Worst     float64       `json:"worst_error"`        // in nats
	RMSE      float64       `json:"rmse"`               // in nats
	Evals     float64       `json:"evals"`              // of the denoiser, mean over samples
	Products  float64       `json:"products"`           // with the posterior covariance, mean over samples
}

// DensityLine is one sample.
type DensityLine struct {
	LogP      float64 `json:"log_p"` // in nats
	Exact     float64 `json:"exact"`
	StdErr    Number  `json:"std_err"` // over the probes; null where there is none
	Bits      float64 `json:"bits_per_dim"`
	ExactBits float64 `json:"exact_bits_per_dim"`
	Evals     int     `json:"evals"`
}

// Run draws the samples and integrates.
func (l Likelihood) Run(ctx context.Context, o Options) (*LikelihoodReport, error) {
	r, err := l.measure(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("experiments: likelihood: %w", err)
	}
	return r, nil
}

func (l Likelihood) measure(ctx context.Context, o Options) (*LikelihoodReport, error) {
	if err := l.Validate(); err != nil {
		return nil, err
	}
	model, err := openModel(l.Model, o)
	if err != nil {
		return nil, err
	}
	labels, err := model.labelsOf(l.Class, l.Rows)
	if err != nil {
		return nil, err
	}
	keys := solvers.RowKeys(rng.New(uint64(l.Key)), 0, l.Rows)
	grid := l.grid()
	dim := models.Dim(model)
	x, exact := make([]float64, l.Rows*dim), make([]float64, l.Rows)
	if err := model.Sample(x, grid[0], labels, keys); err != nil {
		return nil, err
	}
	if err := model.LogDensity(exact, models.Query{X: x, Rows: l.Rows, At: grid[:1], Labels: labels}); err != nil {
		return nil, err
	}
	method, probes := l.method()
	if !probes {
		keys = nil
	}
	got, err := method.LogDensity(ctx, solvers.Problem{Denoiser: model, Grid: grid, Labels: labels}, x, keys)
	if err != nil {
		return nil, err
	}
	r := &LikelihoodReport{Likelihood: l, Dim: dim}
	n := float64(l.Rows)
	for i, p := range got.LogP {
		line := DensityLine{
			LogP: p, Exact: exact[i], StdErr: Number(math.NaN()), Evals: got.Cost[i].Evals,
			Bits: solvers.BitsPerDim(p, dim), ExactBits: solvers.BitsPerDim(exact[i], dim),
		}
		if got.StdErr != nil {
			line.StdErr = Number(got.StdErr[i])
		}
		r.Lines = append(r.Lines, line)
		r.Bits += line.Bits / n
		r.ExactBits += line.ExactBits / n
		r.Worst = max(r.Worst, math.Abs(p-exact[i]))
		r.RMSE += (p - exact[i]) * (p - exact[i]) / n
		r.Evals += float64(line.Evals) / n
	}
	r.RMSE = math.Sqrt(r.RMSE)
	r.Products = r.Evals * float64(got.Products)
	return r, nil
}

// grid goes from the samples' level to α = 0, evenly in asinh(α/σ) where it has
// levels between.
func (l Likelihood) grid() schedules.Grid {
	g := schedules.Grid{{T: math.NaN(), Alpha: 1, Sigma: l.Sigma}}
	for i := 1; i < l.Steps; i++ {
		w := math.Asinh(1/l.Sigma) * float64(l.Steps-i) / float64(l.Steps)
		g = append(g, schedules.Level{T: math.NaN(), Alpha: math.Tanh(w), Sigma: 1 / math.Cosh(w)})
	}
	return append(g, schedules.Level{T: math.NaN(), Alpha: 0, Sigma: 1})
}

func (l Likelihood) method() (m solvers.Likelihood, probes bool) {
	if l.Steps > 0 {
		m.OnGrid = true
	} else {
		m.Reference.RTol = l.RTol
	}
	if l.Divergence == "exact" {
		return m, false
	}
	m.Divergence, m.Probes = solvers.Hutchinson, l.Probes
	if l.Probe == "normal" {
		m.Probe = solvers.GaussProbe
	}
	return m, true
}

// Text writes a line a sample, and what they come to.
func (r *LikelihoodReport) Text(w io.Writer) error {
	var b table
	how := fmt.Sprintf("error control at %g", r.RTol)
	if r.Steps > 0 {
		how = fmt.Sprintf("%d steps of order 4", r.Steps)
	}
	trace := "exact divergence"
	if r.Divergence == "hutchinson" {
		trace = fmt.Sprintf("divergence from %d %s probe(s) a sample", r.Probes, r.Probe)
	}
	b.line("log p(x) on %s by the probability-flow ODE: %d exact samples of x₀ + σε at σ = %g (key %d), %d dimensions.", r.Model, r.Rows, r.Sigma, r.Key, r.Dim)
	b.line("%s, %s, to α = 0.", how, trace)
	b.line("")
	b.row("sample", "log p", "exact", "error", "± s.e.", "bits/dim", "exact", "evals")
	for i, l := range r.Lines {
		b.row(strconv.Itoa(i), fmt.Sprintf("%.8g", l.LogP), fmt.Sprintf("%.8g", l.Exact), fmt.Sprintf("%.1e", l.LogP-l.Exact), l.StdErr.String(),
			fmt.Sprintf("%.6f", l.Bits), fmt.Sprintf("%.6f", l.ExactBits), strconv.Itoa(l.Evals))
	}
	b.line("\nmean %.6f bits/dim, exactly %.6f; error %.1e nats in the mean square, %.1e at worst;", r.Bits, r.ExactBits, r.RMSE, r.Worst)
	products := ""
	if r.Products > 0 {
		products = fmt.Sprintf(" and %.0f products with the posterior covariance", r.Products)
	}
	b.line("%.0f evaluations%s a sample.", r.Evals, products)
	return b.flush(w)
}
