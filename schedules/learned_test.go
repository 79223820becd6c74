package schedules

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"snrlab/snr"
)

func TestLearned_Property(t *testing.T) {
	file := filepath.Join(t.TempDir(), "s.json")
	f := LearnedFile{Knots: []float64{-12, -3, 0, 4, 11}, Log: []float64{-3, 0, 1.5, 0.5, -4}}
	if err := f.Write(file); err != nil {
		t.Fatal(err)
	}
	s, err := Parse("learned(file=" + file + ",path=rf)")
	if err != nil {
		t.Fatal(err)
	}
	again, err := Parse(s.String())
	if err != nil || again.String() != s.String() || !strings.Contains(s.String(), "sum=") {
		t.Fatalf("%s comes back as %v, %v", s, again, err)
	}
	want := FromDensity{Of: &snr.LogLinear{Knots: f.Knots, Log: f.Log}, To: RFPath{}}
	for _, u := range []float64{0, 1e-7, 0.1, 0.5, 0.9, 1 - 1e-9, 1} {
		if got := s.At(u); got != want.At(u) {
			t.Errorf("At(%g) = %+v, expected %+v", u, got, want.At(u))
		}
		l := s.At(u).LogSNR()
		if got := s.TimeOf(l); math.Abs(got-u) > 1e-13 {
			t.Errorf("t = %g comes back as %g", u, got)
		}
		if r := Rate(s, u); math.Abs(r*snr.PDF(want.Of, l)+1) > 1e-9 {
			t.Errorf("dλ/dt = %g at t = %g, p = %g", r, u, snr.PDF(want.Of, l))
		}
	}
	if clean, noisy := s.At(0).LogSNR(), s.At(1).LogSNR(); math.Abs(float64(clean)-11) > 1e-14*11 || math.Abs(float64(noisy)+12) > 1e-14*12 {
		t.Errorf("ends %g and %g, expected 11 and −12", float64(clean), float64(noisy))
	}
	// A grid on it runs like one on any other.
	k, err := ParseSpacing("uniform-t")
	if err != nil {
		t.Fatal(err)
	}
	if g, err := k.Grid(s, 8); err != nil || len(g) != 9 {
		t.Errorf("a grid of 8 steps: %v, %v", g, err)
	}
}

func TestLearned_Refuses(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	for name, want := range map[string]string{
		"learned": "needs a file",
		"learned(file=" + filepath.Join(dir, "none") + ")":                       "no such file",
		"learned(file=" + write("a", "{") + ")":                                  "unexpected EOF",
		"learned(file=" + write("b", `{"s":[1,2]}`) + ")":                        "holds no learned schedule",
		"learned(file=" + write("c", `{"knots":[1,0],"log":[1,1]}`) + ")":        "rise",
		"learned(sum=00,file=" + write("d", `{"knots":[0,1],"log":[1,1]}`) + ")": "has the sum",
	} {
		if s, err := Parse(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Parse(%q) = %v, %v: expected an error with %q", name, s, err, want)
		}
	}
	if err := (LearnedFile{Knots: []float64{1}, Log: []float64{1}}).Write(filepath.Join(dir, "e")); err == nil {
		t.Error("a file of one knot was written")
	}
	if l := (&Learned{To: VPPath{}}).At(0.5); l.Validate() == nil {
		t.Errorf("a schedule without a file has the level %+v", l)
	}
}
