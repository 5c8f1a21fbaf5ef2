package modproxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tip is the reference that holds, in a clone, the history of the pinned ref.
const tip = "refs/countersign/tip"

// answerTime is how long a remote may take to list its references.
var answerTime = time.Minute

// stallTime is for how long a remote that is fetched may send nothing, not even of its progress.
var stallTime = time.Minute

const (
	fetchTimeout = 30 * time.Minute
	// quiet is after how long people are told that they wait for a remote.
	quiet = 2 * time.Second
	// refetchAfter is how often at most a remote is asked again for a commit that a client wants and the clone lacks.
	refetchAfter = 30 * time.Second
)

// clone is a bare repository with the history of a pin's ref, and the tags in it.
type clone struct {
	git
	pin    Pin
	remote string // as git takes it
	tell   func(string)

	mu      sync.Mutex
	fetched time.Time // the last attempt
}

// newClone returns the clone of a pin below the directory cache. base is what remotes that begin with // are below; ""
// if there is no such directory. tell is given what a person should know.
func newClone(cache, base string, pin Pin, tell func(string)) (*clone, error) {
	remote := pin.Remote
	if below, ok := strings.CutPrefix(remote, "//"); ok {
		if base == "" {
			return nil, refusef("its remote %s is a path in a checkout of the deployment's repository; run this command there", remote)
		}
		remote = filepath.Join(base, filepath.FromSlash(below))
	}
	key := sha256.Sum256([]byte(remote + "\x00" + pin.Ref))
	dir := filepath.Join(cache, pin.Name+"-"+hex.EncodeToString(key[:8])+".git")
	return &clone{git: git{dir}, pin: pin, remote: remote, tell: tell}, nil
}

// name is the remote as it may be shown: without a password.
func (c *clone) name() string { return redacted(c.pin.Remote) }

func redacted(remote string) string {
	if u, err := url.Parse(remote); err == nil && u.User != nil {
		return u.Redacted()
	}
	return remote
}

// ensure fetches the remote unless the pinned commit is there.
func (c *clone) ensure(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok, err := c.holds(ctx, c.pin.Commit); ok || err != nil {
		return err
	}
	if err := c.fetch(ctx); err != nil {
		return err
	}
	if ok, err := c.holds(ctx, c.pin.Commit); ok || err != nil {
		return err
	}
	return refusef("%s has no commit %s in the history of %s", c.name(), c.pin.Commit, c.pin.Ref)
}

// refetch fetches the remote again, if that was not tried a moment ago.
func (c *clone) refetch(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.fetched) < refetchAfter {
		return nil
	}
	return c.fetch(ctx)
}

// holds tells whether a commit is in the history of the pin's ref, as far as it was fetched.
func (c *clone) holds(ctx context.Context, commit string) (bool, error) {
	if _, err := os.Stat(filepath.Join(c.dir, "HEAD")); err != nil {
		return false, nil
	}
	_, err := c.run(ctx, "merge-base", "--is-ancestor", commit, tip)
	if err != nil && ctx.Err() != nil {
		return false, err
	}
	return err == nil, nil
}

// fetch brings the history of the pin's ref, and the tags in it.
func (c *clone) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, fmt.Errorf("nothing came of it within %v", fetchTimeout))
	defer cancel()
	c.fetched = time.Now()
	defer time.AfterFunc(quiet, func() {
		c.tell(fmt.Sprintf("fetching %s from %s, for at most %v", c.pin.Name, c.name(), fetchTimeout))
	}).Stop()
	err := c.fetchLocked(ctx)
	if failed := (*gitError)(nil); errors.As(err, &failed) {
		failed.stderr = strings.ReplaceAll(failed.stderr, c.remote, c.name())
	}
	return err
}

// fetchLocked fetches, while no other process does so for the same clone.
func (c *clone) fetchLocked(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(c.dir), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(c.dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // unlocks
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the clone %s: %w", c.dir, err)
	}
	format := "sha1"
	if len(c.pin.Commit) == 64 {
		format = "sha256"
	}
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	if _, err := c.run(ctx, "init", "--quiet", "--bare", "--object-format="+format); err != nil {
		return err
	}
	ref, err := c.resolveRef(ctx)
	if err != nil {
		return err
	}
	// Tags are fetched as far as they point into that history, since none are asked for.
	return c.runWatched(ctx, stallTime, "-c", "remote.origin.tagOpt=", "fetch", "--progress", "--prune", "--force", "--no-auto-maintenance",
		"--no-write-fetch-head", "--", c.remote, "+"+ref+":"+tip)
}

// resolveRef returns the full name of the pin's ref on the remote. Only branches and tags are a team's word.
func (c *clone) resolveRef(ctx context.Context) (string, error) {
	refs := []string{c.pin.Ref}
	if c.pin.Ref != "HEAD" && !strings.HasPrefix(c.pin.Ref, "refs/") {
		refs = []string{"refs/heads/" + c.pin.Ref, "refs/tags/" + c.pin.Ref}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, fmt.Errorf("it did not answer within %v", answerTime))
	defer cancel()
	listed, err := c.run(ctx, append([]string{"ls-remote", "--quiet", "--", c.remote}, refs...)...)
	if err != nil {
		return "", err
	}
	var found []string
	for line := range strings.Lines(listed) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		for _, ref := range refs { // git matches the end of a name, too
			if name == ref {
				found = append(found, ref)
			}
		}
	}
	switch len(found) {
	case 0:
		return "", refusef("%s has no branch or tag %s", c.name(), c.pin.Ref)
	case 1:
		return found[0], nil
	}
	return "", refusef("%s has a branch and a tag %s; write refs/heads/… or refs/tags/… as ref in repos.bzl", c.name(), c.pin.Ref)
}

// isRefusal tells whether err says that something was looked at, and not that it could not be reached.
func isRefusal(err error) bool {
	var refusal *RefusalError
	return errors.As(err, &refusal)
}
