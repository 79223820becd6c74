package experiments

import (
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/runfile"
	"snrlab/internal/spec"
	"snrlab/solvers"
)

// The page has every solver with what is known of it; a solver whose order was
// not measured is an error that says what to do.
func TestCatalogue_Property(t *testing.T) {
	var c catalogue
	for _, s := range registered() {
		for i, m := range orderModels {
			r := runfile.OrderRow{Solver: s.String(), Model: m, Order: 1.25 + float64(i), Strong: s.Properties().Stochastic}
			if s.String() == "heun" {
				r.Order = math.NaN()
			}
			c.orders = append(c.orders, r)
		}
	}
	c.cases = []runfile.ConformanceRow{
		{Solver: "ddim", Peer: "peer", Sampler: "All", Cases: 3, Passed: 3},
		{Solver: "ddim", Peer: "peer", Sampler: "Some", Cases: 3, Passed: 2},
		{Solver: "a habit", Peer: "peer", Sampler: "Own", Cases: 1, Passed: 1},
	}
	page, err := c.solvers()
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range solvers.Registry().Entries {
		p := e.Default.Properties()
		for _, want := range append([]string{"\n## " + e.Name + "\n", p.Equation, p.Ends, p.Summary[1:]}, e.Aliases...) {
			if !strings.Contains(page, want) {
				t.Errorf("%s: the page has no %q", e.Name, want)
			}
		}
	}
	for _, want := range []string{
		"| [heun](#heun) | 2 | – | – | – | 2 |", "| [ddim](#ddim) | 1 | 1.25 | 2.25 | 3.25 | 1 |", "1.25\\*",
		"LMS (`ab4(last=own)`)", "peer All (3), peer Some (2 of 3)", "peer Own: 1 of 1 cases, as a habit",
		"`ab3(start=rk)`: 3 promised", "[arXiv 2010.02502](https://arxiv.org/abs/2010.02502)", "`ddim(eta=1)` = `ddpm`",
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page has no %q", want)
		}
	}
	if strings.Contains(page, "%!") {
		t.Errorf("a broken format:\n%s", page)
	}
	c.orders = c.orders[1:]
	if _, err := c.solvers(); err == nil || !strings.Contains(err.Error(), "make catalogue") {
		t.Errorf("an order that was not measured gives %v", err)
	}
	same := equivalencesPage()
	for _, e := range solvers.Equivalences() {
		if !strings.Contains(same, e.Why) || !strings.Contains(same, string(e.Where)) {
			t.Errorf("the page has no %v", e)
		}
	}
}

// Every registered solver keeps its promise on every problem: it measures at least
// the promised order less 0.2. More than 0.3 above it are only multistep methods
// whose few first steps are of a lower order, and those by no more than their own
// order with a start that has it.
func TestMeasureOrders_Order(t *testing.T) {
	if testing.Short() {
		t.Skip("runs every solver in up to 10240 steps")
	}
	rows, err := MeasureOrders(t.Context(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if len(rows) != len(orderModels)*len(registered()) {
		t.Fatalf("%d rows for %d solvers on %d problems", len(rows), len(registered()), len(orderModels))
	}
	for _, r := range rows {
		if r.Order != r.Order {
			continue // none that can be measured, see TestConverge_Order
		}
		s, err := solvers.Parse(r.Solver)
		if err != nil {
			t.Fatal(err)
		}
		l := OrderLine{Promised: s.Properties().Order, Strong: r.Strong, Order: &r.Order}
		if !l.Kept() {
			t.Errorf("%s on %s: order %.2f from %d to %d steps, promised %g", r.Solver, r.Model, r.Order, r.From, r.To, l.Promised)
		}
		if own := ownOrder(s); !r.Strong && r.Order > own+0.3 {
			t.Errorf("%s on %s: order %.2f from %d to %d steps, promised %g, %g with a start of its own order", r.Solver, r.Model, r.Order, r.From, r.To, l.Promised, own)
		}
	}
}

// ownOrder is the order promised with a Runge–Kutta start, where there is that
// choice.
func ownOrder(s solvers.Solver) float64 {
	if !slices.Contains(spec.Fields(s), "start") {
		return s.Properties().Order
	}
	name, _, _ := strings.Cut(s.String(), "(")
	started, err := solvers.Parse(name + "(start=rk)")
	if err != nil { // the choice is of other openings
		return s.Properties().Order
	}
	return started.Properties().Order
}
