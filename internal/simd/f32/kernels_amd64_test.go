//go:build !purego

package f32

import (
	"os"
	"regexp"
	"testing"
)

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

// The generator takes registers that AVX2 does not have where it runs out of them.
func TestKernels_Property_registers(t *testing.T) {
	text, err := os.ReadFile("kernels_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`.*\b([XY](1[6-9]|2\d|3[01])|Z\d+|K[0-7])\b.*`).Find(text); found != nil {
		t.Errorf("an instruction of AVX-512: %s", found)
	}
}
