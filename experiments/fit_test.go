package experiments

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"snrlab/data"
)

// A poor and quick fit of all images: the file says what was done, and a
// better residual shows in its likelihoods.
func TestFit_Property(t *testing.T) {
	if testing.Short() {
		t.Skip("reads and fits 60,000 images")
	}
	f := Fit{Clusters: 1, Rank: 2, Residual: 0.05, Iterations: 1, Starts: 1, Seed: 3}
	path := filepath.Join(t.TempDir(), "new", "digits.npz")
	r, err := f.Run(t.Context(), path, nil)
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	m, err := data.ReadMixture(file)
	if err != nil {
		t.Fatal(err)
	}
	if m.Origin != r.Origin || m.Len() != 10 || r.Components != 10 {
		t.Errorf("the file has %d components and says %+v, the report %+v", m.Len(), m.Origin, r.Origin)
	}
	if o := m.Origin; o.Seed != 3 || o.Rows != 60000 || o.Stored != 0.05 || o.Fitted < 0.2 || o.HeldOut.Stored >= o.HeldOut.Fitted {
		t.Errorf("origin %+v", o)
	}
	for i, l := range r.LogLik[1:] {
		if l < r.LogLik[i] {
			t.Errorf("iteration %d loses likelihood: %v", i+1, r.LogLik)
		}
	}
}

func TestFit_Refuses(t *testing.T) {
	dir := t.TempDir()
	ok := DefaultFit()
	bad := ok
	bad.Residual = -1
	if _, err := bad.Run(t.Context(), filepath.Join(dir, "a.npz"), nil); err == nil {
		t.Error("negative residual: no error")
	}
	bad = ok
	bad.Clusters = 0
	if _, err := bad.Run(t.Context(), filepath.Join(dir, "a.npz"), nil); err == nil {
		t.Error("no clusters: no error")
	}
	bad = ok
	bad.MNIST = dir
	if _, err := bad.Run(t.Context(), filepath.Join(dir, "a.npz"), nil); !errors.Is(err, data.ErrNoMNIST) {
		t.Errorf("empty folder: %v", err)
	}
	if _, err := ok.Run(t.Context(), dir, nil); err == nil {
		t.Error("a folder as the file: no error")
	}
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ok.Run(t.Context(), filepath.Join(dir, "file", "a.npz"), nil); err == nil {
		t.Error("a file as the folder: no error")
	}
}
