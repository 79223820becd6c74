package experiments

import (
	"context"
	"fmt"
	"math"
	"slices"

	"snrlab/internal/study"
	"snrlab/schedules"
	"snrlab/solvers"
)

// alignFindings fills in the tables of shifts and gathers what the claims are held
// against.
type alignFindings struct {
	*Align
	*study.Study
	plain, multi float64 // share of the coarse content in the loss at λ = 0
	shifts       []alignShift
	bests        []alignBest
}

// alignShift is a row of shifts.
type alignShift struct {
	s                            *spectrumRun
	i                            int
	rule, corrected              float64
	coarse, all                  float64 // best shifts
	unmoved, ruled, fixed, least float64 // how far the curves are apart
	gap                          float64
}

// fraction of the rule that a shift is; NaN at the reference, where the rule is 0.
func (r alignShift) fraction(shift float64) float64 {
	if r.rule == 0 {
		return math.NaN()
	}
	return shift / r.rule
}

// alignBest is a row of best.
type alignBest struct {
	s               *spectrumRun
	i, solver       int
	rule, corrected float64
	coarse, all     float64    // best shifts less those of the reference size
	cost, costAll   [3]float64 // of the reference's schedule over the least: unmoved, by the rule, corrected
}

func (s *spectrumRun) kind() string {
	if s.exponent != s.exponent {
		return "images"
	}
	return "field"
}

// read takes in the cells of a spectrum.
func (f *alignFindings) read(ctx context.Context, r *run, s *spectrumRun, cells []*alignCell, base schedules.Schedule) error {
	ref := s.bands[s.ref]
	last := s.bands[len(s.bands)-1]
	for i, b := range s.bands {
		row := alignShift{s: s, i: i, coarse: cells[i].Coarse, all: cells[i].All}
		row.rule, row.corrected = s.rule(i)
		other := ref.curve(ref.coarse, 0)
		for _, at := range []struct {
			apart *float64
			by    float64
		}{{&row.unmoved, 0}, {&row.ruled, row.rule}, {&row.fixed, row.corrected}, {&row.least, row.coarse}} {
			*at.apart, _ = apart(b.curve(b.coarse, at.by), other)
		}
		// The small image, at the λ that pooling gives it.
		small := s.bands[0]
		by := 2*math.Log(float64(small.size)/float64(b.size)) + math.Log(b.variance/small.variance)
		row.gap, _ = apart(b.curve(b.coarse, by), small.curve(small.all, 0))
		f.shifts = append(f.shifts, row)
		f.Table("shifts").Add(s.name, s.kind(), s.exponent, b.size, b.variance/last.variance,
			row.rule, row.corrected, row.coarse, row.all, row.unmoved, row.ruled, row.fixed, row.least,
			row.fraction(row.corrected), row.fraction(row.coarse), row.fraction(row.all), row.gap)
		for k, name := range f.Solvers {
			solver, err := solvers.Parse(name)
			if err != nil {
				return err
			}
			own, at := cells[i].Runs[k], cells[s.ref].Runs[k]
			best := alignBest{s: s, i: i, solver: k, rule: row.rule, corrected: row.corrected, coarse: float64(own.Coarse - at.Coarse), all: float64(own.All - at.All)}
			leastCoarse, _, _, err := b.sampled(ctx, r, solver, moved(base, float64(own.Coarse)), f.Budget)
			if err != nil {
				return err
			}
			_, _, leastAll, err := b.sampled(ctx, r, solver, moved(base, float64(own.All)), f.Budget)
			if err != nil {
				return err
			}
			for j, by := range []float64{0, row.rule, row.corrected} {
				coarse, _, _, err := b.sampled(ctx, r, solver, moved(base, float64(at.Coarse)+by), f.Budget)
				if err != nil {
					return err
				}
				_, _, all, err := b.sampled(ctx, r, solver, moved(base, float64(at.All)+by), f.Budget)
				if err != nil {
					return err
				}
				best.cost[j], best.costAll[j] = coarse/leastCoarse, all/leastAll
			}
			f.bests = append(f.bests, best)
			f.Table("best").Add(s.name, s.kind(), s.exponent, b.size, solver.String(), float64(own.Coarse), float64(own.Fine), float64(own.All), leastCoarse, leastAll,
				best.coarse, best.all, row.rule, row.corrected, row.fraction(row.corrected), row.fraction(best.coarse), row.fraction(best.all),
				best.cost[0], best.cost[1], best.cost[2], best.costAll[0], best.costAll[1], best.costAll[2])
		}
	}
	return nil
}

// over returns the largest of a number over the rows that fit.
func over[T any](rows []T, fits func(T) bool, of func(T) float64) float64 {
	largest := 0.0
	for _, r := range rows {
		if fits(r) {
			largest = max(largest, of(r))
		}
	}
	return largest
}

// state says what the numbers say.
func (f *alignFindings) state() {
	steep, flat := spectrumName(f.Shown[1]), spectrumName(f.Shown[0])
	of := func(name string) func(alignShift) bool { return func(r alignShift) bool { return r.s.name == name } }
	ofFields := func(r alignShift) bool { return r.s.kind() == "field" }
	big := func(name string) alignShift {
		i := slices.IndexFunc(f.shifts, func(r alignShift) bool { return r.s.name == name && r.i == len(r.s.bands)-1 })
		return f.shifts[i]
	}
	bigBest := func(name string, solver int) alignBest {
		i := slices.IndexFunc(f.bests, func(r alignBest) bool {
			return r.s.name == name && r.i == len(r.s.bands)-1 && r.solver == solver
		})
		return f.bests[i]
	}
	unmoved := func(r alignShift) float64 { return r.unmoved }
	ruled := func(r alignShift) float64 { return r.ruled }

	s := big(steep)
	f.Find(study.Finding{
		Claim:    fmt.Sprintf("Left alone, a schedule meets coarse content of %s that is easier the larger the image; the shift by 2 log(ref/size) aligns it.", steep),
		Expected: fmt.Sprintf("less than a quarter of the %.3f that the curves are apart without it", over(f.shifts, of(steep), unmoved)),
		Measured: over(f.shifts, of(steep), ruled), Unit: "of the variance",
		Remark: "Largest difference of the curves of denoising over all sizes and λ.", Source: "hoogeboom2023",
		Holds: study.Holds(over(f.shifts, of(steep), ruled) < over(f.shifts, of(steep), unmoved)/4),
	})
	f.Find(study.Finding{
		Claim:    fmt.Sprintf("For %s images no shift is due, and the rule does harm.", flat),
		Expected: fmt.Sprintf("0 without a shift; %.3f apart with it", over(f.shifts, of(flat), ruled)),
		Measured: over(f.shifts, of(flat), unmoved), Unit: "of the variance", Source: "hoogeboom2023",
		Holds: study.Holds(over(f.shifts, of(flat), unmoved) < 1e-12 && over(f.shifts, of(flat), ruled) > 0.1),
	})
	f.Find(study.Finding{
		Claim:    fmt.Sprintf("The best shift for the coarse content of %s from %d to %d pixels is the rule's.", steep, s.s.bands[s.s.ref].size, s.s.bands[s.i].size),
		Expected: fmt.Sprintf("%.3f within a twentieth", s.rule), Measured: s.coarse,
		Remark: fmt.Sprintf("Averaging costs %s images variance too: with it the rule says %.3f.", steep, s.corrected), Source: "hoogeboom2023",
		Holds: study.Holds(math.Abs(s.coarse-s.rule) < 0.05*math.Abs(s.rule)),
	})
	worst := over(f.shifts, ofFields, func(r alignShift) float64 { return math.Abs(r.coarse - r.corrected) })
	f.Find(study.Finding{
		Claim:    "With the variances V of a pixel the rule, 2 log(ref/size) + log(V/V_ref), is right for the coarse content of every power law.",
		Expected: "within 0.1 of the best shift, at every exponent and size", Measured: worst, Unit: "largest miss",
		Remark: "Pooled images count at the variance they keep. What is left comes from frequencies that fall together when pooled, which the full image can still tell apart.",
		Holds:  study.Holds(worst < 0.1),
	})
	gap := over(f.shifts, ofFields, func(r alignShift) float64 { return r.gap })
	f.Find(study.Finding{
		Claim:    "The coarse content of an image at λ is exactly as hard as the small image itself at λ + 2 log s.",
		Expected: "no difference", Measured: gap, Unit: "of the variance, at most", Source: "hoogeboom2023",
		Remark: fmt.Sprintf("For %s the difference is %.1e: coarse and fine content are independent there. Elsewhere the noisy fine content tells something of the coarse, and the large image is a little easier.", flat, over(f.shifts, of(flat), func(r alignShift) float64 { return r.gap })),
		Holds:  study.Holds(gap < 1e-9),
	})
	f.Find(study.Finding{
		Claim:    fmt.Sprintf("The same shift aligns the whole error of %s images.", steep),
		Expected: fmt.Sprintf("%.3f within a tenth", s.rule), Measured: s.all,
		Remark: fmt.Sprintf("Most of what is left at small λ is fine content, which stays where it is: of all content the rule is right in the limit of steep spectra only (%s).", f.fractions(func(r alignShift) float64 { return r.fraction(r.all) })),
		Holds:  study.Holds(math.Abs(s.all-s.rule) < 0.1*math.Abs(s.rule)),
	})
	for k := range f.Solvers {
		b, name := bigBest(steep, k), solverName(f.Solvers[k])
		pixels := b.s.bands[b.i].size
		f.Find(study.Finding{
			Claim:    fmt.Sprintf("The schedule of least error of the coarse content of %s, %s with %d evaluations, moves as the curves of denoising do.", steep, name, f.Budget),
			Expected: fmt.Sprintf("%.3f within a tenth (the rule alone: %.3f)", s.coarse, s.rule), Measured: b.coarse,
			Holds: study.Holds(math.Abs(b.coarse-s.coarse) < 0.1*math.Abs(s.coarse)),
		})
		f.Find(study.Finding{
			Claim:    fmt.Sprintf("An unaligned schedule costs the coarse content of %s at %d pixels accuracy, and the rule takes most of that back, %s.", steep, pixels, name),
			Expected: "more than 1.5 times the least error, four fifths of the excess taken back", Measured: b.cost[0], Unit: "times the least",
			Remark: fmt.Sprintf("%.3f times with the rule, %.3f with the variances as well.", b.cost[1], b.cost[2]), Source: "hoogeboom2023",
			Holds: study.Holds(b.cost[0] > 1.5 && b.cost[1]-1 < (b.cost[0]-1)/5),
		})
		f.Find(study.Finding{
			Claim:    fmt.Sprintf("The rule lowers the error of all content of %s at %d pixels as well, %s.", steep, pixels, name),
			Expected: fmt.Sprintf("below the %.3f times the least of the schedule that was best at the reference", b.costAll[0]), Measured: b.costAll[1], Unit: "times the least",
			Remark: fmt.Sprintf("With the variances %.3f. At %d evaluations there are not enough steps for both ends: what the coarse content gains the fine loses. The best shift for all content is %.3f.", b.costAll[2], f.Budget, b.all),
			Holds:  study.Holds(b.costAll[1] < b.costAll[0]),
		})
	}
	b := bigBest(flat, 0)
	f.Find(study.Finding{
		Claim:    fmt.Sprintf("For %s images the best schedule of %s does not move with the size, and the rule costs accuracy.", flat, solverName(f.Solvers[0])),
		Expected: "0", Measured: b.coarse, Remark: fmt.Sprintf("With the rule the error is %.2f times the least.", b.cost[1]),
		Holds: study.Holds(math.Abs(b.coarse) < 0.01 && b.cost[1] > 1.05),
	})
	if f.Images != "" {
		m, mb := big(f.Images), bigBest(f.Images, 0)
		f.Find(study.Finding{
			Claim:    fmt.Sprintf("For the spectrum measured on %s, from %d to %d pixels, the rule is right.", f.Images, m.s.bands[m.s.ref].size, m.s.bands[m.i].size),
			Expected: fmt.Sprintf("%.3f within a tenth", m.rule), Measured: m.coarse,
			Remark: fmt.Sprintf("With the variances %.3f; from samples of %s %.3f; for all content %.3f and %.3f.", m.corrected, solverName(f.Solvers[0]), mb.coarse, m.all, mb.all), Source: "hoogeboom2023",
			Holds: study.Holds(math.Abs(m.coarse-m.rule) < 0.1*math.Abs(m.rule)),
		})
	}
	largest := over(f.bests, func(r alignBest) bool { return r.solver == 0 && r.s.kind() == "field" }, func(r alignBest) float64 {
		return max(slices.Max(r.cost[:]), slices.Max(r.costAll[:]))
	})
	for i := range f.Figures { // one scale for what is to be compared
		if f.Figures[i].Name == "penalty" {
			for j := range f.Figures[i].Panels {
				f.Figures[i].Panels[j].YRange = []float64{1 - 0.03*(largest-1), 1 + 1.03*(largest-1)}
			}
		}
	}
	f.Find(study.Finding{
		Claim:    fmt.Sprintf("The multiscale loss keeps the coarse content of %s from being drowned by pixels.", steep),
		Expected: "more than its share of the plain loss, at λ = 0", Measured: f.multi / f.plain, Unit: "times",
		Remark: fmt.Sprintf("Share %.4f of the plain loss, %.4f of the multiscale one.", f.plain, f.multi), Source: "hoogeboom2023",
		Holds: study.Holds(f.multi > f.plain),
	})
}

// fractions lists a number of the largest size by exponent.
func (f *alignFindings) fractions(of func(alignShift) float64) string {
	text := ""
	for _, r := range f.shifts {
		if r.s.kind() == "field" && r.i == len(r.s.bands)-1 {
			if text != "" {
				text += ", "
			}
			text += fmt.Sprintf("%.2f at a = %g", math.Round(100*of(r))/100+0, r.s.exponent) // not −0
		}
	}
	return text
}
