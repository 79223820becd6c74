// Package dit is the diffusion transformer [peebles2023]: a vision transformer
// on patches of an image whose blocks are modulated by time and class, adaLN-Zero.
// With c = t_embedder(t) + y_embedder(label), a block does to tokens h
//
//	(b₁, s₁, g₁, b₂, s₂, g₂) = W SiLU(c)
//	h ← h + g₁ attention(LN(h)(1 + s₁) + b₁)
//	h ← h + g₂ mlp(LN(h)(1 + s₂) + b₂)
//
// where LN is a layer norm without parameters of its own and mlp has one hidden
// layer with GELU by tanh. W starts as zero, so that a block is the identity at
// first, and so does the final layer, so that the network is zero.
//
//	net, err := dit.New[float32](dit.DefaultConfig(), key)
//	y := net.Apply(tape, images, times, labels)
//
// Images are channels-last, [rows, height, width, channels]. Parameters have the
// names, shapes and meanings of the paper's program.
//
// Differs from the paper: the table of positions is computed, not a parameter
// pos_embed of a checkpoint; rotary positions [su2021] are a choice, and images
// need not be square; no covariance is predicted; a label is dropped for training
// without classes by whoever passes −1.
//
// References:
//
//	[glorot2010]  Glorot, Bengio. Understanding the difficulty of training deep
//	              feedforward neural networks. AISTATS 2010.
//	[peebles2023] Peebles, Xie. Scalable Diffusion Models with Transformers. ICCV
//	              2023. arXiv:2212.09748.
//	[su2021]      Su, Lu, Pan, et al. RoFormer: Enhanced Transformer with Rotary
//	              Position Embedding. 2021. arXiv:2104.09864.
//	[vaswani2017] Vaswani, Shazeer, Parmar, et al. Attention Is All You Need.
//	              NeurIPS 2017. arXiv:1706.03762.
package dit
