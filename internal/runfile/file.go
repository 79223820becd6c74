package runfile

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// Names of the files of a run folder.
const (
	RunJSON    = "run.json"
	StepsCSV   = "steps.csv"
	SummaryCSV = "summary.csv"
	TimingsCSV = "timings.csv"
	TraceNPZ   = "trace.npz"
	FiguresDir = "figures"
	ReportHTML = "report.html"
)

// WriteFile makes a file appear at path whole or not at all: write fills a
// temporary file beside it, which is synced and renamed.
func WriteFile(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("runfile: %w", err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
			err = fmt.Errorf("runfile: write %s: %w", path, err)
		}
	}()
	buf := bufio.NewWriterSize(f, 1<<16)
	if err := write(buf); err != nil {
		return err
	}
	if err := buf.Flush(); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := f.Close(); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	// The rename itself is made durable where a folder can be synced; where it
	// cannot, the file is whole all the same.
	if dir, err := os.Open(filepath.Dir(path)); err == nil {
		_ = dir.Sync()
		dir.Close()
	}
	return nil
}

// ReadSteps reads a steps.csv.
func ReadSteps(path string) ([]StepRow, error) { return readRows[StepRow](path) }

// WriteSteps writes a steps.csv, atomically.
func WriteSteps(path string, rows []StepRow) error { return writeRows(path, rows) }

// ReadSummary reads a summary.csv.
func ReadSummary(path string) ([]SummaryRow, error) { return readRows[SummaryRow](path) }

// WriteSummary writes a summary.csv, atomically.
func WriteSummary(path string, rows []SummaryRow) error { return writeRows(path, rows) }

// ReadTimings reads a timings.csv.
func ReadTimings(path string) ([]TimingRow, error) { return readRows[TimingRow](path) }

// WriteTimings writes a timings.csv, atomically.
func WriteTimings(path string, rows []TimingRow) error { return writeRows(path, rows) }

func readRows[T any](path string) ([]T, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("runfile: %w", err)
	}
	defer f.Close()
	return DecodeRows[T](bufio.NewReader(f), path)
}

func writeRows[T any](path string, rows []T) error {
	return WriteFile(path, func(w io.Writer) error { return EncodeRows(w, rows) })
}

// SHA256 is the hash of a file's bytes, in hexadecimal.
func SHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", fmt.Errorf("%s: %w", path, err)
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
