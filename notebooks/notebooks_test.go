// Package notebooks runs the notebooks beside it.
package notebooks

import (
	"context"
	"encoding/json"
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
		Outputs []any    `json:"outputs"`
	} `json:"cells"`
}

// program joins the code cells as the kernel does: declarations add up, and
// what follows a line "%%" is the body of a main of its own.
func program(nb notebook) string {
	var decls, mains strings.Builder
	n := 0
	for _, c := range nb.Cells {
		src := strings.Join(c.Source, "")
		if c.Type != "code" {
			continue
		}
		before, body, isMain := strings.Cut(src, "%%\n")
		decls.WriteString(before + "\n")
		if isMain {
			fmt.Fprintf(&mains, "func cell%d() {\n%s\n}\n", n, body)
			n++
		}
	}
	fmt.Fprintf(&mains, "func main() {\n")
	for i := range n {
		fmt.Fprintf(&mains, "\tcell%d()\n", i)
	}
	return "package main\n\n" + decls.String() + mains.String() + "}\n"
}

func run(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var nb notebook
	if err := json.Unmarshal(text, &nb); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	for i, c := range nb.Cells {
		if len(c.Outputs) > 0 {
			t.Errorf("%s: cell %d is kept with its outputs: clear them", path, i)
		}
	}
	// Inside the module, so that its packages are found; below testdata, so
	// that ./... does not see the program.
	if err := os.MkdirAll("testdata", 0o755); err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("testdata", "cells")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		os.RemoveAll(dir)
		os.Remove("testdata") // where it is empty
	})
	file := filepath.Join(dir, "main.go")
	if err := os.WriteFile(file, []byte(program(nb)), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(context.Background(), "go", "run", file).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", path, err, out)
	}
	return string(out)
}

// The first notebook prints a row a solver and budget, with an error that falls
// from 8 to 64 evaluations.
func TestFirstSteps(t *testing.T) {
	out := run(t, "first-steps.ipynb")
	rows := regexp.MustCompile(`(?m)^NFE +(\d+)  (\S+) +(\d+) steps  RMSE (\S+)$`).FindAllStringSubmatch(out, -1)
	if len(rows) != 16 {
		t.Fatalf("%d rows, expected 4 solvers at 4 budgets:\n%s", len(rows), out)
	}
	first := map[string]float64{}
	for _, r := range rows {
		var err float64
		if _, e := fmt.Sscan(r[4], &err); e != nil {
			t.Fatal(e)
		}
		if !(err > 0) {
			t.Errorf("%s has error %g", r[2], err)
		}
		if _, ok := first[r[2]]; !ok {
			first[r[2]] = err
		}
		// Order 1 at the asymptote gains 8; half of it leaves room for the
		// coarse end.
		if r[1] == "64" && err > first[r[2]]/4 {
			t.Errorf("%s: error %g at 64 evaluations after %g at 8", r[2], err, first[r[2]])
		}
	}
}
