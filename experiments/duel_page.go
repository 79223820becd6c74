package experiments

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"snrlab/internal/runfile"
	"snrlab/viz"
)

// duelReport is what a finished duel says.
type duelReport struct {
	run    runfile.Run
	recipe *Duel
	rows   []runfile.DuelRow
}

func readDuel(dir string) (*duelReport, error) {
	run, recipe, err := readRun(dir)
	if err != nil {
		return nil, err
	}
	d, ok := recipe.(*Duel)
	if !ok {
		return nil, fmt.Errorf("experiments: %s holds a run of kind %s: expected a duel", dir, run.Driver)
	}
	rows, err := runfile.ReadDuel(filepath.Join(dir, runfile.DuelCSV))
	return &duelReport{run, d, rows}, err
}

// of returns the rows of a league on a problem, by budget; the solver of the duel
// is in the league without a name.
func (p *duelReport) of(model, league string) []runfile.DuelRow {
	var rows []runfile.DuelRow
	for _, r := range p.rows {
		if r.Model == model && r.League == league {
			rows = append(rows, r)
		}
	}
	return rows
}

// figures draws the errors by problem.
func (p *duelReport) figures() []*viz.Figure {
	names := []string{p.recipe.Solver, "best rival, " + usualLeague, "best rival, " + tunedLeague}
	var panels []viz.WorkPanel
	for _, m := range p.recipe.Models {
		panel := viz.WorkPanel{Title: m, Label: "RMSE of the end"}
		for i, league := range []string{"", usualLeague, tunedLeague} {
			c := viz.WorkCurve{Solver: names[i]}
			for _, r := range p.of(m, league) {
				c.NFE, c.Error = append(c.NFE, r.NFE), append(c.Error, r.RMSE)
				c.Lo, c.Hi = append(c.Lo, r.RMSELo), append(c.Hi, r.RMSEHi)
			}
			panel.Curves = append(panel.Curves, c)
		}
		panels = append(panels, panel)
	}
	return []*viz.Figure{viz.WorkPrecision(p.recipe.Name, "One solver on one formula for the grid against the best of "+fmt.Sprint(len(p.recipe.Rivals))+" rivals",
		fmt.Sprintf("Root mean square over fresh starts of the distance to the exact end, %s; bars are 95 %% bootstrap intervals. Rivals and their grids are chosen for each problem and budget on other starts: of %d usual grids, or of these and %d tuned ones.", p.recipe.Schedule, len(p.recipe.Usual), len(p.recipe.Tuned)), panels, names)}
}

// page is the generated part in Markdown.
func (p *duelReport) page(figures string) string {
	var b strings.Builder
	say := sayer(func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) })
	c := p.recipe
	say("`%s` on `%s`, the same everywhere, on `%s`, starts of kind `%s`. Rivals: %s; for each problem and number of evaluations (NFE) the rival and the grid of least RMSE on tuning starts of other keys. **Usual grids**: %s. **Tuned grids**: those, and %s.\n",
		c.Solver, c.Spacing, c.Schedule, c.Start, quotedSolvers(c.Rivals), quoted(c.Usual), quoted(c.Tuned))
	var starts []string
	for i, m := range c.Models {
		starts = append(starts, fmt.Sprintf("%s %d and %d", m, oneOrEach(c.Rows, i), oneOrEach(c.Tuning, i)))
	}
	say("Fresh and tuning starts: %s. Errors are distances to the exact end: RMSE / median / 99 %% quantile. Ratios are theirs over ours, above 1 where ours is better, of the RMSE with its 95 %% bootstrap interval over starts (%d resamples), and of the median; bold where our RMSE is at most half of theirs.\n", strings.Join(starts, ", "), c.Resamples)
	say("![RMSE against evaluations on all problems](%s/%s.svg)\n", figures, c.Name)
	for _, league := range []string{usualLeague, tunedLeague} {
		p.league(say, league)
	}
	say("%s, %s, GOMAXPROCS %d, %s; snrlab %s, program %.12s; %s. Repeat: `snrlab rank --recipe %s` (key %d); `duel.csv` of the run folder has these rows, `spacings.csv` every candidate.",
		p.run.CPU, p.run.Platform, p.run.GOMAXPROCS, p.run.Go, p.run.Version, p.run.Program, p.run.End.Sub(p.run.Start).Round(time.Second), p.run.Name, c.Key)
	return b.String()
}

func quotedSolvers(list []string) string {
	parts := make([]string, len(list))
	for i, s := range list {
		if v, err := anySolver(s); err == nil && !totalMark.MatchString(s) {
			s = v.String() // without what is at its default
		}
		parts[i] = "`" + s + "`"
	}
	return strings.Join(parts, ", ")
}

// league is the table of one league, and its summary by budget.
func (p *duelReport) league(say sayer, league string) {
	say("### Rivals on %s\n", league)
	say.head("problem", "NFE:", "ours", "best rival", "", "on", "ratio of RMSE:", "95 %", "of median:")
	three := func(r runfile.DuelRow) string {
		return fmt.Sprintf("%s / %s / %s", digits3(r.RMSE), digits3(r.Median), digits3(r.P99))
	}
	type sum struct {
		rmse, median geometric
		halved, ours int
	}
	sums := map[int]*sum{}
	for _, m := range p.recipe.Models {
		name := m
		for _, r := range p.of(m, league) {
			own := p.of(m, "")
			k := slices.IndexFunc(own, func(o runfile.DuelRow) bool { return o.Budget == r.Budget })
			if k < 0 {
				continue
			}
			fewer := ""
			if r.NFE < float64(r.Budget) {
				fewer = fmt.Sprintf(" (%g)", r.NFE)
			}
			ratio := digits3(r.Ratio)
			if r.Ratio >= 2 {
				ratio = "**" + ratio + "**"
			}
			say.row(name, fmt.Sprint(r.Budget), three(own[k]), three(r), r.Solver+fewer, "`"+r.Spacing+"`", ratio, digits3(r.RatioLo)+" to "+digits3(r.RatioHi), digits3(r.MedianRatio))
			name = ""
			if sums[r.Budget] == nil {
				sums[r.Budget] = &sum{}
			}
			s := sums[r.Budget]
			s.rmse.add(r.Ratio)
			s.median.add(r.MedianRatio)
			if r.Ratio >= 2 {
				s.halved++
			}
			if r.Ratio > 1 {
				s.ours++
			}
		}
	}
	say("")
	say.head("NFE:", "ratio of RMSE, geometric mean over problems:", "of median:", "ours is better on:", "at most half of theirs on:")
	for _, b := range p.recipe.Budgets {
		if s := sums[b]; s != nil {
			say.row(fmt.Sprint(b), multiple(s.rmse.mean()), multiple(s.median.mean()), fmt.Sprintf("%d of %d", s.ours, s.rmse.n), fmt.Sprintf("%d of %d", s.halved, s.rmse.n))
		}
	}
	say("")
}
