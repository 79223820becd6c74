package conform

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/dialects"
	"snrlab/internal/parity"
)

const testdata = "../testdata"

func TestCheck_Testdata(t *testing.T) {
	report, err := Check(context.Background(), Options{}, testdata)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range report.Results {
		if !r.OK {
			t.Error(r.Line())
		}
	}
	if len(report.LeftOut) > 0 {
		t.Errorf("left out: %v", report.LeftOut)
	}
}

// readCases returns the cases of a file as plain values.
func readCases(t *testing.T, path string) []map[string]any {
	t.Helper()
	text, err := readJSON(path)
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Cases []map[string]any }
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	return f.Cases
}

// write makes a folder with the problems and one file of cases.
func write(t *testing.T, cases ...map[string]any) string {
	t.Helper()
	dir := t.TempDir()
	problems, err := os.ReadFile(filepath.Join(testdata, "problems.json"))
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"format": 1, "cases": cases})
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{"problems.json": problems, "cases.json": text} {
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// number returns a pointer into nested lists.
func number(v any, at ...int) *any {
	list := v.([]any)
	for ; len(at) > 1; at = at[1:] {
		list = list[at[0]].([]any)
	}
	return &list[at[0]]
}

// A case that differs in any one thing fails there, and says where.
func TestCheck_Finds(t *testing.T) {
	euler := func() map[string]any {
		for _, c := range readCases(t, filepath.Join(testdata, "k-diffusion/cases.json.gz")) {
			if c["sampler"] == "sample_euler_ancestral" && c["precision"] == "float64" {
				return c
			}
		}
		t.Fatal("no case of sample_euler_ancestral")
		return nil
	}
	off := func(p *any) { *p = (*p).(float64) + 1e-6 }
	calls := func(c map[string]any, i int) map[string]any { return c["calls"].([]any)[i].(map[string]any) }
	for want, change := range map[string]func(c map[string]any){
		"state 2":               func(c map[string]any) { off(number(c["states"], 2, 1, 0)) },
		"result":                func(c map[string]any) { off(number(c["x_final"], 3, 1)) },
		"call 1, state":         func(c map[string]any) { off(number(calls(c, 1)["x_in"], 0, 0)) },
		"call 2, answer":        func(c map[string]any) { off(number(calls(c, 2)["x0"], 0, 0)) },
		"call 1, level":         func(c map[string]any) { calls(c, 1)["sigma"] = calls(c, 1)["sigma"].(float64) * 1.0001 },
		"table sigmas[1]":       func(c map[string]any) { off(number(c["tables"].(map[string]any)["sigmas"], 1)) },
		`no table "timesteps"`:  func(c map[string]any) { c["tables"].(map[string]any)["timesteps"] = []any{1.0} },
		`a table "sigmas" that`: func(c map[string]any) { delete(c["tables"].(map[string]any), "sigmas") },
		"draws, the record has": func(c map[string]any) { c["noises"] = append(c["noises"].([]any), c["noises"].([]any)[0]) },
		"takes 50 steps, the record has": func(c map[string]any) {
			c["num_steps"] = 50.0
			c["schedule"] = map[string]any{"name": "vp"}
		},
		"nfe is 7":                     func(c map[string]any) { c["nfe"] = 7 },
		"states, the record has":       func(c map[string]any) { c["states"] = c["states"].([]any)[1:] },
		"states has shape []":          func(c map[string]any) { c["states"].([]any)[1] = []any{1.0} },
		"x_final has shape [1 4]":      func(c map[string]any) { c["x_final"] = c["x_final"].([]any)[:1] },
		`unknown problem "none"`:       func(c map[string]any) { c["problem"] = "none" },
		`unknown field "etta" in args`: func(c map[string]any) { c["args"] = map[string]any{"etta": 1.0} },
		`has no sampler "sample_eulr"`: func(c map[string]any) { c["sampler"] = "sample_eulr" },
		`unknown program "k-difusion"`: func(c map[string]any) { c["peer"] = "k-difusion" },
		`precision is "half"`:          func(c map[string]any) { c["precision"] = "half" },
		"no gap_to_float64":            func(c map[string]any) { c["precision"] = "as_shipped" },
		"sensitivity is -1":            func(c map[string]any) { c["sensitivity"] = -1 },
		"calls, the record has":        func(c map[string]any) { c["calls"] = c["calls"].([]any)[1:]; c["nfe"] = c["nfe"].(float64) - 1 },
		"does not say how latents":     func(c map[string]any) { c["latents_unit"] = c["x_init"] },
		"calls[0] has 0 alpha":         func(c map[string]any) { calls(c, 0)["alpha"] = []any{} },
	} {
		c := euler()
		change(c)
		report, err := Check(context.Background(), Options{}, write(t, c))
		if err != nil {
			t.Errorf("%s: %v", want, err)
			continue
		}
		if r := report.Results[0]; r.OK || !strings.Contains(r.Line(), want) {
			t.Errorf("expected %q, got %s", want, r.Line())
		}
	}
	if report, err := Check(context.Background(), Options{}, write(t, euler())); err != nil || report.Failed() != 0 {
		t.Errorf("the case as it is: %v, %v", report, err)
	}
}

func TestCheck_Unreadable(t *testing.T) {
	good := readCases(t, filepath.Join(testdata, "k-diffusion/cases.json.gz"))[0]
	field := maps.Clone(good)
	field["unheard"] = 1
	texts := map[string]func() []byte{
		"cut off":             func() []byte { return []byte(`{"format":1,"cases":[{`) },
		"format is 2":         func() []byte { return []byte(`{"format":2,"cases":[]}`) },
		"no field \"format\"": func() []byte { return []byte(`{"cases":[]}`) },
		"expected a JSON obj": func() []byte { return []byte(`[1]`) },
		"none of the fields":  func() []byte { return []byte(`{"format":1,"things":[]}`) },
		"no cases":            func() []byte { return []byte(`{"format":1,"cases":[]}`) },
		"\"unheard\"":         func() []byte { b, _ := json.Marshal(map[string]any{"format": 1, "cases": []any{field}}); return b },
		"is not a number":     func() []byte { return []byte(`{"format":1,"cases":[{"id":"a","x_init":[["x"]]}]}`) },
		"lists inside lists": func() []byte {
			return []byte(`{"format":1,"cases":[{"id":"a","x_init":` + strings.Repeat("[", 50) + strings.Repeat("]", 50) + `}]}`)
		},
		`format is "diffusers-golden-fil"…, 26 characters`: func() []byte { return []byte(`{"format":"diffusers-golden-file/v2.7","cases":[]}`) },
		"format is {\"a\":[1,2,3,4,5,6,7,…":                func() []byte { return []byte(`{"format":{"a":[1,2,3,4,5,6,7,8,9]},"cases":[]}`) },
		"cases[1] has the id of cases[0]": func() []byte {
			b, _ := json.Marshal(map[string]any{"format": 1, "cases": []any{good, good}})
			return b
		},
		"neither a function nor": func() []byte { return []byte(`{"format":1,"schedules":[{"x":1}]}`) },
	}
	for want, text := range texts {
		dir := write(t)
		path := filepath.Join(dir, "bad.json")
		if err := os.WriteFile(path, text(), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Check(context.Background(), Options{}, path)
		var unreadable *FileError
		if !errors.As(err, &unreadable) || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %q", err, want)
		}
	}
	// gzip: cut off, and none at all.
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	if _, err := w.Write([]byte(`{"format":1,"cases":[]}`)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for want, b := range map[string][]byte{"cut off": z.Bytes()[:z.Len()-6], "expected a gzip file": []byte("{}")} {
		path := filepath.Join(write(t), "bad.json.gz")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Check(context.Background(), Options{}, path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected %q", err, want)
		}
	}
	// Cases without their problems.
	dir := write(t, good)
	if err := os.Rename(filepath.Join(dir, "problems.json"), filepath.Join(dir, "other.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := Check(context.Background(), Options{}, filepath.Join(dir, "cases.json")); err == nil || !strings.Contains(err.Error(), "--problems") {
		t.Errorf("got %v", err)
	}
	if _, err := Check(context.Background(), Options{Problems: filepath.Join(dir, "other.json")}, filepath.Join(dir, "cases.json")); err != nil {
		t.Errorf("with the problems named: %v", err)
	}
}

// Whatever stands in a file is an error or a result, never a panic.
func FuzzCheck(f *testing.F) {
	for _, name := range []string{"tables/thresholding.json.gz", "tables/scheduler_timesteps.json.gz", "tables/gits.json.gz"} {
		text, err := readJSON(filepath.Join(testdata, name))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text)
	}
	f.Add([]byte(`{"format":1,"cases":[{"id":"a","peer":"k-diffusion","sampler":"sample_euler","x_init":[[1,2]],"precision":"float64"}]}`))
	problems, err := readProblems(filepath.Join(testdata, "problems.json"))
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<13 { // which takes long
			return
		}
		k, err := kindOf(text)
		if run := runners[k]; err == nil && run != nil {
			_ = run(context.Background(), text, problems, func(Result) {})
		}
	})
}

// Every sampler that can be translated has a case.
func TestCheck_Complete(t *testing.T) {
	report, err := Check(context.Background(), Options{}, testdata)
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, s := range report.Samplers() {
		have[s.Peer+" "+s.Sampler] = true
	}
	for _, tr := range dialects.Registry() {
		if name := tr.Peer + " " + tr.Sampler; !have[name] {
			t.Errorf("no case of %s", name)
		}
	}
}

// A recorded network is a folder.
func TestCheck_Networks(t *testing.T) {
	const folder = "../../nn/unet/testdata/golden"
	report, err := Check(context.Background(), Options{}, folder)
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Results) != 10 || report.Failed() > 0 || len(report.LeftOut) > 0 {
		t.Errorf("%d results, %d failed, left out %v: expected 5 of each of 2 folders", len(report.Results), report.Failed(), report.LeftOut)
	}
	// One weight that differs fails every comparison.
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(folder, "tiny"))); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "diffusion_pytorch_model.safetensors")
	weights, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	weights[len(weights)-1] ^= 1 // the sign and exponent of the last
	if err := os.WriteFile(path, weights, 0o600); err != nil {
		t.Fatal(err)
	}
	report, err = Check(context.Background(), Options{}, dir)
	if err != nil {
		t.Fatal(err)
	}
	if report.Failed() < 4 {
		t.Errorf("of a network with another weight only %d of %d comparisons failed", report.Failed(), len(report.Results))
	}
	// No number, in a report that is JSON all the same.
	none := compared(Result{ID: "a"}, "output", parity.Difference{Of: "output", Got: math.NaN(), Error: math.NaN(), Allowed: 1})
	if text, err := json.Marshal(none); err != nil || none.OK || !strings.Contains(string(text), "NaN for 0") {
		t.Errorf("NaN is %s (%v)", text, err)
	}
	// A case that is not whole.
	for _, name := range []string{"io.npz", "diffusion_pytorch_model.safetensors"} {
		if err := os.Truncate(filepath.Join(dir, name), 1000); err != nil {
			t.Fatal(err)
		}
		report, err := Check(context.Background(), Options{}, dir)
		if err == nil && report.Failed() == 0 {
			t.Errorf("%s cut off passed", name)
		}
	}
}
