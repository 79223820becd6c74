package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"snrlab/dialects"
	"snrlab/dialects/conform"
	"snrlab/internal/spec"
)

func conformCommand() *cli.Command {
	return &cli.Command{
		Name:      "conform",
		Usage:     "run recorded cases of other programs through our solvers and compare every number",
		ArgsUsage: "PATH ...",
		Description: "PATH is a golden file, the folder of a recorded network, or a folder of these. One line a case says\n" +
			"what was furthest off, a table sums the samplers up. Exits with 1 if a case fails and with 2 if a file cannot be read.",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "problems", Usage: "take the distributions from `FILE`; the problems.json beside the cases or one folder up otherwise"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if c.NArg() == 0 {
				return usagef("expected at least one PATH, a golden file or a folder of them, got none")
			}
			o := conform.Options{Problems: c.String("problems")}
			if !c.Bool("json") {
				o.Each = func(r conform.Result) { fmt.Fprintln(c.App.Writer, r.Line()) }
			}
			report, err := conform.Check(c.Context, o, c.Args().Slice()...)
			var unreadable *conform.FileError
			switch {
			case errors.As(err, &unreadable):
				return usageError{err}
			case err != nil:
				return err
			case c.Bool("json"):
				e := json.NewEncoder(c.App.Writer)
				e.SetIndent("", "  ")
				err = e.Encode(report)
			default:
				err = report.WriteTable(c.App.Writer)
			}
			if n := report.Failed(); err == nil && n > 0 {
				return fmt.Errorf("%d of %d cases failed", n, len(report.Results))
			}
			return err
		},
	}
}

func translateCommand() *cli.Command {
	return &cli.Command{
		Name:      "translate",
		Usage:     "say what a sampler of another program is here: schedule, spacing and solver, as a recipe",
		ArgsUsage: "FILE|NAME",
		Description: "FILE is a scheduler_config.json of diffusers. NAME is what another program or a user interface calls a\n" +
			"sampler: \"DPM++ 2M Karras\", \"dpmpp_sde_gpu exponential\", \"sample_dpmpp_2m_sde(eta=0.5)\",\n" +
			"\"EulerDiscreteScheduler(use_karras_sigmas=true)\". What is printed is a recipe that snrlab run takes.",
		Flags: []cli.Flag{
			&cli.IntFlag{Name: "steps", Aliases: []string{"n"}, Value: 20, Usage: "that program's own number of steps"},
			&cli.StringSliceFlag{Name: "set", Usage: "an argument that FILE does not hold, `GROUP.KEY=VALUE` (step.eta=1, set_timesteps.mu=0.9); may be repeated"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1, "one FILE or NAME"); err != nil {
				return err
			}
			name := c.Args().First()
			text, err := os.ReadFile(name)
			var reading *dialects.Reading
			switch {
			case err == nil:
				var more []spec.Arg
				for _, a := range c.StringSlice("set") {
					key, value, ok := strings.Cut(a, "=")
					if !ok {
						return usagef("--set %s: expected GROUP.KEY=VALUE", a)
					}
					more = append(more, spec.Arg{Key: key, Value: value})
				}
				reading, err = dialects.ReadConfig(name, text, c.Int("steps"), more...)
			case strings.HasSuffix(name, ".json"):
				return err
			case c.IsSet("set"):
				return usagef("--set belongs to a FILE: write NAME(key=value)")
			default:
				reading, err = dialects.Read(name, c.Int("steps"))
			}
			if err != nil {
				return err
			}
			return show(c, reading)
		},
	}
}
