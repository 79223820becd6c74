package nn

import (
	"maps"
	"reflect"
	"testing"
)

// The metadata of a state is either refused or says what it says.
func FuzzParseState(f *testing.F) {
	s := state{weights: "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", steps: 3, paramSteps: []int{3, 0}, rule: "adam", rate: "constant", averages: []string{"warmup"}, emas: []emaState{{3, 96}}}
	meta, err := s.metadata()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(meta["weights"], meta["steps"], meta["param_steps"], meta["averages"], meta["emas"])
	f.Add("../../etc/passwd", "-1", "[4]", "null", `[{"updates":-1}]`)
	f.Add("", "9223372036854775808", "[1e3]", "{}", `[{"updates":2,"images":1}]`)
	f.Fuzz(func(t *testing.T, weights, steps, paramSteps, averages, emas string) {
		m := maps.Clone(meta)
		m["weights"], m["steps"], m["param_steps"], m["averages"], m["emas"] = weights, steps, paramSteps, averages, emas
		s, err := parseState(m)
		if err != nil {
			return
		}
		if !isSHA256(s.weights) {
			t.Errorf("weights %q are accepted", s.weights)
		}
		again, err := s.metadata()
		if err != nil {
			t.Fatal(err)
		}
		if r, err := parseState(again); err != nil || !reflect.DeepEqual(r, s) {
			t.Errorf("%+v is read again as %+v, %v", s, r, err)
		}
	})
}
