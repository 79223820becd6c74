package runfile

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"snrlab/internal/npy"
)

// npyArray is one array of numpy's .npy format, version 1.0: Data is
// []float32, []float64, []int64 or []string (dtype <U). npyio, which the data
// readers use, writes slices of one dimension; a trace needs more.
type npyArray struct {
	Shape []int
	Data  any
}

func (a npyArray) encode(w io.Writer) error {
	dtype, body := "", []byte(nil)
	switch d := a.Data.(type) {
	case []float32:
		dtype, body = "<f4", make([]byte, 0, 4*len(d))
		for _, v := range d {
			body = binary.LittleEndian.AppendUint32(body, math.Float32bits(v))
		}
	case []float64:
		dtype, body = "<f8", make([]byte, 0, 8*len(d))
		for _, v := range d {
			body = binary.LittleEndian.AppendUint64(body, math.Float64bits(v))
		}
	case []int64:
		dtype, body = "<i8", make([]byte, 0, 8*len(d))
		for _, v := range d {
			body = binary.LittleEndian.AppendUint64(body, uint64(v))
		}
	case []string:
		width := 1
		for _, s := range d {
			width = max(width, utf8.RuneCountInString(s))
		}
		dtype, body = "<U"+strconv.Itoa(width), make([]byte, 0, 4*width*len(d))
		for _, s := range d {
			n := 0
			for _, r := range s {
				body, n = binary.LittleEndian.AppendUint32(body, uint32(r)), n+1
			}
			body = append(body, make([]byte, 4*(width-n))...)
		}
	default:
		panic(fmt.Sprintf("runfile: an array of %T", a.Data))
	}
	if _, err := w.Write(npy.AppendHeader(nil, dtype, a.Shape)); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

// decodeNPY reads one array. The shape is held against the bytes that are
// there before anything of its size is made.
func decodeNPY(b []byte) (npyArray, error) {
	var a npyArray
	h, err := npy.ReadHeader(bytes.NewReader(b))
	if err != nil {
		return a, fmt.Errorf("is %w", err)
	}
	if h.Size != int64(len(b)) {
		return a, fmt.Errorf("has shape %v of %s, which needs %d bytes with its header: there are %d", h.Shape, h.Descr, h.Size, len(b))
	}
	a.Shape = h.Shape
	dtype, size := h.Descr, h.Count
	b = b[len(h.Raw):]
	switch {
	case dtype == "<f4":
		d := make([]float32, size)
		for i := range d {
			d[i] = math.Float32frombits(binary.LittleEndian.Uint32(b[4*i:]))
		}
		a.Data = d
	case dtype == "<f8":
		d := make([]float64, size)
		for i := range d {
			d[i] = math.Float64frombits(binary.LittleEndian.Uint64(b[8*i:]))
		}
		a.Data = d
	case dtype == "<i8":
		d := make([]int64, size)
		for i := range d {
			d[i] = int64(binary.LittleEndian.Uint64(b[8*i:]))
		}
		a.Data = d
	case dtype[:2] == "<U":
		d := make([]string, size)
		item := len(b) / max(size, 1)
		for i := range d {
			var s strings.Builder
			for c := b[i*item : (i+1)*item]; len(c) > 0; c = c[4:] {
				r := rune(binary.LittleEndian.Uint32(c))
				if r == 0 {
					break
				}
				if !utf8.ValidRune(r) {
					return a, fmt.Errorf("has an invalid character %#x in string %d", uint32(r), i)
				}
				s.WriteRune(r)
			}
			d[i] = s.String()
		}
		a.Data = d
	default:
		return a, fmt.Errorf("has dtype %s: expected <f4, <f8, <i8 or <U", dtype)
	}
	return a, nil
}
