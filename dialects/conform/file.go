// Package conform holds the translations of package dialects to recorded runs
// of the programs they speak for.
//
// A golden file holds cases: the noise levels, the start, every network call,
// every draw and every state of a run on a distribution whose network is known
// in closed form. [Check] builds the same network, translates the case, replays
// its draws and compares. A case that cannot be translated fails.
//
// References:
//
//	[chen2024gits] D. Chen et al., On the Trajectory Regularity of ODE-based Diffusion Sampling, arXiv 2405.11326.
//	[zhou2024]     Z. Zhou et al., Fast ODE-based Sampling for Diffusion Models in Around 5 Steps, arXiv 2312.00094.
package conform

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"snrlab/dialects"
)

// FileError is a file that cannot be read as what it should be.
type FileError struct {
	Path string
	Err  error
}

func (e *FileError) Error() string { return fmt.Sprintf("conform: %s: %v", e.Path, e.Err) }

func (e *FileError) Unwrap() error { return e.Err }

// maxBytes bounds a file, unpacked, so that a small hostile one cannot fill the
// memory.
const maxBytes = 256 << 20

// readJSON returns the text of a .json or .json.gz file.
func readJSON(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var r io.Reader = f
	if strings.HasSuffix(path, ".gz") {
		z, err := gzip.NewReader(f)
		if err != nil {
			return nil, fmt.Errorf("expected a gzip file: %w", err)
		}
		r = z
	}
	text, err := io.ReadAll(io.LimitReader(r, maxBytes+1))
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return nil, errors.New("the file is cut off")
	case err != nil:
		return nil, err
	case len(text) > maxBytes:
		return nil, fmt.Errorf("more than %d MB unpacked", maxBytes>>20)
	}
	return text, nil
}

// decode reads text strictly into v: one value, no fields that v lacks.
func decode(text []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err := d.Decode(v)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return errors.New("the file is cut off")
	case err != nil:
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more text after the JSON value")
	}
	return nil
}

// kind is what a file holds, told by its field beside "format".
type kind string

// The kinds of golden files.
const (
	sampleCases kind = "cases"
	sigmaTables kind = "schedules" // of β, of σ, of timesteps
	weights     kind = "karras_style"
	thresholds  kind = "examples"
	searches    kind = "searches"
	convergence kind = "rmse"
	problemList kind = "problems"
)

var kinds = []kind{sampleCases, sigmaTables, weights, thresholds, searches, convergence, problemList}

// errOther is JSON of no golden format.
var errOther = errors.New("not a golden file: it has no field \"format\"")

// kindOf tells what a text holds.
func kindOf(text []byte) (kind, error) {
	var head map[string]json.RawMessage
	if err := json.Unmarshal(text, &head); err != nil {
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) && int(syntax.Offset) >= len(text) {
			return "", errors.New("the file is cut off")
		}
		var other *json.UnmarshalTypeError
		if errors.As(err, &other) {
			return "", fmt.Errorf("expected a JSON object, the file holds another kind of value: %s", other.Value)
		}
		return "", fmt.Errorf("expected a JSON object: %w", err)
	}
	format, ok := head["format"]
	if !ok {
		return "", errOther
	}
	if string(bytes.TrimSpace(format)) != "1" {
		return "", fmt.Errorf("format is %s: expected 1", shortened(format))
	}
	for _, k := range kinds {
		if _, ok := head[string(k)]; ok {
			return k, nil
		}
	}
	return "", fmt.Errorf("format 1 with none of the fields %v", kinds)
}

// shortened is a value of a file as an error shows it: whole, or its beginning.
func shortened(value json.RawMessage) string {
	const most = 20
	text := []rune(string(bytes.TrimSpace(value)))
	if len(text) <= most {
		return string(text)
	}
	var s string
	if json.Unmarshal(value, &s) == nil {
		runes := []rune(s)
		return fmt.Sprintf("%q…, %d characters in all", string(runes[:min(most, len(runes))]), len(runes))
	}
	return fmt.Sprintf("%s…, %d characters in all", string(text[:most]), len(text))
}

// recorded is one case as the file has it.
type recorded struct {
	ID, Peer, Repository, Commit, Family, Sampler, Problem, Precision string

	Float32Tables bool            `json:"float32_tables"`
	GapToFloat64  *float64        `json:"gap_to_float64"`
	Seed          json.Number     `json:"seed"`
	NumSteps      int             `json:"num_steps"`
	Config        values          `json:"config"`
	Schedule      values          `json:"schedule"`
	Args          values          `json:"args"`
	SetTimesteps  values          `json:"set_timesteps"`
	Step          values          `json:"step"`
	Amed          json.RawMessage `json:"amed"`
	XSpace        string          `json:"x_space"`
	Tables        map[string]dialects.Array
	XInit         dialects.Array  `json:"x_init"`
	LatentsUnit   *dialects.Array `json:"latents_unit"`
	States        dialects.Array  `json:"states"`
	Calls         []call          `json:"calls"`
	Noises        dialects.Array  `json:"noises"`
	NoiseArgs     dialects.Array  `json:"noise_args"`
	CoeffList     *dialects.Array `json:"coeff_list"`
	Adaptive      []attempt       `json:"adaptive"`
	NFE           int             `json:"nfe"`
	XFinal        dialects.Array  `json:"x_final"`
	XFinalMean    *dialects.Array `json:"x_final_mean"`
	ODEExactFinal *dialects.Array `json:"ode_exact_final"`
	Sensitivity   float64         `json:"sensitivity"`
	XScale        float64         `json:"x_scale"`
	Quirks        []string        `json:"quirks"`
}

type values map[string]json.RawMessage

// attempt is one step of a method that chooses its steps.
type attempt struct {
	Error    float64 `json:"error"`    // in tolerances
	Next     float64 `json:"h_next"`   // size of the step after it
	T        float64 `json:"t"`        // −log σ after it
	Accepted int     `json:"n_accept"` // so far
	Rejected int     `json:"n_reject"`
}

// call is one network call.
type call struct {
	XIn     dialects.Array  `json:"x_in"`
	Alpha   dialects.Array  `json:"alpha"`
	Sigma   dialects.Array  `json:"sigma"`
	OutKind string          `json:"out_kind"`
	Out     *dialects.Array `json:"out"`
	X0      dialects.Array  `json:"x0"`
	T       json.RawMessage `json:"t"`
}

// validate reports sizes that do not fit.
func (c *recorded) validate(dim int) error {
	rows := c.XInit.Len()
	shape := []int{rows, dim}
	if rows == 0 || !c.XInit.Is(shape...) {
		return fmt.Errorf("x_init has shape %v: expected rows × %d", c.XInit.Shape, dim)
	}
	check := func(name string, a *dialects.Array, lead ...int) error {
		if a == nil || len(lead) > 0 && lead[0] == 0 && len(a.Values) == 0 {
			return nil
		}
		if want := append(slices.Clone(lead), shape...); !a.Is(want...) {
			return fmt.Errorf("%s has shape %v: expected %v", name, a.Shape, want)
		}
		return nil
	}
	err := errors.Join(
		check("x_final", &c.XFinal), check("latents_unit", c.LatentsUnit), check("x_final_mean", c.XFinalMean),
		check("ode_exact_final", c.ODEExactFinal),
		check("states", &c.States, c.States.Len()), check("noises", &c.Noises, c.Noises.Len()))
	for i := range c.Calls {
		k := &c.Calls[i]
		err = errors.Join(err, check(fmt.Sprintf("calls[%d].x_in", i), &k.XIn), check(fmt.Sprintf("calls[%d].x0", i), &k.X0))
		if len(k.Alpha.Values) != 1 || len(k.Sigma.Values) != 1 {
			err = errors.Join(err, fmt.Errorf("calls[%d] has %d alpha and %d sigma: expected one of each", i, len(k.Alpha.Values), len(k.Sigma.Values)))
		}
	}
	switch {
	case c.ID == "":
		err = errors.Join(err, errors.New("no id"))
	case c.Precision != "float64" && c.Precision != "as_shipped":
		err = errors.Join(err, fmt.Errorf("precision is %q: expected float64 or as_shipped", c.Precision))
	case c.Precision == "as_shipped" && c.GapToFloat64 == nil:
		err = errors.Join(err, errors.New("no gap_to_float64 although the precision is as_shipped"))
	case c.States.Len() == 0:
		err = errors.Join(err, errors.New("no states"))
	case c.NFE != len(c.Calls):
		err = errors.Join(err, fmt.Errorf("nfe is %d and calls has %d", c.NFE, len(c.Calls)))
	case c.NumSteps < 0:
		err = errors.Join(err, fmt.Errorf("num_steps is %d: expected at least 0", c.NumSteps))
	case !(c.Sensitivity >= 0) || !(c.XScale >= 0):
		err = errors.Join(err, fmt.Errorf("sensitivity is %g and x_scale %g: expected numbers ≥ 0", c.Sensitivity, c.XScale))
	}
	return err
}

// find lists the files below the paths in order; JSON files met on the way that
// are of no golden format end up in others.
func find(paths []string) (files []string, err error) {
	for _, p := range paths {
		info, err := os.Stat(p)
		if err != nil {
			return nil, &FileError{p, err}
		}
		if !info.IsDir() {
			files = append(files, p)
			continue
		}
		err = filepath.WalkDir(p, func(path string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() && (strings.HasSuffix(path, ".json") || strings.HasSuffix(path, ".json.gz")) {
				files = append(files, path)
			}
			return err
		})
		if err != nil {
			return nil, &FileError{p, err}
		}
	}
	return files, nil
}
