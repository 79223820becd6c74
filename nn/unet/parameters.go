package unet

import (
	"fmt"

	"snrlab/nn/safetensors"
)

// Parameters lists the parameters of the network by diffusers' names, in the
// order of its modules, with their shapes: out×in for linear layers, out×in×h×w
// for convolutions.
func (c Config) Parameters() ([]safetensors.Param, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c.build()
}

// build walks through the modules. The error is that of the first size that
// does not go into the groups or heads asked for.
func (c Config) build() ([]safetensors.Param, error) {
	l := list{c: c, time: 4 * c.BlockOutChannels[0]}
	features := c.BlockOutChannels[0]
	l.conv("conv_in", c.InChannels, features, 3)
	if c.TimeEmbeddingType == "fourier" {
		l.add("time_proj.weight", features)
		features *= 2 // a sine and a cosine each
	}
	l.embedding("time_embedding", features)
	switch {
	case c.ClassEmbedType != nil && *c.ClassEmbedType == "timestep":
		l.embedding("class_embedding", features)
	case c.NumClassEmbeds != nil:
		l.add("class_embedding.weight", *c.NumClassEmbeds, l.time)
	}
	levels := len(c.BlockOutChannels)
	in := c.BlockOutChannels[0]
	for i, kind := range c.DownBlockTypes {
		name, out := fmt.Sprintf("down_blocks.%d", i), c.BlockOutChannels[i]
		for k := range c.LayersPerBlock {
			l.resnet(fmt.Sprintf("%s.resnets.%d", name, k), in, out)
			if kind == "AttnDownBlock2D" {
				l.attention(fmt.Sprintf("%s.attentions.%d", name, k), out, c.NormNumGroups, "norm_num_groups")
			}
			in = out
		}
		if i < levels-1 {
			l.resample(name+".downsamplers.0", out, kind == "ResnetDownsampleBlock2D" || kind == "AttnDownBlock2D" && c.DownsampleType == "resnet")
		}
	}
	l.resnet("mid_block.resnets.0", in, in)
	if c.AddAttention {
		groups, field := c.NormNumGroups, "norm_num_groups"
		if c.AttnNormNumGroups != nil {
			groups, field = *c.AttnNormNumGroups, "attn_norm_num_groups"
		} else if c.ResnetTimeScale == "scale_shift" {
			groups = 0
		}
		l.attention("mid_block.attentions.0", in, groups, field)
	}
	l.resnet("mid_block.resnets.1", in, in)
	for i, kind := range c.UpBlockTypes {
		name, out := fmt.Sprintf("up_blocks.%d", i), c.BlockOutChannels[levels-1-i]
		finer := c.BlockOutChannels[max(levels-2-i, 0)]
		for k := range c.LayersPerBlock + 1 {
			// The last skip of a level is what the level before handed down.
			skip := out
			if k == c.LayersPerBlock {
				skip = finer
			}
			l.resnet(fmt.Sprintf("%s.resnets.%d", name, k), in+skip, out)
			if kind == "AttnUpBlock2D" {
				l.attention(fmt.Sprintf("%s.attentions.%d", name, k), out, c.NormNumGroups, "norm_num_groups")
			}
			in = out
		}
		if i < levels-1 {
			l.resample(name+".upsamplers.0", out, kind == "ResnetUpsampleBlock2D" || kind == "AttnUpBlock2D" && c.UpsampleType == "resnet")
		}
	}
	l.norm("conv_norm_out", in, c.NormNumGroups, "norm_num_groups")
	l.conv("conv_out", in, c.OutChannels, 3)
	return l.params, l.err
}

// list collects parameters module by module.
type list struct {
	c      Config
	time   int // units of the time embedding
	params []safetensors.Param
	err    error
}

func (l *list) add(name string, shape ...int) {
	l.params = append(l.params, safetensors.Param{Name: name, Shape: shape})
}

func (l *list) linear(name string, in, out int) {
	l.add(name+".weight", out, in)
	l.add(name+".bias", out)
}

func (l *list) conv(name string, in, out, side int) {
	l.add(name+".weight", out, in, side, side)
	l.add(name+".bias", out)
}

func (l *list) norm(name string, channels, groups int, field string) {
	if channels%groups != 0 && l.err == nil {
		l.err = fmt.Errorf("%s is %d: expected a divisor of %d, the channels of %s", field, groups, channels, name)
	}
	l.add(name+".weight", channels)
	l.add(name+".bias", channels)
}

func (l *list) embedding(name string, in int) {
	l.linear(name+".linear_1", in, l.time)
	l.linear(name+".linear_2", l.time, l.time)
}

func (l *list) resnet(name string, in, out int) {
	l.norm(name+".norm1", in, l.c.NormNumGroups, "norm_num_groups")
	l.conv(name+".conv1", in, out, 3)
	times := out
	if l.c.ResnetTimeScale == "scale_shift" {
		times = 2 * out
	}
	l.linear(name+".time_emb_proj", l.time, times)
	l.norm(name+".norm2", out, l.c.NormNumGroups, "norm_num_groups")
	l.conv(name+".conv2", out, out, 3)
	if in != out {
		l.conv(name+".conv_shortcut", in, out, 1)
	}
}

// attention has a norm where groups is not 0.
func (l *list) attention(name string, channels, groups int, field string) {
	if h := l.c.AttentionHeadDim; h != nil && channels%*h != 0 && l.err == nil {
		l.err = fmt.Errorf("attention_head_dim is %d: expected a divisor of %d, the channels of %s", *h, channels, name)
	}
	if groups > 0 {
		l.norm(name+".group_norm", channels, groups, field)
	}
	for _, part := range []string{"to_q", "to_k", "to_v", "to_out.0"} {
		l.linear(name+"."+part, channels, channels)
	}
}

func (l *list) resample(name string, channels int, resnet bool) {
	if resnet {
		l.resnet(name, channels, channels)
	} else {
		l.conv(name+".conv", channels, channels, 3)
	}
}
