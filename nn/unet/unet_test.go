package unet

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParameters_Golden(t *testing.T) {
	for _, name := range []string{"ddpm", "default"} {
		text, err := os.ReadFile("testdata/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		c, err := ParseConfig(text)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		params, err := c.Parameters()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var got []string
		for _, p := range params {
			got = append(got, p.Name+" "+strings.ReplaceAll(strings.Trim(fmt.Sprint(p.Shape), "[]"), " ", "x"))
		}
		slices.Sort(got)
		want, err := os.ReadFile("testdata/" + name + ".txt")
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(want)), "\n")
		slices.Sort(lines)
		if d := cmp.Diff(lines, got); d != "" {
			t.Errorf("%s: (-golden +ours)\n%s", name, d)
		}
		// What a configuration prints reads back.
		out, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseConfig(out); err != nil || !cmp.Equal(again, c) {
			t.Errorf("%s: reads back as %+v (%v)", name, again, err)
		}
	}
}

// The network of [ho2020] for CIFAR-10 has 35.7 million parameters, says its
// appendix B.
func TestParameters_AgreesWithPaper(t *testing.T) {
	c, err := ParseConfig([]byte(`{"sample_size": 32, "block_out_channels": [128, 256, 256, 256], "attention_head_dim": null,
		"down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
		"up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]}`))
	if err != nil {
		t.Fatal(err)
	}
	params, err := c.Parameters()
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	for _, p := range params {
		n := 1
		for _, s := range p.Shape {
			n *= s
		}
		total += n
	}
	if total < 35_650_000 || total >= 35_750_000 {
		t.Errorf("%d parameters, want 35.7 million", total)
	}
}

// Options that the golden cases do not have, by what changes against the
// defaults.
func TestParameters_Options(t *testing.T) {
	const base = `"block_out_channels": [32, 64], "down_block_types": ["DownBlock2D", "ResnetDownsampleBlock2D"], "up_block_types": ["ResnetUpsampleBlock2D", "UpBlock2D"]`
	for _, c := range []struct {
		options   string
		has, lack string
	}{
		{`"time_embedding_type": "fourier"`, "time_proj.weight [32]", "x"},
		{`"time_embedding_type": "fourier"`, "time_embedding.linear_1.weight [128 64]", "x"},
		{`"class_embed_type": "timestep"`, "class_embedding.linear_1.weight [128 32]", "class_embedding.weight"},
		{`"class_embed_type": "identity"`, "conv_in.bias [32]", "class_embedding"},
		{`"add_attention": false`, "mid_block.resnets.1.norm1.weight [64]", "mid_block.attentions"},
		{`"attn_norm_num_groups": 16, "resnet_time_scale_shift": "scale_shift"`, "mid_block.attentions.0.group_norm.bias [64]", "x"},
		{`"in_channels": 5`, "conv_in.weight [32 5 3 3]", "down_blocks.0.downsamplers.0.norm1"},
		{`"out_channels": 5`, "up_blocks.0.upsamplers.0.conv2.weight [64 64 3 3]", "up_blocks.0.upsamplers.0.conv.weight"},
	} {
		config, err := ParseConfig([]byte("{" + base + ", " + c.options + "}"))
		if err != nil {
			t.Errorf("%s: %v", c.options, err)
			continue
		}
		params, err := config.Parameters()
		if err != nil {
			t.Fatal(err)
		}
		has := false
		for _, p := range params {
			has = has || fmt.Sprint(p.Name, " ", p.Shape) == c.has
			if strings.HasPrefix(p.Name, c.lack) {
				t.Errorf("%s: has %s", c.options, p.Name)
			}
		}
		if !has {
			t.Errorf("%s: no %s", c.options, c.has)
		}
	}
}

func TestParseConfig_Refuses(t *testing.T) {
	for text, want := range map[string]string{
		``:                                       "JSON object",
		`[]`:                                     "JSON object",
		`null`:                                   "JSON object",
		`{} {}`:                                  "JSON object",
		`{"_class_name": "VQModel"}`:             "expected UNet2DModel",
		`{"_secret": ""}`:                        `unknown field "_secret"`,
		`{"in_chanels": 3}`:                      "in_channels",
		`{"In_Channels": 3}`:                     `unknown field "In_Channels"`,
		`{"dropout": 0, "dropout": 0}`:           "dropout is there twice",
		`{"in_channels": null}`:                  "in_channels is null",
		`{"in_channels": 1.5}`:                   "in_channels is 1.5",
		`{"in_channels": 0}`:                     "in_channels is 0",
		`{"out_channels": -1}`:                   "out_channels is -1",
		`{"sample_size": 30}`:                    "sample_size is [30 30]",
		`{"sample_size": [32, -8]}`:              "sample_size is [32 -8]",
		`{"sample_size": [32]}`:                  "sample_size is [32]",
		`{"time_embedding_type": "learned"}`:     "time_embedding_type",
		`{"block_out_channels": []}`:             "block_out_channels is []",
		`{"block_out_channels": [32, 64]}`:       "down_block_types is",
		`{"block_out_channels": [1e9, 1, 1, 1]}`: "block_out_channels is",
		`{"block_out_channels": [9223372036854775807, 1, 1, 1]}`:                                      "block_out_channels[0]",
		`{"up_block_types": ["UpBlock2D"]}`:                                                           "up_block_types is",
		`{"down_block_types": ["DownBlock2D", "DownBlock2D", "DownBlock2D", "CrossAttnDownBlock2D"]}`: "down_block_types[3]",
		`{"mid_block_type": "UnCLIPUNetMidBlock2D"}`:                                                  "mid_block_type",
		`{"layers_per_block": 0}`:                                                                     "layers_per_block",
		`{"layers_per_block": 1000000000}`:                                                            "layers_per_block",
		`{"mid_block_scale_factor": 0}`:                                                               "mid_block_scale_factor",
		`{"downsample_padding": 2}`:                                                                   "downsample_padding",
		`{"downsample_type": "pool"}`:                                                                 "downsample_type",
		`{"upsample_type": ""}`:                                                                       "upsample_type",
		`{"dropout": 1}`:                                                                              "dropout is 1",
		`{"act_fn": "tanh"}`:                                                                          "act_fn",
		`{"norm_num_groups": 0}`:                                                                      "norm_num_groups is 0",
		`{"norm_num_groups": 33}`:                                                                     "norm_num_groups is 33: expected a divisor of 224",
		`{"norm_eps": 0}`:                                                                             "norm_eps",
		`{"attention_head_dim": 9}`:                                                                   "attention_head_dim is 9: expected a divisor of 448, the channels of down_blocks.1.attentions.0",
		`{"attention_head_dim": 0}`:                                                                   "attention_head_dim is 0",
		`{"attn_norm_num_groups": 5}`:                                                                 "attn_norm_num_groups is 5: expected a divisor of 896",
		`{"attn_norm_num_groups": 8, "add_attention": false}`:                                         "add_attention",
		`{"resnet_time_scale_shift": "spatial"}`:                                                      "resnet_time_scale_shift",
		`{"class_embed_type": "text"}`:                                                                "class_embed_type",
		`{"class_embed_type": "identity", "num_class_embeds": 10}`:                                    "num_class_embeds",
		`{"num_class_embeds": 0}`:                                                                     "num_class_embeds is 0",
		`{"num_train_timesteps": 1000}`:                                                               "num_train_timesteps",
		`{"freq_shift": 112}`:                                                                         "freq_shift is 112",
	} {
		c, err := ParseConfig([]byte(text))
		if !errors.Is(err, ErrConfig) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if _, err := c.Parameters(); err == nil {
			t.Errorf("%s: the refused configuration has parameters", text)
		}
	}
	if _, err := (Config{}).Parameters(); !errors.Is(err, ErrConfig) {
		t.Errorf("zero configuration: %v", err)
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Error(err)
	}
}

// Any text gives an error or a configuration that has parameters and reads back.
func FuzzParseConfig(f *testing.F) {
	for _, name := range []string{"ddpm", "default"} {
		if text, err := os.ReadFile("testdata/" + name + ".json"); err == nil {
			f.Add(text)
		}
	}
	f.Add([]byte(`{"sample_size": [32, 64], "class_embed_type": "timestep", "attention_head_dim": null}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := ParseConfig(text)
		if err != nil {
			return
		}
		if _, err := c.Parameters(); err != nil {
			t.Fatal(err)
		}
		out, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		if again, err := ParseConfig(out); err != nil || !cmp.Equal(again, c) {
			t.Fatalf("%s reads back as %+v (%v)", out, again, err)
		}
	})
}
