package dialects

import (
	"fmt"
	"math"
	"slices"

	"gonum.org/v1/gonum/floats"
)

// Walk is a run along all levels: the states and the directions dx/dσ there.
type Walk struct {
	Sigmas []float64
	X      [][]float64 // of every level, rows×dim
	D      [][]float64 // of every level but the last
	Dim    int
}

// GITSCosts is the cost matrix of the GITS rule [chen2024gits]: entry [i][j] is
// what the step x̂ = x_i + (σ_j − σ_i) d_i from level i straight to level j loses
// against a teacher's walk along all of them, mean over rows:
//
//	l1, l2   the norm of x̂ − x_j
//	dev      how much farther x̂ is than x_j from the line through the walk's ends
//
// Entries for j ≤ i are 0.
func GITSCosts(metric string, w Walk) ([][]float64, error) {
	last := len(w.Sigmas) - 1
	distance := map[string]func(got, want []float64, row int) float64{
		"l1": func(got, want []float64, _ int) float64 { return floats.Distance(got, want, 1) },
		"l2": func(got, want []float64, _ int) float64 { return floats.Distance(got, want, 2) },
		"dev": func(got, want []float64, row int) float64 {
			a, b := w.row(w.X[0], row), w.row(w.X[last], row)
			return fromLine(got, a, b) - fromLine(want, a, b)
		},
	}[metric]
	if distance == nil {
		return nil, fmt.Errorf("dialects: unknown metric %q: expected l1, l2 or dev", metric)
	}
	if len(w.X) != last+1 || len(w.D) != last || last < 1 {
		return nil, fmt.Errorf("dialects: a walk of %d levels, %d states and %d directions: expected as many states and one direction fewer", last+1, len(w.X), len(w.D))
	}
	rows := len(w.X[0]) / w.Dim
	cost := make([][]float64, last+1)
	guess := make([]float64, w.Dim)
	for i := range cost {
		cost[i] = make([]float64, last+1)
		for j := i + 1; j <= last; j++ {
			sum := 0.0
			for r := range rows {
				floats.AddScaledTo(guess, w.row(w.X[i], r), w.Sigmas[j]-w.Sigmas[i], w.row(w.D[i], r))
				sum += distance(guess, w.row(w.X[j], r), r)
			}
			cost[i][j] = math.Abs(sum) / float64(rows)
		}
	}
	return cost, nil
}

func (w Walk) row(x []float64, r int) []float64 { return x[r*w.Dim : (r+1)*w.Dim] }

// fromLine is the distance of p from the line through a and b.
func fromLine(p, a, b []float64) float64 {
	line, v := make([]float64, len(p)), make([]float64, len(p))
	floats.SubTo(line, b, a)
	floats.SubTo(v, p, a)
	floats.AddScaled(v, -floats.Dot(v, line)/floats.Dot(line, line), line)
	return floats.Norm(v, 2)
}

// GITSRoute returns the indices of the cheapest way from the first level to the
// last that visits points levels, by dynamic programming on
//
//	V_1(i) = cost[i][last],   V_k(i) = min_j cost[i][j] + coeff·V_{k−1}(j)
//
// so that coeff > 1 weighs the steps at low noise more.
func GITSRoute(cost [][]float64, points int, coeff float64) ([]int, error) {
	n := len(cost)
	if points < 2 || points > n {
		return nil, fmt.Errorf("dialects: a route of %d levels through %d: expected 2 to as many", points, n)
	}
	for i := range cost {
		if len(cost[i]) != n {
			return nil, fmt.Errorf("dialects: row %d of the cost matrix has %d entries: expected %d", i, len(cost[i]), n)
		}
	}
	steps := points - 1
	value := make([][]float64, steps+1) // value[k][i] of k steps from i
	next := make([][]int, steps+1)
	for k := 1; k <= steps; k++ {
		value[k], next[k] = make([]float64, n), make([]int, n)
		for i := range n - 1 {
			value[k][i], next[k][i] = math.Inf(1), n-1
			if k == 1 {
				value[k][i] = cost[i][n-1]
				continue
			}
			for j := i + 1; j < n-1; j++ {
				if v := cost[i][j] + coeff*value[k-1][j]; v < value[k][i] {
					value[k][i], next[k][i] = v, j
				}
			}
		}
		value[k][n-1] = math.Inf(1)
	}
	route := []int{0}
	for k := steps; k > 0; k-- {
		route = append(route, next[k][route[len(route)-1]])
	}
	return slices.Clip(route), nil
}
