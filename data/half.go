package data

import "snrlab/internal/half"

// toHalf rounds v to the nearest IEEE 754 half, ties to even, and reports
// whether it fits: |v| up to 65504, not NaN.
func toHalf(v float64) (bits uint16, ok bool) {
	bits = half.ToF16(v)
	return bits, bits&0x7c00 != 0x7c00
}

// fromHalf is exact; the exponent 31 gives ±Inf or NaN.
func fromHalf(bits uint16) float64 { return float64(half.FromF16(bits)) }
