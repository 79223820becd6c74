package dialects

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"strconv"
)

// Array is a list of numbers, or of lists of them, read from JSON that may spell
// NaN and the infinities as strings.
type Array struct {
	Values []float64 // strung together, in order
	Shape  []int     // nil where lists at one depth differ in length
}

// UnmarshalJSON reads nested lists of numbers.
func (a *Array) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	*a = Array{}
	if err := a.list(d); err != nil {
		return err
	}
	_, err := d.Token()
	if err != io.EOF {
		return fmt.Errorf("expected one list")
	}
	return nil
}

const maxDepth = 8

func (a *Array) list(d *json.Decoder) error {
	t, err := d.Token()
	if err != nil {
		return err
	}
	if v, err := number(t); err == nil { // a single number
		a.Values, a.Shape = []float64{v}, []int{}
		return nil
	}
	if t != json.Delim('[') {
		return fmt.Errorf("expected a list of numbers, got %v", t)
	}
	depth, leaf, ragged := 1, 0, false
	counts, shape := []int{0}, []int{}
	end := func() {
		n := counts[depth-1]
		for len(shape) < depth {
			shape = append(shape, -1)
		}
		if shape[depth-1] >= 0 && shape[depth-1] != n {
			ragged = true
		}
		shape[depth-1] = n
		counts = counts[:depth-1]
		depth--
	}
	for depth > 0 {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('['):
			counts[depth-1]++
			if depth++; depth > maxDepth {
				return fmt.Errorf("lists inside lists %d deep: expected at most %d", depth, maxDepth)
			}
			counts = append(counts, 0)
			continue
		case json.Delim(']'):
			end()
			continue
		}
		v, err := number(t)
		if err != nil {
			return err
		}
		if leaf == 0 {
			leaf = depth
		}
		ragged = ragged || leaf != depth
		counts[depth-1]++
		a.Values = append(a.Values, v)
	}
	if !ragged {
		a.Shape = shape
	}
	return nil
}

func number(t json.Token) (float64, error) {
	switch t := t.(type) {
	case float64:
		return t, nil
	case string:
		switch t {
		case "NaN":
			return math.NaN(), nil
		case "Infinity":
			return math.Inf(1), nil
		case "-Infinity":
			return math.Inf(-1), nil
		}
	}
	return 0, fmt.Errorf("%v is not a number", t)
}

// Is reports whether the array has exactly this shape.
func (a Array) Is(shape ...int) bool {
	if len(a.Shape) != len(shape) {
		return false
	}
	for i, n := range shape {
		if a.Shape[i] != n {
			return false
		}
	}
	return true
}

// At returns element i of the first dimension, strung together. It panics where
// the array has no such element.
func (a Array) At(i int) []float64 {
	n := len(a.Values) / a.Shape[0]
	return a.Values[i*n : (i+1)*n]
}

// Len is the length of the first dimension; 0 where there is none.
func (a Array) Len() int {
	if len(a.Shape) == 0 {
		return 0
	}
	return a.Shape[0]
}

// JSON returns the numbers as one JSON list.
func (a Array) JSON() json.RawMessage {
	text := []byte{'['}
	for i, v := range a.Values {
		if i > 0 {
			text = append(text, ',')
		}
		switch {
		case math.IsNaN(v):
			text = append(text, `"NaN"`...)
		case math.IsInf(v, 0):
			text = append(text, map[bool]string{true: `"Infinity"`, false: `"-Infinity"`}[v > 0]...)
		default:
			text = strconv.AppendFloat(text, v, 'g', -1, 64)
		}
	}
	return append(text, ']')
}
