package runfile

// Files of a duel beside run.json and spacings.csv.
const (
	DuelCSV = "duel.csv"
	DuelMD  = "duel.md"
)

// DuelRow is one row of duel.csv: the solver of the duel, or the best rival of a
// league, at one budget on one problem. Errors are distances to the exact end.
type DuelRow struct {
	Model       string  `csv:"model"`
	Budget      int     `csv:"budget"`
	League      string  `csv:"league"` // empty for the solver of the duel
	Solver      string  `csv:"solver"`
	Spacing     string  `csv:"spacing"`
	Steps       int     `csv:"steps"`
	NFE         float64 `csv:"nfe"`
	Tuning      float64 `csv:"tuning_error"` // by which a rival was chosen: RMSE on the tuning keys
	RMSE        float64 `csv:"rmse"`
	RMSELo      float64 `csv:"rmse_lo"` // 95 % bootstrap interval over starts
	RMSEHi      float64 `csv:"rmse_hi"`
	Median      float64 `csv:"median"`
	P99         float64 `csv:"p99"`
	Worst       float64 `csv:"worst"`
	Ratio       float64 `csv:"ratio"` // RMSE over that of the solver of the duel
	RatioLo     float64 `csv:"ratio_lo"`
	RatioHi     float64 `csv:"ratio_hi"`
	MedianRatio float64 `csv:"median_ratio"`
}

// ReadDuel reads a duel.csv.
func ReadDuel(path string) ([]DuelRow, error) { return readRows[DuelRow](path) }

// WriteDuel writes a duel.csv, atomically.
func WriteDuel(path string, rows []DuelRow) error { return writeRows(path, rows) }
