package runfile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// Status is how far a run got.
type Status string

// The three states of a run folder.
const (
	Running  Status = "running" // started; being worked on, or killed: it resumes
	Finished Status = "finished"
	Failed   Status = "failed" // see Run.Error
)

// Run is run.json: what was run, by what, on what, and when.
type Run struct {
	Name       string            `json:"name"`
	Driver     string            `json:"driver"`           // "compare"
	Recipe     string            `json:"recipe"`           // resolved: TOML with every default filled in
	RecipeHash string            `json:"recipe_hash"`      // SHA-256 of Recipe, hexadecimal
	Inputs     map[string]string `json:"inputs,omitempty"` // SHA-256 of each input by its name
	Program    string            `json:"program"`          // SHA-256 of the program that ran
	Hash       string            `json:"hash"`             // of recipe, inputs and program together; its start names the folder
	Files      map[string]string `json:"files,omitempty"`  // SHA-256 of each data file of a finished run
	Version    string            `json:"version"`
	Go         string            `json:"go"`
	Platform   string            `json:"platform"` // "linux/amd64"
	CPU        string            `json:"cpu"`
	GOMAXPROCS int               `json:"gomaxprocs"`
	Key        string            `json:"key"` // root of all randomness
	Status     Status            `json:"status"`
	Error      string            `json:"error,omitempty"`
	Start      time.Time         `json:"start"`
	End        time.Time         `json:"end,omitzero"`
	Notes      []string          `json:"notes,omitempty"` // what a reader should know, one sentence each
}

// ReadRun reads a run.json.
func ReadRun(path string) (Run, error) {
	f, err := os.Open(path)
	if err != nil {
		return Run{}, fmt.Errorf("runfile: %w", err)
	}
	defer f.Close()
	return DecodeRun(f, path)
}

// DecodeRun reads run.json from r; file is what errors call it.
func DecodeRun(r io.Reader, file string) (Run, error) {
	var run Run
	dec := json.NewDecoder(r)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&run); err != nil {
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return Run{}, fmt.Errorf("runfile: %s: ends in the middle: expected one JSON object", file)
		}
		return Run{}, fmt.Errorf("runfile: %s: %w", file, err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return Run{}, fmt.Errorf("runfile: %s: goes on after its JSON object", file)
	}
	switch run.Status {
	case Running, Finished, Failed:
	default:
		return Run{}, fmt.Errorf("runfile: %s: status %q: expected %q, %q or %q", file, run.Status, Running, Finished, Failed)
	}
	return run, nil
}

// WriteRun writes a run.json, atomically.
func WriteRun(path string, run Run) error {
	return WriteFile(path, func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(run)
	})
}
