package unet_test

import (
	"fmt"

	"snrlab/nn"
	"snrlab/nn/unet"
	"snrlab/rng"
)

func ExampleParseConfig() {
	c, err := unet.ParseConfig([]byte(`{
		"_class_name": "UNet2DModel", "sample_size": 32, "in_channels": 1, "out_channels": 1,
		"block_out_channels": [32, 64],
		"down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
		"up_block_types": ["AttnUpBlock2D", "UpBlock2D"]
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	params, err := c.Parameters()
	fmt.Println(params[0], err)
	_, err = unet.ParseConfig([]byte(`{"atention_head_dim": 8}`))
	fmt.Println(err)
	// Output:
	// {conv_in.weight [32 1 3 3]} <nil>
	// unet: not a valid UNet2DModel configuration: unknown field "atention_head_dim"; did you mean "attention_head_dim"?
}

func ExampleNet_Apply() {
	c, err := unet.ParseConfig([]byte(`{
		"in_channels": 1, "out_channels": 1, "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4,
		"down_block_types": ["DownBlock2D", "AttnDownBlock2D"],
		"up_block_types": ["AttnUpBlock2D", "UpBlock2D"], "num_class_embeds": 10
	}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	net, err := unet.New[float32](c, rng.New(1))
	if err != nil {
		fmt.Println(err)
		return
	}
	tape := &nn.Tape[float32]{Inference: true}
	images, times := make([]float32, 2*28*28), []float32{999, 0}
	y := net.Apply(tape, tape.Constant(images, 2, 28, 28, 1), tape.Constant(times, 2), unet.Extra[float32]{
		Labels: []int{3, 7},
		Hooks:  unet.Hooks[float32]{Skip: func(level, _ int) float64 { return 1 - 0.1*float64(level) }},
	})
	fmt.Println(y.Shape(), tape.Err())
	tape.Reset()
	net.Apply(tape, tape.Constant(images, 2, 28, 28, 1), tape.Constant(times, 2), unet.Extra[float32]{Labels: []int{3, 10}})
	fmt.Println(tape.Err())
	// Output:
	// [2 28 28 1] <nil>
	// unet: not an input of this network: label 10 of row 1: expected 0 to 9
}
