package dit

import (
	"errors"
	"fmt"

	"snrlab/internal/fields"
)

// ErrConfig is what a configuration gives that is out of bounds or contradicts
// itself.
var ErrConfig = errors.New("not a valid configuration")

// Config says what network to make.
type Config struct {
	Height   int     `json:"height"` // of images
	Width    int     `json:"width"`
	Channels int     `json:"in_channels"` // of images, and of the output
	Patch    int     `json:"patch_size"`  // side of the squares that become tokens
	Hidden   int     `json:"hidden_size"` // channels of a token
	Depth    int     `json:"depth"`       // blocks
	Heads    int     `json:"num_heads"`
	MLPRatio float64 `json:"mlp_ratio"`   // hidden units of mlp, in channels of a token
	Labels   int     `json:"num_classes"` // 0 for none

	// Positions is how tokens know their place: sincos, sines and cosines of
	// column and line that are added to the tokens at the start [vaswani2017]; or
	// rotary, rotations of queries and keys by line and column [su2021].
	Positions string `json:"positions"`
	// PositionBase is the ratio of the longest to the shortest period.
	PositionBase float64 `json:"position_base"`

	TimeFeatures int     `json:"time_features"` // cosines and sines of a time
	TimeScale    float64 `json:"time_scale"`    // factor of times: 1000 for times from 0 to 1
}

// DefaultConfig is a small network for grey images of 32×32 with ten classes,
// for times from 0 to 1000.
func DefaultConfig() Config {
	return Config{
		Height: 32, Width: 32, Channels: 1, Patch: 4, Hidden: 128, Depth: 6, Heads: 4, MLPRatio: 4, Labels: 10,
		Positions: "sincos", PositionBase: 10000, TimeFeatures: 256, TimeScale: 1,
	}
}

const (
	maxSide   = 1 << 14
	maxUnits  = 1 << 16
	maxDepth  = 1 << 10
	maxLabels = 1 << 24
)

// Validate refuses a field that is out of bounds or does not go with another; the
// error names it.
func (c Config) Validate() error {
	var f fields.Check
	f.Within("height", c.Height, 1, maxSide)
	f.Within("width", c.Width, 1, maxSide)
	f.Within("in_channels", c.Channels, 1, maxUnits)
	f.Within("patch_size", c.Patch, 1, maxSide)
	f.Within("hidden_size", c.Hidden, 2, maxUnits) // a layer norm of one channel is zero
	f.Within("depth", c.Depth, 1, maxDepth)
	f.Within("num_heads", c.Heads, 1, maxUnits)
	f.Within("num_classes", c.Labels, 0, maxLabels)
	f.OneOf("positions", c.Positions, "sincos", "rotary")
	f.Positive("position_base", c.PositionBase)
	f.Within("time_features", c.TimeFeatures, 2, maxUnits)
	f.Positive("time_scale", c.TimeScale)
	if f.Err() != nil {
		return wrong(f.Err())
	}
	f.Hold(c.Height%c.Patch == 0 && c.Width%c.Patch == 0, "patch_size", c.Patch, fmt.Sprintf("a divisor of height and width, %d and %d", c.Height, c.Width))
	f.Hold(c.Patch*c.Patch <= maxUnits/c.Channels, "patch_size", c.Patch, fmt.Sprintf("at most %d numbers in a patch of all channels", maxUnits))
	f.Hold(c.Hidden%c.Heads == 0, "num_heads", c.Heads, fmt.Sprintf("a divisor of hidden_size, %d", c.Hidden))
	f.Hold(c.MLPRatio > 0 && c.MLPRatio*float64(c.Hidden) >= 1 && c.MLPRatio*float64(c.Hidden) <= 4*maxUnits, "mlp_ratio", c.MLPRatio, fmt.Sprintf("1 to %d units", 4*maxUnits))
	f.Hold(c.Positions != "sincos" || c.Hidden%4 == 0, "hidden_size", c.Hidden, "a multiple of 4 for positions sincos")
	f.Hold(c.Positions != "rotary" || c.Hidden%(4*c.Heads) == 0, "hidden_size", c.Hidden, fmt.Sprintf("a multiple of 4 in each of %d heads for positions rotary", c.Heads))
	f.Hold(c.TimeFeatures%2 == 0, "time_features", c.TimeFeatures, "an even number")
	return wrong(f.Err())
}

// wrong is a field's error as that of a configuration.
func wrong(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("dit: %w: %w", ErrConfig, err)
}
