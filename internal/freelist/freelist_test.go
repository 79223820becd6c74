package freelist

import (
	"sync"
	"testing"
)

// No value is in two hands at once, and no more are made than were in use at
// once.
func TestList_Property(t *testing.T) {
	const hands, turns = 8, 1000
	type space struct{ held bool }
	var mu sync.Mutex
	made := 0
	l := List[space]{New: func() *space {
		mu.Lock()
		made++
		mu.Unlock()
		return new(space)
	}}
	var wg sync.WaitGroup
	for range hands {
		wg.Go(func() {
			for range turns {
				v := l.Get()
				if v.held {
					t.Error("a value is in two hands")
				}
				v.held = true
				v.held = false
				l.Put(v)
			}
		})
	}
	wg.Wait()
	if made < 1 || made > hands {
		t.Errorf("%d values were made for %d hands", made, hands)
	}
}

func TestList_Alloc(t *testing.T) {
	l := List[[100]float64]{New: func() *[100]float64 { return new([100]float64) }}
	l.Put(l.Get())
	if n := testing.AllocsPerRun(100, func() { l.Put(l.Get()) }); n != 0 {
		t.Errorf("a warm list allocates %g times a use", n)
	}
}
