package spec

import (
	"fmt"
	"slices"
)

// EnumName returns the name of v, one of an enumeration whose values count
// names from 0, and a name that [ParseEnum] refuses for any other.
func EnumName[E ~int | ~uint8](v E, names []string) string {
	if i := int(v); i >= 0 && i < len(names) {
		return names[i]
	}
	return fmt.Sprintf("%T(%d)", v, int(v))
}

// ParseEnum returns the value called s. what says in an error what it is that
// has no such value.
func ParseEnum[E ~int | ~uint8](what, s string, names []string) (E, error) {
	i := slices.Index(names, s)
	if i < 0 {
		return 0, fmt.Errorf("unknown %s %q%s", what, s, Suggest(s, names))
	}
	return E(i), nil
}
