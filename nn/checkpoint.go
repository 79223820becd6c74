package nn

import (
	"errors"
	"fmt"
	"maps"

	"snrlab/nn/safetensors"
)

// SaveOptions are how parameters are stored. The zero value keeps all bits.
type SaveOptions struct {
	// DType is that of the file; 0 is F32, and F64 for float64.
	DType safetensors.DType
	// Metadata are texts to store beside format = pt, which torch programs ask
	// for.
	Metadata map[string]string
}

// LoadOptions are how a file stands for parameters. The zero value asks for
// exactly the names and shapes that Save writes.
type LoadOptions struct {
	// Stored, unless nil, is called with each parameter's name and shape, and
	// returns those of the tensor in r that holds it: of as many elements, in the
	// same order. It is how files of other programs and other times are read.
	Stored func(r *safetensors.Reader, p safetensors.Param) safetensors.Param
	// Extra leaves tensors out that belong to no parameter, where they are an
	// error otherwise.
	Extra bool
}

// Save writes parameters as a safetensors file, in torch's names, shapes and
// order of elements, whole or not at all. Tensors are written one after the
// other: memory is that of the largest, not of all.
func Save[T Float](path string, params Params[T], options SaveOptions) error {
	if err := params.made(); err != nil {
		return err
	}
	return save(path, params, options, func(i int) []T { return params[i].value })
}

// save writes arrays like the values of parameters under their names.
func save[T, E Float](path string, params Params[T], options SaveOptions, array func(i int) []E) error {
	meta := map[string]string{"format": "pt"}
	maps.Copy(meta, options.Metadata)
	d := options.DType
	if d == 0 {
		d = native[T]()
	}
	var entries []safetensors.Entry
	var room []E
	for i, p := range params {
		entries = append(entries, entry(p.name, p.shape, d, func() []E { return torchOrder(p, array(i), &room) }))
	}
	if err := safetensors.WriteFile(path, entries, meta, safetensors.Options{}); err != nil {
		return fmt.Errorf("nn: save %s: %w", path, err)
	}
	return nil
}

// Load reads the values of parameters from a safetensors file, see [Read].
func Load[T Float](path string, params Params[T], options LoadOptions) error {
	f, err := safetensors.Open(path, safetensors.Options{})
	if err != nil {
		return fmt.Errorf("nn: %w", err)
	}
	defer f.Close()
	if err := Read(f.Reader, params, options); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// Read reads the values of parameters from tensors of F32, F16, BF16 or F64.
// Where names or shapes do not fit, the error names the tensors, what was
// expected and what came, and nothing changes. Elements are read after that: one
// that is not finite leaves some parameters read and others as they were.
func Read[T Float](r *safetensors.Reader, params Params[T], options LoadOptions) error {
	stored := make([]safetensors.Param, len(params))
	for i, p := range params {
		stored[i] = safetensors.Param{Name: p.name, Shape: p.shape}
		if options.Stored != nil {
			stored[i] = options.Stored(r, stored[i])
		}
		n, _ := product(p.shape)
		if m, ok := product(stored[i].Shape); !ok || m != n {
			return fmt.Errorf("nn: %s has shape %v and cannot be stored as %q of shape %v: %w", p.name, p.shape, stored[i].Name, stored[i].Shape, ErrShape)
		}
	}
	match := r.Match
	if options.Extra {
		match = r.Contains
	}
	if err := match(stored); err != nil {
		return fmt.Errorf("nn: the file does not fit the network: %w", err)
	}
	params.Make() // as much as the file has
	var room []T
	for i, p := range params {
		if err := readOrdered(r, stored[i].Name, p, p.value, &room); err != nil {
			return err
		}
	}
	return nil
}

// native is the dtype that keeps all bits of T.
func native[T Float]() safetensors.DType {
	if sizeof[T]() == 8 {
		return safetensors.F64
	}
	return safetensors.F32
}

// entry is a tensor to be written, of values that are made when it is its turn.
func entry[T Float](name string, shape []int, d safetensors.DType, values func() []T) safetensors.Entry {
	return safetensors.Entry{Name: name, DType: d, Shape: shape, Values: values}
}

// torchOrder returns x, an array in the order of p's value, in torch's order: x
// itself or a copy in room.
func torchOrder[T, E Float](p *Param[T], x []E, room *[]E) []E {
	if !p.filter() {
		return x
	}
	out := grow(room, len(x))
	filterFirst(out, x, p.shape[0], p.shape[1], p.shape[2]*p.shape[3])
	return out
}

// readOrdered reads a tensor of p's shape into x, an array in the order of p's
// value, by way of room.
func readOrdered[T, E Float](r *safetensors.Reader, name string, p *Param[T], x []E, room *[]E) error {
	dst := x
	if p.filter() {
		dst = grow(room, len(x))
	}
	if err := safetensors.ReadInto(r, name, dst); err != nil {
		return fmt.Errorf("nn: %w", err)
	}
	if p.filter() {
		filterLast(x, dst, p.shape[0], p.shape[1], p.shape[2]*p.shape[3])
	}
	return nil
}

// grow returns n numbers of room, of arbitrary values.
func grow[E Float](room *[]E, n int) []E {
	if cap(*room) < n {
		*room = make([]E, n)
	}
	return (*room)[:n]
}

// made reports a parameter that has no values yet.
func (ps Params[T]) made() error {
	for _, p := range ps {
		if len(p.value) == 0 {
			return errors.New("nn: " + p.name + " has no values yet: load them, or Make them")
		}
	}
	return nil
}
