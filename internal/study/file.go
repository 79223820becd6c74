package study

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"snrlab/internal/runfile"
)

// JSON is the file that says what else is in the folder.
const JSON = "study.json"

// plainFinding is a Finding without its methods.
type plainFinding Finding

type findingFile struct {
	plainFinding
	Measured runfile.Number `json:"measured"`
}

// MarshalJSON implements json.Marshaler: what does not exist is null.
func (f Finding) MarshalJSON() ([]byte, error) {
	return json.Marshal(findingFile{plainFinding(f), runfile.Number(f.Measured)})
}

// UnmarshalJSON implements json.Unmarshaler.
func (f *Finding) UnmarshalJSON(b []byte) error {
	var in findingFile
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		return err
	}
	*f = Finding(in.plainFinding)
	f.Measured = float64(in.Measured)
	return nil
}

// Write leaves a study in a run folder and returns the names of its files.
func Write(dir string, s *Study) ([]string, error) {
	if err := s.Validate(); err != nil {
		return nil, err
	}
	var files []string
	for _, t := range s.Tables {
		name := t.Name + ".csv"
		if err := runfile.WriteFile(filepath.Join(dir, name), t.Encode); err != nil {
			return nil, err
		}
		files = append(files, name)
	}
	arrays := map[string]runfile.Array{}
	for _, t := range s.Sheets {
		arrays[t.Name] = runfile.Array{Shape: append([]int{t.count()}, t.Shape...), Data: t.Data}
	}
	if len(arrays) > 0 {
		if err := runfile.WriteArrays(filepath.Join(dir, runfile.TraceNPZ), arrays); err != nil {
			return nil, err
		}
		files = append(files, runfile.TraceNPZ)
	}
	err := runfile.WriteFile(filepath.Join(dir, JSON), func(w io.Writer) error {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		enc.SetEscapeHTML(false)
		return enc.Encode(s)
	})
	return append(files, JSON), err
}

// Read reads what [Write] wrote.
func Read(dir string) (*Study, error) {
	path := filepath.Join(dir, JSON)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("study: %s holds no study: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("study: %w", err)
	}
	s := &Study{}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(s); err != nil {
		return nil, fmt.Errorf("study: %s: %w", path, err)
	}
	for _, t := range s.Tables {
		if t == nil || !proper(t.Name, "-_") {
			return nil, fmt.Errorf("study: %s: a table without a proper name", path)
		}
		if err := t.read(filepath.Join(dir, t.Name+".csv")); err != nil {
			return nil, err
		}
	}
	if len(s.Sheets) > 0 {
		arrays, err := runfile.ReadArrays(filepath.Join(dir, runfile.TraceNPZ))
		if err != nil {
			return nil, err
		}
		for _, t := range s.Sheets {
			if t == nil {
				return nil, fmt.Errorf("study: %s: a sheet is null", path)
			}
			a, ok := arrays[t.Name]
			if !ok {
				return nil, fmt.Errorf("study: %s: sheet %s has no array in %s", path, t.Name, runfile.TraceNPZ)
			}
			t.Data = a.Data
		}
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

func (t *Sheet) count() int {
	dim := 1
	for _, n := range t.Shape {
		dim *= n
	}
	return len(t.Data) / dim
}

// Encode writes the table as CSV.
func (t *Table) Encode(w io.Writer) error {
	out := csv.NewWriter(w)
	cells := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		cells[i] = c.Name
	}
	if err := out.Write(cells); err != nil {
		return err
	}
	for _, row := range t.Rows {
		for i, v := range row {
			cells[i] = Cell(v)
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (t *Table) read(path string) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("study: %w", err)
	}
	in := csv.NewReader(bytes.NewReader(b))
	head, err := in.Read()
	if err != nil {
		return fmt.Errorf("study: %s: %w", path, err)
	}
	var names []string
	for _, c := range t.Columns {
		names = append(names, c.Name)
	}
	if strings.Join(head, ",") != strings.Join(names, ",") {
		return fmt.Errorf("study: %s: line 1: columns %s: expected %s", path, strings.Join(head, ","), strings.Join(names, ","))
	}
	t.Rows = nil
	for {
		cells, err := in.Read()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("study: %s: %w", path, err)
		}
		row := make([]any, len(cells))
		for i, c := range t.Columns {
			row[i] = cells[i]
			if c.Text {
				continue
			}
			v, err := runfile.ParseFloat(cells[i])
			if err != nil {
				line, _ := in.FieldPos(i)
				return fmt.Errorf("study: %s: line %d, column %s: %w", path, line, c.Name, err)
			}
			row[i] = v
		}
		t.Rows = append(t.Rows, row)
	}
}
