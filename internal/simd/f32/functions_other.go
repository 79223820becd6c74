//go:build !amd64 || purego

package f32

// apply writes f of the values of x, y and z into dst, which may be one of them.
func (f function) apply(dst, x, y, z []float32, k numbers) { f.portable(dst, x, y, z, k) }
