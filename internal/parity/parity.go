// Package parity holds networks to recorded outputs and gradients of diffusers'
// UNet2DModel.
//
// A case is a folder: config.json and diffusion_pytorch_model.safetensors, the
// network; io.npz, images x, timesteps, class_labels where the network has
// classes, its output, loss_weight, and grad_x, the gradient of mean(output ·
// loss_weight) with respect to x; param_grads.json, for each parameter the norm,
// the sum and the first element of the gradient of the same. Images are channels
// first.
package parity

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"gonum.org/v1/gonum/floats"
	"gonum.org/v1/gonum/stat"

	"snrlab/nn"
	"snrlab/nn/unet"
)

// GradsFile and ArraysFile are the files of a case beside the checkpoint.
const (
	GradsFile  = "param_grads.json"
	ArraysFile = "io.npz"
)

// A Case is a recorded run.
type Case struct {
	Config     unet.Config
	Rows       int
	X          []float64 // channels last, as all images here
	Times      []float64
	Labels     []int // nil: none
	Output     []float64
	LossWeight []float64
	GradX      []float64
	Grads      map[string]Grad

	folder        string
	height, width int
}

// A Grad is what is known of a parameter's gradient.
type Grad struct {
	L2    float64 `json:"l2"`
	Sum   float64 `json:"sum"`
	First float64 `json:"first"`
}

// Read reads the case in a folder, but for the weights.
func Read(folder string) (*Case, error) {
	config, err := unet.ReadConfig(filepath.Join(folder, unet.ConfigFile))
	if err != nil {
		return nil, err
	}
	c := &Case{Config: config, folder: folder}
	path := filepath.Join(folder, GradsFile)
	if err := readGrads(path, &c.Grads); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	path = filepath.Join(folder, ArraysFile)
	arrays, err := readArrays(path)
	if err == nil {
		err = c.take(arrays)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

func readGrads(path string, to *map[string]Grad) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	d := json.NewDecoder(io.LimitReader(f, maxBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("expected gradients by the names of parameters: %w", err)
	}
	return nil
}

// take finds the arrays of the case and holds them to the configuration.
func (c *Case) take(arrays map[string]array) error {
	x := arrays["x"].shape
	if len(x) != 4 || x[0] < 1 || x[1] != c.Config.InChannels || x[2] < 1 || x[3] < 1 {
		return fmt.Errorf("x has shape %v: expected rows, %d, height, width", x, c.Config.InChannels)
	}
	c.Rows, c.height, c.width = x[0], x[2], x[3]
	var err error
	get := func(name string, shape ...int) []float64 {
		a := arrays[name]
		if fmt.Sprint(a.shape) != fmt.Sprint(shape) {
			err = errors.Join(err, fmt.Errorf("%s has shape %v: expected %v", name, a.shape, shape))
			return nil
		}
		if len(shape) == 4 {
			return channelsLast(a.values, shape[0], shape[1], shape[2]*shape[3])
		}
		return a.values
	}
	c.X, c.GradX = get("x", x...), get("grad_x", x...)
	c.Times = get("timesteps", c.Rows)
	y := []int{c.Rows, c.Config.OutChannels, c.height, c.width}
	c.Output, c.LossWeight = get("output", y...), get("loss_weight", y...)
	known := 5
	if c.Config.NumClassEmbeds != nil {
		for _, v := range get("class_labels", c.Rows) {
			c.Labels = append(c.Labels, int(v))
		}
		known++
	}
	if err == nil && len(arrays) != known {
		err = fmt.Errorf("%d arrays: expected the %d that a case of this configuration has", len(arrays), known)
	}
	return err
}

func channelsLast(x []float64, rows, channels, pixels int) []float64 {
	y := make([]float64, len(x))
	for i, v := range x {
		r, c, p := i/(channels*pixels), i/pixels%channels, i%pixels
		y[(r*pixels+p)*channels+c] = v
	}
	return y
}

// A Difference is between two numbers, ours and the recorded, and what is
// allowed.
type Difference struct {
	Of             string
	Element        int // of an array
	Got, Want      float64
	Error, Allowed float64
}

// Share is the error in units of what is allowed; more than 1 is a failure.
func (d Difference) Share() float64 {
	if d.Error == 0 {
		return 0
	}
	if s := d.Error / d.Allowed; !math.IsNaN(s) {
		return s
	}
	return math.Inf(1)
}

// Tolerance is how far a network may be off.
type Tolerance struct {
	Output float64 // in standard deviations of the output
	GradX  float64 // beside the largest gradient
	Grad   float64 // of a parameter, beside its norm
	Floor  float64 // beside the largest norm of all parameters
}

// Single is the tolerance of float32, whose rounding is 6e-8: the output is a
// function of some tens of layers. A gradient that is zero in exact arithmetic
// has the rounding of what it is a sum of, hence the floor.
var Single = Tolerance{Output: 2e-5, GradX: 1e-4, Grad: 1e-4, Floor: 1e-7}

// Double is the same for float64. The recorded runs were in float64 but for the
// softmax of attention, which diffusers takes in float32 whatever the precision
// of a network, and the features of time, see [Case.Features].
var Double = Tolerance{Output: 3e-7, GradX: 3e-7, Grad: 3e-7, Floor: 1e-8}

// Differences are the worst of each kind. An element of a parameter's gradient
// may be off by as much as its norm, and its sum, of n elements, by √n times as
// much, which is what a vector of that norm makes at most.
type Differences struct{ Output, GradX, Norm, Sum, First Difference }

// All lists them.
func (d Differences) All() []Difference {
	return []Difference{d.Output, d.GradX, d.Norm, d.Sum, d.First}
}

// An Apply applies a network, as [unet.Net.Apply] does.
type Apply[T nn.Float] = func(n *unet.Net[T], t *nn.Tape[T], x, times *nn.Var[T], e unet.Extra[T]) *nn.Var[T]

// Features are the features of time, [rows, block_out_channels[0]], that the
// recorded network had: diffusers takes angles in float32, where one of 999 is
// off by 3e-5, whatever the precision of the network.
func (c *Case) Features() []float64 {
	channels := c.Config.BlockOutChannels[0]
	half := channels / 2
	f := make([]float64, c.Rows*channels)
	for r, t := range c.Times {
		row := f[r*channels:]
		for k := range half {
			exponent := float32(-math.Log(10000)) * float32(k) / float32(float64(half)-c.Config.FreqShift)
			sin, cos := math.Sincos(float64(float32(t) * float32(math.Exp(float64(exponent)))))
			if c.Config.FlipSinToCos {
				sin, cos = cos, sin
			}
			row[k], row[half+k] = float64(float32(sin)), float64(float32(cos))
		}
	}
	return f
}

// Check runs the case through the network with the folder's weights.
func Check[T nn.Float](c *Case, within Tolerance) (Differences, error) {
	return CheckApply(c, within, (*unet.Net[T]).Apply)
}

// CheckApply is Check with another way to apply the network.
func CheckApply[T nn.Float](c *Case, within Tolerance, apply Apply[T]) (Differences, error) {
	n, err := unet.Load[T](c.folder)
	if err != nil {
		return Differences{}, err
	}
	var t nn.Tape[T]
	x := t.Input(numbers[T](c.X), c.Rows, c.height, c.width, c.Config.InChannels)
	times := t.Constant(numbers[T](c.Times), c.Rows)
	y := apply(n, &t, x, times, unet.Extra[T]{Labels: c.Labels})
	if err := t.Err(); err != nil {
		return Differences{}, err
	}
	var d Differences
	compare(&d.Output, "output", y.Value(), c.Output, within.Output*stat.PopStdDev(c.Output, nil))
	seed := numbers[T](c.LossWeight)
	for i := range seed {
		seed[i] /= T(len(seed))
	}
	if err := t.Backward(y, seed); err != nil {
		return Differences{}, err
	}
	compare(&d.GradX, "grad_x", x.Grad(), c.GradX, within.GradX*floats.Norm(c.GradX, math.Inf(1)))
	names, sizes, grads := gradsOf(n)
	err = c.compareParams(&d, within, names, sizes, grads)
	return d, err
}

// gradsOf sums the gradients of a network up.
func gradsOf[T nn.Float](n *unet.Net[T]) (names []string, sizes []int, grads []Grad) {
	for _, p := range n.Params() {
		if p.Frozen {
			continue
		}
		var g Grad
		for _, v := range p.Grad() {
			g.L2 += float64(v) * float64(v)
			g.Sum += float64(v)
		}
		g.L2, g.First = math.Sqrt(g.L2), float64(p.Grad()[0])
		names, sizes, grads = append(names, p.Name()), append(sizes, len(p.Grad())), append(grads, g)
	}
	return names, sizes, grads
}

func (c *Case) compareParams(d *Differences, within Tolerance, names []string, sizes []int, got []Grad) error {
	most := 0.0
	for _, g := range c.Grads {
		most = max(most, g.L2)
	}
	if len(c.Grads) != len(names) {
		return fmt.Errorf("%d gradients of parameters: expected %d", len(c.Grads), len(names))
	}
	for i, name := range names {
		want, ok := c.Grads[name]
		if !ok {
			return fmt.Errorf("no gradient of %s", name)
		}
		allowed := within.Grad*want.L2 + within.Floor*most
		d.Norm.see("norm of the gradient of "+name, 0, got[i].L2, want.L2, allowed)
		d.Sum.see("sum of the gradient of "+name, 0, got[i].Sum, want.Sum, math.Sqrt(float64(sizes[i]))*allowed)
		d.First.see("first element of the gradient of "+name, 0, got[i].First, want.First, allowed)
	}
	return nil
}

// see keeps the worse of two differences.
func (d *Difference) see(of string, element int, got, want, allowed float64) {
	if other := (Difference{of, element, got, want, math.Abs(got - want), allowed}); d.Of == "" || other.Share() > d.Share() {
		*d = other
	}
}

func compare[T nn.Float](d *Difference, of string, got []T, want []float64, allowed float64) {
	for i, w := range want {
		g := math.NaN() // nothing came
		if i < len(got) {
			g = float64(got[i])
		}
		d.see(of, i, g, w, allowed)
	}
}

func numbers[T nn.Float](x []float64) []T {
	y := make([]T, len(x))
	for i, v := range x {
		y[i] = T(v)
	}
	return y
}
