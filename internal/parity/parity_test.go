package parity_test

import (
	"archive/zip"
	"bytes"
	"encoding/binary"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/internal/npy"
	"snrlab/internal/parity"
)

// Whatever is wrong with a case is an error that says where.
func TestRead_Refuses(t *testing.T) {
	arrays := func(change func(all map[string][]int)) []byte {
		all := map[string][]int{"x": {2, 1, 16, 16}, "grad_x": {2, 1, 16, 16}, "output": {2, 1, 16, 16}, "loss_weight": {2, 1, 16, 16}, "timesteps": {2}, "class_labels": {2}}
		change(all)
		var b bytes.Buffer
		z := zip.NewWriter(&b)
		for name, shape := range all {
			w, err := z.Create(name + ".npy")
			if err != nil {
				t.Fatal(err)
			}
			n, _ := npy.Count(shape)
			if n > 1<<20 {
				n = 3 // a shape that claims more than there is
			}
			text := npy.AppendHeader(nil, "<f8", shape)
			for range n {
				text = binary.LittleEndian.AppendUint64(text, math.Float64bits(1))
			}
			if _, err := w.Write(text); err != nil {
				t.Fatal(err)
			}
		}
		if err := z.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	for _, c := range []struct {
		file string
		text []byte
		want string
	}{
		{parity.ArraysFile, arrays(func(map[string][]int) {}), ""},
		{parity.ArraysFile, arrays(func(all map[string][]int) { delete(all, "x") }), "x has shape []"},
		{parity.ArraysFile, arrays(func(all map[string][]int) { delete(all, "class_labels") }), "class_labels has shape []"},
		{parity.ArraysFile, arrays(func(all map[string][]int) { all["output"] = []int{2, 16, 16, 1} }), "output has shape [2 16 16 1]: expected [2 1 16 16]"},
		{parity.ArraysFile, arrays(func(all map[string][]int) { all["x"] = []int{2, 3, 16, 16} }), "expected rows, 1, height, width"},
		{parity.ArraysFile, arrays(func(all map[string][]int) { all["x"] = []int{1 << 40, 1, 1, 1} }), "array x: shape"},
		{parity.ArraysFile, arrays(func(all map[string][]int) { all["y"] = []int{1} }), "7 arrays"},
		{parity.ArraysFile, []byte("PK"), parity.ArraysFile},
		{parity.GradsFile, []byte("[]"), "expected gradients"},
		{parity.GradsFile, []byte(`{"a": {"l2": 1, "l3": 2}}`), "l3"},
		{"config.json", []byte(`{"in_channels": 0}`), "in_channels"},
	} {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS("../../nn/unet/testdata/golden/classes")); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, c.file), c.text, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := parity.Read(dir)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v, want %q", c.file, err, c.want)
		}
	}
}

// Labels that a network does not have, and gradients of other parameters.
func TestCheck_Refuses(t *testing.T) {
	c, err := parity.Read("../../nn/unet/testdata/golden/classes")
	if err != nil {
		t.Fatal(err)
	}
	delete(c.Grads, "conv_in.bias")
	if _, err := parity.Check[float32](c, parity.Single); err == nil || !strings.Contains(err.Error(), "gradients of parameters") {
		t.Errorf("a gradient less: %v", err)
	}
	c.Grads["conv"] = parity.Grad{}
	if _, err := parity.Check[float32](c, parity.Single); err == nil || !strings.Contains(err.Error(), "no gradient of conv_in.bias") {
		t.Errorf("another gradient: %v", err)
	}
	c.Labels[0] = 10
	if _, err := parity.Check[float32](c, parity.Single); err == nil || !strings.Contains(err.Error(), "label 10 of row 0") {
		t.Errorf("a label too many: %v", err)
	}
}
