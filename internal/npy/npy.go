// Package npy reads and writes the headers of numpy's array files. A header is
// checked before anything of the size that it claims is made: the elements are
// for the caller, who knows how many bytes there are.
package npy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// ErrFormat says that a stream is not one whole array in numpy's format.
var ErrFormat = errors.New("not a valid npy array")

// Header is the head of an array.
type Header struct {
	Descr string // type of an element, "<f8" say
	Shape []int
	Raw   []byte // the header as it stood
	Count int    // elements
	Size  int64  // of header and elements in bytes
}

const magic = "\x93NUMPY"

// A header is the Python literal that numpy writes, with its keys in order.
var literal = regexp.MustCompile(`^\{'descr': '([<>|=][a-zA-Z][0-9]{1,5})', 'fortran_order': (True|False), 'shape': \(((?:[0-9]+, ?)*[0-9]*)\), ?\} *\n$`)

// maxHeader bounds a header; those of plain arrays have about a hundred bytes.
const maxHeader = 1 << 12

// ReadHeader reads and checks a header and nothing behind it: magic, version 1
// or 2, row-major order, and a shape whose product does not overflow. Its
// errors are [ErrFormat] and say why.
func ReadHeader(r io.Reader) (Header, error) {
	fail := func(format string, a ...any) (Header, error) {
		return Header{}, fmt.Errorf("%w: %w", ErrFormat, fmt.Errorf(format, a...))
	}
	head := make([]byte, 10, 128)
	if _, err := io.ReadFull(r, head); err != nil {
		return fail("header: %w", err)
	}
	if string(head[:6]) != magic {
		return fail("no magic string at its start")
	}
	size := int64(binary.LittleEndian.Uint16(head[8:]))
	switch head[6] {
	case 1:
	case 2:
		head = head[:12]
		if _, err := io.ReadFull(r, head[10:]); err != nil {
			return fail("header: %w", err)
		}
		size = int64(binary.LittleEndian.Uint32(head[8:]))
	default:
		return fail("format version %d: expected 1 or 2", head[6])
	}
	if size > maxHeader {
		return fail("header of %d bytes: expected at most %d", size, maxHeader)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(r, text); err != nil {
		return fail("header: %w", err)
	}
	m := literal.FindSubmatch(text)
	if m == nil {
		return fail("header %q is not that of a plain array", bytes.TrimSpace(text))
	}
	if string(m[2]) == "True" {
		return fail("columns come first (Fortran order): save numpy.ascontiguousarray of it")
	}
	h := Header{Descr: string(m[1]), Raw: append(head, text...)}
	for d := range strings.SplitSeq(string(m[3]), ",") {
		if d = strings.TrimSpace(d); d == "" {
			continue
		}
		n, err := strconv.Atoi(d)
		if err != nil {
			return fail("shape (%s): %w", m[3], err)
		}
		h.Shape = append(h.Shape, n)
	}
	var ok bool
	if h.Count, ok = Count(h.Shape); !ok || h.Count > 1<<44 {
		return fail("shape %v is too large", h.Shape)
	}
	item, err := strconv.Atoi(h.Descr[2:])
	if err != nil || item < 1 {
		return fail("element type %q", h.Descr)
	}
	if h.Descr[1] == 'U' {
		item *= 4 // counted in characters
	}
	h.Size = int64(len(h.Raw)) + int64(h.Count)*int64(item)
	return h, nil
}

// AppendHeader appends the header, version 1, that numpy would write, after
// which the elements start at a multiple of 64 bytes.
func AppendHeader(dst []byte, descr string, shape []int) []byte {
	dims := make([]string, len(shape))
	for i, d := range shape {
		dims[i] = strconv.Itoa(d)
	}
	list := strings.Join(dims, ", ")
	if len(shape) == 1 {
		list += ","
	}
	text := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, list)
	text += strings.Repeat(" ", 63-(10+len(text))%64) + "\n"
	dst = append(append(dst, magic...), 1, 0)
	dst = binary.LittleEndian.AppendUint16(dst, uint16(len(text)))
	return append(dst, text...)
}

// Count multiplies a shape and reports whether that fits into an int.
func Count(shape []int) (int, bool) {
	size := 1
	for _, d := range shape {
		if d < 0 || d > 0 && size > (1<<62)/d {
			return 0, false
		}
		size *= d
	}
	return size, true
}
