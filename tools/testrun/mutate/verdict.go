package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign/tools/testrun"
)

// timeLimit is for the tests of one mutant, without compiling them. It is long, since a busy machine must not count as a
// test that notices.
const timeLimit = 5 * time.Minute

// state is what became of a mutant.
type state string

const (
	killed   state = "killed"
	survived state = "SURVIVED"
	broken   state = "BROKEN" // the entry does not fit, or its tests say nothing
)

// verdict is what became of a mutant, and why.
type verdict struct {
	check  check
	state  state
	detail string
}

// runner compiles and runs tests of sources that differ from the checkout, whose files stay as they are.
type runner struct {
	root    string // of the checkout
	scratch string

	common string // overlay with all checks that are switched; "" if there is none
	mu     sync.Mutex
	tests  map[string]*packageTests // by package
}

// packageTests are the tests of a package, compiled with all checks that are switched.
type packageTests struct {
	names []string // that the lists name

	once   sync.Once
	binary string
	err    error
	states map[string]string // PASS, FAIL or SKIP of the named tests on the code as it is
}

// newRunner returns a runner for checks of the checkout in the working directory, and what removes its files.
func newRunner(checks []check) (*runner, func() error, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, nil, fmt.Errorf("finding the checkout: %w", err)
	}
	r := &runner{root: root, tests: map[string]*packageTests{}}
	for _, c := range checks {
		for _, t := range c.tests {
			if r.tests[t.pkg] == nil {
				r.tests[t.pkg] = &packageTests{}
			}
			if p := r.tests[t.pkg]; !slices.Contains(p.names, t.name) {
				p.names = append(p.names, t.name)
			}
		}
	}
	if r.scratch, err = os.MkdirTemp("", "mutate-"); err != nil {
		return nil, nil, fmt.Errorf("making a directory: %w", err)
	}
	return r, func() error { return os.RemoveAll(r.scratch) }, nil
}

// judge runs each test of a check on the code without it. Every one must fail.
func (r *runner) judge(ctx context.Context, c check) verdict {
	v := verdict{check: c}
	v.state, v.detail = r.kill(ctx, c)
	return v
}

func (r *runner) kill(ctx context.Context, c check) (state, string) {
	for _, t := range c.tests {
		run, err := r.notice(ctx, c, t.pkg, t.name)
		switch {
		case err != nil:
			return broken, err.Error()
		case strings.Contains(run.output, "panic: test timed out after"):
			return broken, fmt.Sprintf("%s does not end; a test has to notice", t)
		case !run.failed:
			return survived, fmt.Sprintf("%s passes; without the check: %s", t, c.why)
		}
	}
	return killed, ""
}

// notice runs a test of a package, or all if name is "", without the check. An error says that the test can't tell
// anything.
func (r *runner) notice(ctx context.Context, c check, pkg, name string) (*outcome, error) {
	asItIs, err := r.compiled(ctx, pkg)
	if err != nil {
		return nil, err
	}
	if s := asItIs.states[name]; name != "" && s != "PASS" {
		return nil, fmt.Errorf("%s in %s says nothing on the code as it is: %s", name, pkg, s)
	}
	var names []string
	if name != "" {
		names = []string{name}
	}
	if c.isSwitched() {
		return r.run(ctx, asItIs.binary, r.common, pkg, c.name, names)
	}
	overlay, err := r.overlay(c)
	if err != nil {
		return nil, err
	}
	binary, err := r.compile(ctx, overlay, pkg)
	if err != nil {
		return nil, err
	}
	defer os.Remove(binary)
	return r.run(ctx, binary, overlay, pkg, c.name, names)
}

// compiled returns the tests of a package, after they ran on the code as it is.
func (r *runner) compiled(ctx context.Context, pkg string) (*packageTests, error) {
	r.mu.Lock()
	p := r.tests[pkg]
	r.mu.Unlock()
	p.once.Do(func() {
		if p.binary, p.err = r.compile(ctx, r.common, pkg); p.err != nil {
			return
		}
		run, err := r.run(ctx, p.binary, r.common, pkg, "", p.names, "-test.v")
		if p.err = err; err != nil {
			return
		}
		p.states = map[string]string{}
		for _, name := range p.names {
			p.states[name] = run.stateOf(name)
		}
	})
	return p, p.err
}

// compile compiles the tests of a package with an overlay.
func (r *runner) compile(ctx context.Context, overlay, pkg string) (string, error) {
	dir, err := os.MkdirTemp(r.scratch, "tests-")
	if err != nil {
		return "", fmt.Errorf("making a directory: %w", err)
	}
	binary := filepath.Join(dir, "package.test")
	var output strings.Builder
	command := testrun.Command{Args: []string{"go", "test", "-c", "-vet=off", "-o", binary, pkg}, Dir: r.root, Output: &output,
		Env: []string{goFlags(overlay)}}
	if err := command.Run(ctx); err != nil {
		return "", fmt.Errorf("the tests of %s do not compile without the check: %w: %s", pkg, err,
			strings.Join(strings.Fields(output.String()), " "))
	}
	if _, err := os.Stat(binary); err != nil {
		return "", fmt.Errorf("%s has no tests", pkg)
	}
	return binary, nil
}

// goFlags hands an overlay to a go command, and to those that tests run themselves for their guests.
func goFlags(overlay string) string {
	flags := os.Getenv("GOFLAGS")
	if overlay != "" {
		flags += " -overlay=" + overlay
	}
	return "GOFLAGS=" + strings.TrimSpace(flags)
}

// outcome is how tests ended.
type outcome struct {
	output string
	failed bool
}

// stateOf tells how a test ended that ran with -test.v.
func (o *outcome) stateOf(name string) string {
	for _, s := range []string{"PASS", "FAIL", "SKIP"} {
		if strings.Contains(o.output, "--- "+s+": "+name+" (") {
			return s
		}
	}
	return "it does not run"
}

// run runs tests as a mutant, all if there are no names. An error says that they could not be run.
func (r *runner) run(ctx context.Context, binary, overlay, pkg, mutant string, names []string, more ...string) (*outcome, error) {
	pattern := "."
	if len(names) > 0 {
		pattern = "^(" + strings.Join(names, "|") + ")$"
	}
	var output strings.Builder
	command := testrun.Command{Args: append([]string{binary, "-test.run=" + pattern, "-test.timeout=" + timeLimit.String()}, more...),
		Dir: filepath.Join(r.root, filepath.FromSlash(pkg)), Output: &output, Grace: 10 * time.Second,
		Env: []string{goFlags(overlay), mutantVariable + "=" + mutant}}
	err := command.Run(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("running the tests of %s: %w", pkg, err)
	}
	return &outcome{output: output.String(), failed: err != nil}, nil
}

// findAll prints, for each check, which tests of its packages notice that it is gone.
func (r *runner) findAll(ctx context.Context, checks []check, w io.Writer) error {
	for _, c := range checks {
		for _, t := range c.tests {
			run, err := r.notice(ctx, c, t.pkg, "")
			if ctx.Err() != nil {
				return context.Cause(ctx)
			}
			if err != nil {
				fmt.Fprintf(w, "%s: %s: %v\n", c.name, t.pkg, err)
				continue
			}
			fmt.Fprintf(w, "%s: %s: %s\n", c.name, t.pkg, strings.Join(run.failures(), " "))
		}
	}
	return nil
}

// failures returns the names of the tests that failed.
func (o *outcome) failures() []string {
	names := map[string]bool{}
	for line := range strings.Lines(o.output) {
		if name, ok := strings.CutPrefix(line, "--- FAIL: "); ok {
			name, _, _ = strings.Cut(name, " ")
			names[name] = true
		}
	}
	if o.failed && len(names) == 0 {
		return []string{"none, but the program failed: " + strings.TrimSpace(o.output)}
	}
	return slices.Sorted(maps.Keys(names))
}
