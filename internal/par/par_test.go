package par

import (
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func withProcs(t *testing.T, procs int) {
	old := runtime.GOMAXPROCS(procs)
	t.Cleanup(func() { runtime.GOMAXPROCS(old) })
}

func TestRows_Property_covers(t *testing.T) {
	for _, procs := range []int{1, 2, 3, 8} {
		withProcs(t, procs)
		for n := range 70 {
			for _, grain := range []int{1, 2, 7, 100} {
				seen := make([]atomic.Int32, n)
				Rows(n, grain, func(lo, hi int) {
					if hi-lo < min(grain, n) {
						t.Errorf("n=%d grain=%d: range [%d, %d) is below the grain", n, grain, lo, hi)
					}
					for i := lo; i < hi; i++ {
						seen[i].Add(1)
					}
				})
				for i := range seen {
					if c := seen[i].Load(); c != 1 {
						t.Fatalf("n=%d grain=%d procs=%d: index %d was visited %d times", n, grain, procs, i, c)
					}
				}
			}
		}
	}
}

func TestRows_Property_parallel(t *testing.T) {
	const procs = 3
	withProcs(t, procs)
	// Each range waits until as many run at once as there are processors.
	var running sync.WaitGroup
	running.Add(procs)
	var first [procs]sync.Once
	done := make(chan struct{})
	go func() {
		defer close(done)
		Rows(procs, 1, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				first[i].Do(func() {
					running.Done()
					running.Wait()
				})
			}
		})
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%d ranges never ran at once", procs)
	}
}

func TestRows_Limit_inline(t *testing.T) {
	withProcs(t, 4)
	for _, c := range []struct{ n, grain, calls int }{{0, 1, 0}, {-1, 1, 0}, {1, 1, 1}, {9, 5, 1}} {
		calls := 0 // not atomic: the race detector would see another goroutine
		Rows(c.n, c.grain, func(lo, hi int) {
			if lo != 0 || hi != c.n {
				t.Errorf("n=%d grain=%d: called for [%d, %d)", c.n, c.grain, lo, hi)
			}
			calls++
		})
		if calls != c.calls {
			t.Errorf("n=%d grain=%d: %d calls, want %d", c.n, c.grain, calls, c.calls)
		}
	}
	withProcs(t, 1)
	calls := 0
	Rows(1000, 1, func(lo, hi int) { calls++ })
	if calls != 1 {
		t.Errorf("one processor: %d calls, want 1", calls)
	}
}

func TestRows_Invariant_nested(t *testing.T) {
	withProcs(t, 4)
	var callers sync.WaitGroup
	var sum atomic.Int64
	for range 8 { // callers at once, each three deep
		callers.Go(func() {
			Rows(10, 1, func(lo, hi int) {
				for range hi - lo {
					Rows(10, 1, func(lo, hi int) {
						for range hi - lo {
							Rows(10, 1, func(lo, hi int) { sum.Add(int64(hi - lo)) })
						}
					})
				}
			})
		})
	}
	callers.Wait()
	if got := sum.Load(); got != 8*1000 {
		t.Errorf("%d visits, want %d", got, 8*1000)
	}
	const most = 8 - 1 // the largest GOMAXPROCS of these tests, less the caller
	if pool.workers > most || len(pool.free) != pool.workers {
		t.Errorf("%d workers, %d of them free, want at most %d and all free", pool.workers, len(pool.free), most)
	}
}

func TestRows_Property_panic(t *testing.T) {
	withProcs(t, 4)
	failure := errors.New("failure of f")
	for at := range 40 {
		got := func() (v any) {
			defer func() { v = recover() }()
			Rows(40, 1, func(lo, hi int) {
				if lo <= at && at < hi {
					panic(failure)
				}
				time.Sleep(10 * time.Microsecond)
			})
			return nil
		}()
		if got != failure {
			t.Fatalf("panic at %d: caller recovered %v, want %v", at, got, failure)
		}
	}
	// The workers are as good as before.
	var sum atomic.Int64
	Rows(40, 1, func(lo, hi int) { sum.Add(int64(hi - lo)) })
	if sum.Load() != 40 {
		t.Errorf("after panics: %d visits, want 40", sum.Load())
	}
}

func TestRows_Property_goexit(t *testing.T) {
	withProcs(t, 4)
	caller := make(chan any, 1)
	go func() {
		defer func() { caller <- recover() }()
		var started sync.WaitGroup
		started.Add(2)
		Rows(2, 1, func(lo, hi int) {
			started.Done()
			started.Wait() // so that a worker takes one of the ranges
			runtime.Goexit()
		})
	}()
	select {
	case v := <-caller:
		if err, ok := v.(error); ok && !strings.Contains(err.Error(), "Goexit") {
			t.Errorf("caller recovered %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("the caller waits for a goroutine that has ended")
	}
}

func TestRows_Refuses(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("grain 0: no panic")
		}
	}()
	Rows(1, 0, func(lo, hi int) {})
}

func TestRows_Alloc(t *testing.T) {
	withProcs(t, 3) // testing.AllocsPerRun would allow one processor only
	f := func(lo, hi int) {}
	const batches, runs = 10, 100
	least := uint64(runs) // of the batches: the runtime itself allocates now and then
	for range batches {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		for range runs {
			Rows(100, 1, f)
		}
		runtime.ReadMemStats(&after)
		least = min(least, after.Mallocs-before.Mallocs)
	}
	if least > 0 {
		t.Errorf("%d allocations in %d calls", least, runs)
	}
}

func BenchmarkRows(b *testing.B) {
	var sum atomic.Int64
	f := func(lo, hi int) { sum.Add(1) }
	b.ReportAllocs()
	for b.Loop() {
		Rows(100, 1, f)
	}
}
