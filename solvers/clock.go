package solvers

import (
	"math"

	"snrlab/schedules"
	"snrlab/snr"
)

// clock is a variable that noise levels are counted in, with the way back to a
// level of the problem's schedule.
type clock struct {
	of func(l schedules.Level) float64
	at func(u float64) schedules.Level
}

// noiseClock counts σ/α.
func noiseClock(on schedules.Schedule) clock {
	return clock{
		of: schedules.Level.Noise,
		at: func(u float64) schedules.Level { return schedules.LevelAt(on, snr.FromSigma(u)) },
	}
}

// logClock counts ℓ = log(α/σ) = λ/2.
func logClock(on schedules.Schedule) clock {
	return clock{
		of: func(l schedules.Level) float64 { return l.LogSNR().Half() },
		at: func(u float64) schedules.Level { return schedules.LevelAt(on, snr.LogSNR(2*u)) },
	}
}

// angleClock counts φ = atan(σ/α).
func angleClock(on schedules.Schedule) clock {
	return clock{
		of: func(l schedules.Level) float64 { return math.Atan2(l.Sigma, l.Alpha) },
		at: func(u float64) schedules.Level {
			sin, cos := math.Sincos(u)
			return schedules.LevelAt(on, snr.FromAlphaSigma(cos, sin))
		},
	}
}

// timeClock counts the schedule's t.
func timeClock(on schedules.Schedule) clock {
	return clock{
		of: func(l schedules.Level) float64 { return on.TimeOf(l.LogSNR()) },
		at: on.At,
	}
}
