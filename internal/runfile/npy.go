package runfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"
)

// npyArray is one array of numpy's .npy format, version 1.0: Data is
// []float32, []float64, []int64 or []string (dtype <U). npyio, which the data
// readers use, writes slices of one dimension; a trace needs more.
type npyArray struct {
	Shape []int
	Data  any
}

const npyMagic = "\x93NUMPY\x01\x00"

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
	header := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", dtype, shapeTuple(a.Shape))
	// Magic, length and header together fill a multiple of 64 bytes.
	pad := (64 - (len(npyMagic)+2+len(header)+1)%64) % 64
	header += strings.Repeat(" ", pad) + "\n"
	head := binary.LittleEndian.AppendUint16([]byte(npyMagic), uint16(len(header)))
	if _, err := w.Write(append(head, header...)); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

func shapeTuple(shape []int) string {
	parts := make([]string, len(shape))
	for i, n := range shape {
		parts[i] = strconv.Itoa(n)
	}
	if len(parts) == 1 {
		return "(" + parts[0] + ",)"
	}
	return "(" + strings.Join(parts, ", ") + ")"
}

var npyHeader = regexp.MustCompile(`^\{'descr': '([<|][a-zA-Z][0-9]+)', 'fortran_order': (True|False), 'shape': \(([0-9, ]*)\), ?\} *\n$`)

// decodeNPY reads one array. The shape is held against the bytes that are
// there before anything of its size is made.
func decodeNPY(b []byte) (npyArray, error) {
	var a npyArray
	if !bytes.HasPrefix(b, []byte(npyMagic)) || len(b) < len(npyMagic)+2 {
		return a, errors.New("is no numpy array of format 1.0")
	}
	b = b[len(npyMagic):]
	n := int(binary.LittleEndian.Uint16(b))
	b = b[2:]
	if len(b) < n {
		return a, fmt.Errorf("ends inside its header: %d of %d bytes", len(b), n)
	}
	m := npyHeader.FindSubmatch(b[:n])
	if m == nil {
		return a, fmt.Errorf("header %q is not understood", b[:min(n, 120)])
	}
	b = b[n:]
	dtype := string(m[1])
	if string(m[2]) == "True" {
		return a, errors.New("is in Fortran order: expected C order")
	}
	size := 1
	for part := range strings.SplitSeq(strings.TrimSuffix(strings.TrimSpace(string(m[3])), ","), ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		k, err := strconv.Atoi(part)
		if err != nil || (k > 0 && size > math.MaxInt32/k) {
			return a, fmt.Errorf("shape (%s) is not one", m[3])
		}
		size *= k
		a.Shape = append(a.Shape, k)
	}
	item, err := strconv.Atoi(dtype[2:])
	if err != nil || item > 1<<16 {
		return a, fmt.Errorf("dtype %s: item size is out of range", dtype)
	}
	if dtype[:2] == "<U" {
		item *= 4
	}
	if len(b) != size*item {
		return a, fmt.Errorf("shape (%s) of %s needs %d bytes, there are %d", m[3], dtype, size*item, len(b))
	}
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
	case dtype[:2] == "<U" && item > 0:
		d := make([]string, size)
		for i := range d {
			var s strings.Builder
			for c := b[i*item : (i+1)*item]; len(c) > 0; c = c[4:] {
				r := rune(binary.LittleEndian.Uint32(c))
				if r == 0 {
					break
				}
				if !utf8.ValidRune(r) {
					return a, fmt.Errorf("string %d has no valid character %#x", i, uint32(r))
				}
				s.WriteRune(r)
			}
			d[i] = s.String()
		}
		a.Data = d
	default:
		return a, fmt.Errorf("dtype %s: expected <f4, <f8, <i8 or <U", dtype)
	}
	return a, nil
}
