package mppca

import (
	"context"
	"math"
	"math/rand/v2"

	"snrlab/internal/par"
	"snrlab/internal/simd"
	"snrlab/rng"
)

// Lloyd iterations of one start. The EM that follows moves the centres anyway.
const lloyd = 20

// kmeans returns the cluster of each row of the class: the best of several
// k-means++ starts [arthur2007], each followed by Lloyd's iteration. No cluster is
// empty. Needs at least as many rows as clusters.
func (c *class) kmeans(ctx context.Context, clusters, starts int, key rng.Key) ([]int, error) {
	var best []int
	least := math.Inf(1)
	for s := range starts {
		centers := c.seed(clusters, key.Split("kmeans", uint64(s)).Stream())
		assign := make([]int, len(c.rows))
		dist := make([]float64, len(c.rows))
		sum := math.Inf(1)
		for range lloyd {
			c.nearest(ctx, assign, dist, centers, clusters)
			refill(assign, dist, clusters)
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			c.centers(centers, assign, clusters)
			was := sum
			sum = 0
			for _, d := range dist {
				sum += d
			}
			if sum >= was {
				break
			}
		}
		if best == nil || sum < least {
			best, least = assign, sum
		}
	}
	return best, nil
}

// seed draws the first centres: each is a row drawn with probability
// proportional to its squared distance from the centres before it.
func (c *class) seed(clusters int, r *rand.Rand) []float64 {
	centers := make([]float64, 0, clusters*c.dim)
	dist := make([]float64, len(c.rows))
	for i := range dist {
		dist[i] = math.Inf(1)
	}
	pick := r.IntN(len(c.rows))
	for k := range clusters {
		if k > 0 {
			pick = draw(dist, r)
		}
		at := c.rows[pick] * c.dim
		center := c.x[at : at+c.dim]
		centers = append(centers, center...)
		par.Rows(len(c.rows), block, func(lo, hi int) {
			for i := lo; i < hi; i++ {
				at := c.rows[i] * c.dim
				d := 0.0
				for j, v := range c.x[at : at+c.dim] {
					d += (v - center[j]) * (v - center[j])
				}
				dist[i] = min(dist[i], d)
			}
		})
	}
	return centers
}

// draw returns an index with probability proportional to w, or any index where
// all weights are zero.
func draw(w []float64, r *rand.Rand) int {
	sum := 0.0
	for _, v := range w {
		sum += v
	}
	u := r.Float64() * sum
	if sum == 0 {
		return r.IntN(len(w))
	}
	last := 0
	for i, v := range w {
		if v == 0 {
			continue
		}
		last = i
		if u < v {
			break
		}
		u -= v
	}
	return last
}

// nearest writes the nearest centre of each row and the squared distance to it.
func (c *class) nearest(ctx context.Context, assign []int, dist, centers []float64, clusters int) {
	norm := make([]float64, clusters)
	shifted := make([]float64, len(centers))
	origin := centers[:c.dim]
	for k := range clusters {
		s := shifted[k*c.dim : (k+1)*c.dim]
		sub(s, centers[k*c.dim:(k+1)*c.dim], origin)
		norm[k] = dot(s, s)
	}
	par.Rows(len(c.rows), block, func(lo, hi int) {
		y := make([]float64, block*c.dim)
		z := make([]float64, block*clusters)
		for lo < hi && ctx.Err() == nil {
			end := min(lo+block, hi)
			for i := lo; i < end; i++ {
				at := c.rows[i] * c.dim
				sub(y[(i-lo)*c.dim:(i-lo+1)*c.dim], c.x[at:at+c.dim], origin)
			}
			simd.Gemm(false, true, end-lo, clusters, c.dim, 1, y, c.dim, shifted, c.dim, 0, z, clusters)
			for i := lo; i < end; i++ {
				yi := y[(i-lo)*c.dim : (i-lo+1)*c.dim]
				best, least := 0, math.Inf(1)
				for k, xy := range z[(i-lo)*clusters : (i-lo+1)*clusters] {
					if d := norm[k] - 2*xy; d < least {
						best, least = k, d
					}
				}
				assign[i], dist[i] = best, max(least+dot(yi, yi), 0)
			}
			lo = end
		}
	})
}

// refill gives every empty cluster the row that lies farthest from its own
// centre and is not alone there.
func refill(assign []int, dist []float64, clusters int) {
	count := make([]int, clusters)
	for _, k := range assign {
		count[k]++
	}
	for k := range count {
		if count[k] > 0 {
			continue
		}
		far := -1
		for i, d := range dist {
			if count[assign[i]] > 1 && (far < 0 || d > dist[far]) {
				far = i
			}
		}
		count[assign[far]]--
		assign[far], dist[far] = k, 0
		count[k] = 1
	}
}

// centers writes the mean of each cluster.
func (c *class) centers(centers []float64, assign []int, clusters int) {
	par.Rows(clusters, 1, func(lo, hi int) {
		for k := lo; k < hi; k++ {
			mean := centers[k*c.dim : (k+1)*c.dim]
			clear(mean)
			n := 0
			for i, a := range assign {
				if a != k {
					continue
				}
				n++
				at := c.rows[i] * c.dim
				for j, v := range c.x[at : at+c.dim] {
					mean[j] += v
				}
			}
			for j := range mean {
				mean[j] /= float64(n)
			}
		}
	})
}
