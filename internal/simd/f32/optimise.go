package f32

import (
	"math"

	"snrlab/internal/freelist"
	"snrlab/internal/par"
)

// Adam are the numbers of a step of the optimiser of that name, see
// [Adam.Step].
type Adam struct {
	Scale        float64 // of the gradient
	Decay        float64 // of the value, added to the gradient
	Shrink       float64 // of the value itself
	Beta1, Beta2 float64
	Root         float64 // that √square is divided by
	Epsilon      float64
	Rate         float64
}

// Step changes arrays of one length, elementwise:
//
//	g = Scale grad + Decay value
//	mean = Beta1 mean + (1 − Beta1) g
//	square = Beta2 square + (1 − Beta2) g²
//	value = Shrink value − Rate mean / (√square/Root + Epsilon)
func (a Adam) Step(value, grad, mean, square []float32) {
	checkLen("grad", grad, len(value))
	checkLen("mean", mean, len(value))
	checkLen("square", square, len(value))
	w := optimisers.Get()
	defer w.release()
	w.value, w.grad, w.mean, w.square = value, grad, mean, square
	fill(w.numbers[:], a.Scale, a.Decay, a.Shrink, a.Beta1, 1-a.Beta1, a.Beta2, 1-a.Beta2, a.Root, a.Epsilon, a.Rate)
	par.Rows(len(value), stepGrain, w.adam)
}

// Momentum are the numbers of a step of gradient descent with momentum, see
// [Momentum.Step].
type Momentum struct {
	Scale    float64 // of the gradient
	Decay    float64 // of the value, added to the gradient
	Momentum float64
	Damp     float64 // of the gradient, in the mean
	OfGrad   float64 // in the step
	OfMean   float64
	Rate     float64
}

// Step changes arrays of one length, elementwise:
//
//	g = Scale grad + Decay value
//	mean = Momentum mean + Damp g
//	value = value − Rate (OfGrad g + OfMean mean)
//
// mean may be grad.
func (m Momentum) Step(value, grad, mean []float32) {
	checkLen("grad", grad, len(value))
	checkLen("mean", mean, len(value))
	w := optimisers.Get()
	defer w.release()
	w.value, w.grad, w.mean = value, grad, mean
	fill(w.numbers[:], m.Scale, m.Decay, m.Momentum, m.Damp, m.OfGrad, m.OfMean, m.Rate)
	par.Rows(len(value), stepGrain, w.momentum)
}

// Toward moves averages toward x, elementwise: mean = mean + rest (x − mean).
func Toward(mean []float64, x []float32, rest float64) {
	if len(mean) < len(x) {
		panic("f32: mean has fewer values than x")
	}
	w := optimisers.Get()
	defer w.release()
	w.average, w.value, w.rest = mean, x, rest
	par.Rows(len(x), stepGrain, w.toward)
}

// stepGrain is the number of values worth waking a worker for, about 20 µs.
const stepGrain = 1 << 13

// An optimiser is one call of a step, reused so that a call allocates nothing.
type optimiser struct {
	value, grad, mean, square []float32
	numbers                   [10][8]float32 // each in all lanes of a vector
	average                   []float64
	rest                      float64
	adam, momentum, toward    func(lo, hi int)
}

var optimisers = freelist.List[optimiser]{New: func() *optimiser {
	w := new(optimiser)
	w.adam = func(lo, hi int) {
		adamStep(w.value[lo:hi], w.grad[lo:hi], w.mean[lo:hi], w.square[lo:hi], &w.numbers)
	}
	w.momentum = func(lo, hi int) {
		momentumStep(w.value[lo:hi], w.grad[lo:hi], w.mean[lo:hi], (*[7][8]float32)(w.numbers[:]))
	}
	w.toward = func(lo, hi int) { toward(w.average[lo:hi], w.value[lo:hi], w.rest) }
	return w
}}

func (w *optimiser) release() {
	w.value, w.grad, w.mean, w.square, w.average = nil, nil, nil, nil, nil
	optimisers.Put(w)
}

// fill writes each number into the lanes of a vector.
func fill(dst [][8]float32, numbers ...float64) {
	for i, v := range numbers {
		for j := range dst[i] {
			dst[i][j] = float32(v)
		}
	}
}

func adamGo(value, grad, mean, square []float32, c *[10][8]float32) {
	scale, decay, shrink, beta1, rest1 := c[0][0], c[1][0], c[2][0], c[3][0], c[4][0]
	beta2, rest2, root, epsilon, rate := c[5][0], c[6][0], c[7][0], c[8][0], c[9][0]
	grad, mean, square = grad[:len(value)], mean[:len(value)], square[:len(value)]
	for i, p := range value {
		g := scale*grad[i] + decay*p
		m := beta1*mean[i] + rest1*g
		v := beta2*square[i] + rest2*g*g
		mean[i], square[i] = m, v
		value[i] = shrink*p - rate*m/(float32(math.Sqrt(float64(v)))/root+epsilon)
	}
}

func momentumGo(value, grad, mean []float32, c *[7][8]float32) {
	scale, decay, momentum, damp, ofGrad, ofMean, rate := c[0][0], c[1][0], c[2][0], c[3][0], c[4][0], c[5][0], c[6][0]
	grad, mean = grad[:len(value)], mean[:len(value)]
	for i, p := range value {
		g := scale*grad[i] + decay*p
		m := momentum*mean[i] + damp*g
		mean[i] = m
		value[i] = p - rate*(ofGrad*g+ofMean*m)
	}
}

func towardGo(mean []float64, x []float32, rest float64) {
	mean = mean[:len(x)]
	for i, v := range x {
		mean[i] += rest * (float64(v) - mean[i])
	}
}
