// Command mutate takes the security checks of the product out of the code, one at a time, and runs the tests that must
// notice. It owns the lists of the checks (tools/testrun/mutate/checks) and how a mutant is judged; it must not know what
// the checks are for. The files of the checkout stay as they are.
//
// Usage: tools/mutate [-changed base] [-run regexp] [-budget time] [-list | -find]
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

const usage = `usage: tools/mutate [-changed base] [-run regexp] [-budget time] [-list | -find] [-j n]

Takes each check of tools/testrun/mutate/checks out of the code and runs its tests, each of which must fail. A mutant that
survives is a check that can be lost unnoticed: write the test. An entry that does not fit the code any more is an error.
The status is 1 if one survived or is broken, and 2 if nothing could be run.

With -changed, only the checks are taken that differ from the base commit themselves, or whose file or tests do. The base
"auto" is where the branch left origin/main; on main itself, the last-but-one commit that changed CHANGELOG.md.

With -budget, all of them are compiled, and as many are judged as can be begun in that time, in an order that another commit
changes. What was left out is told, with the command that judges it, and is no failure.

`

const lists = "tools/testrun/mutate/checks"

var errInterrupted = errors.New("interrupted")

// options are what the flags say.
type options struct {
	base   string // "": all
	run    *regexp.Regexp
	list   bool
	find   bool // tell which tests of the packages notice, for writing an entry
	jobs   int
	budget time.Duration // no mutant is begun later; 0: all are
	order  string        // the commit that gives the order; "": the current one
	from   string        // the check that is the first to be judged of that order; "": the lists' order, from their start
	lists  string

	unknown bool // the clone does not tell what changed, so all are taken
}

func main() {
	o := options{lists: lists}
	flag.StringVar(&o.base, "changed", "", "take only the checks that a change since this commit touches, or auto")
	run := flag.String("run", "", "take only the checks whose name matches")
	flag.BoolVar(&o.list, "list", false, "list the checks and run nothing")
	flag.BoolVar(&o.find, "find", false, "run all tests of the entries' packages and tell which notice, for writing entries")
	flag.IntVar(&o.jobs, "j", runtime.NumCPU(), "how many mutants are judged at the same time")
	flag.DurationVar(&o.budget, "budget", 0, "begin no mutant later than this after the start, as 3m; 0 is no limit")
	flag.StringVar(&o.from, "from", "", "take the checks in the order of -budget, beginning with this one")
	flag.StringVar(&o.order, "order", "", "the commit whose order of checks -budget and -from mean, if not the current one")
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
	began := time.Now()
	lists, err := readLists(o.lists)
	if err != nil {
		return false, err
	}
	if o.order == "" {
		o.order = orderOf(ctx)
	}
	total := len(lists)
	lists = slices.DeleteFunc(lists, func(c check) bool { return !o.run.MatchString(c.name) })
	checks, err := o.choose(ctx, lists)
	if err != nil {
		return false, err
	}
	if o.list {
		for _, c := range checks {
			fmt.Fprintf(w, "%s: %s\n", c.name, c.why)
		}
		return true, nil
	}
	r, clean, err := newRunner(checks)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, clean()) }()
	p := &progress{w: w, live: terminal.Is(w), all: len(checks)}
	r.findStale(lists, checks, p)
	checks = r.switchAll(ctx, checks, p)
	if o.find {
		return true, r.findAll(ctx, checks, w)
	}
	if o.budget > 0 {
		checks = r.compileAll(ctx, checks, p)
	}
	rest, err := r.judgeAll(ctx, checks, o, began, p)
	if err != nil {
		return false, err
	}
	return p.end(fmt.Sprintf("%s; %d in the lists", o.since(), total), o.left(rest), time.Since(began)), nil
}

// choose returns the checks that the options take, in their order, and replaces the base "auto" by the commit it means.
func (o *options) choose(ctx context.Context, checks []check) ([]check, error) {
	checks = slices.Clone(checks)
	if o.base != "" {
		var err error
		if checks, o.base, err = touched(ctx, checks, o.lists, o.base); err != nil {
			return nil, err
		}
		o.unknown = o.base == ""
	}
	if o.budget > 0 || o.from != "" {
		shuffle(checks, o.order)
	}
	if o.from != "" {
		i := slices.IndexFunc(checks, func(c check) bool { return c.name == o.from })
		if i < 0 {
			return nil, fmt.Errorf("check %s is not one of those to be taken", o.from)
		}
		checks = checks[i:]
	}
	return checks, nil
}

// since says which checks were taken.
func (o *options) since() string {
	switch {
	case o.unknown:
		return "this clone does not tell since when"
	case o.base != "":
		return "since " + o.base
	}
	return "all"
}

// findStale reports the checks of lists that were not chosen and whose lines are not in the code any more.
func (r *runner) findStale(lists, chosen []check, p *progress) {
	for _, c := range lists {
		if slices.ContainsFunc(chosen, func(other check) bool { return other.name == c.name }) {
			continue
		}
		if _, err := r.overlay(c); err != nil {
			p.ended(verdict{check: c, state: broken, detail: err.Error()})
		}
	}
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

// judgeAll judges checks, several at a time. It returns those that were not begun within the budget.
func (r *runner) judgeAll(ctx context.Context, checks []check, o options, began time.Time, p *progress) ([]check, error) {
	var mu sync.Mutex // guards checks
	take := func() (c check, ok bool) {
		mu.Lock()
		defer mu.Unlock()
		if len(checks) == 0 || ctx.Err() != nil || o.budget > 0 && time.Since(began) >= o.budget {
			return check{}, false
		}
		c, checks = checks[0], checks[1:]
		return c, true
	}
	var workers sync.WaitGroup
	for range o.jobs {
		workers.Go(func() {
			for c, ok := take(); ok; c, ok = take() {
				p.begins(c)
				if v := r.judge(ctx, c); ctx.Err() == nil {
					p.ended(v)
				}
			}
		})
	}
	workers.Wait()
	p.clear()
	return checks, context.Cause(ctx)
}
