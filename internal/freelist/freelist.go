// Package freelist keeps idle work spaces, so that what is warm allocates
// nothing.
package freelist

import "sync"

// List holds values that are not in use. Unlike a sync.Pool it never drops one:
// it comes to hold as many as there were in use at once. It is safe for
// concurrent use; New is set before.
type List[T any] struct {
	New func() *T // makes a value where none is idle

	mu   sync.Mutex
	idle []*T
}

// Get returns an idle value, or a new one.
func (l *List[T]) Get() *T {
	l.mu.Lock()
	last := len(l.idle) - 1
	if last < 0 {
		l.mu.Unlock()
		return l.New()
	}
	v := l.idle[last]
	l.idle = l.idle[:last]
	l.mu.Unlock()
	return v
}

// Put makes v idle. The caller keeps no use of it.
func (l *List[T]) Put(v *T) {
	l.mu.Lock()
	l.idle = append(l.idle, v)
	l.mu.Unlock()
}
