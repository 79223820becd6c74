package main

import (
	"fmt"
	"math"
	"strings"

	"github.com/urfave/cli/v2"

	"snrlab/experiments"
	"snrlab/tune"
)

func fitSolverCommand() *cli.Command {
	def := experiments.DefaultFitSolver()
	var families []string
	for _, f := range tune.Families() {
		families = append(families, fmt.Sprintf("%-10s %s [%s]", f.Name, f.Summary, f.League))
	}
	families = append(families,
		"amed       r of each step of AMED-Solver, one for all rows, on a given grid",
		"amed-net   AMED-Solver's network, on a given grid")
	return &cli.Command{
		Name:  "fit-solver",
		Usage: "fit a solver end to end to an exact model; the result is a file that loads as a solver",
		Description: "Families, and the league that each competes in:\n  " + strings.Join(families, "\n  ") + "\n" +
			"A fit that is stopped leaves FILE.part and goes on from there.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Value: def.Model, Usage: "the exact model (see snrlab list models)"},
			&cli.StringFlag{Name: "family", Value: def.Family, Usage: "what is free: see above"},
			&cli.StringFlag{Name: "rule", Value: def.Rule, Usage: "the solver whose grid is fitted, of family grid"},
			&cli.StringFlag{Name: "spacing", Value: def.Spacing, Usage: "the grid, of families amed and amed-net, which do not fit it"},
			&cli.IntFlag{Name: "nfe", Value: def.NFE, Usage: "evaluations, 2 to 15"},
			&cli.IntFlag{Name: "hidden", Value: def.Hidden, Usage: "units of a gate or of AMED's network"},
			&cli.Float64Flag{Name: "smax", Value: def.Noisy, Usage: "σ/α of the noisy end"},
			&cli.Float64Flag{Name: "smin", Value: def.Clean, Usage: "σ/α of the clean end"},
			&cli.IntFlag{Name: "rows", Value: def.Rows, Usage: "starts to fit to"},
			&cli.IntFlag{Name: "fresh", Value: def.Fresh, Usage: "starts to measure on"},
			&cli.IntFlag{Name: "starts", Value: def.Starts, Usage: "grids to begin with, of which the best one is gone on with; of amed-net the rounds of training"},
			&cli.IntFlag{Name: "iterations", Value: def.Iterations, Usage: "of L-BFGS in the last stage"},
			&cli.Int64Flag{Name: "key", Value: def.Key, Usage: "seed of the starts"},
			&cli.Float64Flag{Name: "rtol", Value: def.RTol, Usage: "tolerance of the exact ends"},
			&cli.StringFlag{Name: "file", Value: "fitted.json", Usage: "where the solver is written"},
			mnistFlag(), jsonFlag(), quietFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0, "no argument"); err != nil {
				return err
			}
			f := experiments.FitSolver{
				Model: c.String("model"), Family: c.String("family"), Rule: c.String("rule"), Spacing: c.String("spacing"), NFE: c.Int("nfe"), Hidden: c.Int("hidden"),
				Noisy: c.Float64("smax"), Clean: c.Float64("smin"), Rows: c.Int("rows"), Fresh: c.Int("fresh"),
				Starts: c.Int("starts"), Iterations: c.Int("iterations"), Key: c.Int64("key"), RTol: c.Float64("rtol"),
			}
			bars := newProgress(c.App.ErrWriter, c.Bool("quiet"), "gradients")
			report, err := f.Run(c.Context, c.String("file"), experiments.Options{MNIST: c.String("mnist")}, func(p tune.Progress) {
				bars.Report(fmt.Sprintf("stage %d, RMSE %.3g", p.Stage, math.Exp(p.Loss/2)), int64(p.Evals), int64(f.Iterations))
			})
			bars.finish()
			if err != nil {
				return err
			}
			return show(c, report)
		},
	}
}
