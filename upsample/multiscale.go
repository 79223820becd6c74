package upsample

import (
	"fmt"
	"slices"

	"snrlab/models"
)

// Multiscale is the loss of a residual r = ε − ε̂ (or of v) of square images that is
// averaged at several sizes s, each over the pixels of that size
// [hoogeboom2023, section 3.4]:
//
//	L = Σ_s 1/s · mean |P_s r|²
//
// with P_s the average over the blocks that leave s×s pixels. Each term alone has
// the right optimum for the pooled content; together they keep the pixels of a large
// image, which white noise fills evenly, from drowning its coarse content. Common
// code sums over channels where this takes their mean, which changes no optimum.
//
// Of a residual that is stationary, it is a weight on frequencies: see
// [Multiscale.Weights].
type Multiscale struct {
	Sizes []int `json:"sizes"` // pixels along a side; each divides that of the image
}

// Validate reports sizes that do not divide the side of an image.
func (m Multiscale) Validate(side int) error {
	if len(m.Sizes) == 0 {
		return fmt.Errorf("upsample: multiscale loss of no sizes: expected some, [32 64 128] say")
	}
	for _, s := range m.Sizes {
		if s < 1 || side < 1 || side%s != 0 {
			return fmt.Errorf("upsample: multiscale loss at size %d of images of %d×%d: expected a size that divides the side", s, side, side)
		}
	}
	return nil
}

// Loss returns L of the residuals of a batch of images of shape channels, side,
// side, averaged over the batch.
func (m Multiscale) Loss(shape []int, residuals []float64) (float64, error) {
	if len(shape) != 3 || shape[1] != shape[2] {
		return 0, fmt.Errorf("upsample: multiscale loss of images of shape %v: expected channels and two equal sides", shape)
	}
	if err := m.Validate(shape[1]); err != nil {
		return 0, err
	}
	dim := size(shape)
	if len(residuals) == 0 || len(residuals)%dim != 0 {
		return 0, fmt.Errorf("upsample: %d numbers of residuals: expected a positive multiple of the size of an image, %d", len(residuals), dim)
	}
	loss := 0.0
	for _, s := range m.Sizes {
		by := Factor{shape[1] / s, 1}
		pair, err := Area{Channels: shape[0], Height: shape[1], Width: shape[2], Vertical: by, Horizontal: by}.Pair()
		if err != nil {
			return 0, err
		}
		pooled := make([]float64, size(pair.LowShape()))
		sum := 0.0
		for row := range slices.Chunk(residuals, dim) {
			pair.Pool(pooled, row)
			for _, v := range pooled {
				sum += v * v
			}
		}
		loss += sum / float64(len(residuals)/dim*len(pooled)) / float64(s)
	}
	return loss, nil
}

// Expected returns E L of residuals that are a stationary field, as the errors of
// [models.Field.Error] are.
func (m Multiscale) Expected(e *models.Field) (float64, error) {
	shape := e.Shape()
	if shape[1] != shape[2] {
		return 0, fmt.Errorf("upsample: multiscale loss of a field of shape %v: expected two equal sides", shape)
	}
	weights, err := m.Weights(shape[1])
	if err != nil {
		return 0, err
	}
	side, half := shape[1], shape[1]/2+1
	loss := 0.0
	for i, p := range e.Power() {
		w := weights[i%(side*half)] * p
		if v := i % half; v != 0 && v != half-1 {
			w *= 2 // and the other half of the plane
		}
		loss += w
	}
	return loss / float64(size(shape)), nil
}

// Weights returns what each frequency of the residual counts, side×(side/2+1) in
// the layout of [models.FieldComponents]:
//
//	w(u, v) = Σ_s 1/s |G_s(u)|² |G_s(v)|²,    E L = mean over the plane of w · P
//
// with G_s what averaging leaves of a frequency: see [models.PoolGain]. Size side alone
// gives the plain loss over side.
func (m Multiscale) Weights(side int) ([]float64, error) {
	if err := m.Validate(side); err != nil {
		return nil, err
	}
	half := side/2 + 1
	weights := make([]float64, side*half)
	for _, s := range m.Sizes {
		gain := models.PoolGain(side, side/s)
		for i := range weights {
			weights[i] += gain[i/half] * gain[i%half] / float64(s)
		}
	}
	return weights, nil
}
