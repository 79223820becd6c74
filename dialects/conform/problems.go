package conform

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"snrlab/dialects"
	"snrlab/models"
)

// problem is one distribution of problems.json.
type problem struct {
	ID, Kind, Note string
	Dim            int
	Weights        []float64
	Means          dialects.Array
	Stds           []float64
	Vars, Cov      dialects.Array
}

// denoiser builds the exact network.
func (p problem) denoiser() (models.Denoiser, error) {
	k := len(p.Weights)
	if k == 0 || p.Dim < 1 || !p.Means.Is(k, p.Dim) {
		return nil, fmt.Errorf("problem %s has means of shape %v: expected %d × %d", p.ID, p.Means.Shape, k, p.Dim)
	}
	c := models.Components{Shape: []int{p.Dim}, Weights: p.Weights, Means: p.Means.Values}
	switch p.Kind {
	case "mixture_isotropic":
		for _, s := range p.Stds {
			c.Residual = append(c.Residual, s*s)
		}
	case "mixture_diagonal":
		c.Residual = p.Vars.Values
	case "gaussian_full":
		if k != 1 {
			return nil, fmt.Errorf("problem %s is a Gaussian of %d components: expected 1", p.ID, k)
		}
		c.Cov = p.Cov.Values
	default:
		return nil, fmt.Errorf("problem %s is of kind %q: expected mixture_isotropic, mixture_diagonal or gaussian_full", p.ID, p.Kind)
	}
	m, err := models.NewMixture(c)
	if err != nil {
		return nil, fmt.Errorf("problem %s: %w", p.ID, err)
	}
	return m, nil
}

// readProblems reads problems.json.
func readProblems(path string) (map[string]models.Denoiser, error) {
	text, err := readJSON(path)
	if err != nil {
		return nil, &FileError{path, err}
	}
	var list struct {
		Format   json.RawMessage
		Problems []problem
	}
	if k, err := kindOf(text); err != nil || k != problemList {
		return nil, &FileError{path, fmt.Errorf("expected a list of problems of format 1: %v", err)}
	}
	if err := decode(text, &list); err != nil {
		return nil, &FileError{path, err}
	}
	all := map[string]models.Denoiser{}
	for _, p := range list.Problems {
		d, err := p.denoiser()
		if err != nil {
			return nil, &FileError{path, err}
		}
		all[p.ID] = d
	}
	return all, nil
}

// problemsFor finds the list that belongs to a file: in its folder, or in the
// one above.
func problemsFor(file string) (string, error) {
	dir := filepath.Dir(file)
	for _, d := range []string{dir, filepath.Dir(dir), filepath.Join(dir, "..")} {
		p := filepath.Join(d, "problems.json")
		if _, err := os.Stat(p); err == nil {
			return p, nil
		}
	}
	return "", &FileError{file, fmt.Errorf("no problems.json beside it or one folder up: name it with --problems")}
}
