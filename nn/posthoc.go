package nn

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"

	"gonum.org/v1/gonum/mat"

	"snrlab/nn/safetensors"
)

// A Profile is the weights of a power-function average, see [PowerAverage], of a
// training of so many images: p(τ) = (γ + 1) τ^γ/t^(γ+1) on [0, t].
type Profile struct {
	Std    float64 // σ_rel, of the weights over t
	Images int64   // t
}

// Validate reports a width that no γ ≥ 0 has, and a training of no images.
func (p Profile) Validate() error {
	if p.Images < 1 {
		return fmt.Errorf("nn: a profile of %d images: expected at least 1", p.Images)
	}
	return PowerAverage{p.Std}.Validate()
}

// inner is ∫ p q dτ, over the shorter of the two:
//
//	(γ_p + 1) (γ_q + 1)/(γ_p + γ_q + 1) · (t_p/t_q)^γ_q / t_q,  t_p ≤ t_q.
func inner(p, q Profile) float64 {
	if p.Images > q.Images {
		p, q = q, p
	}
	a, b := PowerExponent(p.Std), PowerExponent(q.Std)
	tp, tq := float64(p.Images), float64(q.Images)
	return (a + 1) * (b + 1) / (a + b + 1) * math.Pow(tp/tq, b) / tq
}

// PosthocWeights are the weights x of stored averages whose sum comes nearest to a
// wanted one [karras2024ema] (appendix C.2):
//
//	minimise ∫ (Σ_i x_i p_i − p)² dτ,  Σ_i x_i = 1.
//
// miss is what is left, √∫ (Σ x_i p_i − p)² dτ / √∫ p² dτ.
//
// Differs from the paper, which minimises without the condition; its program then
// divides by the sum.
func PosthocWeights(stored []Profile, wanted Profile) (x []float64, miss float64, err error) {
	n := len(stored)
	if n == 0 {
		return nil, 0, errors.New("nn: no averages are stored")
	}
	if err := wanted.Validate(); err != nil {
		return nil, 0, err
	}
	last := int64(0)
	for i, p := range stored {
		if err := p.Validate(); err != nil {
			return nil, 0, err
		}
		if slices.Contains(stored[:i], p) {
			return nil, 0, fmt.Errorf("nn: the average of width %g over %d images is stored twice", p.Std, p.Images)
		}
		last = max(last, p.Images)
	}
	if wanted.Images > last {
		return nil, 0, fmt.Errorf("nn: an average over %d images is wanted, and what is stored ends at %d", wanted.Images, last)
	}
	// In units of each profile's norm: S y = b + μ d, with y_i = x_i/d_i.
	d := mat.NewVecDense(n, nil)
	for i, p := range stored {
		d.SetVec(i, 1/math.Sqrt(inner(p, p)))
	}
	s, b := mat.NewSymDense(n, nil), mat.NewVecDense(n, nil)
	for i, p := range stored {
		for j := range i {
			s.SetSym(i, j, d.AtVec(i)*d.AtVec(j)*inner(p, stored[j]))
		}
		s.SetSym(i, i, 1)
		b.SetVec(i, d.AtVec(i)*inner(p, wanted))
	}
	var factor mat.Cholesky
	if !factor.Factorize(s) || factor.Cond() > mat.ConditionTolerance {
		return nil, 0, fmt.Errorf("nn: the %d stored averages cannot be told apart: leave out those that were stored soon after another", n)
	}
	var free, push mat.VecDense
	if err := errors.Join(factor.SolveVecTo(&free, b), factor.SolveVecTo(&push, d)); err != nil {
		return nil, 0, fmt.Errorf("nn: %w", err)
	}
	mu := (1 - mat.Dot(d, &free)) / mat.Dot(d, &push)
	x = make([]float64, n)
	for i := range x {
		x[i] = d.AtVec(i) * (free.AtVec(i) + mu*push.AtVec(i))
	}
	return x, missed(stored, x, wanted), nil
}

// missed is the distance of the sum of profiles from the wanted one, over its
// norm.
func missed(stored []Profile, x []float64, wanted Profile) float64 {
	square := inner(wanted, wanted)
	whole := square
	for i, p := range stored {
		square -= 2 * x[i] * inner(p, wanted)
		for j, q := range stored {
			square += x[i] * x[j] * inner(p, q)
		}
	}
	return math.Sqrt(max(0, square) / whole) // rounding leaves a little below 0
}

// Save writes the averages as [Save] does. The file of a [PowerAverage] is one
// that [Reconstruct] takes.
func (e *EMA[T]) Save(path string, options SaveOptions) error {
	meta := map[string]string{"average": e.average.String(), "updates": strconv.Itoa(e.updates), "images": strconv.FormatInt(e.images, 10)}
	maps.Copy(meta, options.Metadata)
	options.Metadata = meta
	return save(path, e.params, options, func(i int) []float64 { return e.mean[i] })
}

// Reconstruct sets params to the average of the wanted profile, as far as stored
// ones, files of [EMA.Save], tell it. Two widths and a file of each at about
// twenty times of the training are enough for most. It returns miss, see
// [PosthocWeights]. Memory is that of one array.
func Reconstruct[T Float](params Params[T], wanted Profile, paths ...string) (miss float64, err error) {
	files := make([]*safetensors.Reader, len(paths))
	stored := make([]Profile, len(paths))
	expected := make([]safetensors.Param, len(params))
	for i, p := range params {
		expected[i] = safetensors.Param{Name: p.name, Shape: p.shape}
	}
	for i, path := range paths {
		f, err := safetensors.Open(path, safetensors.Options{})
		if err != nil {
			return 0, fmt.Errorf("nn: %w", err)
		}
		defer f.Close()
		files[i] = f.Reader
		if stored[i], err = profileOf(f.Metadata()); err == nil {
			err = f.Match(expected)
		}
		if err != nil {
			return 0, fmt.Errorf("nn: %s: %w", path, err)
		}
	}
	x, miss, err := PosthocWeights(stored, wanted)
	if err != nil {
		return 0, err
	}
	params.Make()
	var rooms [3][]float64
	for _, p := range params {
		one, sum := grow(&rooms[0], len(p.value)), grow(&rooms[1], len(p.value))
		clear(sum)
		for i, f := range files {
			if err := readOrdered(f, p.name, p, one, &rooms[2]); err != nil {
				return 0, fmt.Errorf("%s: %w", paths[i], err)
			}
			for j, v := range one {
				sum[j] += x[i] * v
			}
		}
		round(p.value, sum)
	}
	return miss, nil
}

// profileOf reads what Save says of a power-function average.
func profileOf(meta map[string]string) (Profile, error) {
	a, err := ParseAverage(meta["average"])
	if err != nil {
		return Profile{}, fmt.Errorf("the average is %q: expected a power", meta["average"])
	}
	power, ok := a.(PowerAverage)
	if !ok {
		return Profile{}, fmt.Errorf("the average is %v: expected a power", a)
	}
	images, err := strconv.ParseInt(meta["images"], 10, 64)
	if err != nil {
		return Profile{}, fmt.Errorf("the number of images is %q: expected an integer", meta["images"])
	}
	p := Profile{power.Std, images}
	return p, p.Validate()
}
