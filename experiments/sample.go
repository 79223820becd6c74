package experiments

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"

	"snrlab/guidance"
	"snrlab/internal/runfile"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/solvers"
	"snrlab/viz"
)

// Sample is the recipe that draws samples with one solver.
type Sample struct {
	Header
	Model    string `toml:"model" json:"model"` // see [Models]
	Class    int    `toml:"class" json:"class"` // −1, or the class to condition a labelled model on
	Schedule string `toml:"schedule" json:"schedule"`
	Spacing  string `toml:"spacing" json:"spacing"` // which may hold {total}, the total variance of what is sampled, as may the solver
	Solver   string `toml:"solver" json:"solver"`
	Steps    int    `toml:"steps" json:"steps"`
	Rows     int    `toml:"rows" json:"rows"`
	Key      int64  `toml:"key" json:"key"`
	Guidance string `toml:"guidance" json:"guidance"` // see [guidance.Rules]
	Start    string `toml:"start" json:"start"`       // "prior": x = σz; "exact": x from the exact marginal of the first level
}

// DefaultSample returns a Sample that needs no other field. Its solver and its
// spacing are the fixed pair of least error over the five problems of
// docs/ranking.md at 3 to 100 evaluations, with a step to σ = 0 at the end.
func DefaultSample() Sample {
	return Sample{
		Header:   Header{Kind: "sample", Name: "sample"},
		Model:    "digits",
		Class:    -1,
		Schedule: "edm",
		Spacing:  "free-start(total={total},last=zero)",
		Solver:   "gaussian-secant(total={total},free=true)",
		Steps:    20,
		Rows:     64,
		Key:      1,
		Guidance: "none",
		Start:    "prior",
	}
}

// Validate reports fields that cannot be used.
func (s *Sample) Validate() error {
	return cmp.Or(
		required("model", s.Model),
		required("schedule", s.Schedule),
		required("spacing", s.Spacing),
		required("solver", s.Solver),
		required("guidance", s.Guidance),
		oneOf("start", s.Start, "prior", "exact"),
		inside("class", s.Class, -1, 1<<20),
		inside("steps", s.Steps, 1, 1<<16),
		inside("rows", s.Rows, 1, 1<<20),
		inside("key", s.Key, 0, math.MaxInt64),
	)
}

func (s *Sample) seed() uint64 { return uint64(s.Key) }

func (s *Sample) resolve() error {
	return cmp.Or(
		resolveName("schedule", &s.Schedule, schedules.Parse),
		resolveTotal("spacing", &s.Spacing, schedules.ParseSpacing),
		resolveTotal("solver", &s.Solver, solvers.Parse),
		resolveName("guidance", &s.Guidance, guidance.ParseRule),
	)
}

// What a Sample leaves in its run folder.
const (
	SamplesNPZ = "samples.npz" // x, rows×…shape, and log_snr, the levels that were visited
	SheetPNG   = "samples.png" // the first samples, where they are images
)

// sampleBlock rows make one cell.
const sampleBlock = 64

func (s *Sample) plan(p *Plan, o Options) (job, error) {
	m, err := openModel(s.Model, o)
	if err != nil {
		return nil, err
	}
	labels, err := m.labelsOf(s.Class, s.Rows)
	if err != nil {
		return nil, err
	}
	total, err := totalOf(m, s.Class)
	if err != nil {
		return nil, err
	}
	f, err := newFamily(s.Schedule, atTotal(s.Spacing, total))
	if err != nil {
		return nil, err
	}
	grid, err := f.grid(s.Steps)
	if err != nil {
		return nil, fmt.Errorf("field steps: %w", err)
	}
	solver, err := solvers.Parse(atTotal(s.Solver, total))
	if err != nil {
		return nil, fmt.Errorf("field solver: %w", err)
	}
	if solver.Properties().Coupled {
		return nil, fmt.Errorf("field solver: %s lets the rows of a batch influence each other, so that samples would depend on how they are cut into blocks: choose another", solver)
	}
	rule, err := guidance.ParseRule(s.Guidance)
	if err != nil {
		return nil, fmt.Errorf("field guidance: %w", err)
	}
	if rule.Labelled() && labels == nil {
		return nil, fmt.Errorf("field guidance: %s guides to a class: set field class", rule)
	}
	if _, err := rule.Guide(m, nil); err != nil {
		return nil, fmt.Errorf("field guidance: %s: %w", rule, err)
	}
	// The samples, and their way into the file as a whole.
	if err := enoughMemory(2*8*int64(s.Rows)*int64(models.Dim(m)), "rows"); err != nil {
		return nil, fmt.Errorf("field rows is %d: %w", s.Rows, err)
	}
	maps.Copy(p.Inputs, m.Inputs)
	p.Parts = []PlanPart{{Name: solver.String(), Evals: int64(solver.NFE(grid)) * int64(s.Rows), Estimate: solver.Properties().Adaptive}}
	if solver.Properties().Adaptive {
		p.Notes = append(p.Notes, "the solver is adaptive: the evaluations are the most that its limit of attempts allows, and it rarely takes a hundredth of them")
	}
	if rule.String() != (guidance.Unguided{}).String() {
		p.Notes = append(p.Notes, "the evaluations are of the guided model: one may ask up to two models, or four of autoguidance under classifier-free guidance")
	}
	return func(ctx context.Context, r *run) ([]string, error) {
		x, err := s.walk(ctx, r, m, rule, f, grid, solver, labels)
		if err != nil {
			return nil, err
		}
		return s.write(r, m, grid, x)
	}, nil
}

// walk runs the solver, a block of rows a cell.
func (s *Sample) walk(ctx context.Context, r *run, m *Model, rule guidance.Rule, f *family, grid schedules.Grid, solver solvers.Solver, labels []int) ([]float64, error) {
	d, err := rule.Guide(m, nil)
	if err != nil {
		return nil, err
	}
	root := rng.New(uint64(s.Key))
	var x []float64
	for lo := 0; lo < s.Rows; lo += sampleBlock {
		hi := min(lo+sampleBlock, s.Rows)
		block, err := cell(ctx, r, fmt.Sprintf("samples-%07d", lo), int64(solver.NFE(grid))*int64(hi-lo), func(ctx context.Context) (*[]float64, error) {
			r.progress.setStage("samples")
			keys := solvers.RowKeys(root, lo, hi-lo)
			p := solvers.Problem{Denoiser: r.counted(d), Grid: grid, Schedule: f.schedule, Labels: rowsOf(labels, lo, hi)}
			if solver.Properties().Stochastic {
				var err error
				if p.Noise, err = solvers.NoiseFor(solver, keys, models.Dim(m)); err != nil {
					return nil, err
				}
			}
			start, err := startStates(m, grid[0], s.Start, p.Labels, keys)
			if err != nil {
				return nil, err
			}
			y, err := solvers.Sample(ctx, solver, p, start)
			return &y, err
		})
		if err != nil {
			return nil, err
		}
		x = append(x, *block...)
	}
	return x, nil
}

// write makes the array and, for images, the sheet.
func (s *Sample) write(r *run, m *Model, grid schedules.Grid, x []float64) ([]string, error) {
	lambda := make([]float64, len(grid))
	for i, l := range grid {
		lambda[i] = float64(l.LogSNR())
	}
	err := runfile.WriteArrays(r.store.path(SamplesNPZ), map[string]runfile.Array{
		"x":       {Shape: append([]int{s.Rows}, m.Shape()...), Data: x},
		"log_snr": {Shape: []int{len(grid)}, Data: lambda},
	})
	if err != nil {
		return nil, err
	}
	files := []string{SamplesNPZ}
	if len(m.Shape()) < 2 {
		return files, nil
	}
	shown := min(s.Rows, 256)
	sheet, err := viz.Sheet(x[:shown*models.Dim(m)], m.Shape(), int(math.Ceil(math.Sqrt(float64(shown)))))
	if err != nil {
		return nil, err
	}
	err = runfile.WriteFile(r.store.path(SheetPNG), func(w io.Writer) error { return viz.WritePNG(w, sheet, 2) })
	return append(files, SheetPNG), err
}

// The job draws the sheet itself: it is the one that knows the pixels' shape.
func (s *Sample) drawn(string) bool { return true }
func (s *Sample) draw(string) error { return nil }

// present points at the sheet of images, where the samples are images.
func (s *Sample) present(dir string, info *RunInfo) error {
	sheet := filepath.Join(dir, SheetPNG)
	if _, err := os.Stat(sheet); err == nil {
		info.Shown = sheet
	}
	return nil
}

func (s *Sample) uses() uses {
	return uses{names: []string{s.Schedule, atTotal(s.Spacing, 1), s.Model}, solvers: []string{atTotal(s.Solver, 1)}}
}
