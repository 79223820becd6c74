package data

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/sha256"
	_ "embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"

	"snrlab/internal/npy"
)

// Mixture is a mixture of low-rank Gaussians as it is stored [tipping1999],
//
//	Σ_k π_k N(μ_k, W_kᵀ W_k + diag ψ_k),
//
// over samples of dim = Π Shape numbers.
type Mixture struct {
	Shape    []int     // of one sample
	Weights  []float64 // π, K; they sum to 1
	Means    []float64 // μ, K×dim
	Rank     int       // rows of each W
	Loadings []float64 // W, K×Rank×dim
	Residual []float64 // variances ψ: K (isotropic) or K×dim (diagonal)
	Labels   []int     // class of each component, or nil
	Origin   Origin
}

// Origin says how a mixture was made. Log likelihoods are means in nats per
// dimension; where a residual was replaced they are given before and after.
type Origin struct {
	Method     string  `json:"method"`       // how it was fitted
	Source     string  `json:"source"`       // the data set
	SHA256     string  `json:"sha256"`       // of the source, as the source's own package defines it
	Rows       int     `json:"rows"`         // of the source
	Seed       uint64  `json:"seed"`         // of the fit
	Clusters   int     `json:"clusters"`     // components of each class that were asked for
	Rank       int     `json:"rank"`         // directions of each component
	Iterations int     `json:"iterations"`   // of EM
	Converged  bool    `json:"converged"`    // or stopped at the limit
	Fitted     float64 `json:"fitted_std"`   // root mean square over components of the fitted residual
	Stored     float64 `json:"stored_std"`   // the residual in the file; equal to Fitted if it was left alone
	Train      Nats    `json:"train_nats"`   // on the source
	HeldOut    Nats    `json:"heldout_nats"` // on rows that the fit did not see
}

// Nats is a mean log likelihood in nats per dimension.
type Nats struct {
	Fitted float64 `json:"fitted"` // with the fitted residual
	Stored float64 `json:"stored"` // of the mixture in the file
}

// ErrMixture says that a stream is not one whole mixture file.
var ErrMixture = errors.New("not a valid mixture file")

// Len returns the number of components K.
func (m *Mixture) Len() int { return len(m.Weights) }

// Dim returns the number of values of one sample.
func (m *Mixture) Dim() int {
	d, _ := npy.Count(m.Shape)
	return d
}

// Validate reports the first inconsistency: sizes that do not fit, numbers
// that are not finite (by row and column), weights that are not positive or do
// not sum to 1 within 1e-6 (they may come from float32), negative residuals.
func (m *Mixture) Validate() error {
	dim, ok := npy.Count(m.Shape)
	K := m.Len()
	switch {
	case !ok || len(m.Shape) == 0 || dim < 1 || dim > 1<<32:
		return fmt.Errorf("data: mixture: sample shape %v: expected positive numbers", m.Shape)
	case K < 1 || K > 1<<24:
		return fmt.Errorf("data: mixture: %d weights: expected 1 to %d", K, 1<<24)
	case m.Rank < 0 || m.Rank > dim:
		return fmt.Errorf("data: mixture: rank %d: expected 0 to %d, the size of a sample", m.Rank, dim)
	case len(m.Means) != K*dim:
		return fmt.Errorf("data: mixture: %d numbers of means: expected %d×%d", len(m.Means), K, dim)
	case m.Rank == 0 && len(m.Loadings) != 0 || m.Rank > 0 && (len(m.Loadings)%(K*dim) != 0 || len(m.Loadings)/(K*dim) != m.Rank):
		return fmt.Errorf("data: mixture: %d numbers of loadings: expected %d×%d×%d", len(m.Loadings), K, m.Rank, dim)
	case len(m.Residual) != K && len(m.Residual) != K*dim:
		return fmt.Errorf("data: mixture: %d residuals: expected %d, or %d×%d", len(m.Residual), K, K, dim)
	case m.Labels != nil && len(m.Labels) != K:
		return fmt.Errorf("data: mixture: %d labels: expected none or %d", len(m.Labels), K)
	}
	for _, a := range []struct {
		name   string
		values []float64
		width  int
	}{{"weights", m.Weights, 1}, {"means", m.Means, dim}, {"loadings", m.Loadings, dim}, {"residual", m.Residual, len(m.Residual) / K}} {
		for i, v := range a.values {
			if v-v != 0 {
				return fmt.Errorf("data: mixture: %s: row %d, column %d is %g: %w", a.name, i/a.width, i%a.width, v, ErrNotFinite)
			}
		}
	}
	sum := 0.0
	for k, w := range m.Weights {
		if w <= 0 {
			return fmt.Errorf("data: mixture: weight %d is %g: expected a positive number", k, w)
		}
		sum += w
	}
	if math.Abs(sum-1) > 1e-6 {
		return fmt.Errorf("data: mixture: weights sum to %g: expected 1", sum)
	}
	for i, v := range m.Residual {
		if v < 0 {
			return fmt.Errorf("data: mixture: residual %d is %g: expected a variance", i, v)
		}
	}
	for k, l := range m.Labels {
		if l < -1 {
			return fmt.Errorf("data: mixture: label %d is %d: expected a class, or −1 for none", k, l)
		}
	}
	return nil
}

// mixtureFormat opens every file; its number counts incompatible changes.
const mixtureFormat = "snrlab mixture 1"

// What a file may hold: sixty times the embedded digits, packed and unpacked.
const maxMixture = 160 << 20

// WriteMixture writes m as an npz archive that numpy can load: format, shape,
// weights, means, loadings, residual, labels, origin. Means and loadings are
// rounded to half precision. Equal mixtures give equal bytes.
func WriteMixture(w io.Writer, m *Mixture) error {
	if err := m.Validate(); err != nil {
		return err
	}
	origin, err := json.Marshal(m.Origin)
	if err != nil {
		return fmt.Errorf("data: mixture: origin: %w", err)
	}
	K, dim := m.Len(), m.Dim()
	residual := []int{K}
	if len(m.Residual) != K {
		residual = append(residual, dim)
	}
	means, err := halves("means", m.Means)
	if err != nil {
		return err
	}
	loadings, err := halves("loadings", m.Loadings)
	if err != nil {
		return err
	}
	entries := []struct {
		name, descr string
		shape       []int
		body        []byte
	}{
		{"format", "|u1", []int{len(mixtureFormat)}, []byte(mixtureFormat)},
		{"origin", "|u1", []int{len(origin)}, origin},
		{"shape", "<i8", []int{len(m.Shape)}, ints(m.Shape)},
		{"weights", "<f8", []int{K}, doubles(m.Weights)},
		{"means", "<f2", []int{K, dim}, means},
		{"loadings", "<f2", []int{K, m.Rank, dim}, loadings},
		{"residual", "<f8", residual, doubles(m.Residual)},
		{"labels", "<i8", []int{len(m.Labels)}, ints(m.Labels)},
	}
	z := zip.NewWriter(w)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestCompression)
	})
	for _, e := range entries {
		f, err := z.Create(e.name + ".npy")
		if err == nil {
			_, err = f.Write(append(npy.AppendHeader(nil, e.descr, e.shape), e.body...))
		}
		if err != nil {
			return fmt.Errorf("data: mixture: %w", err)
		}
	}
	if err := z.Close(); err != nil {
		return fmt.Errorf("data: mixture: %w", err)
	}
	return nil
}

// ReadMixture reads what WriteMixture wrote, to the end of r. It refuses
// anything else: missing, unknown or repeated arrays, other types, shapes that
// do not fit together or not fit the bytes, bytes before or after the archive,
// numbers that are not finite, and more than 160 MiB packed or unpacked.
func ReadMixture(r io.Reader) (*Mixture, error) {
	m, err := readMixture(r)
	if err != nil {
		return nil, fmt.Errorf("data: %w: %w", ErrMixture, err)
	}
	return m, nil
}

func readMixture(r io.Reader) (*Mixture, error) {
	raw, err := io.ReadAll(io.LimitReader(r, maxMixture+1))
	if err != nil {
		return nil, err
	}
	if len(raw) > maxMixture {
		return nil, fmt.Errorf("more than %d bytes", maxMixture)
	}
	arrays, err := unpack(raw)
	if err != nil {
		return nil, err
	}
	take := func(name, descr string, dims int) (npyArray, error) {
		a, ok := arrays[name]
		switch {
		case !ok:
			return a, fmt.Errorf("array %s is missing", name)
		case a.Descr != descr || len(a.Shape) != dims && dims >= 0:
			return a, fmt.Errorf("array %s has type %s and shape %v: expected type %s and %d dimensions", name, a.Descr, a.Shape, descr, dims)
		}
		delete(arrays, name)
		return a, nil
	}
	format, err := take("format", "|u1", 1)
	if err != nil {
		return nil, err
	}
	if string(format.body) != mixtureFormat {
		return nil, fmt.Errorf("format %q: expected %q", format.body, mixtureFormat)
	}
	m := &Mixture{}
	origin, err := take("origin", "|u1", 1)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(origin.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m.Origin); err != nil {
		return nil, fmt.Errorf("origin: %w", err)
	}
	if dec.More() {
		return nil, errors.New("origin: goes on after its object")
	}
	a, err := take("shape", "<i8", 1)
	if err != nil {
		return nil, err
	}
	m.Shape = a.ints()
	if a, err = take("weights", "<f8", 1); err != nil {
		return nil, err
	}
	m.Weights = a.doubles()
	if a, err = take("means", "<f2", 2); err != nil {
		return nil, err
	}
	K, dim := a.Shape[0], a.Shape[1]
	m.Means = a.halves()
	if a, err = take("loadings", "<f2", 3); err != nil {
		return nil, err
	}
	m.Rank = a.Shape[1]
	if a.Shape[0] != K || a.Shape[2] != dim {
		return nil, fmt.Errorf("loadings %v beside means %d×%d", a.Shape, K, dim)
	}
	m.Loadings = a.halves()
	if a, err = take("residual", "<f8", -1); err != nil {
		return nil, err
	}
	if len(a.Shape) < 1 || len(a.Shape) > 2 || a.Shape[0] != K || len(a.Shape) == 2 && a.Shape[1] != dim {
		return nil, fmt.Errorf("residual %v beside means %d×%d", a.Shape, K, dim)
	}
	m.Residual = a.doubles()
	if a, err = take("labels", "<i8", 1); err != nil {
		return nil, err
	}
	if len(a.body) > 0 {
		m.Labels = a.ints()
	}
	if len(arrays) > 0 {
		return nil, fmt.Errorf("unknown array %q", slices.Sorted(maps.Keys(arrays))[0])
	}
	if m.Dim() != dim || m.Len() != K {
		return nil, fmt.Errorf("%d weights of shape %v beside means %d×%d", m.Len(), m.Shape, K, dim)
	}
	return m, m.Validate()
}

// npyArray is one unpacked array.
type npyArray struct {
	npy.Header
	body []byte
}

// unpack reads the arrays of an npz archive that starts and ends with raw.
func unpack(raw []byte) (map[string]npyArray, error) {
	// The end record, 22 bytes where there is no comment, says where the directory before it began.
	end := len(raw) - 22
	if end < 0 || string(raw[:4]) != "PK\x03\x04" || string(raw[end:end+4]) != "PK\x05\x06" {
		return nil, errors.New("not one whole zip archive")
	}
	size, start := binary.LittleEndian.Uint32(raw[end+12:]), binary.LittleEndian.Uint32(raw[end+16:])
	if uint64(size)+uint64(start) != uint64(end) {
		return nil, errors.New("not one zip archive: there are bytes before it")
	}
	z, err := zip.NewReader(bytes.NewReader(raw), int64(len(raw)))
	if err != nil {
		return nil, err
	}
	arrays := map[string]npyArray{}
	left := int64(maxMixture)
	for _, f := range z.File {
		a, name, err := unpackArray(f, int64(len(raw)), left)
		if err != nil {
			return nil, fmt.Errorf("entry %q: %w", f.Name, err)
		}
		if _, ok := arrays[name]; ok {
			return nil, fmt.Errorf("array %q appears twice", name)
		}
		arrays[name] = a
		left -= a.Size
	}
	return arrays, nil
}

// unpackArray reads one entry of at most left bytes whose header agrees with
// its size.
func unpackArray(f *zip.File, packed, left int64) (a npyArray, name string, err error) {
	r, h, name, err := openEntry(f, packed)
	if err != nil {
		return a, "", err
	}
	defer r.Close()
	if h.Size > left {
		return a, "", fmt.Errorf("more than %d bytes unpacked", maxMixture)
	}
	body, err := io.ReadAll(r) // the zip reader stops at the entry's size and checks its sum
	if err != nil {
		return a, "", err
	}
	if int64(len(h.Raw)+len(body)) != h.Size {
		return a, "", fmt.Errorf("%d bytes where the header promises %d", len(h.Raw)+len(body), h.Size)
	}
	return npyArray{h, body}, name, nil
}

func (a npyArray) ints() []int {
	out := make([]int, len(a.body)/8)
	for i := range out {
		out[i] = int(int64(binary.LittleEndian.Uint64(a.body[8*i:])))
	}
	return out
}

func (a npyArray) doubles() []float64 {
	out := make([]float64, len(a.body)/8)
	for i := range out {
		out[i] = math.Float64frombits(binary.LittleEndian.Uint64(a.body[8*i:]))
	}
	return out
}

func (a npyArray) halves() []float64 {
	out := make([]float64, len(a.body)/2)
	for i := range out {
		out[i] = fromHalf(binary.LittleEndian.Uint16(a.body[2*i:]))
	}
	return out
}

func ints(v []int) []byte {
	out := make([]byte, 0, 8*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint64(out, uint64(x))
	}
	return out
}

func doubles(v []float64) []byte {
	out := make([]byte, 0, 8*len(v))
	for _, x := range v {
		out = binary.LittleEndian.AppendUint64(out, math.Float64bits(x))
	}
	return out
}

func halves(name string, v []float64) ([]byte, error) {
	out := make([]byte, 0, 2*len(v))
	for i, x := range v {
		h, ok := toHalf(x)
		if !ok {
			return nil, fmt.Errorf("data: mixture: %s: number %d is %g: half precision ends at 65504", name, i, x)
		}
		out = binary.LittleEndian.AppendUint16(out, h)
	}
	return out, nil
}

// Rounded returns m as it will be read back: means and loadings in half
// precision. Everything else is shared with m.
func (m *Mixture) Rounded() (*Mixture, error) {
	if err := m.Validate(); err != nil {
		return nil, err
	}
	r := *m
	for _, a := range []*[]float64{&r.Means, &r.Loadings} {
		out := make([]float64, len(*a))
		for i, v := range *a {
			h, ok := toHalf(v)
			if !ok {
				return nil, fmt.Errorf("data: mixture: %g: half precision ends at 65504", v)
			}
			out[i] = fromHalf(h)
		}
		*a = out
	}
	return &r, nil
}

//go:embed digits.npz
var digits []byte

// Digits returns the embedded mixture of handwritten digits: 1×28×28, pixels in
// [-1, 1], fitted to the 60,000 training images of MNIST [lecun1998], with the
// digit of each component as its class. Origin says how.
func Digits() (*Mixture, error) { return ReadMixture(bytes.NewReader(digits)) }

// DigitsSum returns the SHA-256, in hexadecimal, of the embedded file.
func DigitsSum() string {
	sum := sha256.Sum256(digits)
	return hex.EncodeToString(sum[:])
}
