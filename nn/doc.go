// Package nn is the engine of neural networks: arrays, reverse-mode
// differentiation on a [Tape], parameters in a named tree ([Scope]), layers and
// optimisers. It is generic over float32, which runs on the kernels of this
// module, and float64, which runs on plain definitions and checks gradients.
//
// Networks are code that calls operations of a tape:
//
//	tape.Reset()
//	x := tape.Input(images, rows, 32, 32, 1)
//	y := net.Apply(tape, x)
//	loss := tape.MeanSquare(y, tape.Constant(target, y.Shape()...))
//	err := tape.Backward(loss, nil)
//
// The first error of an operation stays with the tape, the operations after it
// do nothing, and [Tape.Backward] and [Tape.Err] return it.
//
// Images are channels-last, [rows, height, width, channels]. A row of a result
// depends on the same row of the inputs alone, bit for bit, and no result on the
// number of workers. A tape that does the same again allocates nothing.
// A batch of no rows gives empty results, a mean of nothing is an error.
//
// References:
//
//	[ba2016]         Ba, Kiros, Hinton. Layer Normalization. 2016.
//	                 arXiv:1607.06450.
//	[dao2022]        Dao, Fu, Ermon, Rudra, Ré. FlashAttention: Fast and
//	                 Memory-Efficient Exact Attention with IO-Awareness. NeurIPS
//	                 2022. arXiv:2205.14135.
//	[glorot2010]     Glorot, Bengio. Understanding the difficulty of training
//	                 deep feedforward neural networks. AISTATS 2010.
//	[he2015]         He, Zhang, Ren, Sun. Delving Deep into Rectifiers:
//	                 Surpassing Human-Level Performance on ImageNet
//	                 Classification. ICCV 2015. arXiv:1502.01852.
//	[karras2022]     Karras, Aittala, Aila, Laine. Elucidating the Design Space
//	                 of Diffusion-Based Generative Models. NeurIPS 2022.
//	                 arXiv:2206.00364.
//	[karras2024ema]  Karras, Aittala, Lehtinen, Hellsten, Aila, Laine. Analyzing
//	                 and Improving the Training Dynamics of Diffusion Models.
//	                 CVPR 2024. arXiv:2312.02696.
//	[kingma2015]     Kingma, Ba. Adam: A Method for Stochastic Optimization. ICLR
//	                 2015. arXiv:1412.6980.
//	[loshchilov2017] Loshchilov, Hutter. SGDR: Stochastic Gradient Descent with
//	                 Warm Restarts. ICLR 2017. arXiv:1608.03983.
//	[loshchilov2019] Loshchilov, Hutter. Decoupled Weight Decay Regularization.
//	                 ICLR 2019. arXiv:1711.05101.
//	[srivastava2014] Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov.
//	                 Dropout: A Simple Way to Prevent Neural Networks from
//	                 Overfitting. JMLR 15, 2014.
//	[su2021]         Su, Lu, Pan, et al. RoFormer: Enhanced Transformer with
//	                 Rotary Position Embedding. 2021. arXiv:2104.09864.
//	[sutskever2013]  Sutskever, Martens, Dahl, Hinton. On the importance of
//	                 initialization and momentum in deep learning. ICML 2013.
//	[tancik2020]     Tancik, Srinivasan, Mildenhall, et al. Fourier Features Let
//	                 Networks Learn High Frequency Functions in Low Dimensional
//	                 Domains. NeurIPS 2020. arXiv:2006.10739.
//	[vaswani2017]    Vaswani, Shazeer, Parmar, et al. Attention Is All You Need.
//	                 NeurIPS 2017. arXiv:1706.03762.
//	[wu2018]         Wu, He. Group Normalization. ECCV 2018. arXiv:1803.08494.
package nn
