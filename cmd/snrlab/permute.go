package main

import (
	"strings"

	"github.com/urfave/cli/v2"
)

// permute moves flags that stand after an argument in front of it, because the
// command line library stops reading flags at the first argument and would
// ignore them. A lone "--" ends the flags: what follows stays where it is.
func permute(app *cli.App, args []string) []string {
	out := []string{args[0]}
	rest := args[1:]
	flags, commands := app.Flags, app.Commands
	for {
		var front, back []string
		var next *cli.Command
		i := 0
		for ; i < len(rest) && next == nil; i++ {
			a := rest[i]
			switch {
			case a == "--":
				back = append(back, rest[i:]...)
				i = len(rest)
			case len(a) > 1 && a[0] == '-' && !isNumber(a):
				front = append(front, a)
				if strings.Contains(a, "=") || !takesValue(flags, a) {
					break
				}
				if i+1 == len(rest) {
					// Without its value it must stay last: an argument would be taken for it.
					return append(out, front...)
				}
				i++
				front = append(front, rest[i])
			default:
				switch c := find(commands, a); {
				case len(back) > 0 || len(commands) == 0:
					back = append(back, a)
				case c != nil:
					next = c
				default: // an unknown command: its flags are unknown too
					back = append(back, rest[i:]...)
					i = len(rest)
				}
			}
		}
		out = append(out, front...)
		if next == nil {
			return append(out, back...)
		}
		out = append(out, rest[i-1])
		rest = rest[i:]
		flags, commands = next.Flags, next.Subcommands
	}
}

func isNumber(s string) bool { return len(s) > 1 && (s[1] >= '0' && s[1] <= '9' || s[1] == '.') }

func takesValue(flags []cli.Flag, arg string) bool {
	name := strings.TrimLeft(arg, "-")
	for _, f := range flags {
		for _, n := range f.Names() {
			if n != name {
				continue
			}
			d, ok := f.(cli.DocGenerationFlag)
			return ok && d.TakesValue()
		}
	}
	return false
}

func find(commands []*cli.Command, name string) *cli.Command {
	for _, c := range commands {
		if c.HasName(name) {
			return c
		}
	}
	return nil
}
