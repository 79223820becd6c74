package runfile

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"reflect"
	"strconv"
	"strings"
	"unicode"

	"snrlab/internal/spec"
)

// EncodeRows writes rows as CSV under a header of their csv tags. Rows are
// flat structs of string, int, bool and float64. Floats are the shortest
// decimals that read back to the same bits; NaN is an empty cell, infinities
// are +Inf and -Inf.
func EncodeRows[T any](w io.Writer, rows []T) error {
	cols := columns[T]()
	out := csv.NewWriter(w)
	cells := make([]string, len(cols))
	for i, c := range cols {
		cells[i] = c.name
	}
	if err := out.Write(cells); err != nil {
		return err
	}
	for i := range rows {
		rv := reflect.ValueOf(&rows[i]).Elem()
		for j, c := range cols {
			cells[j] = formatCell(rv.Field(c.field))
			if hasControl(cells[j]) {
				return fmt.Errorf("runfile: row %d, column %s: %q has a control character", i+1, c.name, cells[j])
			}
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

// DecodeRows reads what [EncodeRows] writes. Columns may stand in any order,
// but each must be there once and none besides. Errors name the file as given,
// the line and the column.
func DecodeRows[T any](r io.Reader, file string) ([]T, error) {
	cols := columns[T]()
	in := csv.NewReader(r)
	header, err := in.Read()
	if errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("runfile: %s: is empty: expected a header line", file)
	}
	if err != nil {
		return nil, fmt.Errorf("runfile: %s: %w", file, err)
	}
	order, err := matchHeader(header, cols)
	if err != nil {
		return nil, fmt.Errorf("runfile: %s: line 1: %w", file, err)
	}
	var rows []T
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, nil
		}
		if err != nil {
			// csv.ParseError states line and column, truncated rows included.
			return nil, fmt.Errorf("runfile: %s: %w", file, err)
		}
		var row T
		rv := reflect.ValueOf(&row).Elem()
		for j, cell := range cells {
			c := cols[order[j]]
			if err := parseCell(rv.Field(c.field), cell); err != nil {
				line, _ := in.FieldPos(j)
				return nil, fmt.Errorf("runfile: %s: line %d, column %s: %w", file, line, c.name, err)
			}
		}
		rows = append(rows, row)
	}
}

// column is one field of a row type.
type column struct {
	name  string
	field int
}

func columns[T any]() []column {
	t := reflect.TypeFor[T]()
	var cols []column
	for i := range t.NumField() {
		if name := t.Field(i).Tag.Get("csv"); name != "" {
			cols = append(cols, column{name, i})
		}
	}
	return cols
}

// matchHeader returns the index into cols of every column of the file.
func matchHeader(header []string, cols []column) ([]int, error) {
	names := make([]string, len(cols))
	at := make(map[string]int, len(cols))
	for i, c := range cols {
		names[i], at[c.name] = c.name, i
	}
	seen := make(map[string]bool, len(cols))
	order := make([]int, len(header))
	for j, h := range header {
		i, ok := at[h]
		switch {
		case !ok:
			return nil, fmt.Errorf("unknown column %q%s", h, spec.Suggest(h, names))
		case seen[h]:
			return nil, fmt.Errorf("column %q is there twice", h)
		}
		seen[h], order[j] = true, i
	}
	for _, n := range names {
		if !seen[n] {
			return nil, fmt.Errorf("column %q is missing", n)
		}
	}
	return order, nil
}

func formatCell(f reflect.Value) string {
	switch f.Kind() {
	case reflect.Float64:
		return FormatFloat(f.Float())
	case reflect.Int:
		return strconv.FormatInt(f.Int(), 10)
	case reflect.Bool:
		return strconv.FormatBool(f.Bool())
	case reflect.String:
		return f.String()
	}
	panic("runfile: a column of type " + f.Type().String())
}

func parseCell(f reflect.Value, s string) error {
	switch f.Kind() {
	case reflect.Float64:
		v, err := ParseFloat(s)
		if err != nil {
			return err
		}
		f.SetFloat(v)
	case reflect.Int:
		v, err := strconv.ParseInt(s, 10, 64)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", s)
		}
		f.SetInt(v)
	case reflect.Bool:
		if s != "true" && s != "false" {
			return fmt.Errorf("%q is neither true nor false", s)
		}
		f.SetBool(s == "true")
	case reflect.String:
		if hasControl(s) {
			return fmt.Errorf("%q has a control character", s)
		}
		f.SetString(s)
	default:
		panic("runfile: a column of type " + f.Type().String())
	}
	return nil
}

// FormatFloat prints v as the data files do: the shortest decimal that reads
// back to the same bits, nothing for NaN, +Inf and -Inf.
func FormatFloat(v float64) string {
	if math.IsNaN(v) {
		return ""
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// ParseFloat reads what [FormatFloat] prints.
func ParseFloat(s string) (float64, error) {
	if s == "" {
		return math.NaN(), nil
	}
	v, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(v) {
		return 0, fmt.Errorf("%q is not a number (an empty cell stands for none)", s)
	}
	return v, nil
}

func hasControl(s string) bool { return strings.IndexFunc(s, unicode.IsControl) >= 0 }
