// Package mlp is a perceptron with residual blocks, for denoisers of points in
// few dimensions. With features f of the time, features u of the point, a label
// l and the activation φ,
//
//	c = φ(B φ(A f) + e_l)
//	h = W u, then for each block  h ← h + W₂ φ(W₁ (LN(h)(1 + s) + b)),  (s, b) = U c
//	y = V LN(h)
//
// where LN is a layer norm without parameters of its own [ba2016]; U, W₁ and W₂
// are those of the block, and each matrix has a bias. e_l is zero for the label −1,
// no class. V and its bias start as zero, and so does y.
//
//	net, err := mlp.New[float32](mlp.DefaultConfig(), key)
//	y := net.Apply(tape, x, times, nil)
//
// References:
//
//	[ba2016]      Ba, Kiros, Hinton. Layer Normalization. 2016. arXiv:1607.06450.
//	[tancik2020]  Tancik, Srinivasan, Mildenhall, et al. Fourier Features Let
//	              Networks Learn High Frequency Functions in Low Dimensional
//	              Domains. NeurIPS 2020. arXiv:2006.10739.
//	[vaswani2017] Vaswani, Shazeer, Parmar, et al. Attention Is All You Need.
//	              NeurIPS 2017. arXiv:1706.03762.
package mlp
