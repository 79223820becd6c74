package solvers

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"

	"snrlab/internal/runfile"
	"snrlab/internal/spec"
	"snrlab/schedules"
)

// Fitted is a solver that a file describes: the result of a fit, on the one grid
// that was fitted with it, which the spacing of the same name reads from the same
// file. Its file is a [FittedFile].
//
// Sum is the beginning of the SHA-256 of the file. It is filled in when the file
// is read, so that what prints this solver's name records what was in the file,
// and checked where it is given.
type Fitted struct {
	File string `json:"file"`
	Sum  string `json:"sum"`
	own  walked
}

// walked is a solver of this package, as the frame runs it.
type walked interface {
	Solver
	method() method
	Validate() error
}

// FittedFile is the content of a file: levels with one of a linear solver, a
// gated one, AMED with its network, and the name of another.
type FittedFile struct {
	Format string          `json:"format"`
	S      []float64       `json:"s,omitempty"`      // of Use
	Use    string          `json:"use,omitempty"`    // a solver by name
	Linear *Linear         `json:"linear,omitempty"` // on levels of its own
	Gated  *Gated          `json:"gated,omitempty"`  // on levels of its own
	AMED   *AMEDNet        `json:"amed,omitempty"`   // on levels of its own
	Fit    json.RawMessage `json:"fit,omitempty"`    // where the numbers come from
}

const fittedFormat = "snrlab fitted solver 1"

// Write writes the file, whole or not at all.
func (f FittedFile) Write(path string) error {
	f.Format = fittedFormat
	if _, err := f.solver(); err != nil {
		return fmt.Errorf("solvers: %s: %w", path, err)
	}
	return runfile.WriteFile(path, func(w io.Writer) error {
		e := json.NewEncoder(w)
		e.SetIndent("", " ")
		return e.Encode(f)
	})
}

// ReadFitted reads a file.
func ReadFitted(path string) (*FittedFile, error) {
	f, _, err := readFitted(path)
	if err != nil {
		return nil, fmt.Errorf("solvers: %w", err)
	}
	return f, nil
}

func readFitted(path string) (*FittedFile, string, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, "", err
	}
	var f FittedFile
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	if f.Format != fittedFormat {
		return nil, "", fmt.Errorf("%s: format is %q: expected %q", path, f.Format, fittedFormat)
	}
	if _, err := f.solver(); err != nil {
		return nil, "", fmt.Errorf("%s: %w", path, err)
	}
	sum := sha256.Sum256(text)
	return &f, hex.EncodeToString(sum[:6]), nil
}

// solver returns the one solver that the file describes.
func (f *FittedFile) solver() (walked, error) {
	given := 0
	for _, yes := range []bool{f.Use != "", f.Linear != nil, f.Gated != nil, f.AMED != nil} {
		if yes {
			given++
		}
	}
	switch {
	case given != 1:
		return nil, fmt.Errorf("the file describes %d solvers: expected one of use, linear, gated and amed", given)
	case f.Linear != nil:
		return f.Linear, f.Linear.Validate()
	case f.Gated != nil:
		return f.Gated, f.Gated.Validate()
	case f.AMED != nil:
		return f.AMED, f.AMED.Validate()
	}
	if len(f.S) < 2 {
		return nil, fmt.Errorf("s has %d levels: expected at least 2", len(f.S))
	}
	if err := checkLevels(f.S); err != nil {
		return nil, err
	}
	s, err := Registry().Parse(f.Use)
	if err != nil {
		return nil, err
	}
	m, ok := s.(interface {
		Solver
		method() method
	})
	if !ok || s.Properties().Adaptive {
		return nil, fmt.Errorf("use: %s chooses its own steps: expected a solver that walks a grid", s)
	}
	return onGrid{m, f.S}, nil
}

// onGrid is a solver on one grid.
type onGrid struct {
	of interface {
		Solver
		method() method
	}
	s []float64
}

func (o onGrid) String() string           { return o.of.String() }
func (o onGrid) Properties() Properties   { return o.of.Properties() }
func (o onGrid) NFE(g schedules.Grid) int { return o.of.NFE(g) }
func (o onGrid) Validate() error          { return checkLevels(o.s) }

func (o onGrid) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(o, o.method(), p, x, opts)
}

func (o onGrid) method() method {
	m := o.of.method()
	m.fits = func(g schedules.Grid) error { return onlyGrid(o.s, g) }
	return m
}

// contentName names a solver by a sum of its numbers, where they are too many to
// print.
func contentName(kind string, s any) string {
	text, err := json.Marshal(s)
	if err != nil {
		return kind + "(invalid)"
	}
	sum := sha256.Sum256(text)
	return kind + "(sum=" + hex.EncodeToString(sum[:6]) + ")"
}

// Levels returns the ŝ of the solver's grid.
func (f *FittedFile) Levels() []float64 {
	switch {
	case f.Linear != nil:
		return f.Linear.S
	case f.Gated != nil:
		return f.Gated.S
	case f.AMED != nil:
		return f.AMED.S
	}
	return f.S
}

// load reads the file.
func (s *Fitted) load() error {
	if s.File == "" {
		return fmt.Errorf("fitted names no file: expected fitted(file=NAME.json)")
	}
	f, sum, err := readFitted(s.File)
	if err != nil {
		return err
	}
	if s.Sum != "" && s.Sum != sum {
		return fmt.Errorf("%s has the sum %s, not %s: the file has changed; leave sum out to take it as it is", s.File, sum, s.Sum)
	}
	s.Sum = sum
	s.own, err = f.solver()
	return err
}

// NewFitted reads the solver that a file describes.
func NewFitted(path string) (*Fitted, error) {
	s := &Fitted{File: path}
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("solvers: %w", err)
	}
	return s, nil
}

func (s *Fitted) String() string { return spec.Full("fitted", s) }

// Properties implements [Solver].
func (s *Fitted) Properties() Properties { return s.own.Properties() }

// NFE implements [Solver].
func (s *Fitted) NFE(g schedules.Grid) int { return s.own.NFE(g) }

func (s *Fitted) method() method { return s.own.method() }

// Start implements [Solver].
func (s *Fitted) Start(p Problem, x []float64, opts ...RunOption) (Stepper, error) {
	return start(s, s.method(), p, x, opts)
}
