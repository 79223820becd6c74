package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"snrlab/experiments"
	"snrlab/internal/spec"
)

// Flags that several commands share.
func jsonFlag() cli.Flag {
	return &cli.BoolFlag{Name: "json", Usage: "print JSON instead of a table"}
}

func quietFlag() cli.Flag {
	return &cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "no progress, only the result"}
}

func outFlag() cli.Flag {
	return &cli.StringFlag{Name: "out", Value: "runs", Usage: "folder that holds the run folders"}
}

func mnistFlag() cli.Flag {
	return &cli.StringFlag{Name: "mnist", Usage: "folder with the four MNIST files (default: the Go module cache)"}
}

func setFlag() cli.Flag {
	return &cli.StringSliceFlag{Name: "set", Usage: "override a recipe field, `FIELD=VALUE`; may be repeated"}
}

func dryRunFlag() cli.Flag {
	return &cli.BoolFlag{Name: "dry-run", Usage: "print the resolved recipe and the evaluations it will cost, run nothing"}
}

func noReportFlag() cli.Flag {
	return &cli.BoolFlag{Name: "no-report", Usage: "leave the figures and the report to a later run or to snrlab report"}
}

// recipeFlags are what every command that runs a recipe takes.
func recipeFlags() []cli.Flag {
	return []cli.Flag{setFlag(), outFlag(), mnistFlag(), jsonFlag(), dryRunFlag(), noReportFlag(), quietFlag()}
}

// texter is a result that prints itself for people; JSON prints its fields.
type texter interface{ Text(w io.Writer) error }

// show prints a result as the flags ask.
func show(c *cli.Context, v texter) error {
	if !c.Bool("json") {
		return v.Text(c.App.Writer)
	}
	enc := json.NewEncoder(c.App.Writer)
	enc.SetIndent("", "  ")
	return enc.Encode(v)
}

// arguments refuses a command line with another number of arguments.
func arguments(c *cli.Context, least, most int, what string) error {
	n := c.NArg()
	if n >= least && n <= most {
		return nil
	}
	got := "none"
	if n > 0 {
		got = strings.Join(c.Args().Slice(), " ")
	}
	return usagef("%s: expected %s, got %s", c.Command.Name, what, got)
}

func suggestCommand(app *cli.App, name string) string {
	var names []string
	for _, c := range app.Commands {
		names = append(names, c.Name)
	}
	return spec.Suggest(name, names)
}

func runCommand() *cli.Command {
	return &cli.Command{
		Name:      "run",
		Usage:     "run a recipe: a TOML file, or one inside the program",
		ArgsUsage: "RECIPE",
		Description: "Recipes inside the program: " + strings.Join(experiments.Embedded(), ", ") + ".\n" +
			"A finished run is found again and not repeated; a stopped one goes on where it was.",
		Flags: recipeFlags(),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 1, 1, "one RECIPE"); err != nil {
				return err
			}
			recipe, err := experiments.Load(c.Args().First())
			if err != nil {
				return err
			}
			_, err = runRecipe(c, recipe)
			return err
		},
	}
}

// override is a flag that sets a recipe field of the same name.
type override struct{ name, usage string }

func overrideFlags(fields []override) []cli.Flag {
	var flags []cli.Flag
	for _, f := range fields {
		flags = append(flags, &cli.StringFlag{Name: f.name, Usage: f.usage})
	}
	return flags
}

func compareCommand() *cli.Command {
	fields := []override{
		{"model", "digits, gm2d, points:mnist-test, npz:FILE, png:FOLDER, ... (see snrlab list models)"},
		{"class", "condition a labelled model on a class; -1 for none"},
		{"schedule", "noise schedule (see snrlab list schedules)"},
		{"spacing", "how levels are chosen on it (see snrlab list spacings)"},
		{"solvers", "comma-separated solvers (see snrlab list solvers)"},
		{"budgets", "comma-separated numbers of evaluations per sample"},
		{"mismatch", "a budget that a solver cannot meet: below or refuse"},
		{"rows", "samples"},
		{"key", "seed of all randomness"},
		{"start", "prior or exact"},
		{"name", "name of the run folder"},
	}
	return &cli.Command{
		Name:  "compare",
		Usage: "compare solvers step for step; flags override the recipe",
		Flags: append(append([]cli.Flag{
			&cli.StringFlag{Name: "recipe", Value: "compare-digits", Usage: "the recipe to start from"},
		}, overrideFlags(fields)...), recipeFlags()...),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0, "no argument"); err != nil {
				return err
			}
			recipe, err := experiments.Load(c.String("recipe"))
			if err != nil {
				return err
			}
			recipe.NameAfter(c.String("model"))
			if err := applyOverrides(c, recipe, fields); err != nil {
				return err
			}
			_, err = runRecipe(c, recipe)
			return err
		},
	}
}

func sampleCommand() *cli.Command {
	fields := []override{
		{"model", "digits, gm2d, points:mnist-test, npz:FILE, png:FOLDER, ... (see snrlab list models)"},
		{"class", "condition a labelled model on a class; -1 for none"},
		{"schedule", "noise schedule"},
		{"spacing", "how levels are chosen on it; {total} in a name is the total variance of what is sampled"},
		{"solver", "the solver, which may hold {total} too"},
		{"steps", "number of steps"},
		{"rows", "samples"},
		{"key", "seed of all randomness"},
		{"guidance", "none, cfg(scale=...) or autoguidance(scale=...) (see snrlab list guidance)"},
		{"start", "prior or exact"},
		{"name", "name of the run folder"},
	}
	return &cli.Command{
		Name:  "sample",
		Usage: "draw samples with one solver: an npz file and a sheet of images",
		Flags: append(overrideFlags(fields), recipeFlags()...),
		Action: func(c *cli.Context) error {
			if err := arguments(c, 0, 0, "no argument"); err != nil {
				return err
			}
			def := experiments.DefaultSample()
			recipe := &experiments.Recipe{Source: "of the sample command", Experiment: &def}
			if err := applyOverrides(c, recipe, fields); err != nil {
				return err
			}
			_, err := runRecipe(c, recipe)
			return err
		},
	}
}

func applyOverrides(c *cli.Context, recipe *experiments.Recipe, fields []override) error {
	for _, f := range fields {
		if c.IsSet(f.name) {
			if err := recipe.Set(f.name, c.String(f.name)); err != nil {
				return usageError{err}
			}
		}
	}
	return nil
}

// runRecipe runs, or with --dry-run prints, a recipe. What ran is nil where
// nothing did.
func runRecipe(c *cli.Context, recipe *experiments.Recipe) (*experiments.RunInfo, error) {
	for _, s := range c.StringSlice("set") {
		field, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, usagef("--set %q: expected FIELD=VALUE", s)
		}
		if err := recipe.Set(field, value); err != nil {
			return nil, usageError{err}
		}
	}
	opt := experiments.Options{Out: c.String("out"), MNIST: c.String("mnist"), Undrawn: c.Bool("no-report")}
	if c.Bool("dry-run") {
		plan, err := recipe.Plan(opt)
		if err != nil {
			return nil, err
		}
		return nil, show(c, plan)
	}
	bars := newProgress(c.App.ErrWriter, c.Bool("quiet"), "evaluations")
	opt.Progress = bars
	info, err := experiments.Run(c.Context, recipe, opt)
	bars.finish()
	if err != nil {
		return nil, err
	}
	if err := show(c, info); err != nil {
		return nil, fmt.Errorf("the run is finished, but its summary could not be printed: %w", err)
	}
	return info, nil
}
