//go:build !amd64 || purego

package f32

import "testing"

// eachKernel runs f with the portable kernels, the only ones here.
func eachKernel(t *testing.T, f func(t *testing.T)) { t.Run("portable", f) }
