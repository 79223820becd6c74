//go:build !amd64 || purego

package simd

import "testing"

// eachKernel runs f with the portable kernels, the only ones here.
func eachKernel(t *testing.T, f func(t *testing.T)) { t.Run("portable", f) }
