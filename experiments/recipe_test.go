package experiments

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const minimal = `
kind = "compare"
name = "x"
model = "gm2d"
schedule = "edm"
spacing = "karras"
solvers = ["heun", "ddim"]
budgets = [9, 3]
`

// What a recipe leaves out is filled in, and the resolved text reads back to
// the same recipe and resolves to the same text.
func TestRecipe_Property(t *testing.T) {
	for _, name := range append(Embedded(), "minimal") {
		t.Run(name, func(t *testing.T) {
			r, err := Load(name)
			if name == "minimal" {
				r, err = Parse(name, []byte(minimal))
			}
			if err != nil {
				t.Fatal(err)
			}
			text, err := r.Resolved()
			if err != nil {
				t.Fatal(err)
			}
			again, err := Parse("resolved", []byte(text))
			if err != nil {
				t.Fatalf("the resolved recipe does not read back: %v\n%s", err, text)
			}
			if d := cmp.Diff(r.Experiment, again.Experiment, cmpopts.EquateEmpty(), cmpopts.IgnoreTypes(studied{})); d != "" {
				t.Errorf("the resolved recipe reads back differently: %s", d)
			}
			twice, err := again.Resolved()
			if err != nil || twice != text {
				t.Errorf("resolving twice gives another text: %v\n%s\n%s", err, text, twice)
			}
			for field := range fieldsOf(r.Experiment) {
				last := field[strings.LastIndexByte(field, '.')+1:]
				if !strings.Contains(text, "\n"+last+" = ") && !strings.HasPrefix(text, last+" = ") {
					t.Errorf("field %s is not in the resolved recipe", field)
				}
			}
		})
	}
}

func TestRecipe_Refuses(t *testing.T) {
	for change, want := range map[string]string{
		"- model":                             "field model is missing",
		"- kind":                              "field kind is missing: expected one of " + strings.Join(kindNames(), ", "),
		"- solvers":                           "field solvers is missing or empty",
		`+ kind = "compere"`:                  `did you mean "compare"?`,
		"+ row = 3":                           `unknown field "row"; did you mean "rows"`,
		"+ Rows = 3":                          `unknown field "Rows"; did you mean "rows"`,
		"+ [trase]\nrows = 3":                 `unknown field "trase`,
		"+ [trace]\nmax_step = 3":             `did you mean "trace.max_steps"?`,
		"+ rows = 0":                          "field rows is 0: expected 1 to",
		"+ rows = -3":                         "field rows is -3",
		"+ rows = 1.5":                        "incompatible types",
		`+ rows = "many"`:                     "incompatible types",
		"+ rows = 99999999999999999999":       "line 9",
		"+ key = -1":                          "field key is -1",
		"+ budgets = []":                      "field budgets is missing or empty",
		"+ budgets = [3, 3]":                  "field budgets holds 3 twice",
		"+ budgets = [0]":                     "field budgets is 0: expected 1 to",
		`+ solvers = ["ddim", "ddim"]`:        "field solvers holds ddim twice",
		`+ mismatch = "above"`:                `unknown value "above"`,
		`+ start = "prio"`:                    `did you mean "prior"?`,
		"+ [reference]\nrtol = nan":           "field reference.rtol is NaN: expected a finite number",
		"+ [reference]\nrtol = inf":           "field reference.rtol is +Inf",
		"+ [reference]\nrtol = -1e-9":         "field reference.rtol is -1e-09: expected 1e-14 to 1e-2",
		"+ rows = 4\n[local]\nrows = 5":       "field local.rows is 5, but field rows is 4",
		"+ rows = 4\n[trace]\nrows = 5":       "field trace.rows is 5, but field rows is 4",
		"+ name = \"../up\"":                  "names a folder",
		"+ name = \"\"":                       "expected the name of the run folder",
		"+ [trace]\nsolvers = [\"dpmpp-2m\"]": "field trace.solvers: dpmpp-2m",
		`+ solvers = ["heum"]`:                `did you mean "heun"`,
		`+ solvers = ["ddim", "ddim(eta=0)"]`: "field solvers holds ddim(eta=0,first=named) twice",
		`+ schedule = "edn"`:                  `did you mean "edm"`,
		`+ spacing = "karras(ro=7)"`:          `unknown argument "ro"`,
		`+ model = "gm3d"`:                    `did you mean "gm2d"`,
		"+ class = 3":                         "model gm2d has no classes",
		`+ mismatch = "refuse"`:               "heun cannot spend exactly 3 evaluations on this spacing: 1 step costs 2; choose another budget",
		"+ budgets = [1]":                     "heun: a budget of 1 evaluations is too small: one step needs 2",
		"+ [":                                 "line ",
		`+ schedule = "rf"`:                   "field spacing: a grid of 1 step: schedules: karras cannot start at α = 0",
		"+ [trace]\nsolvers = [\"hein\"]":     `field trace.solvers: solvers: unknown solver "hein"`,
		"+ solvers = [\"ddim(eta=1)\"]\n[stochastic]\nfine_steps = 5": "field stochastic.fine_steps is 5: expected 0, for no strong errors, or at least twice the 9 steps",
	} {
		r, err := Parse("test", []byte(edit(minimal, change)))
		if err == nil {
			_, err = r.Plan(Options{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected an error with %q", change, err, want)
		}
	}
	leading := edit(edit(minimal, `+ schedule = "beta"`), `+ spacing = "leading"`)
	if _, err := parse(t, leading).Plan(Options{}); err == nil || !strings.Contains(err.Error(), "start at different levels") {
		t.Errorf("got %v, expected a refusal of grids that start apart", err)
	}
	if _, err := Load("compare-gm2b"); err == nil || !strings.Contains(err.Error(), `did you mean "compare-gm2d"`) {
		t.Errorf("got %v, expected the nearest embedded recipe", err)
	}
}

// edit takes a field away ("- field") or sets one ("+ field = value").
func edit(recipe, change string) string {
	op, rest := change[0], change[2:]
	name, _, _ := strings.Cut(rest, " ")
	var out []string
	for line := range strings.Lines(recipe) {
		if strings.HasPrefix(line, name+" =") {
			continue
		}
		out = append(out, line)
	}
	if op == '+' {
		out = append(out, rest, "\n")
	}
	return strings.Join(out, "")
}

func TestSet_Property(t *testing.T) {
	r, err := Parse("test", []byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	for field, value := range map[string]string{
		"rows": "16", "reference.rtol": "1e-9", "solvers": "ddim(eta=1),heun", "budgets": "4, 8", "trace.max_steps": "7",
	} {
		if err := r.Set(field, value); err != nil {
			t.Errorf("%s: %v", field, err)
		}
	}
	c := r.Experiment.(*Compare)
	got := fmt.Sprint(c.Rows, c.Reference.RTol, c.Solvers, c.Budgets, c.Trace.MaxSteps)
	if want := "16 1e-09 [ddim(eta=1) heun] [4 8] 7"; got != want {
		t.Errorf("got %s, expected %s", got, want)
	}
	for field, want := range map[string]string{
		"row": `did you mean "rows"`, "kind": "unknown field", "trace": "unknown field",
	} {
		if err := r.Set(field, "1"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected an error with %q", field, err, want)
		}
	}
	if err := r.Set("rows", "1.5"); err == nil || !strings.Contains(err.Error(), "not a whole number") {
		t.Errorf("got %v", err)
	}
}

// A hash is of the content that was read: another file of the same name is
// another run, the same content under another name is not.
func TestPlan_Hash(t *testing.T) {
	dir := t.TempDir()
	hash := func(text string) string {
		t.Helper()
		p, err := parse(t, text).Plan(Options{})
		if err != nil {
			t.Fatal(err)
		}
		return p.Hash
	}
	base := hash(minimal)
	if hash(minimal+"\n# a comment\nrows = 64\n") != base {
		t.Error("a comment and a default written out changed the hash")
	}
	if hash(minimal+"rows = 65\n") == base {
		t.Error("another number of rows has the same hash")
	}
	file := filepath.Join(dir, "points.npy")
	withFile := func(values ...float64) string {
		writeNPY(t, file, values)
		return hash(edit(minimal, `+ model = "npz:`+file+`"`))
	}
	a, b := withFile(1, 2, 3, 4), withFile(1, 2, 3, 5)
	if a == b {
		t.Error("another content of a file has the same hash")
	}
	if withFile(1, 2, 3, 4) != a {
		t.Error("the same content has another hash")
	}
}

func writeNPY(t *testing.T, path string, values []float64) {
	t.Helper()
	header := fmt.Sprintf("{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 2), }", len(values)/2)
	header += strings.Repeat(" ", 117-len(header)) + "\n"
	b := append([]byte("\x93NUMPY\x01\x00\x76\x00"), header...)
	for _, v := range values {
		b = binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
	}
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
}

// FuzzParse: the decoder refuses or gives a recipe whose resolved form, if it
// resolves, reads back to itself.
func FuzzParse(f *testing.F) {
	f.Add(minimal)
	for _, name := range Embedded() {
		text, err := embedded.ReadFile("recipes/" + name + ".toml")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("kind = \"sample\"\nmodel = \"png:x\"\nrows = 3\n")
	f.Add("kind = \"compare\"\n[trace]\nrows = nan\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := Parse("fuzz", []byte(text))
		if err != nil {
			return
		}
		resolved, err := r.Resolved()
		if err != nil {
			return
		}
		again, err := Parse("resolved", []byte(resolved))
		if err != nil {
			t.Fatalf("%v\n%s", err, resolved)
		}
		if twice, err := again.Resolved(); err != nil || twice != resolved {
			t.Fatalf("%v\n%s\n%s", err, resolved, twice)
		}
	})
}
