package experiments

import (
	"math"
	"slices"
	"sort"
	"strings"

	"snrlab/internal/runfile"
)

// league is the rows of the deterministic or of the stochastic solvers, with
// what can be said of them in one number.
type league struct {
	models  []string
	budgets []int
	methods []*rankMethod // best first
	score   func(runfile.RankRow) float64
	best    map[rankCell]float64
	medians map[rankCell]float64 // least median error
	least   map[rankCell]float64 // scores up to here say nothing: they count as this
}

// rankCell is one problem at one budget.
type rankCell struct {
	model  string
	budget int
}

// rankMethod is one method: solvers whose errors agree to nine digits at every
// budget on every problem are one, under several names.
type rankMethod struct {
	name   string
	also   []string
	rows   map[rankCell]runfile.RankRow
	ratios map[string]float64 // by model: geometric mean over budgets of error over the best error
	ratio  float64            // geometric mean of these
	few    float64            // the same over budgets up to fewBudget
	many   float64            // and over the others
	median float64            // the same of the median error over the least; NaN in the stochastic league
	wins   int                // cells in which it is best, and its score says something
}

// fewBudget divides budgets at which the order of a method hardly shows from
// those at which it does.
const fewBudget = 12

// worstRatio stands for an overflow in a mean of ratios.
const worstRatio = 1e4

func newLeague(rows []runfile.RankRow, stochastic bool) *league {
	l := &league{best: map[rankCell]float64{}, medians: map[rankCell]float64{}, least: map[rankCell]float64{}, score: func(r runfile.RankRow) float64 { return r.RMSE }}
	if stochastic {
		l.score = func(r runfile.RankRow) float64 { return r.SW2 }
	}
	byName := map[string]*rankMethod{}
	var all []*rankMethod
	for _, r := range rows {
		if r.Stochastic != stochastic || r.Adaptive {
			continue
		}
		if !slices.Contains(l.models, r.Model) {
			l.models = append(l.models, r.Model)
		}
		if !slices.Contains(l.budgets, r.Budget) {
			l.budgets = append(l.budgets, r.Budget)
		}
		m := byName[r.Solver]
		if m == nil {
			m = &rankMethod{name: r.Solver, rows: map[rankCell]runfile.RankRow{}, ratios: map[string]float64{}}
			byName[r.Solver] = m
			all = append(all, m)
		}
		c := rankCell{r.Model, r.Budget}
		m.rows[c] = r
		if stochastic {
			l.least[c] = r.SW2Floor
		}
	}
	slices.Sort(l.budgets)
	for _, m := range all {
		if k := slices.IndexFunc(l.methods, func(o *rankMethod) bool { return l.agree(m, o) }); k >= 0 {
			l.methods[k].also = append(l.methods[k].also, m.name)
		} else {
			l.methods = append(l.methods, m)
		}
	}
	for _, m := range l.methods {
		for c, r := range m.rows {
			if b, ok := l.best[c]; !ok || l.score(r) < b {
				l.best[c] = l.score(r)
			}
			if b, ok := l.medians[c]; r.Median == r.Median && (!ok || r.Median < b) {
				l.medians[c] = r.Median
			}
		}
	}
	for _, m := range l.methods {
		l.rate(m)
	}
	sort.SliceStable(l.methods, func(i, j int) bool { return l.methods[i].ratio < l.methods[j].ratio })
	return l
}

// only is the league without all other methods.
func (l *league) only(name string) *league {
	one := *l
	one.methods = nil
	for _, m := range l.methods {
		if m.name == name || slices.Contains(m.also, name) {
			one.methods = append(one.methods, m)
		}
	}
	return &one
}

// agree says whether two solvers have the same errors everywhere.
func (l *league) agree(a, b *rankMethod) bool {
	if len(a.rows) != len(b.rows) {
		return false
	}
	for c, r := range a.rows {
		o, ok := b.rows[c]
		x, y := l.score(r), l.score(o)
		// Rounding of one method in two orders of operations is amplified where
		// trajectories part; nine digits are far above it and far below any
		// difference between methods.
		if !ok || !(x == y || math.Abs(x-y) <= 1e-9*math.Abs(x)) {
			return false
		}
	}
	return true
}

func (l *league) rate(m *rankMethod) {
	all := func(int) bool { return true }
	rows := func(r runfile.RankRow, c rankCell) float64 {
		return max(l.score(r), l.least[c]) / max(l.best[c], l.least[c])
	}
	mean := func(model string, of func(budget int) bool, ratio func(runfile.RankRow, rankCell) float64) (logs float64, n int) {
		for _, b := range l.budgets {
			c := rankCell{model, b}
			if r, ok := m.rows[c]; ok && of(b) {
				logs += math.Log(min(ratio(r, c), worstRatio))
				n++
			}
		}
		return logs / float64(n), n
	}
	over := func(of func(budget int) bool, ratio func(runfile.RankRow, rankCell) float64) float64 {
		total, n := 0.0, 0
		for _, model := range l.models {
			if v, k := mean(model, of, ratio); k > 0 {
				total += v
				n++
			}
		}
		return math.Exp(total / float64(n)) // NaN where it has no such budget
	}
	for _, model := range l.models {
		v, _ := mean(model, all, rows)
		m.ratios[model] = math.Exp(v)
	}
	m.ratio = over(all, rows)
	m.few = over(func(b int) bool { return b <= fewBudget }, rows)
	m.many = over(func(b int) bool { return b > fewBudget }, rows)
	m.median = over(all, func(r runfile.RankRow, c rankCell) float64 { return r.Median / l.medians[c] })
	for c, r := range m.rows {
		if v := l.score(r); v == l.best[c] && v > l.least[c] {
			m.wins++
		}
	}
}

// title is the name with the others that the method goes by.
func (m *rankMethod) title() string {
	if len(m.also) == 0 {
		return m.name
	}
	return m.name + " = " + strings.Join(m.also, " = ")
}

// at returns the methods that have a row in a cell, smallest error first.
func (l *league) at(c rankCell) []*rankMethod {
	var list []*rankMethod
	for _, m := range l.methods {
		if r, ok := m.rows[c]; ok && l.score(r) == l.score(r) {
			list = append(list, m)
		}
	}
	sort.SliceStable(list, func(i, j int) bool { return l.score(list[i].rows[c]) < l.score(list[j].rows[c]) })
	return list
}

// front returns the rows of a problem that no other row beats with as few
// evaluations, by rising evaluations. Adaptive rows may be among them.
func (l *league) front(model string, adaptive []runfile.RankRow) []runfile.RankRow {
	var rows []runfile.RankRow
	for _, m := range l.methods {
		for _, b := range l.budgets {
			if r, ok := m.rows[rankCell{model, b}]; ok {
				rows = append(rows, r)
			}
		}
	}
	for _, r := range adaptive {
		if r.Model == model {
			rows = append(rows, r)
		}
	}
	sort.SliceStable(rows, func(i, j int) bool {
		if rows[i].NFE != rows[j].NFE {
			return rows[i].NFE < rows[j].NFE
		}
		return l.score(rows[i]) < l.score(rows[j])
	})
	var out []runfile.RankRow
	least := math.Inf(1)
	for _, r := range rows {
		if s := l.score(r); s < least {
			least = s
			out = append(out, r)
		}
	}
	return out
}

// pair is one solver on one spacing everywhere: what a default has to be.
type pair struct {
	solver, spacing string
	ratio           float64            // geometric mean over problems and budgets of its error over the best of any pair
	ratios          map[string]float64 // the same of one problem
}

// pairs rates every pair on the tuning samples, best first. Pairs that lack a
// budget others have are left out: they cannot be a default.
func pairs(rows []runfile.SpacingRow, among func(solver string) bool) []pair {
	best := map[rankCell]float64{}
	type name struct{ solver, spacing string }
	sums := map[name]map[string][]float64{}
	var names []name
	var models []string
	for _, r := range rows {
		if !among(r.Solver) {
			continue
		}
		if !slices.Contains(models, r.Model) {
			models = append(models, r.Model)
		}
		c, k := rankCell{r.Model, r.Budget}, name{r.Solver, r.Spacing}
		if b, ok := best[c]; r.Error == r.Error && (!ok || r.Error < b) {
			best[c] = r.Error
		}
		if sums[k] == nil {
			sums[k] = map[string][]float64{}
			names = append(names, k)
		}
	}
	for _, r := range rows {
		k := name{r.Solver, r.Spacing}
		if sums[k] == nil || r.Error != r.Error {
			continue
		}
		sums[k][r.Model] = append(sums[k][r.Model], math.Log(min(r.Error/best[rankCell{r.Model, r.Budget}], worstRatio)))
	}
	cells := map[string]int{}
	for c := range best {
		cells[c.model]++
	}
	var out []pair
	for _, k := range names {
		p := pair{solver: k.solver, spacing: k.spacing, ratios: map[string]float64{}}
		total, whole := 0.0, true
		for _, m := range models {
			v := sums[k][m]
			whole = whole && len(v) == cells[m]
			sum := 0.0
			for _, a := range v {
				sum += a
			}
			p.ratios[m] = math.Exp(sum / float64(len(v)))
			total += sum / float64(len(v))
		}
		if p.ratio = math.Exp(total / float64(len(models))); whole {
			out = append(out, p)
		}
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].ratio < out[j].ratio })
	return out
}
