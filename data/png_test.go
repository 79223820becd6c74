package data

import (
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func writePNG(t *testing.T, path string, img image.Image) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := png.Encode(f, img); err != nil {
		t.Fatal(err)
	}
}

func gray(pix ...uint8) *image.Gray {
	return &image.Gray{Pix: pix, Stride: 2, Rect: image.Rect(0, 0, 2, len(pix)/2)}
}

func TestLoadPNG_Golden(t *testing.T) {
	dir := t.TempDir()
	writePNG(t, filepath.Join(dir, "b.PNG"), gray(0, 255, 51, 102))
	writePNG(t, filepath.Join(dir, "a.png"), gray(153, 204, 0, 0))
	if err := os.WriteFile(filepath.Join(dir, "notes.txt"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := LoadPNG(dir)
	if err != nil {
		t.Fatal(err)
	}
	// In the order of names; byte b is exactly (2b − 255)/255, as for other sources of bytes.
	want := []float64{pixel(153), pixel(204), -1, -1, -1, 1, pixel(51), pixel(102)}
	if !slices.Equal(s.Shape(), []int{1, 2, 2}) || !slices.Equal(s.Values(), want) {
		t.Errorf("shape %v, values %v, want %v", s.Shape(), s.Values(), want)
	}

	dir = t.TempDir()
	rgb := image.NewRGBA(image.Rect(0, 0, 2, 1))
	rgb.Set(0, 0, color.RGBA{255, 0, 51, 255})
	rgb.Set(1, 0, color.RGBA{0, 255, 102, 255})
	writePNG(t, filepath.Join(dir, "a.png"), rgb)
	if s, err = LoadPNG(dir); err != nil {
		t.Fatal(err)
	}
	want = []float64{1, -1, -1, 1, pixel(51), pixel(102)} // red plane, green plane, blue plane
	if !slices.Equal(s.Shape(), []int{3, 1, 2}) || !slices.Equal(s.Values(), want) {
		t.Errorf("shape %v, values %v, want %v", s.Shape(), s.Values(), want)
	}
}

func TestLoadPNG_Refuses(t *testing.T) {
	for name, c := range map[string]struct {
		odd  func(path string)
		want string
	}{
		"another size": {func(p string) { writePNG(t, p, gray(1, 2)) }, "odd.png is 2×1 gray"},
		"colour among gray": {func(p string) {
			img := image.NewRGBA(image.Rect(0, 0, 2, 2))
			for i := range img.Pix {
				img.Pix[i] = 255
			}
			writePNG(t, p, img)
		}, "in colour"},
		"transparency": {func(p string) { writePNG(t, p, image.NewNRGBA(image.Rect(0, 0, 2, 2))) }, "transparent"},
		"too large":    {func(p string) { writePNG(t, p, image.NewGray(image.Rect(0, 0, maxSide+1, 1))) }, "at most"},
		"not a PNG": {func(p string) {
			if err := os.WriteFile(p, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "odd.png"},
	} {
		dir := t.TempDir()
		writePNG(t, filepath.Join(dir, "a.png"), gray(1, 2, 3, 4))
		c.odd(filepath.Join(dir, "odd.png"))
		if _, err := LoadPNG(dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	if _, err := LoadPNG(t.TempDir()); err == nil {
		t.Error("empty folder: no error")
	}
	if _, err := LoadPNG(filepath.Join(t.TempDir(), "none")); err == nil {
		t.Error("missing folder: no error")
	}
}
