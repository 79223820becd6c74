package snrlab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// The program in the README is built and run as another module's, both ways
// that the README names. It has to work with nothing but the module cache.
func TestReadme_OtherModule(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```go\n(package main.*?)```").FindStringSubmatch(string(readme))
	if blocks == nil {
		t.Fatal("README.md has no Go program")
	}
	output := regexp.MustCompile("(?s)It prints\n\n```\n(.*?)```").FindStringSubmatch(string(readme))
	if output == nil {
		t.Fatal("README.md does not show what its program prints")
	}
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	sums, err := os.ReadFile("go.sum")
	if err != nil {
		t.Fatal(err)
	}
	for _, way := range []struct{ name, mod, work string }{
		{"replace", "module example\n\ngo 1.26\n\nrequire snrlab v0.0.0\n\nreplace snrlab => " + root + "\n", ""},
		{"workspace", "module example\n\ngo 1.26\n", "go 1.26.0\n\nuse (\n\t.\n\t" + root + "\n)\n"},
	} {
		t.Run(way.name, func(t *testing.T) {
			dir := t.TempDir()
			files := map[string]string{"main.go": blocks[1], "go.mod": way.mod, "go.sum": string(sums)}
			args := []string{"run", "-mod=mod", "."}
			if way.work != "" {
				files["go.work"], files["go.work.sum"] = way.work, string(sums)
				args = []string{"run", "."}
			}
			for name, text := range files {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("go", args...)
			cmd.Dir = dir
			// A workspace reads more of the dependencies' go.mod files than a build of
			// this module alone, so the proxy stays as the machine has it.
			cmd.Env = append(os.Environ(), "GOFLAGS=")
			out, err := cmd.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			if string(out) != output[1] {
				t.Errorf("it prints\n%s\nbut the README says\n%s", out, output[1])
			}
		})
	}
}

// Every make target that the documentation names exists.
func TestDocs_Targets(t *testing.T) {
	makefile, err := os.ReadFile("Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{"README.md", "CONTRIBUTING.md"} {
		text, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile("`?make ([a-z][a-z-]+)`").FindAllStringSubmatch(string(text), -1) {
			if !strings.Contains(string(makefile), "\n"+m[1]+":") {
				t.Errorf("%s names `make %s`, which the Makefile does not have", doc, m[1])
			}
		}
	}
}
