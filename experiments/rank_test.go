package experiments

import (
	"context"
	"errors"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/internal/runfile"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

const smallRank = `
kind = "rank"
name = "small"
models = ["gm2d", "gauss4"]
solvers = ["ddim", "euler", "heun", "dpmpp-2m", "ddim(eta=1)"]
spacings = ["karras", "uniform-lambda"]
budgets = [5, 8]
rows = [200, 100]
tuning_rows = [60]
resamples = 50
[law]
directions = 16
floors = 3
`

func rankingOf(t *testing.T, dir string) ([]runfile.RankRow, []runfile.SpacingRow) {
	t.Helper()
	rows, err := runfile.ReadRanking(filepath.Join(dir, runfile.RankingCSV))
	if err != nil {
		t.Fatal(err)
	}
	spacings, err := runfile.ReadSpacings(filepath.Join(dir, runfile.SpacingsCSV))
	if err != nil {
		t.Fatal(err)
	}
	return rows, spacings
}

// Errors on the Gaussian, whose trajectories have a closed form, are those of a
// run made by hand from the same starts; the spacing is the one that the tuning
// starts prefer.
func TestRank_AgreesWithClosedForm(t *testing.T) {
	race.Measures(t)
	info := runOf(t, smallRank)
	rows, spacings := rankingOf(t, info.Dir)
	if len(rows) != 2*5*2 || len(spacings) != 2*5*2*2 {
		t.Fatalf("%d rows and %d of candidates, expected 20 and 40", len(rows), len(spacings))
	}
	g, sch := models.Gauss4(), schedules.EDM{SMin: 0.002, SMax: 80}
	errorOf := func(solver, spacing string, steps int, keys []rng.Key) []float64 {
		sp, err := schedules.ParseSpacing(spacing)
		if err != nil {
			t.Fatal(err)
		}
		grid, err := sp.Grid(sch, steps)
		if err != nil {
			t.Fatal(err)
		}
		s, err := solvers.Parse(solver)
		if err != nil {
			t.Fatal(err)
		}
		x := make([]float64, 4*len(keys))
		for i, k := range keys {
			k.Split("init", 0).Normal(x[4*i : 4*i+4])
		}
		for i := range x {
			x[i] *= 80
		}
		want := make([]float64, len(x))
		if err := g.Flow(want, x, grid[0], grid[steps]); err != nil {
			t.Fatal(err)
		}
		end, err := solvers.Sample(t.Context(), s, solvers.Problem{Denoiser: g, Grid: grid, Schedule: sch}, x)
		if err != nil {
			t.Fatal(err)
		}
		e, err := metrics.RowErrors(metrics.Samples{X: end, Dim: 4}, metrics.Samples{X: want, Dim: 4})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	reported := solvers.RowKeys(rng.New(1), 0, 100)
	tuning := solvers.RowKeys(rng.New(1).Split("tuning", 0), 0, 60)
	// The reference is good to 1e-10 a step, a row.
	near := func(what string, got, want float64) {
		if math.Abs(got-want) > 1e-7*want {
			t.Errorf("%s is %.12g, by hand %.12g", what, got, want)
		}
	}
	seen := 0
	for _, r := range rows {
		if r.Model != "gauss4" || r.Stochastic {
			continue
		}
		seen++
		e := errorOf(r.Solver, r.Spacing, r.Steps, reported)
		near(r.Solver+" RMSE", r.RMSE, metrics.RMSE(e))
		near(r.Solver+" median", r.Median, metrics.Quantile(e, 0.5))
		near(r.Solver+" 99 %", r.P99, metrics.Quantile(e, 0.99))
		near(r.Solver+" worst", r.Worst, slices.Max(e))
		if !(r.RMSELo < r.RMSE && r.RMSE < r.RMSEHi && r.RMSEHi < 2*r.RMSE) {
			t.Errorf("%s: RMSE %g in the interval %g to %g", r.Solver, r.RMSE, r.RMSELo, r.RMSEHi)
		}
		least := math.Inf(1)
		for _, s := range spacings {
			if s.Model == r.Model && s.Solver == r.Solver && s.Budget == r.Budget {
				near(s.Solver+" on "+s.Spacing, s.Error, metrics.RMSE(errorOf(s.Solver, s.Spacing, r.Steps, tuning)))
				if least = min(least, s.Error); s.Error < r.Tuning {
					t.Errorf("%s at %d runs on %s (%g), and %s gives %g", r.Solver, r.Budget, r.Spacing, r.Tuning, s.Spacing, s.Error)
				}
			}
		}
		if r.Tuning != least {
			t.Errorf("%s at %d: tuning error %g, the least of the candidates is %g", r.Solver, r.Budget, r.Tuning, least)
		}
		if want := map[bool]float64{false: float64(r.Budget), true: float64(r.Budget / 2 * 2)}[r.Solver == "heun"]; r.NFE != want {
			t.Errorf("%s at %d: %g evaluations, expected %g", r.Solver, r.Budget, r.NFE, want)
		}
	}
	if seen != 8 {
		t.Errorf("%d deterministic rows on the Gaussian, expected 8", seen)
	}
}

// Screening drops candidates that are far from the best and changes no choice
// where they are: at five steps a grid uniform in σ/α is out of the question.
func TestRank_Property_Screen(t *testing.T) {
	text := strings.NewReplacer(`"uniform-lambda"]`, `"karras(rho=1)"]`, `, "ddim(eta=1)"`, "").Replace(smallRank)
	plain, all := rankingOf(t, runOf(t, text).Dir)
	quick, some := rankingOf(t, runOf(t, strings.Replace(text, "tuning_rows = [60]", "tuning_rows = [60]\nscreen_rows = [20]", 1)).Dir)
	for i := range plain {
		if a, b := plain[i], quick[i]; a.Spacing != "karras" || b.Spacing != "karras" || a.RMSE != b.RMSE && a.RMSE == a.RMSE || a.Tuning != b.Tuning {
			t.Errorf("with screening %+v, without %+v", b, a)
		}
	}
	for i := range all {
		if (all[i].Error == some[i].Error) != (all[i].Spacing == "karras") {
			t.Errorf("%s on %s: %g with screening, %g without: expected one number for what stays and two for what drops out", some[i].Solver, some[i].Spacing, some[i].Error, all[i].Error)
		}
	}
}

// The law of a stochastic solver: far off in few steps, and no worse than exact
// samples in many; the best deterministic solver is measured too.
func TestRank_Limit_Law(t *testing.T) {
	race.Measures(t)
	rows, _ := rankingOf(t, runOf(t, `
kind = "rank"
models = ["gm2d"]
solvers = ["ddim", "dpmpp-2m", "euler-maruyama"]
spacings = ["karras"]
budgets = [4, 300]
rows = [400]
tuning_rows = [40]
[law]
directions = 20
floors = 8
`).Dir)
	for _, r := range rows {
		switch {
		case r.Stochastic && r.Budget == 4:
			if r.SW2 < 3*r.SW2Floor || r.CovErr < 3*r.CovFloor {
				t.Errorf("four steps: sliced W2 %g, floor %g; covariance %g, floor %g: expected them far apart", r.SW2, r.SW2Floor, r.CovErr, r.CovFloor)
			}
		case r.Stochastic:
			if r.SW2 > 1.2*r.SW2Floor || r.CovErr > 1.2*r.CovFloor || r.MeanErr > 1.2*r.MeanFloor {
				t.Errorf("300 steps: %+v: expected errors near their floors", r)
			}
			if !math.IsNaN(r.RMSE) {
				t.Errorf("a stochastic solver has an RMSE %g", r.RMSE)
			}
		case (r.Solver == "dpmpp-2m") == math.IsNaN(r.SW2):
			t.Errorf("%s at %d has the law %g: expected one for the best deterministic solver alone", r.Solver, r.Budget, r.SW2)
		}
	}
}

// A ranking that is stopped goes on to the bytes of one that was not, and
// processors make no difference.
func TestRank_Resume(t *testing.T) {
	bytesOf := func(dir string) string {
		var all string
		for _, name := range []string{runfile.RankingCSV, runfile.SpacingsCSV} {
			b, err := os.ReadFile(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			all += string(b)
		}
		return all
	}
	want := bytesOf(runOf(t, smallRank).Dir)
	out := t.TempDir()
	for _, stage := range []string{"gm2d: heun", "gauss4: ddim(eta=1)"} {
		ctx, stop := context.WithCancel(t.Context())
		if _, err := Run(ctx, parse(t, smallRank), Options{Out: out, Progress: stopAt{stage, stop}}); !errors.Is(err, context.Canceled) {
			t.Fatalf("got %v, expected a stop", err)
		}
	}
	info, err := Run(t.Context(), parse(t, smallRank), Options{Out: out})
	if err != nil {
		t.Fatal(err)
	}
	if info.Found == 0 || info.Computed == 0 || bytesOf(info.Dir) != want {
		t.Errorf("resumed with %d cells found and %d computed: expected some of each, and the same files", info.Found, info.Computed)
	}
	one := t.TempDir()
	if b, err := child(smallRank, one, "GOMAXPROCS=1", "SNRLAB_TEST_UNDRAWN=1").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	dirs, _ := filepath.Glob(filepath.Join(one, "*"))
	if len(dirs) != 1 || bytesOf(dirs[0]) != want {
		t.Error("one processor gives other files")
	}
}

// refusesChanged fails unless a recipe with one piece of its text changed is
// refused before any work, with want in the error.
func refusesChanged(t *testing.T, recipe, from, to, want string) {
	t.Helper()
	text := strings.Replace(recipe, from, to, 1)
	if text == recipe {
		t.Fatalf("%q changes nothing", from)
	}
	r, err := Parse("test", []byte(text))
	if err == nil {
		_, err = r.Plan(Options{})
	}
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("%s: got %v, expected an error with %q", to, err, want)
	}
}

func TestRank_Refuses(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{`"uniform-lambda"`, `"karras(last=zero)"`, "errors of different ends"},
		{`rows = [200, 100]`, `rows = [200, 100, 50]`, "one for each of 2"},
		{`rows = [200, 100]`, `rows = [2]`, "field rows is 2"},
		{`budgets = [5, 8]`, `budgets = [5, 5]`, "twice"},
		{`budgets = [5, 8]`, `budgets = [0]`, "field budgets is 0"},
		{`"euler"`, `"oiler"`, "oiler"},
		{`"gauss4"`, `"gauss5"`, `did you mean "gauss4"`},
		{`resamples = 50`, `resamples = 5`, "resamples"},
		{`resamples = 50`, `tolerances = [2.0]`, "tolerances"},
		{`tuning_rows = [60]`, "tuning_rows = [60]\nscreen_rows = [61]", "field screen_rows is 61"},
	} {
		refusesChanged(t, smallRank, c.from, c.to, c.want)
	}
	r := parse(t, strings.Replace(smallRank, `"ddim", "euler", "heun", "dpmpp-2m", "ddim(eta=1)"`, `"heun"`, 1))
	if err := r.Set("budgets", "1"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Plan(Options{}); err == nil || !strings.Contains(err.Error(), "no budget is enough") {
		t.Errorf("got %v, expected a word about budgets", err)
	}
}

// Ratios, wins, fronts and names of one method, on numbers set by hand.
func TestLeague_Property(t *testing.T) {
	var rows []runfile.RankRow
	add := func(solver string, errs ...float64) {
		for i, e := range errs {
			rows = append(rows, runfile.RankRow{Model: "m", Solver: solver, Budget: []int{4, 9}[i], NFE: []float64{4, 9}[i], RMSE: e, Median: e * e})
		}
	}
	add("a", 0.1, 0.04)
	add("b", 0.2, 0.01)
	add("a-again", 0.1*(1+1e-12), 0.04)
	add("lost", math.Inf(1), 1)
	rows = append(rows, runfile.RankRow{Model: "m", Solver: "own", Adaptive: true, NFE: 6.5, RMSE: 0.05})
	rows = append(rows, runfile.RankRow{Model: "m", Solver: "noisy", Stochastic: true, Budget: 4, NFE: 4, RMSE: math.NaN(), SW2: 0.3})
	l := newLeague(rows, false)
	var names []string
	for _, m := range l.methods {
		names = append(names, m.title())
	}
	if want := []string{"b", "a = a-again", "lost"}; !slices.Equal(names, want) {
		t.Fatalf("methods %q, expected %q", names, want)
	}
	b, a, lost := l.methods[0], l.methods[1], l.methods[2]
	// √(2·1), √(1·4), √(1e4·100).
	for _, c := range []struct{ got, want float64 }{{b.ratio, math.Sqrt2}, {a.ratio, 2}, {lost.ratio, 1000}} {
		if math.Abs(c.got/c.want-1) > 1e-12 {
			t.Errorf("ratio %g, expected %g", c.got, c.want)
		}
	}
	// √(4·1) of the medians, which are squares here.
	if math.Abs(b.median-2) > 1e-12 {
		t.Errorf("median %g, expected 2", b.median)
	}
	// Budget 4 is few, and budget 9 too.
	if b.few != b.ratio || !math.IsNaN(b.many) {
		t.Errorf("few %g, many %g", b.few, b.many)
	}
	if a.wins != 1 || b.wins != 1 || lost.wins != 0 {
		t.Errorf("wins %d, %d, %d", a.wins, b.wins, lost.wins)
	}
	var front []string
	for _, r := range l.front("m", rows[8:9]) {
		front = append(front, r.Solver)
	}
	if want := []string{"a", "own", "b"}; !slices.Equal(front, want) {
		t.Errorf("front %q, expected %q", front, want)
	}
	// Below the floor nobody is better than anybody.
	rows = append(rows, runfile.RankRow{Model: "m", Solver: "quiet", Stochastic: true, Budget: 4, NFE: 4, SW2: 0.1, SW2Floor: 0.2})
	rows[len(rows)-2].SW2Floor = 0.2
	if r := newLeague(rows, true); len(r.methods) != 2 || r.methods[0].name != "quiet" || r.methods[0].wins != 0 || r.methods[0].ratio != 1 || math.Abs(r.methods[1].ratio-1.5) > 1e-12 {
		t.Errorf("the stochastic league has %+v and %+v", r.methods[0], r.methods[1])
	}

	var cand []runfile.SpacingRow
	for _, s := range []struct {
		solver, spacing string
		errs            []float64
	}{{"a", "k", []float64{1, 4}}, {"a", "u", []float64{2, 2}}, {"b", "k", []float64{1}}} {
		for i, e := range s.errs {
			cand = append(cand, runfile.SpacingRow{Model: "m", Solver: s.solver, Spacing: s.spacing, Budget: i, Error: e})
		}
	}
	got := pairs(cand, func(string) bool { return true })
	if len(got) != 2 || math.Abs(got[0].ratio-math.Sqrt2) > 1e-12 || math.Abs(got[1].ratio-math.Sqrt2) > 1e-12 {
		t.Errorf("pairs %+v: expected two, each √2 from the best", got)
	}
}

func TestPublish(t *testing.T) {
	quick, err := Load("work-precision-quick")
	if err != nil {
		t.Fatal(err)
	}
	info, err := Run(t.Context(), quick, Options{Out: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	page := filepath.Join(t.TempDir(), "ranking.md")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("# Ranking\n")
	if err := Publish(info.Dir, page); err == nil || !strings.Contains(err.Error(), "ranking: begin") {
		t.Errorf("got %v, expected a word about the marks", err)
	}
	write("# Ranking\n\nBy hand.\n\n" + reports["rank"].place.begin() + "\nold\n" + reports["rank"].place.end() + "\n\nMore by hand.\n")
	for range 2 { // a second time changes nothing
		if err := Publish(info.Dir, page); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		text := string(b)
		if !strings.HasPrefix(text, "# Ranking\n\nBy hand.\n\n"+reports["rank"].place.begin()) || !strings.HasSuffix(text, reports["rank"].place.end()+"\n\nMore by hand.\n") || strings.Contains(text, "old\n") {
			t.Errorf("the page is\n%s", text)
		}
		for _, want := range []string{"ddim = euler", "Pareto", "### gauss4", "Sliced W2 on `gm2d`", "figures/ranking.svg", "One solver on one spacing"} {
			if !strings.Contains(text, want) {
				t.Errorf("the page has no %q", want)
			}
		}
		if strings.Contains(text, "NaN") || strings.Contains(text, "%!") {
			t.Errorf("the page has a number that is none, or a broken format:\n%s", text)
		}
	}
	for _, name := range []string{"ranking.svg", "ranking-gm2d.svg", "ranking-law.svg"} {
		if _, err := os.Stat(filepath.Join(filepath.Dir(page), "figures", name)); err != nil {
			t.Error(err)
		}
	}
	if err := Publish(t.TempDir(), page); err == nil {
		t.Error("a folder without a run was published")
	}
	if shown, err := Redraw(info.Dir); err != nil || shown != info.Shown {
		t.Errorf("redrawn as %s, %v, expected %s", shown, err, info.Shown)
	}
}

// {total} in a name is the total variance of a problem's data: for gauss4, the sum
// of its four variances.
func TestRank_Equals_Total(t *testing.T) {
	race.Measures(t)
	text := strings.NewReplacer(`"gm2d", "gauss4"`, `"gauss4"`, `[200, 100]`, `[50]`, `, "heun", "dpmpp-2m", "ddim(eta=1)"`, `, "SOLVER"`, `"uniform-lambda"`, `"SPACING"`).Replace(smallRank)
	with := func(solver, spacing string) []runfile.RankRow {
		rows, _ := rankingOf(t, runOf(t, strings.NewReplacer("SOLVER", solver, "SPACING", spacing).Replace(text)).Dir)
		return rows
	}
	mom, err := models.Gauss4().Moments(schedules.Level{Alpha: 1}, -1)
	if err != nil {
		t.Fatal(err)
	}
	total := strconv.FormatFloat(mom.Var[0]+mom.Var[1]+mom.Var[2]+mom.Var[3], 'g', -1, 64)
	marked := with("gaussian-secant(total={total},free=true)", "free-start(total={total})")
	plain := with("gaussian-secant(total="+total+",free=true)", "free-start(total="+total+")")
	for i, m := range marked {
		p := plain[i]
		if m.RMSE != p.RMSE || atTotal(m.Solver, mom.Total()) != p.Solver || atTotal(m.Spacing, mom.Total()) != p.Spacing {
			t.Errorf("%s on %s: %g, with the number %s on %s: %g", m.Solver, m.Spacing, m.RMSE, p.Solver, p.Spacing, p.RMSE)
		}
	}
	if got := atTotal("a={total/4},b={total}", 10); got != "a=2.5,b=10" {
		t.Errorf("got %s", got)
	}
}

// Solvers without a budget are measured by their tolerance; what takes too long is
// left out, and said; one that is parallel waits for fewer evaluations than it makes.
func TestRank_Property_Adaptive(t *testing.T) {
	text := strings.NewReplacer(`"gm2d", "gauss4"`, `"gm2d"`, `[200, 100]`, `[40]`, `"ddim", "euler", "heun", "dpmpp-2m", "ddim(eta=1)"`, `"paradigms(window=40)", "rk-adaptive", "dpm-solver-23"`,
		`[5, 8]`, `[5, 40]`, `resamples = 50`, "resamples = 50\ntolerances = [1e-8, 1e-2]").Replace(smallRank)
	info := runOf(t, text)
	rows, _ := rankingOf(t, info.Dir)
	var names []string
	for _, r := range rows {
		names = append(names, r.Solver)
		if parallel := strings.HasPrefix(r.Solver, "paradigms"); parallel != (r.Sequence < 0.6*r.NFE) || !parallel && r.Sequence != r.NFE {
			t.Errorf("%s waits for %g of %g evaluations", r.Solver, r.Sequence, r.NFE)
		}
	}
	want := []string{
		"paradigms(window=40,tol=0.01)", "paradigms(window=40,tol=1e-08)",
		"rk-adaptive(rtol=0.01,atol=0.01)", "rk-adaptive(rtol=1e-08,atol=1e-08)",
		"dpm-solver-23(rtol=0.01,atol=0.01)",
	}
	if !slices.Equal(names, want) {
		t.Errorf("rows of %q, expected %q", names, want)
	}
	if notes := strings.Join(info.Notes, "\n"); !strings.Contains(notes, "dpm-solver-23 on gm2d takes more than 400 evaluations at tolerances of 1e-08 and below") {
		t.Errorf("notes %q say nothing of what is left out", notes)
	}
	if _, err := withTolerance(solvers.Heun{}, 0.1); err == nil {
		t.Error("Heun's method has no tolerance, and got one")
	}
}
