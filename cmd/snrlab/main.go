// Command snrlab compares diffusion samplers step for step against the exact
// answer. It holds flags, help and exit codes; what it runs is in package
// experiments.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/urfave/cli/v2"

	"snrlab/experiments"
	"snrlab/internal/spec"
)

// Exit codes, which scripts may rely on.
const (
	exitFailed      = 1   // something could not be done
	exitUsage       = 2   // the command line was not understood
	exitInterrupted = 130 // stopped by Ctrl-C; a run resumes
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args, os.Stdout, os.Stderr))
}

// usageError is a command line that was not understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run is main without the process: it returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	app := newApp(stdout, stderr)
	err := app.RunContext(ctx, permute(app, args))
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &usage):
		fmt.Fprintf(stderr, "snrlab: %v\n", err)
		return exitUsage
	case errors.Is(err, context.Canceled):
		fmt.Fprintf(stderr, "snrlab: stopped: %v\n", err)
		return exitInterrupted
	default:
		fmt.Fprintf(stderr, "snrlab: %v\n", err)
		return exitFailed
	}
}

func newApp(stdout, stderr io.Writer) *cli.App {
	app := &cli.App{
		Name:      "snrlab",
		Usage:     "find out what is true about a diffusion sampler",
		UsageText: "snrlab COMMAND [flags] [arguments]",
		Version:   experiments.Version(),
		Writer:    stdout,
		ErrWriter: stderr,
		// A list inside one flag belongs to the recipe, which splits it itself.
		DisableSliceFlagSeparator: true,
		Commands: []*cli.Command{
			runCommand(),
			compareCommand(),
			rankCommand(),
			sampleCommand(),
			scheduleCommand(),
			weightsCommand(),
			convergeCommand(),
			benchCommand(),
			likelihoodCommand(),
			conformCommand(),
			translateCommand(),
			fitCommand(),
			fitSolverCommand(),
			fitScheduleCommand(),
			optimizeCommand(),
			leaguesCommand(),
			reportCommand(),
			listCommand(),
			catalogueCommand(),
			citeCommand(),
			doctorCommand(),
		},
		HideHelpCommand: true,
		// The exit code is run's business.
		ExitErrHandler: func(*cli.Context, error) {},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return usagef("unknown command %q%s", name, suggestCommand(c.App, name))
			}
			return cli.ShowAppHelp(c)
		},
	}
	misread := func(c *cli.Context, err error, _ bool) error { return usageError{withNearFlag(c, err)} }
	app.OnUsageError = misread
	for _, c := range app.Commands {
		c.OnUsageError = misread
		c.HideHelpCommand = true
		for _, s := range c.Subcommands {
			s.OnUsageError = misread
			s.HideHelpCommand = true
		}
	}
	return app
}

// withNearFlag adds the flags that an unknown one may have meant.
func withNearFlag(c *cli.Context, err error) error {
	name, unknown := strings.CutPrefix(err.Error(), "flag provided but not defined: -")
	if !unknown {
		return err
	}
	var names []string
	for _, f := range c.Command.Flags {
		for _, n := range f.Names() {
			if len(n) > 1 {
				names = append(names, "--"+n)
			}
		}
	}
	return fmt.Errorf("unknown flag --%s%s", name, spec.Suggest("--"+name, names))
}
