package main

import (
	"github.com/urfave/cli/v2"

	"snrlab/experiments"
)

func leaguesCommand() *cli.Command {
	return &cli.Command{
		Name:      "leagues",
		Usage:     "compare the fitted solvers and grids of a folder, each in its league",
		ArgsUsage: "FOLDER",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "page", Usage: "put the tables between the marks of `FILE`, a Markdown page, and their figures into figures/ beside it"},
			jsonFlag(),
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1, "one FOLDER"); err != nil {
				return err
			}
			l, err := experiments.ReadLeagues(c.Args().First())
			if err != nil {
				return err
			}
			if page := c.String("page"); page != "" {
				if err := l.Publish(page); err != nil {
					return err
				}
			}
			return show(c, l)
		},
	}
}
