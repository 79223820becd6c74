package mlp

import (
	"errors"
	"fmt"

	"snrlab/internal/fields"
)

// ErrConfig is what a configuration gives that is out of bounds.
var ErrConfig = errors.New("not a valid configuration")

// Config says what network to make.
type Config struct {
	Dim        int    `json:"dim"`        // of a point
	Hidden     int    `json:"hidden"`     // units of h and c
	Layers     int    `json:"layers"`     // residual blocks
	Activation string `json:"activation"` // φ: silu, gelu, relu, tanh or mish
	Time       Time   `json:"time"`
	Space      Space  `json:"space"`
	Labels     int    `json:"labels"` // classes, 0 for none
}

// Time says what the network sees of a time t.
type Time struct {
	// Kind is sinusoid: sines and cosines of Scale·t with periods from 2π to 10⁴·2π
	// [vaswani2017]; or fourier: sin 2πft and cos 2πft with frequencies f drawn
	// once from N(0, Scale²) [tancik2020].
	Kind   string  `json:"kind"`
	Number int     `json:"number"` // of sines, and of cosines
	Scale  float64 `json:"scale"`
}

// Space says what the network sees of a point beside the point itself:
// sin 2πw·x and cos 2πw·x with vectors w drawn once from N(0, Scale² I)
// [tancik2020].
type Space struct {
	Number int     `json:"number"` // of sines, and of cosines; 0 for the point alone
	Scale  float64 `json:"scale"`  // where Number is not 0
}

// DefaultConfig is a network of 2-D points without classes, for times of a few
// units.
func DefaultConfig() Config {
	return Config{
		Dim: 2, Hidden: 64, Layers: 3, Activation: "silu",
		Time: Time{Kind: "fourier", Number: 16, Scale: 1},
	}
}

const (
	maxUnits  = 1 << 16
	maxLayers = 1 << 10
	maxLabels = 1 << 24
)

// Validate refuses a field that is out of bounds, or of no use; the error names
// it.
func (c Config) Validate() error {
	var f fields.Check
	f.Within("dim", c.Dim, 1, maxUnits)
	f.Within("hidden", c.Hidden, 2, maxUnits) // a layer norm of one unit is zero
	f.Within("layers", c.Layers, 1, maxLayers)
	f.OneOf("activation", c.Activation, "silu", "gelu", "relu", "tanh", "mish")
	f.OneOf("time.kind", c.Time.Kind, "sinusoid", "fourier")
	f.Within("time.number", c.Time.Number, 1, maxUnits)
	f.Positive("time.scale", c.Time.Scale)
	f.Within("space.number", c.Space.Number, 0, maxUnits)
	if c.Space.Number > 0 {
		f.Positive("space.scale", c.Space.Scale)
	} else {
		f.Hold(c.Space.Scale == 0, "space.scale", c.Space.Scale, "0 where space.number is 0")
	}
	f.Within("labels", c.Labels, 0, maxLabels)
	return wrong(f.Err())
}

// wrong is a field's error as that of a configuration.
func wrong(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("mlp: %w: %w", ErrConfig, err)
}
