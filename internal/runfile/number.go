package runfile

import (
	"encoding/json"
	"fmt"
	"math"
)

// Number is a float64 that JSON can hold: NaN, which stands for what does not
// exist, is null, and infinities are the strings "+Inf" and "-Inf".
type Number float64

// MarshalJSON implements json.Marshaler.
func (n Number) MarshalJSON() ([]byte, error) {
	v := float64(n)
	switch {
	case math.IsNaN(v):
		return []byte("null"), nil
	case math.IsInf(v, 0):
		return fmt.Appendf(nil, "%q", fmt.Sprintf("%+g", v)), nil
	}
	return json.Marshal(v)
}

// UnmarshalJSON implements json.Unmarshaler.
func (n *Number) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "null":
		*n = Number(math.NaN())
		return nil
	case `"+Inf"`, `"-Inf"`:
		*n = Number(math.Inf(1))
		if b[1] == '-' {
			*n = -*n
		}
		return nil
	}
	var v float64
	err := json.Unmarshal(b, &v)
	*n = Number(v)
	return err
}

// String prints few digits; NaN is a dash.
func (n Number) String() string {
	if n != n {
		return "–"
	}
	return fmt.Sprintf("%.4g", float64(n))
}
