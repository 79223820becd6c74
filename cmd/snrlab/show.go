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
	"snrlab/internal/study"
	"snrlab/viz"
)

func scheduleCommand() *cli.Command {
	def := experiments.DefaultSchedules()
	return &cli.Command{
		Name:      "schedule",
		Usage:     "print the grid of schedules as a table and draw schedules and grids over each other",
		ArgsUsage: "[SCHEDULE ...]",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "spacing", Value: strings.Join(def.Spacings, ","), Usage: "comma-separated: one for all schedules, or one for each"},
			&cli.IntFlag{Name: "steps", Aliases: []string{"n"}, Value: def.Steps, Usage: "steps of the grid: one fewer than its levels"},
			axisFlag(def.Axis, experiments.ScheduleAxes()),
		}, curveFlags()...),
		Action: func(c *cli.Context) error {
			o := def
			if c.NArg() > 0 {
				o.Schedules = c.Args().Slice()
			}
			o.Steps, o.Axis = c.Int("steps"), c.String("axis")
			var err error
			if o.Spacings, err = spec.SplitList(c.String("spacing")); err != nil {
				return usagef("--spacing: %v", err)
			}
			report, err := o.Run()
			if err != nil {
				return err
			}
			return showCurves(c, report)
		},
	}
}

func weightsCommand() *cli.Command {
	def := experiments.DefaultWeights()
	return &cli.Command{
		Name:      "weights",
		Usage:     "show what training losses weigh: densities p(λ), weights ω(λ) and p·ω over each other, and their shares by band of λ",
		ArgsUsage: "[LOSS ...]",
		Description: "A LOSS is a weight and a density, sd3 or pair(weight=min-snr,density=laplace) say (see snrlab list losses).\n" +
			"Without any, and without --weight and --density, it shows " + strings.Join(def.Recipes, ", ") + ".",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "weight", Usage: "comma-separated weights, shown without a density (see snrlab list weights)"},
			&cli.StringFlag{Name: "density", Usage: "comma-separated densities, shown without a weight (see snrlab list densities)"},
			&cli.StringFlag{Name: "unit", Value: def.Unit, Usage: "residual that weights are factors of: x0, eps, v, flow, edm, score"},
			&cli.Float64Flag{Name: "from", Value: def.From, Usage: "noisy end of the range of λ"},
			&cli.Float64Flag{Name: "to", Value: def.To, Usage: "clean end of it"},
			&cli.IntFlag{Name: "bands", Value: def.Bands, Usage: "bands of λ in the table"},
			&cli.StringFlag{Name: "schedule", Usage: "mark the levels of a grid on this schedule (see --spacing and --steps); --axis index needs it"},
			&cli.StringFlag{Name: "spacing", Value: def.Spacing, Usage: "how the levels of that grid are chosen"},
			&cli.IntFlag{Name: "steps", Aliases: []string{"n"}, Value: def.Steps, Usage: "steps of that grid"},
			axisFlag(def.Axis, experiments.WeightAxes()),
		}, curveFlags()...),
		Action: func(c *cli.Context) error {
			o := def
			for name, list := range map[string]*[]string{"weight": &o.Weights, "density": &o.Densities} {
				if !c.IsSet(name) {
					continue
				}
				var err error
				if *list, err = spec.SplitList(c.String(name)); err != nil {
					return usagef("--%s: %v", name, err)
				}
				o.Recipes = nil
			}
			if c.NArg() > 0 {
				o.Recipes = c.Args().Slice()
			}
			o.Schedule, o.Spacing, o.Steps = c.String("schedule"), c.String("spacing"), c.Int("steps")
			for _, name := range []string{"spacing", "steps"} {
				if c.IsSet(name) && o.Schedule == "" {
					return usagef("--%s has no effect without --schedule", name)
				}
			}
			o.Unit, o.From, o.To, o.Bands, o.Axis = c.String("unit"), c.Float64("from"), c.Float64("to"), c.Int("bands"), c.String("axis")
			report, err := o.Run()
			if err != nil {
				return err
			}
			return showCurves(c, report)
		},
	}
}

func axisFlag(def string, names []string) cli.Flag {
	return &cli.StringFlag{Name: "axis", Value: def, Usage: "what the figure is drawn against: " + strings.Join(names, ", ")}
}

// curveFlags are where curves go.
func curveFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "figure", Usage: "draw into `FILE`.svg and FILE.png"},
		&cli.StringFlag{Name: "csv", Usage: "write every point of the curves into `FILE`"},
		jsonFlag(),
	}
}

// curves is a report that can be drawn.
type curves interface {
	texter
	Table() *study.Table
	Figure() *viz.Figure
}

func showCurves(c *cli.Context, report curves) error {
	if base := c.String("figure"); base != "" {
		base, fig := strings.TrimSuffix(base, filepath.Ext(base)), report.Figure()
		err := errors.Join(
			runfile.WriteFile(base+".svg", fig.SVG),
			runfile.WriteFile(base+".png", fig.PNG),
		)
		if err != nil {
			return err
		}
	}
	if file := c.String("csv"); file != "" {
		if err := runfile.WriteFile(file, report.Table().Encode); err != nil {
			return err
		}
	}
	return show(c, report)
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
