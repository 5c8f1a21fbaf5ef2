// Command flaky runs tests many times, quiet and on a busy machine, plain and with the race detector, and lists those
// that failed even once. It owns what is run how often; it must not know what the tests do.
//
// Usage: tools/flaky [-n runs] [-base commit] [-importers direct] [package or group...]
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"countersign/tools/testrun"
)

const usage = `usage: tools/flaky [-n runs] [-base commit] [-importers none|direct|all] [package or group...]

Without packages it takes those that differ from the base commit (uncommitted and new files included; a file of testdata
belongs to the package above it), and those that import one of them. Modules of their own, such as sdk, are taken
without importers. The tests of each package are compiled once and run in four ways: quiet, quiet with the race detector,
and both again on a machine that is kept busy. Only tests that need no server are run; to run a group of those that do,
name it: tools/flaky -n 10 e2e. Groups run plain alone.

The output of runs that failed is kept in .tests/flaky. The status is 1 if one failed, and 2 if tests could not be run.
`

const (
	logs      = ".tests/flaky"
	timeLimit = 20 * time.Minute // of one run of a package
	cleanUp   = 3 * time.Minute  // for a group to stop its servers on Ctrl-C
)

func main() {
	n := flag.Int("n", 10, "how often the tests run in each way")
	base := flag.String("base", "", "the commit to compare with (default origin/main if there is one, or else HEAD~1)")
	importers := flag.String("importers", "direct", "which importers of changed packages to take: none, direct or all")
	flag.Usage = func() { fmt.Fprint(os.Stderr, usage); flag.PrintDefaults() }
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	failures, err := run(ctx, *n, *base, *importers, flag.Args())
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, "tools/flaky:", err)
		os.Exit(2)
	case failures > 0:
		os.Exit(1)
	}
}

// run tests and returns how many targets failed.
func run(ctx context.Context, n int, base, importers string, named []string) (failures int, err error) {
	targets, err := choose(ctx, base, importers, named)
	if err != nil {
		return 0, err
	}
	if len(targets) == 0 {
		fmt.Println("No package with tests has changed.")
		return 0, nil
	}
	if err := errors.Join(os.RemoveAll(logs), os.MkdirAll(logs, 0o755)); err != nil {
		return 0, fmt.Errorf("making the directory for output: %w", err)
	}
	scratch, err := os.MkdirTemp("", "flaky-")
	if err != nil {
		return 0, fmt.Errorf("making a directory: %w", err)
	}
	defer os.RemoveAll(scratch)
	s := &series{n: n, scratch: scratch, built: map[string]testrun.Command{}}
	for _, busy := range []bool{false, true} {
		if err := s.all(ctx, targets, busy); err != nil {
			return 0, err
		}
	}
	if len(s.failed) == 0 {
		fmt.Printf("\nok  \tno test failed in %d runs of each\n", n)
		return 0, nil
	}
	fmt.Printf("\nFailed at least once:\n%s\n", strings.Join(s.failed, "\n"))
	return len(s.failed), nil
}

// series is all that is run.
type series struct {
	n       int
	scratch string
	built   map[string]testrun.Command // by directory and whether with the race detector
	failed  []string                   // what to tell
}

// all runs every target n times, on a busy machine if wanted.
func (s *series) all(ctx context.Context, targets []target, busy bool) error {
	way := "quiet"
	if busy {
		way = "busy"
		defer keepBusy()()
	}
	for _, t := range targets {
		for _, race := range []bool{false, true} {
			name := way
			if race {
				name += "-race"
			}
			if race && t.group {
				continue
			}
			if err := s.repeat(ctx, t, name, race); err != nil {
				return err
			}
		}
	}
	return nil
}

// repeat runs one target n times in one way.
func (s *series) repeat(ctx context.Context, t target, way string, race bool) error {
	command, err := s.command(ctx, t, race)
	if err != nil || len(command.Args) == 0 {
		return err
	}
	began, failures, tests := time.Now(), 0, map[string]bool{}
	for i := range s.n {
		file := filepath.Join(logs, fmt.Sprintf("%s-%s-%d.log", strings.NewReplacer("/", "_", ".", "_").Replace(t.name), way, i+1))
		names, err := once(ctx, command, file)
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			return err
		}
		if names != nil {
			failures++
			for _, name := range names {
				tests[name] = true
			}
		}
	}
	fmt.Printf("%-40s %-10s %d of %d failed, %s\n", t.name, way, failures, s.n, time.Since(began).Round(100*time.Millisecond))
	if failures > 0 {
		list := strings.Join(slices.Sorted(maps.Keys(tests)), ", ")
		s.failed = append(s.failed, fmt.Sprintf("  %s, %s: %d of %d runs: %s", t.name, way, failures, s.n, list))
	}
	return nil
}

// command returns what runs the tests of a target once. It has no arguments if there are no tests.
func (s *series) command(ctx context.Context, t target, race bool) (testrun.Command, error) {
	if t.group {
		return testrun.Command{Args: []string{"tools/integration", t.name}, Grace: cleanUp}, nil
	}
	key := fmt.Sprint(t.dir, race)
	command, ok := s.built[key]
	if ok {
		return command, nil
	}
	binary := filepath.Join(s.scratch, fmt.Sprintf("%d.test", len(s.built)))
	args := []string{"go", "test", "-c", "-o", binary}
	if race {
		args = append(args, "-race")
	}
	var output strings.Builder
	build := testrun.Command{Args: append(args, t.pkg), Dir: t.module, Output: &output}
	if err := build.Run(ctx); err != nil {
		return testrun.Command{}, fmt.Errorf("compiling the tests of %s: %w\n%s", t.name, err, output.String())
	}
	if _, err := os.Stat(binary); err == nil {
		command = testrun.Command{Args: []string{binary, "-test.timeout=" + timeLimit.String()}, Dir: t.dir}
	}
	s.built[key] = command
	return command, nil
}

// once runs the tests and returns the names of those that failed, or nil. It keeps the output of a failure in file.
func once(ctx context.Context, command testrun.Command, file string) ([]string, error) {
	var output strings.Builder
	command.Output = &output
	err := command.Run(ctx)
	if err == nil || ctx.Err() != nil {
		return nil, nil
	}
	names := []string{}
	for line := range strings.Lines(output.String()) {
		if name, ok := strings.CutPrefix(strings.TrimSpace(line), "--- FAIL: "); ok {
			name, _, _ = strings.Cut(name, " ")
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		names = append(names, err.Error())
	}
	if err := os.WriteFile(file, []byte(output.String()), 0o600); err != nil {
		return nil, fmt.Errorf("keeping the output of a failure: %w", err)
	}
	fmt.Printf("FAIL\t%s: see %s\n", strings.Join(names, ", "), file)
	return names, nil
}

// keepBusy makes twice as many threads compute as the machine has processors, until the returned function is called.
func keepBusy() (stop func()) {
	threads := 2 * runtime.NumCPU()
	before := runtime.GOMAXPROCS(threads + 2)
	ctx, cancel := context.WithCancel(context.Background())
	for range threads {
		go func() {
			for ctx.Err() == nil {
				fmt.Fprint(io.Discard, ctx)
			}
		}()
	}
	return func() { cancel(); runtime.GOMAXPROCS(before) }
}
