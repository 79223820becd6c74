package data

import (
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"strings"
)

// The largest side of an image, which bounds what a header can ask for.
const maxSide = 4096

// LoadPNG reads the files of a folder that end in .png, in the order of their
// names: images of one size, all gray (one channel) or all in colour (three),
// pixels scaled to [-1, 1]. Images with transparency are refused; the error
// names the first image that differs from the first of all.
func LoadPNG(dir string) (*Set, error) {
	entries, err := os.ReadDir(dir) // sorted by name
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	var values []float64
	var first, size pngSize
	n := 0
	for _, e := range entries {
		if e.IsDir() || !strings.EqualFold(filepath.Ext(e.Name()), ".png") {
			continue
		}
		if values, size, err = appendPNG(values, filepath.Join(dir, e.Name())); err != nil {
			return nil, err
		}
		if n == 0 {
			first = size
		}
		if size.channels != first.channels || size.width != first.width || size.height != first.height {
			return nil, fmt.Errorf("data: %s is %s, but %s is %s: expected images of one kind", size.path, size, first.path, first)
		}
		n++
	}
	if n == 0 {
		return nil, fmt.Errorf("data: folder %s holds no .png files", dir)
	}
	return NewSet(filepath.Base(dir), values, n, first.channels, first.height, first.width, nil)
}

type pngSize struct {
	path                    string
	channels, height, width int
}

func (s pngSize) String() string {
	kind := "gray"
	if s.channels == 3 {
		kind = "in colour"
	}
	return fmt.Sprintf("%d×%d %s", s.width, s.height, kind)
}

// appendPNG appends the values of one image, channel by channel.
func appendPNG(values []float64, path string) ([]float64, pngSize, error) {
	size := pngSize{path: path, channels: 3}
	f, err := os.Open(path)
	if err != nil {
		return nil, size, fmt.Errorf("data: %w", err)
	}
	defer f.Close()
	head, err := png.DecodeConfig(f)
	if err != nil {
		return nil, size, fmt.Errorf("data: %s: %w", path, err)
	}
	if head.Width > maxSide || head.Height > maxSide {
		return nil, size, fmt.Errorf("data: %s is %d×%d: expected at most %d×%[4]d", path, head.Width, head.Height, maxSide)
	}
	if _, err := f.Seek(0, 0); err != nil {
		return nil, size, fmt.Errorf("data: %s: %w", path, err)
	}
	img, err := png.Decode(f)
	if err != nil {
		return nil, size, fmt.Errorf("data: %s: %w", path, err)
	}
	if o, ok := img.(interface{ Opaque() bool }); ok && !o.Opaque() {
		return nil, size, fmt.Errorf("data: %s has transparent pixels: flatten it first", path)
	}
	if m := img.ColorModel(); m == color.GrayModel || m == color.Gray16Model {
		size.channels = 1
	}
	box := img.Bounds()
	size.height, size.width = box.Dy(), box.Dx()
	for c := range size.channels {
		values = appendChannel(values, img, box, c)
	}
	return values, size, nil
}

func appendChannel(values []float64, img image.Image, box image.Rectangle, c int) []float64 {
	for y := box.Min.Y; y < box.Max.Y; y++ {
		for x := box.Min.X; x < box.Max.X; x++ {
			r, g, b, _ := img.At(x, y).RGBA() // 16 bits; a byte b is 257 b
			v := [3]uint32{r, g, b}[c]
			values = append(values, (2*float64(v)-65535)/65535)
		}
	}
	return values
}
