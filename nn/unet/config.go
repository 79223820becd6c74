package unet

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"

	"snrlab/internal/fields"
	"snrlab/internal/spec"
	"snrlab/nn"
)

// ErrConfig is what a configuration gives that is unknown or contradicts itself.
var ErrConfig = errors.New("not a valid UNet2DModel configuration")

// Size is the height and width of images; zero where a configuration leaves
// them open. In JSON it is one number, two, or null.
type Size [2]int

// UnmarshalJSON reads the three forms.
func (s *Size) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		*s = Size{}
		return nil
	}
	var side int
	if json.Unmarshal(b, &side) == nil {
		*s = Size{side, side}
		return nil
	}
	var sides []int
	if json.Unmarshal(b, &sides) != nil || len(sides) != 2 {
		return errors.New("expected an integer, two, or null")
	}
	*s = Size(sides)
	return nil
}

// MarshalJSON writes two numbers, or null.
func (s Size) MarshalJSON() ([]byte, error) {
	if s == (Size{}) {
		return []byte("null"), nil
	}
	return json.Marshal([2]int(s))
}

// Config are the constructor arguments of diffusers' UNet2DModel under
// diffusers' names. [DefaultConfig] has the values of those that a file leaves
// out.
type Config struct {
	SampleSize        Size     `json:"sample_size"`
	InChannels        int      `json:"in_channels"`
	OutChannels       int      `json:"out_channels"`
	CenterInputSample bool     `json:"center_input_sample"` // x becomes 2x − 1 first
	TimeEmbeddingType string   `json:"time_embedding_type"` // positional or fourier
	FreqShift         float64  `json:"freq_shift"`          // frequencies are 10⁴^(−k/(half − freq_shift)), k < half
	FlipSinToCos      bool     `json:"flip_sin_to_cos"`     // cosines stand first
	BlockOutChannels  []int    `json:"block_out_channels"`  // one a level, the finest first
	DownBlockTypes    []string `json:"down_block_types"`    // the finest first
	UpBlockTypes      []string `json:"up_block_types"`      // the coarsest first
	MidBlockType      string   `json:"mid_block_type"`
	LayersPerBlock    int      `json:"layers_per_block"` // resnets a level on the way down; one more on the way up
	MidBlockScale     float64  `json:"mid_block_scale_factor"`
	DownsamplePadding int      `json:"downsample_padding"` // 1 on all sides, or 0: one row and column at the end alone
	DownsampleType    string   `json:"downsample_type"`    // conv or resnet, in AttnDownBlock2D
	UpsampleType      string   `json:"upsample_type"`      // conv or resnet, in AttnUpBlock2D
	Dropout           float64  `json:"dropout"`
	ActFn             string   `json:"act_fn"`
	AttentionHeadDim  *int     `json:"attention_head_dim"` // channels a head; null is one head over all
	NormNumGroups     int      `json:"norm_num_groups"`
	AttnNormNumGroups *int     `json:"attn_norm_num_groups"` // of the middle's attention; null is norm_num_groups, or none with scale_shift
	NormEps           float64  `json:"norm_eps"`
	ResnetTimeScale   string   `json:"resnet_time_scale_shift"` // default (time is added) or scale_shift
	AddAttention      bool     `json:"add_attention"`           // in the middle
	ClassEmbedType    *string  `json:"class_embed_type"`        // timestep, identity or null
	NumClassEmbeds    *int     `json:"num_class_embeds"`
	NumTrainTimesteps *int     `json:"num_train_timesteps"` // of learned time embeddings, which are not known here: null
}

// DefaultConfig has diffusers' defaults.
func DefaultConfig() Config {
	head := 8
	return Config{
		InChannels: 3, OutChannels: 3,
		TimeEmbeddingType: "positional", FlipSinToCos: true,
		BlockOutChannels: []int{224, 448, 672, 896},
		DownBlockTypes:   []string{"DownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D", "AttnDownBlock2D"},
		UpBlockTypes:     []string{"AttnUpBlock2D", "AttnUpBlock2D", "AttnUpBlock2D", "UpBlock2D"},
		MidBlockType:     "UNetMidBlock2D",
		LayersPerBlock:   2, MidBlockScale: 1,
		DownsamplePadding: 1, DownsampleType: "conv", UpsampleType: "conv",
		ActFn: "silu", AttentionHeadDim: &head,
		NormNumGroups: 32, NormEps: 1e-5, ResnetTimeScale: "default", AddAttention: true,
	}
}

// notes are keys that diffusers writes beside the arguments.
var notes = []string{"_class_name", "_diffusers_version", "_name_or_path"}

// ParseConfig reads a config.json and validates it. A key that is unknown or
// occurs twice is an error, as is null where it has no meaning.
func ParseConfig(text []byte) (Config, error) {
	c := DefaultConfig()
	if err := c.decode(text); err != nil {
		return Config{}, fmt.Errorf("unet: %w: %w", ErrConfig, err)
	}
	return c, c.Validate()
}

func (c *Config) decode(text []byte) error {
	if err := json.Unmarshal(text, &struct{}{}); err != nil {
		return fmt.Errorf("expected a JSON object: %w", err)
	}
	fields := reflect.ValueOf(c).Elem()
	byKey := map[string]reflect.Value{}
	known := slices.Clone(notes)
	for i := range fields.NumField() {
		key := fields.Type().Field(i).Tag.Get("json")
		byKey[key] = fields.Field(i)
		known = append(known, key)
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	t, err := dec.Token()
	if err != nil || t != json.Delim('{') {
		return errors.New("expected a JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		if err != nil {
			return err
		}
		key := t.(string) // an object's keys are strings
		var raw json.RawMessage
		if err := dec.Decode(&raw); err != nil {
			return err
		}
		field, ok := byKey[key]
		switch {
		case seen[key]:
			return fmt.Errorf("%s is there twice", key)
		case slices.Contains(notes, key):
			var s string
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("%s is %.40s: expected a string", key, raw)
			}
			if key == "_class_name" && s != "UNet2DModel" {
				return fmt.Errorf("%s is %q: expected UNet2DModel", key, s)
			}
		case !ok:
			return fmt.Errorf("unknown field %q%s", key, spec.Suggest(key, known))
		case string(raw) == "null" && field.Kind() != reflect.Pointer && key != "sample_size":
			return fmt.Errorf("%s is null: expected a value, or no such field for the default", key)
		default:
			v := reflect.New(field.Type()) // so that nothing of the default is left in a list
			if err := json.Unmarshal(raw, v.Interface()); err != nil {
				return fmt.Errorf("%s is %.40s: %w", key, raw, err)
			}
			field.Set(v.Elem())
		}
		seen[key] = true
	}
	return nil
}

// Sizes past these are mistakes, and products of them fit an integer.
const (
	maxChannels = 1 << 16
	maxLayers   = 1 << 8
	maxLevels   = 16
	maxClasses  = 1 << 24
)

// Validate refuses what diffusers could not build, and what it would build
// while leaving a field unused. The error names the field.
func (c Config) Validate() error {
	if err := c.check(); err != nil {
		return fmt.Errorf("unet: %w: %w", ErrConfig, err)
	}
	return nil
}

func (c Config) check() error {
	var f fields.Check
	f.Within("in_channels", c.InChannels, 1, maxChannels)
	f.Within("out_channels", c.OutChannels, 1, maxChannels)
	f.OneOf("time_embedding_type", c.TimeEmbeddingType, "positional", "fourier")
	levels := len(c.BlockOutChannels)
	f.Hold(1 <= levels && levels <= maxLevels, "block_out_channels", c.BlockOutChannels, fmt.Sprintf("1 to %d numbers", maxLevels))
	for i, n := range c.BlockOutChannels {
		f.Within(fmt.Sprintf("block_out_channels[%d]", i), n, 1, maxChannels)
	}
	f.Hold(len(c.DownBlockTypes) == levels, "down_block_types", c.DownBlockTypes, fmt.Sprintf("%d names, as block_out_channels has numbers", levels))
	f.Hold(len(c.UpBlockTypes) == levels, "up_block_types", c.UpBlockTypes, fmt.Sprintf("%d names, as block_out_channels has numbers", levels))
	for i, s := range c.DownBlockTypes {
		f.OneOf(fmt.Sprintf("down_block_types[%d]", i), s, "DownBlock2D", "AttnDownBlock2D", "ResnetDownsampleBlock2D")
	}
	for i, s := range c.UpBlockTypes {
		f.OneOf(fmt.Sprintf("up_block_types[%d]", i), s, "UpBlock2D", "AttnUpBlock2D", "ResnetUpsampleBlock2D")
	}
	f.OneOf("mid_block_type", c.MidBlockType, "UNetMidBlock2D")
	f.Within("layers_per_block", c.LayersPerBlock, 1, maxLayers)
	f.Hold(c.MidBlockScale != 0 && isFinite(c.MidBlockScale), "mid_block_scale_factor", c.MidBlockScale, "a finite number other than 0")
	f.Within("downsample_padding", c.DownsamplePadding, 0, 1)
	f.OneOf("downsample_type", c.DownsampleType, "conv", "resnet")
	f.OneOf("upsample_type", c.UpsampleType, "conv", "resnet")
	f.Hold(c.Dropout >= 0 && c.Dropout < 1, "dropout", c.Dropout, "0 ≤ dropout < 1")
	f.OneOf("act_fn", c.ActFn, "silu", "swish", "mish", "gelu", "relu")
	f.Within("norm_num_groups", c.NormNumGroups, 1, maxChannels)
	f.Hold(c.NormEps > 0 && isFinite(c.NormEps), "norm_eps", c.NormEps, "a finite number above 0")
	f.OneOf("resnet_time_scale_shift", c.ResnetTimeScale, "default", "scale_shift")
	if c.ClassEmbedType != nil {
		f.OneOf("class_embed_type", *c.ClassEmbedType, "timestep", "identity")
		f.Hold(c.NumClassEmbeds == nil, "num_class_embeds", "set", "null beside class_embed_type, which takes its place")
	}
	if c.NumClassEmbeds != nil {
		f.Within("num_class_embeds", *c.NumClassEmbeds, 1, maxClasses)
	}
	f.Hold(c.NumTrainTimesteps == nil, "num_train_timesteps", "set", "null: only learned time embeddings use it")
	if c.AttentionHeadDim != nil {
		f.Within("attention_head_dim", *c.AttentionHeadDim, 1, maxChannels)
	}
	if c.AttnNormNumGroups != nil {
		f.Within("attn_norm_num_groups", *c.AttnNormNumGroups, 1, maxChannels)
		f.Hold(c.AddAttention, "attn_norm_num_groups", *c.AttnNormNumGroups, "null where add_attention is false")
	}
	if f.Err() != nil {
		return f.Err()
	}
	if c.TimeEmbeddingType == "positional" {
		half := c.BlockOutChannels[0] / 2
		f.Hold(isFinite(c.FreqShift) && (half == 0 || c.FreqShift < float64(half)), "freq_shift", c.FreqShift, fmt.Sprintf("a finite number below %d, half of block_out_channels[0]", half))
	}
	if c.SampleSize != (Size{}) {
		unit := 1 << (levels - 1)
		for _, n := range c.SampleSize {
			f.Hold(n > 0 && n%unit == 0, "sample_size", [2]int(c.SampleSize), fmt.Sprintf("positive multiples of %d, halved %d times", unit, levels-1))
		}
	}
	if f.Err() != nil {
		return f.Err()
	}
	_, err := build(c, nn.NewOutline[float32]())
	return err
}

func isFinite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }
