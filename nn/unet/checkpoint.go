package unet

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"snrlab/internal/runfile"
	"snrlab/nn"
	"snrlab/nn/safetensors"
)

// The files of a checkpoint, as diffusers names them.
const (
	ConfigFile  = "config.json"
	WeightsFile = "diffusion_pytorch_model.safetensors"
)

// maxConfig bounds the bytes of a configuration; real ones have about a
// thousand.
const maxConfig = 1 << 20

// ReadConfig reads the configuration of a file.
func ReadConfig(path string) (Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return Config{}, fmt.Errorf("unet: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxConfig+1))
	if err == nil && len(text) > maxConfig {
		err = fmt.Errorf("more than %d bytes", maxConfig)
	}
	var c Config
	if err == nil {
		c, err = ParseConfig(text)
	}
	if err != nil {
		return Config{}, fmt.Errorf("%s: %w", path, err)
	}
	return c, nil
}

// Load opens the checkpoint in a folder: config.json and
// diffusion_pytorch_model.safetensors, as diffusers writes them, in F32, F16,
// BF16 or F64. The names and shapes that attention had before 2023 are known.
func Load[T nn.Float](folder string) (*Net[T], error) {
	c, err := ReadConfig(filepath.Join(folder, ConfigFile))
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, WeightsFile)
	f, err := safetensors.Open(path, safetensors.Options{})
	if err != nil {
		return nil, fmt.Errorf("unet: %w", err)
	}
	defer f.Close()
	n, err := Read[T](c, f.Reader)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return n, nil
}

// Read makes the network of a configuration with the weights of a file, which
// has all of them and nothing else.
func Read[T nn.Float](c Config, r *safetensors.Reader) (*Net[T], error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	n, err := outline[T](c)
	if err != nil {
		return nil, err
	}
	if err := nn.Read(r, n.params, nn.LoadOptions{Stored: find}); err != nil {
		return nil, fmt.Errorf("unet: %w", err)
	}
	return n, nil
}

// earlier are names of modules and what diffusers called them before.
var earlier = []struct{ now, before string }{
	{".to_q.", ".query."},
	{".to_k.", ".key."},
	{".to_v.", ".value."},
	{".to_out.0.", ".proj_attn."},
	{"time_proj.weight", "time_proj.W"},
}

// find tells the name and shape that a file has for a parameter, or those of
// now where it has neither. Attention's linear layers once were convolutions of
// 1×1.
func find(r *safetensors.Reader, want safetensors.Param) safetensors.Param {
	name, shape := want.Name, want.Shape
	for _, e := range earlier {
		if !strings.Contains(name, e.now) {
			continue
		}
		if before := strings.Replace(name, e.now, e.before, 1); !has(r, name) && has(r, before) {
			want.Name = before
		}
		if len(shape) == 2 {
			filter := append(slices.Clone(shape), 1, 1)
			if info, err := r.Info(want.Name); err == nil && slices.Equal(info.Shape, filter) {
				want.Shape = filter
			}
		}
	}
	return want
}

func has(r *safetensors.Reader, name string) bool {
	_, err := r.Info(name)
	return err == nil
}

// Save writes the checkpoint that [Load] reads into a folder, which it makes if
// there is none: weights in F32, of a float64 network in F64. Each file appears
// whole or not at all, the configuration last.
func (n *Net[T]) Save(folder string) error {
	text, err := n.config.file()
	if err != nil {
		return fmt.Errorf("unet: %w", err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("unet: %w", err)
	}
	if err := nn.Save(filepath.Join(folder, WeightsFile), n.params, nn.SaveOptions{}); err != nil {
		return fmt.Errorf("unet: %w", err)
	}
	if err := runfile.WriteFile(filepath.Join(folder, ConfigFile), func(w io.Writer) error {
		_, err := w.Write(text)
		return err
	}); err != nil {
		return fmt.Errorf("unet: %w", err)
	}
	return nil
}

// file is the text of a config.json, the name of the class first.
func (c Config) file() ([]byte, error) {
	text, err := json.MarshalIndent(struct {
		Class string `json:"_class_name"`
		Config
	}{"UNet2DModel", c}, "", "  ")
	return append(text, '\n'), err
}
