package snr

import "math"

// kinked is a density or a weight whose slope jumps at known levels. Integrals are cut
// there: no rule of quadrature sees a kink beyond its outermost node.
type kinked interface{ kinks() []float64 }

func kinksOf(parts ...any) []float64 {
	var all []float64
	for _, p := range parts {
		if k, ok := p.(kinked); ok {
			all = append(all, k.kinks()...)
		}
	}
	return all
}

func (d Laplace) kinks() []float64    { return []float64{d.Mu} }
func (d *Bins) kinks() []float64      { return d.Edges }
func (d *LogLinear) kinks() []float64 { return d.Knots }
func (d Flat) kinks() []float64       { return []float64{d.Min, d.Max} }
func (d Truncated) kinks() []float64  { return append(kinksOf(d.Density), d.Min, d.Max) }
func (d Mixture) kinks() []float64    { return kinksOf(d.A, d.B) }
func (d *Tilted) kinks() []float64    { return kinksOf(d.Density, d.Weight) }
func (d *Empirical) kinks() []float64 {
	if d.Validate() != nil {
		return nil
	}
	return d.of.Edges
}

func (w MinSNR) kinks() []float64       { return []float64{math.Log(w.Gamma)} }
func (w TruncatedSNR) kinks() []float64 { return []float64{0} }
func (w Over) kinks() []float64         { return kinksOf(w.Weight, w.Density) }
func (w ELBO) kinks() []float64         { return kinksOf(w.Density) }
func (w Levelled) kinks() []float64     { return append(kinksOf(w.Weight, w.Density), w.Below) }
func (w Product) kinks() []float64      { return kinksOf(w.A, w.B) }
func (w Scaled) kinks() []float64       { return kinksOf(w.Weight) }
func (w Moved) kinks() []float64        { return kinksOf(w.Weight, w.From, w.To) }
