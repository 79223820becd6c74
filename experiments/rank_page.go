package experiments

import (
	"fmt"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"snrlab/internal/runfile"
	"snrlab/internal/spec"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/viz"
)

// rankReport is what a finished ranking says: its figures and its page.
type rankReport struct {
	run      runfile.Run
	recipe   *Rank
	rows     []runfile.RankRow
	adaptive []runfile.RankRow
	sure     *league
	random   *league
	pairs    []pair
}

// readRanking reads the run folder of a ranking.
func readRanking(dir string) (*rankReport, error) {
	run, recipe, err := readRun(dir)
	if err != nil {
		return nil, err
	}
	p := &rankReport{run: run}
	var ok bool
	if p.recipe, ok = recipe.(*Rank); !ok {
		return nil, fmt.Errorf("experiments: %s holds a run of kind %s: expected a ranking", dir, run.Driver)
	}
	if p.rows, err = runfile.ReadRanking(filepath.Join(dir, runfile.RankingCSV)); err != nil {
		return nil, err
	}
	spacings, err := runfile.ReadSpacings(filepath.Join(dir, runfile.SpacingsCSV))
	if err != nil {
		return nil, err
	}
	for _, r := range p.rows {
		if r.Adaptive && !r.Stochastic {
			p.adaptive = append(p.adaptive, r)
		}
	}
	p.sure, p.random = newLeague(p.rows, false), newLeague(p.rows, true)
	lead := map[string]bool{}
	for _, m := range p.sure.methods {
		lead[m.name] = true
	}
	p.pairs = pairs(spacings, func(s string) bool { return lead[s] })
	return p, nil
}

// known are solvers that a figure shows wherever they stand: what most readers
// use today.
var known = []string{"ddim", "heun", "dpmpp-2m"}

// highlighted are the solvers that figures show in colour: the best of a league
// over all problems, of each name the best setting, and the known ones.
func (l *league) highlighted(most int) []string {
	var also []string
	for _, m := range l.methods {
		if slices.Contains(known, m.name) {
			also = append(also, m.name)
		}
	}
	var list, heads []string
	for _, m := range l.methods {
		head, _, _ := strings.Cut(m.name, "(")
		if len(list) < most-len(also) && !slices.Contains(also, m.name) && !slices.Contains(heads, head) {
			list, heads = append(list, m.name), append(heads, head)
		}
	}
	return append(list, also...)
}

// curves are the lines of a problem.
func (l *league) curves(model string, value func(runfile.RankRow) (v, lo, hi float64)) []viz.WorkCurve {
	var list []viz.WorkCurve
	for _, m := range l.methods {
		c := viz.WorkCurve{Solver: m.name}
		for _, b := range l.budgets {
			r, ok := m.rows[rankCell{model, b}]
			if !ok || len(c.NFE) > 0 && c.NFE[len(c.NFE)-1] == r.NFE {
				continue // a budget it cannot spend: the row repeats the one before
			}
			v, lo, hi := value(r)
			c.NFE, c.Error = append(c.NFE, r.NFE), append(c.Error, v)
			c.Lo, c.Hi = append(c.Lo, lo), append(c.Hi, hi)
		}
		list = append(list, c)
	}
	return list
}

// figures draws the overview, one figure a problem, and the laws.
func (p *rankReport) figures() []*viz.Figure {
	rmse := func(r runfile.RankRow) (float64, float64, float64) { return r.RMSE, r.RMSELo, r.RMSEHi }
	median := func(r runfile.RankRow) (float64, float64, float64) { return r.Median, math.NaN(), math.NaN() }
	fixed := fmt.Sprintf("Every solver starts from the same noise on %s, and gets at each budget the spacing, of %d candidates, that served it best on other starts.", p.recipe.Schedule, len(p.recipe.Spacings))
	var figures []*viz.Figure
	if len(p.sure.methods) > 0 {
		shown := p.sure.highlighted(8)
		var all []viz.WorkPanel
		for _, m := range p.sure.models {
			all = append(all, viz.WorkPanel{Title: m, Label: "RMSE of the end", Curves: p.sure.curves(m, rmse)})
		}
		figures = append(figures, viz.WorkPrecision("ranking", "Error against evaluations: deterministic solvers on exact problems",
			"Root mean square over starts of the distance to the exact end of the probability-flow trajectory; bars are 95 % bootstrap intervals. "+fixed, all, shown))
		for i, m := range p.sure.models {
			figures = append(figures, viz.WorkPrecision("ranking-"+m, fmt.Sprintf("Error against evaluations on %s, %d starts", m, oneOrEach(p.recipe.Rows, i)),
				"Left: root mean square over starts of the distance to the exact end, which a few starts near a separatrix decide; bars are 95 % bootstrap intervals. Right: the median over the same starts. "+fixed,
				[]viz.WorkPanel{
					{Title: "root mean square", Label: "distance to the exact end", Curves: p.sure.curves(m, rmse)},
					{Title: "median", Label: "distance to the exact end", Curves: p.sure.curves(m, median)},
				}, shown))
		}
	}
	if len(p.random.methods) > 0 {
		law := func(r runfile.RankRow) (float64, float64, float64) { return r.SW2, math.NaN(), math.NaN() }
		shown := p.random.highlighted(7)
		const baseline = "best deterministic"
		var panels []viz.WorkPanel
		for _, m := range p.random.models {
			curves, floor := p.random.curves(m, law), 0.0
			line := viz.WorkCurve{Solver: baseline}
			for _, r := range p.rows {
				if r.Model == m && r.SW2 == r.SW2 {
					floor = r.SW2Floor
				}
				if r.Model == m && !r.Stochastic && r.SW2 == r.SW2 {
					line.NFE, line.Error = append(line.NFE, r.NFE), append(line.Error, r.SW2)
				}
			}
			sortCurve(&line)
			panels = append(panels, viz.WorkPanel{Title: m, Label: "sliced W2 distance", Curves: append(curves, line), Floor: floor})
		}
		figures = append(figures, viz.WorkPrecision("ranking-law", "Error of the law against evaluations: stochastic solvers on exact problems",
			"Sliced 2-Wasserstein distance of the ends to exact samples of the same number; in the grey band it cannot be told from the distance between two exact sets. The deterministic line is the solver of least RMSE at each budget. "+fixed, panels, append(shown, baseline)))
	}
	return figures
}

func sortCurve(c *viz.WorkCurve) {
	order := make([]int, len(c.NFE))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(c.NFE[a] - c.NFE[b]) })
	nfe, errs := slices.Clone(c.NFE), slices.Clone(c.Error)
	for i, k := range order {
		c.NFE[i], c.Error[i] = nfe[k], errs[k]
	}
}

// page is the generated part of the ranking in Markdown; figures is the folder
// of the figures as the page sees it.
func (p *rankReport) page(figures string) string {
	var b strings.Builder
	say := sayer(func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) })
	p.setting(say)
	if len(p.sure.methods) > 0 {
		say("## Deterministic solvers\n")
		say("![Error against evaluations on all problems](%s/ranking.svg)\n", figures)
		p.overall(say, p.sure, "RMSE")
		for _, m := range p.sure.models {
			p.problem(say, m, figures)
		}
		p.starts(say)
		p.adaptives(say)
		p.defaults(say)
	}
	if len(p.random.methods) > 0 {
		say("## Stochastic solvers\n")
		say("![Error of the law against evaluations](%s/ranking-law.svg)\n", figures)
		p.overall(say, p.random, "sliced W2")
		p.laws(say)
	}
	if len(p.run.Notes) > 0 {
		say("## Left out\n")
		for _, n := range p.run.Notes {
			say("- %s", n)
		}
		say("")
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// setting says what was run on what, and how to repeat it.
func (p *rankReport) setting(say sayer) {
	c := p.recipe
	say("## How it was measured\n")
	say("- **Problems**: exact denoisers, so that the right answer is known to %.0e. Fresh starts, and starts of other keys that spacings were chosen on:", c.Reference.RTol)
	for i, m := range c.Models {
		say("  - `%s`: %d and %d", m, oneOrEach(c.Rows, i), oneOrEach(c.Tuning, i))
	}
	say("- **Process**: `%s`, starts of kind `%s`; all solvers start from the same noise and end at the last level of the schedule, without a step to σ = 0.", c.Schedule, c.Start)
	say("- **Budgets**: %s evaluations (NFE) a sample. A solver takes the most steps that cost no more; where a budget cannot be spent to the last evaluation, tables show what was spent.", ints(c.Budgets))
	screen := ""
	if slices.Max(c.Screen) > 0 {
		screen = fmt.Sprintf(" Candidates %d times as bad as the best on the first %s of the tuning starts are not tried on all.", screened, ints(c.Screen))
	}
	say("- **Spacings**: for each solver, problem and budget the one of least error on the tuning starts, of %s.%s", quoted(c.Spacings), screen)
	say("- **Errors**: Euclidean distance of an end from the exact one; RMSE over starts with a 95 %% bootstrap interval (%d resamples), median, 99 %% quantile. Laws: sliced W2 over %d directions against an exact sample of the same size; its floor is what exact samples read (mean and two deviations of %d, at least the largest).", c.Resamples, c.Law.Directions, c.Law.Floors)
	say("- **Machine**: %s, %s, GOMAXPROCS %d, %s; snrlab %s, program %.12s; %s.", p.run.CPU, p.run.Platform, p.run.GOMAXPROCS, p.run.Go, p.run.Version, p.run.Program, p.run.End.Sub(p.run.Start).Round(time.Second))
	say("- **Repeat**: `snrlab rank --recipe %s` (key %d). A row of a table is a row of `ranking.csv` of the run folder; `spacings.csv` beside it has every candidate.\n", p.run.Name, c.Key)
}

func ints(list []int) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]")
}

// quoted lists spacings.
func quoted(list []string) string {
	parts := make([]string, len(list))
	for i, s := range list {
		if v, err := schedules.ParseSpacing(s); err == nil { // not where it has a mark
			s = v.String() // without what is at its default
		}
		parts[i] = "`" + s + "`"
	}
	return strings.Join(parts, ", ")
}

// digits3 prints an error in three digits; NaN is a dash.
func digits3(v float64) string {
	switch {
	case v != v:
		return "–"
	case math.IsInf(v, 1):
		return "∞"
	}
	return fmt.Sprintf("%.3g", v)
}

// overall is the table of a league over all problems.
func (p *rankReport) overall(say sayer, l *league, measure string) {
	note := " What is below the sampling floor counts as the floor."
	columns := []string{":", "solver", "order:", "NFE a step:", "wins:", "all:", fmt.Sprintf("≤ %d:", fewBudget), fmt.Sprintf("> %d:", fewBudget)}
	medians := len(l.least) == 0
	if medians {
		note = " Median: the same of the median error, which a few starts near a separatrix do not decide."
		columns = append(columns, "median:")
	}
	say("**All problems.** Error (%s) as a multiple of the least at the same budget: geometric mean over budgets and problems; over budgets up to %d, and above; and on each problem.%s Wins: budgets on problems, of %d, at which no other is better. Solvers whose errors agree to nine digits everywhere are one method.\n", measure, fewBudget, note, len(l.best))
	say.head(append(columns, numbers("%s", l.models)...)...)
	for i, m := range l.methods {
		order, evals := "", ""
		if s, err := anySolver(m.name); err == nil {
			props := s.Properties()
			order, evals = fmt.Sprintf("%g", props.Order), fmt.Sprint(props.Evals)
		}
		line := []string{fmt.Sprint(i + 1), m.title(), order, evals, fmt.Sprint(m.wins), multiple(m.ratio), multiple(m.few), multiple(m.many)}
		if medians {
			line = append(line, multiple(m.median))
		}
		for _, model := range l.models {
			line = append(line, multiple(m.ratios[model]))
		}
		say.row(line...)
	}
	say("")
}

// multiple prints a ratio in three digits; NaN is a dash.
func multiple(v float64) string {
	switch {
	case v != v:
		return "–"
	case v < 99.95:
		return fmt.Sprintf("%.2f", v)
	}
	return fmt.Sprintf("%.0f", v)
}

// problem is the section of one problem.
func (p *rankReport) problem(say sayer, model, figures string) {
	say("### %s\n", model)
	say("![Error against evaluations on %s](%s/ranking-%s.svg)\n", model, figures, model)
	front := p.sure.front(model, p.adaptive)
	onFront := func(r runfile.RankRow) string {
		if slices.ContainsFunc(front, func(f runfile.RankRow) bool { return f.Solver == r.Solver && f.Budget == r.Budget && f.NFE == r.NFE }) {
			return "◆"
		}
		return ""
	}
	say("**Best at each budget on `%s`**, on the spacing chosen for it, all from the same starts. ◆: on the Pareto front, no solver is better with as few evaluations.\n", model)
	say.head("budget:", "best", "steps:", "NFE:", "spacing", "RMSE:", "95 % interval", "median:", "99 %:", "", "second", "its RMSE:")
	for _, b := range p.sure.budgets {
		c := rankCell{model, b}
		list := p.sure.at(c)
		if len(list) == 0 {
			continue
		}
		r := list[0].rows[c]
		second, its := "–", "–"
		if len(list) > 1 {
			second, its = list[1].name, digits3(list[1].rows[c].RMSE)
		}
		say.row(fmt.Sprint(b), list[0].name, fmt.Sprint(r.Steps), fmt.Sprint(r.NFE), "`"+r.Spacing+"`", digits3(r.RMSE), digits3(r.RMSELo)+" to "+digits3(r.RMSEHi),
			digits3(r.Median), digits3(r.P99), onFront(r), second, its)
	}
	say("")
	var more []string
	for _, f := range front {
		inTable := slices.ContainsFunc(p.sure.budgets, func(b int) bool {
			list := p.sure.at(rankCell{model, b})
			return len(list) > 0 && list[0].name == f.Solver && list[0].rows[rankCell{model, b}].NFE == f.NFE
		})
		if !inTable {
			more = append(more, fmt.Sprintf("%s at %.4g (%s)", f.Solver, f.NFE, digits3(f.RMSE)))
		}
	}
	if len(more) > 0 {
		say("Also on the front: %s.\n", strings.Join(more, "; "))
	}
	p.matrix(say, p.sure, model, 15, fmt.Sprintf("**RMSE on `%s`** of the fifteen methods that are best there over all budgets, same starts, each on its own spacing; bold: least of its budget; in brackets the evaluations where they are fewer than the budget.", model))
}

// matrix is errors by method and budget on one problem.
func (p *rankReport) matrix(say sayer, l *league, model string, most int, caption string) {
	say("%s\n", caption)
	say.head(append([]string{"solver"}, numbers("%d", l.budgets)...)...)
	order := slices.Clone(l.methods)
	slices.SortStableFunc(order, func(a, b *rankMethod) int {
		switch x, y := a.ratios[model], b.ratios[model]; {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	for _, m := range order[:min(most, len(order))] {
		line := []string{m.name}
		for _, b := range l.budgets {
			c := rankCell{model, b}
			r, ok := m.rows[c]
			if !ok {
				line = append(line, "–")
				continue
			}
			text := digits3(l.score(r))
			switch {
			case l.score(r) <= r.SW2Floor && r.Stochastic:
				text = "≤ floor"
			case l.score(r) == l.best[c]:
				text = "**" + text + "**"
			}
			if r.NFE < float64(b) {
				text += fmt.Sprintf(" (%g)", r.NFE)
			}
			line = append(line, text)
		}
		say.row(line...)
	}
	say("")
}

// adaptives are the tables of solvers whose evaluations are their own choice: of
// those that choose their levels, and of those that are parallel in time.
func (p *rankReport) adaptives(say sayer) {
	var alone, parallel []runfile.RankRow
	for _, r := range p.adaptive {
		if r.Sequence < r.NFE {
			parallel = append(parallel, r)
		} else {
			alone = append(alone, r)
		}
	}
	if len(alone) > 0 {
		say("### Adaptive solvers\n")
		say("By tolerance: the evaluations that were used, mean over starts, on each problem; and the RMSE as a multiple of that of the best solver on a chosen grid that uses no more, geometric mean over problems, and the least and the greatest.\n")
		say.head(append(append([]string{"solver"}, numbers("NFE on %s", p.sure.models)...), "error:", "least:", "greatest:")...)
		for _, name := range solversOf(alone) {
			line := []string{name}
			line = append(line, p.perModel(alone, name, func(r runfile.RankRow) string { return fmt.Sprintf("%.1f", r.NFE) })...)
			mean, least, most := p.beside(alone, name, p.sure, func(r runfile.RankRow) float64 { return r.NFE })
			say.row(append(line, multiple(mean), multiple(least), multiple(most))...)
		}
		say("")
	}
	if len(parallel) > 0 {
		serial := p.sure.only("ddim")
		say("### Parallel in time\n")
		say("These walk the %d steps of the spacing that served best by sweeps over many levels at once, until nothing moves by more than the tolerance. Evaluations, mean over starts: in sequence, which is the latency, and in brackets in all, which is the work. RMSE as a multiple, geometric mean over problems: of that of DDIM, whose path it is that they approach, with as many evaluations as they wait for; and of the best solver that takes its steps one by one, with as many as they wait for and as they make.\n", slices.Max(p.recipe.Budgets))
		say.head(append(append([]string{"solver"}, numbers("%s", p.sure.models)...), "of DDIM's:", "of the best, same latency:", "same work:")...)
		for _, name := range solversOf(parallel) {
			line := []string{name}
			line = append(line, p.perModel(parallel, name, func(r runfile.RankRow) string { return fmt.Sprintf("%.1f (%.0f)", r.Sequence, r.NFE) })...)
			sequence := func(r runfile.RankRow) float64 { return r.Sequence }
			ddim, _, _ := p.beside(parallel, name, serial, sequence)
			latency, _, _ := p.beside(parallel, name, p.sure, sequence)
			work, _, _ := p.beside(parallel, name, p.sure, func(r runfile.RankRow) float64 { return r.NFE })
			say.row(append(line, multiple(ddim), multiple(latency), multiple(work))...)
		}
		say("")
	}
}

// solversOf are the names in rows, in order of appearance.
func solversOf(rows []runfile.RankRow) []string {
	var names []string
	for _, r := range rows {
		if !slices.Contains(names, r.Solver) {
			names = append(names, r.Solver)
		}
	}
	return names
}

// perModel is a cell for each problem.
func (p *rankReport) perModel(rows []runfile.RankRow, solver string, cell func(runfile.RankRow) string) []string {
	var cells []string
	for _, m := range p.sure.models {
		text := "–"
		for _, r := range rows {
			if r.Solver == solver && r.Model == m {
				text = cell(r)
			}
		}
		cells = append(cells, text)
	}
	return cells
}

// beside is the error of a solver as a multiple of the least of a league with no
// more evaluations than count says.
func (p *rankReport) beside(rows []runfile.RankRow, solver string, l *league, count func(runfile.RankRow) float64) (mean, least, most float64) {
	var g geometric
	least, most = math.NaN(), math.NaN()
	for _, r := range rows {
		if r.Solver != solver {
			continue
		}
		rival := math.NaN()
		for _, f := range l.front(r.Model, nil) {
			if f.NFE <= count(r) {
				rival = f.RMSE
			}
		}
		if v := r.RMSE / rival; v == v {
			g.add(min(v, worstRatio))
			if g.n == 1 {
				least, most = v, v
			}
			least, most = min(least, v), max(most, v)
		}
	}
	return g.mean(), least, most
}

// starts is the table of starts that keep the order of a multistep method, at
// equal evaluations.
func (p *rankReport) starts(say sayer) {
	type pair struct{ cheap, dear *rankMethod }
	find := func(name string) *rankMethod {
		for _, m := range p.sure.methods {
			if m.name == name || slices.Contains(m.also, name) {
				return m
			}
		}
		return nil
	}
	var pairs []pair
	var names []string
	for _, c := range p.recipe.Solvers {
		s, err := solvers.Parse(c)
		if err != nil {
			continue
		}
		name, args, err := spec.Split(s.String())
		if err != nil || !slices.ContainsFunc(args, func(a spec.Arg) bool { return a.Key == "start" }) {
			continue
		}
		var rest []string
		for _, a := range args {
			if a.Key != "start" {
				rest = append(rest, a.Key+"="+a.Value)
			}
		}
		if len(rest) > 0 {
			name += "(" + strings.Join(rest, ",") + ")"
		}
		if cheap, dear := find(name), find(s.String()); cheap != nil && dear != nil && cheap != dear {
			pairs, names = append(pairs, pair{cheap, dear}), append(names, s.String())
		}
	}
	if len(pairs) == 0 {
		return
	}
	say("### Starts that keep the order\n")
	say("RMSE with a start of the method's own order as a multiple of that with the cheap start (orders 1, 2, …), at the same evaluations, each on the spacing chosen for it: geometric mean over problems. Below 1 the start pays.\n")
	say.head(append([]string{"solver"}, numbers("%d", p.sure.budgets)...)...)
	for i, q := range pairs {
		line := []string{names[i]}
		for _, b := range p.sure.budgets {
			var g geometric
			for _, m := range p.sure.models {
				dear, ok := q.dear.rows[rankCell{m, b}]
				cheap, also := q.cheap.rows[rankCell{m, b}]
				if ok && also {
					g.add(min(dear.RMSE/cheap.RMSE, worstRatio))
				}
			}
			line = append(line, multiple(g.mean()))
		}
		say.row(line...)
	}
	say("")
}

// defaults is the table of pairs of a solver and one spacing for everything.
func (p *rankReport) defaults(say sayer) {
	if len(p.pairs) == 0 {
		return
	}
	say("### One solver on one spacing\n")
	say("What a default has to be: one pair for all problems and budgets. Error on the tuning starts as a multiple of the least that any pair has at the same budget on the same problem, geometric mean over budgets and problems: the ten best pairs, then the best pair of each of twelve further solvers, of each further spacing and of each of the known solvers.\n")
	say.head(append([]string{":", "solver", "spacing", "all:"}, numbers("%s", p.sure.models)...)...)
	const best, further = 10, 12
	spacings, solvers, own := map[string]bool{}, map[string]bool{}, 0
	for i, q := range p.pairs {
		first := !solvers[q.solver]
		if first && i >= best {
			own++
		}
		wanted := i < best || !spacings[q.spacing] || first && (own <= further || slices.Contains(known, q.solver))
		spacings[q.spacing], solvers[q.solver] = true, true
		if !wanted {
			continue
		}
		line := []string{fmt.Sprint(i + 1), q.solver, "`" + q.spacing + "`", multiple(q.ratio)}
		for _, m := range p.sure.models {
			line = append(line, multiple(q.ratios[m]))
		}
		say.row(line...)
	}
	say("")
}

// laws are the tables of stochastic solvers by problem.
func (p *rankReport) laws(say sayer) {
	l := p.random
	for _, m := range l.models {
		floor := math.NaN()
		for _, r := range p.rows {
			if r.Model == m && r.Stochastic {
				floor = r.SW2Floor
			}
		}
		p.matrix(say, l, m, len(l.methods), fmt.Sprintf("**Sliced W2 on `%s`**, from the same starts, each solver on its own spacing; floor %s: no better than exact samples of this size. Bold: least of its budget.", m, digits3(floor)))
	}
	var own []runfile.RankRow
	for _, r := range p.rows {
		if r.Stochastic && r.Adaptive {
			own = append(own, r)
		}
	}
	if len(own) > 0 {
		say("**Adaptive**: evaluations used, mean over starts, and sliced W2.\n")
		say.head("problem", "solver", "NFE used:", "sliced W2:", "floor:")
		for _, r := range own {
			say.row(r.Model, r.Solver, fmt.Sprintf("%.1f", r.NFE), digits3(r.SW2), digits3(r.SW2Floor))
		}
		say("")
	}
	say("**Means and covariances**: distance of the sample mean from the exact one, and relative error of the covariance (Frobenius), of the five stochastic methods that are best over all, and of the best deterministic solver, with what exact samples of the size read.\n")
	shown := []int{}
	for _, b := range []int{5, 10, 20, 50} {
		if slices.Contains(l.budgets, b) {
			shown = append(shown, b)
		}
	}
	if len(shown) == 0 {
		shown = l.budgets[:1]
	}
	columns := []string{"problem", "solver"}
	for _, b := range shown {
		columns = append(columns, fmt.Sprintf("mean, %d NFE:", b), fmt.Sprintf("cov, %d NFE:", b))
	}
	say.head(append(columns, "floor of mean:", "floor of cov:")...)
	for _, model := range l.models {
		line := func(name string, row func(b int) (runfile.RankRow, bool)) {
			cells, mean, cov := []string{model, name}, "–", "–"
			for _, b := range shown {
				r, ok := row(b)
				if !ok {
					cells = append(cells, "–", "–")
					continue
				}
				cells = append(cells, digits3(r.MeanErr), digits3(r.CovErr))
				mean, cov = digits3(r.MeanFloor), digits3(r.CovFloor)
			}
			say.row(append(cells, mean, cov)...)
		}
		for _, m := range l.methods[:min(5, len(l.methods))] {
			line(m.name, func(b int) (runfile.RankRow, bool) { r, ok := m.rows[rankCell{model, b}]; return r, ok })
		}
		line("best deterministic", func(b int) (runfile.RankRow, bool) {
			for _, r := range p.rows {
				if r.Model == model && r.Budget == b && !r.Stochastic && r.SW2 == r.SW2 {
					return r, true
				}
			}
			return runfile.RankRow{}, false
		})
	}
	say("")
}
