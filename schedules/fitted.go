package schedules

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

// Fitted holds the levels of a file: that of a fitted solver, or the result of
// snrlab optimize grid. Sum is the beginning of the SHA-256 of the file; it is
// filled in when the file is read, so that what prints this spacing's name
// records what was in the file, and checked where it is given.
type Fitted struct {
	File string `json:"file"`
	Sum  string `json:"sum"`
	list List
}

// load reads the file.
func (k *Fitted) load() error {
	if k.File == "" {
		return fmt.Errorf("fitted names no file: expected fitted(file=NAME.json)")
	}
	text, err := os.ReadFile(k.File)
	if err != nil {
		return err
	}
	type levels struct {
		S []float64 `json:"s"`
	}
	var f struct {
		levels
		Linear, Gated, AMED *levels
	}
	if err := json.NewDecoder(bytes.NewReader(text)).Decode(&f); err != nil {
		return fmt.Errorf("%s: %w", k.File, err)
	}
	k.list = List{Sigmas: f.S}
	for _, of := range []*levels{f.Linear, f.Gated, f.AMED} {
		if of != nil {
			k.list.Sigmas = of.S
		}
	}
	if err := k.list.Validate(); err != nil {
		return fmt.Errorf("%s has no grid in its field s: %w", k.File, err)
	}
	sum := sha256.Sum256(text)
	if got := hex.EncodeToString(sum[:6]); k.Sum != "" && k.Sum != got {
		return fmt.Errorf("%s has the sum %s, not %s: the file has changed; leave sum out to take it as it is", k.File, got, k.Sum)
	} else {
		k.Sum = got
	}
	return nil
}

// Steps returns the number of steps.
func (k *Fitted) Steps() int { return k.list.Steps() }

// Grid returns the levels of the file; n must be their number of steps.
func (k *Fitted) Grid(s Schedule, n int) (Grid, error) { return k.list.Grid(s, n) }

func (k *Fitted) String() string { return Spacings().Format("fitted", k) }
