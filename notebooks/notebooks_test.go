// Package notebooks executes the notebooks beside it.
package notebooks

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

type notebook struct {
	Cells []struct {
		Type    string   `json:"cell_type"`
		Source  []string `json:"source"`
		Outputs []struct {
			Type string                     `json:"output_type"`
			Name string                     `json:"name"`
			Text []string                   `json:"text"`
			Data map[string]json.RawMessage `json:"data"`
		} `json:"outputs"`
	} `json:"cells"`
}

func read(t *testing.T, path string) notebook {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var nb notebook
	if err := json.Unmarshal(text, &nb); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return nb
}

// stdout is what the cells printed, figures how many they showed.
func (nb notebook) stdout() (text string, figures int) {
	for _, c := range nb.Cells {
		for _, o := range c.Outputs {
			if o.Name == "stdout" {
				text += strings.Join(o.Text, "")
			}
			if _, ok := o.Data["image/png"]; ok {
				figures++
			}
		}
	}
	return text, figures
}

// The first notebook says that v-prediction on the cosine schedule and rectified
// flow are one objective, e^(−λ/2).
func checkCurve(t *testing.T, nb notebook) {
	text, figures := nb.stdout()
	if figures != 1 {
		t.Errorf("%d figures, expected 1", figures)
	}
	rows := regexp.MustCompile(`(?m)^ +(-?\d+) +(\S+) +(\S+) +(\S+) +(\S+)$`).FindAllStringSubmatch(text, -1)
	if len(rows) != 5 {
		t.Fatalf("%d rows of objectives, expected 5:\n%s", len(rows), text)
	}
	for i, want := range []string{"54.5982", "7.38906", "1", "0.135335", "0.0183156"} {
		if rows[i][3] != want || rows[i][4] != want {
			t.Errorf("λ = %s: v-cosine %s, rf %s: expected %s, e^(−λ/2), of both", rows[i][1], rows[i][3], rows[i][4], want)
		}
	}
}

// The second notebook prints a row a solver and budget, with an error that falls
// from 6 to 40 evaluations, and less error of the multistep method than of Heun.
func checkSamplers(t *testing.T, nb notebook) {
	text, figures := nb.stdout()
	if figures != 3 {
		t.Errorf("%d figures, expected 3", figures)
	}
	rows := regexp.MustCompile(`(?m)^NFE +(\d+)  (\S+) +RMSE (\S+)$`).FindAllStringSubmatch(text, -1)
	if len(rows) != 20 {
		t.Fatalf("%d rows, expected 4 solvers at 5 budgets:\n%s", len(rows), text)
	}
	errs := map[string]float64{}
	for _, r := range rows {
		var v float64
		if _, err := fmt.Sscan(r[3], &v); err != nil || !(v > 0) {
			t.Errorf("%s at %s has the error %s", r[2], r[1], r[3])
		}
		errs[r[2]+" "+r[1]] = v
	}
	for _, solver := range []string{"ddim", "heun", "dpmpp-2m", "ab3"} {
		// Order 1 at the asymptote gains 6.7; half of it leaves room for the coarse end.
		if first, last := errs[solver+" 6"], errs[solver+" 40"]; last > first/3 {
			t.Errorf("%s: error %g at 40 evaluations after %g at 6", solver, last, first)
		}
	}
	for _, nfe := range []string{"6", "10"} {
		if errs["dpmpp-2m "+nfe] > errs["heun "+nfe] {
			t.Errorf("at %s evaluations dpmpp-2m has the error %g and heun %g: the notebook says otherwise", nfe, errs["dpmpp-2m "+nfe], errs["heun "+nfe])
		}
	}
}

var checks = map[string]func(*testing.T, notebook){"snr-curve.ipynb": checkCurve, "two-samplers.ipynb": checkSamplers}

// What is kept in the tree shows what the text says, and nothing of the machine
// that it was made on.
func TestStored(t *testing.T) {
	files, err := filepath.Glob("*.ipynb")
	if err != nil || len(files) != len(checks) {
		t.Fatalf("%v, %v: expected a check for each notebook", files, err)
	}
	for _, file := range files {
		t.Run(file, func(t *testing.T) {
			checks[file](t, read(t, file))
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			root, err := filepath.Abs("..")
			if err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{root, os.TempDir() + "/", "/home/", "/root/"} {
				if strings.Contains(string(text), path) {
					t.Errorf("%s holds the path %s", file, path)
				}
			}
			if regexp.MustCompile(`"iopub\.|"execution": \{`).Match(text) {
				t.Errorf("%s holds times of execution: write it with make notebooks", file)
			}
		})
	}
}

// execute runs the script, and skips where it says that a program is missing:
// but not where SNRLAB_NOTEBOOKS is set, as in .ci/run.
func execute(t *testing.T, args ...string) (string, error) {
	t.Helper()
	if testing.Short() {
		t.Skip("executes notebooks, a minute: not under -short")
	}
	b, err := exec.Command("bash", append([]string{"../scripts/notebooks.sh"}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		if os.Getenv("SNRLAB_NOTEBOOKS") != "" {
			t.Fatalf("%s", b)
		}
		t.Skipf("cannot execute notebooks here: %s", b)
	}
	return string(b), err
}

// Executed from scratch, every notebook says what it says in the tree.
func TestExecute(t *testing.T) {
	out := t.TempDir()
	if log, err := execute(t, out); err != nil {
		t.Fatalf("%v\n%s", err, log)
	}
	for file, check := range checks {
		t.Run(file, func(t *testing.T) { check(t, read(t, filepath.Join(out, file))) })
	}
}

// A cell that fails fails the execution.
func TestExecute_Refuses(t *testing.T) {
	nb := map[string]any{
		"cells": []any{map[string]any{
			"cell_type": "code", "execution_count": nil, "metadata": map[string]any{}, "outputs": []any{},
			"source": []string{"%%\n", "panic(\"the answer is wrong\")"},
		}},
		"metadata": map[string]any{"kernelspec": map[string]any{"display_name": "Go (gonb)", "language": "go", "name": "gonb"}},
		"nbformat": 4, "nbformat_minor": 4,
	}
	b, err := json.Marshal(nb)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "bad.ipynb")
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	log, err := execute(t, t.TempDir(), file)
	if err == nil || !strings.Contains(log, "a cell failed") || !strings.Contains(log, "the answer is wrong") {
		t.Errorf("%v: expected the execution to fail with the cell's words:\n%s", err, log)
	}
}
