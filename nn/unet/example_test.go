package unet_test

import (
	"fmt"

	"snrlab/nn/unet"
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
