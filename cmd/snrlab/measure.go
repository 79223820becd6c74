package main

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"snrlab/experiments"
	"snrlab/internal/spec"
	"snrlab/models/mppca"
)

func convergeCommand() *cli.Command {
	def := experiments.DefaultConverge()
	return &cli.Command{
		Name:  "converge",
		Usage: "measure the order of convergence of every solver on an exact problem",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "model", Value: def.Model, Usage: "the exact problem (see snrlab list models)"},
			&cli.IntFlag{Name: "class", Value: def.Class, Usage: "condition a labelled model on a class; -1 for none"},
			&cli.StringFlag{Name: "schedule", Value: def.Schedule, Usage: "noise schedule"},
			&cli.StringFlag{Name: "spacing", Value: def.Spacing, Usage: "how levels are chosen on it"},
			&cli.StringFlag{Name: "solvers", Usage: "comma-separated solvers (default: all)"},
			&cli.StringFlag{Name: "steps", Value: join(def.Steps), Usage: "comma-separated numbers of steps, rising"},
			&cli.IntFlag{Name: "rows", Value: def.Rows, Usage: "samples"},
			&cli.Int64Flag{Name: "key", Value: def.Key, Usage: "seed of the starts"},
			&cli.StringFlag{Name: "start", Value: def.Start, Usage: "prior or exact"},
			&cli.Float64Flag{Name: "rtol", Value: def.RTol, Usage: "tolerance of the reference"},
			&cli.IntFlag{Name: "fine-steps", Value: def.FineSteps, Usage: "steps of stochastic solvers' fine runs; 0 skips these solvers"},
			mnistFlag(), jsonFlag(), quietFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0, "no argument"); err != nil {
				return err
			}
			conv := def
			conv.Model, conv.Class = c.String("model"), c.Int("class")
			conv.Schedule, conv.Spacing = c.String("schedule"), c.String("spacing")
			conv.Rows, conv.Key, conv.Start = c.Int("rows"), c.Int64("key"), c.String("start")
			conv.RTol, conv.FineSteps = c.Float64("rtol"), c.Int("fine-steps")
			var err error
			if conv.Steps, err = whole("steps", c.String("steps")); err != nil {
				return err
			}
			if c.IsSet("solvers") {
				if conv.Solvers, err = spec.SplitList(c.String("solvers")); err != nil {
					return usagef("--solvers: %v", err)
				}
			}
			bars := newProgress(c.App.ErrWriter, c.Bool("quiet"), "evaluations")
			table, err := conv.Run(c.Context, experiments.Options{MNIST: c.String("mnist"), Progress: bars})
			bars.finish()
			if err != nil {
				return err
			}
			return show(c, table)
		},
	}
}

// whole reads a comma-separated list of whole numbers.
func whole(flag, s string) ([]int, error) {
	var list []int
	for _, f := range strings.Split(s, ",") {
		v, err := strconv.Atoi(strings.TrimSpace(f))
		if err != nil {
			return nil, usagef("--%s: %q is not a whole number", flag, f)
		}
		list = append(list, v)
	}
	return list, nil
}

func join(list []int) string {
	parts := make([]string, len(list))
	for i, v := range list {
		parts[i] = strconv.Itoa(v)
	}
	return strings.Join(parts, ",")
}

func fitCommand() *cli.Command {
	def := experiments.DefaultFit()
	return &cli.Command{
		Name:  "fit",
		Usage: "fit an exact model to data",
		Subcommands: []*cli.Command{{
			Name:  "digits",
			Usage: "fit the mixture of low-rank Gaussians to the 60,000 training images of MNIST (minutes)",
			Flags: []cli.Flag{
				&cli.StringFlag{Name: "file", Value: "digits.npz", Usage: "where the mixture is written"},
				&cli.IntFlag{Name: "clusters", Value: def.Clusters, Usage: "components of each class"},
				&cli.IntFlag{Name: "rank", Value: def.Rank, Usage: "directions of each component"},
				&cli.Float64Flag{Name: "residual", Value: def.Residual, Usage: "standard deviation of the stored residual; 0 keeps the fitted one"},
				&cli.IntFlag{Name: "iterations", Value: def.Iterations, Usage: "most EM iterations"},
				&cli.Float64Flag{Name: "tolerance", Value: def.Tolerance, Usage: "stop when an iteration gains less, in nats per dimension"},
				&cli.IntFlag{Name: "starts", Value: def.Starts, Usage: "k-means++ starts of each class"},
				&cli.Uint64Flag{Name: "seed", Value: def.Seed, Usage: "seed of all randomness"},
				mnistFlag(), jsonFlag(), quietFlag(),
			},
			Action: func(c *cli.Context) error {
				if err := arguments(c, 0, 0, "no argument"); err != nil {
					return err
				}
				fit := experiments.Fit{
					Clusters: c.Int("clusters"), Rank: c.Int("rank"), Residual: c.Float64("residual"),
					Iterations: c.Int("iterations"), Tolerance: c.Float64("tolerance"), Starts: c.Int("starts"),
					Seed: c.Uint64("seed"), MNIST: c.String("mnist"),
				}
				bars := newProgress(c.App.ErrWriter, c.Bool("quiet"), "iterations")
				report, err := fit.Run(c.Context, c.String("file"), func(p mppca.Progress) {
					bars.Report(fmt.Sprintf("%.4f nats/dim", p.LogLik), int64(p.Iteration), int64(p.Total))
				})
				bars.finish()
				if err != nil {
					return err
				}
				return show(c, report)
			},
		}, fitStatisticsCommand()},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usagef("fit %s: there is no such fit; expected digits or statistics", name)
			}
			return usagef("fit: expected what to fit: digits or statistics")
		},
	}
}

func fitStatisticsCommand() *cli.Command {
	def := experiments.DefaultStatistics()
	return &cli.Command{
		Name:  "statistics",
		Usage: "make the model statistics of dpm-solver-v3, means over exact samples",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "file", Value: "statistics.json", Usage: "where they are written"},
			&cli.StringFlag{Name: "model", Value: def.Model, Usage: "the exact problem (see snrlab list models)"},
			&cli.Float64Flag{Name: "smin", Value: def.SMin, Usage: "σ/α of the cleanest level"},
			&cli.Float64Flag{Name: "smax", Value: def.SMax, Usage: "σ/α of the noisiest level"},
			&cli.IntFlag{Name: "levels", Value: def.Levels, Usage: "levels, uniform in λ"},
			&cli.IntFlag{Name: "rows", Value: def.Rows, Usage: "samples at each level"},
			&cli.IntFlag{Name: "probes", Value: def.Probes, Usage: "random signs a sample for the diagonal of the covariance; 0 takes every dimension in turn"},
			&cli.Int64Flag{Name: "key", Value: def.Key, Usage: "seed of the samples"},
			mnistFlag(), jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0, "no argument"); err != nil {
				return err
			}
			s := experiments.Statistics{
				Model: c.String("model"), SMin: c.Float64("smin"), SMax: c.Float64("smax"), Levels: c.Int("levels"),
				Rows: c.Int("rows"), Probes: c.Int("probes"), Key: c.Int64("key"), MNIST: c.String("mnist"),
			}
			report, err := s.Run(c.Context, c.String("file"))
			if err != nil {
				return err
			}
			return show(c, report)
		},
	}
}

func benchCommand() *cli.Command {
	def := experiments.DefaultBench()
	return &cli.Command{
		Name:      "bench",
		Usage:     "time kernels, networks, exact models and solvers beside the limits of this machine",
		ArgsUsage: "[" + strings.Join(experiments.BenchGroups(), "|") + " ...]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "network", Usage: "comma-separated networks of unet (default: all)"},
			&cli.Float64Flag{Name: "seconds", Value: def.Seconds, Usage: "time for each line, five runs at least"},
			&cli.StringFlag{Name: "against", Usage: "`FILE` that bench/torch_unet.py printed: print how many times faster our networks are"},
			jsonFlag(), quietFlag(),
		},
		Action: func(c *cli.Context) error {
			b := def
			b.Groups, b.Seconds, b.Against = c.Args().Slice(), c.Float64("seconds"), c.String("against")
			if c.IsSet("network") {
				var err error
				if b.Networks, err = spec.SplitList(c.String("network")); err != nil {
					return usagef("--network: %v", err)
				}
			}
			say := func(what string) { fmt.Fprintln(c.App.ErrWriter, what) }
			if c.Bool("quiet") {
				say = nil
			}
			table, err := b.Run(c.Context, say)
			if err != nil {
				return err
			}
			return show(c, table)
		},
	}
}
