package data

import "math"

// toHalf rounds v to the nearest IEEE 754 half, ties to even, and reports
// whether it fits: |v| up to 65504, not NaN.
func toHalf(v float64) (bits uint16, ok bool) {
	sign := uint16(0)
	if math.Signbit(v) {
		sign = 0x8000
	}
	v = math.Abs(v)
	if v == 0 {
		return sign, true
	}
	if !(v < 65536) {
		return 0, false
	}
	// v = 2^e m, with ten bits behind the point of m in [1, 2); below 2^−14 the exponent stays and m falls under 1.
	e := max(math.Ilogb(v), -14)
	m := math.RoundToEven(math.Ldexp(v, 10-e))
	half := uint16(e+14)<<10 + uint16(m) // the leading 1 of m, and a carry, add to the exponent
	return sign | half, half < 0x7c00
}

// fromHalf is exact; the exponent 31 gives ±Inf or NaN.
func fromHalf(bits uint16) float64 {
	e, m := int(bits>>10&31), float64(bits&0x3ff)
	var v float64
	switch {
	case e == 31 && m == 0:
		v = math.Inf(1)
	case e == 31:
		v = math.NaN()
	case e == 0:
		v = math.Ldexp(m, -24)
	default:
		v = math.Ldexp(1024+m, e-25)
	}
	if bits&0x8000 != 0 {
		return -v
	}
	return v
}
