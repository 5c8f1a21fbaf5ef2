package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"countersign/git"
)

// mirrors is where copies of remote repositories are, below the checkout. bazel/function_repository.bzl reads them.
const mirrors = ".repos/.remotes"

// remoteKey is the setting of a mirror that tells what it is a copy of.
const remoteKey = "countersign.remote"

// fetchAll brings the pinned commits of all remotes that are not part of the checkout into mirrors, with the user's own
// credentials: a build has none. A remote whose mirror has the commit already is not asked. One that can't be fetched keeps
// no other from being built: why is noted beside its mirror, for the build of what needs it.
func fetchAll(ctx context.Context, root string, out io.Writer) error {
	pins, err := readPins(filepath.Join(root, "repos.bzl"))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range pins.entries() { // one after the other: git may ask for a password
		if strings.HasPrefix(e.remote, "//") {
			continue
		}
		m := mirror{entry: e, root: root, dir: filepath.Join(root, mirrors, e.name)}
		failed := m.fetch(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if failed != nil {
			fmt.Fprintf(out, "could not fetch %s from %s: %s\n", e.name, e.remote, oneLine(failed))
		}
		errs = append(errs, m.note(failed))
	}
	return errors.Join(errs...)
}

// note writes down why the mirror is not up to date, or that it is. bazel/function_repository.bzl reads it.
func (m mirror) note(failed error) error {
	file := m.dir + ".failed"
	if failed == nil {
		err := os.Remove(file)
		if errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(m.remote+"\n"+oneLine(failed)+"\n"), 0o644)
}

// oneLine is an error in one line.
func oneLine(err error) string {
	if failed := (*git.Error)(nil); errors.As(err, &failed) {
		return failed.Reason()
	}
	return strings.Join(strings.Fields(err.Error()), " ")
}

// answerTime is how long a remote may take to say what its HEAD is: a person may have to type a password.
const answerTime = time.Minute

// mirror is a bare repository with the branches and tags of a remote, and none of the references that others write there.
type mirror struct {
	entry
	root, dir string
}

func (m mirror) fetch(ctx context.Context) error {
	if strings.HasPrefix(m.remote, "-") {
		return fmt.Errorf("the remote is not a URL")
	}
	if m.has(ctx) {
		return nil
	}
	format := "sha1"
	if len(m.commit) == 64 {
		format = "sha256"
	}
	// Before a long time is spent: does it answer at all?
	asking, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if _, err := m.git(asking, "ls-remote", "--quiet", "--", m.remote, "HEAD"); err != nil {
		if asking.Err() != nil && ctx.Err() == nil {
			return fmt.Errorf("it did not answer within %s", answerTime)
		}
		return err
	}
	if err := os.RemoveAll(m.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(m.dir, 0o755); err != nil {
		return err
	}
	if _, err := m.git(ctx, "init", "--quiet", "--bare", "--object-format="+format); err != nil {
		return err
	}
	fetch := []string{"fetch", "--quiet", "--no-tags", "--", m.remote, "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"}
	if _, err := m.git(ctx, fetch...); err != nil {
		return err
	}
	if err := m.setHead(ctx); err != nil {
		return err
	}
	_, err := m.git(ctx, "config", remoteKey, m.remote)
	return err
}

// has tells whether the mirror is one of the remote, and has the commit in the history of the pinned reference.
func (m mirror) has(ctx context.Context) bool {
	if of, err := m.git(ctx, "config", remoteKey); err != nil || of != m.remote {
		return false
	}
	for _, ref := range []string{"refs/heads/" + m.ref, "refs/tags/" + m.ref, m.ref} {
		if _, err := m.git(ctx, "merge-base", "--is-ancestor", m.commit, ref); err == nil {
			return true
		}
	}
	return false
}

// setHead has the mirror's HEAD be the remote's.
func (m mirror) setHead(ctx context.Context) error {
	out, err := m.git(ctx, "ls-remote", "--symref", "--", m.remote, "HEAD")
	if err != nil {
		return err
	}
	for line := range strings.Lines(out) {
		value, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if name != "HEAD" {
			continue
		}
		if branch, symbolic := strings.CutPrefix(value, "ref: "); symbolic {
			_, err := m.git(ctx, "symbolic-ref", "HEAD", branch)
			return err
		}
		_, err := m.git(ctx, "update-ref", "--no-deref", "HEAD", value)
		return err
	}
	return nil // a remote whose HEAD is a branch that does not exist: pins of it name their ref
}

// git runs git on the mirror, with the user's configuration and credentials but no program that it names.
func (m mirror) git(ctx context.Context, args ...string) (string, error) {
	dir, err := filepath.Abs(m.dir)
	if err != nil {
		return "", err
	}
	out, err := git.Repository{Dir: dir, Cwd: m.root, Ask: true}.Run(ctx, args...)
	return strings.TrimSpace(out), err
}
