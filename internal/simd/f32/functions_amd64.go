//go:build !purego

package f32

// assembly are the kernels of the functions.
var assembly = [...]func(dst, x, y, z *float32, n int, a, b, c float32){
	opAdd:             addAVX2,
	opSub:             subAVX2,
	opMul:             mulAVX2,
	opAddNumber:       addNumberAVX2,
	opScale:           scaleAVX2,
	opScaledAdd:       scaledAddAVX2,
	opMulAdd:          mulAddAVX2,
	opShiftedMul:      shiftedMulAVX2,
	opNormalize:       normalizeAVX2,
	opNormalizeAffine: normalizeAffineAVX2,
	opCombine:         combineAVX2,
	opReLU:            reluAVX2,
	opReLUGrad:        reluGradAVX2,
	opSigmoid:         sigmoidAVX2,
	opSigmoidGrad:     sigmoidGradAVX2,
	opSiLU:            siluAVX2,
	opSiLUGrad:        siluGradAVX2,
	opTanh:            tanhAVX2,
	opTanhGrad:        tanhGradAVX2,
	opGELU:            geluAVX2,
	opGELUGrad:        geluGradAVX2,
	opGELUTanh:        geluTanhAVX2,
	opGELUTanhGrad:    geluTanhGradAVX2,
	opMish:            mishAVX2,
	opMishGrad:        mishGradAVX2,
	opAffineSiLU:      affineSiLUAVX2,
}

// apply writes f of the values of x, y and z into dst, which may be one of them.
func (f function) apply(dst, x, y, z []float32, k numbers) {
	if avx2 {
		assembly[f](first(dst), first(x), first(y), first(z), len(dst), k[0], k[1], k[2])
		return
	}
	f.portable(dst, x, y, z, k)
}
