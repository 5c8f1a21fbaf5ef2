// Command gitrepos makes real git repositories of the team repositories under examples/, one in .repos/<name> for each
// examples/<name>, and .repos/sdk of sdk/. A commit's id depends on the files alone (author, dates and message are fixed),
// so the pins in repos.bzl can be checked in, and two machines that run the command have the same commits. So have the
// versions that go.mod files name: each is the pseudo-version of the commit of the repository that is required.
//
// Usage: tools/repos [--update | --fetch]
//
// With -fetch it makes nothing, and copies the remotes of all other pins into .repos/.remotes, as far as pinned commits
// are missing there: git's credentials are the user's, and a build has none. tools/bazel calls it so.
//
// It is safe to run again: a repository that holds the commit already is left alone, also with commits of yours on
// top. It fails when a pin in repos.bzl is another commit, or a go.mod or go.sum names another; with -update it moves them.
//
// The command owns .repos/, the pins of the examples and of the SDK, and what go.mod and go.sum of the examples say of each
// other and of the SDK. It must touch nothing else of the examples.
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
	"slices"
)

func main() {
	root := flag.String("root", ".", "the checkout of Countersign")
	update := flag.Bool("update", false, "move the pins in repos.bzl to the commits that were made")
	fetch := flag.Bool("fetch", false, "copy the remotes of pins that are not repositories of the examples")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "gitrepos: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	work := func() error { return run(ctx, *root, *update, os.Stdout) }
	if *fetch {
		work = func() error { return fetchAll(ctx, *root, os.Stderr) }
	}
	if err := work(); err != nil {
		fmt.Fprintln(os.Stderr, "gitrepos:", err)
		os.Exit(1)
	}
}

// run makes the repositories of all examples below root and checks, or updates, their pins.
func run(ctx context.Context, root string, update bool, out io.Writer) error {
	sources, err := sources(root)
	if err != nil {
		return err
	}
	pins, err := readPins(filepath.Join(root, "repos.bzl"))
	if err != nil {
		return err
	}
	var errs []error
	made := modules{}
	for _, s := range sources {
		if err := made.require(s.dir, update); err != nil {
			errs = append(errs, err)
		}
		r := repository{source: s.dir, dir: filepath.Join(root, ".repos", s.name)}
		commit, changed, err := r.sync(ctx)
		if err == nil && s.path != "" {
			err = made.add(ctx, r, commit)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("make .repos/%s of %s: %w", s.name, s.dir, err))
			continue
		}
		if changed {
			fmt.Fprintf(out, "%s %s\n", commit, s.name)
		}
		switch {
		case pins.commits[s.name] == commit:
		case update:
			err = pins.set(s.name, commit)
		default:
			err = &pinError{name: s.name, pinned: pins.commits[s.name], commit: commit}
		}
		errs = append(errs, err)
	}
	if update {
		errs = append(errs, pins.write())
	}
	return errors.Join(errs...)
}

// pinError is a pin that is not the commit of the example.
type pinError struct{ name, pinned, commit string }

func (e *pinError) Error() string {
	if e.pinned == "" {
		return fmt.Sprintf("repos.bzl pins no commit of %s; add an entry for it", e.name)
	}
	return fmt.Sprintf("repos.bzl pins %s at %s, but the files of this checkout are %s; "+
		"run tools/repos --update and commit what it writes", e.name, e.pinned, e.commit)
}

// sources returns what repositories are made of, each after those that it requires: the directories in examples/, and
// sdk/ if there is one.
func sources(root string) ([]source, error) {
	entries, err := os.ReadDir(filepath.Join(root, "examples"))
	if err != nil {
		return nil, fmt.Errorf("list the examples (is -root the checkout?): %w", err)
	}
	dirs := map[string]string{}
	for _, e := range entries {
		if e.IsDir() {
			dirs[e.Name()] = filepath.Join(root, "examples", e.Name())
		}
	}
	if _, err := os.Stat(filepath.Join(root, sdkName)); err == nil {
		dirs[sdkName] = filepath.Join(root, sdkName)
	}
	var list []source
	for _, name := range slices.Sorted(maps.Keys(dirs)) {
		s, err := readSource(name, dirs[name])
		if err != nil {
			return nil, err
		}
		list = append(list, s)
	}
	return inOrder(list)
}
