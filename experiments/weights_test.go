package experiments

import (
	"bytes"
	"context"
	"encoding/csv"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/internal/study"
)

// The shares of a loss in bands of λ are those of its closed form, from which a
// wrong sign of λ, a unit or a Jacobian would part them.
func TestWeights_Limit(t *testing.T) {
	o := DefaultWeights()
	o.Recipes, o.Densities, o.Weights = []string{"eps-cosine", "v-cosine", "edm"}, []string{"laplace(mu=2)"}, []string{"min-snr"}
	o.From, o.To, o.Bands, o.Points = -6, 6, 3, 2401
	r, err := o.Run()
	if err != nil {
		t.Fatal(err)
	}
	printed(t, r)
	// u = (2/π) atan e^{λ/2} is the share of the cosine schedule below λ.
	below := func(l float64) float64 { return 2 / math.Pi * math.Atan(math.Exp(l/2)) }
	normal := func(l float64) float64 { return 0.5 * math.Erfc(-(l-2.4)/2.4/math.Sqrt2) }
	laplace := func(l float64) float64 {
		if l < 2 {
			return math.Exp((l-2)/0.5) / 2
		}
		return 1 - math.Exp(-(l-2)/0.5)/2
	}
	for loss, cdf := range map[int]func(float64) float64{0: below, 1: below, 2: normal, 4: laplace} {
		for _, b := range r.Losses[loss].Bands {
			if want := cdf(float64(b.To)) - cdf(float64(b.From)); math.Abs(float64(b.Drawn)-want) > 1e-12 {
				t.Errorf("%s from λ = %v to %v: share %.15g of training, expected %.15g", r.Losses[loss].Name, b.From, b.To, float64(b.Drawn), want)
			}
		}
	}
	// p·ω in ε of v-cosine is e^{−λ/2} up to a constant: its shares are those of an
	// exponential, the trapezoid rule of step h = 0.005 short by h²/48 < 1e-6.
	exponential := func(a, b float64) float64 {
		return (math.Exp(-a/2) - math.Exp(-b/2)) / (math.Exp(3) - math.Exp(-3))
	}
	for _, b := range r.Losses[1].Bands {
		if want := exponential(float64(b.From), float64(b.To)); math.Abs(float64(b.Weight)-want) > 1e-6 {
			t.Errorf("v-cosine from λ = %v to %v: share %g of p·ω, expected %g", b.From, b.To, float64(b.Weight), want)
		}
	}
	// min-SNR on ε is min(1, γ/SNR); alone it has no density and no share.
	for _, p := range r.Losses[3].Points {
		if want := math.Min(1, 5*math.Exp(-float64(p.LogSNR))); math.Abs(float64(p.Weight)/want-1) > 1e-12 {
			t.Errorf("min-snr at λ = %v: ω = %v in ε, expected %g", p.LogSNR, p.Weight, want)
		}
		if p.Density == p.Density || p.Product == p.Product {
			t.Errorf("a weight alone has p = %v, p·ω = %v", p.Density, p.Product)
		}
	}
	// In x₀ units the same weight is min(SNR, γ).
	o.Unit = "x0"
	if r, err = o.Run(); err != nil {
		t.Fatal(err)
	}
	if got := float64(r.Losses[3].Points[0].Weight); math.Abs(got/math.Exp(-6)-1) > 1e-12 {
		t.Errorf("min-snr at λ = −6: ω = %g in x₀, expected e^−6", got)
	}
}

// On every axis each report draws all of its losses, and the points of its table
// fit each other: λ = −2 log(σ/α), and t is the share above.
func TestWeights_Property(t *testing.T) {
	for _, axis := range WeightAxes() {
		o := DefaultWeights()
		o.Axis, o.Points, o.Schedule, o.Steps = axis, 61, "rf", 4
		r, err := o.Run()
		if err != nil {
			t.Fatal(err)
		}
		var svg bytes.Buffer
		if err := r.Figure().SVG(&svg); err != nil {
			t.Fatal(err)
		}
		for _, c := range r.Losses {
			if !strings.Contains(svg.String(), ">"+c.Name+"<") {
				t.Errorf("axis %s: %s is not in the figure", axis, c.Name)
			}
		}
		var b bytes.Buffer
		if err := r.Table().Encode(&b); err != nil {
			t.Fatal(err)
		}
		rows, err := csv.NewReader(&b).ReadAll()
		if err != nil || len(rows) != 1+(61+5)*len(o.Recipes) {
			t.Errorf("%d rows, %v: expected a head, 61 points and 5 levels of each loss", len(rows), err)
		}
		// Levels of rf lie on its own density at even shares; the middle one, λ = 0,
		// has what the curve has there, and the ends have the tails of p.
		rf := r.Losses[2]
		for k, l := range rf.Levels {
			if want := 1 - float64(k)/4; math.Abs(float64(l.T)-want) > 1e-12 {
				t.Errorf("level %d of the grid has the share %v above it, expected %g", k, l.T, want)
			}
		}
		if mid := rf.Levels[2]; math.Abs(float64(mid.Product/rf.Points[30].Product)-1) > 1e-12 || mid.Weight != rf.Points[30].Weight || rf.Levels[0].Density != 0 {
			t.Errorf("the levels are %+v, the curve %+v there", rf.Levels, rf.Points[30])
		}
		last := r.Losses[0].Points[60]
		if math.Abs(float64(last.Spent)-1) > 1e-12 || !(last.T < 1e-3) || float64(last.LogSNR) != o.To {
			t.Errorf("the clean end is %+v: expected all spent and little above", last)
		}
	}
}

func TestWeights_Refuses(t *testing.T) {
	for want, spoil := range map[string]func(o *WeightOptions){
		"λ from 5 to -5":                  func(o *WeightOptions) { o.From, o.To = 5, -5 },
		"λ from -15 to +Inf":              func(o *WeightOptions) { o.To = math.Inf(1) },
		"λ from NaN":                      func(o *WeightOptions) { o.From = math.NaN() },
		"unknown value \"time\"":          func(o *WeightOptions) { o.Axis = "time" },
		"expected a schedule":             func(o *WeightOptions) { o.Axis = "index" },
		"field steps is 0":                func(o *WeightOptions) { o.Schedule, o.Steps = "rf", 0 },
		"unknown spacing":                 func(o *WeightOptions) { o.Schedule, o.Spacing = "rf", "karas" },
		"nothing to show":                 func(o *WeightOptions) { o.Recipes = nil },
		"unknown unit":                    func(o *WeightOptions) { o.Unit = "epss" },
		"unknown recipe":                  func(o *WeightOptions) { o.Recipes = []string{"sd33"} },
		"field bands is 0":                func(o *WeightOptions) { o.Bands = 0 },
		"field points is 1":               func(o *WeightOptions) { o.Points = 1 },
		"gives no weight to λ":            func(o *WeightOptions) { o.Recipes, o.From, o.To = []string{"vdm"}, 20, 30 },
		"inside the support":              func(o *WeightOptions) { o.Weights = []string{"elbo(density=uniform(min=-5,max=5))"} },
		"min = 5, max = -5":               func(o *WeightOptions) { o.Densities = []string{"uniform(min=5,max=-5)"} },
		"unknown density \"log-normals\"": func(o *WeightOptions) { o.Densities = []string{"log-normals"} },
	} {
		o := DefaultWeights()
		spoil(&o)
		if _, err := o.Run(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: expected an error with %q", err, want)
		}
	}
}

// The figure of schedules holds on every axis what its table holds, and the
// table's columns fit each other.
func TestSchedule_Property(t *testing.T) {
	for _, axis := range ScheduleAxes() {
		o := ScheduleOptions{Schedules: []string{"cosine", "rf", "rf"}, Spacings: []string{"uniform-t", "uniform-t", "uniform-lambda(smin=0.01,smax=80)"}, Steps: 4, Points: 33, Axis: axis}
		r, err := o.Run()
		if err != nil {
			t.Fatal(err)
		}
		var svg bytes.Buffer
		if err := r.Figure().SVG(&svg); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"cosine", "rf · uniform-t", "rf · uniform-lambda(smin=0.01,smax=80)"} {
			if !strings.Contains(svg.String(), ">"+name+"<") {
				t.Errorf("axis %s: %s is not in the figure", axis, name)
			}
		}
		table := r.Table()
		if len(table.Rows) != 3*(33+5) {
			t.Errorf("%d rows: expected 33 points and 5 levels of each", len(table.Rows))
		}
		get := func(row []any, column string) float64 { return row[table.Index(column)].(float64) }
		for _, row := range table.Rows {
			u, share, density, speed := get(row, "u"), get(row, "share"), get(row, "density"), get(row, "speed_u")
			lambda, alpha, sigma := get(row, "lambda"), get(row, "alpha"), get(row, "sigma")
			if math.IsInf(lambda, 0) {
				continue
			}
			if math.Abs(u+share-1) > 1e-12 || math.Abs(density*speed-1) > 1e-12 || math.Abs(2*math.Log(alpha/sigma)-lambda) > 1e-9 || math.Abs(get(row, "log_sigma")-math.Log(sigma/alpha)) > 1e-9 {
				t.Errorf("the columns of %v do not fit each other", row)
			}
			// The cosine schedule has p(λ) = sech(λ/2)/2π, here over the whole from −15
			// to 15 instead of the axis, which is 0.07 % less.
			if row[0] == "cosine" {
				if want := 1 / math.Cosh(lambda/2) / (2 * math.Pi); math.Abs(density/want-1) > 1e-3 {
					t.Errorf("cosine at λ = %g: p = %g, expected %g", lambda, density, want)
				}
			}
		}
		// Steps in λ of a grid that is even in λ.
		for k, l := range r.Grids[2].Levels[:4] {
			if want := 2 * math.Log(8000) / 4; math.Abs(float64(l.Step)-want) > 1e-9 {
				t.Errorf("step %d is %v in λ, expected %g", k, l.Step, want)
			}
		}
	}
}

// The recipe of the microscope ends in its findings.
func TestLosses_Property(t *testing.T) {
	recipe, err := Load("snr-curves")
	if err != nil {
		t.Fatal(err)
	}
	info, err := Run(context.Background(), recipe, Options{Out: t.TempDir(), Undrawn: true})
	if err != nil {
		t.Fatal(err)
	}
	text := printed(t, info)
	for _, want := range []string{"HOLDS: v-cosine and rf are one objective", "HOLDS: The losses that are a variational bound"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	s, err := study.Read(info.Dir)
	if err != nil {
		t.Fatal(err)
	}
	// EDM draws λ ~ N(2.4, 2.4²), whose median is −2·pmean.
	for _, row := range s.Table("summary").Rows {
		if row[0] == "edm" && math.Abs(row[1].(float64)-2.4) > 1e-9 {
			t.Errorf("the median λ of EDM is %v, expected 2.4", row[1])
		}
	}
	// A claim that is false is told so.
	e := recipe.Experiment.(*Losses)
	e.Same, e.Monotone = []string{e.Losses[0], e.Losses[1]}, nil
	if info, err = Run(context.Background(), recipe, Options{Out: t.TempDir(), Undrawn: true}); err != nil {
		t.Fatal(err)
	}
	for _, f := range info.Study.Findings {
		if f.Holds != study.No {
			t.Errorf("%s: %s", f.Holds, f.Claim)
		}
	}
	e.Same = []string{"p2", "rf"}
	if _, err := recipe.Plan(Options{}); err == nil || !strings.Contains(err.Error(), "field same holds p2") {
		t.Errorf("%v: expected an error with the field", err)
	}
	if b, err := os.ReadFile(filepath.Join(info.Dir, "losses.csv")); err != nil || !bytes.HasPrefix(b, []byte("loss,kind,index,lambda,")) {
		t.Errorf("losses.csv: %v", err)
	}
}
