package solvers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"

	"gonum.org/v1/gonum/interp"
)

// Statistics are the coefficients that [DPMSolverV3] takes out of a model's
// answers, at levels ℓ = log(α/σ), by dimension [zheng2023, section 3.2]. With
// x̂ = x/α, f = (1 − l) x̂ − D and f' its derivative along the probability-flow
// ODE, they are
//
//	l = E diag ∂(σ ε)/∂x        the mean of how ε follows the state
//	f' ≈ s f + b                the best affine fit, by dimension
//
// [EstimateStatistics] makes them. A list of one number in place of one for each
// dimension stands for all of them.
type Statistics struct {
	HalfLogSNR []float64   `json:"half_log_snr"` // ℓ, rising
	L          [][]float64 `json:"l"`            // [level][dimension]
	S          [][]float64 `json:"s"`
	B          [][]float64 `json:"b"`
}

// Validate reports levels that do not rise and lists that do not match.
func (s *Statistics) Validate() error {
	n := len(s.HalfLogSNR)
	if n == 0 || len(s.L) != n || len(s.S) != n || len(s.B) != n {
		return fmt.Errorf("statistics of %d levels with %d, %d and %d rows of l, s and b: expected at least one level, and a row each", n, len(s.L), len(s.S), len(s.B))
	}
	for i, l := range s.HalfLogSNR {
		if !finite(l) || i > 0 && !(l > s.HalfLogSNR[i-1]) {
			return fmt.Errorf("statistics: level %d is log(α/σ) = %g: expected finite levels that rise", i, l)
		}
		for _, rows := range [][][]float64{s.L, s.S, s.B} {
			if len(rows[i]) == 0 || len(rows[i]) != len(rows[0]) {
				return fmt.Errorf("statistics: %d numbers at level %d, %d at the first: expected as many, at least one", len(rows[i]), i, len(rows[0]))
			}
			if k, bad := firstNonFinite(rows[i]); bad {
				return fmt.Errorf("statistics: number %d at level %d is %g: expected finite numbers", k, i, rows[i][k])
			}
		}
	}
	return nil
}

// ReadStatistics reads a file that [Statistics.Write] wrote.
func ReadStatistics(path string) (*Statistics, error) {
	s, _, err := readStatistics(path)
	if err != nil {
		return nil, fmt.Errorf("solvers: %w", err)
	}
	return s, nil
}

func readStatistics(path string) (s *Statistics, sum string, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, "", fmt.Errorf("statistics: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	s = new(Statistics)
	if err := d.Decode(s); err != nil {
		return nil, "", fmt.Errorf("statistics %s: %w", path, err)
	}
	if err := s.Validate(); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	hash := sha256.Sum256(b)
	return s, hex.EncodeToString(hash[:6]), nil
}

// StatisticsFile names a file of [Statistics], and after a # the beginning of
// its SHA-256. Reading the name of a solver fills that in, so that what prints
// the name records what was in the file, and a file that has changed is refused.
type StatisticsFile string

// read returns the statistics, and the name with the sum.
func (f StatisticsFile) read() (*Statistics, StatisticsFile, error) {
	path, want, given := strings.Cut(string(f), "#")
	s, sum, err := readStatistics(path)
	if err == nil && given && sum != want {
		err = fmt.Errorf("statistics %s: its SHA-256 begins with %s, expected %s: the file has changed", path, sum, want)
	}
	return s, StatisticsFile(path + "#" + sum), err
}

// Write writes the statistics as JSON.
func (s *Statistics) Write(w io.Writer) error { return json.NewEncoder(w).Encode(s) }

// curves are statistics between their levels: cubic where they rise or fall and
// monotone there, so that few or noisy levels make no waves, and constant beyond
// the first level and the last.
type curves struct {
	levels []float64
	of     [3][]interp.Predictor // l, s and b, by dimension or one for all; nil for none
}

// newCurves interpolates statistics for samples of dim values; nil are l = 1,
// s = b = 0.
func newCurves(s *Statistics, dim int) (*curves, error) {
	if s == nil {
		return &curves{}, nil
	}
	p := &curves{levels: s.HalfLogSNR}
	for k, rows := range [][][]float64{s.L, s.S, s.B} {
		n := len(rows[0])
		if n != dim && n != 1 {
			return nil, fmt.Errorf("statistics of %d dimensions for samples of %d: expected as many, or one for all", n, dim)
		}
		for j := range n {
			column := make([]float64, len(rows))
			for i := range rows {
				column[i] = rows[i][j]
			}
			curve, err := through(p.levels, column)
			if err != nil {
				return nil, fmt.Errorf("statistics: %w", err)
			}
			p.of[k] = append(p.of[k], curve)
		}
	}
	return p, nil
}

func through(x, y []float64) (interp.Predictor, error) {
	switch len(x) {
	case 1:
		return interp.Constant(y[0]), nil
	case 2:
		var l interp.PiecewiseLinear
		return &l, l.Fit(x, y)
	}
	var c interp.FritschButland
	return &c, c.Fit(x, y)
}

// width is the number of dimensions told apart; 1 stands for any number.
func (p *curves) width() int { return max(1, len(p.of[0])) }

// at writes l, s and b at a level.
func (p *curves) at(level float64, l, s, b []float64) {
	for k, dst := range [][]float64{l, s, b} {
		of := p.of[k]
		for j := range dst {
			switch len(of) {
			case 0:
				dst[j] = 0
				if k == 0 {
					dst[j] = 1
				}
			case 1:
				dst[j] = of[0].Predict(level)
			default:
				dst[j] = of[j].Predict(level)
			}
		}
	}
}

// next returns the first level of the statistics above u, by more than rounding.
func (p *curves) next(u float64) float64 {
	const rounding = 1e-12
	i, _ := slices.BinarySearch(p.levels, u+rounding*(1+math.Abs(u)))
	if i == len(p.levels) {
		return math.Inf(1)
	}
	return p.levels[i]
}
