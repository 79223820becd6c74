package experiments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"snrlab/bench"
	"snrlab/internal/simd"
	"snrlab/internal/simd/f32"
	"snrlab/internal/spec"
	"snrlab/models"
	"snrlab/nn"
	"snrlab/nn/unet"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Bench times what snrlab computes beside the limits of the machine.
type Bench struct {
	Groups   []string `json:"groups"`   // of BenchGroups; none is all
	Networks []string `json:"networks"` // of package bench; none is all
	Seconds  float64  `json:"seconds"`  // for each line, five runs at least
	Against  string   `json:"against"`  // JSON of bench/torch_unet.py to compare networks with; empty: nothing
}

// DefaultBench times everything for half a second a line.
func DefaultBench() Bench { return Bench{Seconds: 0.5} }

// BenchGroups are the names of what can be timed.
func BenchGroups() []string { return []string{"gemm", "conv", "unet", "models", "solvers"} }

// BenchTable is what was measured.
type BenchTable struct {
	Bench
	CPU       string      `json:"cpu"`
	Threads   int         `json:"threads"`
	Kernels   string      `json:"kernels"`    // instructions that the kernels use
	FMALimit  float64     `json:"fma_limit"`  // GFLOP/s of float32, all threads
	FMALimit1 float64     `json:"fma_limit1"` // of one
	CopyGBs   float64     `json:"copy_gbs"`   // of a plain copy in memory by one thread
	Lines     []BenchLine `json:"lines"`
	Ratios    []PeerRatio `json:"ratios,omitempty"`
}

// BenchLine is one thing that was timed. Rates are of the best run; what has no
// meaning for the line is left out.
type BenchLine struct {
	Group  string  `json:"group"`
	Name   string  `json:"name"`
	Best   float64 `json:"best_s"`
	Median float64 `json:"median_s"`
	Runs   int     `json:"runs"`
	GFLOPS float64 `json:"gflops,omitempty"` // of the direct algorithm, whatever is used
	Share  float64 `json:"share,omitempty"`  // of the FMA limit of this precision and all threads
	GBs    float64 `json:"gbs,omitempty"`    // arrays read and written, each once
	Images float64 `json:"images_s,omitempty"`
	Allocs int     `json:"allocs"`               // a run, once warm
	Bytes  int     `json:"bytes,omitempty"`      // arrays of the network, its gradients, moments and results
	Peak   int     `json:"peak_bytes,omitempty"` // resident memory of the process so far; 0 where the system does not say
}

// PeerRatio compares a network with another program's best way to run it.
type PeerRatio struct {
	Network  string  `json:"network"`
	Pass     string  `json:"pass"`
	Ours     float64 `json:"ours_s"`
	Peer     float64 `json:"peer_s"`
	How      string  `json:"how"`   // the peer's fastest way
	Ratio    float64 `json:"ratio"` // how many times faster ours is
	OurPeak  int     `json:"our_peak_bytes"`
	PeerPeak int     `json:"peer_peak_bytes"`
}

// Run measures. Lines come in the order of BenchGroups.
func (b Bench) Run(ctx context.Context, progress func(string)) (*BenchTable, error) {
	if err := b.validate(); err != nil {
		return nil, fmt.Errorf("experiments: %w", err)
	}
	networks, err := b.networks()
	if err != nil {
		return nil, fmt.Errorf("experiments: %w", err)
	}
	var peer *peerReport
	if b.Against != "" {
		if peer, err = readPeer(b.Against); err != nil {
			return nil, fmt.Errorf("experiments: %w", err)
		}
	}
	procs := runtime.GOMAXPROCS(0)
	t := &BenchTable{
		Bench: b, CPU: cpuName(), Threads: procs, Kernels: simd.Kernels(),
		FMALimit: 2 * simd.PeakGFLOPS(procs), FMALimit1: 2 * simd.PeakGFLOPS(1), CopyGBs: simd.CopyGBs(),
	}
	m := stopwatch{ctx: ctx, table: t, progress: progress}
	for _, group := range BenchGroups() {
		if len(b.Groups) > 0 && !slices.Contains(b.Groups, group) {
			continue
		}
		switch group {
		case "gemm":
			err = m.gemm()
		case "conv":
			err = m.conv()
		case "unet":
			err = m.unet(networks)
		case "models":
			err = m.models()
		case "solvers":
			err = m.solvers()
		}
		if err != nil {
			return nil, fmt.Errorf("experiments: bench of %s: %w", group, err)
		}
	}
	if peer != nil {
		if t.Ratios, err = peer.ratios(t.Lines); err != nil {
			return nil, fmt.Errorf("experiments: %w", err)
		}
	}
	return t, nil
}

func (b Bench) validate() error {
	for _, g := range b.Groups {
		if !slices.Contains(BenchGroups(), g) {
			return fmt.Errorf("there is nothing called %q to time%s", g, spec.Suggest(g, BenchGroups()))
		}
	}
	if !(b.Seconds > 0) || math.IsInf(b.Seconds, 0) {
		return fmt.Errorf("%g seconds a line: expected a finite number above 0", b.Seconds)
	}
	has := func(group string) bool { return len(b.Groups) == 0 || slices.Contains(b.Groups, group) }
	if (b.Against != "" || len(b.Networks) > 0) && !has("unet") {
		return errors.New("networks are chosen, or a peer is named, and unet is not among what is timed: add it, or leave them out")
	}
	return nil
}

// networks returns those that were asked for.
func (b Bench) networks() ([]bench.Network, error) {
	all, err := bench.Networks()
	if err != nil || len(b.Networks) == 0 {
		return all, err
	}
	var names []string
	for _, n := range all {
		names = append(names, n.Name)
	}
	var list []bench.Network
	for _, name := range b.Networks {
		i := slices.Index(names, name)
		if i < 0 {
			return nil, fmt.Errorf("there is no network %q to time%s", name, spec.Suggest(name, names))
		}
		list = append(list, all[i])
	}
	return list, nil
}

// A stopwatch adds lines to a table.
type stopwatch struct {
	ctx      context.Context
	table    *BenchTable
	progress func(string)
}

// time runs f until its time is up and adds the line; f's first two runs are
// not counted. flops, bytes and images are those of a run, 0 for none, and
// limit the GFLOP/s that flops are a share of.
func (m stopwatch) time(line BenchLine, flops, limit, bytes, images float64, f func() error) error {
	if m.progress != nil {
		m.progress(line.Group + " " + line.Name)
	}
	for range 2 {
		if err := f(); err != nil {
			return err
		}
	}
	var seconds []float64
	for total := 0.0; len(seconds) < 5 || total < m.table.Seconds; {
		if err := m.ctx.Err(); err != nil {
			return err
		}
		start := time.Now()
		if err := f(); err != nil {
			return err
		}
		s := time.Since(start).Seconds()
		seconds = append(seconds, s)
		total += s
	}
	// The least of some runs: the runtime allocates for itself now and then.
	line.Allocs = math.MaxInt
	for range 3 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if err := f(); err != nil {
			return err
		}
		runtime.ReadMemStats(&after)
		line.Allocs = min(line.Allocs, int(after.Mallocs-before.Mallocs))
	}
	line.Best, line.Runs = slices.Min(seconds), len(seconds)
	slices.Sort(seconds)
	line.Median = seconds[len(seconds)/2]
	line.GFLOPS, line.GBs, line.Images = flops/line.Best/1e9, bytes/line.Best/1e9, images/line.Best
	if limit > 0 {
		line.Share = line.GFLOPS / limit
	}
	line.Peak = peakMemory()
	m.table.Lines = append(m.table.Lines, line)
	return nil
}

// draws are n values of a fixed stream, as a kernel meets them.
func draws(n int) []float32 {
	x := make([]float32, n)
	r := rng.New(1).Stream()
	for i := range x {
		x[i] = float32(r.NormFloat64())
	}
	return x
}

func (m stopwatch) gemm() error {
	for _, c := range []struct {
		m, n, k int
		transB  bool
	}{{1024, 1024, 1024, false}, {1024, 1024, 1024, true}, {2048, 128, 512, true}, {256, 64, 256, false}, {64, 64, 64, true}, {33, 31, 29, false}} {
		a, b, y := draws(c.m*c.k), draws(c.k*c.n), make([]float32, c.m*c.n)
		name, ldb := fmt.Sprintf("%d×%d×%d", c.m, c.n, c.k), c.n
		if c.transB {
			name, ldb = name+", B across", c.k
		}
		flops := 2 * float64(c.m) * float64(c.n) * float64(c.k)
		if err := m.time(BenchLine{Group: "gemm", Name: name}, flops, m.table.FMALimit, 4*float64(len(a)+len(b)+len(y)), 0, func() error {
			f32.Gemm(false, c.transB, c.m, c.n, c.k, 1, a, c.k, b, ldb, 0, y, c.n)
			return nil
		}); err != nil {
			return err
		}
	}
	return nil
}

func (m stopwatch) conv() error {
	for _, s := range []struct{ rows, side, in, out, kernel, stride int }{
		{64, 32, 1, 32, 3, 1},
		{64, 32, 32, 32, 3, 1},
		{32, 32, 64, 64, 3, 1},
		{32, 16, 128, 128, 3, 1},
		{4, 32, 128, 128, 3, 1},
		{4, 16, 256, 256, 3, 1},
		{4, 16, 512, 256, 3, 1},
		{32, 32, 64, 64, 3, 2},
		{32, 16, 192, 128, 1, 1},
	} {
		pad := s.kernel / 2
		c := f32.Conv{
			Rows: s.rows, Height: s.side, Width: s.side, In: s.in, Out: s.out, KernelHeight: s.kernel, KernelWidth: s.kernel,
			Stride: s.stride, Top: pad, Bottom: pad, Left: pad, Right: pad,
		}
		pixels := s.rows * c.OutHeight() * c.OutWidth()
		x, w, y := draws(s.rows*s.side*s.side*s.in), draws(s.kernel*s.kernel*s.in*s.out), draws(pixels*s.out)
		bias := draws(s.out)
		flops := 2 * float64(pixels) * float64(len(w))
		moved := 4 * float64(len(x)+len(w)+len(y))
		for _, pass := range []struct {
			name string
			run  func()
		}{
			{"forward", func() { c.Forward(y, x, w, bias) }},
			{"gradient of x", func() { c.InputGrad(x, y, w, 0) }},
			{"gradient of w", func() { c.FilterGrad(w, x, y, 0) }},
		} {
			name := fmt.Sprintf("%d×%d×%d, %d→%d, %d×%d", s.rows, s.side, s.side, s.in, s.out, s.kernel, s.kernel)
			if s.stride > 1 {
				name += fmt.Sprintf("/%d", s.stride)
			}
			if err := m.time(BenchLine{Group: "conv", Name: name + ", " + pass.name}, flops, m.table.FMALimit, moved, 0, func() error {
				pass.run()
				return nil
			}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (m stopwatch) unet(networks []bench.Network) error {
	for _, n := range networks {
		c := n.Config
		net, err := unet.New[float32](c, rng.New(1))
		if err != nil {
			return err
		}
		opt, err := nn.NewOptimiser(net.Params(), nn.AdamW{Beta1: 0.9, Beta2: 0.999, Epsilon: 1e-8, Decay: 0.01}, nn.ConstantRate{Peak: 1e-4})
		if err != nil {
			return err
		}
		side := c.SampleSize
		x, target := draws(n.Batch*side[0]*side[1]*c.InChannels), draws(n.Batch*side[0]*side[1]*c.OutChannels)
		times := make([]float32, n.Batch)
		for i := range times {
			times[i] = float32(997 * i % 1000)
		}
		apply := func(t *nn.Tape[float32]) *nn.Var[float32] {
			t.Reset()
			return net.Apply(t, t.Constant(x, n.Batch, side[0], side[1], c.InChannels), t.Constant(times, n.Batch), unet.Extra[float32]{})
		}
		forward := nn.Tape[float32]{Inference: true}
		line := BenchLine{Group: "unet", Name: fmt.Sprintf("%s, batch %d, forward", n.Name, n.Batch)}
		if err := m.time(line, 0, 0, 0, float64(n.Batch), func() error {
			apply(&forward)
			return forward.Err()
		}); err != nil {
			return err
		}
		m.last().Bytes = forward.Bytes() + 4*net.Params().Len()
		forward = nn.Tape[float32]{}
		var step nn.Tape[float32]
		line.Name = fmt.Sprintf("%s, batch %d, step", n.Name, n.Batch)
		if err := m.time(line, 0, 0, 0, float64(n.Batch), func() error {
			net.Params().ZeroGrad()
			y := apply(&step)
			if err := step.Backward(step.MeanSquare(y, step.Constant(target, y.Shape()...)), nil); err != nil {
				return err
			}
			_, err := opt.Step()
			return err
		}); err != nil {
			return err
		}
		m.last().Bytes = step.Bytes() + 4*4*net.Params().Len()
	}
	return nil
}

// last is the line that was added last.
func (m stopwatch) last() *BenchLine { return &m.table.Lines[len(m.table.Lines)-1] }

func (m stopwatch) models() error {
	digits, err := OpenModel("digits", Options{})
	if err != nil {
		return err
	}
	field, err := OpenModel("field(size=256)", Options{})
	if err != nil {
		return err
	}
	level := schedules.RF{Shift: 1}.At(0.5)
	for _, c := range []struct {
		name  string
		model models.Denoiser
		rows  int
	}{{"digits", digits, 256}, {"gmm16", models.GMM16(), 4096}, {"field 256×256", field, 16}} {
		q := models.Query{Rows: c.rows, X: make([]float64, c.rows*models.Dim(c.model)), At: []schedules.Level{level}}
		rng.New(2).Normal(q.X)
		dst := make([]float64, len(q.X))
		if err := m.time(BenchLine{Group: "models", Name: fmt.Sprintf("%s, %d rows", c.name, c.rows)}, 0, 0, 0, float64(c.rows), func() error {
			return c.model.Denoise(m.ctx, dst, q)
		}); err != nil {
			return err
		}
	}
	return nil
}

// idle is a denoiser that costs a copy, so that a solver's own work is left.
type idle struct{ shape []int }

func (d idle) Denoise(_ context.Context, dst []float64, q models.Query) error {
	copy(dst, q.X)
	return nil
}

func (d idle) Shape() []int { return d.shape }

func (m stopwatch) solvers() error {
	const rows, steps = 64, 10
	d := idle{[]int{3, 32, 32}}
	s := schedules.EDM{SMin: 0.02, SMax: 80}
	grid, err := schedules.UniformLambda{}.Grid(s, steps)
	if err != nil {
		return err
	}
	x := make([]float64, rows*models.Dim(d))
	rng.New(3).Normal(x)
	for _, name := range []string{"ddim", "heun", "dpmpp-2m", "unipc", "gaussian-secant"} {
		solver, err := solvers.Parse(name)
		if err != nil {
			return err
		}
		st, err := solver.Start(solvers.Problem{Denoiser: d, Grid: grid, Schedule: s}, x)
		if err != nil {
			return err
		}
		restart := func() error {
			st, err = solver.Start(solvers.Problem{Denoiser: d, Grid: grid, Schedule: s}, x)
			return err
		}
		if err := m.time(BenchLine{Group: "solvers", Name: fmt.Sprintf("%s, a run of %d steps on 64×3×32×32, denoiser a copy", name, steps)}, 0, 0, float64(2*8*len(x)*steps), 0, func() error {
			if err := restart(); err != nil {
				return err
			}
			for {
				if _, err := st.Step(m.ctx); errors.Is(err, io.EOF) {
					return nil
				} else if err != nil {
					return err
				}
			}
		}); err != nil {
			return err
		}
	}
	return nil
}

// peakMemory is the most memory that the process had resident, or 0 where the
// system does not say.
func peakMemory() int {
	text, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, after, ok := strings.Cut(string(text), "VmHWM:")
	if !ok {
		return 0
	}
	fields := strings.Fields(after)
	kilobytes, err := strconv.Atoi(fields[0])
	if err != nil {
		return 0
	}
	return kilobytes << 10
}

// peerReport is what bench/torch_unet.py prints.
type peerReport struct {
	Program string `json:"program"`
	Version string `json:"version"`
	Threads int    `json:"threads"`
	Rows    []struct {
		Network string  `json:"network"`
		Batch   int     `json:"batch"`
		Pass    string  `json:"pass"`
		Layout  string  `json:"layout"`
		Graph   string  `json:"graph"`
		Foreach bool    `json:"foreach"`
		Best    float64 `json:"best_s"`
		Peak    int     `json:"peak_bytes"`
	} `json:"rows"`
}

func readPeer(path string) (*peerReport, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var p peerReport
	if err := json.Unmarshal(text, &p); err != nil {
		return nil, fmt.Errorf("%s: expected the JSON of bench/torch_unet.py: %w", path, err)
	}
	if len(p.Rows) == 0 {
		return nil, fmt.Errorf("%s: expected the JSON of bench/torch_unet.py, got no rows", path)
	}
	return &p, nil
}

// ratios compares each network that was timed with the peer's fastest way.
func (p *peerReport) ratios(lines []BenchLine) ([]PeerRatio, error) {
	var list []PeerRatio
	for _, l := range lines {
		if l.Group != "unet" {
			continue
		}
		r := PeerRatio{Ours: l.Best, OurPeak: l.Peak, Peer: math.Inf(1)}
		for _, row := range p.Rows {
			if fmt.Sprintf("%s, batch %d, %s", row.Network, row.Batch, row.Pass) != l.Name || !(row.Best < r.Peer) {
				continue
			}
			r.Network, r.Pass, r.Peer, r.PeerPeak = row.Network, row.Pass, row.Best, row.Peak
			r.How = fmt.Sprintf("%s %s, %s", p.Program, p.Version, row.Layout)
			if row.Graph != "" {
				r.How += ", " + row.Graph
			}
			if row.Foreach {
				r.How += ", foreach"
			}
		}
		if r.Network == "" {
			return nil, fmt.Errorf("the peer has no row for %s: time the same networks in both", l.Name)
		}
		r.Ratio = r.Peer / r.Ours
		list = append(list, r)
	}
	return list, nil
}

// Text writes the table.
func (t *BenchTable) Text(w io.Writer) error {
	var out table
	out.line("%s, %d threads, kernels %s: FMA limit %.0f GFLOP/s of float32 (%.0f of one thread), a copy in memory %.1f GB/s of one thread.",
		t.CPU, t.Threads, t.Kernels, t.FMALimit, t.FMALimit1, t.CopyGBs)
	out.line("Rates are of the best of at least five runs, and at least %g s, after two. GFLOP/s count the direct algorithm, whatever is used: a tile of", t.Seconds)
	out.line("Winograd's does fewer operations, so that a share may pass 100 %%. Arrays are float32 but in models and solvers.\n")
	out.row("group", "what", "best ms", "median", "runs", "GFLOP/s", "of limit", "GB/s", "rows/s", "allocs", "arrays MB", "process MB")
	some := func(v float64, format string) string {
		if v == 0 {
			return ""
		}
		return fmt.Sprintf(format, v)
	}
	for _, l := range t.Lines {
		out.row(l.Group, l.Name, fmt.Sprintf("%.3f", 1e3*l.Best), fmt.Sprintf("%.3f", 1e3*l.Median), strconv.Itoa(l.Runs),
			some(l.GFLOPS, "%.1f"), some(100*l.Share, "%.0f %%"), some(l.GBs, "%.1f"), some(l.Images, "%.1f"), strconv.Itoa(l.Allocs),
			some(float64(l.Bytes)/1e6, "%.0f"), some(float64(l.Peak)/1e6, "%.0f"))
	}
	if len(t.Ratios) > 0 {
		out.line("\nAgainst the fastest way of the peer, %d threads of ours; process MB is the most resident memory of a process:\n", t.Threads)
		out.row("network", "pass", "ours ms", "peer ms", "faster", "ours MB", "peer MB", "peer's way")
		for _, r := range t.Ratios {
			out.row(r.Network, r.Pass, fmt.Sprintf("%.1f", 1e3*r.Ours), fmt.Sprintf("%.1f", 1e3*r.Peer), fmt.Sprintf("%.2f×", r.Ratio),
				fmt.Sprintf("%.0f", float64(r.OurPeak)/1e6), fmt.Sprintf("%.0f", float64(r.PeerPeak)/1e6), r.How)
		}
	}
	return out.flush(w)
}
