package experiments

import (
	"fmt"
	"regexp"
	"strconv"

	"snrlab/models"
	"snrlab/schedules"
	"snrlab/solvers"
)

// Names of solvers and spacings in some recipes may hold {total}, or {total/10}:
// the total variance of a model's data, T = E|x₀ − E x₀|², or a part of it.
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

// totalOf is the total variance of a model's data, of one class or of all for −1.
// Data that are one point have none, and every solver is exact on them: 1 stands
// for it, so that names can be read.
func totalOf(m models.Exact, class int) (float64, error) {
	mom, err := m.Moments(schedules.Level{Alpha: 1}, class)
	if err != nil {
		return 0, err
	}
	if total := mom.Total(); total > 0 {
		return total, nil
	}
	return 1, nil
}

// anySolver reads a name for what it says without a problem.
func anySolver(name string) (solvers.Solver, error) { return solvers.Parse(atTotal(name, 1)) }

// resolveTotal is resolveName for a name that may hold a mark: that is checked, and
// kept as it is written.
func resolveTotal[T fmt.Stringer](field string, name *string, parse func(string) (T, error)) error {
	if !totalMark.MatchString(*name) {
		return resolveName(field, name, parse)
	}
	if _, err := parse(atTotal(*name, 1)); err != nil {
		return fmt.Errorf("field %s: %w", field, err)
	}
	return nil
}

func resolveTotals[T fmt.Stringer](field string, names []string, parse func(string) (T, error)) error {
	for i := range names {
		if err := resolveTotal(field, &names[i], parse); err != nil {
			return err
		}
	}
	return nil
}
