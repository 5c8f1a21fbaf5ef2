// Command mutate takes the security checks of the product out of the code, one at a time, and runs the tests that must
// notice. It owns the lists of the checks (tools/testrun/mutate/checks) and how a mutant is judged; it must not know what
// the checks are for. The files of the checkout stay as they are.
//
// Usage: tools/mutate [-changed base] [-run regexp] [-list | -find]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"slices"
	"sync"
	"syscall"
	"time"

	"countersign/terminal"
)

const usage = `usage: tools/mutate [-changed base] [-run regexp] [-list | -find] [-j n]

Takes each check of tools/testrun/mutate/checks out of the code and runs its tests, each of which must fail. A mutant that
survives is a check that can be lost unnoticed: write the test. An entry that does not fit the code any more is an error.
The status is 1 if one survived or is broken, and 2 if nothing could be run.

With -changed, only the checks are taken that differ from the base commit themselves, or whose file or tests do. The base
"auto" is where the branch left origin/main; on main itself, the last-but-one commit that changed CHANGELOG.md.

`

const lists = "tools/testrun/mutate/checks"

var errInterrupted = errors.New("interrupted")

// options are what the flags say.
type options struct {
	base  string // "": all
	run   *regexp.Regexp
	list  bool
	find  bool // tell which tests of the packages notice, for writing an entry
	jobs  int
	lists string
}

func main() {
	o := options{lists: lists}
	flag.StringVar(&o.base, "changed", "", "take only the checks that a change since this commit touches, or auto")
	run := flag.String("run", "", "take only the checks whose name matches")
	flag.BoolVar(&o.list, "list", false, "list the checks and run nothing")
	flag.BoolVar(&o.find, "find", false, "run all tests of the entries' packages and tell which notice, for writing entries")
	flag.IntVar(&o.jobs, "j", runtime.NumCPU(), "how many mutants are judged at the same time")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage); flag.PrintDefaults() }
	flag.Parse()
	var err error
	if o.run, err = regexp.Compile(*run); err != nil || o.jobs < 1 || flag.NArg() > 0 {
		flag.Usage()
		os.Exit(2)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, interrupt := context.WithCancelCause(context.Background())
	go func() { <-signals; interrupt(errInterrupted) }()
	ok, err := o.all(ctx, os.Stdout)
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "tools/mutate:", err)
		os.Exit(2)
	case !ok:
		os.Exit(1)
	}
}

// all judges the chosen checks and tells whether every mutant was killed.
func (o options) all(ctx context.Context, w io.Writer) (ok bool, err error) {
	checks, err := readLists(o.lists)
	if err != nil {
		return false, err
	}
	total, since := len(checks), "all"
	if o.base != "" {
		if checks, since, err = touched(ctx, checks, o.lists, o.base); err != nil {
			return false, err
		}
	}
	checks = slices.DeleteFunc(checks, func(c check) bool { return !o.run.MatchString(c.name) })
	if o.list {
		for _, c := range checks {
			fmt.Fprintf(w, "%s: %s\n", c.name, c.why)
		}
		return true, nil
	}
	began := time.Now()
	r, clean, err := newRunner(checks)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	p := &progress{w: w, live: terminal.Is(w), all: len(checks)}
	checks = r.switchAll(ctx, checks, p)
	if o.find {
		return true, r.findAll(ctx, checks, w)
	}
	if err := r.judgeAll(ctx, checks, o.jobs, p); err != nil {
		return false, err
	}
	return p.end(total, since, time.Since(began)), nil
}

// switchAll writes the overlay with all checks that are switched. It returns the checks whose lines are found.
func (r *runner) switchAll(ctx context.Context, checks []check, p *progress) []check {
	var found, switched []check
	for _, c := range checks {
		if _, err := r.overlay(c); err != nil {
			p.ended(verdict{check: c, state: broken, detail: err.Error()})
			continue
		}
		found = append(found, c)
		if c.isSwitched() {
			switched = append(switched, c)
		}
	}
	common, err := r.overlay(switched...)
	if err != nil {
		p.ended(verdict{check: switched[0], state: broken, detail: "together with others: " + err.Error()})
		return nil
	}
	r.common = common
	return found
}

// judgeAll judges checks, several at a time.
func (r *runner) judgeAll(ctx context.Context, checks []check, jobs int, p *progress) error {
	queue := make(chan check)
	var workers sync.WaitGroup
	for range jobs {
		workers.Go(func() {
			for c := range queue {
				p.begins(c)
				if v := r.judge(ctx, c); ctx.Err() == nil {
					p.ended(v)
				}
			}
		})
	}
	for _, c := range checks {
		if ctx.Err() == nil {
			queue <- c
		}
	}
	close(queue)
	workers.Wait()
	p.clear()
	return context.Cause(ctx)
}
