package solvers

import (
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/rng"
	"snrlab/schedules"
)

// Increments have the law of Brownian motion on any levels, whatever was asked
// before, and add up.
func TestBrownianTree_Property_LawOfIncrements(t *testing.T) {
	const rows, dim = 40, 100
	n := rows * dim
	keys := RowKeys(rng.New(1), 0, rows)
	tree, err := NewBrownianTree(keys, dim)
	if err != nil {
		t.Fatal(err)
	}
	ask := func(src Noise, a, b schedules.Level) []float64 {
		t.Helper()
		z := make([]float64, n)
		if err := src.Normal(NoiseRequest{From: a, To: b, Z: z}); err != nil {
			t.Fatal(err)
		}
		return z
	}
	g := append(schedules.Grid{{Alpha: 0, Sigma: 1}}, lambdas(-30, -3, -1, -1+1e-3, 0.5, 3, 40)...)
	var zs [][]float64
	for k := range g.Steps() {
		zs = append(zs, ask(tree, g[k], g[k+1]))
	}
	// As for the paths that are drawn beforehand: five standard errors.
	sd := 1 / math.Sqrt(float64(n))
	for k := range zs {
		if v := meanProduct(zs[k], zs[k]); math.Abs(v-1) > 5*math.Sqrt2*sd {
			t.Errorf("increment %d has variance %g", k, v)
		}
		for m := range k {
			if v := meanProduct(zs[k], zs[m]); math.Abs(v) > 5*sd {
				t.Errorf("increments %d and %d have correlation %g", m, k, v)
			}
		}
		if v := meanProduct(zs[k][:n-dim], zs[k][dim:]); math.Abs(v) > 5*sd {
			t.Errorf("increment %d: neighbouring rows have correlation %g", k, v)
		}
	}
	// A refused attempt from −1 to 3 looked at the path that two steps walk.
	again, err := NewBrownianTree(keys, dim)
	if err != nil {
		t.Fatal(err)
	}
	whole := ask(again, g[3], g[6])
	a, b := ask(again, g[3], g[5]), ask(again, g[5], g[6])
	ta, tb, tc := clockOf(g[3]), clockOf(g[5]), clockOf(g[6])
	for i, v := range whole {
		sum := (math.Sqrt(tb-ta)*a[i] + math.Sqrt(tc-tb)*b[i]) / math.Sqrt(tc-ta)
		if math.Abs(v-sum) > 1e-13 {
			t.Fatalf("an increment is %.15g at once and %.15g in two", v, sum)
		}
	}
	if !slices.Equal(ask(again, g[1], g[2]), zs[1]) {
		t.Error("the path depends on what was asked before")
	}
	// Known at all levels beforehand: the same path, but for what it does in a
	// cell of 5e-3 in λ; over 3 in λ that is less than a tenth of a deviation.
	drawn, err := NewBrownian(keys, dim, g)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []int{1, 5} {
		if v := meanProduct(ask(drawn, g[k], g[k+1]), zs[k]); v < 0.98 {
			t.Errorf("increment %d has correlation %g with that of the paths drawn beforehand", k, v)
		}
	}
}

// Rows are those of their keys, and asking for some of them is asking for them.
func TestBrownianTree_Invariant_Rows(t *testing.T) {
	const rows, dim = 5, 3
	keys := RowKeys(rng.New(2), 0, rows)
	g := lambdas(-2, 0.5)
	all := make([]float64, rows*dim)
	tree, err := NewBrownianTree(keys, dim)
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Normal(NoiseRequest{From: g[0], To: g[1], Z: all}); err != nil {
		t.Fatal(err)
	}
	some := make([]float64, 2*dim)
	if err := tree.Normal(NoiseRequest{From: g[0], To: g[1], Rows: []int{3, 1}, Z: some}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(some, append(slices.Clone(all[3*dim:4*dim]), all[dim:2*dim]...)) {
		t.Errorf("rows 3 and 1 are %v, among all %v", some, all)
	}
	one, err := NewBrownianTree(keys[3:4], dim)
	if err != nil {
		t.Fatal(err)
	}
	req := NoiseRequest{From: g[0], To: g[1], Z: make([]float64, dim)}
	if err := one.Normal(req); err != nil || !slices.Equal(req.Z, some[:dim]) {
		t.Errorf("row 3 alone is %v, in its batch %v (%v)", req.Z, some[:dim], err)
	}
	if a := testing.AllocsPerRun(10, func() { _ = one.Normal(req) }); a != 0 {
		t.Errorf("%g allocations a request", a)
	}
}

func TestBrownianTree_Refuses(t *testing.T) {
	if _, err := NewBrownianTree(nil, 3); err == nil {
		t.Error("no rows were accepted")
	}
	tree, err := NewBrownianTree(RowKeys(rng.New(2), 0, 2), 3)
	if err != nil {
		t.Fatal(err)
	}
	g, z := lambdas(-2, 0.5), make([]float64, 6)
	for want, req := range map[string]NoiseRequest{
		"infinite":   {From: g[0], To: schedules.Level{Alpha: 1}, Z: z},
		"integral":   {From: g[0], To: g[1], Z: z, Integral: z},
		"expected 6": {From: g[0], To: g[1], Z: z[:4]},
		"row 2":      {From: g[0], To: g[1], Z: z[:3], Rows: []int{2}},
	} {
		if err := tree.Normal(req); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("got %v, expected an error with %q", err, want)
		}
	}
	// Toward more noise, and at a level: numbers beside the path.
	up, stay := slices.Clone(z), slices.Clone(z)
	if err := tree.Normal(NoiseRequest{From: g[1], To: g[0], Z: up}); err != nil {
		t.Fatal(err)
	}
	if err := tree.Normal(NoiseRequest{From: g[1], To: g[1], Z: stay}); err != nil || !slices.Equal(up, stay) {
		t.Errorf("independent numbers of one step and stage: %v and %v (%v)", up, stay, err)
	}
}
