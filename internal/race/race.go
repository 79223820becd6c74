// Package race tells tests whether the race detector watches them. It slows
// them down ten times and finds nothing in the digits of a result, which are the
// same without it: [Measures] leaves what only measures numbers to the plain run.
package race

import "testing"

// Measures skips a test that is long, and looks at numbers and not at what
// goroutines do, where the race detector watches.
func Measures(t testing.TB) {
	t.Helper()
	if Enabled {
		t.Skip("measures numbers, which the race detector does not change: make test does it")
	}
}
