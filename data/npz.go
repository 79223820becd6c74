package data

import (
	"archive/zip"
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	npyio "codeberg.org/sbinet/npyio/npy"

	"snrlab/internal/npy"
)

// ErrNPY says that a stream is not one whole array in numpy's format.
var ErrNPY = npy.ErrFormat

// LoadNPZ reads images or points from a file of numpy's, .npz or .npy: an array
// n×channels×height×width, n×height×width or n×dim of float32, float64 or
// uint8. Bytes are pixels and are scaled to [-1, 1]; floats are taken as they
// stand. name says which array of an archive; "" means the only one, or the one
// called images, x or arr_0. A one-dimensional integer array called labels
// beside it gives the classes.
//
// A shape that the file does not have, Fortran order, and NaN or infinity (by
// row and column) are refused, before anything of that shape is allocated.
func LoadNPZ(path, name string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	base := filepath.Base(path)
	if strings.EqualFold(filepath.Ext(path), ".npy") {
		if name != "" {
			return nil, fmt.Errorf("data: %s holds one array without a name: leave out %q", path, name)
		}
		return readNPY(base, f, info.Size())
	}
	return readNPZ(base, f, info.Size(), name)
}

// readNPY reads a set from one array of size bytes.
func readNPY(label string, r io.Reader, size int64) (*Set, error) {
	h, err := npy.ReadHeader(r)
	if err == nil && h.Size != size {
		err = fmt.Errorf("%w: shape %v of %s needs %d bytes, the file has %d", ErrNPY, h.Shape, h.Descr, h.Size, size)
	}
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", label, err)
	}
	return imageSet(label, h, r, nil)
}

// readNPZ reads a set from an archive of size bytes.
func readNPZ(label string, r io.ReaderAt, size int64, name string) (*Set, error) {
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("data: %s: not an npz archive: %w", label, err)
	}
	files := map[string]*zip.File{}
	var names []string
	for _, f := range z.File {
		n := strings.TrimSuffix(f.Name, ".npy")
		if files[n] != nil {
			return nil, fmt.Errorf("data: %s: array %q appears twice", label, n)
		}
		files[n] = f
		if n != "labels" {
			names = append(names, n)
		}
	}
	name, err = choose(name, names)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", label, err)
	}
	var labels []int
	if f := files["labels"]; f != nil && name != "labels" {
		if labels, err = readLabels(f, size); err != nil {
			return nil, fmt.Errorf("data: %s: labels: %w", label, err)
		}
	}
	body, h, _, err := openEntry(files[name], size)
	if err != nil {
		return nil, fmt.Errorf("data: %s: array %q: %w", label, name, err)
	}
	defer body.Close()
	return imageSet(label+"#"+name, h, body, labels)
}

// choose picks the array to read.
func choose(name string, names []string) (string, error) {
	if name != "" {
		if !slices.Contains(names, name) && name != "labels" {
			return "", fmt.Errorf("no array %q: it has %s", name, strings.Join(names, ", "))
		}
		return name, nil
	}
	if len(names) == 1 {
		return names[0], nil
	}
	for _, usual := range []string{"images", "x", "arr_0"} {
		if slices.Contains(names, usual) {
			return usual, nil
		}
	}
	if len(names) == 0 {
		return "", errors.New("no array in it")
	}
	return "", fmt.Errorf("several arrays (%s): say which", strings.Join(names, ", "))
}

// deflateMost is the most that a byte of deflate can unpack to.
const deflateMost = 1032

// openEntry opens an array of an archive of packed bytes and reads its header,
// which must agree with the size of the entry, as that must with the bytes that
// are there.
func openEntry(f *zip.File, packed int64) (body io.ReadCloser, h npy.Header, name string, err error) {
	name, ok := strings.CutSuffix(f.Name, ".npy")
	if !ok || name == "" {
		return nil, h, "", errors.New("not the name of an array")
	}
	if f.Method != zip.Deflate && f.Method != zip.Store {
		return nil, h, "", fmt.Errorf("compression method %d: expected deflate or none", f.Method)
	}
	if have := f.CompressedSize64; have > uint64(packed) || f.UncompressedSize64 > deflateMost*have+deflateMost {
		return nil, h, "", fmt.Errorf("%w: claims %d bytes in %d, of a file of %d", ErrNPY, f.UncompressedSize64, have, packed)
	}
	r, err := f.Open()
	if err != nil {
		return nil, h, "", err
	}
	h, err = npy.ReadHeader(r)
	if err == nil && uint64(h.Size) != f.UncompressedSize64 {
		err = fmt.Errorf("%w: shape %v of %s needs %d bytes, the entry has %d", ErrNPY, h.Shape, h.Descr, h.Size, f.UncompressedSize64)
	}
	if err != nil {
		r.Close()
		return nil, h, "", err
	}
	return r, h, name, nil
}

// imageSet reads the elements that follow a checked header.
func imageSet(label string, h npy.Header, body io.Reader, labels []int) (*Set, error) {
	var n, c, height, width int
	switch d := h.Shape; len(d) {
	case 2:
		n, c, height, width = d[0], 1, 1, d[1]
	case 3:
		n, c, height, width = d[0], 1, d[1], d[2]
	case 4:
		n, c, height, width = d[0], d[1], d[2], d[3]
	default:
		return nil, fmt.Errorf("data: %s: shape %v: expected n×channels×height×width, n×height×width or n×dim", label, d)
	}
	if h.Count == 0 {
		return nil, fmt.Errorf("data: %s: shape %v holds nothing", label, h.Shape)
	}
	if labels != nil && len(labels) != n {
		return nil, fmt.Errorf("data: %s: %d labels for %d rows", label, len(labels), n)
	}
	values, err := floats(h, body)
	if err != nil {
		return nil, fmt.Errorf("data: %s: %w", label, err)
	}
	return NewSet(label, values, n, c, height, width, labels)
}

// floats reads the elements as float64.
func floats(h npy.Header, body io.Reader) ([]float64, error) {
	switch h.Descr {
	case "<f8", ">f8":
		return elements[float64](h, body)
	case "<f4", ">f4":
		return convert[float32](h, body, func(v float32) float64 { return float64(v) })
	case "|u1":
		return convert[uint8](h, body, pixel)
	}
	return nil, fmt.Errorf("%w: element type %q: expected float32, float64 or uint8", ErrNPY, h.Descr)
}

// readLabels reads a one-dimensional array of integers.
func readLabels(f *zip.File, packed int64) ([]int, error) {
	body, h, _, err := openEntry(f, packed)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	if len(h.Shape) != 1 {
		return nil, fmt.Errorf("%w: shape %v: expected one class a row", ErrNPY, h.Shape)
	}
	var out []int
	switch h.Descr {
	case "<i8":
		out, err = convert[int64](h, body, func(v int64) int { return int(v) })
	case "<i4":
		out, err = convert[int32](h, body, func(v int32) int { return int(v) })
	case "|u1":
		out, err = convert[uint8](h, body, func(v uint8) int { return int(v) })
	default:
		err = fmt.Errorf("%w: element type %q: expected int64, int32 or uint8", ErrNPY, h.Descr)
	}
	for i, l := range out {
		if l < -1 {
			return nil, fmt.Errorf("row %d is %d: expected a class, or −1 for none", i, l)
		}
	}
	return out, err
}

func convert[T, U any](h npy.Header, body io.Reader, f func(T) U) ([]U, error) {
	in, err := elements[T](h, body)
	if err != nil {
		return nil, err
	}
	out := make([]U, len(in))
	for i, v := range in {
		out[i] = f(v)
	}
	return out, nil
}

// elements reads all elements and the end of the stream behind them.
func elements[T any](h npy.Header, body io.Reader) ([]T, error) {
	if h.Count == 0 {
		return nil, nil
	}
	r := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(h.Raw), body), 1<<16)
	var out []T
	if err := npyio.Read(r, &out); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNPY, err)
	}
	// The zip reader compares its checksum when it meets the end.
	if n, err := io.Copy(io.Discard, r); err != nil || n > 0 {
		return nil, fmt.Errorf("%w: %d bytes after the last element: %w", ErrNPY, n, errors.Join(err, io.ErrUnexpectedEOF))
	}
	return out, nil
}
