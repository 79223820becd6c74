package experiments

import (
	"fmt"
	"io"
	"reflect"
	"strings"
	"text/tabwriter"

	"snrlab/internal/runfile"
)

// table collects lines and aligned rows of text and writes them at once, so
// that one error check is enough.
type table struct {
	b    strings.Builder
	rows *tabwriter.Writer
}

// line adds text as it is, after the rows before it.
func (t *table) line(format string, args ...any) {
	t.endRows()
	fmt.Fprintf(&t.b, format+"\n", args...)
}

// row adds cells that are aligned with those of the rows around it.
func (t *table) row(cells ...string) {
	if t.rows == nil {
		t.rows = tabwriter.NewWriter(&t.b, 0, 0, 2, ' ', 0)
	}
	fmt.Fprintln(t.rows, strings.Join(cells, "\t"))
}

func (t *table) endRows() {
	if t.rows != nil {
		t.rows.Flush()
		t.rows = nil
	}
}

func (t *table) flush(w io.Writer) error {
	t.endRows()
	_, err := io.WriteString(w, t.b.String())
	return err
}

// Number is a float64 that JSON can hold: NaN, which stands for what does not
// exist, is null, and infinities are the strings "+Inf" and "-Inf".
type Number = runfile.Number

// jsonRow is a row of a data file under the names of its columns.
func jsonRow(row any) map[string]any {
	v := reflect.ValueOf(row)
	m := map[string]any{}
	for i := range v.NumField() {
		name, f := v.Type().Field(i).Tag.Get("csv"), v.Field(i)
		if f.Kind() == reflect.Float64 {
			m[name] = Number(f.Float())
		} else {
			m[name] = f.Interface()
		}
	}
	return m
}

// number prints v in few digits; NaN, which stands for what does not exist, as
// a dash.
func number(v float64) string { return Number(v).String() }
