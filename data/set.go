package data

import (
	"errors"
	"fmt"

	_ "go4.org/unsafe/assume-no-moving-gc" // keeps the version pinned that lets tensor start on this Go
	"gorgonia.org/tensor"

	"snrlab/internal/npy"
)

// Set is a data set of images of one size.
type Set struct {
	Name   string
	Images *tensor.Dense // float64, n×channels×height×width; a point of dim numbers is 1×1×dim
	Labels []int         // class of each image, or nil
}

// ErrNotFinite says that an array holds a NaN or an infinity.
var ErrNotFinite = errors.New("value is not finite")

// NewSet makes a set of n images from row-major values, which it retains.
// labels is nil or has one class an image.
func NewSet(name string, values []float64, n, channels, height, width int, labels []int) (*Set, error) {
	for _, d := range []int{n, channels, height, width} {
		if d < 1 {
			return nil, fmt.Errorf("data: %s: shape %d×%d×%d×%d: expected positive numbers", name, n, channels, height, width)
		}
	}
	if size, ok := npy.Count([]int{n, channels, height, width}); !ok || size != len(values) {
		return nil, fmt.Errorf("data: %s: %d values do not fill %d×%d×%d×%d", name, len(values), n, channels, height, width)
	}
	s := &Set{
		Name:   name,
		Images: tensor.New(tensor.WithShape(n, channels, height, width), tensor.WithBacking(values)),
		Labels: labels,
	}
	return s, s.Validate()
}

// Validate reports a set whose array is not a float64 n×c×h×w block of finite
// numbers, naming the row and column of the first that is not, or whose labels
// do not match it.
func (s *Set) Validate() error {
	if s.Images == nil || s.Images.Dims() != 4 || s.Images.Dtype() != tensor.Float64 || s.Images.RequiresIterator() || s.Images.DataOrder().IsColMajor() {
		return fmt.Errorf("data: %s: images are not a contiguous float64 array n×channels×height×width", s.Name)
	}
	n, dim := s.Len(), s.Dim()
	if s.Labels != nil && len(s.Labels) != n {
		return fmt.Errorf("data: %s: %d labels for %d images", s.Name, len(s.Labels), n)
	}
	for i, v := range s.Values() {
		if v-v != 0 {
			return fmt.Errorf("data: %s: row %d, column %d is %g: %w", s.Name, i/dim, i%dim, v, ErrNotFinite)
		}
	}
	return nil
}

// Len returns the number of images.
func (s *Set) Len() int { return s.Images.Shape()[0] }

// Shape returns the shape of one sample as denoisers know it: [c h w], or
// [dim] for points.
func (s *Set) Shape() []int {
	d := s.Images.Shape()
	if d[1] == 1 && d[2] == 1 {
		return []int{d[3]}
	}
	return []int{d[1], d[2], d[3]}
}

// Dim returns the number of values of one image.
func (s *Set) Dim() int {
	d := s.Images.Shape()
	return d[1] * d[2] * d[3]
}

// Values returns the array behind Images, row-major Len×Dim. It is a view.
func (s *Set) Values() []float64 { return s.Images.Data().([]float64) }

// pixel is the value in [-1, 1] of a byte: 0 is −1 and 255 is 1.
func pixel(b uint8) float64 { return (2*float64(b) - 255) / 255 }
