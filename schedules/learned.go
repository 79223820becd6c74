package schedules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"sync"

	"snrlab/internal/runfile"
	"snrlab/snr"
)

// Learned is a schedule on [0, 1] from a file: a density of λ whose logarithm is linear
// between knots, so that t is a monotone spline of λ with a closed inverse. Sum is
// the beginning of the SHA-256 of the file; it is filled in when the file is read, so
// that what prints this schedule's name records what was in the file, and checked
// where it is given.
type Learned struct {
	File string `json:"file"`
	Sum  string `json:"sum"`
	To   Path   `json:"path"`

	once sync.Once
	of   FromDensity
	err  error
}

// LearnedFile is what a file of [Learned] holds.
type LearnedFile struct {
	Knots []float64       `json:"knots"`         // of λ, rising
	Log   []float64       `json:"log"`           // log p there, up to a constant
	Fit   json.RawMessage `json:"fit,omitempty"` // how it was found
}

// Write writes the file, which appears whole or not at all.
func (f LearnedFile) Write(path string) error {
	if err := (&snr.LogLinear{Knots: f.Knots, Log: f.Log}).Validate(); err != nil {
		return fmt.Errorf("schedules: learned: %w", err)
	}
	return runfile.WriteFile(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(f) })
}

// Validate reads the file, and reports one that holds no schedule or not that which
// Sum says.
func (s *Learned) Validate() error {
	s.once.Do(func() { s.of, s.err = s.load() })
	return s.err
}

func (s *Learned) load() (FromDensity, error) {
	if s.File == "" || s.To == nil {
		return FromDensity{}, fmt.Errorf("schedules: learned needs a file and a path: expected learned(file=NAME.json)")
	}
	text, err := os.ReadFile(s.File)
	if err != nil {
		return FromDensity{}, fmt.Errorf("schedules: learned: %w", err)
	}
	var f LearnedFile
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&f); err != nil {
		return FromDensity{}, fmt.Errorf("schedules: %s: %w", s.File, err)
	}
	of := FromDensity{Of: &snr.LogLinear{Knots: f.Knots, Log: f.Log}, To: s.To}
	if err := of.Of.(*snr.LogLinear).Validate(); err != nil {
		return FromDensity{}, fmt.Errorf("schedules: %s holds no learned schedule: %w", s.File, err)
	}
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:6]); s.Sum != "" && s.Sum != got {
		return FromDensity{}, fmt.Errorf("schedules: %s has the sum %s, not %s: the file has changed; leave sum out to take it as it is", s.File, got, s.Sum)
	} else {
		s.Sum = got
	}
	return of, of.Validate()
}

// Density returns the density that uniform times draw; nil where Validate refuses.
func (s *Learned) Density() snr.Density {
	if s.Validate() != nil {
		return nil
	}
	return s.of.Of
}

// At returns the level at t, or one that Validate refuses where the file has none.
func (s *Learned) At(t float64) Level {
	if s.Validate() != nil {
		return Level{T: t, Alpha: math.NaN(), Sigma: math.NaN()}
	}
	return s.of.At(t)
}

// TimeOf inverts.
func (s *Learned) TimeOf(l snr.LogSNR) float64 {
	if s.Validate() != nil {
		return math.NaN()
	}
	return s.of.TimeOf(l)
}

// LogSNRRate returns dλ/dt.
func (s *Learned) LogSNRRate(t float64) float64 {
	if s.Validate() != nil {
		return math.NaN()
	}
	return s.of.LogSNRRate(t)
}

// Domain is [0, 1].
func (*Learned) Domain() (clean, noisy float64) { return 0, 1 }

// Path is the path asked for.
func (s *Learned) Path() Path { return s.To }

func (s *Learned) String() string { return Registry().Format("learned", s) }
