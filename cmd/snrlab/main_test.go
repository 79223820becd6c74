package main

import (
	"archive/zip"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/urfave/cli/v2"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"snrlab": main})
}

// Each script is one behaviour of the command line: commands, inputs, output.
func TestScript(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			// MNIST is looked for in the module cache of the machine.
			for _, name := range []string{"GOMODCACHE", "GOPATH", "GOCACHE", "HOME"} {
				if v := os.Getenv(name); v != "" && name != "HOME" {
					env.Setenv(name, v)
				}
			}
			if home, err := os.UserHomeDir(); err == nil && os.Getenv("GOMODCACHE") == "" && os.Getenv("GOPATH") == "" {
				env.Setenv("GOPATH", filepath.Join(home, "go"))
			}
			return writeInputs(env.WorkDir)
		},
	})
}

// writeInputs makes the binary inputs of the scripts.
func writeInputs(dir string) error {
	points := make([]float64, 40)
	for i := range points {
		points[i] = math.Sin(float64(i * i))
	}
	bad := slices.Clone(points)
	bad[13] = math.NaN()
	for name, entry := range map[string]struct {
		header string
		values []float64
	}{
		"points.npz":  {"(20, 2)", points},
		"nan.npz":     {"(20, 2)", bad},
		"hostile.npz": {"(4000000000, 1000)", points},
		"short.npz":   {"(21, 2)", points},
	} {
		if err := writeNPZ(filepath.Join(dir, name), entry.header, entry.values); err != nil {
			return err
		}
	}
	whole, err := os.ReadFile(filepath.Join(dir, "points.npz"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "truncated.npz"), whole[:len(whole)/2], 0o644); err != nil {
		return err
	}
	for _, f := range []struct {
		name string
		size int
	}{{"good/a.png", 4}, {"good/b.png", 4}, {"odd/a.png", 4}, {"odd/b.png", 5}} {
		if err := writePNG(filepath.Join(dir, f.name), f.size); err != nil {
			return err
		}
	}
	return nil
}

func writeNPZ(path, shape string, values []float64) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	z := zip.NewWriter(f)
	w, err := z.CreateHeader(&zip.FileHeader{Name: "arr_0.npy", Method: zip.Store})
	if err != nil {
		return err
	}
	header := fmt.Sprintf("{'descr': '<f8', 'fortran_order': False, 'shape': %s, }", shape)
	header += strings.Repeat(" ", 63-(10+len(header))%64) + "\n"
	if _, err := io.WriteString(w, "\x93NUMPY\x01\x00"); err != nil {
		return err
	}
	if err := binary.Write(w, binary.LittleEndian, uint16(len(header))); err != nil {
		return err
	}
	if _, err := io.WriteString(w, header); err != nil {
		return err
	}
	if err := binary.Write(w, binary.LittleEndian, values); err != nil {
		return err
	}
	if err := z.Close(); err != nil {
		return err
	}
	return f.Close()
}

func writePNG(path string, size int) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	img := image.NewGray(image.Rect(0, 0, size, size))
	for i := range size {
		img.SetGray(i, (i+len(path))%size, color.Gray{Y: 255})
	}
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := png.Encode(f, img); err != nil {
		return err
	}
	return f.Close()
}

// A flag that stands after an argument means what it means before it, for
// every flag of every command.
func TestPermute_Property(t *testing.T) {
	app := newApp(io.Discard, io.Discard)
	var walk func(prefix []string, commands []*cli.Command)
	walk = func(prefix []string, commands []*cli.Command) {
		for _, c := range commands {
			path := append(slices.Clone(prefix), c.Name)
			for _, f := range c.Flags {
				for _, name := range f.Names() {
					flag := []string{"--" + name}
					if f.(cli.DocGenerationFlag).TakesValue() {
						flag = append(flag, "value")
					}
					args := append(append(slices.Clone(path), "ARG"), flag...)
					want := append(append(slices.Clone(path), flag...), "ARG")
					if got := permute(app, args); !slices.Equal(got, want) {
						t.Errorf("%q becomes %q, expected %q", args, got, want)
					}
				}
			}
			walk(path, c.Subcommands)
		}
	}
	walk([]string{"snrlab"}, app.Commands)
}

func TestPermute(t *testing.T) {
	app := newApp(io.Discard, io.Discard)
	for _, c := range []struct{ args, want string }{
		{"snrlab", "snrlab"},
		{"snrlab run a --out=x b", "snrlab run --out=x a b"},
		{"snrlab run a --out", "snrlab run --out"}, // an error, not a run of nothing into a
		{"snrlab run a -- --json", "snrlab run a -- --json"},
		{"snrlab compare --class -1", "snrlab compare --class -1"},
		{"snrlab schedule -5 edm --json", "snrlab schedule --json -5 edm"},
		{"snrlab fit digits --rank 3", "snrlab fit digits --rank 3"},
		{"snrlab run run --json", "snrlab run --json run"},
	} {
		if got := strings.Join(permute(app, strings.Fields(c.args)), " "); got != c.want {
			t.Errorf("%s becomes %s, expected %s", c.args, got, c.want)
		}
	}
}
