// Package unet is the U-Net of diffusers' UNet2DModel [platen2022]: the options
// in a config.json, the network that they say, and checkpoints as diffusers
// writes them. The architecture is that of [ho2020] with options from later work.
//
//	net, err := unet.Load[float32]("ddpm-cifar10-32")
//	y := net.Apply(tape, x, times, unet.Extra[float32]{})
//
// Images are channels-last, [rows, height, width, channels].
//
// Differs from diffusers: angles of the features of time and the softmax of
// attention are not rounded to float32 in a network of float64, nor the angles in
// one of float32, where those of time 999 are off by 3e-5. That changes an output
// by up to 6e-6 of its deviation.
//
// References:
//
//	[ho2020]     Ho, Jain, Abbeel. Denoising Diffusion Probabilistic Models.
//	             NeurIPS 2020. arXiv:2006.11239.
//	[platen2022] von Platen, Patil, Lozhkov, Cuenca, Lambert, Rasul, Davaadorj,
//	             Wolf. Diffusers: State-of-the-art diffusion models. 2022.
package unet
