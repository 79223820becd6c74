// Package direction is the small network that tells AMED where in a step to ask,
// [zhou2024, section 3.3]: package solvers runs it, package tune trains it.
//
// References:
//
//	[zhou2024] Z. Zhou et al., Fast ODE-based Sampling for Diffusion Models in Around 5 Steps, arXiv 2312.00094.
package direction

import (
	"fmt"
	"math"
)

const (
	channels = 8 // of an embedded level
	features = 4 // of the state
	joined   = features + 2*channels
	heads    = 3
)

// Net makes r, c and κ of a step from a to b. The input z, a row's answer at a or
// nothing, goes through a hidden layer to four features; both levels through one
// embedding of sines and cosines and one layer to eight each; three heads see
// the twenty:
//
//	h = W₂ silu(W₁ z + b₁) + b₂,   u_s = silu(W_e emb(s) + b_e)
//	r = σ(·),   c = 1 + c_range (2σ(·) − 1),   κ = 1 + κ_range (2σ(·) − 1)
type Net struct {
	Inputs     int       `json:"inputs"`      // values of z; 0 for the levels alone, so that all rows share r, c and κ
	Hidden     int       `json:"hidden"`      // units of the hidden layer
	CRange     float64   `json:"c_range"`     // 0 for c = 1
	KappaRange float64   `json:"kappa_range"` // 0 for κ = 1
	Theta      []float64 `json:"theta"`       // W₁, b₁, W₂, b₂, W_e, b_e, the heads' weights and biases
}

// Params returns the number of parameters.
func (n *Net) Params() int {
	p := channels*channels + channels + heads*joined + heads
	if n.Inputs > 0 {
		p += n.Hidden*n.Inputs + n.Hidden + features*n.Hidden + features
	}
	return p
}

// Validate reports numbers that are no net.
func (n *Net) Validate() error {
	switch {
	case n.Inputs < 0 || n.Inputs > 0 && n.Hidden < 1 || n.Hidden > 4096:
		return fmt.Errorf("net has %d inputs and %d hidden units: expected inputs ≥ 0 and 1 to 4096 units", n.Inputs, n.Hidden)
	case !(n.CRange >= 0 && n.CRange < 1) || !(n.KappaRange >= 0 && n.KappaRange < 1):
		return fmt.Errorf("net has c_range = %g, kappa_range = %g: expected 0 ≤ range < 1", n.CRange, n.KappaRange)
	case len(n.Theta) != n.Params():
		return fmt.Errorf("net has %d parameters: expected %d", len(n.Theta), n.Params())
	}
	for i, v := range n.Theta {
		if v-v != 0 {
			return fmt.Errorf("net has theta[%d] = %g: expected a finite number", i, v)
		}
	}
	return nil
}

// layers are views of the parameters.
type layers struct{ w1, b1, w2, b2, we, be, wh, bh []float64 }

func (n *Net) layers(t []float64) (l layers) {
	take := func(k int) []float64 { v := t[:k]; t = t[k:]; return v }
	if n.Inputs > 0 {
		l.w1, l.b1 = take(n.Hidden*n.Inputs), take(n.Hidden)
		l.w2, l.b2 = take(features*n.Hidden), take(features)
	}
	l.we, l.be = take(channels*channels), take(channels)
	l.wh, l.bh = take(heads*joined), take(heads)
	return l
}

// Row is the state of one evaluation of the net.
type Row struct {
	R, C, Kappa float64

	sig    [heads]float64
	all    [joined]float64
	emb    [2][channels]float64
	pre    [2][channels]float64
	z      []float64
	hidden []float64 // before silu
	out    []float64 // after it
}

// embed writes sines, then cosines, of four frequencies from 1 to 1/10000.
func embed(dst *[channels]float64, s float64) {
	const half = channels / 2
	for k := range half {
		f := math.Pow(1e-4, float64(k)/(half-1))
		dst[k], dst[half+k] = math.Sin(s*f), math.Cos(s*f)
	}
}

func sigmoid(x float64) float64 { return 1 / (1 + math.Exp(-x)) }

// Forward fills the row for a state's z and the levels of its step.
func (n *Net) Forward(r *Row, z []float64, a, b float64) {
	l := n.layers(n.Theta)
	if n.Inputs > 0 {
		if len(r.hidden) != n.Hidden {
			r.hidden, r.out = make([]float64, n.Hidden), make([]float64, n.Hidden)
		}
		r.z = z
		for j := range n.Hidden {
			s := l.b1[j]
			for k, v := range z {
				s += l.w1[j*n.Inputs+k] * v
			}
			r.hidden[j], r.out[j] = s, s*sigmoid(s)
		}
		for f := range features {
			s := l.b2[f]
			for j, v := range r.out {
				s += l.w2[f*n.Hidden+j] * v
			}
			r.all[f] = s
		}
	}
	for e, s := range [2]float64{a, b} {
		embed(&r.emb[e], s)
		for j := range channels {
			v := l.be[j]
			for k, x := range r.emb[e] {
				v += l.we[j*channels+k] * x
			}
			r.pre[e][j] = v
			r.all[features+e*channels+j] = v * sigmoid(v)
		}
	}
	for h := range heads {
		s := l.bh[h]
		for k, v := range r.all {
			s += l.wh[h*joined+k] * v
		}
		r.sig[h] = sigmoid(s)
	}
	r.R, r.C, r.Kappa = r.sig[0], 1+n.CRange*(2*r.sig[1]-1), 1+n.KappaRange*(2*r.sig[2]-1)
}

// Backward adds to grad what the derivatives in r, c and κ amount to.
func (n *Net) Backward(r *Row, dr, dc, dkappa float64, grad []float64) {
	l, g := n.layers(n.Theta), n.layers(grad)
	bar := [heads]float64{dr, 2 * n.CRange * dc, 2 * n.KappaRange * dkappa}
	var all [joined]float64
	for h, v := range bar {
		v *= r.sig[h] * (1 - r.sig[h])
		g.bh[h] += v
		for k := range all {
			g.wh[h*joined+k] += v * r.all[k]
			all[k] += v * l.wh[h*joined+k]
		}
	}
	silu := func(x float64) float64 { s := sigmoid(x); return s * (1 + x*(1-s)) }
	for e := range 2 {
		for j := range channels {
			v := all[features+e*channels+j] * silu(r.pre[e][j])
			g.be[j] += v
			for k, x := range r.emb[e] {
				g.we[j*channels+k] += v * x
			}
		}
	}
	if n.Inputs == 0 {
		return
	}
	for f := range features {
		g.b2[f] += all[f]
		for j, v := range r.out {
			g.w2[f*n.Hidden+j] += all[f] * v
		}
	}
	for j := range n.Hidden {
		v := 0.0
		for f := range features {
			v += all[f] * l.w2[f*n.Hidden+j]
		}
		v *= silu(r.hidden[j])
		g.b1[j] += v
		for k, x := range r.z {
			g.w1[j*n.Inputs+k] += v * x
		}
	}
}
