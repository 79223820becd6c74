package safetensors

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strings"

	_ "go4.org/unsafe/assume-no-moving-gc" // keeps the version pinned that lets tensor start on this Go
	"gorgonia.org/tensor"

	"snrlab/internal/half"
)

// ErrFormat is what a file that is no safetensors file, or not a whole one,
// gives.
var ErrFormat = errors.New("not a valid safetensors file")

// ErrTensor is what a tensor gives that is not there or not what was asked for.
var ErrTensor = errors.New("tensor does not fit")

// Finite says which elements of floating point are accepted.
type Finite uint8

const (
	// FiniteOnly refuses NaN and infinities, which no trained weight is.
	FiniteOnly Finite = iota
	// AllowInf refuses NaN alone: masks of attention hold −∞.
	AllowInf
	// AllowAll keeps what the file has.
	AllowAll
)

// Options are what a user may decide of reading and writing.
type Options struct {
	Finite Finite
}

// Validate refuses values that are none of the named.
func (o Options) Validate() error {
	if o.Finite > AllowAll {
		return fmt.Errorf("safetensors: Finite is %d: expected FiniteOnly, AllowInf or AllowAll", o.Finite)
	}
	return nil
}

// refuses reports whether v may not occur.
func (f Finite) refuses(v float64) bool {
	return f < AllowAll && math.IsNaN(v) || f == FiniteOnly && math.IsInf(v, 0)
}

// Reader gives the tensors of one file. It may serve several goroutines.
type Reader struct {
	r       io.ReaderAt
	start   int64 // of the elements
	infos   []Info
	byName  map[string]int
	meta    map[string]string
	options Options
}

// NewReader reads the header of a file of size bytes and checks it; elements
// stay where they are until they are asked for.
func NewReader(r io.ReaderAt, size int64, options Options) (*Reader, error) {
	if err := options.Validate(); err != nil {
		return nil, err
	}
	infos, meta, start, err := readHeader(r, size)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w: %w", ErrFormat, err)
	}
	f := &Reader{r: r, start: start, infos: infos, byName: make(map[string]int, len(infos)), meta: meta, options: options}
	for k, i := range infos {
		f.byName[i.Name] = k
	}
	return f, nil
}

// File is a [Reader] of an open file, to be closed.
type File struct {
	*Reader
	f *os.File
}

// Open opens the file at path and checks its header.
func Open(path string, options Options) (*File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("safetensors: %w", err)
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errors.New("is not a regular file")
	}
	var r *Reader
	if err == nil {
		r, err = NewReader(f, info.Size(), options)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("safetensors: %s: %w", path, err)
	}
	return &File{r, f}, nil
}

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Tensors lists all tensors in the order of their bytes.
func (r *Reader) Tensors() []Info {
	all := slices.Clone(r.infos)
	for k := range all {
		all[k].Shape = slices.Clone(all[k].Shape)
	}
	return all
}

// Metadata is a copy of the texts under __metadata__, nil where there are none.
func (r *Reader) Metadata() map[string]string { return maps.Clone(r.meta) }

// Info is what the file says of one tensor.
func (r *Reader) Info(name string) (Info, error) {
	k, ok := r.byName[name]
	if !ok {
		return Info{}, fmt.Errorf("safetensors: %w: no tensor %q among the file's %d", ErrTensor, name, len(r.infos))
	}
	i := r.infos[k]
	i.Shape = slices.Clone(i.Shape)
	return i, nil
}

// Match holds the file to having exactly the given tensors, in numbers of
// floating point of the given shapes. The error names all that are missing, all
// that are left over, and each shape that differs, up to a few.
func (r *Reader) Match(params []Param) error { return r.match(params, false) }

// Contains holds the file to having the given tensors, as [Reader.Match], among
// others.
func (r *Reader) Contains(params []Param) error { return r.match(params, true) }

func (r *Reader) match(params []Param, others bool) error {
	want := make(map[string]bool, len(params))
	var missing, wrong, extra []string
	for _, p := range params {
		if want[p.Name] {
			return fmt.Errorf("safetensors: %w: %q is expected twice", ErrTensor, p.Name)
		}
		want[p.Name] = true
		k, ok := r.byName[p.Name]
		switch {
		case !ok:
			missing = append(missing, fmt.Sprintf("%q of shape %v is missing", p.Name, p.Shape))
		case !slices.Equal(r.infos[k].Shape, p.Shape):
			wrong = append(wrong, fmt.Sprintf("%q has shape %v, expected %v", p.Name, r.infos[k].Shape, p.Shape))
		case !r.infos[k].DType.Float():
			wrong = append(wrong, fmt.Sprintf("%q is %v, expected F32, F16, BF16 or F64", p.Name, r.infos[k].DType))
		}
	}
	for _, i := range r.infos {
		if !want[i.Name] && !others {
			extra = append(extra, fmt.Sprintf("%q of shape %v was not expected", i.Name, i.Shape))
		}
	}
	if all := slices.Concat(wrong, missing, extra); len(all) > 0 {
		const shown = 5
		more := ""
		if len(all) > shown {
			more = fmt.Sprintf("; and %d more", len(all)-shown)
		}
		return fmt.Errorf("safetensors: %w: %s%s", ErrTensor, strings.Join(all[:min(shown, len(all))], "; "), more)
	}
	return nil
}

// Bytes reads a tensor as the file has it.
func (r *Reader) Bytes(name string) ([]byte, error) {
	i, err := r.Info(name)
	if err != nil {
		return nil, err
	}
	b := make([]byte, i.End-i.Begin)
	if err := r.read(b, i, i.Begin); err != nil {
		return nil, err
	}
	return b, nil
}

// read fills b with the bytes of the tensor i from offset on.
func (r *Reader) read(b []byte, i Info, offset int64) error {
	if _, err := io.ReadFull(io.NewSectionReader(r.r, r.start+offset, int64(len(b))), b); err != nil {
		return fmt.Errorf("safetensors: tensor %q: %w", i.Name, cutShort(err))
	}
	return nil
}

// Dense reads a tensor of floating point as a new array: float64 for F64,
// float32 for the others.
func (r *Reader) Dense(name string) (*tensor.Dense, error) {
	i, err := r.Info(name)
	if err != nil {
		return nil, err
	}
	if slices.Contains(i.Shape, 0) {
		return nil, fmt.Errorf("safetensors: %w: %q has shape %v: an array needs at least one element", ErrTensor, name, i.Shape)
	}
	if i.DType == F64 {
		return dense[float64](r, i)
	}
	return dense[float32](r, i)
}

func dense[T float32 | float64](r *Reader, i Info) (*tensor.Dense, error) {
	if !i.DType.Float() {
		return nil, notFloat(i)
	}
	values := make([]T, i.Len())
	if err := ReadInto(r, i.Name, values); err != nil {
		return nil, err
	}
	return tensor.New(tensor.WithShape(i.Shape...), tensor.WithBacking(values)), nil
}

func notFloat(i Info) error {
	return fmt.Errorf("safetensors: %w: %q is %v: expected F32, F16, BF16 or F64; read it with Bytes", ErrTensor, i.Name, i.DType)
}

// ReadInto reads a tensor of floating point into dst, row-major, which has its
// number of elements. F64 is rounded to float32 where dst is, and a number too
// large for it is an error. After an error dst may hold a part.
func ReadInto[T float32 | float64](r *Reader, name string, dst []T) error {
	i, err := r.Info(name)
	if err != nil {
		return err
	}
	if !i.DType.Float() {
		return notFloat(i)
	}
	if len(dst) != i.Len() {
		return fmt.Errorf("safetensors: %w: %q has %d elements, shape %v: expected %d", ErrTensor, name, i.Len(), i.Shape, len(dst))
	}
	size := i.DType.Size()
	buf := make([]byte, min(1<<16, len(dst)*size)) // whole elements: 2^16 is a multiple of each size
	for at := 0; at < len(dst); {
		n := min(len(buf)/size, len(dst)-at)
		if err := r.read(buf[:n*size], i, i.Begin+int64(at*size)); err != nil {
			return err
		}
		if k := decode(dst[at:at+n], buf, i.DType, r.options.Finite); k >= 0 {
			return fmt.Errorf("safetensors: %w: element %d of %q is %v: expected a finite number that fits %T; Options.Finite says what is accepted",
				ErrTensor, at+k, name, element(buf[k*size:], i.DType), dst[k])
		}
		at += n
	}
	return nil
}

// element is the first element of b.
func element(b []byte, d DType) float64 {
	switch d {
	case F64:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	case F32:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case F16:
		return float64(half.FromF16(binary.LittleEndian.Uint16(b)))
	}
	return float64(half.FromBF16(binary.LittleEndian.Uint16(b)))
}

// decode fills dst from b and returns the index of the first element that is
// refused, or −1.
func decode[T float32 | float64](dst []T, b []byte, d DType, f Finite) int {
	size := d.Size()
	for k := range dst {
		v := element(b[k*size:], d)
		dst[k] = T(v)
		if f.refuses(v) || math.IsInf(float64(dst[k]), 0) && !math.IsInf(v, 0) {
			return k
		}
	}
	return -1
}
