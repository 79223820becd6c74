package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"snrlab/experiments"
	"snrlab/tune"
)

func optimizeCommand() *cli.Command {
	def := experiments.DefaultOptimizeGrid()
	var methods []string
	for _, m := range tune.GridMethods() {
		methods = append(methods, fmt.Sprintf("%-10s %s", m.Name, m.Summary))
	}
	return &cli.Command{
		Name:  "optimize",
		Usage: "find what is best for a solver without gradients",
		Subcommands: []*cli.Command{{
			Name:        "grid",
			Usage:       "find a grid for a solver on an exact model; the result is a file that loads as a spacing",
			Description: "Methods:\n  " + strings.Join(methods, "\n  "),
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "model", Value: def.Model, Usage: "the exact model (see snrlab list models)"},
				&cli.StringFlag{Name: "solver", Value: def.Solver, Usage: "the solver"},
				&cli.IntFlag{Name: "nfe", Value: def.NFE, Usage: "evaluations"},
				&cli.StringFlag{Name: "method", Value: def.Method, Usage: "how: see above"},
				&cli.IntFlag{Name: "teacher", Value: def.Teacher, Usage: "points of the exact paths, of gits, local, oss and curvature"},
				&cli.IntFlag{Name: "paths", Value: def.Paths, Usage: "exact paths, of the same"},
				&cli.Float64Flag{Name: "discount", Value: def.Discount, Usage: "of gits and local: a step counts so many times the one after it"},
				&cli.IntFlag{Name: "runs", Value: def.Runs, Usage: "most runs of the solver, of refine"},
				&cli.Float64Flag{Name: "smax", Value: def.Noisy, Usage: "σ/α of the noisy end"},
				&cli.Float64Flag{Name: "smin", Value: def.Clean, Usage: "σ/α of the clean end"},
				&cli.IntFlag{Name: "rows", Value: def.Rows, Usage: "starts to search on"},
				&cli.IntFlag{Name: "fresh", Value: def.Fresh, Usage: "starts to measure on"},
				&cli.Int64Flag{Name: "key", Value: def.Key, Usage: "seed of the starts"},
				&cli.Float64Flag{Name: "rtol", Value: def.RTol, Usage: "tolerance of the exact ends"},
				&cli.StringFlag{Name: "file", Value: "grid.json", Usage: "where the grid is written"},
				mnistFlag(), jsonFlag(),
			},
			Action: func(c *cli.Context) error {
				if err := arguments(c, 0, 0, "no argument"); err != nil {
					return err
				}
				g := experiments.OptimizeGrid{
					Model: c.String("model"), Solver: c.String("solver"), NFE: c.Int("nfe"), Method: c.String("method"),
					Teacher: c.Int("teacher"), Paths: c.Int("paths"), Discount: c.Float64("discount"), Runs: c.Int("runs"),
					Noisy: c.Float64("smax"), Clean: c.Float64("smin"), Rows: c.Int("rows"), Fresh: c.Int("fresh"),
					Key: c.Int64("key"), RTol: c.Float64("rtol"),
				}
				report, err := g.Run(c.Context, c.String("file"), experiments.Options{MNIST: c.String("mnist")})
				if err != nil {
					return err
				}
				return show(c, report)
			},
		}},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usagef("optimize %s: there is no such thing to optimize; expected grid", name)
			}
			return usagef("optimize: expected what to optimize: grid")
		},
	}
}
