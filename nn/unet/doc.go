// Package unet describes the U-Nets of diffusers' UNet2DModel [platen2022]: the
// options in a config.json, and the parameters that they imply, by name and
// shape, which a checkpoint is held to before it is read. The architecture is
// that of [ho2020] with options from later work.
//
// References:
//
//	[ho2020]     Ho, Jain, Abbeel. Denoising Diffusion Probabilistic Models.
//	             NeurIPS 2020. arXiv:2006.11239.
//	[platen2022] von Platen, Patil, Lozhkov, Cuenca, Lambert, Rasul, Davaadorj,
//	             Wolf. Diffusers: State-of-the-art diffusion models. 2022.
package unet
