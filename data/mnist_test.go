package data

import (
	"compress/gzip"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Facts about MNIST as published: the count of every digit, the first ten
// labels, and the mean and deviation of a training pixel in [0, 1] to four
// digits, 0.1307 and 0.3081.
func TestLoadMNIST_Golden(t *testing.T) {
	for split, want := range map[string]struct {
		first  string
		counts [10]int
	}{
		"test":  {"7210414959", [10]int{980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009}},
		"train": {"5041921314", [10]int{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}},
	} {
		s, err := LoadMNIST("", split)
		if err != nil {
			t.Fatal(err)
		}
		var counts [10]int
		for _, l := range s.Labels {
			counts[l]++
		}
		if counts != want.counts {
			t.Errorf("%s: %v of each digit, want %v", split, counts, want.counts)
		}
		first := ""
		for _, l := range s.Labels[:10] {
			first += string(rune('0' + l))
		}
		if first != want.first {
			t.Errorf("%s begins with %s, want %s", split, first, want.first)
		}
		if split != "train" {
			continue
		}
		var sum, square float64
		for _, v := range s.Values() {
			if v < -1 || v > 1 {
				t.Fatalf("pixel %g outside [-1, 1]", v)
			}
			u := (v + 1) / 2
			sum += u
			square += u * u
		}
		n := float64(len(s.Values()))
		mean := sum / n
		std := math.Sqrt(square/n - mean*mean)
		if math.Abs(mean-0.1307) > 5e-5 || math.Abs(std-0.3081) > 5e-5 { // the published figures have four digits
			t.Errorf("pixels have mean %.5f and deviation %.5f, want 0.1307 and 0.3081", mean, std)
		}
	}
}

// unpackTest copies the test split, unpacked, into a new folder.
func unpackTest(t *testing.T) string {
	t.Helper()
	from, err := mnistDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{mnist["test"].images, mnist["test"].labels} {
		f, err := os.Open(filepath.Join(from, name+".gz"))
		if err != nil {
			t.Fatal(err)
		}
		z, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		raw, err := io.ReadAll(z)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		if err := os.WriteFile(filepath.Join(dir, name), raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestLoadMNIST_Refuses(t *testing.T) {
	dir := unpackTest(t)
	if s, err := LoadMNIST(dir, "test"); err != nil || s.Len() != 10000 {
		t.Fatalf("plain files: %v", err)
	}
	path := filepath.Join(dir, mnist["test"].labels)
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	raw[len(raw)-1] ^= 1
	if err := os.WriteFile(path, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMNIST(dir, "test"); err == nil || !strings.Contains(err.Error(), "SHA-256") {
		t.Errorf("one changed label: %v, want a wrong SHA-256", err)
	}
	if err := os.WriteFile(path, raw[:len(raw)-1], 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMNIST(dir, "test"); !errors.Is(err, ErrIDX) {
		t.Errorf("truncated file: %v, want ErrIDX", err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadMNIST(dir, "test"); !errors.Is(err, ErrNoMNIST) {
		t.Errorf("missing file: %v, want ErrNoMNIST", err)
	}
	if _, err := LoadMNIST("", "valid"); err == nil {
		t.Error("split valid: no error")
	}
	t.Setenv("GOMODCACHE", t.TempDir())
	t.Setenv("PATH", "")
	if _, err := LoadMNIST("", "test"); !errors.Is(err, ErrNoMNIST) || !strings.Contains(err.Error(), "go mod download") {
		t.Errorf("empty cache: %v, want what to do", err)
	}
}

// The version in the code is the one that go.mod pins.
func TestMNISTVersion_AgreesWith_GoMod(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), mnistModule+" "+mnistVersion) {
		t.Errorf("go.mod does not pin %s at %s", mnistModule, mnistVersion)
	}
}
