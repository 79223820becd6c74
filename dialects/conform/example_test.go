package conform_test

import (
	"context"
	"fmt"

	"snrlab/dialects/conform"
)

// The GITS searches of the recorded cases, repeated.
func ExampleCheck() {
	report, err := conform.Check(context.Background(), conform.Options{}, "../testdata/tables/gits.json.gz")
	if err != nil {
		panic(err)
	}
	for _, s := range report.Samplers() {
		fmt.Printf("%s %s: %d of %d\n", s.Peer, s.Sampler, s.Passed, s.Cases)
	}
	// Output: diff-sampler gits: 3 of 3
}
