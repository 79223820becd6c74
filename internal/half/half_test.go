package half

import (
	"math"
	"testing"
)

// format is one of the two, with what its definition says of it.
type format struct {
	name          string
	from          func(uint16) float32
	to            func(float64) uint16
	infinity      uint16
	one           uint16
	largest, tiny float64 // largest finite and smallest positive value
}

var formats = []format{
	{"F16", FromF16, ToF16, 0x7c00, 0x3c00, 65504, 0x1p-24},
	{"BF16", FromBF16, ToBF16, 0x7f80, 0x3f80, 0x1.fep127, 0x1p-133},
}

func TestHalf_Golden(t *testing.T) {
	for _, f := range formats {
		for bits, want := range map[uint16]float64{
			0: 0, 1: f.tiny, f.one: 1, f.one | 0x8000: -1, f.infinity - 1: f.largest,
			f.infinity: math.Inf(1), f.infinity | 0x8000: math.Inf(-1),
		} {
			if got := float64(f.from(bits)); got != want {
				t.Errorf("%s %#04x is %g, want %g", f.name, bits, got, want)
			}
			if got := f.to(want); got != bits {
				t.Errorf("%s(%g) = %#04x, want %#04x", f.name, want, got, bits)
			}
		}
		if got := f.from(0x8000); got != 0 || !math.Signbit(float64(got)) {
			t.Errorf("%s 0x8000 is %g, want -0", f.name, got)
		}
	}
	// Values of the formats' definitions that are neither 1 nor an end.
	if got := FromF16(0x3555); got != 0x1.554p-2 {
		t.Errorf("F16 0x3555 is %g", got)
	}
	if got := FromBF16(0x4049); got != 0x1.92p1 {
		t.Errorf("BF16 0x4049 is %g", got)
	}
}

// Every one of the 65536 patterns survives the way through float32 and back; a
// NaN comes back quiet with its sign.
func TestHalf_Property(t *testing.T) {
	for _, f := range formats {
		quiet := (f.infinity | f.infinity>>1) &^ f.infinity // the highest bit of the fraction
		for h := range 1 << 16 {
			bits := uint16(h)
			want := bits
			if bits&0x7fff > f.infinity {
				if v := f.from(bits); v == v {
					t.Fatalf("%s %#04x is %g, want NaN", f.name, bits, v)
				}
				want |= quiet
			}
			if got := f.to(float64(f.from(bits))); got != want {
				t.Fatalf("%s %#04x comes back as %#04x", f.name, bits, got)
			}
		}
	}
}

// Between two neighbours, the middle goes to the even one and its float64
// neighbours to their own side. The last middle is the border of infinity.
func TestHalf_RoundsToEven(t *testing.T) {
	for _, f := range formats {
		for low := uint16(0); low < f.infinity; low++ {
			a := float64(f.from(low))
			b := float64(f.from(low + 1))
			if low+1 == f.infinity {
				b = 2*a - float64(f.from(low-1)) // where the next value would be
			}
			mid := a + (b-a)/2 // exact: both have few digits
			even := low + low&1
			for _, c := range []struct {
				v    float64
				want uint16
			}{{math.Nextafter(mid, 0), low}, {mid, even}, {math.Nextafter(mid, math.Inf(1)), low + 1}} {
				if got := f.to(c.v); got != c.want {
					t.Fatalf("%s(%g) = %#04x, want %#04x", f.name, c.v, got, c.want)
				}
				if got := f.to(-c.v); got != c.want|0x8000 {
					t.Fatalf("%s(%g) = %#04x, want %#04x", f.name, -c.v, got, c.want|0x8000)
				}
			}
		}
	}
}

func BenchmarkFromF16(b *testing.B) {
	b.SetBytes(1 << 16 * 4)
	sum := float32(0)
	for b.Loop() {
		for h := range 1 << 16 {
			sum += FromF16(uint16(h))
		}
	}
	_ = sum
}
