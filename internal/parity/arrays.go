package parity

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"strings"

	"snrlab/internal/npy"
)

// maxBytes bounds a file, and an array unpacked.
const maxBytes = 64 << 20

// array has numbers, row-major.
type array struct {
	shape  []int
	values []float64
}

// readArrays reads an npz file of float64 and int64.
func readArrays(path string) (map[string]array, error) {
	z, err := zip.OpenReader(path)
	if err != nil {
		return nil, err
	}
	defer z.Close()
	arrays := map[string]array{}
	for _, f := range z.File {
		name, ok := strings.CutSuffix(f.Name, ".npy")
		if _, twice := arrays[name]; !ok || twice {
			return nil, fmt.Errorf("entry %q is no array, or there twice", f.Name)
		}
		a, err := readArray(f)
		if err != nil {
			return nil, fmt.Errorf("array %s: %w", name, err)
		}
		arrays[name] = a
	}
	return arrays, nil
}

// readArray holds the shape against the bytes that are there before anything of
// its size is made.
func readArray(f *zip.File) (array, error) {
	r, err := f.Open()
	if err != nil {
		return array{}, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	if err != nil {
		return array{}, err
	}
	if len(b) > maxBytes {
		return array{}, fmt.Errorf("more than %d MB unpacked", maxBytes>>20)
	}
	h, err := npy.ReadHeader(bytes.NewReader(b))
	if err != nil {
		return array{}, err
	}
	if h.Size != int64(len(b)) || h.Descr != "<f8" && h.Descr != "<i8" {
		return array{}, fmt.Errorf("shape %v of %s in %d bytes: expected %d of <f8 or <i8", h.Shape, h.Descr, len(b), h.Size)
	}
	a := array{h.Shape, make([]float64, h.Count)}
	for i := range a.values {
		u := binary.LittleEndian.Uint64(b[len(h.Raw)+8*i:])
		if h.Descr == "<i8" {
			a.values[i] = float64(int64(u))
		} else {
			a.values[i] = math.Float64frombits(u)
		}
	}
	return a, nil
}
