package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode/utf8"

	"gorgonia.org/tensor"

	"snrlab/internal/half"
	"snrlab/internal/runfile"
)

// Entry is one tensor to write.
type Entry struct {
	Name  string
	DType DType
	Shape []int
	// Values are the elements, row-major: []float32 or []float64 for the dtypes
	// of floating point, []byte as they will stand in the file for the others.
	// func() []float32 and func() []float64 give the elements when their turn to
	// be written comes, and may use the memory of the entry before again.
	Values any
}

// Floats is the entry of an array of float32 or float64, to be stored as d. The
// entry looks at the array's own elements.
func Floats(name string, d DType, array *tensor.Dense) (Entry, error) {
	e := Entry{Name: name, DType: d}
	if array == nil {
		return e, fmt.Errorf("safetensors: %w: %q has no array", ErrTensor, name)
	}
	if array.RequiresIterator() || array.DataOrder().IsColMajor() {
		return e, fmt.Errorf("safetensors: %w: %q is a view or transposed: expected a contiguous row-major array; Materialize it first", ErrTensor, name)
	}
	switch array.Dtype() {
	case tensor.Float32:
		e.Values = array.Float32s()
	case tensor.Float64:
		e.Values = array.Float64s()
	default:
		return e, fmt.Errorf("safetensors: %w: %q is an array of %v: expected float32 or float64", ErrTensor, name, array.Dtype())
	}
	e.Shape = slices.Clone(array.Shape())
	return e, nil
}

// bytes is the length of the entry in the file, once it is known to be sound.
func (e Entry) bytes() (int64, error) {
	if !utf8.ValidString(e.Name) || e.Name == metadataKey {
		return 0, fmt.Errorf("the name is reserved or not UTF-8")
	}
	if err := checkName(e.Name); err != nil {
		return 0, err
	}
	if !e.DType.known() {
		return 0, fmt.Errorf("dtype is %v: expected one of the package's constants", e.DType)
	}
	want, err := byteSize(e.DType, e.Shape)
	if err != nil {
		return 0, err
	}
	n, float := 0, true
	switch v := e.Values.(type) {
	case func() []float32, func() []float64:
		n = int(want) / e.DType.Size() // held to it when they come
	case []float32:
		n = len(v)
	case []float64:
		n = len(v)
	case []byte:
		n, float = len(v)/e.DType.Size(), false
		if len(v)%e.DType.Size() != 0 {
			n = -1
		}
	default:
		return 0, fmt.Errorf("values are %T: expected []float32, []float64, a function that returns one of these, or []byte", v)
	}
	if float != e.DType.Float() {
		return 0, fmt.Errorf("values are %T, which %v is not written from", e.Values, e.DType)
	}
	if int64(n) != want/int64(e.DType.Size()) {
		return 0, fmt.Errorf("values are not of shape %v: expected %d bytes of %v", e.Shape, want, e.DType)
	}
	return want, nil
}

// Write writes a file. Equal tensors and texts give equal bytes: tensors are
// sorted by the size of their elements, the largest first, then by name, so that
// all are aligned in the file; the header is padded to eight bytes.
//
// An element that the options refuse, and a finite one that would become
// infinite in its dtype, are errors.
func Write(w io.Writer, entries []Entry, meta map[string]string, options Options) error {
	if err := options.Validate(); err != nil {
		return err
	}
	entries = slices.Clone(entries)
	slices.SortStableFunc(entries, func(a, b Entry) int {
		if !a.DType.known() || !b.DType.known() {
			return cmp.Compare(b.DType, a.DType) // refused below
		}
		return cmp.Or(cmp.Compare(b.DType.Size(), a.DType.Size()), strings.Compare(a.Name, b.Name))
	})
	header, err := encodeHeader(entries, meta)
	if err != nil {
		return fmt.Errorf("safetensors: %w: %w", ErrTensor, err)
	}
	if _, err := w.Write(binary.LittleEndian.AppendUint64(nil, uint64(len(header)))); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	if _, err := w.Write(header); err != nil {
		return fmt.Errorf("safetensors: %w", err)
	}
	for _, e := range entries {
		switch v := e.Values.(type) {
		case []float32:
			err = writeFloats(w, v, e, options.Finite)
		case []float64:
			err = writeFloats(w, v, e, options.Finite)
		case func() []float32:
			err = writeFloats(w, v(), e, options.Finite)
		case func() []float64:
			err = writeFloats(w, v(), e, options.Finite)
		case []byte:
			_, err = w.Write(v)
		}
		if err != nil {
			return fmt.Errorf("safetensors: tensor %q: %w", e.Name, err)
		}
	}
	return nil
}

// WriteFile makes a file appear at path, whole or not at all: a file that was
// there stays until the new one is on the disk.
func WriteFile(path string, entries []Entry, meta map[string]string, options Options) error {
	return runfile.WriteFile(path, func(w io.Writer) error { return Write(w, entries, meta, options) })
}

// encodeHeader is the JSON of the header, with its padding.
func encodeHeader(entries []Entry, meta map[string]string) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	put := func(before byte, key string, value any) error {
		out.WriteByte(before)
		if err := enc.Encode(key); err != nil {
			return err
		}
		out.Truncate(out.Len() - 1) // the encoder's line end
		out.WriteByte(':')
		if err := enc.Encode(value); err != nil {
			return err
		}
		out.Truncate(out.Len() - 1)
		return nil
	}
	before := byte('{')
	if meta != nil {
		for _, k := range slices.Sorted(maps.Keys(meta)) {
			if err := checkName(k); err != nil || !utf8.ValidString(meta[k]) {
				return nil, fmt.Errorf("%s %q is not UTF-8", metadataKey, k)
			}
		}
		if err := put(before, metadataKey, meta); err != nil { // json sorts the keys
			return nil, err
		}
		before = ','
	}
	seen := make(map[string]bool, len(entries))
	offset := int64(0)
	for _, e := range entries {
		n, err := e.bytes()
		if err == nil && seen[e.Name] {
			err = fmt.Errorf("is there twice")
		}
		if err == nil && n > math.MaxInt64-offset {
			err = fmt.Errorf("the file's size overflows an integer")
		}
		if err != nil {
			return nil, fmt.Errorf("tensor %q: %w", e.Name, err)
		}
		seen[e.Name] = true
		if err := put(before, e.Name, struct {
			DType   string   `json:"dtype"`
			Shape   []int    `json:"shape"`
			Offsets [2]int64 `json:"data_offsets"`
		}{e.DType.String(), append([]int{}, e.Shape...), [2]int64{offset, offset + n}}); err != nil {
			return nil, err
		}
		offset, before = offset+n, ','
	}
	if before == '{' {
		out.WriteByte('{')
	}
	out.WriteByte('}')
	for out.Len()%8 != 0 {
		out.WriteByte(' ')
	}
	if out.Len() > MaxHeader {
		return nil, fmt.Errorf("the header has %d bytes: expected at most %d", out.Len(), MaxHeader)
	}
	return out.Bytes(), nil
}

// writeFloats writes values in the dtype of e.
func writeFloats[T float32 | float64](w io.Writer, values []T, e Entry, f Finite) error {
	if want, err := byteSize(e.DType, e.Shape); err != nil || want != int64(len(values))*int64(e.DType.Size()) {
		return fmt.Errorf("%w: %d values do not have the shape %v", ErrTensor, len(values), e.Shape)
	}
	const block = 1 << 12 // elements between writes
	buf := make([]byte, 0, min(block, len(values))*e.DType.Size())
	for k, x := range values {
		v := float64(x)
		buf = appendElement(buf, v, e.DType)
		stored := element(buf[len(buf)-e.DType.Size():], e.DType)
		if f.refuses(v) || math.IsInf(stored, 0) && !math.IsInf(v, 0) {
			return fmt.Errorf("%w: element %d is %v: expected a finite number that fits %v; Options.Finite says what is accepted", ErrTensor, k, v, e.DType)
		}
		if len(buf) == cap(buf) {
			if _, err := w.Write(buf); err != nil {
				return err
			}
			buf = buf[:0]
		}
	}
	_, err := w.Write(buf)
	return err
}

func appendElement(b []byte, v float64, d DType) []byte {
	switch d {
	case F64:
		return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	case F32:
		return binary.LittleEndian.AppendUint32(b, math.Float32bits(float32(v)))
	case F16:
		return binary.LittleEndian.AppendUint16(b, half.ToF16(v))
	}
	return binary.LittleEndian.AppendUint16(b, half.ToBF16(v))
}
