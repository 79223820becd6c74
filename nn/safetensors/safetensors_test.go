package safetensors

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gorgonia.org/tensor"
	"pgregory.net/rapid"
)

func TestReader_Golden(t *testing.T) {
	text, err := os.ReadFile("testdata/sample.json")
	if err != nil {
		t.Fatal(err)
	}
	var want map[string]struct {
		DType  string
		Shape  []int
		Values []float64
	}
	if err := json.Unmarshal(text, &want); err != nil {
		t.Fatal(err)
	}
	f, err := Open("testdata/sample.safetensors", Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got := f.Metadata(); !cmp.Equal(got, map[string]string{"format": "pt", "größe": "a \"b\"\n"}) {
		t.Errorf("metadata is %q", got)
	}
	if len(f.Tensors()) != len(want) || len(want) < 20 {
		t.Errorf("%d tensors, want %d, at least 20", len(f.Tensors()), len(want))
	}
	for name, w := range want {
		i, err := f.Info(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if i.DType.String() != w.DType || !slices.Equal(i.Shape, w.Shape) {
			t.Errorf("%s is %v of shape %v, want %s of %v", name, i.DType, i.Shape, w.DType, w.Shape)
		}
		switch {
		case i.DType == I64:
			b, err := f.Bytes(name)
			if err != nil || int64(binary.LittleEndian.Uint64(b)) != int64(w.Values[0]) {
				t.Errorf("%s is %v (%v), want %v", name, b, err, w.Values)
			}
			if _, err := f.Dense(name); !errors.Is(err, ErrTensor) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s as floats: %v", name, err)
			}
		case i.Len() == 0:
			if err := ReadInto(f.Reader, name, []float32{}); err != nil {
				t.Error(err)
			}
			if _, err := f.Dense(name); !errors.Is(err, ErrTensor) {
				t.Errorf("%s as an array: %v", name, err)
			}
		default:
			// Exact: widening adds no rounding, and Python prints all digits.
			got := make([]float64, i.Len())
			if err := ReadInto(f.Reader, name, got); err != nil || !slices.Equal(got, w.Values) {
				t.Errorf("%s is %v (%v), want %v", name, got, err, w.Values)
			}
			d, err := f.Dense(name)
			if err != nil || !slices.Equal([]int(d.Shape()), w.Shape) || (d.Dtype() == tensor.Float64) != (i.DType == F64) {
				t.Errorf("%s: array %v (%v)", name, d, err)
			}
		}
	}
}

// file puts a header and bytes together, with the header's length.
func file(header string, body int) []byte {
	b := binary.LittleEndian.AppendUint64(nil, uint64(len(header)))
	return append(append(b, header...), make([]byte, body)...)
}

func open(b []byte) (*Reader, error) {
	return NewReader(bytes.NewReader(b), int64(len(b)), Options{})
}

// hostile are files that have to be refused, with a part of the message.
var hostile = []struct {
	name string
	file []byte
	want string
}{
	{"nothing", nil, "0 bytes"},
	{"no header", make([]byte, 7), "7 bytes"},
	{"header of length 0", file("", 0), "expected {"},
	{"length near 2^64", append(bytes.Repeat([]byte{0xff}, 8), "{}"...), "18446744073709551615"},
	{"length that overflows with 8", append([]byte{0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, "{}"...), "at most 100000000"},
	{"length of 2^63", append([]byte{0, 0, 0, 0, 0, 0, 0, 0x80}, "{}"...), "9223372036854775808"},
	{"length over the limit", append(binary.LittleEndian.AppendUint64(nil, MaxHeader+1), "{}"...), "100000001"},
	{"length within the limit, past the end", append(binary.LittleEndian.AppendUint64(nil, MaxHeader), "{}"...), "truncated"},
	{"space before", file(` {}`, 0), "expected {"},
	{"array", file(`[]`, 0), "expected {"},
	{"line end as padding", file("{}\n", 0), "expected } and spaces"},
	{"two values", file("{}{}", 0), "not JSON"},
	{"comma too many", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],}}`, 1), "not JSON"},
	{"bytes that are not UTF-8", file("{\"\xff\":{}}", 0), "UTF-8"},
	{"half a surrogate", file(`{"\ud800":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), "Unicode"},
	{"name twice", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}`, 2), `"a" is there twice`},
	{"name twice by escape", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"\u0061":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), `"a" is there twice`},
	{"dtype twice", file(`{"a":{"dtype":"U8","dtype":"I8","shape":[1],"data_offsets":[0,1]}}`, 1), `"dtype" is there twice`},
	{"metadata twice", file(`{"__metadata__":{},"__metadata__":{}}`, 0), "is there twice"},
	{"key of metadata twice", file(`{"__metadata__":{"x":"1","x":"2"}}`, 0), `"x" is there twice`},
	{"metadata is no text", file(`{"__metadata__":{"x":1}}`, 0), "expected a string"},
	{"metadata is null", file(`{"__metadata__":null}`, 0), "is null: expected an object"},
	{"metadata nests", file(`{"__metadata__":{"x":{}}}`, 0), "expected a string"},
	{"tensor is null", file(`{"a":null}`, 0), `tensor "a": is null`},
	{"unknown key", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"stride":[1]}}`, 1), `tensor "a": key "stride"`},
	{"case of a key", file(`{"a":{"DType":"U8","shape":[1],"data_offsets":[0,1]}}`, 1), `key "DType"`},
	{"no dtype", file(`{"a":{"shape":[1],"data_offsets":[0,1]}}`, 1), "no dtype"},
	{"no shape", file(`{"a":{"dtype":"U8","data_offsets":[0,1]}}`, 1), "no shape"},
	{"no offsets", file(`{"a":{"dtype":"U8","shape":[1]}}`, 1), "no data_offsets"},
	{"dtype unknown", file(`{"a":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}`, 1), `"F8_E4M3": expected one of F64`},
	{"dtype empty", file(`{"a":{"dtype":"","shape":[1],"data_offsets":[0,1]}}`, 1), "expected one of"},
	{"dtype a number", file(`{"a":{"dtype":1,"shape":[1],"data_offsets":[0,1]}}`, 1), "expected a string"},
	{"shape is null", file(`{"a":{"dtype":"U8","shape":null,"data_offsets":[0,1]}}`, 1), "is null: expected an array"},
	{"shape below 0", file(`{"a":{"dtype":"U8","shape":[-1,-1],"data_offsets":[0,1]}}`, 1), "has -1"},
	{"shape with a point", file(`{"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}}`, 1), "has 1.0"},
	{"shape with an exponent", file(`{"a":{"dtype":"U8","shape":[1e0],"data_offsets":[0,1]}}`, 1), "has 1e0"},
	{"shape of texts", file(`{"a":{"dtype":"U8","shape":["1"],"data_offsets":[0,1]}}`, 1), `has "1"`},
	{"shape past 2^63", file(`{"a":{"dtype":"U8","shape":[9223372036854775808],"data_offsets":[0,1]}}`, 1), "has 9223372036854775808"},
	{"product overflows to 0", file(`{"a":{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "overflow"},
	{"product overflows with the dtype", file(`{"a":{"dtype":"F64","shape":[2305843009213693952],"data_offsets":[0,0]}}`, 0), "overflow"},
	{"product overflows beside a 0", file(`{"a":{"dtype":"U8","shape":[0,4294967296,4294967296],"data_offsets":[0,0]}}`, 0), "overflow"},
	{"too many axes", file(`{"a":{"dtype":"U8","shape":[1`+strings.Repeat(",1", 64)+`],"data_offsets":[0,1]}}`, 1), "65 axes"},
	{"bytes do not fit the shape", file(`{"a":{"dtype":"F32","shape":[2,3],"data_offsets":[0,20]}}`, 20), `tensor "a": data_offsets [0 20] hold 20 bytes: expected 24 for F32 of shape [2 3]`},
	{"offsets turned round", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}}`, 1), "[1 0]"},
	{"three offsets", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}}`, 2), "[0 1 2]"},
	{"offsets past 2^63", file(`{"a":{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551615,0]}}`, 1), "18446744073709551615"},
	{"a large tensor in a small file", file(`{"a":{"dtype":"F32","shape":[1152921504606846976],"data_offsets":[0,4611686018427387904]}}`, 4), `tensor "a": data_offsets end at 4611686018427387904`},
	{"overlap", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[2,6]}}`, 6), `tensor "b": data_offsets begin at 2: expected 4, the end of "a"; they overlap`},
	{"same bytes", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 4), "overlap"},
	{"empty tensor within another", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[0],"data_offsets":[2,2]}}`, 4), "overlap"},
	{"gap", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[5,9]}}`, 9), "belong to no tensor"},
	{"gap at the start", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[1,5]}}`, 5), "the end of the header"},
	{"truncated", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 3), "truncated"},
	{"bytes behind", file(`{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}`, 5), "5 bytes after the header: expected 4"},
	{"bytes behind nothing", file(`{}`, 1), "1 bytes after the header: expected 0"},
	{"deep", file(strings.Repeat(`{"a":`, 20000)+"1"+strings.Repeat("}", 20000), 0), "JSON"},
}

func TestReader_Refuses(t *testing.T) {
	for _, c := range hostile {
		if _, err := open(c.file); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want ErrFormat with %q", c.name, err, c.want)
		}
	}
	if _, err := NewReader(bytes.NewReader(nil), 0, Options{Finite: 7}); err == nil || !strings.Contains(err.Error(), "Finite is 7") {
		t.Errorf("unknown policy: %v", err)
	}
	if _, err := Open("testdata", Options{}); err == nil || !strings.Contains(err.Error(), "regular") {
		t.Errorf("a folder: %v", err)
	}
	// Cuts of a sound file, and a size that promises more than there is.
	whole, err := os.ReadFile("testdata/sample.safetensors")
	if err != nil {
		t.Fatal(err)
	}
	for n := 0; n < len(whole); n += 13 {
		if _, err := open(whole[:n]); !errors.Is(err, ErrFormat) {
			t.Fatalf("cut to %d of %d bytes: %v", n, len(whole), err)
		}
	}
	if _, err := NewReader(bytes.NewReader(whole[:100]), int64(len(whole)), Options{}); !errors.Is(err, ErrFormat) {
		t.Errorf("cut in the header behind our back: %v", err)
	}
	short, err := NewReader(bytes.NewReader(whole[:len(whole)-1]), int64(len(whole)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	if b, err := short.Bytes("step"); err == nil || !strings.Contains(err.Error(), `"step"`) {
		t.Errorf("cut in a tensor behind our back: %v (%v)", b, err)
	}
}

// What a hostile file costs is bounded by its size, not by what it claims.
func TestReader_Alloc(t *testing.T) {
	for _, c := range hostile {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _ = open(c.file)
		runtime.ReadMemStats(&after)
		// Reading and decoding take a few copies of the header, and errors and
		// buffers some kB.
		if got, limit := after.TotalAlloc-before.TotalAlloc, uint64(16*len(c.file)+1<<16); got > limit {
			t.Errorf("%s: %d bytes for a file of %d, want at most %d", c.name, got, len(c.file), limit)
		}
	}
}

func TestFinite_Refuses(t *testing.T) {
	nan, inf := math.NaN(), math.Inf(-1)
	for _, d := range []DType{F64, F32, F16, BF16} {
		for _, c := range []struct {
			v    float64
			from Finite // the first policy that accepts it
		}{{1, FiniteOnly}, {inf, AllowInf}, {nan, AllowAll}} {
			entry := Entry{"w", d, []int{3}, []float64{0, 1, c.v}}
			var all bytes.Buffer
			if err := Write(&all, []Entry{entry}, nil, Options{AllowAll}); err != nil {
				t.Fatal(err)
			}
			for f := FiniteOnly; f <= AllowAll; f++ {
				writes := Write(&bytes.Buffer{}, []Entry{entry}, nil, Options{f})
				r, err := NewReader(bytes.NewReader(all.Bytes()), int64(all.Len()), Options{f})
				if err != nil {
					t.Fatal(err)
				}
				_, reads := r.Dense("w")
				for what, err := range map[string]error{"write": writes, "read": reads} {
					if ok := f >= c.from; (err == nil) != ok {
						t.Errorf("%s %v as %v under policy %d: %v", what, c.v, d, f, err)
					} else if err != nil && (!strings.Contains(err.Error(), "element 2") || !strings.Contains(err.Error(), `"w"`)) {
						t.Errorf("%s: %v: expected the element and the tensor", what, err)
					}
				}
			}
		}
	}
	// Finite, but not in the dtype: refused under every policy.
	for d, v := range map[DType]float64{F16: 65520, BF16: 3.4e38, F32: 1e39} {
		if err := Write(&bytes.Buffer{}, []Entry{{"w", d, []int{1}, []float64{v}}}, nil, Options{AllowAll}); !errors.Is(err, ErrTensor) {
			t.Errorf("%g as %v: %v", v, d, err)
		}
	}
	var wide bytes.Buffer
	if err := Write(&wide, []Entry{{"w", F64, []int{1}, []float64{1e39}}}, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	r, err := open(wide.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if err := ReadInto(r, "w", make([]float32, 1)); !errors.Is(err, ErrTensor) {
		t.Errorf("1e39 into float32: %v", err)
	}
}

// What is written is read back, whatever the order it came in, and the bytes of
// the file do not depend on that order. Elements are aligned.
func TestWrite_Property(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		names := rapid.SliceOfNDistinct(rapid.StringMatching(`[a-zé<"\\\n. ]{0,6}`), 0, 6, rapid.ID[string]).Draw(t, "names")
		var entries []Entry
		for _, name := range names {
			d := DType(rapid.IntRange(int(F64), int(Bool)).Draw(t, "dtype"))
			shape := rapid.SliceOfN(rapid.IntRange(0, 4), 0, 4).Draw(t, "shape")
			n := 1
			for _, s := range shape {
				n *= s
			}
			e := Entry{name, d, shape, make([]byte, n*d.Size())}
			if d.Float() { // exact in every dtype: eight bits of fraction at most
				v := make([]float64, n)
				for k := range v {
					v[k] = float64(rapid.IntRange(-255, 255).Draw(t, "v")) / 128
				}
				e.Values = v
			} else {
				for k := range e.Values.([]byte) {
					e.Values.([]byte)[k] = rapid.Byte().Draw(t, "b")
				}
			}
			entries = append(entries, e)
		}
		meta := rapid.MapOf(rapid.StringMatching("[a-z&]{0,3}"), rapid.StringMatching("[ -~]{0,5}")).Draw(t, "meta")
		var a, b bytes.Buffer
		if err := Write(&a, entries, meta, Options{}); err != nil {
			t.Fatal(err)
		}
		if err := Write(&b, rapid.Permutation(entries).Draw(t, "order"), meta, Options{}); err != nil || !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Fatalf("another order gives other bytes (%v)", err)
		}
		r, err := open(a.Bytes())
		if err != nil {
			t.Fatalf("%v\n%q", err, a.Bytes())
		}
		if !cmp.Equal(r.Metadata(), meta) || len(r.Tensors()) != len(entries) {
			t.Fatalf("metadata %q, %d tensors", r.Metadata(), len(r.Tensors()))
		}
		for _, e := range entries {
			i, err := r.Info(e.Name)
			if err != nil || i.DType != e.DType || !slices.Equal(i.Shape, e.Shape) || (r.start+i.Begin)%int64(e.DType.Size()) != 0 {
				t.Fatalf("%+v is %+v, from byte %d (%v)", e, i, r.start+i.Begin, err)
			}
			switch want := e.Values.(type) {
			case []byte:
				if got, err := r.Bytes(e.Name); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("%q is %v, want %v (%v)", e.Name, got, want, err)
				}
			case []float64:
				got := make([]float64, len(want))
				if err := ReadInto(r, e.Name, got); err != nil || !slices.Equal(got, want) {
					t.Fatalf("%q is %v, want %v (%v)", e.Name, got, want, err)
				}
			}
		}
	})
}

// A tensor longer than the buffers of reading and writing.
func TestWriteFile_LongTensor(t *testing.T) {
	const n = 1<<16 + 12345
	values := make([]float32, n)
	for k := range values {
		values[k] = float32(k) / 7
	}
	entry, err := Floats("long", F32, tensor.New(tensor.WithShape(n), tensor.WithBacking(values)))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "x.safetensors")
	if err := WriteFile(path, []Entry{entry}, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	f, err := Open(path, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	d, err := f.Dense("long")
	if err != nil || !slices.Equal(d.Float32s(), values) {
		t.Fatalf("read back differently (%v)", err)
	}

	// A write that fails leaves the old file and nothing besides.
	was, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	values[n-1] = float32(math.NaN())
	if err := WriteFile(path, []Entry{entry}, nil, Options{}); !errors.Is(err, ErrTensor) {
		t.Errorf("NaN: %v", err)
	}
	now, err := os.ReadFile(path)
	if err != nil || !bytes.Equal(was, now) {
		t.Errorf("the failed write changed the file (%v)", err)
	}
	if left, err := os.ReadDir(filepath.Dir(path)); err != nil || len(left) != 1 {
		t.Errorf("the failed write left %v (%v)", left, err)
	}
}

func TestWrite_Refuses(t *testing.T) {
	one := []float32{1}
	for name, c := range map[string]struct {
		entries []Entry
		want    string
	}{
		"name twice":     {[]Entry{{"a", F32, []int{1}, one}, {"a", F64, []int{1}, one}}, `"a": is there twice`},
		"reserved":       {[]Entry{{"__metadata__", F32, []int{1}, one}}, "reserved"},
		"not UTF-8":      {[]Entry{{"\xff", F32, []int{1}, one}}, "UTF-8"},
		"no dtype":       {[]Entry{{"a", 0, []int{1}, one}}, "DType(0)"},
		"unknown dtype":  {[]Entry{{"a", 99, []int{1}, one}, {"b", F32, []int{1}, one}}, "DType(99)"},
		"shape":          {[]Entry{{"a", F32, []int{2}, one}}, "[2]"},
		"negative shape": {[]Entry{{"a", F32, []int{-1, -1}, one}}, "negative"},
		"half an int":    {[]Entry{{"a", I32, []int{1}, []byte{1, 2, 3}}}, "4 bytes of I32"},
		"bytes as float": {[]Entry{{"a", F32, []int{1}, []byte{1, 2, 3, 4}}}, "[]uint8"},
		"float as int":   {[]Entry{{"a", I32, []int{1}, one}}, "[]float32"},
		"no values":      {[]Entry{{"a", F32, []int{1}, nil}}, "<nil>"},
	} {
		var out bytes.Buffer
		if err := Write(&out, c.entries, nil, Options{}); !errors.Is(err, ErrTensor) || !strings.Contains(err.Error(), c.want) || out.Len() > 0 {
			t.Errorf("%s: %v and %d bytes, want %q and none", name, err, out.Len(), c.want)
		}
	}
	d := tensor.New(tensor.WithShape(2, 3), tensor.WithBacking([]float32{1, 2, 3, 4, 5, 6}))
	column, err := d.Slice(nil, tensor.S(1))
	if err != nil {
		t.Fatal(err)
	}
	turned := d.Clone().(*tensor.Dense)
	if err := turned.T(); err != nil {
		t.Fatal(err)
	}
	for name, array := range map[string]*tensor.Dense{
		"column":  column.(*tensor.Dense),
		"turned":  turned,
		"fortran": tensor.New(tensor.AsFortran([]float32{1, 2, 3, 4, 5, 6}), tensor.WithShape(2, 3)),
		"ints":    tensor.New(tensor.WithShape(1), tensor.WithBacking([]int{1})),
		"none":    nil,
	} {
		if _, err := Floats(name, F32, array); !errors.Is(err, ErrTensor) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// A row is a view that is contiguous, and a scalar has no axes.
	row, err := d.Slice(tensor.S(1))
	if err != nil {
		t.Fatal(err)
	}
	if e, err := Floats("row", F32, row.(*tensor.Dense)); err != nil || !slices.Equal(e.Values.([]float32), []float32{4, 5, 6}) || !slices.Equal(e.Shape, []int{3}) {
		t.Errorf("row: %+v (%v)", e, err)
	}
	if e, err := Floats("scalar", F16, tensor.New(tensor.FromScalar(2.5))); err != nil || !slices.Equal(e.Values.([]float64), []float64{2.5}) || len(e.Shape) != 0 {
		t.Errorf("scalar: %+v (%v)", e, err)
	}
}

func TestReader_Match(t *testing.T) {
	r, err := open(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"I8","shape":[1],"data_offsets":[8,9]}}`, 9))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		params []Param
		want   []string
	}{
		{[]Param{{"a", []int{2}}}, []string{`"b" of shape [1] was not expected`}},
		{[]Param{{"a", []int{1, 2}}, {"c", []int{3}}}, []string{`"a" has shape [2], expected [1 2]`, `"c" of shape [3] is missing`, `"b"`}},
		{[]Param{{"a", []int{2}}, {"b", []int{1}}}, []string{`"b" is I8`}},
		{[]Param{{"a", []int{2}}, {"a", []int{2}}}, []string{"expected twice"}},
	} {
		err := r.Match(c.params)
		for _, w := range c.want {
			if !errors.Is(err, ErrTensor) || !strings.Contains(err.Error(), w) {
				t.Errorf("%v: %v, want %q", c.params, err, w)
			}
		}
	}
	r, err = open(file(`{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}`, 8))
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Match([]Param{{"a", []int{2}}}); err != nil {
		t.Error(err)
	}
	if err := ReadInto(r, "a", make([]float32, 3)); !errors.Is(err, ErrTensor) || !strings.Contains(err.Error(), "expected 3") {
		t.Errorf("wrong length: %v", err)
	}
	if _, err := r.Dense("z"); !errors.Is(err, ErrTensor) || !strings.Contains(err.Error(), `"z"`) {
		t.Errorf("unknown tensor: %v", err)
	}
}

// Any bytes give an error or tensors that can all be read, written, and read
// again.
func FuzzReader(f *testing.F) {
	for _, c := range hostile {
		if len(c.file) < 1<<12 {
			f.Add(c.file)
		}
	}
	f.Add(file(`{"a":{"dtype":"F16","shape":[2,2],"data_offsets":[0,8]},"b":{"dtype":"BOOL","shape":[],"data_offsets":[8,9]}}`, 9))
	if sample, err := os.ReadFile("testdata/sample.safetensors"); err == nil {
		f.Add(sample)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b), int64(len(b)), Options{AllowAll})
		if err != nil {
			if !errors.Is(err, ErrFormat) {
				t.Errorf("%v is not ErrFormat", err)
			}
			return
		}
		var entries []Entry
		for _, i := range r.Tensors() {
			e := Entry{Name: i.Name, DType: i.DType, Shape: i.Shape}
			if i.DType.Float() {
				v := make([]float64, i.Len())
				if err := ReadInto(r, i.Name, v); err != nil {
					t.Fatal(err)
				}
				if d, err := r.Dense(i.Name); (err == nil) != (i.Len() > 0) {
					t.Fatalf("%+v: %v (%v)", i, d, err)
				}
				e.Values = v
			} else if e.Values, err = r.Bytes(i.Name); err != nil {
				t.Fatal(err)
			}
			entries = append(entries, e)
		}
		var first, second bytes.Buffer
		if err := Write(&first, entries, r.Metadata(), Options{AllowAll}); err != nil {
			t.Fatal(err)
		}
		again, err := NewReader(bytes.NewReader(first.Bytes()), int64(first.Len()), Options{AllowAll})
		if err != nil || len(again.Tensors()) != len(entries) {
			t.Fatalf("written and not read: %v", err)
		}
		if err := Write(&second, entries, again.Metadata(), Options{AllowAll}); err != nil || !bytes.Equal(first.Bytes(), second.Bytes()) {
			t.Fatalf("written twice, differently (%v)", err)
		}
	})
}

// Elements that come when it is their turn are as those that are there, and are
// held to the shape.
func TestWrite_Lazy(t *testing.T) {
	room := make([]float32, 3)
	fill := func(n int, v float32) func() []float32 {
		return func() []float32 {
			for i := range room {
				room[i] = v
			}
			return room[:n]
		}
	}
	var lazy, ready bytes.Buffer
	if err := Write(&lazy, []Entry{
		{Name: "a", DType: F32, Shape: []int{3}, Values: fill(3, 1)},
		{Name: "b", DType: F16, Shape: []int{2, 1}, Values: fill(2, 2)},
		{Name: "c", DType: F64, Shape: []int{1}, Values: func() []float64 { return []float64{3} }},
	}, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if err := Write(&ready, []Entry{
		{Name: "a", DType: F32, Shape: []int{3}, Values: []float32{1, 1, 1}},
		{Name: "b", DType: F16, Shape: []int{2, 1}, Values: []float32{2, 2}},
		{Name: "c", DType: F64, Shape: []int{1}, Values: []float64{3}},
	}, nil, Options{}); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(lazy.Bytes(), ready.Bytes()) {
		t.Error("the files differ")
	}
	for _, e := range []Entry{
		{Name: "a", DType: F32, Shape: []int{2}, Values: fill(3, 1)},
		{Name: "a", DType: F32, Shape: []int{3}, Values: fill(0, 1)},
		{Name: "a", DType: U8, Shape: []int{3}, Values: fill(3, 1)},
	} {
		if err := Write(io.Discard, []Entry{e}, nil, Options{}); !errors.Is(err, ErrTensor) {
			t.Errorf("%v of shape %v: %v", e.DType, e.Shape, err)
		}
	}
}
