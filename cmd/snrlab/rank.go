package main

import (
	"fmt"

	"github.com/urfave/cli/v2"

	"snrlab/experiments"
)

func rankCommand() *cli.Command {
	fields := []override{
		{"models", "comma-separated exact problems (see snrlab list models)"},
		{"schedule", "noise schedule (see snrlab list schedules)"},
		{"spacings", "comma-separated candidates, of which each solver gets the best (see snrlab list spacings); {total} in a name is the total variance of a problem's data, {total/10} a part of it"},
		{"solvers", "comma-separated solvers, which may hold {total} too; without any, all that are registered"},
		{"also", "comma-separated further solvers"},
		{"budgets", "comma-separated numbers of evaluations per sample"},
		{"rows", "samples: one number for all problems, or one for each"},
		{"tuning_rows", "samples that choose the spacing"},
		{"key", "seed of all randomness"},
		{"name", "name of the run folder"},
	}
	return &cli.Command{
		Name:  "rank",
		Usage: "rank solvers against the exact answer at matched evaluations; flags override the recipe",
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "recipe", Value: "work-precision", Usage: "the recipe to start from"},
			&cli.StringFlag{Name: "page", Usage: "put the result between the marks of `FILE`, a Markdown page, and its figures into figures/ beside it"},
		}, overrideFlags(fields)...), recipeFlags()...),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0, "no argument"); err != nil {
				return err
			}
			recipe, err := experiments.Load(c.String("recipe"))
			if err != nil {
				return err
			}
			switch recipe.Experiment.(type) {
			case *experiments.Rank, *experiments.Duel:
			default:
				return usagef("--recipe: %s is neither a ranking nor a duel", c.String("recipe"))
			}
			if err := applyOverrides(c, recipe, fields); err != nil {
				return err
			}
			info, err := runRecipe(c, recipe)
			if err != nil || info == nil || !c.IsSet("page") {
				return err
			}
			if err := experiments.Publish(info.Dir, c.String("page")); err != nil {
				return fmt.Errorf("the run is finished, but its page could not be written: %w", err)
			}
			return nil
		},
	}
}
