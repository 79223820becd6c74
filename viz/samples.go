package viz

import (
	"fmt"
	"image"

	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
)

// samples draws a sheet of exact samples, and of real data beside it where
// the run kept some. It is nil where there are none and for 2-D problems.
func (f *folder) samples() *Figure {
	t := f.trace
	if t == nil || t.Dim() == 2 || len(t.Exact) == 0 {
		return nil
	}
	type sheet struct {
		title string
		img   image.Image
	}
	const cols, most = 8, 64
	var sheets []sheet
	n := min(most, len(t.Exact)/t.Dim())
	if len(t.Real) > 0 {
		n = min(n, len(t.Real)/t.Dim())
	}
	for _, s := range []struct {
		title string
		v     []float32
	}{{"exact samples of the model", t.Exact}, {"real data", t.Real}} {
		if len(s.v) == 0 {
			continue
		}
		img, err := Sheet(s.v[:n*t.Dim()], t.Shape, cols)
		if err != nil {
			return nil
		}
		sheets = append(sheets, sheet{s.title, img})
	}
	name := "What the denoiser's model draws"
	if len(sheets) == 2 {
		name += ", beside real data"
	}
	const gap, head = vg.Length(10), textSize * 1.8
	w := (columnWidth*1.5 - 2*margin - gap) / 2
	b := sheets[0].img.Bounds()
	h := w * vg.Length(b.Dy()) / vg.Length(b.Dx())
	return &Figure{
		Name: "samples", Title: name,
		Caption: fmt.Sprintf("%d samples%s, values in [−1, 1] from black to white, clipped; not chosen by hand.", n, numberWord(len(sheets), "", " each")),
		width:   margin*2 + vg.Length(len(sheets))*w + vg.Length(len(sheets)-1)*gap, height: h + head + margin,
		draw: func(c draw.Canvas) {
			for i, s := range sheets {
				x := c.Min.X + margin + vg.Length(i)*(w+gap)
				plain.fill(c, vg.Point{X: x, Y: c.Min.Y + margin + h + 0.5*textSize}, 0, s.title)
				drawPixels(c, vg.Rectangle{Min: vg.Point{X: x, Y: c.Min.Y + margin}, Max: vg.Point{X: x + w, Y: c.Min.Y + margin + h}}, s.img)
			}
		},
	}
}
