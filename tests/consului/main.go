// Command consului opens the pages of a function in the real Consul UI, in headless Chromium, and checks that they show
// what is expected:
//
//	go run . -consul http://127.0.0.1:8500 -expect quote.json -out /tmp/screenshots
//
// It prints a line for each check and saves a screenshot of each tab: topology, intentions, routing, routing-<subset> with
// the mouse on that split, instances, and instance, the Tags & Meta of the first one. docs/consul-ui.md has the format of
// the expectations. Exit status: 0 all is as expected, 1 something is not, 2 the browser or the UI could not be reached,
// or the command was used in a wrong way.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"countersign/tests/consului/browser"
	"countersign/tests/consului/check"
	"countersign/tests/consului/page"
)

const (
	exitOK     = 0
	exitFailed = 1
	exitBroken = 2
)

type options struct {
	consul, expect, out string
	width, height       int64
	timeout             time.Duration
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process around it.
func run(ctx context.Context, arguments []string, stdout, stderr io.Writer) (code int) {
	o, err := parse(arguments, stderr)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err == nil {
		var failed int
		if failed, err = o.check(ctx, stdout); err == nil && failed > 0 {
			fmt.Fprintf(stdout, "%d checks failed\n", failed)
			return exitFailed
		}
	}
	if err != nil {
		fmt.Fprintln(stderr, "consului:", err)
		return exitBroken
	}
	return exitOK
}

func parse(arguments []string, stderr io.Writer) (o options, err error) {
	flags := flag.NewFlagSet("consului", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.consul, "consul", "", "`URL` of a Consul agent that serves the UI")
	flags.StringVar(&o.expect, "expect", "", "JSON `file` with the expectations")
	flags.StringVar(&o.out, "out", "", "`directory` for the screenshots")
	flags.Int64Var(&o.width, "width", 1600, "width of the window in pixels; digests and tags are cut off in a narrower one")
	flags.Int64Var(&o.height, "height", 900, "height of the window in pixels")
	flags.DurationVar(&o.timeout, "timeout", 5*time.Minute, "for everything; the browser is ended then")
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	if o.consul == "" || o.expect == "" || o.out == "" || flags.NArg() > 0 {
		return o, errors.New("-consul, -expect and -out are needed, and nothing else; -help explains them")
	}
	return o, nil
}

// check prints the results and returns how many failed.
func (o *options) check(ctx context.Context, stdout io.Writer) (failed int, err error) {
	want, err := check.Load(o.expect)
	if err != nil {
		return 0, err
	}
	if err := os.MkdirAll(o.out, 0o755); err != nil {
		return 0, fmt.Errorf("make the directory for screenshots: %w", err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, o.timeout, fmt.Errorf("not done after %v", o.timeout))
	defer cancel()
	b, err := browser.Start(ctx, o.width, o.height)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	pages, err := page.Visit(b, o.consul, want.Function, o.out)
	if err != nil {
		return 0, fmt.Errorf("reach the Consul UI: %w", err)
	}
	for _, t := range tabs(want, pages) {
		results, err := t.look()
		var notShown *browser.NotShownError
		if errors.As(err, &notShown) {
			results = []check.Result{{Tab: t.name, Wanted: notShown.What, Shows: fmt.Sprintf("%q", notShown.Text)}}
		} else if err != nil {
			return failed, fmt.Errorf("%s: %w", t.name, err)
		}
		for _, r := range results {
			fmt.Fprintln(stdout, r)
			if !r.OK {
				failed++
			}
		}
	}
	return failed, nil
}

// tab is a tab of the function's page and how to check it.
type tab struct {
	name string
	look func() ([]check.Result, error)
}

// tabs has the Instances last, since they lead to pages of instances, and coming from one the UI may leave out the
// Intentions tab until it is loaded again.
func tabs(want *check.Expectations, pages *page.Pages) []tab {
	return []tab{
		{"Topology", func() ([]check.Result, error) {
			shown, err := pages.Topology()
			return want.Topology.Compare(shown), err
		}},
		{"Intentions", func() ([]check.Result, error) {
			shown, err := pages.Intentions()
			return check.Intentions(want.Intentions, shown), err
		}},
		{"Routing", func() ([]check.Result, error) {
			shown, err := pages.Routing()
			return want.Routing.Compare(shown), err
		}},
		{"Instances", func() ([]check.Result, error) {
			shown, err := pages.Instances()
			return check.Instances(want.Instances, shown), err
		}},
	}
}
