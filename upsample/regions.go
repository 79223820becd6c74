package upsample

import (
	"fmt"
	"math"

	"snrlab/models"
)

// TwoRegions is the law on which guidance can be checked to rounding, and its
// pair: 2×4 images of two 2×2 blocks, 8 numbers. The means of the blocks are a
// mixture of two Gaussians in the plane; the rest, the detail, is Gaussian. Factors
// of the one and the other have the given correlation, of which the laws of coarse
// and of detail do not depend: at 0 the two are independent.
func TwoRegions(correlation float64) (models.Components, Pair, error) {
	if !(math.Abs(correlation) <= 1) {
		return models.Components{}, nil, fmt.Errorf("upsample: correlation %g of coarse and detail: expected −1 to 1", correlation)
	}
	two := Factor{P: 2, Q: 1}
	pair, err := Area{Channels: 1, Height: 2, Width: 4, Vertical: two, Horizontal: two}.Pair()
	if err != nil {
		return models.Components{}, nil, err
	}
	blocks := [][2]float64{{0.6, -0.3}, {-0.3, 0.5}}
	coarse := [][2][2]float64{{{0.4, 0.1}, {0, 0.3}}, {{0.3, -0.15}, {0.1, 0.35}}} // two factors of each component
	// Means of blocks are 0 in all of these.
	mean := []float64{0.2, -0.2, 0.1, -0.1, -0.2, 0.2, 0.1, -0.1}
	detail := [][]float64{
		{0.3, -0.3, 0.1, 0.1, 0.3, -0.3, -0.1, -0.1},
		{0.1, 0.1, 0.2, -0.2, -0.1, -0.1, 0.2, -0.2},
		{0.2, 0.2, -0.1, 0.1, -0.2, -0.2, -0.1, 0.1},
		{0.15, -0.15, 0.25, -0.25, -0.15, 0.15, -0.25, 0.25},
	}
	c := models.Components{Shape: pair.HighShape(), Weights: []float64{0.4, 0.6}, Residual: []float64{0.01, 0.01}}
	add := func(block []float64, share float64, fine []float64) []float64 {
		x := make([]float64, len(fine))
		pair.Repeat(x, block)
		axpy(x, share, fine)
		return x
	}
	for k := range c.Weights {
		c.Means = append(c.Means, add(blocks[k][:], 1, mean)...)
		for f, fine := range detail[:2] {
			c.Loadings = append(c.Loadings, add(coarse[k][f][:], correlation, fine)...)
			c.Loadings = append(c.Loadings, add([]float64{0, 0}, math.Sqrt(1-correlation*correlation), fine)...)
		}
		c.Loadings = append(append(c.Loadings, detail[2]...), detail[3]...)
	}
	return c, pair, nil
}
