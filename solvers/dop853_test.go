package solvers

import (
	"context"
	"math"
	"testing"
)

// tree is a rooted tree, the index of an order condition: its subtrees.
type tree []tree

// order is the number of nodes.
func (t tree) order() int {
	n := 1
	for _, s := range t {
		n += s.order()
	}
	return n
}

// density is γ(t), the product over all nodes of the size of what hangs there.
func (t tree) density() float64 {
	g := float64(t.order())
	for _, s := range t {
		g *= s.density()
	}
	return g
}

// elementary returns the stage vector Φ_i(t): the product over the subtrees of
// Σ_j a_ij Φ_j.
func (t tree) elementary(a [][]float64) []float64 {
	phi := make([]float64, len(a))
	for i := range phi {
		phi[i] = 1
	}
	for _, s := range t {
		sub := s.elementary(a)
		for i, row := range a {
			sum := 0.0
			for j, v := range row {
				sum += v * sub[j]
			}
			phi[i] *= sum
		}
	}
	return phi
}

// trees lists the rooted trees of n nodes, each once.
func trees(n int) []tree {
	if n == 1 {
		return []tree{nil}
	}
	var all []tree
	for k := 1; k < n; k++ {
		all = append(all, trees(k)...)
	}
	var list []tree
	// Multisets of trees with n−1 nodes in total, in order of their index.
	var add func(from, left int, t tree)
	add = func(from, left int, t tree) {
		if left == 0 {
			list = append(list, append(tree(nil), t...))
			return
		}
		for i := from; i < len(all) && all[i].order() <= left; i++ {
			add(i, left-all[i].order(), append(t, all[i]))
		}
	}
	add(0, n-1, nil)
	return list
}

// defect returns the largest |Σ w_i Φ_i(t) − θ^ρ/γ(t)| over the trees of up to
// p nodes, and the number of them, for the stages of a and weights w.
func defect(a [][]float64, w []float64, theta float64, p int) (worst float64, n int) {
	for q := 1; q <= p; q++ {
		for _, t := range trees(q) {
			sum := 0.0
			for i, phi := range t.elementary(a) {
				sum += w[i] * phi
			}
			worst = max(worst, math.Abs(sum-math.Pow(theta, float64(q))/t.density()))
			n++
		}
	}
	return worst, n
}

// The tableau satisfies every order condition it promises, and none beyond:
// 200 trees for order 8, 17 for order 5, 4 for order 3, 85 for order 7.
func TestDop853_TableauProperty(t *testing.T) {
	all := make([][]float64, stages)
	for i := range dopA {
		all[i] = dopA[i][:]
	}
	for i, row := range dopA {
		sum := 0.0
		for j, a := range row {
			sum += a
			if j >= i && a != 0 {
				t.Errorf("a[%d][%d] = %g: not explicit", i, j, a)
			}
		}
		// Up to ten terms as large as 43: rounding is 1e-14.
		if d := math.Abs(sum - dopC[i]); d > 2e-14 {
			t.Errorf("row %d sums to %.17g, its node is %.17g", i, sum, dopC[i])
		}
	}

	var b5, b3 [stages]float64
	for i := range dopE5 {
		b5[i] = dopA[stageEnd][i] - dopE5[i]
		b3[i] = dopB3[i]
	}
	for _, c := range []struct {
		name     string
		w        [stages]float64
		order, n int
	}{{"solution", dopA[stageEnd], 8, 200}, {"embedded 5", b5, 5, 17}, {"embedded 3", b3, 3, 4}} {
		// Stage vectors grow to 1e1 under weights of up to 6: rounding is 1e-14.
		worst, n := defect(all, c.w[:], 1, c.order)
		if worst > 2e-14 || n != c.n {
			t.Errorf("%s: defect %.2g over %d trees of order ≤ %d: expected rounding over %d", c.name, worst, n, c.order, c.n)
		}
		if worst, _ := defect(all, c.w[:], 1, c.order+1); worst < 1e-7 {
			t.Errorf("%s: also of order %d: the tableau is another one", c.name, c.order+1)
		}
	}

	for _, theta := range []float64{0, 0.1, 0.37, 0.5, 0.81, 1} {
		p := dopPowers(theta)
		var w [stages]float64
		var y, y1 float64
		for c := range p {
			m := dopCont(c, 1)
			y += p[c] * m[0]
			y1 += p[c] * m[1]
			w[0] += p[c] * m[2]
			for i := 5; i < stages; i++ {
				w[i] += p[c] * m[i-2]
			}
		}
		for i, b := range dopA[stageEnd] {
			w[i] += y1 * b
		}
		if math.Abs(y+y1-1) > 1e-15 {
			t.Errorf("θ = %g: the weights of the states sum to %g", theta, y+y1)
		}
		// Weights of up to 600 cancel: rounding is 1e-13.
		if worst, n := defect(all, w[:], theta, 7); worst > 1e-12 || n != 85 {
			t.Errorf("continuous extension at θ = %g: defect %.2g over %d trees", theta, worst, n)
		}
	}
}

// pendulum is θ″ = −sin θ with θ(0) = 1, θ′(0) = 0, and |y| conserved by
// nothing: nonlinear, so that all order conditions matter.
func pendulum(_ context.Context, dst, y, t []float64, _ []int) error {
	for i := range t {
		dst[2*i], dst[2*i+1] = y[2*i+1], -math.Sin(y[2*i])
	}
	return nil
}

// fixedSteps integrates the pendulum over [0, 2] in n equal steps and returns
// the end, and the continuous extension at 0.3 of the way.
func fixedSteps(t *testing.T, n int) (end, inside []float64) {
	d := newDop853(2, 1, 1)
	d.rtol, d.atol = 1, 1 // accepts everything
	d.field = pendulum
	d.out = []float64{0.6}
	d.saved = func(_, j int, y []float64) {
		if j == 0 {
			inside = append([]float64(nil), y...)
		} else {
			end = append([]float64(nil), y...)
		}
	}
	d.load(dopRow{end: 2, y: []float64{1, 0}})
	ctx := context.Background()
	if err := d.begin(ctx, 0); err != nil {
		t.Fatal(err)
	}
	for i := 0; d.n > 0; i++ {
		if i > n {
			t.Fatal("does not end")
		}
		d.h[0] = 2 / float64(n)
		if err := d.attempt(ctx); err != nil {
			t.Fatal(err)
		}
		if err := d.settle(ctx); err != nil {
			t.Fatal(err)
		}
	}
	return end, inside
}

// Fixed steps converge with order 8 at the ends of steps, and the continuous
// extension with order 8 as well: its local error is of order 8, that is of
// the order of the global error before it.
func TestDop853_Order(t *testing.T) {
	exact, exactIn := fixedSteps(t, 100) // (1/50)^8 ~ 1e-14
	var e, in [2]float64
	for i, n := range []int{5, 15} { // 0.6 is the middle of a step of both
		y, m := fixedSteps(t, n)
		e[i] = math.Hypot(y[0]-exact[0], y[1]-exact[1])
		in[i] = math.Hypot(m[0]-exactIn[0], m[1]-exactIn[1])
	}
	for name, e := range map[string][2]float64{"end": e, "inside": in} {
		// Well above the rounding of 1e-15; an order of 7 would show as 7.0 ± 0.3.
		if p := math.Log(e[0]/e[1]) / math.Log(3); p < 7.6 || p > 9 {
			t.Errorf("%s: order %.2f from errors %.3g, %.3g: expected 8", name, p, e[0], e[1])
		}
	}
}

// Where the tolerance is relative alone, y and 2⁴⁰ y take the same steps, and the
// states stay multiples bit for bit.
func TestDop853_Invariant_Scale(t *testing.T) {
	d := newDop853(2, 2, 2)
	d.rtol, d.atol = 1e-8, 1e-300
	d.field = func(_ context.Context, dst, y, t []float64, _ []int) error {
		for i, at := range t {
			dst[2*i], dst[2*i+1] = math.Cos(at)*y[2*i]-y[2*i+1], y[2*i]
		}
		return nil
	}
	var end [2][]float64
	d.saved = func(id, _ int, y []float64) { end[id] = append([]float64(nil), y...) }
	scale := []float64{1, 0x1p40}
	if err := d.run(context.Background(), 2, func(i int) dopRow {
		return dopRow{id: i, end: 20, y: []float64{scale[i], 0.5 * scale[i]}}
	}); err != nil {
		t.Fatal(err)
	}
	if d.cost[0] != d.cost[1] || end[0][0]*scale[1] != end[1][0] || end[0][1]*scale[1] != end[1][1] {
		t.Errorf("costs %+v, ends %v and %v: expected multiples of 2⁴⁰ at one cost", d.cost, end[0], end[1])
	}
}

// A row's numbers do not depend on the slots, and attempts do not allocate.
func TestDop853_Alloc(t *testing.T) {
	d := newDop853(2, 3, 3)
	d.rtol, d.atol = 1e-10, 1e-10
	d.field = pendulum
	d.saved = func(int, int, []float64) {}
	ctx := context.Background()
	for i := range 3 {
		d.load(dopRow{id: i, end: 1e6, y: []float64{1 + float64(i)/4, 0}})
	}
	if err := d.begin(ctx, 0); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(50, func() {
		if d.attempt(ctx) != nil || d.settle(ctx) != nil {
			t.Fatal("failed")
		}
	}); n != 0 {
		t.Errorf("%g allocations a step", n)
	}
}
