package npy

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
)

func TestHeader_Property(t *testing.T) {
	for _, c := range []struct {
		descr string
		shape []int
		bytes int64 // of the elements
	}{
		{"<f8", nil, 8},
		{"<f4", []int{5}, 20},
		{"|u1", []int{0, 7}, 0},
		{"<i8", []int{2, 3, 4}, 192},
		{"<U12", []int{3}, 144}, // four bytes a character
	} {
		raw := AppendHeader([]byte("before"), c.descr, c.shape)[6:]
		if len(raw)%64 != 0 {
			t.Errorf("%s %v: the elements start at byte %d: expected a multiple of 64", c.descr, c.shape, len(raw))
		}
		r := strings.NewReader(string(raw) + "elements")
		h, err := ReadHeader(r)
		if err != nil {
			t.Errorf("%s %v: %v", c.descr, c.shape, err)
			continue
		}
		if h.Descr != c.descr || !slices.Equal(h.Shape, c.shape) || !bytes.Equal(h.Raw, raw) || h.Size != int64(len(raw))+c.bytes {
			t.Errorf("%s %v reads as %+v", c.descr, c.shape, h)
		}
		if rest, _ := io.ReadAll(r); string(rest) != "elements" {
			t.Errorf("%s %v: %q is left behind the header", c.descr, c.shape, rest)
		}
	}
}

// The bytes are those of numpy.save, by its format description (NEP 1).
func TestAppendHeader_Golden(t *testing.T) {
	want := "\x93NUMPY\x01\x00\x76\x00{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }" + strings.Repeat(" ", 60) + "\n"
	if got := string(AppendHeader(nil, "<f8", []int{3})); got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestReadHeader_Refuses(t *testing.T) {
	ok := string(AppendHeader(nil, "<f8", []int{3, 4}))
	for want, in := range map[string]string{
		"EOF":          ok[:40],
		"magic":        "x" + ok[1:],
		"version":      strings.Replace(ok, "\x01\x00", "\x03\x00", 1),
		"at most":      ok[:8] + "\xff\xff" + ok[10:],
		"plain array":  strings.Replace(ok, "descr", "descs", 1),
		"Fortran":      strings.Replace(ok, "False, 'shape': (3, 4), }", "True, 'shape': (3, 4), } ", 1),
		"too large":    string(AppendHeader(nil, "<f8", []int{1 << 40, 1 << 40})),
		"element type": strings.Replace(ok, "<f8", "<f0", 1),
	} {
		_, err := ReadHeader(strings.NewReader(in))
		if !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected ErrFormat and %q", err, want)
		}
	}
}

func FuzzReadHeader(f *testing.F) {
	f.Add(AppendHeader(nil, "<f8", []int{2, 3}))
	f.Add(AppendHeader(nil, "<U5", nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		h, err := ReadHeader(bytes.NewReader(in))
		if err != nil {
			return
		}
		if n, ok := Count(h.Shape); !ok || n != h.Count || h.Size < int64(len(h.Raw)) || !bytes.HasPrefix(in, h.Raw) {
			t.Errorf("%q reads as %+v", in, h)
		}
		again, err := ReadHeader(bytes.NewReader(AppendHeader(nil, h.Descr, h.Shape)))
		if err != nil || again.Descr != h.Descr || !slices.Equal(again.Shape, h.Shape) {
			t.Errorf("%+v is written and reads as %+v, %v", h, again, err)
		}
	})
}
