package experiments

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"snrlab/internal/runfile"
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

// Orders of first order and of the exact one, measured for the catalogue.
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
	// One doubling can fall where two terms of the error cancel: on gauss4 deis
	// measures 4.3, 1.4, 1.8, 2.0 from 160 steps on. So a promise is kept on all
	// problems but one; package solvertest holds each solver to it on its own.
	missed := map[string][]string{}
	for _, r := range rows {
		s, err := solvers.Parse(r.Solver)
		if err != nil {
			t.Fatal(err)
		}
		if l := (OrderLine{Promised: s.Properties().Order, Strong: r.Strong, Order: &r.Order}); r.Order == r.Order && !l.Kept() {
			missed[r.Solver] = append(missed[r.Solver], fmt.Sprintf("%.2f on %s", r.Order, r.Model))
		}
	}
	for name, orders := range missed {
		if len(orders) > 1 {
			t.Errorf("%s misses its promised order: %s", name, strings.Join(orders, ", "))
		}
	}
}
