package simd

import (
	"sync"
	"time"
)

// PeakGFLOPS measures how many 10⁹ float64 operations a second procs
// processors do together at most: fused multiply-adds on registers, two
// operations each. It takes some 30 ms and returns the best of several tries.
func PeakGFLOPS(procs int) float64 {
	const (
		fmasPerCall = 1 << 17 // about 250 µs
		calls       = 20
		tries       = 6
	)
	best := 0.0
	for range tries {
		start := time.Now()
		var wg sync.WaitGroup
		for range procs {
			wg.Go(func() {
				for range calls {
					fmas(fmasPerCall)
				}
			})
		}
		wg.Wait()
		ops := float64(procs) * calls * fmasPerCall * 12 * 4 * 2
		best = max(best, ops/time.Since(start).Seconds()/1e9)
	}
	return best
}

// CopyGBs measures how many 10⁹ bytes a second copy moves between arrays that
// do not fit in the caches, the bytes read and those written both counted. It
// returns the best of several tries.
func CopyGBs() float64 {
	const tries = 6
	src, dst := make([]float64, 1<<23), make([]float64, 1<<23)
	for i := range src {
		src[i] = 1 // a page that was never written is no memory yet
	}
	best := 0.0
	for range tries {
		start := time.Now()
		copy(dst, src)
		best = max(best, 16*float64(len(src))/time.Since(start).Seconds()/1e9)
	}
	return best
}
