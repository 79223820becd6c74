package experiments_test

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"

	"snrlab/experiments"
	"snrlab/internal/runfile"
)

// Three solvers on the mixture in the plane: which is nearest to the exact end
// with six evaluations? Order is an asymptotic statement: here the first order
// wins.
func Example() {
	recipe, err := experiments.Load("compare-gm2d")
	if err != nil {
		fmt.Println(err)
		return
	}
	for field, value := range map[string]string{
		"solvers": "heun,dpm-solver-2(form=simple),ddim",
		"budgets": "6",
		"rows":    "64",
	} {
		if err := recipe.Set(field, value); err != nil {
			fmt.Println(err)
			return
		}
	}
	out, err := os.MkdirTemp("", "runs")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(out)
	info, err := experiments.Run(context.Background(), recipe, experiments.Options{Out: out})
	if err != nil {
		fmt.Println(err)
		return
	}
	slices.SortFunc(info.Summary, func(a, b runfile.SummaryRow) int { return cmp.Compare(a.RMSE, b.RMSE) })
	for _, s := range info.Summary {
		fmt.Printf("%s: %d steps, %d evaluations\n", s.Solver, s.Steps, s.NFE)
	}
	// Output:
	// ddim: 6 steps, 6 evaluations
	// dpm-solver-2(form=simple): 3 steps, 6 evaluations
	// heun: 3 steps, 6 evaluations
}
