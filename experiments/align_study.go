package experiments

import (
	"context"
	"fmt"
	"maps"
	"math"
	"slices"

	"snrlab/internal/study"
	"snrlab/models"
	"snrlab/rng"
	"snrlab/schedules"
	"snrlab/snr"
	"snrlab/solvers"
	"snrlab/upsample"
)

// runs opens the spectra.
func (a *Align) runs(o Options) (all []*spectrumRun, inputs map[string]string, err error) {
	for _, e := range a.Exponents {
		power, err := models.PowerLaw{A: e, Corner: 1, Variance: 1}.Power(a.Size, a.Size)
		if err != nil {
			return nil, nil, fmt.Errorf("field exponents: %w", err)
		}
		f, err := models.NewField([]int{1, a.Size, a.Size}, nil, power)
		if err != nil {
			return nil, nil, err
		}
		s, err := newSpectrumRun(spectrumName(e), e, f, a.Pools, slices.Index(a.Pools, a.RefPool))
		if err != nil {
			return nil, nil, fmt.Errorf("field pools: %w", err)
		}
		all = append(all, s)
	}
	if a.Images == "" {
		return all, nil, nil
	}
	c, inputs, err := measuredField{Of: a.Images, Pool: 1}.components(o)
	if err != nil {
		return nil, nil, fmt.Errorf("field images: %w", err)
	}
	if c.Shape[0] != 1 || c.Shape[1] != c.Shape[2] {
		return nil, nil, fmt.Errorf("field images: %s has images of shape %v: expected one channel and equal sides", a.Images, c.Shape)
	}
	f, err := models.NewField(c.Shape, c.Means, c.Power)
	if err != nil {
		return nil, nil, err
	}
	s, err := newSpectrumRun(a.Images, math.NaN(), f, a.ImagePools, len(a.ImagePools)-2)
	if err != nil {
		return nil, nil, fmt.Errorf("field image_pools: %w", err)
	}
	return append(all, s), inputs, nil
}

// declare is the study before its numbers.
func (a *Align) declare() *study.Study {
	size, coarse := fmt.Sprint(a.Size), a.Size/a.Pools[0]
	shown := []string{spectrumName(a.Shown[0]), spectrumName(a.Shown[1])}
	low := fmt.Sprintf("of %d×%d content", coarse, coarse)
	curve := func(title, spectrum, y string) study.Panel {
		return study.Panel{Title: title, X: "lambda", Y: []string{y}, Series: "size", Where: map[string]string{"spectrum": spectrum}, Draw: study.Lines, YLabel: "share that is left"}
	}
	scan := func(spectrum, y, what string) study.Panel {
		return study.Panel{
			Title: spectrum + ", " + what, X: "shift", Y: []string{y}, Series: "size", LogY: true, Draw: study.Lines, YLabel: "relative error",
			Where: map[string]string{"spectrum": spectrum, "solver": solverName(a.Solvers[0])},
		}
	}
	penalty := func(title, y, what string) study.Panel {
		return study.Panel{Title: title, X: "size", Y: []string{y}, Series: "spectrum", Where: map[string]string{"solver": solverName(a.Solvers[0]), "kind": "field"}, LogX: true, YLabel: "error over the least, " + what}
	}
	text := func(name string) study.Column { return study.Column{Name: name, Text: true} }
	return &study.Study{
		Title: "What a schedule has to be shifted by at another image size",
		Held: fmt.Sprintf("Stationary Gaussian fields of %d×%d pixels and their averages over blocks, each brought to pixels of variance 1; the schedule %s counts as tuned at %d×%d and is moved between fixed ends; %d evaluations on a grid uniform in its time. All errors are exact expectations, so there are no intervals.",
			a.Size, a.Size, a.Schedule, a.Size/a.RefPool, a.Size/a.RefPool, a.Budget),
		Tables: []*study.Table{
			{Name: "curves", Caption: fmt.Sprintf("Share of the variance that the exact denoiser leaves, of the %d×%d content and of all, at λ and at the λ of the reference moved by 2 log(ref/size).", coarse, coarse), Columns: []study.Column{
				text("spectrum"),
				{Name: "size", Unit: "pixels"},
				{Name: "lambda", Label: "λ"},
				{Name: "coarse", Label: "left " + low},
				{Name: "coarse_aligned", Label: "left " + low + ", aligned"},
				{Name: "all", Label: "left of all"},
				{Name: "all_aligned", Label: "left of all, aligned"},
			}},
			{Name: "shifts", Caption: "The shift of λ that brings the curve of a size onto that of the reference with the least mean square, beside the rule 2 log(ref/size) and the rule with the variances of a pixel, 2 log(ref/size) + log(V/V_ref); and the largest difference of curves before and after.", Columns: []study.Column{
				text("spectrum"), text("kind"),
				{Name: "exponent", Label: "exponent a of 1/f^a"},
				{Name: "size", Unit: "pixels"},
				{Name: "variance", Help: "of a pixel, relative to the largest size"},
				{Name: "rule"},
				{Name: "corrected"},
				{Name: "best_coarse"},
				{Name: "best_all"},
				{Name: "apart_unmoved", Help: "largest difference of the coarse curves"},
				{Name: "apart_rule"},
				{Name: "apart_corrected"},
				{Name: "apart_best"},
				{Name: "fraction_corrected", Label: "with the pixels' variance"},
				{Name: "fraction_coarse", Label: low},
				{Name: "fraction_all", Label: "of all content"},
				{Name: "pooling_gap", Help: "largest difference between the curve of the coarse content and that of the small image itself, at the λ that pooling gives it"},
			}},
			{Name: "sampling", Caption: "Relative root mean square error of samples against the shift of the schedule: of the coarse content, of what is left beside it, and of all.", Columns: []study.Column{
				text("spectrum"), {Name: "size", Unit: "pixels"}, text("solver"), {Name: "shift", Label: "shift of λ"}, {Name: "coarse"}, {Name: "fine"}, {Name: "all"},
			}},
			{Name: "best", Caption: "The shifts of least error, how far they lie from that of the reference size, and the error of the coarse content relative to the least: with the reference's own best schedule (unmoved), and with that moved by the rule, also with the variances of a pixel.", Columns: []study.Column{
				text("spectrum"), text("kind"),
				{Name: "exponent", Label: "exponent a of 1/f^a"},
				{Name: "size", Unit: "pixels"},
				text("solver"),
				{Name: "best_coarse"},
				{Name: "best_fine"},
				{Name: "best_all"},
				{Name: "error_coarse"},
				{Name: "error_all"},
				{Name: "moved_coarse"},
				{Name: "moved_all"},
				{Name: "rule"},
				{Name: "corrected"},
				{Name: "fraction_corrected", Label: "with the pixels' variance"},
				{Name: "fraction_coarse", Label: low},
				{Name: "fraction_all", Label: "of all content"},
				{Name: "unmoved", Help: "error of the coarse content over the least"},
				{Name: "ruled"},
				{Name: "ruled_corrected"},
				{Name: "all_unmoved", Help: "error of all content over the least"},
				{Name: "all_ruled"},
				{Name: "all_ruled_corrected"},
			}},
			{Name: "loss", Caption: fmt.Sprintf("Share of the loss on ε that comes from frequencies up to %d cycles, at %d×%d pixels: of the plain loss, and of the multiscale loss at sizes %v.", coarse/2, a.Size, a.Size, a.Losses), Columns: []study.Column{
				text("spectrum"), {Name: "lambda", Label: "λ"}, {Name: "plain"}, {Name: "multiscale"},
			}},
		},
		Figures: []study.Figure{
			{
				Name: "curves", Title: "The same noise level is easier on a larger image, unless its pixels are independent", Table: "curves", Columns: 2,
				Caption: fmt.Sprintf("Left: what the exact denoiser leaves of the %d×%d content at λ. Right: the same at λ + 2 log(ref/size). The rule brings the curves of %s together and those of %s apart.", coarse, coarse, shown[1], shown[0]),
				Panels: []study.Panel{
					curve(shown[1]+" at λ", shown[1], "coarse"), curve(shown[1]+", aligned", shown[1], "coarse_aligned"),
					curve(shown[0]+" at λ", shown[0], "coarse"), curve(shown[0]+", aligned", shown[0], "coarse_aligned"),
				},
			},
			{
				Name: "rule", Title: "How much of the rule is right depends on the spectrum", Table: "shifts", Columns: 2,
				Caption: fmt.Sprintf("Best shift between %d and %d pixels as a fraction of 2 log(ref/size). Left: from the curves of the error of denoising. Right: from samples of %s with %d evaluations. Dashed: the rule times the ratio of the pixels' variances.", a.Size/a.RefPool, a.Size, solverName(a.Solvers[0]), a.Budget),
				Panels: []study.Panel{
					{Title: "curves of denoising", X: "exponent", Y: []string{"fraction_coarse", "fraction_all"}, Reference: []string{"fraction_corrected"}, Where: map[string]string{"size": size}, Level: []study.Mark{{At: 1, Label: "the rule"}}, YLabel: "best shift over the rule"},
					{Title: "samples", Table: "best", X: "exponent", Y: []string{"fraction_coarse", "fraction_all"}, Reference: []string{"fraction_corrected"}, Where: map[string]string{"size": size, "solver": solverName(a.Solvers[0])}, Level: []study.Mark{{At: 1, Label: "the rule"}}, YLabel: "best shift over the rule"},
				},
			},
			{
				Name: "error", Title: "Error of samples against the shift of the schedule", Table: "sampling", Columns: 2,
				Caption: fmt.Sprintf("%s with %d evaluations. The least error of the coarse content moves with the size where the spectrum falls, and stays where pixels are independent; that of the rest moves less.", solverName(a.Solvers[0]), a.Budget),
				Panels: []study.Panel{
					scan(shown[1], "coarse", fmt.Sprintf("%d×%d content", coarse, coarse)), scan(shown[1], "fine", "the rest"),
					scan(shown[1], "all", "all content"), scan(shown[0], "all", "all content"),
				},
			},
			{
				Name: "penalty", Title: "What an unaligned schedule costs, and what the rule does", Table: "best", Columns: 3,
				Caption: fmt.Sprintf("Error with the best schedule of the reference size, over the least that any shift gives, %s with %d evaluations. Above: of the %d×%d content. Below: of all content, whose best shift is smaller.", solverName(a.Solvers[0]), a.Budget, coarse, coarse),
				Panels: []study.Panel{
					penalty("left as it is", "unmoved", low), penalty("moved by 2 log(ref/size)", "ruled", low), penalty("and by the variance", "ruled_corrected", low),
					penalty("left as it is", "all_unmoved", "of all content"), penalty("moved by 2 log(ref/size)", "all_ruled", "of all content"), penalty("and by the variance", "all_ruled_corrected", "of all content"),
				},
			},
			{
				Name: "loss", Title: "The coarse content's share of the loss", Table: "loss", Columns: 2,
				Caption: fmt.Sprintf("Of the loss on ε at %d×%d pixels, the part from frequencies up to %d cycles, which the multiscale loss lifts.", a.Size, a.Size, coarse/2),
				Panels: []study.Panel{
					{Title: shown[1], X: "lambda", Y: []string{"plain", "multiscale"}, Where: map[string]string{"spectrum": shown[1]}, Draw: study.Lines, LogY: true, YLabel: "share of the loss"},
					{Title: shown[0], X: "lambda", Y: []string{"plain", "multiscale"}, Where: map[string]string{"spectrum": shown[0]}, Draw: study.Lines, LogY: true, YLabel: "share of the loss"},
				},
			},
		},
		Sheets: []*study.Sheet{{
			Name: "noisy", Title: fmt.Sprintf("One %s image at each size, averaged to %d×%d", shown[1], coarse, coarse),
			Caption: "Columns: pixels along a side. Rows: the image; with noise of one λ, which fades as the image grows; with that λ moved by 2 log(ref/size), which keeps it.",
			Shape:   []int{coarse, coarse}, Columns: len(a.Pools), Labels: []string{"image", fmt.Sprintf("λ = %d", shownLambda), "aligned"}, Low: -2.5, High: 2.5,
		}},
	}
}

// shownLambda is the noise level of the images that are shown.
const shownLambda = -2

func (a *Align) plan(p *Plan, o Options) (job, error) {
	base, err := schedules.Parse(a.Schedule)
	if err != nil {
		return nil, fmt.Errorf("field schedule: %w", err)
	}
	for _, by := range []float64{-a.Span, a.Span} {
		if err := moved(base, by).(schedules.Aligned).Validate(); err != nil {
			return nil, fmt.Errorf("field schedule: %w", err)
		}
	}
	for _, name := range a.Solvers {
		s, err := solvers.Parse(name)
		if err != nil {
			return nil, fmt.Errorf("field solvers: %w", err)
		}
		if pr := s.Properties(); pr.Stochastic || pr.Adaptive || pr.Coupled {
			return nil, fmt.Errorf("field solvers: %s is stochastic, adaptive or couples rows: expected one that is linear in the state, so that its error is known without sampling", s)
		}
	}
	all, inputs, err := a.runs(o)
	if err != nil {
		return nil, err
	}
	maps.Copy(p.Inputs, inputs)
	tries := int64(2*a.Span/0.25) + 1 + 3*14 // a grid and three golden sections
	for _, s := range all {
		p.Parts = append(p.Parts, PlanPart{Name: s.name, Evals: tries * int64(a.Budget*len(a.Solvers)*len(s.bands)), Estimate: true})
	}
	st := a.declare()
	return studyJob(a, st, func(ctx context.Context, r *run) error {
		var cells [][]*alignCell
		for k, s := range all {
			var list []*alignCell
			for i, b := range s.bands {
				r.progress.setStage(fmt.Sprintf("%s at %d pixels", s.name, b.size))
				c, err := cell(ctx, r, fmt.Sprintf("align-%02d-%04d", k, b.size), p.Parts[k].Evals/int64(len(s.bands)), func(ctx context.Context) (*alignCell, error) {
					return a.compute(ctx, r, s, i, base)
				})
				if err != nil {
					return err
				}
				list = append(list, c)
			}
			cells = append(cells, list)
		}
		f := &alignFindings{Align: a, Study: st}
		for k, s := range all {
			a.tabulate(st, s, cells[k])
			if err := f.read(ctx, r, s, cells[k], base); err != nil {
				return err
			}
		}
		if err := f.losses(all); err != nil {
			return err
		}
		f.state()
		return a.show(st.Sheet("noisy"), all)
	})
}

// tabulate writes the curves and the scans of a spectrum.
func (a *Align) tabulate(st *study.Study, s *spectrumRun, cells []*alignCell) {
	for i, b := range s.bands {
		rule, _ := s.rule(i)
		for lambda := -18.0; lambda <= 12; lambda += 0.5 {
			st.Table("curves").Add(s.name, b.size, lambda, b.left(b.coarse, lambda), b.left(b.coarse, lambda+rule), b.left(b.all, lambda), b.left(b.all, lambda+rule))
		}
		for k, run := range cells[i].Runs {
			for _, e := range run.Scan {
				st.Table("sampling").Add(s.name, b.size, solverName(a.Solvers[k]), e.Shift, e.Coarse, float64(e.Fine), e.All)
			}
		}
	}
}

// show draws one image at each size, with noise before and after alignment.
func (a *Align) show(sheet *study.Sheet, all []*spectrumRun) error {
	s := all[slices.Index(a.Exponents, a.Shown[1])]
	big := make([]float64, a.Size*a.Size)
	key := rng.New(uint64(a.Key))
	if err := s.field.Sample(big, schedules.Level{Alpha: 1}, nil, []rng.Key{key.Split("sample", 0)}); err != nil {
		return err
	}
	coarse := s.bands[0].size
	var rows [3][]float64
	for i, b := range s.bands {
		image := averaged(big, a.Size, b.size)
		rule, _ := s.rule(i)
		deviation := math.Sqrt(b.variance)
		noise := make([]float64, len(image))
		for row, by := range []float64{math.Inf(1), 0, rule} {
			key.Split("noise", uint64(3*i+row)).Normal(noise)
			level := math.Exp(-(shownLambda + by) / 2)
			noisy := make([]float64, len(image))
			for j, v := range image {
				noisy[j] = v/deviation + level*noise[j]
			}
			rows[row] = append(rows[row], averaged(noisy, b.size, coarse)...)
		}
		sheet.Heads = append(sheet.Heads, fmt.Sprint(b.size))
	}
	sheet.Data = slices.Concat(rows[:]...)
	return nil
}

// averaged pools a square image.
func averaged(x []float64, from, to int) []float64 {
	s, y := from/to, make([]float64, to*to)
	for i, v := range x {
		y[i/from/s*to+i%from/s] += v / float64(s*s)
	}
	return y
}

// lossShares returns the share of low frequencies in the loss on ε of the largest
// image, plain and multiscale, at λ.
func (a *Align) lossShares(s *spectrumRun, weights []float64, lambda float64) (plain, multi float64, err error) {
	alpha, sigma := schedules.VPPath{}.Coeffs(snr.LogSNR(lambda))
	e, err := s.field.Error(schedules.Level{Alpha: alpha, Sigma: sigma})
	if err != nil {
		return 0, 0, err
	}
	half, reach := a.Size/2+1, a.Size/a.Pools[0]/2
	var low, lowMulti, all, allMulti float64
	for i, p := range e.Power() { // in ε it is e^λ of this, at every frequency
		u, v := i/half, i%half
		if v != 0 && v != half-1 {
			p *= 2
		}
		all, allMulti = all+p, allMulti+weights[i]*p
		if min(u, a.Size-u) <= reach && v <= reach {
			low, lowMulti = low+p, lowMulti+weights[i]*p
		}
	}
	return low / all, lowMulti / allMulti, nil
}

// losses fills the table of losses.
func (f *alignFindings) losses(all []*spectrumRun) error {
	weights, err := upsample.Multiscale{Sizes: f.Losses}.Weights(f.Size)
	if err != nil {
		return err
	}
	for _, e := range f.Shown {
		s := all[slices.Index(f.Exponents, e)]
		for lambda := -18.0; lambda <= 12; lambda++ {
			plain, multi, err := f.lossShares(s, weights, lambda)
			if err != nil {
				return err
			}
			f.Table("loss").Add(s.name, lambda, plain, multi)
			if lambda == 0 && e == f.Shown[1] {
				f.plain, f.multi = plain, multi
			}
		}
	}
	return nil
}
