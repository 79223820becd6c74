package data

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"codeberg.org/sbinet/npyio/npz"
	"gonum.org/v1/gonum/mat"

	"snrlab/internal/npy"
)

// array is an array as numpy writes it: header by hand, from the format's
// description.
func array(descr, shape string, body ...byte) []byte {
	dict := fmt.Sprintf("{'descr': '%s', 'fortran_order': False, 'shape': %s, }", descr, shape)
	dict += strings.Repeat(" ", 117-len(dict)) + "\n"
	out := append([]byte("\x93NUMPY\x01\x00"), 118, 0)
	return append(append(out, dict...), body...)
}

func archive(t testing.TB, entries ...any) []byte {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for i := 0; i < len(entries); i += 2 {
		w, err := z.Create(entries[i].(string))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(entries[i+1].([]byte)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func singles(v ...float32) (out []byte) {
	for _, x := range v {
		out = binary.LittleEndian.AppendUint32(out, math.Float32bits(x))
	}
	return out
}

func read(raw []byte, name string) (*Set, error) {
	return readNPZ("file", bytes.NewReader(raw), int64(len(raw)), name)
}

func TestLoadNPZ_Golden(t *testing.T) {
	pixels := array("|u1", "(2, 1, 1, 3)", 0, 255, 51, 102, 153, 204)
	wantPixels := []float64{-1, 1, -0.6, -0.2, 0.2, 0.6}
	floats := singles(0.5, -3, 1e10, 4)
	for name, c := range map[string]struct {
		raw   []byte
		array string
		shape []int
		want  []float64
	}{
		"pixels":          {archive(t, "a.npy", pixels), "", []int{3}, wantPixels},
		"gray":            {archive(t, "a.npy", array("|u1", "(1, 2, 3)", 0, 255, 51, 102, 153, 204)), "a", []int{1, 2, 3}, wantPixels},
		"colour":          {archive(t, "a.npy", array("|u1", "(1, 3, 2, 1)", 0, 255, 51, 102, 153, 204)), "", []int{3, 2, 1}, wantPixels},
		"float32":         {archive(t, "a.npy", array("<f4", "(2, 2)", floats...)), "", []int{2}, []float64{0.5, -3, 1e10, 4}},
		"float64":         {archive(t, "a.npy", array("<f8", "(1, 2)", doubles([]float64{math.Pi, -1e300})...)), "", []int{2}, []float64{math.Pi, -1e300}},
		"big-endian":      {archive(t, "a.npy", array(">f4", "(1, 1)", 0x3f, 0x80, 0, 0)), "", []int{1}, []float64{1}},
		"by usual name":   {archive(t, "other.npy", pixels, "x.npy", array("<f4", "(2, 2)", floats...)), "", []int{2}, []float64{0.5, -3, 1e10, 4}},
		"by name":         {archive(t, "x.npy", pixels, "z.npy", array("<f4", "(2, 2)", floats...)), "z", []int{2}, []float64{0.5, -3, 1e10, 4}},
		"beside labels":   {archive(t, "labels.npy", array("|u1", "(2,)", 7, 2), "a.npy", pixels), "", []int{3}, wantPixels},
		"labels of int64": {archive(t, "labels.npy", array("<i8", "(2,)", ints([]int{7, 2})...), "a.npy", pixels), "", []int{3}, wantPixels},
		"labels of int32": {archive(t, "labels.npy", array("<i4", "(2,)", 7, 0, 0, 0, 2, 0, 0, 0), "a.npy", pixels), "", []int{3}, wantPixels},
	} {
		s, err := read(c.raw, c.array)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(s.Shape(), c.shape) || !slices.Equal(s.Values(), c.want) {
			t.Errorf("%s: shape %v, values %v, want %v, %v", name, s.Shape(), s.Values(), c.shape, c.want)
		}
		if strings.Contains(name, "labels") && !slices.Equal(s.Labels, []int{7, 2}) {
			t.Errorf("%s: labels %v, want [7 2]", name, s.Labels)
		}
	}
}

// Files of another program's writer, and files on disk of both kinds.
func TestLoadNPZ_AgreesWith_NPYIO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "points.npz")
	values := []float64{1, -2, 3, 0.25, 1e-300, 6}
	if err := npz.Write(path, map[string]any{"points.npy": mat.NewDense(3, 2, values), "labels.npy": []int64{0, 1, -1}}); err != nil {
		t.Fatal(err)
	}
	s, err := LoadNPZ(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(s.Values(), values) || !slices.Equal(s.Labels, []int{0, 1, -1}) || s.Len() != 3 || s.Dim() != 2 {
		t.Errorf("%d×%d: %v with labels %v", s.Len(), s.Dim(), s.Values(), s.Labels)
	}
	npy := filepath.Join(t.TempDir(), "one.npy")
	if err := os.WriteFile(npy, array("<f4", "(1, 2)", singles(3, 4)...), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err = LoadNPZ(npy, ""); err != nil || !slices.Equal(s.Values(), []float64{3, 4}) {
		t.Errorf("npy: %v, %v", s, err)
	}
	if _, err = LoadNPZ(npy, "x"); err == nil {
		t.Error("a name for an npy: no error")
	}
}

func TestLoadNPZ_Refuses(t *testing.T) {
	ok := array("<f4", "(2, 2)", singles(1, 2, 3, 4)...)
	nan := float32(math.NaN())
	inf := float32(math.Inf(-1))
	for name, c := range map[string]struct {
		raw  []byte
		want string // in the error
	}{
		"NaN":             {archive(t, "a.npy", array("<f4", "(2, 2)", singles(1, 2, 3, nan)...)), "row 1, column 1"},
		"infinity":        {archive(t, "a.npy", array("<f4", "(2, 2)", singles(1, 2, inf, 4)...)), "row 1, column 0"},
		"larger claim":    {archive(t, "a.npy", array("<f4", "(1000000, 1000000)", singles(1, 2)...)), "needs"},
		"smaller claim":   {archive(t, "a.npy", array("<f4", "(1, 2)", singles(1, 2, 3)...)), "needs"},
		"overflow":        {archive(t, "a.npy", array("<f4", "(4294967296, 4294967296, 4)")), "too large"},
		"long number":     {archive(t, "a.npy", array("<f4", "(99999999999999999999,)")), "shape"},
		"negative":        {archive(t, "a.npy", array("<f4", "(-1, 2)")), "header"},
		"Fortran order":   {archive(t, "a.npy", bytes.Replace(ok, []byte("False"), []byte("True "), 1)), "header"},
		"Fortran order 2": {archive(t, "a.npy", bytes.Replace(ok, []byte("False,"), []byte("True, "), 1)), "header"},
		"columns first":   {archive(t, "a.npy", bytes.Replace(ok, []byte("False, 'shape': (2, 2), }"), []byte("True, 'shape': (2, 2), } "), 1)), "ascontiguousarray"},
		"objects":         {archive(t, "a.npy", array("|O", "(2, 2)")), "header"},
		"complex":         {archive(t, "a.npy", array("<c8", "(1, 1)", 0, 0, 0, 0, 0, 0, 0, 0)), "float32, float64 or uint8"},
		"one dimension":   {archive(t, "a.npy", array("|u1", "(2,)", 1, 2)), "expected n×"},
		"no dimension":    {archive(t, "a.npy", array("|u1", "()", 1)), "expected n×"},
		"five dimensions": {archive(t, "a.npy", array("|u1", "(1, 1, 1, 1, 1)", 1)), "expected n×"},
		"empty":           {archive(t, "a.npy", array("|u1", "(0, 2)")), "holds nothing"},
		"no magic":        {archive(t, "a.npy", bytes.Replace(ok, []byte("NUMPY"), []byte("NUMPI"), 1)), "magic"},
		"version":         {archive(t, "a.npy", bytes.Replace(ok, []byte("Y\x01"), []byte("Y\x07"), 1)), "version"},
		"long header":     {archive(t, "a.npy", append([]byte("\x93NUMPY\x02\x00\xff\xff\xff\xff"), ok...)), "header of"},
		"cut header":      {archive(t, "a.npy", ok[:40]), "header"},
		"nothing":         {archive(t), "no array"},
		"not an array":    {archive(t, "readme.txt", []byte("hello")), "name of an array"},
		"several":         {archive(t, "a.npy", ok, "b.npy", ok), "say which"},
		"twice":           {archive(t, "a.npy", ok, "a.npy", ok), "twice"},
		"labels short":    {archive(t, "a.npy", ok, "labels.npy", array("|u1", "(1,)", 1)), "1 labels for 2 rows"},
		"labels wide":     {archive(t, "a.npy", ok, "labels.npy", array("|u1", "(2, 1)", 1, 2)), "one class a row"},
		"labels of float": {archive(t, "a.npy", ok, "labels.npy", array("<f4", "(2,)", singles(1, 2)...)), "int64, int32 or uint8"},
		"labels below −1": {archive(t, "a.npy", ok, "labels.npy", array("<i4", "(2,)", 0, 0, 0, 0, 0xfe, 0xff, 0xff, 0xff)), "row 1 is -2"},
		"not a zip":       {ok, "not an npz archive"},
		"cut zip":         {archive(t, "a.npy", ok)[:150], "not an npz archive"},
	} {
		if _, err := read(c.raw, ""); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := read(archive(t, "a.npy", ok), "b"); err == nil || !strings.Contains(err.Error(), "it has a") {
		t.Errorf("unknown name: %v", err)
	}
	// A byte of the packed elements that changes is found by the checksum.
	raw := archive(t, "a.npy", ok)
	stored := bytes.Clone(raw)
	stored[60] ^= 0x40
	if _, err := read(stored, ""); err == nil {
		t.Error("changed byte: no error")
	}
	if _, err := LoadNPZ(filepath.Join(t.TempDir(), "none.npz"), ""); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
}

// An archive that claims far more than its bytes can hold costs nothing, even
// where the directory and the header of the array agree on the claim.
func TestLoadNPZ_Alloc(t *testing.T) {
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	head := npy.AppendHeader(nil, "<f8", []int{1 << 20, 1 << 10})
	w, err := z.CreateRaw(&zip.FileHeader{
		Name: "a.npy", Method: zip.Store,
		CompressedSize64: uint64(len(head)), UncompressedSize64: uint64(len(head)) + 8<<30,
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(head); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err = read(b.Bytes(), "")
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; err == nil || got > 1<<20 { // directory and buffers
		t.Errorf("%d bytes for a claim of 8 GiB (%v)", got, err)
	}
}

func FuzzReadNPZ(f *testing.F) {
	f.Add(archive(f, "a.npy", array("|u1", "(2, 1, 1, 3)", 0, 255, 51, 102, 153, 204), "labels.npy", array("|u1", "(2,)", 7, 2)))
	f.Add(archive(f, "x.npy", array("<f4", "(2, 2)", singles(1, 2, 3, 4)...)))
	f.Fuzz(func(t *testing.T, raw []byte) {
		s, err := read(raw, "")
		if err == nil && s.Validate() != nil {
			t.Fatal(s.Validate())
		}
		// The array inside, reached without a valid checksum.
		s, err = readNPY("array", bytes.NewReader(raw), int64(len(raw)))
		if err == nil && s.Validate() != nil {
			t.Fatal(s.Validate())
		}
	})
}
