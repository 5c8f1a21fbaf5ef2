package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// byItself is the base that stands for what this branch is to bring, see baseOf.
const byItself = "auto"

// touched returns the checks that differ from base themselves, or whose file or tests do, and the commit that base means.
// If this is not known, as in a clone without history, it is "" and all are taken: what can't be told apart is run.
func touched(ctx context.Context, all []check, lists, base string) ([]check, string, error) {
	if base == byItself {
		if base = baseOf(ctx); base == "" {
			return all, "", nil
		}
	}
	if _, err := git(ctx, "rev-parse", "--verify", "--quiet", base+"^{commit}"); err != nil {
		return nil, "", fmt.Errorf("there is no commit %s: %w", base, err)
	}
	files, err := changedFiles(ctx, base)
	if err != nil {
		return nil, "", err
	}
	before, err := entriesAt(ctx, lists, base)
	if err != nil {
		return nil, "", err
	}
	list := slices.DeleteFunc(slices.Clone(all), func(c check) bool {
		return before[c.text] && !slices.ContainsFunc(files, c.isTouchedBy)
	})
	return list, base, nil
}

// isTouchedBy tells whether a changed file is the check's or belongs to the package of one of its tests.
func (c *check) isTouchedBy(file string) bool {
	if file == c.file || file == "go.mod" {
		return true
	}
	return slices.ContainsFunc(c.tests, func(t testName) bool {
		dir := path.Clean(t.pkg)
		test := strings.HasSuffix(file, "_test.go") && path.Dir(file) == dir
		return test || strings.HasPrefix(file, dir+"/testdata/")
	})
}

// baseOf finds what to compare with. A branch is compared with where it left origin/main. On main itself, it is the
// last-but-one commit that changed CHANGELOG.md: a piece of work ends with such a commit, so all of the last one is taken.
// It is "" if the history does not tell.
func baseOf(ctx context.Context) string {
	head, err := git(ctx, "rev-parse", "HEAD")
	if err != nil {
		return ""
	}
	if left, err := git(ctx, "merge-base", "origin/main", "HEAD"); err == nil && left != head {
		return left
	}
	ends, err := git(ctx, "log", "-2", "--format=%H", "--", "CHANGELOG.md")
	if list := strings.Fields(ends); err == nil && len(list) == 2 {
		return list[1]
	}
	return ""
}

// changedFiles returns what differs from base, uncommitted and new files included, by paths from the root.
func changedFiles(ctx context.Context, base string) ([]string, error) {
	differing, err := git(ctx, "diff", "--name-only", "--no-renames", base, "--")
	if err != nil {
		return nil, fmt.Errorf("comparing with %s: %w", base, err)
	}
	untracked, err := git(ctx, "ls-files", "--others", "--exclude-standard")
	if err != nil {
		return nil, fmt.Errorf("looking for new files: %w", err)
	}
	return strings.Fields(differing + "\n" + untracked), nil
}

// entriesAt returns the texts of the entries that the lists had at a commit.
func entriesAt(ctx context.Context, lists, commit string) (map[string]bool, error) {
	names, err := git(ctx, "ls-tree", "--name-only", commit, "--", filepath.ToSlash(lists)+"/")
	if err != nil {
		return nil, fmt.Errorf("looking for the lists of %s: %w", commit, err)
	}
	entries := map[string]bool{}
	for _, name := range strings.Fields(names) {
		text, err := git(ctx, "show", commit+":"+name)
		if err != nil {
			return nil, fmt.Errorf("reading %s of %s: %w", name, commit, err)
		}
		list, err := parse(name, text)
		if err != nil {
			continue // a form of before: all its entries count as changed
		}
		for _, c := range list {
			entries[c.text] = true
		}
	}
	return entries, nil
}

// git runs a git command and returns its output without the last end of line.
func git(ctx context.Context, args ...string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", append([]string{"-c", "core.quotePath=false"}, args...)...).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(string(exit.Stderr)))
	}
	return strings.TrimRight(string(out), "\n"), err
}
