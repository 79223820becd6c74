package f32

import (
	"math"

	"snrlab/internal/par"
)

// GroupNorm is the shape of the normalisation of channels-last images [Rows,
// Pixels, Channels] over groups of channels that follow each other:
//
//	y[r, p, c] = γ_c (x[r, p, c] − mean) rstd + β_c,  rstd = 1/√(var + Epsilon)
//
// with mean and variance, the mean of squares about it, of row r and the group
// of c over all pixels. A row depends on itself alone, bit for bit.
type GroupNorm struct {
	Rows, Pixels, Channels, Groups int
	Epsilon                        float64
}

// Statistics writes the mean and rstd of x into arrays [Rows, Groups]. The sums
// are in float64, in which squares of float32 values are exact: with n values in
// a group, the variance is within n·2⁻⁵²·(var + mean²) of the exact one.
func (g GroupNorm) Statistics(mean, rstd, x []float32) {
	g.check(x)
	checkLen("mean", mean, g.Rows, g.Groups)
	checkLen("rstd", rstd, g.Rows, g.Groups)
	w := passes.Get()
	defer w.release()
	w.norm, w.mean, w.rstd, w.src = g, mean, rstd, x
	par.Rows(g.Rows, max(1, moveGrain/max(1, g.Pixels*g.Channels)), w.doStatistics)
}

// Apply writes y for the statistics of x; γ and β have a value for every channel.
// With silu it writes SiLU of y, in the same pass. y may be x.
func (g GroupNorm) Apply(y, x, mean, rstd, gamma, beta []float32, silu bool) {
	g.check(x)
	w := passes.Get()
	defer w.release()
	w.activate = silu
	w.start(g, y, x, mean, rstd, gamma, beta)
	par.Rows(g.Rows, max(1, expGrain/max(1, g.Pixels*g.Channels)), w.doApply)
}

// SiLUGrad writes the gradient of y for the gradient dz of z = SiLU(y), which
// Apply writes with silu, into dy. y is computed anew from x. dy may be dz.
func (g GroupNorm) SiLUGrad(dy, dz, x, mean, rstd, gamma, beta []float32) {
	g.check(x)
	checkLen("dz", dz, g.Rows, g.Pixels, g.Channels)
	w := passes.Get()
	defer w.release()
	w.second = dz
	w.start(g, dy, x, mean, rstd, gamma, beta)
	par.Rows(g.Rows, max(1, expGrain/max(1, g.Pixels*g.Channels)), w.doNormSiLUGrad)
}

// Grad writes the gradient of x for the gradient dy of y into dx, and adds those
// of γ and β to dgamma and dbeta:
//
//	dx = rstd (γ dy − mean of γ dy − x̂ · mean of γ dy x̂),  x̂ = (x − mean) rstd
//
// with means over the group and all pixels. The sums are in float64, over pixels
// and then rows in order. dx may be dy.
func (g GroupNorm) Grad(dx, dgamma, dbeta, dy, x, mean, rstd, gamma []float32) {
	g.check(x)
	checkLen("dy", dy, g.Rows, g.Pixels, g.Channels)
	checkLen("dgamma", dgamma, g.Channels)
	checkLen("dbeta", dbeta, g.Channels)
	w := passes.Get()
	defer w.release()
	w.second = dy
	w.start(g, dx, x, mean, rstd, gamma, nil)
	if need := 2 * g.Rows * g.Channels; cap(w.sums) < need {
		w.sums = make([]float64, need)
	}
	par.Rows(g.Rows, max(1, moveGrain/max(1, g.Pixels*g.Channels)), w.doNormGrad)
	for c := range g.Channels {
		plain, normal := 0.0, 0.0
		for r := range g.Rows {
			plain += w.sums[2*r*g.Channels+c]
			normal += w.sums[(2*r+1)*g.Channels+c]
		}
		dbeta[c] += float32(plain)
		dgamma[c] += float32(normal)
	}
}

func (g GroupNorm) check(x []float32) {
	if g.Rows < 0 || g.Pixels < 1 || g.Groups < 1 || g.Channels < g.Groups || g.Channels%g.Groups != 0 {
		panic("f32: GroupNorm needs pixels, and channels that groups divide")
	}
	checkLen("x", x, g.Rows, g.Pixels, g.Channels)
}

func (w *pass) statistics(lo, hi int) {
	g := &w.norm
	size, count := g.Channels/g.Groups, float64(g.Channels/g.Groups*g.Pixels)
	var sums, squares [momentWidth]float64
	for r := lo; r < hi; r++ {
		x := w.src[r*g.Pixels*g.Channels:]
		sum, square := 0.0, 0.0
		for c := range g.Channels {
			at := c % momentWidth
			if at == 0 {
				moments(&sums, &squares, min(momentWidth, g.Channels-c), x[c:], x[c:], g.Channels, g.Pixels)
			}
			sum, square = sum+sums[at], square+squares[at]
			if (c+1)%size == 0 {
				mean := sum / count
				i := r*g.Groups + c/size
				w.mean[i] = float32(mean)
				w.rstd[i] = float32(1 / math.Sqrt(max(0, square/count-mean*mean)+g.Epsilon))
				sum, square = 0, 0
			}
		}
	}
}

// start takes over what passes of a normalisation share. beta may be nil.
func (w *pass) start(g GroupNorm, dst, x, mean, rstd, gamma, beta []float32) {
	checkLen("the result", dst, g.Rows, g.Pixels, g.Channels)
	checkLen("mean", mean, g.Rows, g.Groups)
	checkLen("rstd", rstd, g.Rows, g.Groups)
	checkLen("gamma", gamma, g.Channels)
	if beta != nil {
		checkLen("beta", beta, g.Channels)
	}
	w.norm, w.mean, w.rstd, w.src, w.dst, w.gamma, w.shift = g, mean, rstd, x, dst, gamma, beta
	w.room = grow(w.room, 3*g.Rows*g.Channels)
}

// coefficients returns three vectors of a value for every channel, for row r.
func (w *pass) coefficients(r int) (a, b, c []float32) {
	n := w.norm.Channels
	room := w.room[3*r*n : 3*(r+1)*n]
	return room[:n], room[n : 2*n], room[2*n:]
}

// affine returns a and b with y = a x + b in row r.
func (w *pass) affine(r int) (a, b []float32) {
	g := &w.norm
	a, b, _ = w.coefficients(r)
	for c := range a {
		i := r*g.Groups + c/(g.Channels/g.Groups)
		scale := float64(w.gamma[c]) * float64(w.rstd[i])
		a[c], b[c] = float32(scale), float32(float64(w.shift[c])-float64(w.mean[i])*scale)
	}
	return a, b
}

func (w *pass) apply(lo, hi int) {
	g := &w.norm
	f := affine
	if w.activate {
		f = affineSiLU
	}
	for r := lo; r < hi; r++ {
		a, b := w.affine(r)
		for p := range g.Pixels {
			at := (r*g.Pixels + p) * g.Channels
			f(w.dst[at:at+g.Channels], w.src[at:at+g.Channels], a, b)
		}
	}
}

func (w *pass) normSiLUGrad(lo, hi int) {
	g := &w.norm
	for r := lo; r < hi; r++ {
		a, b := w.affine(r)
		for p := range g.Pixels {
			at := (r*g.Pixels + p) * g.Channels
			affineSiLUGrad(w.dst[at:at+g.Channels], w.second[at:at+g.Channels], w.src[at:at+g.Channels], a, b)
		}
	}
}

func (w *pass) normGrad(lo, hi int) {
	g := &w.norm
	size, count := g.Channels/g.Groups, float64(g.Channels/g.Groups*g.Pixels)
	var sums, products [momentWidth]float64
	for r := lo; r < hi; r++ {
		at := r * g.Pixels * g.Channels
		// Σ dy and Σ dy x̂ of every channel.
		plain, normal := w.sums[2*r*g.Channels:][:g.Channels], w.sums[(2*r+1)*g.Channels:][:g.Channels]
		for c := range g.Channels {
			if c%momentWidth == 0 {
				moments(&sums, &products, min(momentWidth, g.Channels-c), w.second[at+c:], w.src[at+c:], g.Channels, g.Pixels)
			}
			i := r*g.Groups + c/size
			plain[c] = sums[c%momentWidth]
			normal[c] = (products[c%momentWidth] - float64(w.mean[i])*plain[c]) * float64(w.rstd[i])
		}
		// dx = a dy + b x + c
		a, b, constant := w.coefficients(r)
		for from := 0; from < g.Channels; from += size {
			mean, rstd := float64(w.mean[r*g.Groups+from/size]), float64(w.rstd[r*g.Groups+from/size])
			meanPlain, meanNormal := 0.0, 0.0
			for c := from; c < from+size; c++ {
				meanPlain += float64(w.gamma[c]) * plain[c] / count
				meanNormal += float64(w.gamma[c]) * normal[c] / count
			}
			for c := from; c < from+size; c++ {
				a[c] = float32(rstd * float64(w.gamma[c]))
				b[c] = float32(-rstd * rstd * meanNormal)
				constant[c] = float32(rstd * (mean*rstd*meanNormal - meanPlain))
			}
		}
		for p := range g.Pixels {
			at := (r*g.Pixels + p) * g.Channels
			affine2(w.dst[at:at+g.Channels], w.second[at:at+g.Channels], w.src[at:at+g.Channels], a, b, constant)
		}
	}
}
