package data

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

// ErrNPY says that a stream is not one whole array in numpy's format.
var ErrNPY = errors.New("not a valid npy array")

// npyHeader is the head of an array in numpy's format.
type npyHeader struct {
	descr string // type of an element, "<f8" say
	shape []int
	bytes []byte // the header as it stood
	count int    // elements
	size  int64  // of header and elements in bytes
}

// A header is the Python literal that numpy writes, with its keys in order.
var npyDict = regexp.MustCompile(`^\{'descr': '([<>|=][a-z][0-9]{1,2})', 'fortran_order': (True|False), 'shape': \(((?:[0-9]+, ?)*[0-9]*)\), ?\} *\n$`)

// Headers of plain arrays are about a hundred bytes.
const maxNPYHeader = 1 << 12

// readNPYHeader reads and checks the header alone: magic, version 1 or 2,
// row-major order, and a shape whose product does not overflow.
func readNPYHeader(r io.Reader) (h npyHeader, err error) {
	fail := func(format string, a ...any) (npyHeader, error) {
		return npyHeader{}, fmt.Errorf("%w: %w", ErrNPY, fmt.Errorf(format, a...))
	}
	head := make([]byte, 10, 128)
	if _, err := io.ReadFull(r, head); err != nil {
		return fail("header: %w", err)
	}
	if string(head[:6]) != "\x93NUMPY" {
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
	if size > maxNPYHeader {
		return fail("header of %d bytes: expected at most %d", size, maxNPYHeader)
	}
	dict := make([]byte, size)
	if _, err := io.ReadFull(r, dict); err != nil {
		return fail("header: %w", err)
	}
	m := npyDict.FindSubmatch(dict)
	if m == nil {
		return fail("header %q is not that of a plain array", bytes.TrimSpace(dict))
	}
	if string(m[2]) == "True" {
		return fail("columns come first (Fortran order): save numpy.ascontiguousarray of it")
	}
	h = npyHeader{descr: string(m[1]), bytes: append(head, dict...)}
	for d := range strings.SplitSeq(string(m[3]), ",") {
		if d = strings.TrimSpace(d); d == "" {
			continue
		}
		n, err := strconv.Atoi(d)
		if err != nil {
			return fail("shape (%s): %w", m[3], err)
		}
		h.shape = append(h.shape, n)
	}
	var ok bool
	if h.count, ok = product(h.shape); !ok || h.count > 1<<48 {
		return fail("shape %v is too large", h.shape)
	}
	item, err := strconv.Atoi(h.descr[2:])
	if err != nil || item < 1 {
		return fail("element type %q", h.descr)
	}
	h.size = int64(len(h.bytes)) + int64(h.count)*int64(item)
	return h, nil
}

// npyHead returns the header, version 1, that numpy would write.
func npyHead(descr string, shape []int) []byte {
	dims := make([]string, len(shape))
	for i, d := range shape {
		dims[i] = strconv.Itoa(d)
	}
	list := strings.Join(dims, ", ")
	if len(shape) == 1 {
		list += ","
	}
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': (%s), }", descr, list)
	pad := 63 - (10+len(dict))%64 // the elements start at a multiple of 64
	dict += strings.Repeat(" ", pad) + "\n"
	out := append([]byte("\x93NUMPY\x01\x00"), 0, 0)
	binary.LittleEndian.PutUint16(out[8:], uint16(len(dict)))
	return append(out, dict...)
}
