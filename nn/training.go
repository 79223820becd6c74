package nn

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"snrlab/internal/runfile"
	"snrlab/nn/safetensors"
	"snrlab/rng"
)

// Training is all that decides how the training of a network goes on, beside the
// program and its data. What is drawn in a step has to be drawn from keys that
// are split from Key by the number of the step.
type Training[T Float] struct {
	Params    Params[T]
	Optimiser *Optimiser[T]
	EMAs      []*EMA[T]
	Key       rng.Key
	// Settings are the program's own, in any form. A state that was saved with
	// others is refused, as one of another rule, rate, limit or average is.
	Settings string
	// Amend takes a state in spite of another rate, limit or settings, to go on
	// in another way than before.
	Amend bool
}

// StateFile is the file of a training's folder that [Training.Save] writes last.
const StateFile = "state.safetensors"

// stateSchema is the version of what a state file holds.
const stateSchema = "snrlab training 1"

// state is the metadata of a state file.
type state struct {
	weights    string // SHA-256 of the file of the parameters' values
	key        rng.Key
	steps      int
	paramSteps []int // of each parameter
	emas       []emaState
	// What has to be as it was.
	rule     string
	averages []string
	// What has to be as it was unless amended.
	rate, limits, settings string
}

type emaState struct {
	Updates int   `json:"updates"`
	Images  int64 `json:"images"`
}

// Save writes the training into a folder, which it makes if there is none: the
// values of the parameters, as [Save] does, into a file weights-….safetensors that
// is called by its SHA-256, and the rest into state.safetensors, which has the
// hash. That file replaces the one before at once, and other weights are removed
// after that. So a Save that is cut short leaves the training that was there.
func (t *Training[T]) Save(folder string) error {
	if err := t.check(); err != nil {
		return err
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("nn: %w", err)
	}
	s := t.state()
	path := filepath.Join(folder, weightsFile("new"))
	if err := Save(path, t.Params, SaveOptions{}); err != nil {
		return err
	}
	var err error
	if s.weights, err = fileSHA256(path); err != nil {
		return err
	}
	if err := os.Rename(path, filepath.Join(folder, weightsFile(s.weights))); err != nil {
		return fmt.Errorf("nn: %w", err)
	}
	var entries []safetensors.Entry
	var room []T
	var wide []float64
	for _, a := range t.arrays() {
		if a.mean != nil {
			entries = append(entries, entry(a.name, a.p.shape, safetensors.F64, func() []float64 { return torchOrder(a.p, a.mean, &wide) }))
		} else {
			entries = append(entries, entry(a.name, a.p.shape, native[T](), func() []T { return torchOrder(a.p, a.moment, &room) }))
		}
	}
	meta, err := s.metadata()
	if err != nil {
		return err
	}
	path = filepath.Join(folder, StateFile)
	if err := safetensors.WriteFile(path, entries, meta, safetensors.Options{}); err != nil {
		return fmt.Errorf("nn: save %s: %w", path, err)
	}
	return removeOthers(folder, weightsFile(s.weights))
}

// Load brings back the training that was saved in a folder: the same network, the
// same rule and averages. Training then goes on as it would have, bit for bit. A
// state that does not fit is refused and changes nothing; where an element of a
// file is not finite some arrays may have been read already.
func (t *Training[T]) Load(folder string) error {
	if err := t.check(); err != nil {
		return err
	}
	if err := t.load(folder); err != nil {
		return fmt.Errorf("nn: load training %s: %w", folder, err)
	}
	return nil
}

func (t *Training[T]) load(folder string) error {
	f, err := safetensors.Open(filepath.Join(folder, StateFile), safetensors.Options{})
	if err != nil {
		return err
	}
	defer f.Close()
	was, err := parseState(f.Metadata())
	if err != nil {
		return fmt.Errorf("%s: %w", StateFile, err)
	}
	if err := t.accepts(was); err != nil {
		return err
	}
	arrays := t.arrays()
	expected := make([]safetensors.Param, len(arrays))
	for i, a := range arrays {
		expected[i] = safetensors.Param{Name: a.name, Shape: a.p.shape}
	}
	if err := f.Match(expected); err != nil {
		return fmt.Errorf("%s does not fit the network: %w", StateFile, err)
	}
	path := filepath.Join(folder, weightsFile(was.weights))
	sum, err := fileSHA256(path)
	if err != nil {
		return err
	}
	if sum != was.weights {
		return fmt.Errorf("%s has SHA-256 %s, and %s belongs to weights of %s: one of the files was changed", filepath.Base(path), sum, StateFile, was.weights)
	}
	if err := Load(path, t.Params, LoadOptions{}); err != nil {
		return err
	}
	var room []T
	var wide []float64
	for _, a := range arrays {
		if a.mean != nil {
			err = readOrdered(f.Reader, a.name, a.p, a.mean, &wide)
		} else {
			err = readOrdered(f.Reader, a.name, a.p, a.moment, &room)
		}
		if err != nil {
			return err
		}
	}
	t.Key = was.key
	t.Optimiser.step = was.steps
	for i := range t.Params {
		t.Optimiser.slots[i].steps = was.paramSteps[i]
	}
	for i, e := range t.EMAs {
		e.updates, e.images = was.emas[i].Updates, was.emas[i].Images
	}
	return nil
}

// An array is a tensor of a state file.
type array[T Float] struct {
	name   string
	p      *Param[T] // whose shape and order it has
	moment []T
	mean   []float64 // or this
}

func (t *Training[T]) arrays() (all []array[T]) {
	for j, moment := range t.Optimiser.rule.moments() {
		for i, p := range t.Params {
			all = append(all, array[T]{name: moment + "." + p.name, p: p, moment: t.Optimiser.slots[i].moments[j]})
		}
	}
	for k, e := range t.EMAs {
		for i, p := range t.Params {
			all = append(all, array[T]{name: fmt.Sprintf("ema.%d.%s", k, p.name), p: p, mean: e.mean[i]})
		}
	}
	return all
}

// check holds the parts of the training to each other.
func (t *Training[T]) check() error {
	if t.Optimiser == nil {
		return errors.New("nn: a training needs an optimiser")
	}
	if !slices.Equal(t.Params, t.Optimiser.params) {
		return errors.New("nn: the optimiser of a training is of other parameters than the training's")
	}
	for _, e := range t.EMAs {
		if e == nil || !slices.Equal(t.Params, e.params) {
			return errors.New("nn: an average of a training is of other parameters than the training's")
		}
		if e.swapped {
			return errors.New("nn: the parameters hold an average: Swap before the training is saved or loaded")
		}
	}
	return nil
}

func (t *Training[T]) state() state {
	o := t.Optimiser
	s := state{
		key: t.Key, steps: o.step, rule: o.rule.String(), rate: o.rate.String(), settings: t.Settings,
		limits: fmt.Sprintf("max_norm=%v, max_value=%v", o.MaxNorm, o.MaxValue),
	}
	for _, slot := range o.slots {
		s.paramSteps = append(s.paramSteps, slot.steps)
	}
	for _, e := range t.EMAs {
		s.averages = append(s.averages, e.average.String())
		s.emas = append(s.emas, emaState{e.updates, e.images})
	}
	return s
}

// accepts reports what of a saved state is not as in this training.
func (t *Training[T]) accepts(was state) error {
	now := t.state()
	for _, c := range []struct {
		what, was, now string
		amend          bool
	}{
		{"rule", was.rule, now.rule, false},
		{"averages", strings.Join(was.averages, " "), strings.Join(now.averages, " "), false},
		{"number of parameters", strconv.Itoa(len(was.paramSteps)), strconv.Itoa(len(now.paramSteps)), false},
		{"number of averages", strconv.Itoa(len(was.emas)), strconv.Itoa(len(now.emas)), false},
		{"rate", was.rate, now.rate, true},
		{"limits of the gradient", was.limits, now.limits, true},
		{"settings", was.settings, now.settings, true},
	} {
		if c.was == c.now || c.amend && t.Amend {
			continue
		}
		hint := "it is another training's"
		if c.amend {
			hint = "set Amend to go on with the latter"
		}
		return fmt.Errorf("the state was saved with the %s %q, and this training has %q: %s", c.what, c.was, c.now, hint)
	}
	return nil
}

func (s state) metadata() (map[string]string, error) {
	lists := map[string]any{"param_steps": s.paramSteps, "averages": s.averages, "emas": s.emas}
	meta := map[string]string{
		"schema": stateSchema, "weights": s.weights,
		"key": s.key.String(), "steps": strconv.Itoa(s.steps), "rule": s.rule, "rate": s.rate,
		"limits": s.limits, "settings": s.settings,
	}
	for k, v := range lists {
		b, err := json.Marshal(v)
		if err != nil {
			return nil, fmt.Errorf("nn: %w", err)
		}
		meta[k] = string(b)
	}
	return meta, nil
}

// parseState reads what metadata writes, from a file that anyone may have
// written.
func parseState(meta map[string]string) (s state, err error) {
	if got := meta["schema"]; got != stateSchema {
		return s, fmt.Errorf("the schema is %q: expected %q", got, stateSchema)
	}
	for _, k := range []string{"weights", "key", "steps", "rule", "rate", "limits", "settings", "param_steps", "averages", "emas"} {
		if _, ok := meta[k]; !ok {
			return s, fmt.Errorf("the metadata has no %s", k)
		}
	}
	s = state{
		weights: meta["weights"],
		rule:    meta["rule"], rate: meta["rate"], limits: meta["limits"], settings: meta["settings"],
	}
	if s.key, err = rng.ParseKey(meta["key"]); err != nil {
		return s, fmt.Errorf("key: %w", err)
	}
	if s.steps, err = strconv.Atoi(meta["steps"]); err != nil || s.steps < 0 {
		return s, fmt.Errorf("steps are %q: expected an integer ≥ 0", meta["steps"])
	}
	if !isSHA256(s.weights) {
		return s, fmt.Errorf("weights are %q: expected a SHA-256 in hexadecimal", s.weights)
	}
	for k, v := range map[string]any{"param_steps": &s.paramSteps, "averages": &s.averages, "emas": &s.emas} {
		if err := json.Unmarshal([]byte(meta[k]), v); err != nil {
			return s, fmt.Errorf("%s: %w", k, err)
		}
	}
	for _, n := range s.paramSteps {
		if n < 0 || n > s.steps {
			return s, fmt.Errorf("a parameter has %d steps of %d: expected 0 to all", n, s.steps)
		}
	}
	for _, e := range s.emas {
		if e.Updates < 0 || e.Images < int64(e.Updates) {
			return s, fmt.Errorf("an average has %d updates over %d images: expected at least one image each", e.Updates, e.Images)
		}
	}
	return s, nil
}

// weightsFile is the name of the file of weights of that hash.
func weightsFile(sum string) string { return "weights-" + sum + ".safetensors" }

func isSHA256(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == sha256.Size && s == strings.ToLower(s)
}

// removeOthers removes weights that no state names any more.
func removeOthers(folder, keep string) error {
	files, err := os.ReadDir(folder)
	if err != nil {
		return fmt.Errorf("nn: %w", err)
	}
	for _, f := range files {
		sum, _ := strings.CutPrefix(f.Name(), "weights-")
		sum, _ = strings.CutSuffix(sum, ".safetensors")
		if f.Name() == weightsFile(sum) && isSHA256(sum) && f.Name() != keep {
			if err := os.Remove(filepath.Join(folder, f.Name())); err != nil {
				return fmt.Errorf("nn: %w", err)
			}
		}
	}
	return nil
}

func fileSHA256(path string) (string, error) {
	sum, err := runfile.SHA256(path)
	if err != nil {
		return "", fmt.Errorf("nn: %w", err)
	}
	return sum, nil
}
