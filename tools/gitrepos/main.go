// Command gitrepos makes real git repositories of the team repositories under examples/, one in .repos/<name> for each
// examples/<name>. A commit's id depends on the files alone (author, dates and message are fixed), so the pins in
// repos.bzl can be checked in, and two machines that run the command have the same commits.
//
// Usage: tools/repos [--update | --fetch]
//
// With -fetch it makes nothing, and copies the remotes of all other pins into .repos/.remotes, as far as pinned commits
// are missing there: git's credentials are the user's, and a build has none. tools/bazel calls it so.
//
// It is safe to run again: a repository that holds the commit already is left alone, also with commits of yours on
// top. It fails when a pin in repos.bzl is another commit; with -update it moves the pin.
//
// The command owns .repos/ and the pins of the examples. It must not touch the examples themselves.
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
	names, err := examples(root)
	if err != nil {
		return err
	}
	pins, err := readPins(filepath.Join(root, "repos.bzl"))
	if err != nil {
		return err
	}
	var errs []error
	for _, name := range names {
		r := repository{
			source: filepath.Join(root, "examples", name),
			dir:    filepath.Join(root, ".repos", name),
		}
		commit, changed, err := r.sync(ctx)
		if err != nil {
			errs = append(errs, fmt.Errorf("make .repos/%s of examples/%s: %w", name, name, err))
			continue
		}
		if changed {
			fmt.Fprintf(out, "%s %s\n", commit, name)
		}
		switch {
		case pins.commits[name] == commit:
		case update:
			err = pins.set(name, commit)
		default:
			err = &pinError{name: name, pinned: pins.commits[name], commit: commit}
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
	return fmt.Sprintf("repos.bzl pins %s at %s, but examples/%s is %s; "+
		"run tools/repos --update and commit repos.bzl", e.name, e.pinned, e.name, e.commit)
}

// examples returns the names of the directories in examples/, sorted.
func examples(root string) ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(root, "examples"))
	if err != nil {
		return nil, fmt.Errorf("list the examples (is -root the checkout?): %w", err)
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}
