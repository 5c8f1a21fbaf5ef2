package bazel

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"syscall"

	"countersign/pipeline/load"
)

// interrupt is how Bazel is asked to stop what it does.
const interrupt = syscall.SIGINT

// Build builds functions. With names it builds only these and what they need, and any failure is the error. Without, it
// builds all of the deploy target, and left tells which could not be built. tell is told how far Bazel is.
func (w *Workspace) Build(ctx context.Context, names []string, tell func(string)) (m *load.Manifest, left []load.Left, err error) {
	if err := w.check(names); err != nil {
		return nil, nil, err
	}
	if len(names) > 0 {
		names = slices.Compact(slices.Sorted(slices.Values(names)))
		err = w.buildWhole(ctx, names, tell)
	} else {
		names, left, err = w.buildAll(ctx, tell)
	}
	if err != nil {
		return nil, nil, err
	}
	var parts []string
	for _, name := range names {
		parts = append(parts, w.part(name))
	}
	m, err = load.ReadParts(parts, w.execroot)
	return m, left, err
}

// buildWhole builds functions together with the proof that every repository of repos.bzl that any part of the build comes
// from is the pinned one.
func (w *Workspace) buildWhole(ctx context.Context, names []string, tell func(string)) error {
	checks, err := w.checks(ctx, names, tell)
	if err != nil {
		return err
	}
	printed, err := w.build(ctx, tell, "build", append(checks, w.manifests(names)...)...)
	return w.failed(printed, err)
}

// buildAll builds as many functions as there is nothing wrong with.
func (w *Workspace) buildAll(ctx context.Context, tell func(string)) (good []string, left []load.Left, err error) {
	all := w.Functions()
	printed, err := w.build(ctx, tell, "build", append([]string{"--keep_going", "--show_result=100000"}, w.manifests(all)...)...)
	if err == nil {
		return all, nil, w.buildWhole(ctx, all, tell)
	}
	if !refused(err) {
		return nil, nil, err
	}
	for _, name := range all {
		// What a team's program prints may look like this line: it is built once more, and then has to succeed.
		if strings.Contains(printed, "\nTarget "+w.functions[name].Manifest+" up-to-date:") {
			good = append(good, name)
		}
	}
	if len(good) > 0 && w.buildWhole(ctx, good, tell) != nil {
		good = nil
	}
	for _, name := range all {
		if slices.Contains(good, name) {
			continue
		}
		err := w.buildWhole(ctx, []string{name}, tell)
		var failure *BuildError
		switch {
		case err == nil:
			good = append(good, name)
		case errors.As(err, &failure):
			left = append(left, load.Left{Function: name, Err: err})
		default:
			return nil, nil, err
		}
	}
	slices.Sort(good)
	if len(good) == 0 {
		return nil, left, load.NothingLeft(left)
	}
	return good, left, nil
}

func (w *Workspace) manifests(names []string) []string {
	var labels []string
	for _, name := range names {
		labels = append(labels, w.functions[name].Manifest)
	}
	return labels
}

// checks returns the labels of what vouches for the repositories that functions are built from, directly or not. The BUILD
// and .bzl files tell them: those of every package that is needed, and those that they load.
func (w *Workspace) checks(ctx context.Context, names []string, tell func(string)) ([]string, error) {
	set := strings.Join(w.manifests(names), " + ")
	labels, printed, err := w.queryDeps(ctx, tell, "buildfiles(deps("+set+"))")
	if err != nil {
		return nil, w.failed(printed, err)
	}
	needed, err := w.overridden()
	if err != nil {
		return nil, err
	}
	found := false
	for _, label := range labels {
		repository, _, _ := strings.Cut(strings.TrimLeft(label, "@"), "//")
		if check, pinned := w.repositories[repository]; pinned {
			needed[check], found = true, true
		}
	}
	if !found {
		return nil, reason(printed)
	}
	var checks []string
	for check := range needed {
		checks = append(checks, check)
	}
	slices.Sort(checks)
	return checks, nil
}

// overridden returns the checks of repositories that the command line overrides. They count for every function: a rule of a
// team's can depend on a repository by a transition, which no query tells.
func (w *Workspace) overridden() (map[string]bool, error) {
	checks := map[string]bool{}
	for _, option := range w.options {
		override, ok := strings.CutPrefix(option, "--override_repository=")
		if !ok {
			continue
		}
		name, _, _ := strings.Cut(override, "=")
		if strings.HasSuffix(name, modulesSuffix) {
			return nil, &BuildError{fmt.Sprintf("the third-party modules %s are overridden: what is deployed is built with those of the team's go.sum", name)}
		}
		if check, pinned := w.repositories[name]; pinned {
			checks[check] = true
		}
	}
	return checks, nil
}

// modulesSuffix ends the names of repositories that hold teams' third-party modules, as in bazel/pins.bzl.
const modulesSuffix = ".go_modules"

// failed is the error of a command that printed something.
func (w *Workspace) failed(printed string, err error) error {
	if err == nil || !refused(err) {
		return err
	}
	return reason(printed)
}

// refused tells a Bazel that ran and was not content from one that could not be run.
func refused(err error) bool {
	var exit *exec.ExitError
	return errors.As(err, &exit)
}
