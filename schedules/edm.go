package schedules

import "snrlab/snr"

// EDM is the schedule whose time is its noise level [karras2022]: α = 1,
// σ = t, on [σ_min, σ_max]. At(0) is the clean level σ = 0, beyond the domain
// but legal.
type EDM struct {
	SMin float64 `json:"smin"`
	SMax float64 `json:"smax"`
}

// Validate reports ends that are not 0 < σ_min < σ_max < ∞.
func (s EDM) Validate() error { return validateSigmas("edm", s.SMin, s.SMax) }

// At returns the level at t = σ.
func (s EDM) At(t float64) Level { return Level{T: t, Alpha: 1, Sigma: t} }

// TimeOf returns t = e^{−λ/2}.
func (s EDM) TimeOf(l snr.LogSNR) float64 { return pin(s, l, l.Sigma()) }

// LogSNRRate returns dλ/dt = −2/t.
func (s EDM) LogSNRRate(t float64) float64 { return -2 / t }

// Domain is [σ_min, σ_max].
func (s EDM) Domain() (clean, noisy float64) { return s.SMin, s.SMax }

// Path is VE.
func (EDM) Path() Path { return VEPath{} }

func (s EDM) String() string { return Registry().Format("edm", s) }
