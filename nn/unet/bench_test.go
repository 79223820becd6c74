package unet_test

import (
	"testing"

	"snrlab/nn"
	"snrlab/nn/unet"
	"snrlab/rng"
)

// The networks whose speed is compared with other programs'.
var networks = []struct {
	name   string
	config string
	rows   int
}{
	{"small", `{"sample_size": 32, "in_channels": 1, "out_channels": 1, "block_out_channels": [32, 64, 64], "layers_per_block": 1, "norm_num_groups": 32, "attention_head_dim": 8,
		"down_block_types": ["DownBlock2D", "DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"]}`, 64},
	{"base", `{"sample_size": 32, "in_channels": 1, "out_channels": 1, "block_out_channels": [64, 128, 128], "layers_per_block": 2,
		"down_block_types": ["DownBlock2D", "DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D", "UpBlock2D"]}`, 32},
	{"ddpm-cifar10", `{"sample_size": 32, "block_out_channels": [128, 256, 256, 256], "layers_per_block": 2, "attention_head_dim": null,
		"down_block_types": ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"],
		"up_block_types": ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]}`, 4},
}

// BenchmarkNet measures a forward pass for inference, and a step of training
// but for the optimiser: forward, loss and all gradients.
func BenchmarkNet(b *testing.B) {
	for _, n := range networks {
		c, err := unet.ParseConfig([]byte(n.config))
		if err != nil {
			b.Fatal(err)
		}
		net, err := unet.New[float32](c, rng.New(1))
		if err != nil {
			b.Fatal(err)
		}
		x := make([]float32, n.rows*32*32*c.InChannels)
		z := rng.New(2).Stream()
		for i := range x {
			x[i] = float32(z.NormFloat64())
		}
		times := make([]float32, n.rows)
		for i := range times {
			times[i] = float32(i*997%1000) + 0.5
		}
		apply := func(t *nn.Tape[float32]) *nn.Var[float32] {
			t.Reset()
			return net.Apply(t, t.Constant(x, n.rows, 32, 32, c.InChannels), t.Constant(times, n.rows), unet.Extra[float32]{})
		}
		run := func(name string, t *nn.Tape[float32], once func()) {
			b.Run(n.name+"/"+name, func(b *testing.B) {
				once()
				b.ReportAllocs()
				for b.Loop() {
					once()
				}
				b.ReportMetric(float64(n.rows)*float64(b.N)/b.Elapsed().Seconds(), "images/s")
				b.ReportMetric(float64(t.Bytes())/(1<<20), "MB")
			})
		}
		forward := nn.Tape[float32]{Inference: true}
		run("forward", &forward, func() {
			apply(&forward)
			if err := forward.Err(); err != nil {
				b.Fatal(err)
			}
		})
		var step nn.Tape[float32]
		run("step", &step, func() {
			net.Params().ZeroGrad()
			y := apply(&step)
			if err := step.Backward(step.MeanSquare(y, step.Constant(x, y.Shape()...)), nil); err != nil {
				b.Fatal(err)
			}
		})
	}
}
