package safetensors

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// DType is how the elements of a tensor are stored.
type DType uint8

// The dtypes. Those with an F are numbers here, the others are bytes.
const (
	F64 DType = iota + 1
	F32
	F16
	BF16
	I64
	I32
	I16
	I8
	U64
	U32
	U16
	U8
	Bool
)

var dtypes = []struct {
	name string
	size int
}{
	{"", 0},
	{"F64", 8},
	{"F32", 4},
	{"F16", 2},
	{"BF16", 2},
	{"I64", 8},
	{"I32", 4},
	{"I16", 2},
	{"I8", 1},
	{"U64", 8},
	{"U32", 4},
	{"U16", 2},
	{"U8", 1},
	{"BOOL", 1},
}

func (d DType) String() string {
	if !d.known() {
		return fmt.Sprintf("DType(%d)", uint8(d))
	}
	return dtypes[d].name
}

// Size is the number of bytes of an element.
func (d DType) Size() int { return dtypes[d].size }

// Float reports whether elements are numbers of floating point.
func (d DType) Float() bool { return F64 <= d && d <= BF16 }

func (d DType) known() bool { return F64 <= d && d <= Bool }

func parseDType(s string) (DType, error) {
	var names []string
	for d := F64; d <= Bool; d++ {
		if dtypes[d].name == s {
			return d, nil
		}
		names = append(names, dtypes[d].name)
	}
	return 0, fmt.Errorf("dtype is %q: expected one of %s", s, strings.Join(names, ", "))
}

// Param is the name of a tensor and its shape.
type Param struct {
	Name  string
	Shape []int
}

// Info is what a file says of one tensor.
type Info struct {
	Param
	DType      DType
	Begin, End int64 // its bytes, counted from the end of the header
}

// Len is the number of elements.
func (i Info) Len() int { return int(i.End-i.Begin) / i.DType.Size() }

// maxRank is more axes than any program in use can make.
const maxRank = 64

// byteSize is the number of bytes that elements of a shape take.
func byteSize(d DType, shape []int) (int64, error) {
	if len(shape) > maxRank {
		return 0, fmt.Errorf("shape has %d axes: expected at most %d", len(shape), maxRank)
	}
	size := int64(d.Size())
	for _, n := range shape {
		if n < 0 {
			return 0, fmt.Errorf("shape is %v: expected no negative size", shape)
		}
		// A size of 0 is left out, so that no product of the others overflows
		// where strides are made of them.
		if n := int64(max(n, 1)); size > math.MaxInt/n {
			return 0, fmt.Errorf("shape is %v: the elements' bytes overflow an integer", shape)
		} else {
			size *= n
		}
	}
	if slices.Contains(shape, 0) {
		return 0, nil
	}
	return size, nil
}
