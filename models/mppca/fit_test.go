package mppca

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gonum.org/v1/gonum/mat"
	"gonum.org/v1/gonum/stat/distmv"

	"snrlab/rng"
)

// planted is a mixture of three well separated planes in ten dimensions.
func planted() Mixture {
	const K, dim, rank = 3, 10, 2
	m := Mixture{
		Dim: dim, Rank: rank, Weights: []float64{0.5, 0.3, 0.2}, Labels: []int{-1, -1, -1},
		Means: make([]float64, K*dim), Loadings: make([]float64, K*rank*dim), Residual: []float64{0.04, 0.09, 0.01},
	}
	key := rng.New(7)
	key.Split("means", 0).Normal(m.Means)
	key.Split("loadings", 0).Normal(m.Loadings)
	for i := range m.Means {
		m.Means[i] *= 4
	}
	return m
}

// draw returns n rows of m and the component of each.
func (m Mixture) draw(n int, key rng.Key) (x []float64, comp []int) {
	r := key.Stream()
	for range n {
		u, k := r.Float64(), 0
		for k < m.Len()-1 && u >= m.Weights[k] {
			u -= m.Weights[k]
			k++
		}
		row := slices.Clone(m.Means[k*m.Dim : (k+1)*m.Dim])
		for q := range m.Rank {
			z := r.NormFloat64()
			for j := range row {
				row[j] += z * m.Loadings[(k*m.Rank+q)*m.Dim+j]
			}
		}
		for j := range row {
			row[j] += math.Sqrt(m.Residual[k]) * r.NormFloat64()
		}
		x, comp = append(x, row...), append(comp, k)
	}
	return x, comp
}

// cov returns the covariance of component k in full.
func (m Mixture) cov(k int) *mat.SymDense {
	c := mat.NewSymDense(m.Dim, nil)
	for j := range m.Dim {
		c.SetSym(j, j, m.Residual[k])
	}
	for q := range m.Rank {
		c.SymRankOne(c, 1, mat.NewVecDense(m.Dim, m.Loadings[(k*m.Rank+q)*m.Dim:][:m.Dim]))
	}
	return c
}

func settings(clusters, rank int) Options {
	o := Defaults()
	o.Clusters, o.Rank, o.Floor = clusters, rank, 1e-6
	return o
}

func fit(t *testing.T, x []float64, n, dim int, labels []int, o Options) *Result {
	t.Helper()
	r, err := Fit(t.Context(), x, n, dim, labels, o)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestFit_Property_RecoversPlanted(t *testing.T) {
	const n = 6000
	truth := planted()
	x, _ := truth.draw(n, rng.New(1))
	o := settings(3, 2)
	o.Tolerance = 1e-8
	r := fit(t, x, n, truth.Dim, nil, o)
	if !r.Converged || r.Len() != 3 || r.Dropped != 0 {
		t.Fatalf("converged %v, %d components, %d dropped", r.Converged, r.Len(), r.Dropped)
	}
	for k := range 3 {
		// The fitted component is the one whose mean is nearest.
		best, least := 0, math.Inf(1)
		for f := range 3 {
			d := 0.0
			for j := range truth.Dim {
				d += math.Abs(r.Means[f*truth.Dim+j] - truth.Means[k*truth.Dim+j])
			}
			if d < least {
				best, least = f, d
			}
		}
		rows := truth.Weights[k] * n
		want, got := truth.cov(k), r.cov(best)
		// Six standard errors each: of a share, a mean, a variance over rows×8 residual coordinates, and a covariance.
		if d := math.Abs(r.Weights[best] - truth.Weights[k]); d > 6*math.Sqrt(0.25/n) {
			t.Errorf("weight %d is off by %g", k, d)
		}
		if d := math.Abs(r.Residual[best]/truth.Residual[k] - 1); d > 6*math.Sqrt(2/(8*rows)) {
			t.Errorf("residual %d is off by a share of %g", k, d)
		}
		for i := range truth.Dim {
			if d := math.Abs(r.Means[best*truth.Dim+i] - truth.Means[k*truth.Dim+i]); d > 6*math.Sqrt(want.At(i, i)/rows) {
				t.Errorf("mean %d, column %d is off by %g", k, i, d)
			}
			for j := range truth.Dim {
				se := math.Sqrt((want.At(i, i)*want.At(j, j) + want.At(i, j)*want.At(i, j)) / rows)
				if d := math.Abs(got.At(i, j) - want.At(i, j)); d > 6*se {
					t.Errorf("covariance %d at %d, %d is %g, want %g", k, i, j, got.At(i, j), want.At(i, j))
				}
			}
		}
	}
	// A maximum likelihood fit is at least as likely as the truth on its own rows.
	l, err := truth.PerDim(t.Context(), x, n)
	if err != nil {
		t.Fatal(err)
	}
	if got := r.LogLik[len(r.LogLik)-1]; got < l {
		t.Errorf("log likelihood %g, of the truth %g", got, l)
	}
	got, err := r.PerDim(t.Context(), x, n)
	if err != nil {
		t.Fatal(err)
	}
	if want := r.LogLik[len(r.LogLik)-1]; math.Abs(got-want) > 1e-12 { // rounding: only the rotation to eigenvectors is redone
		t.Errorf("log likelihood of the result %.15g, of its last E step %.15g", got, want)
	}
}

// A hard problem, too few components of too small a rank, with overlapping
// classes, columns that never vary and rows that repeat: the likelihood never
// falls, and nothing is NaN.
func TestFit_Property_LikelihoodNeverFalls(t *testing.T) {
	const n, dim = 700, 12
	truth := planted()
	y, labels := truth.draw(n, rng.New(2))
	x := make([]float64, n*dim)
	for i := range n {
		row := x[i*dim : (i+1)*dim]
		row[0], row[1] = -1, 3
		copy(row[2:], y[i*10:(i+1)*10])
		labels[i] %= 2
		if i%7 == 6 {
			copy(row, x[(i-1)*dim:i*dim])
			labels[i] = labels[i-1]
		}
	}
	for _, c := range []struct{ clusters, rank int }{{1, 0}, {2, 1}, {4, 3}, {30, 5}, {3, 11}} {
		o := settings(c.clusters, c.rank)
		o.Tolerance, o.Iterations = 0, 40
		o.Floor = 1e-3
		seen := 0
		o.Progress = func(p Progress) {
			if p.Iteration != seen || p.Total != 40 {
				t.Errorf("progress %+v, want iteration %d of 40", p, seen)
			}
			seen++
		}
		r := fit(t, x, n, dim, labels, o)
		for i := 1; i < len(r.LogLik); i++ {
			// Rounding of a mean over rows of sums of order 10 dim nats.
			if d := r.LogLik[i] - r.LogLik[i-1]; !(d > -1e-12) {
				t.Errorf("%+v: iteration %d loses %g nats per dimension", c, i, -d)
			}
		}
		if r.LogLik[len(r.LogLik)-1] < r.LogLik[0]+1e-6 && c.clusters > 1 {
			t.Errorf("%+v: EM gained nothing: %v", c, r.LogLik)
		}
		if seen != len(r.LogLik) {
			t.Errorf("%d reports of %d E steps", seen, len(r.LogLik))
		}
		sum := 0.0
		for k, w := range r.Weights {
			sum += w
			if r.Residual[k] < o.Floor {
				t.Errorf("residual %g below its floor", r.Residual[k])
			}
		}
		if math.Abs(sum-1) > 1e-12 { // rounding of a sum of up to 60 weights
			t.Errorf("weights sum to %.15g", sum)
		}
		if err := checkRows(append(slices.Clone(r.Means), r.Loadings...), len(r.Means)/dim+len(r.Loadings)/dim, dim); err != nil {
			t.Errorf("%+v: %v", c, err)
		}
	}
}

// One component is probabilistic PCA, which has a closed form [tipping1999ppca]
// by the eigenvalues of the covariance, computed here by another route.
func TestFit_AgreesWith_ClosedForm(t *testing.T) {
	const n, dim, rank = 500, 8, 3
	x := make([]float64, n*dim)
	rng.New(3).Normal(x)
	for i := range x { // deviations 1/1, 1/2, … 1/8
		x[i] /= float64(i%dim + 1)
	}
	o := settings(1, rank)
	o.Iterations, o.Tolerance = 400, 0 // subspace iteration converges by λ₄/λ₃, about 0.56 here, a sweep
	r := fit(t, x, n, dim, nil, o)

	mean := mat.NewVecDense(dim, nil)
	for i := range n {
		mean.AddVec(mean, mat.NewVecDense(dim, x[i*dim:(i+1)*dim]))
	}
	mean.ScaleVec(1./n, mean)
	s := mat.NewSymDense(dim, nil)
	for i := range n {
		row := mat.VecDenseCopyOf(mat.NewVecDense(dim, x[i*dim:(i+1)*dim]))
		row.SubVec(row, mean)
		s.SymRankOne(s, 1./n, row)
	}
	var e mat.EigenSym
	if !e.Factorize(s, true) {
		t.Fatal("no eigenvalues")
	}
	vals := e.Values(nil) // ascending
	var vecs mat.Dense
	e.VectorsTo(&vecs)
	residual, logdet := 0.0, 0.0
	for _, v := range vals[:dim-rank] {
		residual += v / (dim - rank)
	}
	want := mat.NewSymDense(dim, nil)
	for j := range dim {
		want.SetSym(j, j, residual)
	}
	for _, i := range []int{dim - 1, dim - 2, dim - 3} {
		want.SymRankOne(want, vals[i]-residual, vecs.ColView(i))
		logdet += math.Log(vals[i])
	}
	logdet += (dim - rank) * math.Log(residual)

	// The fit ends when rounding, 1e-15, hides the gain; that is second order in the subspace, which is then right to 3e-8.
	const tol = 1e-7
	if math.Abs(r.Residual[0]-residual) > tol {
		t.Errorf("residual %.12g, want %.12g", r.Residual[0], residual)
	}
	got := r.cov(0)
	for i := range dim {
		if math.Abs(r.Means[i]-mean.AtVec(i)) > 1e-14 { // rounding
			t.Errorf("mean %d is %.17g, want %.17g", i, r.Means[i], mean.AtVec(i))
		}
		for j := range dim {
			if math.Abs(got.At(i, j)-want.At(i, j)) > tol {
				t.Errorf("covariance %d, %d is %.12g, want %.12g", i, j, got.At(i, j), want.At(i, j))
			}
		}
	}
	best := -(dim*math.Log(2*math.Pi) + logdet + dim) / 2 / dim
	if l := r.LogLik[len(r.LogLik)-1]; math.Abs(l-best) > 1e-10 { // second order in the subspace
		t.Errorf("log likelihood %.12g, want %.12g", l, best)
	}
	for q := 1; q < rank; q++ {
		a, b := r.Loadings[(q-1)*dim:q*dim], r.Loadings[q*dim:(q+1)*dim]
		if math.Abs(dot(a, b)) > 1e-12 || dot(a, a) < dot(b, b) { // rounding of an orthonormal basis
			t.Errorf("loadings %d and %d are not orthogonal and descending", q-1, q)
		}
	}
}

// Log densities agree with the full covariance and its Cholesky factor, for
// loadings that are neither orthogonal nor independent.
// A direction with no more variance than the residual is pooled with it, which
// keeps the trace.
func TestFill_Limit(t *testing.T) {
	k := component{mean: make([]float64, 5), variance: []float64{5, 0.5, 0.3}}
	k.fill(5+0.5+0.3+2*0.4, 1e-9) // 0.4 along each of two directions outside
	want := (0.3 + 2*0.4) / 3     // above 0.3, below 0.5
	for i, v := range []float64{5, 0.5, want} {
		if math.Abs(k.variance[i]-v) > 1e-15*v {
			t.Errorf("variance %d is %g, expected %g", i, k.variance[i], v)
		}
	}
	if math.Abs(k.residual-want) > 1e-15 {
		t.Errorf("residual %g, expected %g", k.residual, want)
	}
	k = component{mean: make([]float64, 3), variance: []float64{2}}
	if k.fill(2, 0.5); k.residual != 0.5 || k.variance[0] != 2 {
		t.Errorf("nothing outside the span: residual %g, variance %g, expected the floor 0.5 and 2", k.residual, k.variance[0])
	}
}

// Weights are shares of all rows, whatever the sizes of the classes.
func TestFit_Property_ClassWeights(t *testing.T) {
	x := make([]float64, 2*80)
	rng.New(11).Normal(x)
	labels := make([]int, 80)
	for i := range 60 {
		labels[i] = 4
	}
	r := fit(t, x, 80, 2, labels, settings(2, 1))
	share := map[int]float64{}
	for k, w := range r.Weights {
		share[r.Labels[k]] += w
	}
	if math.Abs(share[4]-0.75) > 1e-14 || math.Abs(share[0]-0.25) > 1e-14 {
		t.Errorf("classes of 60 and 20 rows weigh %v, expected 0.75 and 0.25", share)
	}
}

func TestLogDensity_AgreesWith_Cholesky(t *testing.T) {
	const n = 300
	m := planted()
	copy(m.Loadings[m.Dim:2*m.Dim], m.Loadings[:m.Dim]) // component 0 repeats a direction
	x, _ := m.draw(n, rng.New(4))
	rng.New(5).Normal(x[:10*m.Dim]) // and some rows far from all of them
	got := make([]float64, n)
	if err := m.LogDensity(t.Context(), got, x, n); err != nil {
		t.Fatal(err)
	}
	var normals []*distmv.Normal
	for k := range m.Len() {
		d, ok := distmv.NewNormal(m.Means[k*m.Dim:(k+1)*m.Dim], m.cov(k), nil)
		if !ok {
			t.Fatal("covariance is not positive definite")
		}
		normals = append(normals, d)
	}
	for i := range n {
		logp := make([]float64, m.Len())
		for k, d := range normals {
			logp[k] = math.Log(m.Weights[k]) + d.LogProb(x[i*m.Dim:(i+1)*m.Dim])
		}
		want := logSum(logp)
		if math.Abs(got[i]-want) > 1e-10*(1+math.Abs(want)) { // rounding, magnified by variance over residual, below 1e4
			t.Errorf("row %d: %.12g, want %.12g", i, got[i], want)
		}
	}
}

func TestFit_Invariant(t *testing.T) {
	const n = 2000
	m := planted()
	x, labels := m.draw(n, rng.New(6))
	for i := range labels {
		labels[i] = labels[i] / 2
	}
	o := settings(4, 3)
	o.Iterations = 6
	kept := slices.Clone(x)
	want := fit(t, x, n, m.Dim, labels, o)
	if !slices.Equal(x, kept) {
		t.Error("the data changed")
	}
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(0))
	for _, procs := range []int{1, 2, 5} {
		runtime.GOMAXPROCS(procs)
		if d := cmp.Diff(want, fit(t, x, n, m.Dim, labels, o)); d != "" {
			t.Errorf("on %d processors:\n%s", procs, d)
		}
	}
	o.Key = rng.New(99)
	if cmp.Equal(want, fit(t, x, n, m.Dim, labels, o)) {
		t.Error("another key gives the same fit")
	}
}

func TestFit_Refuses(t *testing.T) {
	x := []float64{1, 2, 3, 4, 5, 6, 7, 8}
	for name, spoil := range map[string]func(o *Options){
		"clusters":   func(o *Options) { o.Clusters = 0 },
		"many":       func(o *Options) { o.Clusters = 5 },
		"rank":       func(o *Options) { o.Rank = -1 },
		"full rank":  func(o *Options) { o.Rank = 2 },
		"iterations": func(o *Options) { o.Iterations = 0 },
		"tolerance":  func(o *Options) { o.Tolerance = math.NaN() },
		"floor":      func(o *Options) { o.Floor = 0 },
		"starts":     func(o *Options) { o.Starts = 0 },
	} {
		o := settings(1, 1)
		spoil(&o)
		if _, err := Fit(t.Context(), x, 4, 2, nil, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	o := settings(1, 1)
	for name, f := range map[string]func() error{
		"rows":    func() error { _, err := Fit(t.Context(), x, 3, 2, nil, o); return err },
		"no rows": func() error { _, err := Fit(t.Context(), nil, 0, 2, nil, o); return err },
		"labels":  func() error { _, err := Fit(t.Context(), x, 4, 2, []int{1}, o); return err },
		"small class": func() error {
			o := settings(2, 1)
			_, err := Fit(t.Context(), x, 4, 2, []int{1, 1, 1, 2}, o)
			return err
		},
		"dst": func() error {
			m := planted()
			return m.LogDensity(t.Context(), make([]float64, 1), make([]float64, 20), 2)
		},
		"mixture": func() error {
			m := planted()
			m.Residual[1] = 0
			return m.LogDensity(t.Context(), make([]float64, 1), make([]float64, 10), 1)
		},
		"arrays": func() error {
			m := planted()
			m.Means = m.Means[1:]
			return m.LogDensity(t.Context(), make([]float64, 1), make([]float64, 10), 1)
		},
		"NaN loading": func() error {
			m := planted()
			m.Loadings[0] = math.NaN()
			return m.LogDensity(t.Context(), make([]float64, 1), make([]float64, 10), 1)
		},
		// Finite, but their products are not.
		"huge": func() error {
			huge := slices.Clone(x)
			for i := range huge {
				huge[i] *= 1e160
			}
			_, err := Fit(t.Context(), huge, 4, 2, nil, o)
			return err
		},
		"shrink": func() error { m := planted(); return m.Shrink(0) },
	} {
		if f() == nil {
			t.Errorf("%s: no error", name)
		}
	}
	bad := slices.Clone(x)
	bad[5] = math.Inf(1)
	_, err := Fit(t.Context(), bad, 4, 2, nil, o)
	if !errors.Is(err, ErrNotFinite) || err.Error() != "mppca: row 2, column 1 is +Inf: value is not finite" {
		t.Errorf("infinity: %v", err)
	}
}

func TestFit_Refuses_WhenCancelled(t *testing.T) {
	const n = 2000
	m := planted()
	x, _ := m.draw(n, rng.New(8))
	ctx, cancel := context.WithCancel(t.Context())
	o := settings(3, 2)
	o.Tolerance, o.Iterations = 0, 1000
	seen := 0
	o.Progress = func(Progress) {
		seen++
		cancel()
	}
	if _, err := Fit(ctx, x, n, m.Dim, nil, o); !errors.Is(err, context.Canceled) || seen != 1 {
		t.Errorf("cancelled after the first E step, ended after %d with %v", seen, err)
	}
}

// Clusters that nobody chose take far rows; components that lose all rows get
// weight 0 and change nothing.
func TestFit_Limit_EmptyClusters(t *testing.T) {
	assign := []int{0, 0, 0, 2, 2}
	refill(assign, []float64{1, 5, 2, 9, 0}, 4)
	if want := []int{0, 3, 0, 1, 2}; !slices.Equal(assign, want) {
		t.Errorf("clusters %v, want %v", assign, want)
	}

	x := slices.Repeat([]float64{1, 2, 3}, 6) // six equal rows, no variance at all
	r := fit(t, x, 6, 3, nil, settings(3, 1))
	if len(r.Residual) == 0 {
		t.Fatal("no components")
	}
	for k, s := range r.Residual {
		if s != 1e-6 || math.Abs(r.Means[3*k]-1) > 1e-15 { // rounding of the shares
			t.Errorf("component %d: residual %g, mean %v", k, s, r.Means)
		}
	}

	c := class{x: x, dim: 3, rows: []int{0, 1}, resp: []float64{1, 0, 1, 0}, comps: []component{
		{mean: make([]float64, 3)},
		{mean: []float64{7, 8, 9}, weight: 0.5, residual: 2},
	}}
	if err := c.maximise(t.Context(), 1, 1e-6); err != nil {
		t.Fatal(err)
	}
	if k := c.comps[1]; k.weight != 0 || k.mean[0] != 7 || k.residual != 2 {
		t.Errorf("component without rows: %+v", k)
	}
	if l, err := c.expect(t.Context()); err != nil || math.IsNaN(l) || c.resp[1] != 0 {
		t.Errorf("E step with weight 0: %v, %v, %v", l, err, c.resp)
	}
}

// Shrinking keeps the variance along each loading and the other eigenvectors.
func TestShrink_Property(t *testing.T) {
	const n, small = 3000, 1e-4
	truth := planted()
	x, _ := truth.draw(n, rng.New(9))
	m := fit(t, x, n, truth.Dim, nil, settings(3, 2)).Mixture
	before := make([]*mat.SymDense, m.Len())
	dirs := slices.Clone(m.Loadings)
	for k := range before {
		before[k] = m.cov(k)
	}
	if err := m.Shrink(small); err != nil {
		t.Fatal(err)
	}
	for k := range before {
		after := m.cov(k)
		for q := range m.Rank {
			u := mat.NewVecDense(m.Dim, dirs[(k*m.Rank+q)*m.Dim:][:m.Dim])
			was, is := mat.Inner(u, before[k], u), mat.Inner(u, after, u)
			if math.Abs(is/was-1) > 1e-12 { // rounding
				t.Errorf("component %d: variance %g along loading %d, was %g", k, is, q, was)
			}
		}
		want := 0.0
		for q := range m.Rank {
			w := m.Loadings[(k*m.Rank+q)*m.Dim:][:m.Dim]
			want += dot(w, w)
		}
		want += small * float64(m.Dim)
		if got := mat.Trace(after); math.Abs(got/want-1) > 1e-12 || m.Residual[k] != small {
			t.Errorf("component %d: trace %g, want %g; residual %g", k, got, want, m.Residual[k])
		}
	}
}
