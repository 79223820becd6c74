package solvers

import (
	"fmt"
	"math"
	"testing"
)

// Every scheme meets the conditions of its order and of no higher one, as do
// the embedded methods.
func TestTableaux_Order(t *testing.T) {
	check := func(name string, a [][]float64, b []float64, order int) {
		t.Helper()
		// Rounding: stage vectors grow to 1e1 under weights of up to 6.
		if worst, n := defect(a, b, 1, order); worst > 2e-14 {
			t.Errorf("%s: one of the %d conditions up to order %d is off by %.2g", name, n, order, worst)
		}
		if worst, _ := defect(a, b, 1, order+1); worst < 1e-7 {
			t.Errorf("%s meets all conditions of order %d: it promises %d", name, order+1, order)
		}
	}
	for i, name := range schemeNames {
		s := Scheme(i)
		rk, ok := tableaux[s]
		if s == AlphaHeun {
			rk, ok = RK{Method: AlphaHeun, Alpha: 0.37}.tableau(), true
		}
		if !ok {
			t.Fatalf("no tableau for %s", name)
		}
		if err := rk.validate(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		check(name, rk.a, rk.b, rk.order)
		if rk.low != nil {
			check(name+" embedded", rk.a, rk.low, rk.below)
		}
		if rk.third != nil {
			check(name+" second embedded", rk.a, rk.third, 3)
		}
		if want := s == BS23 || s == Dopri5 || s == DOP853; rk.closes() != want {
			t.Errorf("%s: last stage at the result of the step: %v, expected %v", name, rk.closes(), want)
		}
	}
}

func TestTableau_Refuses(t *testing.T) {
	good := tableaux[RK4]
	for what, change := range map[string]func(t *tableau){
		"a row that is no sum": func(t *tableau) { t.c = []float64{0, 0.5, 0.4, 1} },
		"weights above 1":      func(t *tableau) { t.b = []float64{1, 1, 1, 1} },
		"weights below 1":      func(t *tableau) { t.low = []float64{0, 0, 0, 0.5} },
		"a row too many":       func(t *tableau) { t.a = append(t.a, nil) },
		"an implicit row":      func(t *tableau) { t.a = [][]float64{{0}, {0.5}, {0, 0.5}, {0, 0, 1}} },
		"NaN":                  func(t *tableau) { t.b = []float64{math.NaN(), 0, 0, 0} },
		"nothing":              func(t *tableau) { *t = tableau{} },
	} {
		bad := good
		change(&bad)
		if bad.validate() == nil {
			t.Errorf("a tableau with %s is not refused", what)
		}
	}
}

// The controller steers an error that is exactly C h^q to the tolerance.
func TestControl_Limit(t *testing.T) {
	for _, c := range []control{
		pi(3), pi(5), pi(8),
		{q: 2, i: 1, safety: 0.9, growth: math.Inf(1), reach: 1, eager: true},
		{q: 2, i: 1, safety: 1, smooth: true, accept: 0.81, floor: 1e-8, eager: true, reach: 1},
	} {
		for _, size := range []float64{1e-9, 1, 1e9} { // the step that meets the tolerance
			s := pace{h: 1}
			accepted := 0
			for range 60 {
				if c.decide(math.Pow(s.h/size, c.q), s.h, &s) {
					accepted++
				}
			}
			want := size
			if c.safety < 1 { // h = h·0.9·(h/size)^(−(i)): E = 0.9^(q/i)
				want = size * math.Pow(c.safety, 1/c.i)
			}
			if math.Abs(s.h/want-1) > 1e-3 {
				t.Errorf("%+v: the step settles at %g, expected %g", c, s.h, want)
			}
			if accepted < 20 {
				t.Errorf("%+v: %d of 60 attempts accepted", c, accepted)
			}
		}
	}
	// No growth at once after a rejection, and an error of 0 is no trouble.
	c, s := pi(5), pace{h: 1}
	if c.decide(10, 1, &s) || s.h >= 1 {
		t.Errorf("an error of 10 gives %+v", s)
	}
	h := s.h
	if !c.decide(0, h, &s) || s.h != h {
		t.Errorf("growth right after a rejection: %g → %g", h, s.h)
	}
	if !c.decide(0, h, &s) || s.h < 2*h || s.h > 5*h {
		t.Errorf("after an error of 0 the step goes from %g to %g, expected growth of up to 5", h, s.h)
	}
	if c.decide(math.Inf(1), h, &s) || fmt.Sprint(s.h) == "NaN" || s.h <= 0 {
		t.Errorf("an infinite error gives %+v", s)
	}
}
