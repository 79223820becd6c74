package experiments

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"snrlab/data"
	"snrlab/internal/runfile"
	"snrlab/models/mppca"
	"snrlab/rng"
)

// Fit makes the mixture of digits: components of low rank for each of the ten
// classes of MNIST, by expectation maximisation on the 60,000 training images.
// The fitted residual is pixel noise that no handwriting has, so it is replaced
// by a small one, Residual; the report says what that costs in likelihood.
type Fit struct {
	Clusters   int     `json:"clusters"`   // components of each class
	Rank       int     `json:"rank"`       // directions of each component
	Residual   float64 `json:"residual"`   // standard deviation of the residual that is stored; 0 keeps the fitted one
	Iterations int     `json:"iterations"` // most EM iterations
	Tolerance  float64 `json:"tolerance"`  // stop when an iteration gains less, in nats per dimension
	Starts     int     `json:"starts"`     // k-means++ starts of each class
	Seed       uint64  `json:"seed"`
	MNIST      string  `json:"-"` // folder of the four MNIST files; "" finds the module's
}

// DefaultFit is the fit that made the embedded digits.
func DefaultFit() Fit {
	o := mppca.Defaults()
	return Fit{Clusters: 20, Rank: 7, Residual: 0.02, Iterations: o.Iterations, Tolerance: o.Tolerance, Starts: o.Starts, Seed: 1}
}

// options are the settings of the fit below this one.
func (f Fit) options() mppca.Options {
	o := mppca.Defaults()
	o.Clusters, o.Rank, o.Iterations, o.Tolerance, o.Starts = f.Clusters, f.Rank, f.Iterations, f.Tolerance, f.Starts
	o.Key = rng.New(f.Seed)
	return o
}

// Validate reports the first setting that cannot be used.
func (f Fit) Validate() error {
	if !(f.Residual >= 0) || math.IsInf(f.Residual, 1) {
		return fmt.Errorf("experiments: residual = %g: expected a standard deviation, or 0 to keep the fitted one", f.Residual)
	}
	return f.options().Validate()
}

// FitReport is what a fit reached: the origin that is stored in the file, and
// the log likelihood of the training images given their classes, in nats per
// dimension, before the first iteration and after each.
type FitReport struct {
	data.Origin
	Components int       `json:"components"`
	LogLik     []float64 `json:"log_likelihood"`
}

// Run fits the mixture and writes it to path, which appears whole or not at
// all. progress, where not nil, hears of every iteration.
func (f Fit) Run(ctx context.Context, path string, progress func(mppca.Progress)) (*FitReport, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	// Learn that the file cannot be written before the work, not after it.
	if err := cmp.Or(os.MkdirAll(filepath.Dir(path), 0o755), canWrite(filepath.Dir(path))); err != nil {
		return nil, fmt.Errorf("experiments: cannot write %s: %w", path, err)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return nil, fmt.Errorf("experiments: %s is a folder: expected the name of a file", path)
	}
	train, err := data.LoadMNIST(f.MNIST, "train")
	if err != nil {
		return nil, err
	}
	test, err := data.LoadMNIST(f.MNIST, "test")
	if err != nil {
		return nil, err
	}
	opt := f.options()
	opt.Progress = progress
	res, err := mppca.Fit(ctx, train.Values(), train.Len(), train.Dim(), train.Labels, opt)
	if err != nil {
		return nil, err
	}

	origin := data.Origin{
		Method: "mixture of probabilistic PCA by class, EM",
		Source: train.Name, SHA256: data.MNISTSum("train"), Rows: train.Len(),
		Seed: f.Seed, Clusters: f.Clusters, Rank: f.Rank,
		Iterations: len(res.LogLik) - 1, Converged: res.Converged,
		Fitted: rootMean(res.Residual),
	}
	if origin.Train.Fitted, origin.HeldOut.Fitted, err = bothNats(ctx, &res.Mixture, train, test); err != nil {
		return nil, err
	}
	origin.Stored = origin.Fitted
	if f.Residual > 0 {
		origin.Stored = f.Residual
		if err := res.Shrink(f.Residual * f.Residual); err != nil {
			return nil, err
		}
	}

	// What the file says of itself is measured on what the file holds.
	m, err := (&data.Mixture{
		Shape: train.Shape(), Weights: res.Weights, Means: res.Means, Rank: res.Rank,
		Loadings: res.Loadings, Residual: res.Residual, Labels: res.Labels,
	}).Rounded()
	if err != nil {
		return nil, err
	}
	res.Means, res.Loadings = m.Means, m.Loadings
	if origin.Train.Stored, origin.HeldOut.Stored, err = bothNats(ctx, &res.Mixture, train, test); err != nil {
		return nil, err
	}
	m.Origin = origin
	if err := runfile.WriteFile(path, func(w io.Writer) error { return data.WriteMixture(w, m) }); err != nil {
		return nil, err
	}
	return &FitReport{Origin: origin, Components: m.Len(), LogLik: res.LogLik}, nil
}

// bothNats returns the mean log likelihood of the two splits.
func bothNats(ctx context.Context, m *mppca.Mixture, train, test *data.Set) (in, out float64, err error) {
	if in, err = m.PerDim(ctx, train.Values(), train.Len()); err != nil {
		return 0, 0, err
	}
	out, err = m.PerDim(ctx, test.Values(), test.Len())
	return in, out, err
}

// rootMean returns the root of the mean of variances.
func rootMean(variances []float64) float64 {
	sum := 0.0
	for _, v := range variances {
		sum += v
	}
	return math.Sqrt(sum / float64(len(variances)))
}

// Text writes the report for people.
func (r *FitReport) Text(w io.Writer) error {
	t := new(table)
	t.line("%s on %d images of %s, classes kept", r.Method, r.Rows, r.Source)
	t.line("%d components (%d a class) of rank %d, seed %d; %d iterations, converged: %t", r.Components, r.Clusters, r.Rank, r.Seed, r.Iterations, r.Converged)
	t.row("residual", "standard deviation", "training", "held out (nats per dimension)")
	t.row("fitted", number(r.Fitted), number(r.Train.Fitted), number(r.HeldOut.Fitted))
	t.row("stored", number(r.Stored), number(r.Train.Stored), number(r.HeldOut.Stored))
	return t.flush(w)
}
