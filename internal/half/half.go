// Package half converts between numbers and their 16-bit forms: IEEE 754's
// binary16 (F16) and bfloat16 (BF16), the upper half of a binary32. Widening
// is exact; narrowing rounds to the nearest, ties to even, once.
package half

import "math"

// FromF16 is the value of a binary16, exactly.
func FromF16(h uint16) float32 { return widen(h, 10, 15) }

// FromBF16 is the value of a bfloat16, exactly.
func FromBF16(h uint16) float32 { return math.Float32frombits(uint32(h) << 16) }

// ToF16 rounds v to a binary16: values from 65520 on become infinite, a NaN
// stays a NaN.
func ToF16(v float64) uint16 { return narrow(v, 10, 15) }

// ToBF16 rounds v to a bfloat16.
func ToBF16(v float64) uint16 { return narrow(v, 7, 127) }

// widen reads a sign, an exponent with the given bias and a fraction of so many
// bits.
func widen(h uint16, fraction, bias int) float32 {
	one := 1 << fraction
	m, e, top := int(h)&(one-1), int(h&0x7fff)>>fraction, 0x7fff>>fraction
	var v float32
	switch e {
	case top: // ±Inf, or a NaN that keeps its fraction
		v = math.Float32frombits(0x7f800000 | uint32(m)<<(23-fraction))
	case 0:
		v = float32(math.Ldexp(float64(m), 1-bias-fraction))
	default:
		v = float32(math.Ldexp(float64(one+m), e-bias-fraction))
	}
	return math.Float32frombits(math.Float32bits(v) | uint32(h&0x8000)<<16)
}

// narrow writes what widen reads.
func narrow(v float64, fraction, bias int) uint16 {
	bits := math.Float64bits(v)
	sign := uint16(bits >> 48 & 0x8000)
	infinite := uint16(0x7fff >> fraction << fraction)
	v = math.Abs(v)
	switch {
	case math.IsNaN(v): // quiet, with the upper bits of the fraction
		return sign | infinite | 1<<(fraction-1) | uint16(bits>>(52-fraction))&(1<<fraction-1)
	case v == 0:
		return sign
	case v >= math.Ldexp(1, bias+1):
		return sign | infinite
	}
	// v = 2^e m with m in [1, 2); below the smallest normal number the exponent
	// stays and m falls under 1.
	e := max(math.Ilogb(v), 1-bias)
	m := math.RoundToEven(math.Ldexp(v, fraction-e))
	// The leading 1 of m, and a carry of the rounding, add to the exponent.
	return sign | (uint16(e+bias-1)<<fraction + uint16(m))
}
