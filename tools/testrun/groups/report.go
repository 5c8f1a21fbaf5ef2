package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/tools/testrun"
)

// slowest is how many tests are listed.
const slowest = 10

func (r *run) printf(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.out, format+"\n", args...)
}

// tell prints how a group ended, each line with the group's name before it.
func (r *run) tell(res result) {
	lines := slices.Concat(res.Lines, res.Failures)
	for i := range lines {
		lines[i] = res.name + " | " + lines[i]
	}
	r.printf("%s", strings.Join(append(lines, "== "+res.verdict()), "\n"))
}

// verdict says in a line how a group ended.
func (res result) verdict() string {
	switch {
	case res.err == nil:
		return fmt.Sprintf("%s passed in %s", res.name, round(res.time))
	case res.ended():
		return fmt.Sprintf("%s was ended after %s: %v", res.name, round(res.time), res.err)
	}
	return fmt.Sprintf("%s FAILED after %s: %v; the whole output is in .tests/%s.log", res.name, round(res.time), res.err, res.name)
}

// ended tells whether it did not fail by itself.
func (res result) ended() bool {
	return errors.Is(res.err, errEnded) || errors.Is(res.err, errInterrupted)
}

// summary prints times, a line for each package as go test does, and at last the failures again: who keeps only the end
// of the output sees why. It tells whether all passed.
func (r *run) summary() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.times()
	passed := true
	for _, res := range r.results {
		passed = passed && res.err == nil
		for _, l := range slices.Concat(res.Lines, res.Failures) {
			if strings.HasPrefix(l, "ok  \t") || strings.HasPrefix(l, "FAIL\t") {
				fmt.Fprintln(r.out, l)
			}
		}
	}
	r.failures()
	if passed {
		fmt.Fprintf(r.out, "ok  \tall groups\t%s\n", round(time.Since(r.began)))
	} else {
		fmt.Fprintf(r.out, "FAIL\tsome groups\t%s\n", round(time.Since(r.began)))
	}
	return passed
}

// failures prints what failed by itself, after what was only ended.
func (r *run) failures() {
	for _, res := range r.results {
		if res.err != nil && res.ended() {
			fmt.Fprintf(r.out, "== %s\n", res.verdict())
		}
	}
	for _, res := range r.results {
		if res.err == nil || res.ended() {
			continue
		}
		lines := res.Failures
		if len(lines) == 0 { // not a test failed, but what it needs
			lines = res.Lines[max(0, len(res.Lines)-40):]
		}
		for _, l := range lines {
			fmt.Fprintf(r.out, "%s | %s\n", res.name, l)
		}
		fmt.Fprintf(r.out, "== %s\n", res.verdict())
	}
}

// times prints the slowest tests, what was skipped, and the time of each group.
func (r *run) times() {
	var tests []testrun.Test
	for _, res := range r.results {
		for _, t := range res.Tests {
			if t.Name != "" {
				tests = append(tests, t)
			}
		}
	}
	slices.SortStableFunc(tests, func(a, b testrun.Test) int { return int(b.Time - a.Time) })
	fmt.Fprintf(r.out, "\nThe slowest tests:\n")
	for _, t := range tests[:min(slowest, len(tests))] {
		fmt.Fprintf(r.out, "%8s  %s in %s\n", round(t.Time), t.Name, t.Package)
	}
	for _, t := range tests {
		if t.Skipped {
			fmt.Fprintf(r.out, "skipped: %s in %s\n", t.Name, t.Package)
		}
	}
	fmt.Fprintf(r.out, "\nThe groups:\n")
	for _, res := range r.results {
		state := "ok"
		if res.err != nil {
			state = "FAIL"
		}
		fmt.Fprintf(r.out, "%8s  %-8s  %s\n", round(res.time), res.name, state)
	}
	fmt.Fprintln(r.out)
}

func round(d time.Duration) time.Duration {
	if d < 10*time.Second {
		return d.Round(10 * time.Millisecond)
	}
	return d.Round(time.Second)
}
