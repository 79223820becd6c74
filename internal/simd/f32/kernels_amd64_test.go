//go:build !purego

package f32

import "testing"

// eachKernel runs f with the kernels of this machine and with the portable ones.
func eachKernel(t *testing.T, f func(t *testing.T)) {
	if avx2 {
		t.Run("avx2", f)
	} else {
		t.Log("no AVX2 and FMA on this machine: only the portable kernels are tested")
	}
	found := avx2
	avx2 = false
	defer func() { avx2 = found }()
	t.Run("portable", f)
}
