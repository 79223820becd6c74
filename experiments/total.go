package experiments

import (
	"fmt"
	"regexp"
	"strconv"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Names of solvers and spacings in a ranking may hold {total}, or {total/10}: on
// each problem the total variance of its data, T = E|x₀ − E x₀|², or a part of it.
var totalMark = regexp.MustCompile(`\{total(?:/([0-9.]+))?\}`)

// atTotal writes the total variance into a name.
func atTotal(name string, total float64) string {
	return totalMark.ReplaceAllStringFunc(name, func(mark string) string {
		v := total
		if part := totalMark.FindStringSubmatch(mark)[1]; part != "" {
			by, err := strconv.ParseFloat(part, 64)
			if err != nil {
				return mark // which no number is read from
			}
			v /= by
		}
		return strconv.FormatFloat(v, 'g', -1, 64)
	})
}

// totalOf is the total variance of a model's data.
func totalOf(m models.Exact) (float64, error) {
	mom, err := m.Moments(schedules.Level{Alpha: 1}, -1)
	if err != nil {
		return 0, err
	}
	return mom.Total(), nil
}

// anySolver reads a name for what it says without a problem.
func anySolver(name string) (solvers.Solver, error) { return solvers.Parse(atTotal(name, 1)) }

// resolveTotal is resolveName for names that may hold a mark: those are checked,
// and kept as they are written.
func resolveTotal[T fmt.Stringer](field string, names []string, parse func(string) (T, error)) error {
	for i, name := range names {
		if !totalMark.MatchString(name) {
			if err := resolveName(field, &names[i], parse); err != nil {
				return err
			}
		} else if _, err := parse(atTotal(name, 1)); err != nil {
			return fmt.Errorf("field %s: %w", field, err)
		}
	}
	return nil
}
