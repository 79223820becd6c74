package nn

import "math/bits"

// A pool keeps arrays for reuse, by their capacity.
type pool[T Float] struct {
	free map[int][][]T
	held int // numbers in arrays that it has made
}

// get returns an array of n numbers, whose values are arbitrary.
func (p *pool[T]) get(n int) []T {
	size := capacity(n)
	if list := p.free[size]; len(list) > 0 {
		x := list[len(list)-1]
		p.free[size] = list[:len(list)-1]
		return x[:n]
	}
	p.held += size
	return make([]T, n, size)
}

// put takes back an array that get returned.
func (p *pool[T]) put(x []T) {
	if cap(x) == 0 {
		return
	}
	if p.free == nil {
		p.free = map[int][][]T{}
	}
	p.free[cap(x)] = append(p.free[cap(x)], x)
}

// capacity rounds n up to one of eight sizes between powers of two, so that
// arrays serve batches of about the same size.
func capacity(n int) int {
	if n <= 64 {
		return 64
	}
	step := 1 << (bits.Len(uint(n-1)) - 4)
	return (n + step - 1) / step * step
}
