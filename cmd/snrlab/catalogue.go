package main

import (
	"github.com/urfave/cli/v2"

	"snrlab/experiments"
	"snrlab/internal/runfile"
)

func catalogueCommand() *cli.Command {
	return &cli.Command{
		Name:      "catalogue",
		Usage:     "write the pages about solvers, solvers.md and equivalences.md, into a folder",
		ArgsUsage: "FOLDER",
		Description: "What the pages hold of measurements is inside the program. With --orders or --conform these are\n" +
			"made again and written to a file of the source instead, and no page is.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "orders", Usage: "measure the order of every solver and write it to `FILE`"},
			&cli.StringFlag{Name: "conform", Usage: "run the recorded cases in PATH … and write a table to `FILE`"},
			mnistFlag(), quietFlag(),
		},
		Action: func(c *cli.Context) error {
			switch {
			case c.IsSet("orders") && c.IsSet("conform"):
				return usagef("--orders and --conform: expected one of them at a time")
			case c.IsSet("orders"):
				if err := arguments(c, 0, 0, "no argument with --orders"); err != nil {
					return err
				}
				bars := newProgress(c.App.ErrWriter, c.Bool("quiet"), "evaluations")
				rows, err := experiments.MeasureOrders(c.Context, experiments.Options{MNIST: c.String("mnist"), Progress: bars})
				bars.finish()
				if err != nil {
					return err
				}
				return runfile.WriteOrders(c.String("orders"), rows)
			case c.IsSet("conform"):
				if err := arguments(c, 1, 1<<10, "one PATH or more with --conform"); err != nil {
					return err
				}
				rows, err := experiments.MeasureConformance(c.Context, c.Args().Slice()...)
				if err != nil {
					return err
				}
				return runfile.WriteConformance(c.String("conform"), rows)
			}
			if err := arguments(c, 1, 1, "one FOLDER"); err != nil {
				return err
			}
			return experiments.WriteCatalogue(c.Args().First())
		},
	}
}
