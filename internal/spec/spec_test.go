package spec

import (
	"reflect"
	"strings"
	"testing"
)

type shape interface{ String() string }

type box struct {
	W    float64   `json:"w"`
	N    int       `json:"n"`
	On   bool      `json:"on"`
	Kind string    `json:"kind"`
	Xs   []float64 `json:"xs"`
	In   shape     `json:"in"`
}

func registry() Registry[shape] {
	r := Registry[shape]{Kind: "shape", Entries: []Entry[shape]{
		{Name: "box", Aliases: []string{"crate"}, Default: box{W: 2, Kind: "plain"}},
	}}
	r.Nested = map[reflect.Type]func(string) (any, error){
		reflect.TypeFor[shape](): func(s string) (any, error) { return registry().Parse(s) },
	}
	return r
}

func (b box) String() string { return registry().Format("box", b) }

func TestParse_Property(t *testing.T) {
	for _, s := range []string{
		"box",
		"box(w=0.1)",
		"box(w=1e-300,n=-3,on=true,kind=odd,xs=[1,2.5,-Inf])",
		"box(in=box(w=3,in=box))",
	} {
		v, err := registry().Parse(s)
		if err != nil {
			t.Fatalf("%s: %v", s, err)
		}
		if v.String() != s {
			t.Errorf("%s prints as %s", s, v)
		}
	}
	v, err := registry().Parse(" crate( w = 3 , xs = [ 1 , 2 ] ) ")
	if err != nil || v.String() != "box(w=3,xs=[1,2])" {
		t.Errorf("got %v, %v", v, err)
	}
	if got := Full("box", box{W: 2}); got != "box(w=2,n=0,on=false,kind=,xs=[],in=<nil>)" {
		t.Errorf("full: %s", got)
	}
}

func TestParse_Refuses(t *testing.T) {
	for s, want := range map[string]string{
		"":                   "expected name",
		"bax":                `did you mean "box"?`,
		"sphere":             "expected one of box",
		"box(v=1)":           `unknown argument "v"`,
		"box(w=1,w=2)":       "twice",
		"box(w)":             "key=value",
		"box(w=)":            "key=value",
		"box(w=NaN)":         "not a number",
		"box(w=x)":           "not a number",
		"box(n=1.5)":         "not a whole number",
		"box(on=yes)":        "neither true nor false",
		"box(xs=1)":          "expected a list",
		"box(xs=[1,)":        "unbalanced",
		"box(w=1":            "expected name(key=value,...)",
		"box(in=box(w=bad))": "not a number",
		"(w=1)":              "expected name(key=value,...)",
	} {
		_, err := registry().Parse(s)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, expected an error with %q", s, err, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add("box(w=1,xs=[1,2],in=box(kind=a))")
	f.Fuzz(func(t *testing.T, s string) {
		v, err := registry().Parse(s)
		if err != nil {
			return
		}
		again, err := registry().Parse(v.String())
		if err != nil || again.String() != v.String() {
			t.Errorf("%q reads as %s, which reads as %v, %v", s, v, again, err)
		}
	})
}
