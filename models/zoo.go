package models

import "fmt"

// The zoo: small distributions with known everything, for tests, examples and
// the question whether a method can be right at all.

// GM2D is the mixture of three isotropic Gaussians in the plane that methods
// are measured on: weights 0.35, 0.40, 0.25, total variance 0.514006
// (σ_data = 0.507).
func GM2D() *Mixture {
	return must(NewMixture(Components{
		Shape:    []int{2},
		Weights:  []float64{0.35, 0.40, 0.25},
		Means:    []float64{-0.60, 0.24, 0.48, 0.54, 0.18, -0.66},
		Residual: []float64{0.02, 0.04, 0.03},
	}))
}

// GM1D is the mixture 0.3 N(−2, 0.3²) + 0.7 N(1, 0.5²) on the line.
func GM1D() *Mixture {
	return must(NewMixture(Components{
		Shape:    []int{1},
		Weights:  []float64{0.3, 0.7},
		Means:    []float64{-2, 1},
		Residual: []float64{0.09, 0.25},
	}))
}

// IsotropicGaussian is N(0, c I) in dim dimensions, where every solver has a
// closed form: D = α c/(α² c + σ²) x.
func IsotropicGaussian(dim int, c float64) (*Mixture, error) {
	if dim < 1 {
		return nil, fmt.Errorf("models: Gaussian in %d dimensions: expected at least 1", dim)
	}
	return NewMixture(Components{
		Shape: []int{dim}, Weights: []float64{1}, Means: make([]float64, dim), Residual: []float64{c},
	})
}

// Gauss4 is one 4-D Gaussian with a full covariance; [Gaussian.Flow] gives its
// trajectories. With GMM16 and GMM2 it is what the published samplers'
// recorded trajectories were computed on.
func Gauss4() *Gaussian {
	return must(NewGaussian(
		[]int{4},
		[]float64{0.076382, 1.29023, 0.363773, -0.016063},
		[]float64{
			0.913448, -0.137418, 0.413493, 0.3779,
			-0.137418, 0.151331, -0.128481, -0.159639,
			0.413493, -0.128481, 0.331473, 0.001789,
			0.3779, -0.159639, 0.001789, 0.871182,
		},
	))
}

// GMM16 is a 16-D mixture of five components with diagonal covariances.
func GMM16() *Mixture {
	return must(NewMixture(Components{
		Shape:   []int{16},
		Weights: []float64{0.141667, 0.324423, 0.175715, 0.260069, 0.098126},
		Means: []float64{
			-0.378623, -0.635425, 0.526822, 0.125808, 2.464033, 1.005073, 1.417084, -0.07728, 0.429063, -0.550248, -0.314524, -0.634875, -0.306168, 1.824569, -0.522972, 0.785821,
			0.819509, 0.942881, -1.070675, -1.116506, 0.049772, 0.19099, -0.310792, 1.081947, -1.985034, -0.972688, -0.077532, 0.444163, -1.048019, -2.159893, -0.549058, -2.010132,
			0.715277, 1.221122, -2.294846, 0.63788, 0.084847, -0.52942, -0.186982, 0.146875, 0.771452, -1.213621, 2.392235, -2.650072, 0.862189, -0.084221, 1.388412, 1.420949,
			-0.879416, -2.473787, -0.184313, 0.245613, -0.370642, 0.075221, 1.0574, 1.271919, 1.740214, -0.55673, 0.173084, 0.614997, -1.059259, -1.041014, 0.532348, -0.112109,
			0.388413, 0.734342, -1.129023, 1.405843, 1.509307, 1.304103, -1.470716, 0.780496, -0.478329, -1.129453, 0.837152, -0.211154, -0.328011, -1.206353, 0.155621, 1.977634,
		},
		Residual: []float64{
			0.04009, 0.160251, 0.012309, 0.018569, 0.053437, 0.163281, 0.026966, 0.009854, 0.219777, 0.011422, 0.103847, 0.0326, 0.110183, 0.120245, 0.006477, 0.044079,
			0.040251, 0.016868, 0.002873, 0.002992, 0.101669, 0.007759, 0.036883, 0.236078, 0.196348, 0.212293, 0.015991, 0.037081, 0.025218, 0.073403, 0.086892, 0.054035,
			0.147521, 0.115382, 0.120204, 0.013724, 0.148967, 0.114685, 0.033931, 0.048015, 0.244909, 0.042053, 0.041841, 0.10637, 0.107766, 0.003137, 0.095169, 0.159965,
			0.227956, 0.134206, 0.010464, 0.025912, 0.056893, 0.111833, 0.008642, 0.050913, 0.03798, 0.237263, 0.236324, 0.14787, 0.080066, 0.01538, 0.227741, 0.216059,
			0.199949, 0.005324, 0.15898, 0.009536, 0.209241, 0.098941, 0.244669, 0.058999, 0.111177, 0.159462, 0.027862, 0.113914, 0.178135, 0.08099, 0.05809, 0.083493,
		},
	}))
}

// GMM2 is a 2-D mixture of eight isotropic components of unequal weights and
// widths.
func GMM2() *Mixture {
	deviations := []float64{0.089081, 0.079384, 0.299454, 0.25984, 0.069486, 0.217929, 0.190587, 0.346793}
	variances := make([]float64, len(deviations))
	for i, s := range deviations {
		variances[i] = s * s
	}
	return must(NewMixture(Components{
		Shape:   []int{2},
		Weights: []float64{0.061018938981061005, 0.07934592065407933, 0.11735488264511734, 0.08718491281508717, 0.2016267983732016, 0.21291578708421288, 0.12273487726512271, 0.1178178821821178},
		Means: []float64{
			1.651416, 0.081902,
			1.111679, 1.123646,
			-0.18845, 1.471957,
			-0.822253, 0.545937,
			-1.60436, -0.186147,
			-0.96213, -1.260486,
			0.003626, -1.032063,
			1.117975, -0.852406,
		},
		Residual: variances,
	}))
}

// Needles is an 8-D mixture of six nearly singular Gaussians, the stiff problem
// of the ranking of solvers. Each is long in two directions, about 0.7 and 0.25,
// and 0.003 wide in the other six, so that variances differ by up to 1e5; the
// components come in three pairs whose means are 0.1 apart, so that the
// denoiser decides between them at any noise from 1 down to 0.003.
func Needles() *Mixture {
	return must(NewMixture(Components{
		Shape:   []int{8},
		Weights: []float64{0.22, 0.13, 0.2, 0.15, 0.18, 0.12},
		Means: []float64{
			0.76, -0.51, 0.13, -1.29, -0.05, 0.85, 1.01, -0.68,
			0.744, -0.518, 0.049, -1.239, -0.029, 0.866, 1.041, -0.69,
			0.13, 0.51, 0.46, -0.29, -0.76, 0.37, 0.24, -0.66,
			0.164, 0.529, 0.473, -0.287, -0.743, 0.413, 0.23, -0.615,
			0.16, 0.26, 0.93, 0.14, 0.27, -0.33, 0.01, 0.1,
			0.144, 0.24, 0.958, 0.173, 0.244, -0.349, 0.035, 0.135,
		},
		Loadings: []float64{
			-0.196, -0.072, 0.23, 0.387, 0.196, -0.227, 0.258, -0.006,
			0.054, 0.048, -0.056, -0.007, 0.101, -0.005, 0.082, 0.073,
			-0.079, -0.111, -0.049, -0.382, -0.26, -0.05, 0.218, 0.078,
			-0.076, 0.022, 0.13, 0.064, 0.056, 0.037, 0.111, 0.066,
			0.071, 0.02, 0.071, 0.368, 0.069, 0.005, -0.193, -0.334,
			-0.033, 0.08, -0.026, 0.163, 0.022, 0.108, 0.021, 0.139,
			0.339, -0.295, -0.024, 0.008, 0.166, 0.408, -0.498, 0.338,
			-0.04, 0.134, -0.066, 0.211, 0.096, 0.069, 0.103, -0.098,
			-0.415, 0.318, -0.122, 0.029, -0.167, -0.089, 0.371, -0.211,
			0.16, -0.085, 0.223, -0.047, 0.052, 0.108, 0.037, -0.054,
			0.33, 0.087, -0.154, -0.141, -0.218, -0.161, -0.106, 0.129,
			-0.059, -0.086, -0.071, 0.07, -0.031, 0.023, 0.036, -0.11,
		},
		Residual: []float64{9e-6, 9e-6, 9e-6, 9e-6, 9e-6, 9e-6},
	}))
}

// must is for the literals of this file, which are known to be good.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
