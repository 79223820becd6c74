package simd

import "sync"

// A freeList keeps idle values for reuse. Unlike sync.Pool it never drops one,
// so that the number of allocations is the largest number in use at once.
type freeList[T any] struct {
	make func() *T
	mu   sync.Mutex
	idle []*T
}

func (l *freeList[T]) get() *T {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.idle) - 1
	if last < 0 {
		return l.make()
	}
	v := l.idle[last]
	l.idle = l.idle[:last]
	return v
}

func (l *freeList[T]) put(v *T) {
	l.mu.Lock()
	l.idle = append(l.idle, v)
	l.mu.Unlock()
}
