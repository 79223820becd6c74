// Package mppca fits mixtures of probabilistic principal component analysers,
// Gaussians of a few directions plus an isotropic residual, to the rows of an
// array by expectation maximisation.
//
// References:
//
//	[arthur2007]      Arthur, Vassilvitskii. k-means++: the advantages of careful
//	                  seeding. SODA 2007.
//	[neal1998]        Neal, Hinton. A view of the EM algorithm that justifies
//	                  incremental, sparse, and other variants. In: Learning in
//	                  Graphical Models, 1998.
//	[tipping1999]     Tipping, Bishop. Mixtures of probabilistic principal component
//	                  analysers. Neural Computation 11(2), 1999.
//	[tipping1999ppca] Tipping, Bishop. Probabilistic principal component analysis.
//	                  Journal of the Royal Statistical Society B 61(3), 1999.
package mppca
