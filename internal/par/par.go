// Package par splits row-shaped work over the processors.
//
// Workers are goroutines that live for ever and wait in a free list. A call
// borrows those that are free and does its share itself, so it never waits for
// a worker that has not begun: calls may nest and may come from many goroutines
// at once, and cannot deadlock.
package par

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
)

// rangesPerWorker is how many ranges a call makes for each processor: enough
// that a processor which is busy elsewhere does not hold up the rest.
const rangesPerWorker = 4

// Rows calls f on disjoint ranges [lo, hi) that cover [0, n), each of at least
// grain indices, on up to GOMAXPROCS goroutines, and returns when all are done.
// With one processor, or with n below two grains, it is f(0, n) on the calling
// goroutine. What f computes for an index must not depend on the range it came
// in; then results do not depend on the number of workers.
//
// Rows allocates nothing once its workers exist. A panic in f reaches the
// caller, with the value f panicked with, after the other ranges have stopped.
// Rows panics if grain < 1.
func Rows(n, grain int, f func(lo, hi int)) {
	if grain < 1 {
		panic("par: grain must be at least 1")
	}
	if n <= 0 {
		return
	}
	procs := runtime.GOMAXPROCS(0)
	ranges := min(n/grain, rangesPerWorker*procs)
	if procs == 1 || ranges < 2 {
		f(0, n)
		return
	}
	j := newJob()
	j.f, j.n, j.ranges = f, n, ranges
	j.hire(min(ranges, procs)-1, procs-1)
	// Deferred, so that a panic of f here leaves no worker behind.
	defer j.finish()
	j.run()
}

// A job is one call of Rows.
type job struct {
	f         func(lo, hi int)
	n, ranges int
	next      atomic.Int64 // the range to take next
	helpers   []*worker
	begun     sync.WaitGroup // helpers that may still be running f
	failure   atomic.Pointer[failure]
}

// failure is what a helper panicked with.
type failure struct{ value any }

// run takes ranges until none is left.
func (j *job) run() {
	normal := false
	defer func() {
		if !normal {
			j.next.Store(int64(j.ranges)) // the others stop early
		}
	}()
	for {
		i := int(j.next.Add(1)) - 1
		if i >= j.ranges {
			break
		}
		j.f(bound(i, j.n, j.ranges), bound(i+1, j.n, j.ranges))
	}
	normal = true
}

// bound returns the start of range i when n is cut into equal ranges: the
// first n mod ranges of them are one longer.
func bound(i, n, ranges int) int { return n/ranges*i + min(i, n%ranges) }

// hire gives the job to at most want free workers, of limit in all.
func (j *job) hire(want, limit int) {
	pool.Lock()
	for want > 0 {
		var w *worker
		if last := len(pool.free) - 1; last >= 0 {
			w = pool.free[last]
			pool.free = pool.free[:last]
		} else if pool.workers < limit {
			w = &worker{wake: make(chan struct{}, 1)}
			pool.workers++
			go w.serve()
		} else {
			break
		}
		j.helpers = append(j.helpers, w)
		want--
	}
	pool.Unlock()
	j.begun.Add(len(j.helpers))
	for _, w := range j.helpers {
		w.job.Store(j)
		select {
		case w.wake <- struct{}{}:
		default: // it has yet to notice an earlier call, and will find this job
		}
	}
}

// finish takes the job back from helpers that have not begun, waits for the
// others, and passes on their panic.
func (j *job) finish() {
	for _, w := range j.helpers {
		if w.job.CompareAndSwap(j, nil) {
			w.release(j)
		}
	}
	j.begun.Wait()
	failed := j.failure.Load()
	freeJob(j)
	if failed != nil {
		panic(failed.value)
	}
}

// A worker serves one job at a time.
type worker struct {
	wake chan struct{}
	job  atomic.Pointer[job]
}

func (w *worker) serve() {
	for range w.wake {
		if j := w.job.Swap(nil); j != nil {
			w.work(j)
		}
	}
}

// work runs the job and keeps a panic of f for the caller of Rows.
func (w *worker) work(j *job) {
	normal := false
	defer func() {
		if normal {
			w.release(j)
			return
		}
		v := recover()
		if v == nil { // runtime.Goexit, which ends this goroutine
			v = errGoexit
			pool.Lock()
			pool.workers--
			pool.Unlock()
			j.failure.CompareAndSwap(nil, &failure{v})
			j.begun.Done()
			return
		}
		j.failure.CompareAndSwap(nil, &failure{v})
		w.release(j)
	}()
	j.run()
	normal = true
}

var errGoexit = errors.New("par: f called runtime.Goexit")

// release returns the worker to the free list and signs it off the job.
func (w *worker) release(j *job) {
	pool.Lock()
	pool.free = append(pool.free, w)
	pool.Unlock()
	j.begun.Done()
}

// pool holds what is reused between calls, all of it idle.
var pool struct {
	sync.Mutex
	workers int // alive, free or not
	free    []*worker
	jobs    []*job
}

func newJob() *job {
	pool.Lock()
	defer pool.Unlock()
	if last := len(pool.jobs) - 1; last >= 0 {
		j := pool.jobs[last]
		pool.jobs = pool.jobs[:last]
		return j
	}
	return new(job)
}

func freeJob(j *job) {
	j.f = nil
	j.helpers = j.helpers[:0]
	j.next.Store(0)
	j.failure.Store(nil)
	pool.Lock()
	pool.jobs = append(pool.jobs, j)
	pool.Unlock()
}
