package experiments

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/internal/race"
	"snrlab/internal/runfile"
)

const smallDuel = `
kind = "duel"
name = "small-duel"
models = ["gm2d", "gauss4"]
solver = "gaussian-secant(total={total},free=true)"
spacing = "free-start(total={total})"
rivals = ["euler", "heun", "dpmpp-2m"]
usual = ["karras", "uniform-lambda"]
tuned = ["arctan-log(c={total/4},k=0.02)"]
budgets = [5, 8]
rows = [200, 100]
tuning_rows = [60]
resamples = 50
`

// A duel is a ranking of the same starts, seen from one solver: its numbers are
// those of rankings with the same candidates.
func TestDuel_AgreesWith_Rank(t *testing.T) {
	race.Measures(t)
	info := runOf(t, smallDuel)
	rows, err := runfile.ReadDuel(filepath.Join(info.Dir, runfile.DuelCSV))
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != 2*2*3 {
		t.Fatalf("%d rows, expected one for the solver and each league, on two problems at two budgets", len(rows))
	}
	rank := func(solvers, spacings string) []runfile.RankRow {
		text := strings.NewReplacer(`"ddim", "euler", "heun", "dpmpp-2m", "ddim(eta=1)"`, solvers, `"karras", "uniform-lambda"`, spacings).Replace(smallRank)
		list, _ := rankingOf(t, runOf(t, text).Dir)
		return list
	}
	const rivals = `"euler", "heun", "dpmpp-2m"`
	of := map[string][]runfile.RankRow{
		"":          rank(`"gaussian-secant(total={total},free=true)"`, `"free-start(total={total})"`),
		usualLeague: rank(rivals, `"karras", "uniform-lambda"`),
		tunedLeague: rank(rivals, `"karras", "uniform-lambda", "arctan-log(c={total/4},k=0.02)"`),
	}
	var own runfile.DuelRow
	for _, r := range rows {
		var want runfile.RankRow
		for _, w := range of[r.League] {
			if w.Model == r.Model && w.Budget == r.Budget && (want.Solver == "" || w.Tuning < want.Tuning) {
				want = w
			}
		}
		if r.Solver != want.Solver || r.Spacing != want.Spacing || r.RMSE != want.RMSE || r.Median != want.Median || r.P99 != want.P99 || r.RMSEHi != want.RMSEHi || r.NFE != want.NFE {
			t.Errorf("%q: %+v, the ranking has %+v", r.League, r, want)
		}
		if r.League == "" {
			own = r
			continue
		}
		if r.Tuning != want.Tuning {
			t.Errorf("%s: chosen by %g, expected %g", r.League, r.Tuning, want.Tuning)
		}
		// Sums in another order.
		if math.Abs(r.Ratio/(r.RMSE/own.RMSE)-1) > 1e-12 || r.MedianRatio != r.Median/own.Median || !(r.RatioLo < r.Ratio && r.Ratio < r.RatioHi) {
			t.Errorf("%s: ratio %g in %g to %g, of the median %g", r.League, r.Ratio, r.RatioLo, r.RatioHi, r.MedianRatio)
		}
	}

	page := filepath.Join(t.TempDir(), "own.md")
	at := reports["duel"].place
	if err := os.WriteFile(page, []byte("before\n"+at.begin()+"\nREPLACED\n"+at.end()+"\nafter\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Publish(info.Dir, page); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	text := string(b)
	for _, want := range []string{"before\n", "after\n", "Rivals on usual grids", "Rivals on tuned grids", "figures/small-duel.svg", "| 8 |"} {
		if !strings.Contains(text, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	for _, not := range []string{"REPLACED", "NaN", "%!"} {
		if strings.Contains(text, not) {
			t.Errorf("the page has %q:\n%s", not, text)
		}
	}
	if shown, err := Redraw(info.Dir); err != nil || shown != info.Shown {
		t.Errorf("redrawn as %s, %v, expected %s", shown, err, info.Shown)
	}
}

func TestDuel_Refuses(t *testing.T) {
	for _, c := range []struct{ from, to, want string }{
		{`"heun"`, `"ddim(eta=1)"`, "draws noise"},
		{`"heun"`, `"rk-adaptive"`, "chooses its own levels"},
		{`"heun"`, `"euler"`, "field rivals"},
		{`solver = "gaussian-secant(total={total},free=true)"`, `solver = "ddpm"`, "field solver"},
		{`solver = "gaussian-secant(total={total},free=true)"`, ``, "field solver is missing"},
		{`free-start(total={total})`, `free-start(total={totl})`, "field spacing"},
		{`{total/4}`, `{total/1.2.3}`, "field tuned"},
		{`free-start(total={total})`, `free-start(total={total},smax=40)`, "different ends"},
		{`["karras", "uniform-lambda"]`, `["karras", "arctan-log(c={total/4},k=0.02)"]`, "twice"},
	} {
		refusesChanged(t, smallDuel, c.from, c.to, c.want)
	}
}
