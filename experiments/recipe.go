package experiments

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"

	"snrlab/internal/spec"
)

//go:embed recipes/*.toml
var embedded embed.FS

// Experiment is what a recipe describes: a struct with toml tags whose fields
// can each change a number of the result. Its zero field values are legal only
// where Validate says so; Load starts from the defaults of its kind.
type Experiment interface {
	// Validate reports a field that cannot be used, or two that contradict
	// each other. It reads nothing but the fields.
	Validate() error
	header() *Header
	seed() uint64
	// resolve rewrites names in full, their defaults filled in.
	resolve() error
	// plan resolves names, reads the inputs and fills in the plan's inputs,
	// parts and notes. The job does the work and returns the data files.
	plan(p *Plan, o Options) (job, error)
	// drawn says whether a finished run folder has all that it is looked at
	// by, draw makes it, and present fills in info from the folder.
	drawn(dir string) bool
	draw(dir string) error
	present(dir string, info *RunInfo) error
	uses() uses
}

// job is the work of a planned experiment. It returns the names of the data
// files that it wrote, those that must repeat.
type job func(ctx context.Context, r *run) ([]string, error)

// Header opens every recipe.
type Header struct {
	Kind string `toml:"kind" json:"kind"` // which driver: "compare", "duel", "rank", "sample"
	Name string `toml:"name" json:"name"` // of the run folder: letters, digits, '-', '_' and '.'
}

func (h *Header) header() *Header { return h }

func (h *Header) validate() error {
	if h.Name == "" {
		return errors.New("name: expected the name of the run folder, got none")
	}
	if strings.Trim(h.Name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") != "" || h.Name[0] == '.' || len(h.Name) > 80 {
		return fmt.Errorf("name: %q names a folder: expected at most 80 letters, digits, '-', '_' and '.', the first not a '.'", h.Name)
	}
	return nil
}

// kinds makes the experiment of each kind with its defaults.
var kinds = map[string]func() Experiment{
	"align":   func() Experiment { e := DefaultAlign(); return &e },
	"compare": func() Experiment { e := DefaultCompare(); return &e },
	"duel":    func() Experiment { e := DefaultDuel(); return &e },
	"losses":  func() Experiment { e := DefaultLosses(); return &e },
	"rank":    func() Experiment { e := DefaultRank(); return &e },
	"sample":  func() Experiment { e := DefaultSample(); return &e },

	"guidance":        func() Experiment { e := DefaultGuidance(); return &e },
	"guidance-digits": func() Experiment { e := DefaultGuidanceDigits(); return &e },

	"upsample-checks": func() Experiment { e := DefaultUpsampleChecks(); return &e },
	"upsample-digits": func() Experiment { e := DefaultUpsampleDigits(); return &e },
	"upsample-fields": func() Experiment { e := DefaultUpsampleFields(); return &e },

	"difficulty":       func() Experiment { e := DefaultDifficulty(); return &e },
	"equivalence":      func() Experiment { e := DefaultEquivalence(); return &e },
	"learned-schedule": func() Experiment { e := DefaultLearnedSchedule(); return &e },
}

func kindNames() []string {
	names := make([]string, 0, len(kinds))
	for k := range kinds {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}

// Recipe is an experiment and where it came from.
type Recipe struct {
	Source     string // file or embedded name, for messages
	Experiment Experiment
}

// Embedded lists the names of the recipes inside the program.
func Embedded() []string {
	entries, err := fs.ReadDir(embedded, "recipes")
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".toml"))
	}
	return names
}

// Load reads a recipe from a file or, where no such file exists, from the
// recipes inside the program: "compare-digits".
func Load(name string) (*Recipe, error) {
	text, err := os.ReadFile(name)
	// A folder of a recipe's name is no recipe file either.
	if dir, e := os.Stat(name); errors.Is(err, fs.ErrNotExist) || e == nil && dir.IsDir() {
		inside, eerr := embedded.ReadFile("recipes/" + name + ".toml")
		if base := strings.TrimSuffix(filepath.Base(name), ".toml"); eerr != nil {
			return nil, fmt.Errorf("experiments: no recipe file %q, and no recipe of that name in the program%s", name, spec.Suggest(base, Embedded()))
		}
		text, err = inside, nil
	}
	if err != nil {
		return nil, fmt.Errorf("experiments: recipe: %w", err)
	}
	return Parse(name, text)
}

// Parse reads a recipe from TOML text. Unknown fields, wrong types and values
// that cannot be used are errors that name the field. source is for messages.
func Parse(source string, text []byte) (*Recipe, error) {
	fail := func(err error) (*Recipe, error) {
		return nil, fmt.Errorf("experiments: recipe %s: %w", source, err)
	}
	var head struct {
		Kind string `toml:"kind"`
	}
	md, err := toml.Decode(string(text), &head)
	if err != nil {
		return fail(tomlError(err))
	}
	if !md.IsDefined("kind") {
		return fail(fmt.Errorf("field kind is missing: expected one of %s", strings.Join(kindNames(), ", ")))
	}
	defaults, ok := kinds[head.Kind]
	if !ok {
		return fail(fmt.Errorf("unknown kind %q%s", head.Kind, spec.Suggest(head.Kind, kindNames())))
	}
	e := defaults()
	if md, err = toml.Decode(string(text), e); err != nil {
		return fail(tomlError(err))
	}
	// The decoder ignores case; we do not, so that each field has one name and
	// "rows" beside "Rows" cannot silently overrule it.
	known := fieldsOf(e)
	for _, key := range md.Keys() {
		name := strings.Join(key, ".")
		if _, ok := known[name]; !ok && !isTable(name, known) {
			return fail(fmt.Errorf("unknown field %q%s", name, spec.Suggest(name, sortedNames(known))))
		}
	}
	r := &Recipe{Source: source, Experiment: e}
	if err := r.check(); err != nil {
		return nil, err
	}
	return r, nil
}

// tomlError says what the decoder found in one line.
func tomlError(err error) error {
	var p toml.ParseError
	if errors.As(err, &p) {
		return fmt.Errorf("line %d: %s", p.Position.Line, strings.TrimPrefix(p.Message, "toml: "))
	}
	return errors.New(strings.TrimPrefix(err.Error(), "toml: "))
}

// check resolves and validates.
func (r *Recipe) check() error {
	if err := finite(r.Experiment); err != nil {
		return fmt.Errorf("experiments: recipe %s: %w", r.Source, err)
	}
	if err := r.Experiment.header().validate(); err != nil {
		return fmt.Errorf("experiments: recipe %s: %w", r.Source, err)
	}
	if err := r.Experiment.Validate(); err != nil {
		return fmt.Errorf("experiments: recipe %s: %w", r.Source, err)
	}
	return nil
}

// NameAfter names the run after its kind and a model that is put in the place
// of the recipe's own: the folder says what was run, not what it started from.
// A model that does not exist leaves the name to the error that follows.
func (r *Recipe) NameAfter(model string) {
	family := func(name string) string {
		if i := strings.IndexAny(name, ":("); i >= 0 {
			return name[:i]
		}
		return name
	}
	given := family(model)
	for _, m := range Models() {
		if family := family(m.Name); family == given {
			h := r.Experiment.header()
			h.Name = h.Kind + "-" + family
		}
	}
}

// Set overrides one field by its dotted name, as flags do: Set("rows", "16"),
// Set("reference.rtol", "1e-9"), Set("solvers", "ddim,heun"). It does not
// validate the whole: Run does.
func (r *Recipe) Set(field, value string) error {
	known := fieldsOf(r.Experiment)
	f, ok := known[field]
	if !ok || field == "kind" {
		delete(known, "kind")
		return fmt.Errorf("experiments: unknown field %q%s", field, spec.Suggest(field, sortedNames(known)))
	}
	if err := setField(f, value); err != nil {
		return fmt.Errorf("experiments: field %s: %w", field, err)
	}
	return nil
}

func setField(f reflect.Value, s string) error {
	switch f.Kind() {
	case reflect.String:
		f.SetString(s)
	case reflect.Int, reflect.Int64:
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		f.SetInt(v)
	case reflect.Float64:
		v, err := strconv.ParseFloat(s, 64)
		if err != nil {
			return fmt.Errorf("%q is not a number", s)
		}
		f.SetFloat(v)
	case reflect.Bool:
		v, err := strconv.ParseBool(s)
		if err != nil {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		f.SetBool(v)
	case reflect.Slice:
		parts, err := spec.SplitList(s)
		if err != nil {
			return err
		}
		list := reflect.MakeSlice(f.Type(), len(parts), len(parts))
		for i, p := range parts {
			if err := setField(list.Index(i), strings.TrimSpace(p)); err != nil {
				return err
			}
		}
		f.Set(list)
	default:
		return fmt.Errorf("has a type (%s) that cannot be set", f.Type())
	}
	return nil
}

// Resolved returns the recipe as it runs, in TOML: every default filled in,
// every name with all of its arguments. It reads back to the same recipe.
func (r *Recipe) Resolved() (string, error) {
	if err := r.check(); err != nil {
		return "", err
	}
	if err := r.Experiment.resolve(); err != nil {
		return "", fmt.Errorf("experiments: recipe %s: %w", r.Source, err)
	}
	fields := fieldsOf(r.Experiment)
	if f, ok := fields["model"]; ok {
		f.SetString(fullModel(f.String()))
	}
	if f, ok := fields["models"]; ok {
		for i := range f.Len() {
			f.Index(i).SetString(fullModel(f.Index(i).String()))
		}
	}
	if err := r.check(); err != nil {
		return "", err
	}
	var b bytes.Buffer
	enc := toml.NewEncoder(&b)
	enc.Indent = ""
	if err := enc.Encode(r.Experiment); err != nil {
		return "", fmt.Errorf("experiments: recipe %s: %w", r.Source, err)
	}
	return b.String(), nil
}

// fieldsOf maps the dotted toml name of every field of e to its value.
func fieldsOf(e Experiment) map[string]reflect.Value {
	fields := map[string]reflect.Value{}
	var walk func(prefix string, v reflect.Value)
	walk = func(prefix string, v reflect.Value) {
		for i := range v.NumField() {
			f := v.Type().Field(i)
			name, _, _ := strings.Cut(f.Tag.Get("toml"), ",")
			switch {
			case !f.IsExported():
			case f.Anonymous:
				walk(prefix, v.Field(i))
			case f.Type.Kind() == reflect.Struct:
				walk(prefix+name+".", v.Field(i))
			default:
				fields[prefix+name] = v.Field(i)
			}
		}
	}
	walk("", reflect.ValueOf(e).Elem())
	return fields
}

// isTable says whether name is the table that some field stands in.
func isTable(name string, fields map[string]reflect.Value) bool {
	for k := range fields {
		if strings.HasPrefix(k, name+".") {
			return true
		}
	}
	return false
}

func sortedNames(fields map[string]reflect.Value) []string {
	names := make([]string, 0, len(fields))
	for k := range fields {
		names = append(names, k)
	}
	sort.Strings(names)
	return names
}

// finite refuses NaN and infinite numbers in any field: TOML can write them.
func finite(e Experiment) error {
	fields := fieldsOf(e)
	for _, name := range sortedNames(fields) {
		if f := fields[name]; f.Kind() == reflect.Float64 {
			if v := f.Float(); math.IsNaN(v) || math.IsInf(v, 0) {
				return fmt.Errorf("field %s is %g: expected a finite number", name, v)
			}
		}
	}
	return nil
}
