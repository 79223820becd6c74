package data

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// ErrIDX says that a stream is not one whole IDX file of bytes.
var ErrIDX = errors.New("not a valid IDX file")

// maxIDX bounds the values of one file: thirty times the largest of MNIST.
const maxIDX = 1 << 30

// ReadIDX reads an IDX file of unsigned bytes [lecun1998], plain or gzipped: the
// magic number 0 0 8 d, then d sizes as big-endian 32-bit numbers, then the
// values. The stream must end there. Memory grows with the bytes that arrive,
// not with the sizes that are claimed.
func ReadIDX(r io.Reader) (dims []int, values []byte, err error) {
	fail := func(format string, a ...any) ([]int, []byte, error) {
		return nil, nil, fmt.Errorf("data: %w: %w", ErrIDX, fmt.Errorf(format, a...))
	}
	in := bufio.NewReader(r)
	if head, _ := in.Peek(2); bytes.Equal(head, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fail("gzip: %w", err)
		}
		in = bufio.NewReader(z)
	}
	var magic [4]byte
	if _, err := io.ReadFull(in, magic[:]); err != nil {
		return fail("magic number: %w", err)
	}
	if magic[0] != 0 || magic[1] != 0 || magic[2] != 8 || magic[3] < 1 || magic[3] > 4 {
		return fail("magic number %x: expected 000008 and 1 to 4 dimensions", magic)
	}
	size := uint64(1)
	for i := range int(magic[3]) {
		var b [4]byte
		if _, err := io.ReadFull(in, b[:]); err != nil {
			return fail("size %d: %w", i, err)
		}
		d := binary.BigEndian.Uint32(b[:])
		if d == 0 {
			return fail("size %d is 0", i)
		}
		dims = append(dims, int(d))
		size *= uint64(d)
		if size > maxIDX {
			return fail("sizes %v ask for more than %d values", dims, maxIDX)
		}
	}
	var body bytes.Buffer
	n, err := io.Copy(&body, io.LimitReader(in, int64(size)+1))
	switch {
	case err != nil:
		return fail("after %d of %d values: %w", n, size, err)
	case uint64(n) < size:
		return fail("ends after %d of %d values", n, size)
	case uint64(n) > size:
		return fail("goes on after its %d values", size)
	}
	return dims, body.Bytes(), nil
}
