package runfile

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"sort"
	"time"
)

// Array is one array of an npz file: row-major numbers and their shape.
type Array struct {
	Shape []int
	Data  []float64
}

// WriteArrays writes arrays by name as an npz file, atomically. Equal arrays
// give equal bytes.
func WriteArrays(path string, arrays map[string]Array) error {
	entries := map[string]npyArray{}
	for name, a := range arrays {
		size := 1
		for _, n := range a.Shape {
			size *= n
		}
		if size != len(a.Data) {
			return fmt.Errorf("runfile: %s: %d numbers in array %s: expected %d for shape %v", path, len(a.Data), name, size, a.Shape)
		}
		entries[name] = npyArray{a.Shape, a.Data}
	}
	return WriteFile(path, func(w io.Writer) error { return encodeNPZ(w, entries) })
}

// encodeNPZ writes entries stored, not compressed (noise does not compress),
// sorted by name, without time stamps.
func encodeNPZ(w io.Writer, entries map[string]npyArray) error {
	names := make([]string, 0, len(entries))
	for name := range entries {
		names = append(names, name)
	}
	sort.Strings(names)
	z := zip.NewWriter(w)
	for _, name := range names {
		f, err := z.CreateHeader(&zip.FileHeader{Name: name + ".npy", Method: zip.Store, Modified: time.Time{}})
		if err != nil {
			return err
		}
		if err := entries[name].encode(f); err != nil {
			return err
		}
	}
	return z.Close()
}

// openFile opens a file and returns its size, which bounds what is believed of it.
func openFile(path string) (*os.File, int64, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("runfile: %w", err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, 0, fmt.Errorf("runfile: %w", err)
	}
	return f, info.Size(), nil
}

// ReadArrays reads an npz file that [WriteArrays] wrote.
func ReadArrays(path string) (map[string]Array, error) {
	f, size, err := openFile(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	entries, err := readEntries(f, size, path)
	if err != nil {
		return nil, err
	}
	arrays := map[string]Array{}
	for name, e := range entries {
		data, ok := e.Data.([]float64)
		if !ok {
			return nil, fmt.Errorf("runfile: %s: entry %q holds %T: expected float64", path, name, e.Data)
		}
		arrays[name] = Array{e.Shape, data}
	}
	return arrays, nil
}
