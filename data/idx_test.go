package data

import (
	"bytes"
	"compress/gzip"
	"errors"
	"runtime"
	"slices"
	"testing"

	"snrlab/internal/npy"
)

// Two images of 2×3, by the format's description.
var idxSample = []byte{0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 255}

func zipped(t testing.TB, raw []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestReadIDX_Golden(t *testing.T) {
	for _, raw := range [][]byte{idxSample, zipped(t, idxSample)} {
		dims, values, err := ReadIDX(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(dims, []int{2, 2, 3}) || !bytes.Equal(values, idxSample[16:]) {
			t.Errorf("sizes %v, values %v", dims, values)
		}
	}
}

func TestReadIDX_Refuses(t *testing.T) {
	with := func(at int, b ...byte) []byte {
		raw := slices.Clone(idxSample)
		copy(raw[at:], b)
		return raw
	}
	bad := map[string][]byte{
		"one byte more":       append(slices.Clone(idxSample), 0),
		"zipped, one more":    zipped(t, append(slices.Clone(idxSample), 0)),
		"behind the gzip":     append(zipped(t, idxSample), 0),
		"magic":               with(0, 1),
		"floats":              with(2, 0x0d),
		"no sizes":            with(3, 0),
		"200 sizes":           with(3, 200),
		"size 0":              with(4, 0, 0, 0, 0),
		"absurd sizes":        with(4, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255),
		"product overflows":   with(4, 128, 0, 0, 0, 128, 0, 0, 0, 128, 0, 0, 0),
		"more than there are": with(4, 0, 0, 255, 255),
	}
	for i := range idxSample {
		bad["cut after "+string(rune('a'+i))] = idxSample[:i]
	}
	z := zipped(t, idxSample)
	for i := range z {
		bad["gzip cut after "+string(rune('a'+i))] = z[:i]
	}
	for name, raw := range bad {
		if _, _, err := ReadIDX(bytes.NewReader(raw)); !errors.Is(err, ErrIDX) {
			t.Errorf("%s: %v, want ErrIDX", name, err)
		}
	}
}

// A header that claims a gigabyte and brings nothing costs what the readers'
// buffers cost, far below a megabyte.
func TestReadIDX_Alloc(t *testing.T) {
	raw := []byte{0, 0, 8, 1, 0x40, 0, 0, 0}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, _, err := ReadIDX(bytes.NewReader(raw))
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; err == nil || got > 1<<20 {
		t.Errorf("%d bytes for a claim (%v)", got, err)
	}
}

func FuzzReadIDX(f *testing.F) {
	f.Add(idxSample)
	f.Add(zipped(f, idxSample))
	f.Add([]byte{0, 0, 8, 1, 0x40, 0, 0, 0})
	f.Fuzz(func(t *testing.T, raw []byte) {
		dims, values, err := ReadIDX(bytes.NewReader(raw))
		if err != nil {
			if !errors.Is(err, ErrIDX) {
				t.Fatalf("%v is not ErrIDX", err)
			}
			return
		}
		if size, ok := npy.Count(dims); !ok || size != len(values) {
			t.Fatalf("sizes %v of %d values", dims, len(values))
		}
	})
}
