package spec

import (
	"strings"
	"testing"
)

func TestEnum_Property(t *testing.T) {
	names := []string{"zero", "one", "two"}
	for i, n := range names {
		v, err := ParseEnum[uint8]("number", n, names)
		if err != nil || int(v) != i || EnumName(v, names) != n {
			t.Errorf("%s parses as %d, %v, and prints as %s", n, v, err, EnumName(v, names))
		}
	}
	for _, v := range []int{-1, 3} {
		if _, err := ParseEnum[int]("number", EnumName(v, names), names); err == nil {
			t.Errorf("%d prints as %s, which parses", v, EnumName(v, names))
		}
	}
	if _, err := ParseEnum[int]("number", "tow", names); err == nil || !strings.Contains(err.Error(), `unknown number "tow"; did you mean "two"`) {
		t.Errorf("got %v", err)
	}
}
