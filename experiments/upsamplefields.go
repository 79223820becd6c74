package experiments

import (
	"cmp"
	"context"
	"fmt"
	"math"

	"snrlab/internal/study"
	"snrlab/metrics"
	"snrlab/models"
	"snrlab/upsample"
)

// UpsampleFields is the recipe that asks what upsample guidance does to the
// spectrum of stationary Gaussian fields, octave by octave. The high-resolution
// model is what a network without a sense of size would be: the exact filter of the
// low resolution, in cycles a pixel, used on larger images.
type UpsampleFields struct {
	Header
	Upsampling
	Spectrum string `toml:"spectrum" json:"spectrum"` // of the fields, see package models
	Size     int    `toml:"size" json:"size"`         // side of the high resolution, in pixels
	Factor   int    `toml:"factor" json:"factor"`     // between the resolutions
}

// DefaultUpsampleFields returns an UpsampleFields that needs no other field.
func DefaultUpsampleFields() UpsampleFields {
	return UpsampleFields{
		Header: Header{Kind: "upsample-fields", Name: "upsample-fields"},
		Upsampling: Upsampling{
			Schedule: "edm(smin=0.01,smax=400)", Spacing: "karras(last=zero)", Solver: "dpmpp-2m", Steps: 40, Low: "edm(smin=0.002,smax=400)",
			Thetas: []float64{0, 0.5, 1, 1.2}, Samples: 48, Replicates: 5, Key: 1,
		},
		Spectrum: "power(a=2)", Size: 64, Factor: 2,
	}
}

// Validate reports fields that cannot be used.
func (e *UpsampleFields) Validate() error {
	if err := cmp.Or(e.check(), required("spectrum", e.Spectrum), inside("size", e.Size, 8, 1024), inside("factor", e.Factor, 2, 64)); err != nil {
		return err
	}
	if e.Size%(2*e.Factor) != 0 || e.Size/e.Factor < 8 {
		return fmt.Errorf("field size is %d and field factor is %d: expected an even number of at least 8 pixels at the low resolution", e.Size, e.Factor)
	}
	return nil
}

func (e *UpsampleFields) resolve() error {
	return cmp.Or(resolveName("spectrum", &e.Spectrum, models.ParseSpectrum), e.Upsampling.resolve())
}

func (e *UpsampleFields) uses() uses { return e.named("hwang2024", "wiener1949", "field1987") }

// upsampleFields is the recipe at work.
type upsampleFields struct {
	*UpsampleFields
	sampler           *sampler
	pair              upsample.Pair
	high, low, direct *models.Field
	study             *study.Study
}

func (e *UpsampleFields) plan(p *Plan, _ Options) (job, error) {
	w := &upsampleFields{UpsampleFields: e}
	var err error
	if w.sampler, err = e.sampler(); err != nil {
		return nil, err
	}
	by := upsample.Factor{P: e.Factor, Q: 1}
	if w.pair, err = (upsample.Area{Channels: 1, Height: e.Size, Width: e.Size, Vertical: by, Horizontal: by}).Pair(); err != nil {
		return nil, err
	}
	spectrum, err := models.ParseSpectrum(e.Spectrum)
	if err != nil {
		return nil, fmt.Errorf("field spectrum: %w", err)
	}
	power, err := spectrum.Power(e.Size, e.Size)
	if err != nil {
		return nil, fmt.Errorf("field spectrum: %w", err)
	}
	if w.high, err = models.NewField(w.pair.HighShape(), nil, power); err != nil {
		return nil, err
	}
	if w.low, err = w.high.Pool(e.Factor); err != nil {
		return nil, err
	}
	if w.direct, err = models.NewField(w.pair.HighShape(), nil, stretched(w.low.Power(), e.Size/e.Factor, e.Size)); err != nil {
		return nil, err
	}
	p.Parts = []PlanPart{{Name: "guided fields", Evals: w.sampler.evals(len(e.Thetas))}, {Name: "exact model of the full size", Evals: w.sampler.evals(1)}}
	w.declare()
	return studyJob(e, w.study, w.work)
}

// stretched lays a spectrum of n×n pixels on size×size: the same power at the
// same cycles a pixel, linear in the logarithm between frequencies.
func stretched(power []float64, n, size int) []float64 {
	half, scale := n/2+1, float64(n)/float64(size)
	at := func(u, v float64) float64 {
		i, j := min(int(u), half-2), min(int(v), half-2)
		a, b := u-float64(i), v-float64(j)
		log := func(i, j int) float64 { return math.Log(power[i*half+j]) }
		return (1-a)*((1-b)*log(i, j)+b*log(i, j+1)) + a*((1-b)*log(i+1, j)+b*log(i+1, j+1))
	}
	out := make([]float64, 0, size*(size/2+1))
	for u := range size {
		for v := range size/2 + 1 {
			out = append(out, math.Exp(at(float64(min(u, size-u))*scale, float64(v)*scale)))
		}
	}
	return out
}

// octaves adds up a spectrum of size×size pixels over |f| from 2^k to 2^(k+1)
// cycles over the image; the corners beyond the last whole octave are left out.
func octaves(power []float64, size int) []float64 {
	half := size/2 + 1
	var sums []float64
	for k := 1; k < size/2; k *= 2 {
		sums = append(sums, 0)
	}
	for u := range size {
		for v := range half {
			f := math.Hypot(float64(min(u, size-u)), float64(v))
			if k := int(math.Floor(math.Log2(f))); f >= 1 && k < len(sums) {
				both := 2.0
				if v == 0 || v == half-1 {
					both = 1
				}
				sums[k] += both * power[u*half+v]
			}
		}
	}
	return sums
}

func (w *upsampleFields) declare() {
	e := w.UpsampleFields
	w.study = &study.Study{
		Title: "The spectrum of fields lifted by upsample guidance",
		Held: fmt.Sprintf("Stationary Gaussian fields of %d×%d pixels with the spectrum %s, and their exact averages over %d×%d pixels. The high-resolution model is the exact Wiener filter of the low resolution, the same in cycles a pixel. "+
			"%s on %d steps of %s on %s; %d sets of %d samples, the same starts for all rules.",
			e.Size, e.Size, e.Spectrum, e.Factor, e.Factor, e.Solver, e.Steps, e.Spacing, e.Schedule, e.Replicates, e.Samples),
		Tables: []*study.Table{
			{Name: "spectrum", Caption: "Relative error of the power in each octave: of guided samples against those of the exact model of the full size from the same starts, and of these against the law.", Columns: []study.Column{
				{Name: "rule", Text: true},
				{Name: "frequency", Label: "least frequency of the octave", Unit: "cycles over the image"},
				{Name: "error", Label: "relative error of the power"},
				{Name: "error_lo"},
				{Name: "error_hi"},
			}},
		},
		Figures: []study.Figure{{
			Name: "spectrum", Title: "Error of the power by octave", Caption: fmt.Sprintf("Guided samples against those of the exact model of the full size from the same starts, and these against the law. Bars are 95 %% intervals over sets. The low resolution ends at %d cycles.", e.Size/e.Factor/2), Table: "spectrum",
			Panels: []study.Panel{{X: "frequency", Y: []string{"error"}, Low: []string{"error_lo"}, High: []string{"error_hi"}, Series: "rule", LogX: true, Vertical: []study.Mark{{At: float64(e.Size / e.Factor / 2), Label: "end of the low resolution"}}, Level: []study.Mark{{At: 0}}}},
		}},
	}
}

func (w *upsampleFields) work(ctx context.Context, r *run) error {
	// The powers of every set of a rule, by octave.
	sets := func(id string, d models.Denoiser) ([][]float64, error) {
		r.progress.setStage(id)
		all := make([][]float64, w.Replicates)
		for i := range all {
			p, err := cell(ctx, r, fmt.Sprintf("%s-%d", id, i), w.sampler.evals(1)/int64(w.Replicates), func(ctx context.Context) (*[]float64, error) {
				x, err := w.sampler.walk(ctx, r.counted(d), i)
				if err != nil {
					return nil, err
				}
				_, power, err := models.FitSpectrum(w.pair.HighShape(), x)
				if err != nil {
					return nil, err
				}
				sums := octaves(power, w.Size)
				return &sums, nil
			})
			if err != nil {
				return nil, err
			}
			all[i] = *p
		}
		return all, nil
	}
	native, err := sets("native", w.high)
	if err != nil {
		return err
	}
	law := octaves(w.high.Power(), w.Size)
	table := w.study.Table("spectrum")
	// against adds the rows of a rule and returns its error in each octave.
	against := func(rule string, got [][]float64, truth func(set, octave int) float64) ([]float64, error) {
		means := make([]float64, len(law))
		for k := range law {
			ratio := make([]float64, len(got))
			for i, p := range got {
				ratio[i] = p[k]/truth(i, k) - 1
			}
			var in metrics.Interval
			var err error
			if means[k], in, err = metrics.Repeats(ratio, 0.95); err != nil {
				return nil, err
			}
			table.Add(rule, 1<<k, means[k], in.Lo, in.Hi)
		}
		return means, nil
	}
	own, err := against("exact, full size", native, func(_, k int) float64 { return law[k] })
	if err != nil {
		return err
	}
	by := map[float64][]float64{}
	for _, theta := range w.Thetas {
		d, err := upsample.New(w.direct, w.low, upsample.Guidance{Pair: w.pair, Strength: upsample.Constant{Theta: theta}, Low: w.sampler.low})
		if err != nil {
			return err
		}
		got, err := sets(fmt.Sprintf("theta-%g", theta), d)
		if err != nil {
			return err
		}
		if by[theta], err = against(fmt.Sprintf("θ = %g", theta), got, func(i, k int) float64 { return native[i][k] }); err != nil {
			return err
		}
	}
	w.find(own, by)
	return nil
}

func (w *upsampleFields) find(own []float64, by map[float64][]float64) {
	// Octaves that end at half the low resolution's own end or before.
	coarse := 0
	for k := range own {
		if 2<<k <= w.Size/w.Factor/4 {
			coarse = k + 1
		}
	}
	worst := func(errs []float64) float64 {
		m := 0.0
		for _, e := range errs {
			m = max(m, math.Abs(e))
		}
		return m
	}
	w.study.Find(study.Finding{
		Claim: "The solver's own error, and that of finite sets, is small beside these.", Expected: "an error below 0.1 in every octave, with the exact model of the full size", Measured: worst(own), Holds: study.Holds(worst(own) < 0.1),
		Remark: "Errors of guided samples are against this model's samples from the same starts, which leaves both out.",
	})
	direct, guided := by[0], by[1]
	w.study.Find(study.Finding{
		Claim: "A filter of the low resolution, used as it is at the high one, misses the coarse octaves.", Expected: "an error above 0.1 there", Measured: worst(direct[:coarse]), Holds: study.Holds(worst(direct[:coarse]) > 0.1),
		Remark: fmt.Sprintf("Largest of the octaves up to %d cycles over the image, half of where the low resolution ends.", 1<<coarse),
	})
	w.study.Find(study.Finding{
		Claim: "Guidance with θ = 1 restores them.", Expected: "an error below 0.05", Measured: worst(guided[:coarse]), Source: "hwang2024", Holds: study.Holds(worst(guided[:coarse]) < 0.05),
	})
	if beyond, ok := by[1.2]; ok {
		w.study.Find(study.Finding{
			Claim: "So does a strength of 1.2.", Expected: "an error below 0.05", Measured: worst(beyond[:coarse]), Source: "hwang2024", Holds: study.Holds(worst(beyond[:coarse]) < 0.05),
			Remark: "What goes beyond an exact low-resolution model adds power where the other model lacks it most.",
		})
	}
	last := len(own) - 1
	w.study.Find(study.Finding{
		Claim: "It leaves the finest octave to the high-resolution model.", Expected: "nearly the error without guidance, " + number(direct[last]), Measured: guided[last], Holds: study.Holds(math.Abs(guided[last]-direct[last]) < 0.25*math.Abs(direct[last])),
		Remark: "Averages over blocks see fine frequencies too, and repetition writes to them.",
	})
	w.study.Find(study.Finding{
		Claim: "It restores the octaves between as well.", Expected: "an error below 0.05", Measured: worst(guided[coarse:last]), Holds: study.Holds(worst(guided[coarse:last]) < 0.05),
		Remark: "Averages over blocks mix frequencies on both sides of the end of the low resolution, so that coarse and detail are correlated there.",
	})
}
