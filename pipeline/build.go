package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/pipeline/load"
	"countersign/pipeline/progress"
	"countersign/pipeline/publish"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// Builder builds and tests functions from their pinned commits; *bazel.Workspace is the one there is outside of tests.
type Builder interface {
	// Functions returns the names of all functions that can be built.
	Functions() []string
	// Build builds functions. With names, any failure is the error; without, left tells which could not be built.
	Build(ctx context.Context, names []string, tell func(string)) (m *load.Manifest, left []load.Left, err error)
	// Test runs the tests that cover functions. passed has those whose tests passed, or that have none; failed the others.
	Test(ctx context.Context, names []string, tell func(string)) (passed map[string]attest.Tests, failed []load.Left, err error)
}

// partial tells whether functions may be left behind: nobody named the ones that are meant.
func (d *deploy) partial() bool { return d.Build != nil && len(d.Functions) == 0 }

// build finds out what was built, or has it built.
func (d *deploy) build(ctx context.Context) (err error) {
	if d.Build == nil {
		d.manifest, err = load.ReadManifest(d.Manifest)
		return err
	}
	return d.steps.Step("", progress.StepBuild, func(tell func(string)) (_ progress.Outcome, err error) {
		if d.manifest, d.left, err = d.Build.Build(ctx, d.Functions, tell); err != nil {
			return progress.Outcome{}, err
		}
		return progress.Did(fmt.Sprintf("%d built, %d not", len(d.manifest.Functions), len(d.left))), nil
	})
}

// checkSpecs checks specs and environment against each other. Functions that run, and those that are not built now, may be
// called, too: whether their interfaces fit is checked later.
func (d *deploy) checkSpecs(build *load.Build) error {
	elsewhere := slices.Sorted(maps.Keys(d.running))
	if d.Build != nil {
		elsewhere = append(elsewhere, d.Build.Functions()...)
	}
	if !d.partial() {
		return build.Check(elsewhere...)
	}
	left, err := build.Divide(elsewhere...)
	d.left = append(d.left, left...)
	if err == nil && len(build.Sources) == 0 {
		err = load.NothingLeft(d.left)
	}
	return err
}

// leave takes functions out of the deploy, or refuses it if the user named them.
func (d *deploy) leave(left []load.Left) error {
	if len(left) == 0 {
		return nil
	}
	if !d.partial() {
		var errs []error
		for _, l := range left {
			errs = append(errs, fmt.Errorf("%s: %w", l.Function, l.Err))
		}
		return errors.Join(errs...)
	}
	d.publication.Leave(left)
	d.left = append(d.left, left...)
	if len(d.publication.Functions()) == 0 {
		return load.NothingLeft(d.left)
	}
	return nil
}

// fitting leaves those behind that do not fit to what was left behind before: who calls it, or is called by what runs of it.
func (d *deploy) fitting(ctx context.Context) error {
	for len(d.left) > 0 {
		var misfit *release.MisfitError
		if !errors.As(release.Fit(d.publication.Record().Functions, d.running, nil, d.engine.Documents(ctx)), &misfit) {
			return nil
		}
		behind := map[string]bool{}
		for _, l := range d.left {
			behind[l.Function] = true
		}
		var left []load.Left
		for _, m := range misfit.Misfits {
			function, other, how := m.Caller.Name, m.Callee.Name, "calls"
			if m.Caller.Runs {
				function, other, how = m.Callee.Name, m.Caller.Name, "is called by"
			}
			again := slices.ContainsFunc(left, func(l load.Left) bool { return l.Function == function })
			if behind[other] && !again {
				left = append(left, load.Left{Function: function, Err: fmt.Errorf("it %s %q, which is left behind: %v", how, other, m)})
			}
		}
		if len(left) == 0 {
			return nil // nobody's break: the check of all says what does not fit
		}
		if err := d.leave(left); err != nil {
			return err
		}
	}
	return nil
}

// test has the tests of what changed run, that is of what is going to be signed, and notes what became of them.
func (d *deploy) test(ctx context.Context) (failed []load.Left, err error) {
	for _, f := range d.publication.Functions() {
		f.Tests = attest.TestsSkipped
	}
	if d.Build == nil || d.NoTest {
		return nil, nil
	}
	return failed, d.steps.Step("", progress.StepTest, func(tell func(string)) (progress.Outcome, error) {
		changed, err := d.publication.Unattested(ctx)
		if err != nil {
			return progress.Outcome{}, err
		}
		if len(changed) == 0 {
			return progress.Nothing("nothing changed"), nil
		}
		names := namesOf(changed)
		if d.PlanOnly {
			return progress.Nothing("would be run for " + strings.Join(names, ", ")), nil
		}
		var passed map[string]attest.Tests
		if passed, failed, err = d.Build.Test(ctx, names, tell); err != nil {
			return progress.Outcome{}, err
		}
		for _, f := range changed {
			f.Tests = passed[f.Name]
		}
		detail := "passed for " + strings.Join(slices.Sorted(maps.Keys(passed)), ", ")
		if len(failed) > 0 {
			detail = fmt.Sprintf("%d of %d functions passed", len(passed), len(names))
		}
		return progress.Did(detail), nil
	})
}

func namesOf(functions []*publish.Function) []string {
	var names []string
	for _, f := range functions {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	return names
}

// unpinned returns the functions that run and that can't be built any more, since repos.bzl does not name them.
func (d *deploy) unpinned() (names []string) {
	if d.Build == nil {
		return nil
	}
	known := d.Build.Functions()
	for _, name := range slices.Sorted(maps.Keys(d.running)) {
		if !slices.Contains(known, name) {
			names = append(names, name)
		}
	}
	return names
}
