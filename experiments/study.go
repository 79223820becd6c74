package experiments

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"snrlab/internal/runfile"
	"snrlab/internal/study"
	"snrlab/viz"
)

// studied is the part of an experiment that ends in a study (see package
// internal/study): it draws and presents what the run folder holds. A driver
// embeds it beside its Header and writes its fields, Validate, plan and uses
// (the sources of its claims among them), and resolve and seed where it has
// names or randomness:
//
//	type Alignment struct {
//		Header
//		studied
//		Sizes []int `toml:"sizes" json:"sizes"`
//		Rows  int   `toml:"rows" json:"rows"`
//		Key   int64 `toml:"key" json:"key"`
//	}
//
//	func (a *Alignment) plan(p *Plan, o Options) (job, error) {
//		… // read the inputs, fill in p.Inputs, p.Parts and p.Notes
//		s := &study.Study{Title: …, Held: …, Tables: …, Figures: …} // declared: see the example of package study
//		return studyJob(a, s, func(ctx context.Context, r *run) error {
//			… // s.Table("error").Add(…), s.Find(…)
//			return nil
//		})
//	}
//
// Long work is cut into cells (see [cell]) so that a killed run resumes.
type studied struct{}

func (studied) seed() uint64   { return 0 }
func (studied) resolve() error { return nil }

// drawn says whether the report is there; it is written last.
func (studied) drawn(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, runfile.ReportHTML))
	return err == nil
}

func (studied) draw(dir string) error { return viz.Study(dir) }

// present shows the findings, and points at the report.
func (s studied) present(dir string, info *RunInfo) error {
	found, err := study.Read(dir)
	if err != nil {
		return err
	}
	info.Study = found
	if s.drawn(dir) {
		info.Shown = filepath.Join(dir, runfile.ReportHTML)
	}
	return nil
}

// studyJob makes the job of a study that is declared, with its tables still
// empty. What the declaration gets wrong is an error here, before any work; a
// finding may only name a source that the experiment uses.
func studyJob(e Experiment, s *study.Study, work func(ctx context.Context, r *run) error) (job, error) {
	check := func() error {
		if err := s.Validate(); err != nil {
			return err
		}
		cites, err := Cite(&Recipe{Source: e.header().Name, Experiment: e})
		if err != nil {
			return err
		}
		for _, f := range s.Findings {
			if f.Source != "" && !slices.ContainsFunc(cites.Entries, func(c Citation) bool { return c.Key == f.Source }) {
				return fmt.Errorf("finding %q refers to [%s], which is not among what the recipe uses", f.Claim, f.Source)
			}
		}
		return nil
	}
	if err := check(); err != nil {
		return nil, err
	}
	return func(ctx context.Context, r *run) ([]string, error) {
		if err := work(ctx, r); err != nil {
			return nil, err
		}
		if err := check(); err != nil {
			return nil, fmt.Errorf("experiments: %w", err)
		}
		r.progress.setStage("files")
		return study.Write(r.store.dir, s)
	}, nil
}

// studyText writes the findings for people.
func studyText(t *table, s *study.Study) {
	t.line("%s\n\n%s\n", s.Title, s.Held)
	for _, f := range s.Findings {
		source := ""
		if f.Source != "" {
			source = " [" + f.Source + "]"
		}
		t.line("%s: %s%s", strings.ToUpper(f.Holds.String()), f.Claim, source)
		var parts []string
		if f.Expected != "" {
			parts = append(parts, "expected "+f.Expected)
		}
		if f.Measured == f.Measured {
			m := strings.TrimSpace("measured " + number(f.Measured) + " " + f.Unit)
			if len(f.Interval) == 2 {
				m += " (" + number(f.Interval[0]) + " to " + number(f.Interval[1]) + ")"
			}
			parts = append(parts, m)
		}
		if len(parts) > 0 {
			t.line("    %s", strings.Join(parts, "; "))
		}
		if f.Remark != "" {
			t.line("    %s", f.Remark)
		}
	}
	t.line("")
}
