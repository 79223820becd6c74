package experiments

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"snrlab/data"
	"snrlab/internal/simd"
)

// Checkup is what doctor found: whether this machine can do the work, and what
// it will do it with.
type Checkup struct {
	Checks []Check `json:"checks"`
}

// Check is one question to the machine. State is "ok", "note" (works, but
// something is missing) or "bad".
type Check struct {
	Name  string `json:"name"`
	State string `json:"state"`
	Found string `json:"found"`
	Help  string `json:"help,omitempty"` // what to do about it
}

// Healthy says that nothing is bad.
func (c *Checkup) Healthy() bool {
	for _, k := range c.Checks {
		if k.State == "bad" {
			return false
		}
	}
	return true
}

// demoMemory is what the demo needs at most, in MB.
const demoMemory = 1000

// Doctor looks at the machine. It writes one small file in o.Out and removes
// it.
func Doctor(o Options) *Checkup {
	c := &Checkup{}
	add := func(name, state, found, help string) {
		c.Checks = append(c.Checks, Check{name, state, found, help})
	}
	add("program", "ok", fmt.Sprintf("snrlab %s, %s, %s/%s", Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH), "")
	add("processors", "ok", fmt.Sprintf("%d of %d in use: %s", runtime.GOMAXPROCS(0), runtime.NumCPU(), cpuName()), "")
	kernels := fmt.Sprintf("%s, %.0f GFLOP/s at most in float64", simd.Kernels(), simd.PeakGFLOPS(runtime.GOMAXPROCS(0)))
	if simd.Kernels() == simd.Portable {
		add("vector kernels", "note", kernels, "results are as good, but kernels exist for amd64 with AVX2 and FMA alone")
	} else {
		add("vector kernels", "ok", kernels, "")
	}
	switch free, err := freeMemory(); {
	case err != nil:
		add("memory", "note", "unknown", fmt.Sprintf("the demo needs up to %d MB", demoMemory))
	case free < demoMemory:
		add("memory", "bad", fmt.Sprintf("%d MB free", free), fmt.Sprintf("the demo needs up to %d MB", demoMemory))
	default:
		add("memory", "ok", fmt.Sprintf("%d MB free", free), "")
	}
	out := o.Out
	if out == "" {
		out = "runs"
	}
	if err := canMake(out); err != nil {
		add("run folders", "bad", err.Error(), "choose another place with --out")
	} else {
		add("run folders", "ok", "can be written in "+out, "")
	}
	if _, err := openDigits("", o); err != nil {
		add("digit mixture", "bad", err.Error(), "the program's embedded data are damaged: build it again")
	} else {
		add("digit mixture", "ok", "inside the program", "")
	}
	switch s, err := data.LoadMNIST(o.MNIST, "test"); {
	case errors.Is(err, data.ErrNoMNIST):
		add("MNIST", "note", err.Error(), "only points:mnist-test and fit need it")
	case err != nil:
		add("MNIST", "bad", err.Error(), "the files are damaged: fetch the module again, or name another folder")
	default:
		add("MNIST", "ok", fmt.Sprintf("%d test images", s.Len()), "")
	}
	return c
}

// canMake tries to write in a folder or, where there is none yet, in the nearest
// that it would be made in.
func canMake(dir string) error {
	for {
		_, err := os.Stat(dir)
		if up := filepath.Dir(dir); errors.Is(err, fs.ErrNotExist) && up != dir {
			dir = up
			continue
		}
		return canWrite(dir)
	}
}

// canWrite tries to write in a folder.
func canWrite(dir string) error {
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	if _, err := f.WriteString("written\n"); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// Text writes the findings for people.
func (c *Checkup) Text(w io.Writer) error {
	t := new(table)
	for _, k := range c.Checks {
		t.row(k.State, k.Name, k.Found)
		if k.Help != "" {
			t.row("", "", "→ "+k.Help)
		}
	}
	return t.flush(w)
}

// cpuName is what the processor calls itself, where the system says.
func cpuName() string {
	if name, ok := procLine("/proc/cpuinfo", "model name"); ok {
		return name
	}
	return runtime.GOARCH
}

// freeMemory is the memory that a program can still get, in MB.
func freeMemory() (int, error) {
	line, ok := procLine("/proc/meminfo", "MemAvailable")
	var kb int
	if _, err := fmt.Sscanf(line, "%d kB", &kb); !ok || err != nil {
		return 0, errors.New("experiments: the system does not say how much memory is free")
	}
	return kb >> 10, nil
}

// enoughMemory refuses work that would hold more bytes than are free; fewer is
// what it would take fewer of.
func enoughMemory(bytes int64, fewer string) error {
	if free, err := freeMemory(); err == nil && bytes>>20 > int64(free) {
		return fmt.Errorf("the work would hold about %d MB and %d MB are free; use fewer %s", bytes>>20, free, fewer)
	}
	return nil
}

// procLine is the value of the first "key : value" line of a file.
func procLine(path, key string) (string, bool) {
	f, err := os.Open(path)
	if err != nil {
		return "", false
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if k, v, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(k) == key {
			return strings.TrimSpace(v), true
		}
	}
	return "", false
}
