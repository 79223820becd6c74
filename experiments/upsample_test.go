package experiments

import (
	"context"
	"math"
	"slices"
	"strings"
	"testing"

	"snrlab/internal/study"
)

// shrunk runs a recipe inside the program with some fields changed.
func shrunk(t *testing.T, name string, fields ...string) *study.Study {
	t.Helper()
	r, err := Load(name)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(fields); i += 2 {
		if err := r.Set(fields[i], fields[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	info, err := Run(context.Background(), r, Options{Out: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if info.Shown == "" {
		t.Error("there is no report")
	}
	return info.Study
}

// verdict returns the verdict on the claim that begins so.
func verdict(t *testing.T, s *study.Study, claim string) study.Verdict {
	t.Helper()
	for _, f := range s.Findings {
		if strings.HasPrefix(f.Claim, claim) {
			return f.Holds
		}
	}
	t.Fatalf("no finding %q", claim)
	return ""
}

// Everything that does not hang on the number of samples holds in a small run,
// and what the area shares of a fraction are said to keep does not.
func TestUpsampleChecks(t *testing.T) {
	s := shrunk(t, "upsample-checks", "samples", "64", "replicates", "3", "rows", "32", "steps", "12", "thetas", "0,1,1.2", "correlations", "0,0.5,1")
	for claim, want := range map[string]study.Verdict{
		"With coarse and detail independent": study.Yes,
		"Leaving out":                        study.Yes,
		"Guiding an exact model":             study.Yes,
		"The form in ε":                      study.Yes,
		"Correlation between":                study.Yes,
		"Area shares":                        study.No,
		"Symmetrically orthogonalised":       study.Yes,
		"Without guidance":                   study.Yes,
		"With θ = 1 each pooled sample":      study.Yes,
	} {
		if got := verdict(t, s, claim); got != want {
			t.Errorf("%s: %s, expected %s", claim, got, want)
		}
	}
	if n := len(s.Table("strength").Rows); n != 3 {
		t.Errorf("%d strengths in the table, expected 3", n)
	}
}

func TestUpsampleDigits(t *testing.T) {
	if testing.Short() {
		t.Skip("6,000 evaluations of the mixture of digits")
	}
	s := shrunk(t, "upsample-digits", "samples", "48", "replicates", "3", "images", "4", "steps", "8", "thetas", "0,1,1.2", "etas", "0.5", "rank", "4", "spread", "3")
	for _, claim := range []string{"Without guidance", "With θ = 1 pooled samples", "Guidance costs", "Guided samples as a whole"} {
		if got := verdict(t, s, claim); got != study.Yes {
			t.Errorf("%s: %s", claim, got)
		}
	}
	// The low-resolution model's own samples, three strengths, the exact model.
	if n := len(s.Sheet("samples").Data); n != 5*4*28*28 {
		t.Errorf("%d values in the sheet, expected 5 rows of 4 images", n)
	}
}

// The coarse octaves are restored at θ = 1 in a small run too.
func TestUpsampleFields(t *testing.T) {
	s := shrunk(t, "upsample-fields", "size", "32", "samples", "8", "replicates", "3", "steps", "24", "thetas", "0,1")
	for _, claim := range []string{"A filter of the low resolution", "Guidance with θ = 1"} {
		if got := verdict(t, s, claim); got != study.Yes {
			t.Errorf("%s: %s", claim, got)
		}
	}
	// Four octaves of the exact model and of two strengths.
	if n := len(s.Table("spectrum").Rows); n != 3*4 {
		t.Errorf("%d rows in the table, expected 12", n)
	}
}

// A spectrum that is the same power of the frequency everywhere, above its corner,
// stays so when it is laid on a larger image, and octaves add up what is theirs.
func TestStretched(t *testing.T) {
	const n, size = 32, 64
	power := make([]float64, n*(n/2+1))
	for u := range n {
		for v := range n/2 + 1 {
			power[u*(n/2+1)+v] = math.Exp(-0.1 * float64(min(u, n-u)+v)) // log-linear: interpolated exactly
		}
	}
	for i, p := range stretched(power, n, size) {
		u, v := i/(size/2+1), i%(size/2+1)
		if want := math.Exp(-0.05 * float64(min(u, size-u)+v)); math.Abs(p/want-1) > 1e-13 {
			t.Fatalf("power %g at (%d, %d), expected %g", p, u, v, want)
		}
	}
	ones := make([]float64, 8*5)
	for i := range ones {
		ones[i] = 1
	}
	// 1 ≤ f < 2: (±1, 0), (0, ±1), (±1, ±1); 2 ≤ f < 4: counted by hand on the plane.
	count := []float64{8, 0}
	for u := -4; u < 4; u++ {
		for v := -4; v < 4; v++ {
			if f := math.Hypot(float64(u), float64(v)); f >= 2 && f < 4 {
				count[1]++
			}
		}
	}
	if got := octaves(ones, 8); !slices.Equal(got, count) {
		t.Errorf("octaves of ones hold %v coefficients, expected %v", got, count)
	}
}

func TestUpsample_Refuses(t *testing.T) {
	for change, want := range map[string]string{
		"upsample-checks thetas 0,1,1":                             "field thetas holds 1 twice",
		"upsample-checks thetas 0,1.2":                             "expected 0 and 1 among them",
		"upsample-checks correlations 0.1,0.2":                     "rise from 0",
		"upsample-checks solver sde-dpmpp-2m":                      "field solver",
		"upsample-checks solver ddim(eta=1)":                       "expected a deterministic solver",
		"upsample-checks spread -1":                                "field spread is -1",
		"upsample-checks poolings area(height=10,width=9)":         "expected a multiple of 2, 8 or 10",
		"upsample-checks replicates 1":                             "field replicates is 1",
		"upsample-fields size 66":                                  "expected an even number",
		"upsample-fields spectrum power(b=2)":                      `unknown argument "b"`,
		"upsample-digits etas 0.5,1":                               "between 0 and 1",
		"upsample-digits images 300":                               "field rows",
		"upsample-digits tie 2":                                    "share from 0 to 1",
		"upsample-digits rank 197":                                 "expected 1 to 196",
		"upsample-digits pooling area(vertical=3)":                 "expected a multiple of 3, 27 or 30",
		"upsample-digits pooling area(height=14,width=14)":         "expects [1 14 14]",
		"upsample-digits pooling area(vertical=4/3,plain=true)":    "coloured",
		"upsample-digits low edm(smin=0.002,smax=80)":              "noisier than the low-resolution model's noisy end",
		"upsample-digits low nothing":                              `unknown schedule "nothing"`,
		"upsample-digits pooling area(height=28,width=28,across=)": "expected key=value",
	} {
		part := strings.SplitN(change, " ", 3)
		r, err := Load(part[0])
		if err == nil {
			err = r.Set(part[1], part[2])
		}
		if err == nil {
			_, err = r.Plan(Options{})
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, expected an error with %q", change, err, want)
		}
	}
}
