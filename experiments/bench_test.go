package experiments

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/bench"
)

func TestBench_Refuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.json")
	if err := os.WriteFile(empty, []byte(`{"rows": []}`), 0o666); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		bench Bench
		says  string
	}{
		{Bench{Groups: []string{"gem"}, Seconds: 1}, `did you mean "gemm"`},
		{Bench{Groups: []string{"gemm"}}, "seconds"},
		{Bench{Networks: []string{"bas"}, Seconds: 1}, `did you mean "base"`},
		{Bench{Groups: []string{"gemm"}, Networks: []string{"base"}, Seconds: 1}, "unet is not among"},
		{Bench{Groups: []string{"unet"}, Against: empty, Seconds: 1}, "no rows"},
		{Bench{Groups: []string{"unet"}, Against: empty + "x", Seconds: 1}, "empty.jsonx"},
	} {
		if _, err := c.bench.Run(t.Context(), nil); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%+v gave %v, expected it to say %q", c.bench, err, c.says)
		}
	}
}

func TestBench_Table(t *testing.T) {
	if testing.Short() {
		t.Skip("times kernels, which says nothing beside other tests")
	}
	table, err := Bench{Groups: []string{"gemm"}, Seconds: 1e-9}.Run(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range table.Lines {
		if l.Runs != 5 || !(l.Best > 0) || l.Median < l.Best || !(l.GFLOPS > 0) || l.Allocs != 0 {
			t.Errorf("%s has %+v", l.Name, l)
		}
	}
	var b strings.Builder
	if err := table.Text(&b); err != nil || !strings.Contains(b.String(), "FMA limit") {
		t.Errorf("%v: %s", err, b.String())
	}
}

// The fastest of the peer's ways counts, and a network that it has not timed is
// an error.
func TestBench_Ratio(t *testing.T) {
	file := filepath.Join(t.TempDir(), "peer.json")
	if err := os.WriteFile(file, []byte(`{"program": "torch", "version": "1.13", "threads": 2, "rows": [
		{"network": "base", "batch": 32, "pass": "step", "layout": "channels_last", "best_s": 0.5, "peak_bytes": 5000000},
		{"network": "base", "batch": 32, "pass": "step", "layout": "contiguous_format", "best_s": 0.3, "peak_bytes": 7000000},
		{"network": "base", "batch": 32, "pass": "forward", "layout": "contiguous_format", "best_s": 0.1, "peak_bytes": 1}]}`), 0o666); err != nil {
		t.Fatal(err)
	}
	peer, err := readPeer(file)
	if err != nil {
		t.Fatal(err)
	}
	got, err := peer.ratios([]BenchLine{{Group: "gemm", Name: "x"}, {Group: "unet", Name: "base, batch 32, step", Best: 0.2, Peak: 9}})
	if err != nil || len(got) != 1 || math.Abs(got[0].Ratio-1.5) > 1e-12 || got[0].PeerPeak != 7000000 || got[0].OurPeak != 9 || !strings.Contains(got[0].How, "contiguous") {
		t.Fatalf("got %+v, %v", got, err)
	}
	if _, err := peer.ratios([]BenchLine{{Group: "unet", Name: "small, batch 64, step", Best: 1}}); err == nil {
		t.Error("a network without a peer gave no error")
	}
}

func TestBench_Networks(t *testing.T) {
	list, err := bench.Networks()
	if err != nil || len(list) != 3 {
		t.Fatalf("%d networks, %v", len(list), err)
	}
	for _, n := range list {
		if n.Batch < 1 || n.Config.SampleSize[0] != 32 {
			t.Errorf("%s has batch %d and size %v", n.Name, n.Batch, n.Config.SampleSize)
		}
	}
}
