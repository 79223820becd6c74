package runfile

import "io"

// OrderRow is one measured order of convergence: one solver on one problem.
type OrderRow struct {
	Solver string  `csv:"solver"`
	Model  string  `csv:"model"`
	Order  float64 `csv:"order"` // over the last doubling of steps above rounding; NaN if there was none
	Strong bool    `csv:"strong"`
	From   int     `csv:"from"` // steps of the doubling
	To     int     `csv:"to"`
	Error  float64 `csv:"error"` // at To
}

// ConformanceRow is the recorded cases of one sampler of another program that
// run through one solver of ours.
type ConformanceRow struct {
	Solver  string  `csv:"solver"` // as it prints itself, without arguments
	Peer    string  `csv:"peer"`
	Sampler string  `csv:"sampler"`
	Cases   int     `csv:"cases"`
	Passed  int     `csv:"passed"`
	Worst   float64 `csv:"worst"` // largest difference, of a case that passed
}

// WriteOrders writes measured orders, atomically.
func WriteOrders(path string, rows []OrderRow) error { return writeRows(path, rows) }

// DecodeOrders reads measured orders; file is what errors call them.
func DecodeOrders(r io.Reader, file string) ([]OrderRow, error) {
	return DecodeRows[OrderRow](r, file)
}

// WriteConformance writes a table of conformance, atomically.
func WriteConformance(path string, rows []ConformanceRow) error { return writeRows(path, rows) }

// DecodeConformance reads a table of conformance.
func DecodeConformance(r io.Reader, file string) ([]ConformanceRow, error) {
	return DecodeRows[ConformanceRow](r, file)
}
