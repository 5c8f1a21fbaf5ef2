package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"countersign/git"
)

// repository is a git repository at dir that is made of the files in source.
type repository struct{ source, dir string }

// identity and date are those of every commit: the id of a commit covers them.
const (
	author = "Countersign examples"
	email  = "examples@countersign.example"
	date   = "2025-07-01T12:00:00+00:00"
	branch = "refs/heads/main"
)

// sync makes the commit of r.source's files, and checks it out at r.dir unless it is there already or under commits
// of the user's. changed is true if something was made. Nothing of the user's is ever overwritten.
func (r repository) sync(ctx context.Context) (commit string, changed bool, err error) {
	created, err := r.create(ctx)
	if err != nil {
		return "", false, err
	}
	if commit, err = r.commit(ctx); err != nil {
		return "", false, err
	}
	if !created {
		if _, err := r.git(ctx, "merge-base", "--is-ancestor", commit, branch); err == nil {
			return commit, false, nil
		}
		if err := r.unchanged(ctx); err != nil {
			return "", false, err
		}
	}
	// A reference of its own keeps each commit, for pins of the past.
	for _, ref := range []string{"refs/pins/" + commit, branch} {
		if _, err := r.git(ctx, "update-ref", ref, commit); err != nil {
			return "", false, err
		}
	}
	_, err = r.git(ctx, "reset", "--quiet", "--hard")
	return commit, true, err
}

// create makes an empty repository at r.dir if there is none.
func (r repository) create(ctx context.Context) (created bool, err error) {
	if _, err := os.Stat(filepath.Join(r.dir, ".git")); err == nil {
		return false, nil
	} else if !errors.Is(err, fs.ErrNotExist) {
		return false, err
	}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		return false, err
	}
	if _, err := r.git(ctx, "init", "--quiet", "--object-format=sha1"); err != nil {
		return false, err
	}
	_, err = r.git(ctx, "symbolic-ref", "HEAD", branch)
	return true, err
}

// commit stores r.source's files as a commit without parents, which no branch points at yet, and returns its id.
func (r repository) commit(ctx context.Context) (string, error) {
	tmp, err := os.MkdirTemp("", "gitrepos-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(tmp)
	source, err := filepath.Abs(r.source)
	if err != nil {
		return "", err
	}
	aside := []string{"GIT_INDEX_FILE=" + filepath.Join(tmp, "index"), "GIT_WORK_TREE=" + source}
	if _, err := r.gitEnv(ctx, aside, "add", "--all", source); err != nil {
		return "", err
	}
	tree, err := r.gitEnv(ctx, aside, "write-tree")
	if err != nil {
		return "", err
	}
	return r.git(ctx, "commit-tree", "-m", "Release "+filepath.Base(r.source), tree)
}

// unchanged fails if r.dir holds files or commits that only the user can have made.
func (r repository) unchanged(ctx context.Context) error {
	const advice = "move them away, or remove the directory to have it made anew"
	status, err := r.git(ctx, "status", "--porcelain")
	if err != nil {
		return err
	}
	if status != "" {
		return fmt.Errorf("%s has uncommitted changes; %s:\n%s", r.dir, advice, status)
	}
	log, err := r.git(ctx, "log", "--format=%an: %h %s", "HEAD")
	if err != nil {
		return err
	}
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, author+": ") {
			return fmt.Errorf("%s has a commit that is not of examples/; %s:\n%s", r.dir, advice, line)
		}
	}
	return nil
}

func (r repository) git(ctx context.Context, args ...string) (string, error) {
	return r.gitEnv(ctx, nil, args...)
}

// gitEnv runs git in r.dir and returns what it printed. The user's configuration (signing, hooks, line endings,
// default branch) has no say, since the commit ids would depend on it.
func (r repository) gitEnv(ctx context.Context, env []string, args ...string) (string, error) {
	dir, err := filepath.Abs(r.dir)
	if err != nil {
		return "", err
	}
	of := git.At(dir)
	of.Env = append([]string{"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_COUNT=0", "GIT_CONFIG_PARAMETERS=",
		"GIT_AUTHOR_NAME=" + author, "GIT_AUTHOR_EMAIL=" + email, "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=" + author, "GIT_COMMITTER_EMAIL=" + email, "GIT_COMMITTER_DATE=" + date}, env...)
	out, err := of.Run(ctx, args...)
	return strings.TrimSpace(out), err
}
