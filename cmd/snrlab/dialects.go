package main

import (
	"encoding/json"
	"errors"
	"fmt"

	"github.com/urfave/cli/v2"

	"snrlab/dialects/conform"
)

func conformCommand() *cli.Command {
	return &cli.Command{
		Name:      "conform",
		Usage:     "run recorded cases of other programs through our solvers and compare every number",
		ArgsUsage: "PATH ...",
		Description: "PATH is a golden file or a folder of them. One line a case says what was furthest off, a table\n" +
			"sums the samplers up. Exits with 1 if a case fails and with 2 if a file cannot be read.",
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
