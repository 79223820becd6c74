package viz

import (
	"bytes"
	"compress/flate"
	"encoding/base64"
	"encoding/json"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"snrlab/internal/runfile"
)

// readAll returns every file under dir by its path.
func readAll(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path[len(dir)+1:]], err = os.ReadFile(path)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// renderPage returns the report without writing figures.
func renderPage(t *testing.T, f *folder) string {
	t.Helper()
	p, err := f.page(f.figures())
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if err := reportTemplate.Execute(&b, p); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// A run of the size of the demo stays under its limit, and drawing it again
// gives the same bytes.
func TestReport_Property(t *testing.T) {
	if testing.Short() {
		t.Skip("draws a full report twice")
	}
	dir := t.TempDir()
	writeRun(t, dir, glyphs(), 13, 4, []int{5, 8, 10, 15, 20})
	before := readAll(t, dir)
	if err := Report(dir); err != nil {
		t.Fatal(err)
	}
	first := readAll(t, dir)
	for name, b := range before {
		if !bytes.Equal(first[name], b) {
			t.Errorf("the report changed %s", name)
		}
	}
	if n := len(first[runfile.ReportHTML]); n == 0 || n > 6<<20 {
		t.Errorf("report.html has %d bytes, expected at most 6 MiB", n)
	}
	for _, name := range []string{"error-by-nfe", "error-by-level", "law-by-nfe", "grid-levels", "filmstrip", "samples"} {
		for _, ext := range []string{".svg", ".png"} {
			if len(first["figures/"+name+ext]) == 0 {
				t.Errorf("figures/%s%s is missing", name, ext)
			}
		}
		if !strings.Contains(string(first["figures/captions.md"]), "## "+name) {
			t.Errorf("captions.md has nothing on %s", name)
		}
	}
	if err := Report(dir); err != nil {
		t.Fatal(err)
	}
	again := readAll(t, dir)
	if len(again) != len(first) {
		t.Errorf("%d files, then %d", len(first), len(again))
	}
	for name, b := range first {
		if !bytes.Equal(again[name], b) {
			t.Errorf("%s has other bytes when drawn again", name)
		}
	}
}

var (
	tags    = regexp.MustCompile(`<(/?)([a-zA-Z][a-zA-Z0-9]*)((?:[^>"']|"[^"]*"|'[^']*')*)>`)
	ids     = regexp.MustCompile(` id="([^"]*)"`)
	refs    = regexp.MustCompile(` (?:href|src|xlink:href)="([^"]*)"`)
	scripts = regexp.MustCompile(`(?s)<(script|style)[^>]*>.*?</(script|style)>`)
)

// Every element is closed where it was opened, ids are there once, links
// lead to places on the page, and nothing comes from elsewhere.
func TestReport_Structure(t *testing.T) {
	for name, m := range map[string]toy{"images": glyphs(), "plane": plane()} {
		t.Run(name, func(t *testing.T) {
			html := renderPage(t, readToy(t, m, 5, 2, []int{3, 6}))
			if !strings.HasPrefix(html, "<!doctype html>\n<html lang=\"en\">") {
				t.Errorf("begins with %.60q", html)
			}
			outside := strings.ReplaceAll(html, "http://www.w3.org/2000/svg", "")
			outside = strings.ReplaceAll(outside, "http://www.w3.org/1999/xlink", "")
			if i := strings.Index(outside, "://"); i >= 0 {
				t.Errorf("an address: %q", outside[max(0, i-40):i+40])
			}
			for _, word := range []string{"@import", "url(http", "fetch(", "XMLHttpRequest", "<link", "<iframe"} {
				if strings.Contains(html, word) {
					t.Errorf("has %q", word)
				}
			}
			body := scripts.ReplaceAllString(html, "")
			var open []string
			void := map[string]bool{"meta": true, "input": true, "br": true, "link": true, "img": true}
			for _, m := range tags.FindAllStringSubmatch(body, -1) {
				switch {
				case void[m[2]] || strings.HasSuffix(m[3], "/"):
				case m[1] == "":
					open = append(open, m[2])
				case len(open) == 0 || open[len(open)-1] != m[2]:
					t.Fatalf("</%s> closes %v", m[2], open)
				default:
					open = open[:len(open)-1]
				}
			}
			if len(open) > 0 {
				t.Errorf("never closed: %v", open)
			}
			seen := map[string]bool{}
			for _, m := range ids.FindAllStringSubmatch(body, -1) {
				if seen[m[1]] {
					t.Errorf("id %s is there twice", m[1])
				}
				seen[m[1]] = true
			}
			for _, m := range refs.FindAllStringSubmatch(body, -1) {
				if anchor, ok := strings.CutPrefix(m[1], "#"); ok && !seen[anchor] {
					t.Errorf("link to #%s, which is not there", anchor)
				} else if !ok && !strings.HasPrefix(m[1], "data:image/png;base64,") {
					t.Errorf("link to %.60q", m[1])
				}
			}
		})
	}
}

// Every row of the summary and of the timings is in a table, to the last bit,
// and the best of each budget is marked.
func TestReport_Rows(t *testing.T) {
	f := readToy(t, plane(), 5, 2, []int{3, 6})
	html := renderPage(t, f)
	rowsOf := func(id string) []string {
		_, after, ok := strings.Cut(html, `<table class="sortable" id="`+id+`">`)
		if !ok {
			t.Fatalf("no table %s", id)
		}
		table, _, _ := strings.Cut(after, "</table>")
		_, body, _ := strings.Cut(table, "<tbody>")
		return regexp.MustCompile(`(?s)<tr>.*?</tr>`).FindAllString(body, -1)
	}
	sure, random := rowsOf("summary"), rowsOf("stochastic")
	if len(sure)+len(random) != len(f.summary) || len(rowsOf("timings")) != len(f.timings) {
		t.Errorf("%d + %d rows of %d, %d timings of %d", len(sure), len(random), len(f.summary), len(rowsOf("timings")), len(f.timings))
	}
	marked := 0
	for _, r := range f.summary {
		list, score := sure, r.RMSE
		if r.Stochastic {
			list, score = random, r.Strong
		}
		want := []string{"<code>" + r.Solver + "</code>", `data-v="` + strconv.FormatFloat(score, 'g', -1, 64) + `"`, `data-v="` + strconv.Itoa(r.Budget) + `"`}
		found := false
		for _, row := range list {
			all := true
			for _, w := range want {
				all = all && strings.Contains(row, w)
			}
			if all {
				found = true
				if strings.Contains(row, "best") {
					marked++
				}
			}
		}
		if !found {
			t.Errorf("no row for %s at %d", r.Solver, r.Budget)
		}
	}
	// One for each of two budgets and two tables; the two stochastic methods
	// of the toy are the same and tie.
	if marked != 2+4 {
		t.Errorf("%d rows are marked best, expected 6", marked)
	}
	for _, want := range []string{f.run.RecipeHash, "angle&gt; &#34;quotes&#34;", f.run.Notes[0], "2001-09-09 01:46:40 UTC", "31s"} {
		if !strings.Contains(html, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}

// What the page unpacks is what the trace holds, to the step of its scale.
func TestView_Limit(t *testing.T) {
	f := readToy(t, glyphs(), 4, 2, []int{3, 6})
	v, raw, err := f.view()
	if err != nil {
		t.Fatal(err)
	}
	text, err := packed(raw)
	if err != nil {
		t.Fatal(err)
	}
	zipped, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	raw, err = io.ReadAll(flate.NewReader(bytes.NewReader(zipped)))
	if err != nil {
		t.Fatal(err)
	}
	dim := f.trace.Dim()
	picture := func(p *pix, level, sample, i int) float64 {
		k := level*len(v.Samples) + sample
		return (float64(raw[p.At+k*dim+i]) - 128) / 127 * float64(p.Scale[k])
	}
	for _, r := range v.Runs {
		name := v.Solvers[r.Solver].Name
		run := f.trace.Run(name, r.Budget)
		ref := v.Refs[strconv.Itoa(r.Steps)]
		walk := f.walks[cell{name, r.Budget}]
		for level := range r.Steps + 1 {
			for sample := range v.Samples {
				k := level*len(v.Samples) + sample
				// Half a step of the reference's scale, of the difference's,
				// and a byte's rounding of that.
				tol := float64(ref.PX.Scale[k])/254 + float64(r.DX.Scale[k])*(1.0/126+1.0/254) + 1e-5
				for i := range dim {
					want := float64(run.X[(level*len(f.trace.Samples)+sample)*dim+i]) / unit(walk[level])
					got := picture(ref.PX, level, sample, i) + picture(r.DX, level, sample, i)
					if math.Abs(got-want) > tol {
						t.Fatalf("%s, %d evaluations, level %d, sample %d, pixel %d: %g, expected %g ± %g", name, r.Budget, level, sample, i, got, want, tol)
					}
				}
			}
		}
	}
	// The page's JSON is JSON.
	b, err := json.Marshal(v)
	if err != nil || !json.Valid(b) {
		t.Errorf("view: %v", err)
	}
}

// A large trace is thinned until it fits, and the page says so.
func TestView_Refuses(t *testing.T) {
	const side, steps, samples = 96, 30, 3
	tr := &runfile.Trace{Shape: []int{3, side, side}, Samples: []int{0, 1, 2}, Refs: map[int]runfile.TraceRef{}}
	f := &folder{trace: tr, run: runfile.Run{Status: runfile.Finished}, styles: map[string]style{}, noise: map[string]bool{}, walks: map[cell][]runfile.StepRow{}}
	level := samples * 3 * side * side
	for _, n := range []int{8, steps} {
		tr.Runs = append(tr.Runs, runfile.TraceRun{Solver: "a", Budget: n, Steps: n, X: make([]float32, (n+1)*level), D: make([]float32, n*level)})
		for k := range n + 1 {
			f.steps = append(f.steps, runfile.StepRow{Solver: "a", Budget: n, Steps: n, Step: k, Alpha: 1})
		}
	}
	f.index()
	v, raw, err := f.view()
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > maxViewBytes || len(v.Samples) != samples || v.Picture.W != side {
		t.Errorf("%d bytes, %d samples, %d pixels wide", len(raw), len(v.Samples), v.Picture.W)
	}
	if len(v.Runs) != 1 || !strings.Contains(v.Omitted, "at most 20 steps") {
		t.Errorf("%d runs, note %q", len(v.Runs), v.Omitted)
	}
	for i := range 40 {
		r := tr.Runs[0]
		r.Solver = "b" + strconv.Itoa(i)
		tr.Runs = append(tr.Runs, r)
		for k := range 9 {
			f.steps = append(f.steps, runfile.StepRow{Solver: r.Solver, Budget: 8, Steps: 8, Step: k, Alpha: 1})
		}
	}
	f.walks, f.styles, f.solvers, f.budgets = map[cell][]runfile.StepRow{}, map[string]style{}, nil, nil
	f.index()
	v, raw, err = f.view()
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > maxViewBytes || len(v.Samples) != 1 || v.Picture.W != side/2 {
		t.Errorf("%d bytes, %d samples, %d pixels wide", len(raw), len(v.Samples), v.Picture.W)
	}
	for _, want := range []string{"1 of 3 kept samples", "2×2 pixels", "trace.npz"} {
		if !strings.Contains(v.Omitted, want) {
			t.Errorf("the note %q does not say %q", v.Omitted, want)
		}
	}
}

// A folder that is not a run, or a damaged one, is an error that names the
// file; nothing is left behind.
func TestReport_Refuses(t *testing.T) {
	if err := Report(t.TempDir()); err == nil || !strings.Contains(err.Error(), runfile.RunJSON) {
		t.Errorf("got %v, expected an error with run.json", err)
	}
	whole := t.TempDir()
	writeRun(t, whole, plane(), 2, 1, []int{2})
	for name, spoil := range map[string]func([]byte) []byte{
		runfile.StepsCSV:   func(b []byte) []byte { return b[:len(b)/2] },
		runfile.SummaryCSV: func(b []byte) []byte { return bytes.Replace(b, []byte("rmse"), []byte("rsme"), 1) },
		runfile.TraceNPZ:   func(b []byte) []byte { return b[:len(b)-100] },
		runfile.TimingsCSV: func([]byte) []byte { return nil },
		runfile.RunJSON:    func(b []byte) []byte { return append(b, '{') },
	} {
		dir := t.TempDir()
		for file, b := range readAll(t, whole) {
			if file == name {
				b = spoil(b)
			}
			if err := os.WriteFile(filepath.Join(dir, file), b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if err := Report(dir); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v, expected an error that names it", name, err)
		}
		if _, err := os.Stat(filepath.Join(dir, runfile.ReportHTML)); err == nil {
			t.Errorf("%s: a report was written", name)
		}
	}
	// A trace that does not go with its steps.
	rows, err := runfile.ReadSteps(filepath.Join(whole, runfile.StepsCSV))
	if err != nil {
		t.Fatal(err)
	}
	if err := runfile.WriteSteps(filepath.Join(whole, runfile.StepsCSV), rows[1:]); err != nil {
		t.Fatal(err)
	}
	if err := Report(whole); err == nil || !strings.Contains(err.Error(), "expected one row a level") {
		t.Errorf("got %v", err)
	}
}

// A run without timings or a trace, an unfinished one and a failed one have
// reports too.
func TestReport_Limit(t *testing.T) {
	f := readToy(t, plane(), 4, 1, []int{2})
	f.trace, f.timings = nil, nil
	f.run.Status = runfile.Running
	html := renderPage(t, f)
	for _, not := range []string{`id="walk"`, `id="view-data"`, `id="time"`} {
		if strings.Contains(html, not) {
			t.Errorf("the page of a run without a trace has %s", not)
		}
	}
	if !strings.Contains(html, "was not finished") {
		t.Error("the page does not say that the run is unfinished")
	}
	f.run.Status, f.run.Error = runfile.Failed, "out of <disk>"
	if html := renderPage(t, f); !strings.Contains(html, "out of &lt;disk&gt;") {
		t.Error("the page does not say why the run failed")
	}
}
