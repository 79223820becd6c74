package experiments

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"snrlab/internal/runfile"
	"snrlab/internal/study"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/viz"
)

// Options are the choices of a run that cannot change a number of its result.
type Options struct {
	Out      string   // folder that holds the run folders; "" is "runs"
	MNIST    string   // folder with the four MNIST files; "" finds the module's
	Progress Progress // nil is silent
	Undrawn  bool     // leave the figures and the report to a later call
}

// Progress hears how far a run is. It is called from several goroutines.
type Progress interface {
	// Report says that done of about total denoiser evaluations, counted in
	// rows, are behind the run, and what it does now.
	Report(stage string, done, total int64)
}

// Plan is what a run will do, before it does it.
type Plan struct {
	Name     string            `json:"name"`
	Kind     string            `json:"kind"`
	Resolved string            `json:"recipe"` // TOML, every default filled in
	Hash     string            `json:"hash"`   // of recipe, inputs and program; its start names the folder
	Inputs   map[string]string `json:"inputs"` // SHA-256 of each input
	Parts    []PlanPart        `json:"parts"`
	Notes    []string          `json:"notes"`
}

// PlanPart is one part of the work and its cost in denoiser evaluations of one
// row. Adaptive parts are estimates.
type PlanPart struct {
	Name     string `json:"name"`
	Evals    int64  `json:"evals"`
	Estimate bool   `json:"estimate"`
}

// Evals returns the cost of all parts.
func (p *Plan) Evals() int64 {
	var n int64
	for _, part := range p.Parts {
		n += part.Evals
	}
	return n
}

// Text writes the plan for people: the recipe, then the cost.
func (p *Plan) Text(w io.Writer) error {
	b := new(table)
	b.line("%s", p.Resolved)
	b.line("# run folder %s", p.folder())
	b.line("# denoiser evaluations of one row:")
	for _, part := range p.Parts {
		about := ""
		if part.Estimate {
			about = " (estimate)"
		}
		b.line("#   %12d  %s%s", part.Evals, part.Name, about)
	}
	b.line("#   %12d  in all", p.Evals())
	for _, n := range p.Notes {
		b.line("# %s", n)
	}
	return b.flush(w)
}

func (p *Plan) folder() string { return p.Name + "-" + p.Hash[:12] }

// RunInfo is what a run left behind.
type RunInfo struct {
	Dir      string               `json:"dir"`
	Kind     string               `json:"kind"`
	Reused   bool                 `json:"reused"` // it had finished before; nothing was computed
	Found    int                  `json:"found"`  // cells that an earlier, unfinished run had stored
	Computed int                  `json:"computed"`
	Evals    int64                `json:"evals"` // denoiser evaluations of one row, made by this process
	Notes    []string             `json:"notes"`
	Caption  string               `json:"caption,omitempty"` // of the summary: what it shows and what was held fixed
	Summary  []runfile.SummaryRow `json:"summary,omitempty"`
	Study    *study.Study         `json:"study,omitempty"` // what was found
	Shown    string               `json:"shown"`           // the file to look at: the report, or a sheet of samples; "" for none
	Seconds  float64              `json:"seconds"`
}

// MarshalJSON implements json.Marshaler: the summary goes under the names of
// its columns, and what does not exist is null.
func (i *RunInfo) MarshalJSON() ([]byte, error) {
	type plain RunInfo
	rows := make([]map[string]any, len(i.Summary))
	for k, s := range i.Summary {
		rows[k] = jsonRow(s)
	}
	return json.Marshal(struct {
		*plain
		Summary []map[string]any `json:"summary,omitempty"`
	}{(*plain)(i), rows})
}

// Text writes the summary for people.
func (i *RunInfo) Text(w io.Writer) error {
	t := new(table)
	if len(i.Summary) > 0 {
		t.line("%s\n", i.Caption)
		t.row("solver", "budget", "steps", "NFE", "RMSE", "95 % interval", "95th pct", "order", "strong", "max |z| mean", "z variance", "sliced W2", "floor")
		for _, s := range i.Summary {
			interval := "–"
			if s.RMSELo == s.RMSELo {
				interval = number(s.RMSELo) + " to " + number(s.RMSEHi)
			}
			w2 := number(s.SW2)
			if s.BelowFloor {
				w2 += " ≤"
			}
			t.row(s.Solver, strconv.Itoa(s.Budget), strconv.Itoa(s.Steps), strconv.Itoa(s.NFE), number(s.RMSE), interval, number(s.P95),
				number(s.Order), number(s.Strong), number(s.MeanZ), number(s.CovZ), w2, number(s.SW2Floor))
		}
		t.line("")
	}
	if i.Study != nil {
		studyText(t, i.Study)
	}
	for _, n := range i.Notes {
		t.line("note: %s", n)
	}
	switch {
	case i.Reused:
		t.line("found finished: %s", i.Dir)
	case i.Found > 0:
		t.line("resumed with %d of %d parts done, %d evaluations, %.1f s: %s", i.Found, i.Found+i.Computed, i.Evals, i.Seconds, i.Dir)
	default:
		t.line("%d evaluations, %.1f s: %s", i.Evals, i.Seconds, i.Dir)
	}
	if i.Shown != "" {
		t.line("look at: %s", i.Shown)
	}
	return t.flush(w)
}

// run is one experiment on its way into its folder.
type run struct {
	opt             Options
	plan            *Plan
	store           *store
	found, computed atomic.Int64
	progress        *meter
}

// Run runs a recipe, or finds its finished run. A run that was stopped, by ctx
// or by a kill, goes on where it was when Run is called again.
func Run(ctx context.Context, recipe *Recipe, o Options) (*RunInfo, error) {
	start := time.Now()
	if o.Out == "" {
		o.Out = "runs"
	}
	plan, work, err := recipe.prepare(o)
	if err != nil {
		return nil, err
	}
	dir := filepath.Join(o.Out, plan.folder())
	info := &RunInfo{Dir: dir, Kind: plan.Kind, Notes: plan.Notes}
	done, err := finished(dir, plan)
	if err != nil {
		return nil, err
	}
	e := recipe.Experiment
	info.Reused = done
	if !done || leftCells(dir) || !(o.Undrawn || e.drawn(dir)) {
		s, err := openStore(dir)
		if err != nil {
			return nil, err
		}
		defer s.close()
		// Between the look above and the lock another process may have ended it.
		if info.Reused, err = finished(dir, plan); err != nil {
			return nil, err
		}
		if !info.Reused {
			r := &run{opt: o, plan: plan, store: s, progress: newMeter(o.Progress, plan.Evals())}
			if err := r.execute(ctx, recipe, work); err != nil {
				return nil, err
			}
			info.Found, info.Computed, info.Evals = int(r.found.Load()), int(r.computed.Load()), r.progress.done.Load()
		}
		if err := s.dropCells(); err != nil {
			return nil, err
		}
		if !o.Undrawn && !e.drawn(dir) {
			if err := e.draw(dir); err != nil {
				return nil, fmt.Errorf("experiments: the run in %s is finished, but cannot be drawn: %w", dir, err)
			}
		}
	}
	if err := e.present(dir, info); err != nil {
		return nil, fmt.Errorf("experiments: the run in %s is finished, but cannot be shown: %w", dir, err)
	}
	info.Seconds = time.Since(start).Seconds()
	return info, nil
}

// Redraw draws what a run folder is looked at by again, and returns the file to
// look at.
func Redraw(dir string) (string, error) {
	j, err := runfile.ReadRun(filepath.Join(dir, runfile.RunJSON))
	if of, ok := reports[j.Driver]; err == nil && ok {
		r, err := of.read(dir)
		if err != nil {
			return "", err
		}
		return filepath.Join(dir, of.file), drawReport(dir, of.file, r)
	}
	report := filepath.Join(dir, runfile.ReportHTML)
	if _, err := os.Stat(filepath.Join(dir, study.JSON)); err == nil {
		return report, viz.Study(dir)
	}
	return report, viz.Report(dir)
}

// execute writes run.json, runs the experiment and writes run.json again.
func (r *run) execute(ctx context.Context, recipe *Recipe, work job) error {
	path := r.store.path(runfile.RunJSON)
	j := r.record()
	j.Key = rng.New(recipe.Experiment.seed()).String()
	if old, err := runfile.ReadRun(path); err == nil {
		j.Start = old.Start
	}
	if err := runfile.WriteRun(path, j); err != nil {
		return err
	}
	files, err := work(ctx, r)
	j.Notes = r.plan.Notes // the work may have found more
	j.End = time.Now().UTC()
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("experiments: the same command goes on from %s: %w", r.store.dir, ctx.Err())
	case err != nil:
		j.Status, j.Error = runfile.Failed, err.Error()
		return errors.Join(err, runfile.WriteRun(path, j))
	}
	j.Status = runfile.Finished
	if j.Files, err = hashFiles(r.store.dir, files); err != nil {
		return err
	}
	return runfile.WriteRun(path, j)
}

// record is run.json as it stands at the start.
func (r *run) record() runfile.Run {
	sum := sha256.Sum256([]byte(r.plan.Resolved))
	program, _ := programHash()
	return runfile.Run{
		Name: r.plan.Name, Driver: r.plan.Kind,
		Recipe: r.plan.Resolved, RecipeHash: hex.EncodeToString(sum[:]),
		Hash: r.plan.Hash, Inputs: r.plan.Inputs, Program: program,
		Version: Version(), Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
		CPU: cpuName(), GOMAXPROCS: runtime.GOMAXPROCS(0),
		Status: runfile.Running, Start: time.Now().UTC(), Notes: r.plan.Notes,
	}
}

// finished says whether dir holds the finished run of this plan, its files
// whole. A folder that holds another run is an error.
func finished(dir string, p *Plan) (bool, error) {
	path := filepath.Join(dir, runfile.RunJSON)
	if _, err := os.Stat(path); err != nil {
		return false, nil // whatever keeps the folder from being read, opening it will say
	}
	j, err := runfile.ReadRun(path)
	if err != nil {
		return false, fmt.Errorf("experiments: the run folder is damaged: %w; remove it and run again", err)
	}
	if j.Hash != p.Hash {
		return false, fmt.Errorf("experiments: %s holds a run of another recipe, input or program (hash %.12s, expected %.12s): move it away or choose another place with --out", dir, j.Hash, p.Hash)
	}
	if j.Status != runfile.Finished {
		return false, nil
	}
	have, err := hashFiles(dir, slices.Collect(maps.Keys(j.Files)))
	return err == nil && len(have) > 0 && maps.Equal(have, j.Files), nil
}

// leftCells says whether a finished run was killed before it removed its cells.
func leftCells(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, cellsDir))
	return err == nil
}

// hashFiles returns the SHA-256 of each file of a folder.
func hashFiles(dir string, names []string) (map[string]string, error) {
	sums := map[string]string{}
	for _, name := range names {
		sum, err := hashFile(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		sums[name] = sum
	}
	return sums, nil
}

func hashFile(path string) (string, error) {
	sum, err := runfile.SHA256(path)
	if err != nil {
		return "", fmt.Errorf("experiments: %w", err)
	}
	return sum, nil
}

// programHash is the SHA-256 of the running program's file, so that a changed
// solver never finds the result of the old one.
var programHash = sync.OnceValues(func() (string, error) {
	path, err := os.Executable()
	if err != nil {
		return "", fmt.Errorf("experiments: cannot find the program's own file to hash it: %w", err)
	}
	return hashFile(path)
})

// Plan resolves the recipe, reads its inputs and says what a run will do.
func (r *Recipe) Plan(o Options) (*Plan, error) {
	p, _, err := r.prepare(o)
	return p, err
}

func (r *Recipe) prepare(o Options) (*Plan, job, error) {
	resolved, err := r.Resolved()
	if err != nil {
		return nil, nil, err
	}
	p := &Plan{Name: r.Experiment.header().Name, Kind: r.Experiment.header().Kind, Resolved: resolved, Inputs: map[string]string{}}
	work, err := r.Experiment.plan(p, o)
	if err != nil {
		return nil, nil, fmt.Errorf("experiments: recipe %s: %w", r.Source, err)
	}
	program, err := programHash()
	if err != nil {
		return nil, nil, err
	}
	h := sha256.New()
	fmt.Fprintf(h, "snrlab run 1\nprogram %s\n", program)
	for _, name := range slices.Sorted(maps.Keys(p.Inputs)) {
		fmt.Fprintf(h, "input %q %s\n", name, p.Inputs[name])
	}
	io.WriteString(h, resolved)
	p.Hash = hex.EncodeToString(h.Sum(nil))
	return p, work, nil
}

// Version is the version of the module, with the commit where it is known.
func Version() string {
	b, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := b.Main.Version
	for _, s := range b.Settings {
		if s.Key == "vcs.revision" && v == "(devel)" {
			v = s.Value[:min(12, len(s.Value))]
		}
	}
	return v
}

// meter counts evaluations over all goroutines and reports them.
type meter struct {
	to    Progress
	total atomic.Int64
	done  atomic.Int64
	stage atomic.Value
}

// counted is d with its evaluations reported.
func (r *run) counted(d models.Denoiser) models.Denoiser { return &counted{d, r.progress} }

type counted struct {
	models.Denoiser
	m *meter
}

func (c *counted) Denoise(ctx context.Context, dst []float64, q models.Query) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	err := c.Denoiser.Denoise(ctx, dst, q)
	c.m.add(int64(q.Rows))
	return err
}

// Unwrap implements [models.Wrapper].
func (c *counted) Unwrap() models.Denoiser { return c.Denoiser }

func newMeter(to Progress, total int64) *meter {
	m := &meter{to: to}
	m.total.Store(total)
	m.stage.Store("")
	return m
}

// settle replaces a planned number of evaluations by what they came to.
func (m *meter) settle(planned, made int64) { m.total.Add(made - planned) }

func (m *meter) setStage(s string) { m.stage.Store(s); m.add(0) }

// add counts n more evaluations.
func (m *meter) add(n int64) {
	done := m.done.Add(n)
	if m.to != nil {
		m.to.Report(m.stage.Load().(string), done, max(done, m.total.Load()))
	}
}
