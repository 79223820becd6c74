package schedules

import (
	"reflect"
	"testing"
)

// FuzzParse feeds any text to the three parsers: an error or a value that
// prints and reads back, never a panic.
func FuzzParse(f *testing.F) {
	for _, e := range Registry().Entries {
		f.Add(e.Name)
	}
	for _, e := range Spacings().Entries {
		f.Add(e.Name)
	}
	for _, s := range []string{
		"beta(kind=sigmoid,T=9,zerosnr=true)", "shift(by=-1,schedule=on-path(path=scale(sd=2),schedule=rf(shift=3)))", "list(sigmas=[80,1,0])",
		"karras(rho=3,last=zero)", "cosine(min=-Inf,max=+Inf)", "edm(smin=1e-310,smax=1e308)", "beta(T=99999999999)", "on-path(schedule=", "rf()", "vp(",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if s, err := Parse(name); err == nil {
			if back, err := Parse(s.String()); err != nil || !reflect.DeepEqual(back, s) {
				t.Errorf("%q reads as %#v, which prints as %s and reads back as %#v, %v", name, s, s, back, err)
			}
			if entries(s) <= 2000 {
				clean, noisy := s.Domain()
				s.TimeOf(s.At(clean + (noisy-clean)/3).LogSNR())
				for _, k := range Spacings().Entries {
					if g, err := k.Default.Grid(s, 3); err == nil && g.Validate() != nil {
						t.Errorf("%s on %s: an invalid grid %v", k.Name, s, g)
					}
				}
			}
		}
		if k, err := ParseSpacing(name); err == nil {
			if back, err := ParseSpacing(k.String()); err != nil || !reflect.DeepEqual(back, k) {
				t.Errorf("%q reads as %#v, which prints as %s and reads back as %#v, %v", name, k, k, back, err)
			}
		}
		if p, err := ParsePath(name); err == nil {
			if back, err := ParsePath(p.String()); err != nil || back != p {
				t.Errorf("%q reads as %#v, which prints as %s and reads back as %#v, %v", name, p, p, back, err)
			}
		}
	})
}
