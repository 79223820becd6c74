package viz

import (
	"math"
	"testing"

	"snrlab/internal/runfile"
)

// Images are drawn on [−1, 1]; vectors lie anywhere and set their own scale.
func TestReach(t *testing.T) {
	run := runfile.TraceRun{D: []float32{0.5, -3, float32(math.Inf(1)), float32(math.NaN())}}
	for _, c := range []struct {
		shape []int
		runs  []runfile.TraceRun
		want  float64
	}{
		{[]int{1, 1, 4}, []runfile.TraceRun{run}, 1},
		{[]int{4}, []runfile.TraceRun{run}, 3},
		{[]int{4}, nil, 1},
	} {
		if got := reach(&runfile.Trace{Shape: c.shape, Runs: c.runs}); got != c.want {
			t.Errorf("shape %v, %d runs: reach %g, expected %g", c.shape, len(c.runs), got, c.want)
		}
	}
}
