package unet_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"snrlab/internal/half"
	"snrlab/nn"
	"snrlab/nn/safetensors"
	"snrlab/nn/unet"
)

const golden = "testdata/golden/classes"

func TestNet_Saves(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	saves(t, dir, func() (*unet.Net[float32], error) { return unet.Load[float32](golden) })
	c := parse(t, shapes[2])
	saves(t, dir, func() (*unet.Net[float64], error) { return makeNet[float64](t, c), nil }) // in the place of the other
}

func saves[T nn.Float](t *testing.T, dir string, open func() (*unet.Net[T], error)) {
	t.Helper()
	n, err := open()
	if err != nil {
		t.Fatal(err)
	}
	if err := n.Save(dir); err != nil {
		t.Fatal(err)
	}
	again, err := unet.Load[T](dir)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(n.Config(), again.Config()); d != "" {
		t.Errorf("(-saved +loaded)\n%s", d)
	}
	for i, p := range n.Params() {
		q := again.Params()[i]
		if q.Name() != p.Name() || !slices.Equal(q.Value(), p.Value()) || q.Frozen != p.Frozen {
			t.Errorf("%s reads back as %s with other values", p.Name(), q.Name())
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, unet.ConfigFile))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(text), "{\n  \"_class_name\": \"UNet2DModel\",\n") {
		t.Errorf("the configuration begins with %.60q", text)
	}
}

// rewrite copies the golden checkpoint with other tensors.
func rewrite(t *testing.T, change func(e safetensors.Entry) []safetensors.Entry) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(golden)); err != nil {
		t.Fatal(err)
	}
	f, err := safetensors.Open(filepath.Join(golden, unet.WeightsFile), safetensors.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var entries []safetensors.Entry
	for _, info := range f.Tensors() {
		values := make([]float32, info.Len())
		if err := safetensors.ReadInto(f.Reader, info.Name, values); err != nil {
			t.Fatal(err)
		}
		entries = append(entries, change(safetensors.Entry{Name: info.Name, DType: safetensors.F32, Shape: info.Shape, Values: values})...)
	}
	if err := safetensors.WriteFile(filepath.Join(dir, unet.WeightsFile), entries, nil, safetensors.Options{}); err != nil {
		t.Fatal(err)
	}
	return dir
}

// Attention's layers had other names, and were convolutions.
func TestLoad_EarlierNames(t *testing.T) {
	want, err := unet.Load[float32](golden)
	if err != nil {
		t.Fatal(err)
	}
	names := strings.NewReplacer(".to_q.", ".query.", ".to_k.", ".key.", ".to_v.", ".value.", ".to_out.0.", ".proj_attn.")
	for _, filters := range []bool{false, true} {
		renamed := 0
		dir := rewrite(t, func(e safetensors.Entry) []safetensors.Entry {
			if name := names.Replace(e.Name); name != e.Name {
				e.Name = name
				if filters && len(e.Shape) == 2 {
					e.Shape = append(e.Shape, 1, 1)
				}
				renamed++
			}
			return []safetensors.Entry{e}
		})
		got, err := unet.Load[float32](dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range want.Params() {
			if !slices.Equal(got.Params()[i].Value(), p.Value()) {
				t.Errorf("%s differs", p.Name())
			}
		}
		if renamed != 4*8 { // weights and biases of one attention down, one in the middle, two up
			t.Errorf("%d tensors renamed", renamed)
		}
	}
}

func TestLoad_Half(t *testing.T) {
	whole, err := unet.Load[float32](golden)
	if err != nil {
		t.Fatal(err)
	}
	for dtype, round := range map[safetensors.DType]func(float32) float32{
		safetensors.F16:  func(v float32) float32 { return half.FromF16(half.ToF16(float64(v))) },
		safetensors.BF16: func(v float32) float32 { return half.FromBF16(half.ToBF16(float64(v))) },
	} {
		dir := rewrite(t, func(e safetensors.Entry) []safetensors.Entry {
			e.DType = dtype
			return []safetensors.Entry{e}
		})
		got, err := unet.Load[float64](dir)
		if err != nil {
			t.Fatal(err)
		}
		for i, p := range whole.Params() {
			for k, v := range p.Value() {
				if g := got.Params()[i].Value()[k]; g != float64(round(v)) {
					t.Fatalf("%v: %s[%d] is %v, expected %v rounded", dtype, p.Name(), k, g, v)
				}
			}
		}
	}
}

func TestLoad_Refuses(t *testing.T) {
	same := func(e safetensors.Entry) []safetensors.Entry { return []safetensors.Entry{e} }
	const conv = "down_blocks.0.resnets.0.conv1.weight"
	on := func(change func(e safetensors.Entry) []safetensors.Entry) func(safetensors.Entry) []safetensors.Entry {
		return func(e safetensors.Entry) []safetensors.Entry {
			if e.Name == conv {
				return change(e)
			}
			return same(e)
		}
	}
	for want, change := range map[string]func(e safetensors.Entry) []safetensors.Entry{
		`"` + conv + `" of shape [16 16 3 3] is missing`: on(func(safetensors.Entry) []safetensors.Entry { return nil }),
		`"more" of shape [16 16 3 3] was not expected`: on(func(e safetensors.Entry) []safetensors.Entry {
			f := e
			f.Name = "more"
			return []safetensors.Entry{e, f}
		}),
		`"` + conv + `" has shape [3 3 16 16], expected [16 16 3 3]`: on(func(e safetensors.Entry) []safetensors.Entry { e.Shape = []int{3, 3, 16, 16}; return same(e) }),
	} {
		_, err := unet.Load[float32](rewrite(t, change))
		if !errors.Is(err, safetensors.ErrTensor) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}

	// A configuration that is another network's, and files that are not whole.
	dir := rewrite(t, same)
	config := filepath.Join(dir, unet.ConfigFile)
	text, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	var fields map[string]any
	if err := json.Unmarshal(text, &fields); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		field string
		value any
		want  string
	}{
		{"in_channels", 3, `"conv_in.weight" has shape [16 1 3 3], expected [16 3 3 3]`},
		{"num_class_embeds", 11, `"class_embedding.weight" has shape [10 64], expected [11 64]`},
		{"resnet_time_scale_shift", "default", `time_emb_proj.bias" has shape`},
		{"downsample_type", "pool", "downsample_type"},
		{"block_out_channels", []int{65536, 65536}, `"conv_in.weight" has shape [16 1 3 3], expected [65536 1 3 3]`}, // and no memory for it
	} {
		before := fields[c.field]
		fields[c.field] = c.value
		text, err := json.Marshal(fields)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(config, text, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := unet.Load[float32](dir); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.field, err, c.want)
		}
		fields[c.field] = before
	}
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := unet.Load[float32](dir); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{unet.WeightsFile, unet.ConfigFile} {
		path := filepath.Join(dir, name)
		for _, break_ := range []func() error{
			func() error { return os.Truncate(path, 300) },
			func() error { return os.Remove(path) },
		} {
			if err := break_(); err != nil {
				t.Fatal(err)
			}
			if _, err := unet.Load[float32](dir); err == nil || !strings.Contains(err.Error(), name) {
				t.Errorf("%s cut off or gone: %v", name, err)
			}
		}
	}
}
