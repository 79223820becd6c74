package safetensors

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxHeader is the longest header, in bytes, that files have: the limit of the
// reference implementation [huggingface2022].
const MaxHeader = 100_000_000

// metadataKey is the one key of a header that names no tensor.
const metadataKey = "__metadata__"

// readHeader returns the tensors of a file in the order of their bytes, the
// free-form texts, and where the elements begin.
func readHeader(r io.ReaderAt, size int64) (infos []Info, meta map[string]string, start int64, err error) {
	if size < 8 {
		return nil, nil, 0, fmt.Errorf("file has %d bytes: expected at least the 8 of the header's length", size)
	}
	var word [8]byte
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, 8), word[:]); err != nil {
		return nil, nil, 0, fmt.Errorf("header's length: %w", cutShort(err))
	}
	n := binary.LittleEndian.Uint64(word[:])
	if n > MaxHeader {
		return nil, nil, 0, fmt.Errorf("header's length is %d: expected at most %d; is this a safetensors file?", n, MaxHeader)
	}
	if int64(n) > size-8 {
		return nil, nil, 0, fmt.Errorf("header's length is %d: the file has %d bytes after it; is it truncated?", n, size-8)
	}
	start = 8 + int64(n)
	// Grows with what is read, should the size be wrong.
	header, err := io.ReadAll(io.NewSectionReader(r, 8, int64(n)))
	if err == nil && len(header) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return nil, nil, 0, fmt.Errorf("header: %w", err)
	}
	infos, meta, err = parseHeader(header)
	if err != nil {
		return nil, nil, 0, fmt.Errorf("header: %w", err)
	}
	return infos, meta, start, checkCover(infos, size-start)
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// checkCover sorts tensors by their bytes and holds them to covering all bytes
// once.
func checkCover(infos []Info, size int64) error {
	slices.SortFunc(infos, func(a, b Info) int {
		return cmp.Or(cmp.Compare(a.Begin, b.Begin), cmp.Compare(a.End, b.End), strings.Compare(a.Name, b.Name))
	})
	end, before := int64(0), "the header"
	for _, i := range infos {
		switch {
		case i.Begin < end:
			return fmt.Errorf("tensor %q: data_offsets begin at %d: expected %d, the end of %s; they overlap", i.Name, i.Begin, end, before)
		case i.Begin > end:
			return fmt.Errorf("tensor %q: data_offsets begin at %d: expected %d, the end of %s; the bytes between belong to no tensor", i.Name, i.Begin, end, before)
		case i.End > size:
			return fmt.Errorf("tensor %q: data_offsets end at %d: the file has %d bytes after the header; is it truncated?", i.Name, i.End, size)
		}
		end, before = i.End, strconv.Quote(i.Name)
	}
	if end < size {
		return fmt.Errorf("file has %d bytes after the header: expected %d, the end of %s", size, end, before)
	}
	return nil
}

// parseHeader reads the JSON of a header. Whether tensors overlap is not looked
// at here.
func parseHeader(header []byte) ([]Info, map[string]string, error) {
	if len(header) == 0 || header[0] != '{' {
		return nil, nil, fmt.Errorf("begins with %.10q: expected {", header)
	}
	if !utf8.Valid(header) {
		return nil, nil, errors.New("is not UTF-8")
	}
	body := bytes.TrimRight(header, " ") // the padding that the format allows
	if body[len(body)-1] != '}' {
		return nil, nil, fmt.Errorf("ends with %q: expected } and spaces", body[len(body)-1:])
	}
	// The syntax of the whole first: tokens alone do not settle it. Into a struct
	// without fields nothing is decoded.
	if err := json.Unmarshal(body, &struct{}{}); err != nil {
		return nil, nil, fmt.Errorf("is not JSON: %w", err)
	}
	p := parser{json.NewDecoder(bytes.NewReader(body))}
	p.UseNumber()
	var infos []Info
	var meta map[string]string
	err := p.object(func(key string) error {
		if key == metadataKey {
			meta = map[string]string{}
			if err := p.object(func(k string) (err error) {
				meta[k], err = p.text()
				return err
			}); err != nil {
				return fmt.Errorf("%s: %w", metadataKey, err)
			}
			return nil
		}
		info, err := p.tensor(key)
		if err != nil {
			return fmt.Errorf("tensor %q: %w", key, err)
		}
		infos = append(infos, info)
		return nil
	})
	return infos, meta, err
}

// parser reads JSON token by token, which sees keys that occur twice.
type parser struct{ *json.Decoder }

// open reads a delimiter.
func (p parser) open(want json.Delim, what string) error {
	t, err := p.Token()
	if err != nil {
		return err
	}
	if t != want {
		return fmt.Errorf("is %s: expected %s", show(t), what)
	}
	return nil
}

// object calls value at each key, whose value it has to read.
func (p parser) object(value func(key string) error) error {
	if err := p.open('{', "an object"); err != nil {
		return err
	}
	seen := map[string]bool{}
	for p.More() {
		key, err := p.text()
		if err != nil {
			return err
		}
		if seen[key] {
			return fmt.Errorf("key %q is there twice", key)
		}
		if err := checkName(key); err != nil {
			return err
		}
		seen[key] = true
		if err := value(key); err != nil {
			return err
		}
	}
	_, err := p.Token()
	return err
}

// checkName refuses what JSON cannot carry: a half of a surrogate pair reads as
// U+FFFD, and other bytes are written as it.
func checkName(name string) error {
	if strings.ContainsRune(name, utf8.RuneError) {
		return fmt.Errorf("name %q is not valid Unicode, or has U+FFFD in it", name)
	}
	return nil
}

func (p parser) text() (string, error) {
	t, err := p.Token()
	if err != nil {
		return "", err
	}
	s, ok := t.(string)
	if !ok {
		return "", fmt.Errorf("is %s: expected a string", show(t))
	}
	return s, nil
}

// integers reads an array of integers from 0 on.
func (p parser) integers() ([]int64, error) {
	if err := p.open('[', "an array"); err != nil {
		return nil, err
	}
	ints := []int64{}
	for p.More() {
		t, err := p.Token()
		if err != nil {
			return nil, err
		}
		n, ok := t.(json.Number)
		i, err := strconv.ParseUint(string(n), 10, strconv.IntSize-1)
		if !ok || err != nil {
			return nil, fmt.Errorf("has %s: expected integers from 0 to 2^%d − 1", show(t), strconv.IntSize-1)
		}
		ints = append(ints, int64(i))
	}
	_, err := p.Token()
	return ints, err
}

func show(t json.Token) string {
	switch t := t.(type) {
	case nil:
		return "null"
	case json.Delim:
		return map[json.Delim]string{'{': "an object", '[': "an array"}[t]
	case string:
		return fmt.Sprintf("%.40q", t)
	}
	return fmt.Sprintf("%.40v", t)
}

// tensor reads the entry of one tensor.
func (p parser) tensor(name string) (Info, error) {
	info := Info{Param: Param{Name: name}}
	var offsets []int64
	read := map[string]func() error{
		"dtype": func() error {
			s, err := p.text()
			if err != nil {
				return fmt.Errorf("dtype %w", err)
			}
			info.DType, err = parseDType(s)
			return err
		},
		"shape": func() error {
			sizes, err := p.integers()
			if err != nil {
				return fmt.Errorf("shape %w", err)
			}
			info.Shape = make([]int, len(sizes))
			for k, n := range sizes {
				info.Shape[k] = int(n)
			}
			return nil
		},
		"data_offsets": func() (err error) {
			if offsets, err = p.integers(); err != nil {
				return fmt.Errorf("data_offsets %w", err)
			}
			return nil
		},
	}
	if err := p.object(func(key string) error {
		f, ok := read[key]
		if !ok {
			return fmt.Errorf("key %q is not of the format: expected dtype, shape and data_offsets", key)
		}
		return f()
	}); err != nil {
		return info, err
	}
	switch {
	case info.DType == 0:
		return info, errors.New("has no dtype")
	case info.Shape == nil:
		return info, errors.New("has no shape")
	case offsets == nil:
		return info, errors.New("has no data_offsets")
	case len(offsets) != 2 || offsets[0] > offsets[1]:
		return info, fmt.Errorf("data_offsets are %v: expected a begin and an end not before it", offsets)
	}
	info.Begin, info.End = offsets[0], offsets[1]
	want, err := byteSize(info.DType, info.Shape)
	if err != nil {
		return info, err
	}
	if got := info.End - info.Begin; got != want {
		return info, fmt.Errorf("data_offsets %v hold %d bytes: expected %d for %v of shape %v", offsets, got, want, info.DType, info.Shape)
	}
	return info, nil
}
