package f32

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// direct calls f for every term of the convolution's definition: y[yi] gets
// x[xi]·w[wi].
func direct(c Conv, f func(xi, wi, yi int)) {
	for r := range c.Rows {
		for i := range c.OutHeight() {
			for j := range c.OutWidth() {
				for u := range c.KernelHeight {
					for v := range c.KernelWidth {
						down, right := i*c.Stride+u-c.Top, j*c.Stride+v-c.Left
						if down < 0 || down >= c.Height || right < 0 || right >= c.Width {
							continue
						}
						for ic := range c.In {
							for oc := range c.Out {
								f(((r*c.Height+down)*c.Width+right)*c.In+ic,
									((u*c.KernelWidth+v)*c.In+ic)*c.Out+oc,
									((r*c.OutHeight()+i)*c.OutWidth()+j)*c.Out+oc)
							}
						}
					}
				}
			}
		}
	}
}

func (c Conv) sizes() (x, y, w int) {
	return c.Rows * c.Height * c.Width * c.In, c.Rows * c.OutHeight() * c.OutWidth() * c.Out, c.KernelHeight * c.KernelWidth * c.In * c.Out
}

// A sum is a result by the definition in float64 and the bound of the rounding
// error of any order of summation in float32: a rounding of every product and
// every sum, and those of the end, (2·terms + 4)·2⁻²⁴ Σ|terms|.
type sum struct{ value, size, terms float64 }

func (s *sum) add(v float64) { s.value, s.size, s.terms = s.value+v, s.size+math.Abs(v), s.terms+1 }

func (s *sum) bound() float64 { return (2*s.terms + 4) * 0x1p-24 * s.size }

func compare(t *testing.T, c Conv, name string, got []float32, want []sum) {
	t.Helper()
	for i := range want {
		if !(math.Abs(float64(got[i])-want[i].value) <= want[i].bound()) {
			t.Fatalf("%s of %+v: element %d is %g, want %g ± %g", name, c, i, got[i], want[i].value, want[i].bound())
		}
	}
}

// byTiles reports whether Forward goes by tiles.
func (c Conv) byTiles() bool {
	return c.winogradPays(grid{c.Height, c.Width, c.In}, grid{c.OutHeight(), c.OutWidth(), c.Out})
}

// turned returns the convolution that InputGrad is where the stride is 1, and
// its filter.
func (c Conv) turned(w []float32) (Conv, []float32) {
	back := Conv{
		c.Rows, c.OutHeight(), c.OutWidth(), c.Out, c.In, c.KernelHeight, c.KernelWidth, c.Stride,
		c.KernelHeight - 1 - c.Top, c.KernelHeight - 1 - c.Bottom, c.KernelWidth - 1 - c.Left, c.KernelWidth - 1 - c.Right,
	}
	turned := make([]float32, len(w))
	for t := range c.KernelHeight * c.KernelWidth {
		for i := range c.In {
			for o := range c.Out {
				turned[((c.KernelHeight*c.KernelWidth-1-t)*c.Out+o)*c.In+i] = w[(t*c.In+i)*c.Out+o]
			}
		}
	}
	return back, turned
}

// tileSizes replaces the sizes of the sums of y by what bounds the rounding
// error of the tiles: |Aᵀ| (Σ |G| |g| |Gᵀ| ⊙ |Bᵀ| |d| |B|) |A|. The terms of
// a sum are the channels and the steps of the transforms, below 32.
func tileSizes(c Conv, x, w []float32, y []sum) {
	filters := make([][]float64, c.In*c.Out)
	for i := range filters {
		g := make([]float64, 9)
		for t := range g {
			g[t] = math.Abs(float64(w[t*c.In*c.Out+i]))
		}
		filters[i] = absTwice(matrixG, g)
	}
	for r := range c.Rows {
		for i := 0; i < c.OutHeight(); i += side {
			for j := 0; j < c.OutWidth(); j += side {
				products := make([][]float64, c.Out)
				for o := range products {
					products[o] = make([]float64, points)
				}
				for ch := range c.In {
					for k, v := range absTwice(matrixB, absTile(x, r, i-c.Top, j-c.Left, ch, sight, grid{c.Height, c.Width, c.In})) {
						for o := range products {
							products[o][k] += v * filters[ch*c.Out+o][k]
						}
					}
				}
				for o := range products {
					for k, v := range absTwice(matrixA, products[o]) {
						if i+k/side < c.OutHeight() && j+k%side < c.OutWidth() {
							to := &y[((r*c.OutHeight()+i+k/side)*c.OutWidth()+j+k%side)*c.Out+o]
							to.size, to.terms = to.size+v, float64(c.In)+32
						}
					}
				}
			}
		}
	}
}

// gradSizes is tileSizes for the gradient of w, |Gᵀ| (Σ |A| |dy| |Aᵀ| ⊙ |Bᵀ|
// |d| |B|) |G|, whose terms are the tiles.
func gradSizes(c Conv, x, dy []float32, dw []sum) {
	sums := make([][]float64, c.In*c.Out)
	for i := range sums {
		sums[i] = make([]float64, points)
	}
	tiles := 0.0
	for r := range c.Rows {
		for i := 0; i < c.OutHeight(); i += side {
			for j := 0; j < c.OutWidth(); j += side {
				tiles++
				grads := make([][]float64, c.Out)
				for o := range grads {
					grads[o] = absTwice(transposed(matrixA), absTile(dy, r, i, j, o, side, grid{c.OutHeight(), c.OutWidth(), c.Out}))
				}
				for ch := range c.In {
					d := absTwice(matrixB, absTile(x, r, i-c.Top, j-c.Left, ch, sight, grid{c.Height, c.Width, c.In}))
					for o, grad := range grads {
						for k := range grad {
							sums[ch*c.Out+o][k] += d[k] * grad[k]
						}
					}
				}
			}
		}
	}
	for i := range sums {
		for t, v := range absTwice(transposed(matrixG), sums[i]) {
			to := &dw[t*c.In*c.Out+i]
			to.size, to.terms = to.size+v, tiles+32
		}
	}
}

// absTile returns the magnitudes of n×n pixels of one channel from y, x on, 0
// beside the image.
func absTile(image []float32, row, y, x, channel, n int, g grid) []float64 {
	tile := make([]float64, n*n)
	for k := range tile {
		if i, j := y+k/n, x+k%n; i >= 0 && i < g.height && j >= 0 && j < g.width {
			tile[k] = math.Abs(float64(image[((row*g.height+i)*g.width+j)*g.channels+channel]))
		}
	}
	return tile
}

func transposed(m [][]float64) [][]float64 {
	t := make([][]float64, len(m[0]))
	for i := range t {
		for j := range m {
			t[i] = append(t[i], m[j][i])
		}
	}
	return t
}

// The matrices of winograd.go as printed there, Bᵀ, G and Aᵀ.
var matrixB, matrixG, matrixA = func() (b, g, a [][]float64) {
	const (
		p, q   = pointP, pointQ
		pp, qq = p * p, q * q
		n, m   = 2 * pp * (pp - qq), 2 * qq * (qq - pp)
	)
	b = [][]float64{
		{pp * qq, 0, -pp - qq, 0, 1, 0},
		{0, -p * qq, -qq, p, 1, 0},
		{0, p * qq, -qq, -p, 1, 0},
		{0, -q * pp, -pp, q, 1, 0},
		{0, q * pp, -pp, -q, 1, 0},
		{0, pp * qq, 0, -pp - qq, 0, 1},
	}
	g = [][]float64{
		{1 / (pp * qq), 0, 0},
		{1 / n, p / n, pp / n},
		{1 / n, -p / n, pp / n},
		{1 / m, q / m, qq / m},
		{1 / m, -q / m, qq / m},
		{0, 0, 1},
	}
	a = [][]float64{
		{1, 1, 1, 1, 1, 0},
		{0, p, -p, q, -q, 0},
		{0, pp, pp, qq, qq, 0},
		{0, p * pp, -p * pp, q * qq, -q * qq, 1},
	}
	return b, g, a
}()

// absTwice returns |m| x |mᵀ| for a square x.
func absTwice(m [][]float64, x []float64) []float64 {
	n := len(m[0])
	half, y := make([]float64, len(m)*n), make([]float64, len(m)*len(m))
	for i := range m {
		for k, u := range m[i] {
			for l := range n {
				half[i*n+l] += math.Abs(u) * x[k*n+l]
			}
		}
	}
	for i := range m {
		for j := range m {
			for l, v := range m[j] {
				y[i*len(m)+j] += math.Abs(v) * half[i*n+l]
			}
		}
	}
	return y
}

// convShapes has every class: one pixel, one channel, one row, no row; filters
// of every odd size, larger than the image, not square; strides, also above the
// filter; one-sided and no padding; channels around the tiles and above a block;
// lines longer than a block.
func convShapes() []Conv {
	shapes := []Conv{
		{1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0},
		{1, 1, 1, 5, 17, 3, 3, 1, 1, 1, 1, 1},
		{0, 4, 4, 3, 3, 3, 3, 1, 1, 1, 1, 1},
		{2, 8, 8, 32, 32, 3, 3, 1, 1, 1, 1, 1},
		{1, 8, 8, 20, 16, 3, 3, 2, 0, 1, 0, 1},
		{1, 9, 7, 16, 20, 3, 3, 2, 1, 1, 1, 1},
		{3, 5, 5, 1, 6, 7, 7, 1, 3, 3, 3, 3},
		{1, 4, 6, 3, 2, 9, 5, 1, 4, 4, 2, 2},
		{2, 7, 5, 4, 8, 1, 1, 2, 0, 0, 0, 0},
		{2, 8, 8, 9, 33, 1, 1, 1, 0, 0, 0, 0},
		{1, 7, 8, 3, 5, 3, 3, 4, 1, 0, 1, 0},
		{1, 3, 4, 300, 7, 3, 3, 1, 1, 1, 1, 1},
		{1, 4, 3, 7, 300, 3, 1, 1, 1, 1, 0, 0},
		{1, 2, 600, 2, 3, 3, 3, 1, 1, 1, 1, 1},
		{1, 1, 601, 2, 3, 1, 3, 2, 0, 0, 0, 2},
		{1, 2, 600, 16, 2, 3, 3, 1, 1, 1, 1, 1},
		{2, 8, 7, 32, 1, 3, 3, 1, 1, 1, 1, 1},
		{2, 5, 7, 16, 3, 3, 3, 2, 1, 0, 1, 0},
		{2, 5, 7, 3, 16, 3, 3, 2, 1, 0, 1, 0},
		{1, 6, 6, 5, 24, 1, 1, 2, 0, 0, 0, 0},
		{1, 4, 6, 512, 6, 3, 3, 1, 1, 1, 1, 1},
		{1, 4, 6, 328, 4, 3, 3, 1, 1, 1, 1, 1},
		// Few channels in or out: every padding, partial panels, filters that are
		// not square or see no pixel, tasks that are parts of an image, parts of sums.
		{0, 4, 4, 1, 16, 3, 3, 1, 1, 1, 1, 1},
		{1, 1, 1, 1, 16, 3, 3, 1, 1, 1, 1, 1},
		{1, 1, 1, 16, 1, 3, 3, 1, 1, 1, 1, 1},
		{3, 7, 8, 3, 24, 3, 3, 1, 1, 1, 1, 1},
		{2, 33, 32, 1, 40, 3, 3, 1, 2, 0, 1, 1},
		{3, 7, 8, 24, 3, 3, 3, 1, 0, 2, 2, 0},
		{2, 33, 32, 40, 1, 3, 3, 1, 1, 1, 1, 1},
		{2, 6, 5, 4, 33, 5, 3, 1, 4, 1, 0, 2},
		{2, 6, 5, 33, 4, 5, 3, 1, 0, 1, 2, 1},
		{2, 3, 5, 19, 2, 1, 1, 1, 0, 0, 0, 0},
		{2, 3, 5, 4, 16, 1, 1, 1, 0, 0, 0, 0},
		{1, 2, 2, 16, 2, 5, 5, 1, 4, 4, 4, 4},
		// By tiles: whole ones and parts, every padding, channels around a chunk
		// and a panel, more tiles than a block's.
		{0, 4, 4, 16, 16, 3, 3, 1, 1, 1, 1, 1},
		{3, 4, 4, 16, 24, 3, 3, 1, 1, 1, 1, 1},
		{2, 3, 4, 24, 40, 3, 3, 1, 1, 1, 1, 1},
		{3, 7, 9, 72, 16, 3, 3, 1, 0, 0, 0, 0},
		{1, 8, 7, 64, 32, 3, 3, 1, 2, 1, 0, 1},
		{2, 13, 6, 136, 16, 3, 3, 1, 2, 2, 2, 2},
		{5, 16, 15, 16, 16, 3, 3, 1, 0, 2, 1, 0},
	}
	r := rand.New(rand.NewPCG(3, 4))
	for range 60 {
		c := Conv{
			Rows: 1 + r.IntN(3), Height: 1 + r.IntN(9), Width: 1 + r.IntN(9), In: 1 + r.IntN(20), Out: 1 + r.IntN(36),
			KernelHeight: 1 + 2*r.IntN(3), KernelWidth: 1 + 2*r.IntN(3), Stride: 1 + r.IntN(2),
		}
		c.Top, c.Bottom = r.IntN(c.KernelHeight), r.IntN(c.KernelHeight)
		c.Left, c.Right = r.IntN(c.KernelWidth), r.IntN(c.KernelWidth)
		if c.Validate() == nil {
			shapes = append(shapes, c)
		}
	}
	return shapes
}

func TestConv_AgreesWith_definition(t *testing.T) {
	type result struct {
		got  []float32 // what stands there before
		want []sum
	}
	start := func(n int, beta float32) result {
		r := result{normals(n), make([]sum, n)}
		for i := range r.got {
			if beta == 0 {
				r.got[i] = float32(math.NaN()) // β = 0 does not read it
				continue
			}
			r.want[i].add(float64(beta) * float64(r.got[i]))
		}
		return r
	}
	type convCase struct {
		Conv
		x, dy, w, bias, rowBias, image []float32
		beta                           float32
		y, dx, dw                      result
	}
	var cases []convCase
	for s, c := range convShapes() {
		nx, ny, nw := c.sizes()
		k := convCase{Conv: c, x: normals(nx), dy: normals(ny), w: normals(nw), beta: []float32{0, 1, -0.5}[s%3]}
		k.y, k.dx, k.dw = start(ny, 0), start(nx, k.beta), start(nw, k.beta)
		if s%2 == 1 {
			k.bias = normals(c.Out)
		}
		if s%4 > 1 {
			k.rowBias = normals(c.Rows * c.Out)
		}
		if s%5 > 2 {
			k.image = normals(ny)
		}
		for i := range ny {
			if k.bias != nil {
				k.y.want[i].add(float64(k.bias[i%c.Out]))
			}
			if k.rowBias != nil {
				k.y.want[i].add(float64(k.rowBias[i/(ny/c.Rows)*c.Out+i%c.Out]))
			}
			if k.image != nil {
				k.y.want[i].add(float64(k.image[i]))
			}
		}
		direct(c, func(xi, wi, yi int) {
			k.y.want[yi].add(float64(k.x[xi]) * float64(k.w[wi]))
			k.dx.want[xi].add(float64(k.dy[yi]) * float64(k.w[wi]))
			k.dw.want[wi].add(float64(k.dy[yi]) * float64(k.x[xi]))
		})
		if c.byTiles() {
			tileSizes(c, k.x, k.w, k.y.want)
			gradSizes(c, k.x, k.dy, k.dw.want)
		}
		if back, turned := c.turned(k.w); back.byTiles() {
			tileSizes(back, k.dy, turned, k.dx.want)
		}
		cases = append(cases, k)
	}
	eachKernel(t, func(t *testing.T) {
		for s, c := range cases {
			y, dx, dw := slices.Clone(c.y.got), slices.Clone(c.dx.got), slices.Clone(c.dw.got)
			image := c.image
			if s%5 == 4 { // what is added may be y itself
				copy(y, image)
				image = y
			}
			c.ForwardAdd(y, c.x, c.w, c.bias, c.rowBias, image)
			c.InputGrad(dx, c.dy, c.w, c.beta)
			c.FilterGrad(dw, c.x, c.dy, c.beta)
			compare(t, c.Conv, "ForwardAdd", y, c.y.want)
			compare(t, c.Conv, "InputGrad", dx, c.dx.want)
			compare(t, c.Conv, "FilterGrad", dw, c.dw.want)
		}
	})
}

// Small integers are exact in any order, so that a term left out or taken twice
// cannot hide below a tolerance.
func TestConv_Golden_integers(t *testing.T) {
	whole := func(x []float32) []float32 {
		for i := range x {
			x[i] = float32(math.Round(float64(x[i])))
		}
		return x
	}
	round := func(x []float32) []float32 {
		for i := range x {
			x[i] *= 2
		}
		return whole(x)
	}
	shapes := convShapes()
	wants := make([][3][]float32, len(shapes))
	eachKernel(t, func(t *testing.T) {
		for s, c := range shapes {
			nx, ny, nw := c.sizes()
			x, dy, w := round(normals(nx)), round(normals(ny)), round(normals(nw))
			y, dx, dw := make([]float32, ny), make([]float32, nx), make([]float32, nw)
			if wants[s][0] == nil {
				wants[s] = [3][]float32{make([]float32, ny), make([]float32, nx), make([]float32, nw)}
				direct(c, func(xi, wi, yi int) {
					wants[s][0][yi] += x[xi] * w[wi]
					wants[s][1][xi] += dy[yi] * w[wi]
					wants[s][2][wi] += dy[yi] * x[xi]
				})
			}
			yWant, dxWant, dwWant := wants[s][0], wants[s][1], wants[s][2]
			c.Forward(y, x, w, nil)
			c.InputGrad(dx, dy, w, 0)
			c.FilterGrad(dw, x, dy, 0)
			if c.byTiles() { // whose points are fractions
				whole(y)
				whole(dw)
			}
			if back, _ := c.turned(w); back.byTiles() {
				whole(dx)
			}
			if !slices.Equal(y, yWant) || !slices.Equal(dx, dxWant) || !slices.Equal(dw, dwWant) {
				t.Fatalf("%+v: not the exact sums", c)
			}
		}
	})
}

// A row of y and of dx is the same bits alone and in a batch, and no result
// depends on the number of workers.
func TestConv_Invariant_rows(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, c := range []Conv{
			{3, 12, 12, 40, 50, 3, 3, 1, 1, 1, 1, 1},
			{3, 17, 15, 40, 50, 3, 3, 2, 1, 1, 0, 1},
			{3, 15, 17, 48, 3, 3, 3, 1, 1, 1, 1, 1},
			{3, 15, 17, 3, 40, 3, 3, 1, 1, 1, 1, 1},
			{3, 9, 12, 72, 24, 3, 3, 1, 1, 1, 1, 1},
			{7, 16, 15, 16, 16, 3, 3, 1, 1, 1, 0, 2},
		} {
			nx, ny, nw := c.sizes()
			x, dy, w := normals(nx), normals(ny), normals(nw)
			compute := func(c Conv, x, dy []float32) (y, dx, dw []float32) {
				y, dx, dw = make([]float32, len(dy)), make([]float32, len(x)), make([]float32, nw)
				c.Forward(y, x, w, nil)
				c.InputGrad(dx, dy, w, 0)
				c.FilterGrad(dw, x, dy, 0)
				return y, dx, dw
			}
			y, dx, dw := compute(c, x, dy)
			for _, procs := range []int{1, 2, 5} {
				withProcs(procs, func() {
					y2, dx2, dw2 := compute(c, x, dy)
					if !sameBits(y2, y) || !sameBits(dx2, dx) || !sameBits(dw2, dw) {
						t.Errorf("%+v: other bits with %d processors", c, procs)
					}
				})
			}
			one := c
			one.Rows = 1
			for r := range c.Rows {
				xs, ys := nx/c.Rows, ny/c.Rows
				y1, dx1, _ := compute(one, x[r*xs:(r+1)*xs], dy[r*ys:(r+1)*ys])
				if !sameBits(y1, y[r*ys:(r+1)*ys]) || !sameBits(dx1, dx[r*xs:(r+1)*xs]) {
					t.Errorf("%+v: row %d differs when it is alone", c, r)
				}
			}
		}
	})
}

// The rounding errors of tiles, as a share of the standard deviation of the
// result, for unit normal input. Direct sums in blocks of maxK have 2.9e-7, the
// usual points 3e-6.
func TestConv_Property_error(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, c := range []Conv{
			{1, 8, 8, 32, 16, 3, 3, 1, 1, 1, 1, 1},
			{1, 8, 8, 256, 8, 3, 3, 1, 1, 1, 1, 1},
			{1, 8, 8, 512, 8, 3, 3, 1, 1, 1, 1, 1},
			{8, 16, 16, 16, 8, 3, 3, 1, 1, 1, 1, 1},
		} {
			nx, ny, nw := c.sizes()
			x, y, dy, w, dw := normals(nx), make([]float32, ny), normals(ny), normals(nw), make([]float32, nw)
			c.Forward(y, x, w, nil)
			c.FilterGrad(dw, x, dy, 0)
			yWant, dwWant := make([]float64, ny), make([]float64, nw)
			direct(c, func(xi, wi, yi int) {
				yWant[yi] += float64(x[xi]) * float64(w[wi])
				dwWant[wi] += float64(x[xi]) * float64(dy[yi])
			})
			for name, e := range map[string]float64{"y": relative(y, yWant), "dw": relative(dw, dwWant)} {
				t.Logf("%d rows, %d channels: %s %.2g", c.Rows, c.In, name, e)
				if !(e < 1e-6) {
					t.Errorf("%d rows, %d channels: the error of %s is %.2g of the standard deviation, want below 1e-6", c.Rows, c.In, name, e)
				}
			}
		}
	})
}

// relative returns the root mean square of got − want over that of want.
func relative(got []float32, want []float64) float64 {
	var e, v float64
	for i := range got {
		e += (float64(got[i]) - want[i]) * (float64(got[i]) - want[i])
		v += want[i] * want[i]
	}
	return math.Sqrt(e / v)
}

func TestConv_Refuses(t *testing.T) {
	good := Conv{2, 5, 5, 3, 4, 3, 3, 1, 1, 1, 1, 1}
	if err := good.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Conv){
		"negative rows":      func(c *Conv) { c.Rows = -1 },
		"no height":          func(c *Conv) { c.Height = 0 },
		"no channels":        func(c *Conv) { c.In = 0 },
		"no filter":          func(c *Conv) { c.KernelWidth = 0 },
		"no stride":          func(c *Conv) { c.Stride = 0 },
		"padding as filter":  func(c *Conv) { c.Left = 3 },
		"negative padding":   func(c *Conv) { c.Bottom = -1 },
		"filter above image": func(c *Conv) { c.KernelHeight, c.Top, c.Bottom = 9, 1, 1 },
	} {
		c := good
		spoil(&c)
		if c.Validate() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	nx, ny, nw := good.sizes()
	x, y, w := make([]float32, nx), make([]float32, ny), make([]float32, nw)
	for name, f := range map[string]func(){
		"invalid shape":      func() { Conv{}.Forward(y, x, w, nil) },
		"short x":            func() { good.Forward(y, x[1:], w, nil) },
		"short y":            func() { good.Forward(y[1:], x, w, nil) },
		"short w":            func() { good.Forward(y, x, w[1:], nil) },
		"short bias":         func() { good.Forward(y, x, w, make([]float32, 3)) },
		"short rowBias":      func() { good.ForwardAdd(y, x, w, nil, make([]float32, 7), nil) },
		"short image":        func() { good.ForwardAdd(y, x, w, nil, nil, y[1:]) },
		"short dx":           func() { good.InputGrad(x[1:], y, w, 0) },
		"product beyond int": func() { Conv{1 << 32, 1 << 32, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0}.Forward(y, x, w, nil) },
		"rows beyond int":    func() { SumRows(w, x, 1<<32, 1<<32, 0) },
		"short dw":           func() { good.FilterGrad(w[1:], x, y, 0) },
	} {
		if !panics(f) {
			t.Errorf("%s: no panic", name)
		}
	}
}

func TestConv_Alloc(t *testing.T) {
	for _, stride := range []int{1, 2} {
		c := Conv{2, 16, 16, 32, 32, 3, 3, stride, 1, 1, 1, 1}
		nx, ny, nw := c.sizes()
		x, y, w := normals(nx), normals(ny), normals(nw)
		for name, f := range map[string]func(){
			"Forward":    func() { c.Forward(y, x, w, nil) },
			"InputGrad":  func() { c.InputGrad(x, y, w, 0) },
			"FilterGrad": func() { c.FilterGrad(w, x, y, 0) },
			"layout": func() {
				ChannelsLast(x, y, 2, c.Out, c.OutHeight()*c.OutWidth())
				SumRows(w, x, 2*c.Height*c.Width, c.In, 0)
			},
		} {
			if a := allocs(f); a > 0 {
				t.Errorf("%s with stride %d allocates %g times a call", name, stride, a)
			}
		}
	}
}

func TestLayout_Property(t *testing.T) {
	eachKernel(t, func(t *testing.T) {
		for _, s := range [][3]int{{1, 1, 1}, {2, 3, 5}, {3, 17, 70}, {1, 64, 81}, {2, 8, 16}, {0, 3, 3}} {
			rows, m, n := s[0], s[1], s[2]
			x := normals(rows * m * n)
			last, back := make([]float32, len(x)), make([]float32, len(x))
			ChannelsLast(last, x, rows, m, n)
			for r := range rows {
				for c := range m {
					for p := range n {
						if got, want := last[(r*n+p)*m+c], x[(r*m+c)*n+p]; got != want {
							t.Fatalf("%v: row %d, pixel %d, channel %d is %g, want %g", s, r, p, c, got, want)
						}
					}
				}
			}
			if ChannelsFirst(back, last, rows, m, n); !slices.Equal(back, x) {
				t.Errorf("%v: images do not come back", s)
			}
			FilterLast(last, x, rows, m, n)
			for o := range rows {
				for i := range m {
					for u := range n {
						if got, want := last[(u*m+i)*rows+o], x[(o*m+i)*n+u]; got != want {
							t.Fatalf("%v: filter %d, %d, %d is %g, want %g", s, o, i, u, got, want)
						}
					}
				}
			}
			if FilterFirst(back, last, rows, m, n); !slices.Equal(back, x) {
				t.Errorf("%v: filters do not come back", s)
			}
		}
	})
}

func TestSumRows_AgreesWith_definition(t *testing.T) {
	for _, s := range [][2]int{{0, 3}, {1, 1}, {7, 130}, {1000, 65}} {
		for _, beta := range []float32{0, 2} {
			rows, n := s[0], s[1]
			x, got := normals(rows*n), normals(n)
			for j := range n {
				want := sum{}
				if beta != 0 {
					want.add(float64(beta * got[j]))
				} else {
					got[j] = float32(math.NaN())
				}
				for i := range rows {
					want.add(float64(x[i*n+j]))
				}
				one := slices.Clone(got)
				SumRows(one, x, rows, n, beta)
				// Sums in float64 round once, at the end, to 2⁻²⁴.
				if d := math.Abs(float64(one[j]) - want.value); !(d <= 0x1p-24*math.Abs(want.value)+0x1p-48*want.size) {
					t.Fatalf("%v β=%g: column %d is %g, want %g", s, beta, j, one[j], want.value)
				}
			}
		}
	}
}

// BenchmarkConv measures the shapes of U-Nets. Operations are those of the
// definition, whatever algorithm takes their place.
func BenchmarkConv(b *testing.B) {
	same := func(rows, size, in, out int) Conv { return Conv{rows, size, size, in, out, 3, 3, 1, 1, 1, 1, 1} }
	for _, c := range []Conv{
		same(64, 32, 1, 32), same(64, 32, 32, 32), same(64, 32, 64, 32), same(64, 32, 96, 32), same(64, 32, 32, 1),
		same(64, 16, 32, 64), same(64, 16, 64, 64), same(64, 8, 64, 64), same(64, 8, 128, 64),
		same(32, 32, 1, 64), same(32, 32, 64, 64), same(32, 32, 64, 1), same(32, 16, 128, 128), same(32, 16, 256, 128), same(32, 8, 128, 128),
		same(4, 32, 3, 128), same(4, 32, 128, 128), same(4, 32, 256, 128), same(4, 32, 384, 128), same(4, 32, 128, 3),
		same(4, 16, 256, 256), same(4, 16, 512, 256), same(4, 8, 256, 256), same(4, 8, 512, 256), same(4, 4, 256, 256), same(4, 4, 512, 256),
		{4, 32, 32, 128, 128, 3, 3, 2, 0, 1, 0, 1},
		{64, 32, 32, 32, 32, 3, 3, 2, 1, 1, 1, 1},
		{4, 16, 16, 256, 128, 1, 1, 1, 0, 0, 0, 0},
	} {
		nx, ny, nw := c.sizes()
		x, y, w := normals(nx), normals(ny), normals(nw)
		name := fmt.Sprintf("%dx%dx%dx%d-%d/%dx%d-stride%d", c.Rows, c.Height, c.Width, c.In, c.Out, c.KernelHeight, c.KernelWidth, c.Stride)
		flops := 2 * float64(ny) * float64(nw/c.Out)
		for _, k := range []struct {
			name string
			f    func()
		}{
			{"forward", func() { c.Forward(y, x, w, nil) }},
			{"inputgrad", func() { c.InputGrad(x, y, w, 0) }},
			{"filtergrad", func() { c.FilterGrad(w, x, y, 0) }},
		} {
			b.Run(name+"/"+k.name, func(b *testing.B) { reportFlops(b, flops, k.f) })
		}
	}
}
