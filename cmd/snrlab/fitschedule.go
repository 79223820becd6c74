package main

import (
	"github.com/urfave/cli/v2"

	"snrlab/experiments"
)

func fitScheduleCommand() *cli.Command {
	def := experiments.DefaultFitSchedule()
	return &cli.Command{
		Name:  "fit-schedule",
		Usage: "learn the schedule on which a training loss varies least, or make equal times cost alike; the result is a file that loads as a schedule",
		Description: "By variance the schedule minimises the variance of the estimate of the loss, whose mean depends on the ends alone. The others spread a cost\n" +
			"evenly over time: difficulty (the loss of the best linear denoiser in v units), entropy (nats that the data give away) and local-error (of DDIM's steps).",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Value: def.Model, Usage: "the exact model (see snrlab list models)"},
			&cli.StringFlag{Name: "by", Value: def.By, Usage: "variance, difficulty, entropy, local-error"},
			&cli.StringFlag{Name: "objective", Value: def.Objective, Usage: "the training loss, by variance (see snrlab list losses)"},
			&cli.Float64Flag{Name: "min", Value: def.Min, Usage: "λ of the noisy end"},
			&cli.Float64Flag{Name: "max", Value: def.Max, Usage: "λ of the clean end"},
			&cli.Float64Flag{Name: "gap", Value: def.Gap, Usage: "nats that each end may cost the variational bound, by which ends inside min and max are chosen; 0 keeps min and max"},
			&cli.IntFlag{Name: "knots", Value: def.Knots, Usage: "of the schedule, evenly in λ"},
			&cli.IntFlag{Name: "rounds", Value: def.Rounds, Usage: "of draws, by variance"},
			&cli.IntFlag{Name: "draws", Value: def.Draws, Usage: "in each round, by variance"},
			&cli.IntFlag{Name: "rows", Value: def.Rows, Usage: "draws at each knot: of a cost, and to measure the variance on"},
			&cli.StringFlag{Name: "path", Value: def.Path, Usage: "path of the schedule: vp, ve, rf"},
			&cli.Int64Flag{Name: "key", Value: def.Key, Usage: "seed of all draws"},
			&cli.StringFlag{Name: "file", Value: "learned.json", Usage: "where the schedule is written"},
			mnistFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0, "no argument"); err != nil {
				return err
			}
			f := experiments.FitSchedule{
				Model: c.String("model"), By: c.String("by"), Objective: c.String("objective"), Min: c.Float64("min"), Max: c.Float64("max"), Gap: c.Float64("gap"),
				Knots: c.Int("knots"), Rounds: c.Int("rounds"), Draws: c.Int("draws"), Rows: c.Int("rows"), Path: c.String("path"), Key: c.Int64("key"),
			}
			report, err := f.Run(c.Context, c.String("file"), experiments.Options{MNIST: c.String("mnist")})
			if err != nil {
				return err
			}
			return show(c, report)
		},
	}
}
