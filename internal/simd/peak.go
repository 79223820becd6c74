package simd

import (
	"sync"
	"time"
)

// PeakGFLOPS measures how many 10⁹ float64 operations a second procs
// processors do at most when all are at work: fused multiply-adds on registers,
// two operations each. Each takes the best of many tries of a quarter of a
// millisecond, so that other load on the machine matters little.
func PeakGFLOPS(procs int) float64 {
	const (
		fmasPerTry = 1 << 17
		tries      = 100
	)
	best := make([]float64, procs)
	var wg sync.WaitGroup
	for i := range best {
		wg.Go(func() {
			for range tries {
				start := time.Now()
				fmas(fmasPerTry)
				best[i] = max(best[i], fmasPerTry*12*4*2/time.Since(start).Seconds()/1e9)
			}
		})
	}
	wg.Wait()
	sum := 0.0
	for _, b := range best {
		sum += b
	}
	return sum
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
