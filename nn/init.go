package nn

import (
	"math"

	"snrlab/rng"
)

// An Init is a distribution of first values: Shift + Spread·u with u uniform on
// [−1, 1), or standard normal.
type Init struct {
	Shift, Spread float64
	Normal        bool
}

// Zeros and Ones are constants.
var (
	Zeros = Init{}
	Ones  = Init{Shift: 1}
)

// UniformFanIn is torch's default for weights and biases of linear layers and
// convolutions, uniform on ±1/√fanIn, where fanIn is the number of inputs that a
// unit sums.
func UniformFanIn(fanIn int) Init { return Init{Spread: 1 / math.Sqrt(float64(fanIn))} }

// Normal is a normal distribution around 0, torch's default for embeddings with
// deviation 1.
func Normal(deviation float64) Init { return Init{Spread: deviation, Normal: true} }

// XavierUniform is uniform on ±gain·√(6/(fanIn + fanOut)) [glorot2010].
func XavierUniform(fanIn, fanOut int, gain float64) Init {
	return Init{Spread: gain * math.Sqrt(6/float64(fanIn+fanOut))}
}

// XavierNormal has deviation gain·√(2/(fanIn + fanOut)) [glorot2010].
func XavierNormal(fanIn, fanOut int, gain float64) Init {
	return Normal(gain * math.Sqrt(2/float64(fanIn+fanOut)))
}

// KaimingUniform is uniform on ±gain·√(3/fanIn) [he2015]; UniformFanIn has gain
// 1/√3.
func KaimingUniform(fanIn int, gain float64) Init {
	return Init{Spread: gain * math.Sqrt(3/float64(fanIn))}
}

// KaimingNormal has deviation gain/√fanIn [he2015]; gain √2 keeps the variance
// through ReLU.
func KaimingNormal(fanIn int, gain float64) Init {
	return Normal(gain / math.Sqrt(float64(fanIn)))
}

func fill[T Float](dst []T, init Init, key rng.Key) {
	r := key.Stream()
	for i := range dst {
		v := init.Shift
		switch {
		case init.Spread == 0:
		case init.Normal:
			v += init.Spread * r.NormFloat64()
		default:
			v += init.Spread * (2*r.Float64() - 1)
		}
		dst[i] = T(v)
	}
}
