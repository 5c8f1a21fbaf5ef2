// Command countersign builds, signs, deploys, verifies and calls functions. Each verb has a file of its own, which
// parses flags and prints; the work is done by the packages that it calls.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"countersign"
	"countersign/patience"
	"countersign/terminal"
)

// Exit codes of the command, documented in docs/cli.md.
const (
	exitOK         = 0
	exitFailure    = 1
	exitUsage      = 2
	exitUnverified = 3 // something was checked and does not verify
	exitLeftBehind = 4 // all went well for some functions, and others were left behind
)

// streams are the standard streams of a command.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// patient returns a context for requests of which a person is told that they wait for a server.
func (s streams) patient(ctx context.Context, verb string) context.Context {
	return patience.WithTeller(ctx, func(text string) { fmt.Fprintf(s.err, "countersign %s: %s\n", verb, text) })
}

// command is one verb.
type command struct {
	name    string // one word, or two for a subcommand such as "cluster up"
	args    string // the arguments, for the usage line
	summary string // one line
	run     func(ctx context.Context, s streams, args []string) error
}

var commands []command

// register adds a verb; verbs call it from init, so that adding one is adding a file.
func register(c command) { commands = append(commands, c) }

// usageError is a wrong command line: exit code 2.
type usageError struct{ msg string }

func (e *usageError) Error() string { return e.msg }

// exitError ends the command with a code after everything was printed already.
type exitError struct{ code int }

func (e *exitError) Error() string { return fmt.Sprintf("exit code %d", e.code) }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, streams{os.Stdin, os.Stdout, os.Stderr}, os.Args[1:])
	stop()
	os.Exit(code)
}

// run runs the verb that args name and returns the exit code.
func run(ctx context.Context, s streams, args []string) int {
	slices.SortFunc(commands, func(a, b command) int { return strings.Compare(a.name, b.name) })
	if len(args) > 1 && args[0] == "help" {
		args = append(args[1:], "-h")
	}
	if len(args) == 0 || isHelp(args[0]) {
		usage(s.out, "")
		return exitOK
	}
	for n := min(2, len(args)); n > 0; n-- {
		name := strings.Join(args[:n], " ")
		i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
		if i < 0 {
			continue
		}
		return report(s, commands[i], commands[i].run(ctx, s, args[n:]))
	}
	if slices.ContainsFunc(commands, func(c command) bool { return strings.HasPrefix(c.name, args[0]+" ") }) {
		if len(args) == 1 || isHelp(args[1]) {
			usage(s.out, args[0])
			return exitOK
		}
		fmt.Fprintf(s.err, "countersign: unknown command %q; `countersign help %s` lists them\n", args[0]+" "+args[1], args[0])
		return exitUsage
	}
	fmt.Fprintf(s.err, "countersign: unknown command %q; `countersign help` lists them\n", args[0])
	return exitUsage
}

func isHelp(arg string) bool {
	return arg == "help" || arg == "-h" || arg == "-help" || arg == "--help"
}

// report prints err and returns the exit code that it stands for.
func report(s streams, c command, err error) int {
	var usage *usageError
	var exit *exitError
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		return exitOK
	case errors.As(err, &exit):
		return exit.code
	case errors.As(err, &usage):
		fmt.Fprintf(s.err, "countersign %s: %s\nUsage: countersign %s %s\n", c.name, usage.msg, c.name, c.args)
		return exitUsage
	}
	// Errors repeat what others wrote: a git remote, a registry, a spec.
	fmt.Fprintf(s.err, "countersign %s: %s\n", c.name, terminal.PrintableLines(err.Error()))
	if countersign.IsUnverified(err) {
		return exitUnverified
	}
	return exitFailure
}

// flags returns a flag set for c that reports errors as usageError through parse.
func flags(s streams, name, args, summary string) *flag.FlagSet {
	fs := flag.NewFlagSet(name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	fs.Usage = func() {
		fmt.Fprintf(s.out, "Usage: countersign %s %s\n\n%s\n", name, args, summary)
		fs.SetOutput(s.out)
		fs.PrintDefaults()
	}
	return fs
}

// parse parses args with fs; flags may stand before and after positional arguments, which it returns.
func parse(fs *flag.FlagSet, args []string) ([]string, error) {
	var rest []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, &usageError{err.Error()}
		}
		if args = fs.Args(); len(args) == 0 {
			return rest, nil
		}
		rest, args = append(rest, args[0]), args[1:]
	}
}

// usage lists the commands, or those that begin with a word.
func usage(w io.Writer, word string) {
	fmt.Fprint(w, "countersign builds, signs, deploys, verifies and calls functions.\n\nCommands:\n")
	for _, c := range commands {
		if word == "" || strings.HasPrefix(c.name, word+" ") {
			fmt.Fprintf(w, "  %-16s %s\n", c.name, c.summary)
		}
	}
	fmt.Fprint(w, "\n`countersign COMMAND -h` tells more about one.\n")
}
