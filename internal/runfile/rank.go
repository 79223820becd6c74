package runfile

// Files of a ranking beside run.json.
const (
	RankingCSV  = "ranking.csv"
	SpacingsCSV = "spacings.csv"
	RankingMD   = "ranking.md"
)

// RankRow is one row of ranking.csv: one solver at one budget on one problem,
// on the spacing that was chosen for it. Errors are Euclidean norms of a sample;
// NaN (an empty cell) is what does not exist, +Inf a run that overflowed.
type RankRow struct {
	Model      string  `csv:"model"`
	Solver     string  `csv:"solver"`
	Stochastic bool    `csv:"stochastic"`
	Adaptive   bool    `csv:"adaptive"`
	Budget     int     `csv:"budget"` // evaluations asked for; 0 for an adaptive solver
	Steps      int     `csv:"steps"`
	NFE        float64 `csv:"nfe"`      // evaluations per sample, counted; the mean over rows of an adaptive solver
	Sequence   float64 `csv:"sequence"` // of these, how many wait for one another: fewer than NFE where a solver is parallel in time
	Spacing    string  `csv:"spacing"`
	Tuning     float64 `csv:"tuning_error"` // what the spacing was chosen by: RMSE, or sliced W2, on the tuning keys
	RMSE       float64 `csv:"rmse"`         // of the end against the exact one
	RMSELo     float64 `csv:"rmse_lo"`      // 95 % bootstrap interval over rows
	RMSEHi     float64 `csv:"rmse_hi"`
	Median     float64 `csv:"median"` // quantiles over rows of the same error
	P99        float64 `csv:"p99"`
	Worst      float64 `csv:"worst"`
	MeanErr    float64 `csv:"mean_error"` // |sample mean − exact mean|
	MeanFloor  float64 `csv:"mean_floor"` // the same of exact sets of this size: mean and two deviations
	CovErr     float64 `csv:"cov_error"`  // Frobenius norm of the error of the covariance over that of the covariance
	CovFloor   float64 `csv:"cov_floor"`
	SW2        float64 `csv:"sw2"` // sliced 2-Wasserstein distance to exact samples
	SW2Floor   float64 `csv:"sw2_floor"`
}

// SpacingRow is one row of spacings.csv: what one candidate of the spacing gave
// one solver at one budget on the tuning keys.
type SpacingRow struct {
	Model   string  `csv:"model"`
	Solver  string  `csv:"solver"`
	Budget  int     `csv:"budget"`
	Spacing string  `csv:"spacing"`
	Error   float64 `csv:"error"` // as RankRow.Tuning
}

// ReadRanking reads a ranking.csv.
func ReadRanking(path string) ([]RankRow, error) { return readRows[RankRow](path) }

// WriteRanking writes a ranking.csv, atomically.
func WriteRanking(path string, rows []RankRow) error { return writeRows(path, rows) }

// ReadSpacings reads a spacings.csv.
func ReadSpacings(path string) ([]SpacingRow, error) { return readRows[SpacingRow](path) }

// WriteSpacings writes a spacings.csv, atomically.
func WriteSpacings(path string, rows []SpacingRow) error { return writeRows(path, rows) }
