// Command groups runs the groups of tests of this checkout side by side, as far as the machine allows, and prints what
// each took. It owns the order and the places; it must not know what the groups do.
//
// Usage: tools/test [-k] [group...]
//
// The output of each group goes to .tests/<group>.log as it comes, what `go test -v` prints included. When a group ends,
// what matters of it is printed. The first failure ends the run, unless -k is given. Nothing that was started is left
// then, nor after Ctrl-C.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"countersign/tools/testrun"
)

// cleaningUp is how long a group has for stopping its servers.
const cleaningUp = 3 * time.Minute

// group is tests that start what they need by themselves, so that groups can run at the same time.
type group struct {
	name    string
	command []string
	kind    kind
}

// kind is what a group needs of the machine.
type kind int

const (
	// waits: mostly for its servers.
	waits kind = iota
	// computes: it keeps the processors busy. Such groups get what the others leave of them.
	computes
	// leads: it computes, and takes the longest. It begins at once, and the others that compute get less than it.
	leads
	// measures: what it asserts is about calls under load, which a busy machine can't answer in time. Such groups run
	// first, one after the other, beside nothing but what computes.
	measures
)

// all in the order in which they start: the longest first.
var all = []group{
	{"nodes", []string{"tools/integration", "nodes"}, measures},
	{"cluster", []string{"tools/integration", "cluster"}, waits},
	{"e2e", []string{"tools/integration", "e2e"}, waits},
	{"interop", []string{"tools/integration", "interop"}, waits},
	{"consului", []string{"tools/integration", "consului"}, waits},
	{"bazel", []string{"tools/integration", "bazel"}, leads},
	{"unit", []string{"tools/unit"}, computes},
	{"lint", []string{"tools/lint/run"}, computes},
	{"mutants", []string{"tools/mutate", "-changed", "auto", "-budget", "3m"}, computes},
}

func main() {
	keepGoing := flag.Bool("k", false, "keep going: the first failure does not end the other groups")
	places := flag.Int("places", runtime.NumCPU(), "how many groups that mostly wait run at the same time")
	flag.Usage = func() {
		fmt.Fprintf(os.Stderr, "usage: tools/test [-k] [-places n] [group...]\nThe groups are: %s.\n", strings.Join(names(all), " "))
		flag.PrintDefaults()
	}
	flag.Parse()
	chosen, err := choose(flag.Args())
	if *places < 1 {
		err = errors.New("-places has to be at least 1")
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "tools/test:", err)
		os.Exit(2)
	}
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, interrupt := context.WithCancelCause(context.Background())
	go func() { <-signals; interrupt(errInterrupted) }()
	r := &run{keepGoing: *keepGoing, places: *places, logs: ".tests", out: os.Stdout, began: time.Now()}
	if !r.groups(ctx, chosen) {
		os.Exit(1)
	}
}

func names(groups []group) []string {
	var list []string
	for _, g := range groups {
		list = append(list, g.name)
	}
	return list
}

// choose returns the named groups, or all.
func choose(wanted []string) ([]group, error) {
	for _, name := range wanted {
		if !slices.Contains(names(all), name) {
			return nil, fmt.Errorf("there is no group %q; there are %s", name, strings.Join(names(all), ", "))
		}
	}
	if len(wanted) == 0 {
		return all, nil
	}
	return slices.DeleteFunc(slices.Clone(all), func(g group) bool { return !slices.Contains(wanted, g.name) }), nil
}

// run is one run of groups.
type run struct {
	keepGoing bool
	places    int    // for groups that wait
	logs      string // directory
	out       io.Writer
	began     time.Time

	mu      sync.Mutex // guards out, and what follows
	results []result
}

// result is what became of a group.
type result struct {
	group
	testrun.Results
	time time.Duration
	err  error
}

var (
	errEnded       = errors.New("another group failed")
	errInterrupted = errors.New("interrupted")
)

// groups runs groups and tells whether all passed.
func (r *run) groups(ctx context.Context, groups []group) bool {
	if err := os.MkdirAll(r.logs, 0o755); err != nil {
		fmt.Fprintln(r.out, "tools/test: making the directory for output:", err)
		return false
	}
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var places sync.WaitGroup
	serve := func(queue chan group) {
		for g := range queue {
			if err := r.one(ctx, g); err != nil && !r.keepGoing {
				end(errEnded)
			}
		}
	}
	computing, waiting := of(groups, computes), of(groups, waits)
	places.Go(func() {
		serve(of(groups, leads))
		serve(computing)
	})
	places.Go(func() {
		serve(of(groups, measures))
		places.Go(func() { serve(computing) })
		for range r.places {
			places.Go(func() {
				serve(waiting)
				serve(computing)
			})
		}
	})
	places.Wait()
	return r.summary()
}

// of returns a queue of the groups of one kind.
func of(groups []group, k kind) chan group {
	queue := make(chan group, len(groups))
	for _, g := range groups {
		if g.kind == k {
			queue <- g
		}
	}
	close(queue)
	return queue
}

// one runs a group and prints how it ended.
func (r *run) one(ctx context.Context, g group) error {
	began := time.Now()
	res := result{group: g}
	if res.err = context.Cause(ctx); res.err == nil {
		r.printf("== %s begins after %s", g.name, round(time.Since(r.began)))
		res.err = r.execute(ctx, &res)
	}
	res.time = time.Since(began)
	r.mu.Lock()
	r.results = append(r.results, res)
	r.mu.Unlock()
	r.tell(res)
	return res.err
}

// execute runs the command of a group and reads its output.
func (r *run) execute(ctx context.Context, res *result) (err error) {
	log, err := os.Create(filepath.Join(r.logs, res.name+".log"))
	if err != nil {
		return fmt.Errorf("keeping the output: %w", err)
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	in, out := io.Pipe()
	read := make(chan error, 1)
	go func() {
		err := res.Read(in, log)
		in.CloseWithError(err) // or the group would wait for ever
		read <- err
	}()
	command := testrun.Command{Args: res.command, Env: []string{"GO_TEST_FLAGS=-json"}, Output: out, Grace: cleaningUp}
	switch res.kind {
	case leads:
		command.Idle, command.Nice = true, 10
	case computes:
		command.Idle, command.Nice = true, 11 // hardly less than what leads: tests of theirs wait for real, too
	}
	err = command.Run(ctx)
	out.Close()
	return errors.Join(err, <-read)
}
