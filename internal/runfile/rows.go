// Package runfile is the format of a run folder: what drivers write and what
// figures and reports read.
package runfile

// StepRow is one row of steps.csv: one solver at one budget after one step.
// Step 0 is the start, before any evaluation. Errors are Euclidean norms of a
// sample, root mean square over rows; NaN (an empty cell) is what does not
// exist, such as the trajectory error of a stochastic solver.
type StepRow struct {
	Solver    string  `csv:"solver"`
	Budget    int     `csv:"budget"` // evaluations asked for
	Steps     int     `csv:"steps"`  // steps of this run
	Step      int     `csv:"step"`   // 0..Steps
	T         float64 `csv:"t"`
	Alpha     float64 `csv:"alpha"`
	Sigma     float64 `csv:"sigma"`
	Lambda    float64 `csv:"lambda"`       // log SNR of the level reached; ±Inf is legal
	NFE       int     `csv:"nfe"`          // evaluations per sample so far
	Local     float64 `csv:"local_error"`  // against one exact step from the solver's own previous state, on the recipe's subset of rows
	Global    float64 `csv:"global_error"` // against the reference at this level
	GlobalQ5  float64 `csv:"global_p5"`    // 5 % and 95 % quantiles over rows
	GlobalQ95 float64 `csv:"global_p95"`
	Denoised  float64 `csv:"denoised_error"` // of the estimate this step started from, against the reference's estimate at that level
	Strong    float64 `csv:"strong_error"`   // stochastic: against the solver's own fine run on the same Brownian path
	Norm      float64 `csv:"norm"`           // root mean square norm of the state
}

// SummaryRow is one row of summary.csv: one solver at one budget.
type SummaryRow struct {
	Solver     string  `csv:"solver"`
	Stochastic bool    `csv:"stochastic"`
	Budget     int     `csv:"budget"`
	Steps      int     `csv:"steps"`
	NFE        int     `csv:"nfe"`
	RMSE       float64 `csv:"rmse"`    // final error against the reference
	RMSELo     float64 `csv:"rmse_lo"` // 95 % bootstrap interval over rows
	RMSEHi     float64 `csv:"rmse_hi"`
	P95        float64 `csv:"p95"` // 95 % quantile over rows of the final error
	Strong     float64 `csv:"strong_error"`
	MeanZ      float64 `csv:"mean_z"`    // largest |z| of the sample mean against the exact mean
	CovZ       float64 `csv:"cov_z"`     // z of the total variance against the exact one
	SW2        float64 `csv:"sw2"`       // sliced 2-Wasserstein distance to exact samples
	SW2Floor   float64 `csv:"sw2_floor"` // what two exact sets of this size show: mean and two deviations over pairs
	BelowFloor bool    `csv:"below_floor"`
	Order      float64 `csv:"order"` // slope of log error on log steps over the last two budgets
}

// TimingRow is one row of timings.csv, which is not part of what must repeat.
type TimingRow struct {
	Solver    string  `csv:"solver"`
	Budget    int     `csv:"budget"`
	Steps     int     `csv:"steps"`
	SolverS   float64 `csv:"solver_s"`   // seconds outside the denoiser
	DenoiserS float64 `csv:"denoiser_s"` // seconds inside it
}
