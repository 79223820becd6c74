package conform

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"snrlab/models"
)

// Report is the outcome of a check.
type Report struct {
	Results []Result `json:"results"`
	LeftOut []string `json:"left_out,omitempty"` // JSON files met in folders that are of no golden format
}

// Options of a check.
type Options struct {
	Problems string       // the list of problems; "" for the one beside a file
	Each     func(Result) // called after every case, may be nil
}

// Check runs the cases of golden files and of all golden files in folders. The
// error is a [*FileError] where a file cannot be read; failed cases are in the
// report.
func Check(ctx context.Context, o Options, paths ...string) (*Report, error) {
	files, err := find(paths)
	if err != nil {
		return nil, err
	}
	lists := map[string]map[string]models.Denoiser{}
	problems := func(file string) (map[string]models.Denoiser, error) {
		path := o.Problems
		if path == "" {
			if path, err = problemsFor(file); err != nil {
				return nil, err
			}
		}
		if lists[path] == nil {
			if lists[path], err = readProblems(path); err != nil {
				return nil, err
			}
		}
		return lists[path], nil
	}
	report := &Report{}
	emit := func(r Result) {
		report.Results = append(report.Results, r)
		if o.Each != nil {
			o.Each(r)
		}
	}
	networks := map[string]bool{}
	for _, f := range files {
		if networkFolder(f) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			folder := filepath.Dir(f)
			if !networks[folder] {
				networks[folder] = true
				if err := runNetwork(folder, emit); err != nil {
					return nil, &FileError{folder, err}
				}
			}
			continue
		}
		text, err := readJSON(f)
		if err != nil {
			return nil, &FileError{f, err}
		}
		k, err := kindOf(text)
		switch {
		case errors.Is(err, errOther) && !slices.Contains(paths, f):
			report.LeftOut = append(report.LeftOut, f)
			continue
		case err != nil:
			return nil, &FileError{f, err}
		case k == problemList:
			continue
		}
		list, err := problems(f)
		if err != nil && k != convergence {
			return nil, err
		}
		run := runners[k]
		if run == nil {
			return nil, &FileError{f, fmt.Errorf("no check for a file of %s", k)}
		}
		if err := run(ctx, text, list, emit); err != nil {
			return nil, &FileError{f, err}
		}
	}
	if len(report.Results) == 0 {
		return nil, &FileError{strings.Join(paths, ", "), errors.New("no cases")}
	}
	return report, nil
}

// runner checks one file, whose text it decodes, and emits results.
type runner func(ctx context.Context, text []byte, problems map[string]models.Denoiser, emit func(Result)) error

var runners = map[kind]runner{
	sampleCases: runCases,
	sigmaTables: runTables,
	weights:     runWeights,
	thresholds:  runThresholds,
	convergence: runConvergence,
	searches:    runSearches,
}

func runCases(ctx context.Context, text []byte, problems map[string]models.Denoiser, emit func(Result)) error {
	var file struct {
		Format json.RawMessage
		Cases  []recorded
	}
	if err := decode(text, &file); err != nil {
		return err
	}
	seen := map[string]int{}
	for i := range file.Cases {
		id := file.Cases[i].ID
		if first, ok := seen[id]; ok && id != "" {
			return fmt.Errorf("cases[%d] has the id of cases[%d], %q: expected an id for each", i, first, id)
		}
		seen[id] = i
	}
	for i := range file.Cases {
		if err := ctx.Err(); err != nil {
			return err
		}
		emit(file.Cases[i].run(ctx, problems))
	}
	return nil
}

// Failed counts the cases that did not pass.
func (r *Report) Failed() int {
	n := 0
	for _, c := range r.Results {
		if !c.OK {
			n++
		}
	}
	return n
}

// Line is the one line of a case.
func (r Result) Line() string {
	switch {
	case r.OK:
		return fmt.Sprintf("ok    %s: worst %.1e (%.1e of the tolerance) at %s", r.ID, r.Error, r.Share, r.Where)
	case r.Problem != "":
		return fmt.Sprintf("FAIL  %s: %s", r.ID, strings.ReplaceAll(r.Problem, "\n", "; "))
	default:
		return fmt.Sprintf("FAIL  %s: off by %.1e (%.1e times the tolerance) at %s", r.ID, r.Error, r.Share, r.Where)
	}
}

// Sampler is one row of the table.
type Sampler struct {
	Peer    string  `json:"peer"`
	Sampler string  `json:"sampler"`
	Cases   int     `json:"cases"`
	Passed  int     `json:"passed"`
	Error   float64 `json:"error"` // the largest difference of those that passed
	Share   float64 `json:"share"` // the largest share of a tolerance
}

// Samplers sums the results up by sampler.
func (r *Report) Samplers() []Sampler {
	var rows []Sampler
	index := map[[2]string]int{}
	for _, c := range r.Results {
		key := [2]string{c.Peer, c.Sampler}
		i, ok := index[key]
		if !ok {
			i = len(rows)
			index[key] = i
			rows = append(rows, Sampler{Peer: c.Peer, Sampler: c.Sampler})
		}
		rows[i].Cases++
		if c.OK {
			rows[i].Passed++
			rows[i].Error, rows[i].Share = max(rows[i].Error, c.Error), max(rows[i].Share, c.Share)
		}
	}
	slices.SortStableFunc(rows, func(a, b Sampler) int {
		return strings.Compare(a.Peer+"\x00"+a.Sampler, b.Peer+"\x00"+b.Sampler)
	})
	return rows
}

// WriteTable prints the table by sampler and the sum.
func (r *Report) WriteTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "program\tsampler\tcases\tpassed\tlargest error\tof the tolerance")
	for _, s := range r.Samplers() {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\t%.1e\t%.1e\n", s.Peer, s.Sampler, s.Cases, s.Passed, s.Error, s.Share)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	most := Result{Share: math.Inf(-1)}
	for _, c := range r.Results {
		if c.OK && c.Share > most.Share {
			most = c
		}
	}
	fmt.Fprintf(w, "%d of %d passed", len(r.Results)-r.Failed(), len(r.Results))
	if !math.IsInf(most.Share, -1) {
		fmt.Fprintf(w, "; nearest to its tolerance (%.1e of it): %s, off by %.1e at %s", most.Share, most.ID, most.Error, most.Where)
	}
	fmt.Fprintln(w)
	if len(r.LeftOut) > 0 {
		fmt.Fprintf(w, "left out, of no golden format: %s\n", strings.Join(r.LeftOut, ", "))
	}
	return nil
}
