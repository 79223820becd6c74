package f32

// Resample is the shape of a change of size by a whole factor between images
// [Rows, Height, Width, Channels] and [Rows, Height/Factor, Width/Factor,
// Channels], in which a pixel stands for a square of Factor×Factor. Pixels of the
// large image beyond the last whole square belong to none.
type Resample struct{ Rows, Height, Width, Channels, Factor int }

// Average writes the mean of each square of the large image x into the small y.
func (s Resample) Average(y, x []float32) { s.shrink(y, x, s.share()) }

// AverageGrad writes the gradient of x for the gradient dy of Average's result
// into dx: the pixels of a square share it, and those of none get zeros.
func (s Resample) AverageGrad(dx, dy []float32) { s.enlarge(dx, dy, s.share()) }

// Nearest writes each pixel of the small image x into its square of the large y,
// and zeros where there is none.
func (s Resample) Nearest(y, x []float32) { s.enlarge(y, x, 1) }

// NearestGrad writes the gradient of x for the gradient dy of Nearest's result
// into dx: the sum over each square.
func (s Resample) NearestGrad(dx, dy []float32) { s.shrink(dx, dy, 1) }

func (s Resample) share() float32 { return 1 / float32(s.Factor*s.Factor) }

func (s Resample) shrink(small, large []float32, scale float32) {
	w := s.start(small, large)
	defer w.release()
	w.dst, w.src, w.number = small, large, scale
	w.split(s.Rows*(s.Height/s.Factor), moveGrain/(s.Factor*s.Width*s.Channels), (*pass).shrink)
}

func (s Resample) enlarge(large, small []float32, scale float32) {
	w := s.start(small, large)
	defer w.release()
	w.dst, w.src, w.number = large, small, scale
	// A band more for the lines of no square.
	w.split(s.Rows*s.bands(), moveGrain/(s.Factor*s.Width*s.Channels), (*pass).enlarge)
}

// bands returns the number of bands of Factor lines in a large image, the last
// one shorter.
func (s Resample) bands() int { return (s.Height + s.Factor - 1) / s.Factor }

func (s Resample) start(small, large []float32) *pass {
	if s.Rows < 0 || s.Height < 1 || s.Width < 1 || s.Channels < 1 || s.Factor < 1 {
		panic("f32: Resample needs pixels, channels, a factor, and no negative number of rows")
	}
	checkLen("the large image", large, s.Rows, s.Height, s.Width, s.Channels)
	checkLen("the small image", small, s.Rows, s.Height/s.Factor, s.Width/s.Factor, s.Channels)
	w := passes.Get()
	w.resample = s
	return w
}

// shrink writes the lines of small images from lo to hi: sums of lines, and then
// of neighbours in these.
func (w *pass) shrink(lo, hi int) {
	s := &w.resample
	height, width := s.Height/s.Factor, s.Width/s.Factor
	p := patterns.Get()
	defer patterns.Put(p)
	n := width * s.Factor * s.Channels
	p.vectors[0] = grow(p.vectors[0], n)
	for t := lo; t < hi; t++ {
		at := (t/height*s.Height + t%height*s.Factor) * s.Width * s.Channels
		line, y := w.src[at:at+n], w.dst[t*width*s.Channels:(t+1)*width*s.Channels]
		for i := 1; i < s.Factor; i++ {
			at += s.Width * s.Channels
			opAdd.apply(p.vectors[0], line, w.src[at:at+n], nil, numbers{})
			line = p.vectors[0]
		}
		for j := range width {
			pixel := y[j*s.Channels : (j+1)*s.Channels]
			first := line[j*s.Factor*s.Channels:]
			if s.Factor == 1 {
				copy(pixel, first)
			}
			for u := 1; u < s.Factor; u++ {
				opAdd.apply(pixel, first[:s.Channels], line[(j*s.Factor+u)*s.Channels:], nil, numbers{})
				first = pixel
			}
		}
		if w.number != 1 {
			scaled(y, y, w.number)
		}
	}
}

// enlarge writes the bands of large images from lo to hi.
func (w *pass) enlarge(lo, hi int) {
	s := &w.resample
	height, width := s.Height/s.Factor, s.Width/s.Factor
	bands, n := s.bands(), s.Width*s.Channels
	p := patterns.Get()
	defer patterns.Put(p)
	p.vectors[0] = grow(p.vectors[0], width*s.Channels)
	for t := lo; t < hi; t++ {
		r, i := t/bands, t%bands
		band := w.dst[(r*s.Height+i*s.Factor)*n : (r*s.Height+min(s.Height, (i+1)*s.Factor))*n]
		if i == height { // the lines of no square
			clear(band)
			continue
		}
		x := w.src[(r*height+i)*width*s.Channels:][:width*s.Channels]
		if w.number != 1 {
			scaled(p.vectors[0], x, w.number)
			x = p.vectors[0]
		}
		line := band[:n]
		for j := range width {
			for u := range s.Factor {
				copy(line[(j*s.Factor+u)*s.Channels:], x[j*s.Channels:(j+1)*s.Channels])
			}
		}
		clear(line[width*s.Factor*s.Channels:])
		repeat(band, n)
	}
}
