// Package spec reads and prints the one-line names of schedules, spacings,
// paths, solvers and models:
//
//	karras(rho=7,last=zero)
//	list(sigmas=[80,10,1,0])
//	shift(by=-1.386,schedule=cosine(min=-15,max=15))
//
// A name stands for a struct: its fields are the arguments, under their json
// tags. Printing leaves out fields that have their default, reading fills them
// in, and whatever is unknown, repeated or malformed is an error that says
// which names there are.
package spec

import (
	"fmt"
	"reflect"
	"sort"
	"strconv"
	"strings"
)

// Entry is one named thing. Default is a struct value (or a pointer to one)
// with every field at its default; copies of it are what Parse returns.
type Entry[T any] struct {
	Name    string
	Summary string // one line, for lists
	Aliases []string
	Default T
}

// Registry is an ordered list of entries of one kind, "solver" say. It is an
// ordinary value: extend a copy to add your own.
type Registry[T any] struct {
	Kind    string
	Entries []Entry[T]
	// Nested reads fields whose type is itself named, by that type.
	Nested map[reflect.Type]func(string) (any, error)
}

// Names returns the names of all entries in order.
func (r Registry[T]) Names() []string {
	names := make([]string, len(r.Entries))
	for i, e := range r.Entries {
		names[i] = e.Name
	}
	return names
}

// Parse reads a name with arguments. A value with a method Validate() error
// is validated.
func (r Registry[T]) Parse(s string) (T, error) {
	var zero T
	name, args, err := Split(s)
	if err != nil {
		return zero, fmt.Errorf("%s %q: %w", r.Kind, s, err)
	}
	for _, e := range r.Entries {
		if !e.answers(name) {
			continue
		}
		v, err := r.decode(e.Default, args)
		if err != nil {
			return zero, fmt.Errorf("%s %q: %w", r.Kind, s, err)
		}
		if c, ok := any(v).(interface{ Validate() error }); ok {
			if err := c.Validate(); err != nil {
				return zero, fmt.Errorf("%s %q: %w", r.Kind, s, err)
			}
		}
		return v, nil
	}
	return zero, fmt.Errorf("unknown %s %q%s", r.Kind, name, Suggest(name, r.Names()))
}

func (e Entry[T]) answers(name string) bool {
	if e.Name == name {
		return true
	}
	for _, a := range e.Aliases {
		if a == name {
			return true
		}
	}
	return false
}

// Format prints v under the entry's name, leaving out fields at their default.
// It panics if no entry has v's type and name: String methods call it with a
// name of their own package's list.
func (r Registry[T]) Format(name string, v T) string {
	for _, e := range r.Entries {
		if e.Name == name {
			return format(name, v, e.Default)
		}
	}
	panic("spec: " + r.Kind + " " + name + " is not registered")
}

// Full prints v under name with every field, defaults included.
func Full(name string, v any) string { return format(name, v, nil) }

// Fields lists the argument names of v, in order.
func Fields(v any) []string {
	var names []string
	rv := deref(reflect.ValueOf(v))
	for i := range rv.NumField() {
		if n := argName(rv.Type().Field(i)); n != "" {
			names = append(names, n)
		}
	}
	return names
}

// Arg is one key=value of a name.
type Arg struct{ Key, Value string }

// Split takes a name apart into its head and its arguments.
func Split(s string) (name string, args []Arg, err error) {
	s = strings.TrimSpace(s)
	open := strings.IndexByte(s, '(')
	if open < 0 {
		if s == "" || strings.ContainsAny(s, ")=,[] \t\n") {
			return "", nil, fmt.Errorf("expected name or name(key=value,...)")
		}
		return s, nil, nil
	}
	if !strings.HasSuffix(s, ")") || open == 0 {
		return "", nil, fmt.Errorf("expected name(key=value,...)")
	}
	name = s[:open]
	parts, err := splitTop(s[open+1 : len(s)-1])
	if err != nil {
		return "", nil, err
	}
	for _, p := range parts {
		k, v, ok := strings.Cut(p, "=")
		k, v = strings.TrimSpace(k), strings.TrimSpace(v)
		if !ok || k == "" || v == "" {
			return "", nil, fmt.Errorf("argument %q: expected key=value", p)
		}
		for _, a := range args {
			if a.Key == k {
				return "", nil, fmt.Errorf("argument %q is given twice", k)
			}
		}
		args = append(args, Arg{k, v})
	}
	return name, args, nil
}

// splitTop splits at commas outside brackets.
func splitTop(s string) ([]string, error) {
	if strings.TrimSpace(s) == "" {
		return nil, nil
	}
	var parts []string
	depth, start := 0, 0
	for i := range len(s) {
		switch s[i] {
		case '(', '[':
			depth++
		case ')', ']':
			if depth--; depth < 0 {
				return nil, fmt.Errorf("unbalanced %q", s[i])
			}
		case ',':
			if depth == 0 {
				parts = append(parts, s[start:i])
				start = i + 1
			}
		}
	}
	if depth != 0 {
		return nil, fmt.Errorf("unbalanced brackets")
	}
	return append(parts, s[start:]), nil
}

// SplitList splits a list of names at the commas between them, leaving those
// inside brackets alone: "ddim(eta=1,x=2),heun".
func SplitList(s string) ([]string, error) { return splitTop(s) }

func (r Registry[T]) decode(def T, args []Arg) (T, error) {
	src := reflect.ValueOf(def)
	ptr := reflect.New(deref(src).Type())
	ptr.Elem().Set(deref(src))
	for _, a := range args {
		f, ok := field(ptr.Elem(), a.Key)
		if !ok {
			var zero T
			return zero, fmt.Errorf("unknown argument %q%s", a.Key, Suggest(a.Key, Fields(def)))
		}
		if err := r.set(f, a.Value); err != nil {
			var zero T
			return zero, fmt.Errorf("argument %s: %w", a.Key, err)
		}
	}
	if src.Kind() == reflect.Pointer {
		return ptr.Interface().(T), nil
	}
	return ptr.Elem().Interface().(T), nil
}

func (r Registry[T]) set(f reflect.Value, s string) error {
	if parse := r.Nested[f.Type()]; parse != nil {
		v, err := parse(s)
		if err != nil {
			return err
		}
		f.Set(reflect.ValueOf(v))
		return nil
	}
	switch f.Kind() {
	case reflect.Float64:
		v, err := strconv.ParseFloat(s, 64)
		if err != nil || v != v {
			return fmt.Errorf("%q is not a number", s)
		}
		f.SetFloat(v)
	case reflect.Int:
		v, err := strconv.Atoi(s)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		f.SetInt(int64(v))
	case reflect.Bool:
		switch s {
		case "true":
			f.SetBool(true)
		case "false":
			f.SetBool(false)
		default:
			return fmt.Errorf("%q is neither true nor false", s)
		}
	case reflect.String:
		f.SetString(s)
	case reflect.Slice:
		if len(s) < 2 || s[0] != '[' || s[len(s)-1] != ']' {
			return fmt.Errorf("%q: expected a list [a,b,...]", s)
		}
		parts, err := splitTop(s[1 : len(s)-1])
		if err != nil {
			return err
		}
		list := reflect.MakeSlice(f.Type(), len(parts), len(parts))
		for i, p := range parts {
			if err := r.set(list.Index(i), strings.TrimSpace(p)); err != nil {
				return fmt.Errorf("element %d: %w", i, err)
			}
		}
		f.Set(list)
	default:
		return fmt.Errorf("has a type (%s) that cannot be written in a name", f.Type())
	}
	return nil
}

func format(name string, v, def any) string {
	rv := deref(reflect.ValueOf(v))
	var b strings.Builder
	b.WriteString(name)
	sep := "("
	for i := range rv.NumField() {
		key := argName(rv.Type().Field(i))
		if key == "" {
			continue
		}
		f := rv.Field(i)
		if def != nil && reflect.DeepEqual(f.Interface(), deref(reflect.ValueOf(def)).Field(i).Interface()) {
			continue
		}
		b.WriteString(sep + key + "=" + formatValue(f))
		sep = ","
	}
	if sep == "," {
		b.WriteByte(')')
	}
	return b.String()
}

func formatValue(f reflect.Value) string {
	if s, ok := f.Interface().(fmt.Stringer); ok {
		return s.String()
	}
	switch f.Kind() {
	case reflect.Float64:
		return strconv.FormatFloat(f.Float(), 'g', -1, 64)
	case reflect.Slice:
		parts := make([]string, f.Len())
		for i := range parts {
			parts[i] = formatValue(f.Index(i))
		}
		return "[" + strings.Join(parts, ",") + "]"
	default:
		return fmt.Sprint(f.Interface())
	}
}

func deref(v reflect.Value) reflect.Value {
	for v.Kind() == reflect.Pointer || v.Kind() == reflect.Interface {
		v = v.Elem()
	}
	return v
}

func argName(f reflect.StructField) string {
	if !f.IsExported() {
		return ""
	}
	tag, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	switch tag {
	case "-":
		return ""
	case "":
		return strings.ToLower(f.Name)
	}
	return tag
}

func field(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if argName(v.Type().Field(i)) == key {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// Suggest returns "; did you mean …?" with the nearest names, or the list of
// all if none is near. It ends error messages.
func Suggest(got string, names []string) string {
	type near struct {
		name string
		d    int
	}
	var close []near
	for _, n := range names {
		d := distance(got, n)
		if d <= 1+len(got)/3 || (len(got) > 1 && strings.Contains(n, got)) {
			close = append(close, near{n, d})
		}
	}
	sort.SliceStable(close, func(i, j int) bool { return close[i].d < close[j].d })
	if len(close) == 0 {
		if len(names) == 0 {
			return " (it takes none)"
		}
		return " (expected one of " + strings.Join(names, ", ") + ")"
	}
	close = close[:min(len(close), 3)]
	quoted := make([]string, len(close))
	for i, c := range close {
		quoted[i] = strconv.Quote(c.name)
	}
	return "; did you mean " + strings.Join(quoted, " or ") + "?"
}

// distance is the Levenshtein distance of two short strings.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag = row[j+1]
			row[j+1] = min(cost, row[j+1]+1, row[j]+1)
		}
	}
	return row[len(b)]
}
