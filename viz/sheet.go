package viz

import (
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
)

// Sheet lays samples out as a contact sheet with cols samples a row. Values in
// [−1, 1] go from black to white; what lies outside is clipped and NaN is
// drawn vermillion. Images holds samples of the given shape one after the
// other: [h w] and [1 h w] are grey, [3 h w] is colour, other channels are set
// side by side, and anything else is a strip of one row.
func Sheet[F float32 | float64](images []F, shape []int, cols int) (image.Image, error) {
	g, err := picture(shape)
	if err != nil {
		return nil, err
	}
	if len(images) == 0 || len(images)%g.dim() != 0 {
		return nil, fmt.Errorf("viz: sheet: %d values: expected a positive multiple of %d, the values of one sample of shape %v", len(images), g.dim(), shape)
	}
	if cols < 1 {
		return nil, fmt.Errorf("viz: sheet: %d columns: expected at least 1", cols)
	}
	const gap = 1
	n := len(images) / g.dim()
	cols = min(cols, n)
	rows := (n + cols - 1) / cols
	w, h := g.size()
	out := image.NewNRGBA(image.Rect(0, 0, cols*(w+gap)+gap, rows*(h+gap)+gap))
	for i := range out.Pix {
		out.Pix[i] = 255
	}
	for k := range n {
		values := make([]float64, g.dim())
		for i := range values {
			values[i] = float64(images[k*g.dim()+i])
		}
		g.paint(out, gap+k%cols*(w+gap), gap+k/cols*(h+gap), func(i int) float64 { return values[i] })
	}
	return out, nil
}

// WritePNG writes an image as PNG, every pixel repeated scale×scale times.
func WritePNG(w io.Writer, img image.Image, scale int) error {
	if scale < 1 {
		return fmt.Errorf("viz: scale %d: expected at least 1", scale)
	}
	return png.Encode(w, enlarge(img, scale))
}

func enlarge(img image.Image, scale int) image.Image {
	if scale == 1 {
		return img
	}
	b := img.Bounds()
	out := image.NewNRGBA(image.Rect(0, 0, b.Dx()*scale, b.Dy()*scale))
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			out.Set(x, y, img.At(b.Min.X+x/scale, b.Min.Y+y/scale))
		}
	}
	return out
}

// geometry is how the values of a sample become pixels.
type geometry struct {
	c, h, w int
	rgb     bool
}

func picture(shape []int) (geometry, error) {
	for _, s := range shape {
		if s < 1 {
			return geometry{}, fmt.Errorf("viz: shape %v: expected positive sizes", shape)
		}
	}
	switch len(shape) {
	case 0:
		return geometry{}, errors.New("viz: empty shape: expected the shape of one sample")
	case 2:
		return geometry{c: 1, h: shape[0], w: shape[1]}, nil
	case 3:
		return geometry{c: shape[0], h: shape[1], w: shape[2], rgb: shape[0] == 3}, nil
	}
	dim := 1
	for _, s := range shape {
		dim *= s
	}
	return geometry{c: 1, h: 1, w: dim}, nil
}

func (g geometry) dim() int { return g.c * g.h * g.w }

// size is the width and height in pixels.
func (g geometry) size() (w, h int) {
	if g.rgb {
		return g.w, g.h
	}
	return g.c * g.w, g.h
}

// paint draws one sample with its corner at x0, y0; at gives its values.
func (g geometry) paint(img *image.NRGBA, x0, y0 int, at func(i int) float64) {
	for y := range g.h {
		for x := range g.w {
			i := y*g.w + x
			if g.rgb {
				r, gr, b := at(i), at(i+g.h*g.w), at(i+2*g.h*g.w)
				if r != r || gr != gr || b != b {
					img.SetNRGBA(x0+x, y0+y, notANumber)
					continue
				}
				img.SetNRGBA(x0+x, y0+y, color.NRGBA{level8(r), level8(gr), level8(b), 255})
				continue
			}
			for c := range g.c {
				v := at(i + c*g.h*g.w)
				p := notANumber
				if v == v {
					p = color.NRGBA{level8(v), level8(v), level8(v), 255}
				}
				img.SetNRGBA(x0+c*g.w+x, y0+y, p)
			}
		}
	}
}

// paintSigned draws one sample of differences, ±1 at the ends of the scale.
// Colour samples are averaged over their channels.
func (g geometry) paintSigned(img *image.NRGBA, x0, y0 int, at func(i int) float64) {
	for y := range g.h {
		for x := range g.w {
			i := y*g.w + x
			if g.rgb {
				img.SetNRGBA(x0+x, y0+y, diverging((at(i)+at(i+g.h*g.w)+at(i+2*g.h*g.w))/3))
				continue
			}
			for c := range g.c {
				img.SetNRGBA(x0+c*g.w+x, y0+y, diverging(at(i+c*g.h*g.w)))
			}
		}
	}
}

// notANumber marks pixels without a value.
var notANumber = color.NRGBA{213, 94, 0, 255}

// level8 maps [−1, 1] to 0…255, clipped.
func level8(v float64) uint8 {
	return uint8(math.Round(255 * math.Max(0, math.Min(1, (v+1)/2))))
}

// diverging maps [−1, 1] from blue over white to vermillion, clipped.
func diverging(v float64) color.NRGBA {
	if v != v {
		return color.NRGBA{0, 0, 0, 255}
	}
	end := [3]float64{213, 94, 0}
	if v < 0 {
		end, v = [3]float64{0, 114, 178}, -v
	}
	v = math.Min(1, v)
	mix := func(e float64) uint8 { return uint8(math.Round(250 + (e-250)*v)) }
	return color.NRGBA{mix(end[0]), mix(end[1]), mix(end[2]), 255}
}
