package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"snrlab/experiments"
	"snrlab/internal/runfile"
	"snrlab/internal/spec"
	"snrlab/viz"
)

func scheduleCommand() *cli.Command {
	def := experiments.DefaultSchedules()
	return &cli.Command{
		Name:      "schedule",
		Usage:     "print the grid of schedules as a table and draw λ, SNR, α, σ and dλ/dt over each other",
		ArgsUsage: "[SCHEDULE ...]",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "spacing", Value: strings.Join(def.Spacings, ","), Usage: "comma-separated: one for all schedules, or one for each"},
			&cli.IntFlag{Name: "steps", Aliases: []string{"n"}, Value: def.Steps, Usage: "steps of the grid: one fewer than its levels"},
			&cli.StringFlag{Name: "figure", Usage: "draw into `FILE`.svg and FILE.png"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			o := def
			if c.NArg() > 0 {
				o.Schedules = c.Args().Slice()
			}
			o.Steps = c.Int("steps")
			var err error
			if o.Spacings, err = spec.SplitList(c.String("spacing")); err != nil {
				return usagef("--spacing: %v", err)
			}
			report, err := o.Run()
			if err != nil {
				return err
			}
			if base := c.String("figure"); base != "" {
				if err := drawSchedules(report, strings.TrimSuffix(base, filepath.Ext(base))); err != nil {
					return err
				}
			}
			return show(c, report)
		},
	}
}

func drawSchedules(report *experiments.ScheduleReport, base string) error {
	fig, err := viz.Schedules(report.Curves())
	if err != nil {
		return err
	}
	return errors.Join(
		runfile.WriteFile(base+".svg", fig.SVG),
		runfile.WriteFile(base+".png", fig.PNG),
	)
}

func reportCommand() *cli.Command {
	return &cli.Command{
		Name:      "report",
		Usage:     "draw the figures and the report of a finished run again",
		ArgsUsage: "RUN-FOLDER",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "page", Usage: "put a ranking or a duel between the marks of `FILE`, a Markdown page, as snrlab rank does"},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1, "one RUN-FOLDER"); err != nil {
				return err
			}
			shown, err := experiments.Redraw(c.Args().First())
			if err != nil {
				return err
			}
			fmt.Fprintln(c.App.Writer, shown)
			if c.IsSet("page") {
				return experiments.Publish(c.Args().First(), c.String("page"))
			}
			return nil
		},
	}
}

func listCommand() *cli.Command {
	kinds := experiments.Kinds()
	return &cli.Command{
		Name:      "list",
		Usage:     "list what there is: " + strings.Join(kinds, ", "),
		ArgsUsage: "[" + strings.Join(kinds, "|") + "]",
		Flags:     []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 1, "at most one of "+strings.Join(kinds, ", ")); err != nil {
				return err
			}
			l, err := experiments.List(c.Args().First())
			if err != nil {
				return usageError{err}
			}
			return show(c, l)
		},
	}
}

func citeCommand() *cli.Command {
	return &cli.Command{
		Name:      "cite",
		Usage:     "print the references of what a recipe uses, as BibTeX",
		ArgsUsage: "RECIPE",
		Flags:     []cli.Flag{jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1, "one RECIPE"); err != nil {
				return err
			}
			recipe, err := experiments.Load(c.Args().First())
			if err != nil {
				return err
			}
			cites, err := experiments.Cite(recipe)
			if err != nil {
				return err
			}
			return show(c, cites)
		},
	}
}

func doctorCommand() *cli.Command {
	return &cli.Command{
		Name:  "doctor",
		Usage: "check what this machine offers: kernels, memory, MNIST, a writable folder",
		Flags: []cli.Flag{outFlag(), mnistFlag(), jsonFlag()},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0, "no argument"); err != nil {
				return err
			}
			checkup := experiments.Doctor(experiments.Options{Out: c.String("out"), MNIST: c.String("mnist")})
			if err := show(c, checkup); err != nil {
				return err
			}
			if !checkup.Healthy() {
				return errors.New("some checks are bad: see above for what to do")
			}
			return nil
		},
	}
}
