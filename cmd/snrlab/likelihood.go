package main

import (
	"github.com/urfave/cli/v2"

	"snrlab/experiments"
)

func likelihoodCommand() *cli.Command {
	def := experiments.DefaultLikelihood()
	return &cli.Command{
		Name:  "likelihood",
		Usage: "log-densities of exact samples by the probability-flow ODE, beside the exact ones",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Value: def.Model, Usage: "the exact problem (see snrlab list models)"},
			&cli.IntFlag{Name: "class", Value: def.Class, Usage: "condition a labelled model on a class; -1 for none"},
			&cli.IntFlag{Name: "rows", Value: def.Rows, Usage: "samples"},
			&cli.Int64Flag{Name: "key", Value: def.Key, Usage: "seed of the samples and the probes"},
			&cli.Float64Flag{Name: "sigma", Value: def.Sigma, Usage: "noise σ/α of the samples, above 0"},
			&cli.StringFlag{Name: "divergence", Value: def.Divergence, Usage: "exact or hutchinson"},
			&cli.StringFlag{Name: "probe", Value: def.Probe, Usage: "law of hutchinson's probes: rademacher or normal"},
			&cli.IntFlag{Name: "probes", Value: def.Probes, Usage: "hutchinson's probes a sample"},
			&cli.Float64Flag{Name: "rtol", Value: def.RTol, Usage: "tolerance of the integration"},
			&cli.IntFlag{Name: "steps", Value: def.Steps, Usage: "steps of order 4 instead of error control; 0 for error control"},
			mnistFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0, "no argument"); err != nil {
				return err
			}
			report, err := experiments.Likelihood{
				Model: c.String("model"), Class: c.Int("class"), Rows: c.Int("rows"), Key: c.Int64("key"),
				Sigma: c.Float64("sigma"), Divergence: c.String("divergence"), Probe: c.String("probe"), Probes: c.Int("probes"),
				RTol: c.Float64("rtol"), Steps: c.Int("steps"),
			}.Run(c.Context, experiments.Options{MNIST: c.String("mnist")})
			if err != nil {
				return err
			}
			return show(c, report)
		},
	}
}
