package experiments

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/gofrs/flock"

	"snrlab/internal/runfile"
)

// ErrBusy says that another process works in a run folder.
var ErrBusy = errors.New("the run folder is in use")

// store is one run folder held by this process: its lock, its files and the
// cells that are finished.
type store struct {
	dir  string
	lock *flock.Flock
}

const (
	lockFile = ".lock"
	cellsDir = "cells"
)

// openStore makes the folder, takes its lock and removes what an earlier
// process was writing when it was killed.
func openStore(dir string) (*store, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("experiments: cannot make the run folder: %w; choose another place with --out", err)
	}
	s := &store{dir: dir, lock: flock.New(filepath.Join(dir, lockFile), flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o644))}
	ok, err := s.lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("experiments: cannot lock the run folder: %w; choose another place with --out", err)
	}
	if !ok {
		holder, _ := os.ReadFile(s.path(lockFile))
		return nil, fmt.Errorf("experiments: %s: %w by %s: wait for it or stop it", dir, ErrBusy, strings.TrimSpace(string(holder)))
	}
	if err := s.prepare(); err != nil {
		s.close()
		return nil, fmt.Errorf("experiments: cannot write in the run folder: %w; choose another place with --out", err)
	}
	return s, nil
}

func (s *store) prepare() error {
	host, err := os.Hostname()
	if err != nil {
		host = "this machine"
	}
	if err := os.WriteFile(s.path(lockFile), fmt.Appendf(nil, "process %d on %s\n", os.Getpid(), host), 0o644); err != nil {
		return err
	}
	return s.sweep()
}

func (s *store) path(name string) string { return filepath.Join(s.dir, name) }

func (s *store) close() error { return s.lock.Close() }

// halfWritten matches the temporary files of [runfile.WriteFile].
var halfWritten = regexp.MustCompile(`^\..+\.(json|csv|npz|cell|png|svg|html|md)\.[0-9]+$`)

// sweep removes files that a killed process was writing.
func (s *store) sweep() error {
	return filepath.WalkDir(s.dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !halfWritten.MatchString(d.Name()) {
			return err
		}
		return os.Remove(p)
	})
}

func (s *store) cellPath(id string) string { return filepath.Join(s.dir, cellsDir, id+".cell") }

// load reads a finished cell into v and says whether there was one. A cell
// whose bytes do not match their checksum counts as unfinished.
func (s *store) load(id string, v any) bool {
	b, err := os.ReadFile(s.cellPath(id))
	if err != nil || len(b) < sha256.Size {
		return false
	}
	if sum := sha256.Sum256(b[sha256.Size:]); !bytes.Equal(sum[:], b[:sha256.Size]) {
		return false
	}
	return gob.NewDecoder(bytes.NewReader(b[sha256.Size:])).Decode(v) == nil
}

// save stores a finished cell: SHA-256, then gob, which keeps every bit of a
// float64, NaN included.
func (s *store) save(id string, v any) error {
	var b bytes.Buffer
	if err := gob.NewEncoder(&b).Encode(v); err != nil {
		return fmt.Errorf("experiments: cell %s: %w", id, err)
	}
	if err := os.MkdirAll(s.path(cellsDir), 0o755); err != nil {
		return fmt.Errorf("experiments: %w", err)
	}
	return runfile.WriteFile(s.cellPath(id), func(w io.Writer) error {
		sum := sha256.Sum256(b.Bytes())
		if _, err := w.Write(sum[:]); err != nil {
			return err
		}
		_, err := w.Write(b.Bytes())
		return err
	})
}

// dropCells removes the cells of a finished run.
func (s *store) dropCells() error { return os.RemoveAll(s.path(cellsDir)) }

// cell returns the stored result of a cell, or computes and stores it. What
// compute returns must depend on the recipe, its inputs and the program alone.
// planned is the evaluations that the plan holds for it.
func cell[T any](ctx context.Context, r *run, id string, planned int64, compute func(context.Context) (*T, error)) (*T, error) {
	v := new(T)
	if r.store.load(id, v) {
		r.found.Add(1)
		r.progress.settle(planned, 0)
		return v, nil
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	before := r.progress.done.Load()
	v, err := compute(ctx)
	if err != nil {
		return nil, err
	}
	r.computed.Add(1)
	r.progress.settle(planned, r.progress.done.Load()-before)
	return v, r.store.save(id, v)
}
