package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	"countersign/tools/testrun"
)

// orderOf returns what the order of checks depends on: the commit, so that one that failed fails again, and the next one
// takes others. Outside of a repository it is "".
func orderOf(ctx context.Context) string {
	commit, err := git(ctx, "rev-parse", "--short=12", "HEAD")
	if err != nil {
		return ""
	}
	return commit
}

// shuffle puts checks in the order of a commit: package by package, since the tests of a package are compiled once for all
// its checks that are switched.
func shuffle(checks []check, commit string) {
	slices.SortStableFunc(checks, func(a, b check) int {
		if by := compareAt(commit, a.tests[0].pkg, b.tests[0].pkg); by != 0 {
			return by
		}
		return compareAt(commit, a.name, b.name)
	})
}

// compareAt compares two names in the order of a commit.
func compareAt(commit, a, b string) int {
	at := func(name string) []byte {
		sum := sha256.Sum256([]byte(commit + " " + name))
		return sum[:]
	}
	return bytes.Compare(at(a), at(b))
}

// left says what was not begun, and how it is. It is "" if there is nothing.
func (o *options) left(rest []check) string {
	if len(rest) == 0 {
		return ""
	}
	command := []string{"tools/mutate"}
	if o.base != "" {
		command = append(command, "-changed", o.base)
	}
	if run := o.run.String(); run != "" {
		command = append(command, "-run", "'"+run+"'")
	}
	if o.order != "" {
		command = append(command, "-order", o.order)
	}
	command = append(command, "-from", rest[0].name)
	return fmt.Sprintf("%d mutants were not judged: they could not be begun within %s. Their lines are there, and they compile. This judges them:\n  %s",
		len(rest), o.budget, strings.Join(command, " "))
}

// compileAll compiles mutants without running anything, and reports those that don't compile. It returns the others. Those
// that are switched are together in one program anyway; the others are put together too, and told apart only if that
// does not compile.
func (r *runner) compileAll(ctx context.Context, checks []check, p *progress) []check {
	p.says("compiling")
	var switched, others []check
	for _, c := range checks {
		if c.isSwitched() {
			switched = append(switched, c)
		} else {
			others = append(others, c)
		}
	}
	bad := append(r.uncompiled(ctx, switched), r.uncompiled(ctx, others)...)
	for _, v := range bad {
		p.ended(v)
	}
	return slices.DeleteFunc(slices.Clone(checks), func(c check) bool {
		return slices.ContainsFunc(bad, func(v verdict) bool { return v.check.name == c.name })
	})
}

// uncompiled returns the verdicts of those that do not compile by themselves.
func (r *runner) uncompiled(ctx context.Context, checks []check) []verdict {
	if len(checks) == 0 || ctx.Err() != nil {
		return nil
	}
	err := r.build(ctx, checks)
	switch {
	case err == nil || ctx.Err() != nil:
		return nil
	case len(checks) == 1:
		return []verdict{{check: checks[0], state: broken, detail: err.Error()}}
	}
	half := len(checks) / 2
	return append(r.uncompiled(ctx, checks[:half]), r.uncompiled(ctx, checks[half:])...)
}

// build compiles the packages of checks, with all of them taken out.
func (r *runner) build(ctx context.Context, checks []check) error {
	overlay, err := r.overlay(checks...)
	if err != nil {
		return err
	}
	args := []string{"go", "build", "-o", os.DevNull}
	for _, c := range checks {
		if pkg := "./" + path.Dir(c.file); !slices.Contains(args, pkg) {
			args = append(args, pkg)
		}
	}
	var output strings.Builder
	command := testrun.Command{Args: args, Dir: r.root, Output: &output, Env: []string{goFlags(overlay)}}
	if err := command.Run(ctx); err != nil {
		return fmt.Errorf("%s does not compile without the check: %w: %s", checks[0].file, err,
			strings.Join(strings.Fields(output.String()), " "))
	}
	return nil
}
