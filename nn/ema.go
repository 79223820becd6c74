package nn

import (
	"fmt"
	"math"

	"snrlab/internal/spec"
	"snrlab/nn/internal/kernel"
)

// An Average says how much of an average is kept when a value comes to it.
type Average interface {
	fmt.Stringer
	Validate() error
	// Keep is the factor β of
	//
	//	average ← β average + (1 − β) value
	//
	// for the value after a step over images more, after updates earlier steps
	// over seen images.
	Keep(updates int, seen, images int64) float64
}

// Averages lists the averages that [ParseAverage] reads.
func Averages() spec.Registry[Average] {
	return spec.Registry[Average]{
		Kind: "average",
		Entries: []spec.Entry[Average]{
			{Name: "constant", Summary: "the same factor in all steps", Default: ConstantAverage{Beta: 0.9999}},
			{Name: "warmup", Summary: "a factor that rises to its limit", Default: WarmupAverage{Beta: 0.9999}},
			{Name: "half-life", Summary: "half of the weight on the last so many images", Default: HalfLifeAverage{Images: 500_000, Ramp: 0.05}},
			{Name: "power", Summary: "weights that are a power of time, of a width relative to the training's", Default: PowerAverage{Std: 0.1}},
		},
	}
}

// ParseAverage reads an average, "power(std=0.05)" say.
func ParseAverage(s string) (Average, error) { return prefixed(Averages().Parse(s)) }

// ConstantAverage keeps Beta, so that it averages over about the last
// 1/(1 − Beta) steps.
type ConstantAverage struct {
	Beta float64 `json:"beta"`
}

// Keep returns Beta.
func (a ConstantAverage) Keep(int, int64, int64) float64 { return a.Beta }

// Validate reports a Beta that is not in [0, 1).
func (a ConstantAverage) Validate() error {
	return within("constant", "beta", a.Beta, 0, 1, "≥ 0 and < 1")
}

// String prints the average as ParseAverage reads it.
func (a ConstantAverage) String() string { return Averages().Format("constant", a) }

// WarmupAverage keeps min(Beta, (1 + k)/(10 + k)) after k steps, so that it
// averages over at most about the last ninth of them.
type WarmupAverage struct {
	Beta float64 `json:"beta"`
}

// Keep returns the factor after so many updates.
func (a WarmupAverage) Keep(updates int, _, _ int64) float64 {
	return min(a.Beta, float64(1+updates)/float64(10+updates))
}

// Validate reports a Beta that is not in [0, 1).
func (a WarmupAverage) Validate() error {
	return within("warmup", "beta", a.Beta, 0, 1, "≥ 0 and < 1")
}

// String prints the average as ParseAverage reads it.
func (a WarmupAverage) String() string { return Averages().Format("warmup", a) }

// HalfLifeAverage keeps ½^(n/h) over a step of n images, with h the smaller of
// Images and Ramp times the images seen before, as in EDM's training
// [karras2022].
type HalfLifeAverage struct {
	Images int     `json:"images"`
	Ramp   float64 `json:"ramp"` // 0 for none: h is Images from the first step on
}

// Keep returns the factor of a step.
func (a HalfLifeAverage) Keep(_ int, seen, images int64) float64 {
	h := float64(a.Images)
	if a.Ramp > 0 {
		h = min(h, a.Ramp*float64(seen))
	}
	return math.Exp2(-float64(images) / h) // 0 at h = 0
}

// Validate reports numbers out of range.
func (a HalfLifeAverage) Validate() error {
	return firstError(atLeastOne("half-life", "images", a.Images),
		within("half-life", "ramp", a.Ramp, 0, math.Inf(1), "≥ 0 and finite"))
}

// String prints the average as ParseAverage reads it.
func (a HalfLifeAverage) String() string { return Averages().Format("half-life", a) }

// PowerAverage weighs the values θ(τ) of a training of t images by a power of τ
// [karras2024ema] (eq. 1 and 2):
//
//	∫₀ᵗ τ^γ θ(τ) dτ / ∫₀ᵗ τ^γ dτ,  β = (1 − n/t)^(γ+1) over a step of n images to t.
//
// Std is the standard deviation of the weights over t, see [PowerExponent]. The
// average is that of the steps' values held constant from the step before; the
// parameters before the first step have no part in it.
type PowerAverage struct {
	Std float64 `json:"std"` // > 0, at most 1/√12, that of equal weights
}

// Keep returns the factor of a step.
func (a PowerAverage) Keep(_ int, seen, images int64) float64 {
	t := float64(seen + images)
	return math.Pow(float64(seen)/t, PowerExponent(a.Std)+1)
}

// Validate reports a width that no power γ ≥ 0 has.
func (a PowerAverage) Validate() error {
	if !(a.Std > 0 && a.Std <= maxStd) {
		return fmt.Errorf("nn: power has std = %g: expected a number > 0 and at most 1/√12 = %.4f", a.Std, maxStd)
	}
	return nil
}

// String prints the average as ParseAverage reads it.
func (a PowerAverage) String() string { return Averages().Format("power", a) }

var maxStd = 1 / math.Sqrt(12)

// PowerStd is the standard deviation of a time τ in [0, 1] with density
// (γ + 1) τ^γ [karras2024ema] (eq. 126):
//
//	√(γ + 1) / ((γ + 2) √(γ + 3)).
func PowerStd(gamma float64) float64 {
	return math.Sqrt(gamma+1) / ((gamma + 2) * math.Sqrt(gamma+3))
}

// PowerExponent is the γ ≥ 0 of a standard deviation in (0, 1/√12], the inverse
// of [PowerStd]; NaN for any other.
func PowerExponent(std float64) float64 {
	if !(std > 0 && std <= maxStd) {
		return math.NaN()
	}
	// The root of (γ + 2)² (γ + 3) = s (γ + 1). Newton's steps fall to it from
	// √s − 2, which is above, since the cubic is convex there.
	s := 1 / (std * std)
	gamma := math.Sqrt(s) - 2
	for {
		f := (gamma+2)*(gamma+2)*(gamma+3) - s*(gamma+1)
		slope := 2*(gamma+2)*(gamma+3) + (gamma+2)*(gamma+2) - s
		next := gamma - f/slope
		if !(next < gamma) {
			return max(0, gamma)
		}
		gamma = next
	}
}

// An EMA is an average of the values that parameters take in training, most often
// exponential and moving. It serves one goroutine.
//
// Averages are float64 for any T: a long average moves by (1 − β) ≈ 10⁻⁵ of its
// distance from the value, and in float32 stands still where that is below half
// of its last bit, at distances up to 10⁻²·⁵ of its size.
type EMA[T Float] struct {
	params  Params[T]
	average Average
	updates int
	images  int64
	mean    [][]float64 // in the order of values
	trained [][]T       // the values themselves, while Swap has them
	swapped bool
}

// NewEMA returns an average that begins at the values that params have.
func NewEMA[T Float](params Params[T], average Average) (*EMA[T], error) {
	if average == nil {
		return nil, fmt.Errorf("nn: an EMA needs an average: expected constant, warmup, half-life or power")
	}
	if err := average.Validate(); err != nil {
		return nil, err
	}
	if err := params.made(); err != nil {
		return nil, err
	}
	e := &EMA[T]{params: params, average: average, mean: make([][]float64, len(params))}
	for i, p := range params {
		e.mean[i] = make([]float64, len(p.value))
		for j, v := range p.value {
			e.mean[i][j] = float64(v)
		}
	}
	return e, nil
}

// Average is how values are averaged.
func (e *EMA[T]) Average() Average { return e.average }

// Updates is the number of values averaged.
func (e *EMA[T]) Updates() int { return e.updates }

// Images is the number of images of all updates.
func (e *EMA[T]) Images() int64 { return e.images }

// Update takes the values of the parameters into the average, after a step over
// images > 0. An average that counts steps may count each as one image.
func (e *EMA[T]) Update(images int) error {
	if images < 1 {
		return fmt.Errorf("nn: update after %d images: expected at least 1", images)
	}
	if e.swapped {
		return fmt.Errorf("nn: update of an average while the parameters hold it: Swap first")
	}
	rest := 1 - e.average.Keep(e.updates, e.images, int64(images))
	for i, p := range e.params {
		kernel.Toward(e.mean[i], p.value, rest)
	}
	e.updates++
	e.images += int64(images)
	return nil
}

// Swap puts the averages into the parameters and keeps the values; called again,
// it puts the values back. What was changed in between is lost.
func (e *EMA[T]) Swap() {
	if e.trained == nil {
		e.trained = make([][]T, len(e.params))
		for i, p := range e.params {
			e.trained[i] = make([]T, len(p.value))
		}
	}
	for i, p := range e.params {
		if e.swapped {
			copy(p.value, e.trained[i])
		} else {
			copy(e.trained[i], p.value)
			round(p.value, e.mean[i])
		}
	}
	e.swapped = !e.swapped
}

// CopyTo writes the averages into the parameters of another network of the same
// names and shapes.
func (e *EMA[T]) CopyTo(params Params[T]) error {
	if err := e.params.same(params); err != nil {
		return err
	}
	for i, p := range params {
		round(p.value, e.mean[i])
	}
	return nil
}

func round[T Float](dst []T, src []float64) {
	for i, v := range src {
		dst[i] = T(v)
	}
}
