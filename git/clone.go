package git

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"countersign"
)

// HEAD is the ref of a remote's default branch.
const HEAD = "HEAD"

// Tip is the reference that holds, in a clone, the history of its ref.
const Tip = "refs/countersign/tip"

// AnswerTime is how long a remote may take to list its references. Tests have less time.
var AnswerTime = time.Minute

// StallTime is for how long a remote that is fetched may send nothing, not even of its progress. Tests have less time.
var StallTime = time.Minute

// RefetchAfter is how often at most a remote is asked again for a commit that a client wants and the clone lacks.
const RefetchAfter = 30 * time.Second

const (
	fetchTimeout = 30 * time.Minute
	// quiet is after how long people are told that they wait for a remote.
	quiet = 2 * time.Second
)

// Source is what a clone is of: the history of one ref of a remote.
type Source struct {
	Name   string // for people, and for the name of the clone
	Remote string // for git; one that begins with // is a path below the directory of the pins
	Ref    string // branch or tag; HEAD for the remote's default branch
	SHA256 bool   // ids of commits are those of git's newer object format
}

// Clone is a bare repository with the history of a ref of a remote, and the tags in it.
type Clone struct {
	Repository
	source Source
	remote string // as git takes it
	tell   func(string)

	mu      sync.Mutex
	fetched time.Time // the last attempt
}

// NewClone returns the clone of a source below the directory cache, which several processes may share; nothing is fetched yet. base
// is what remotes that begin with // are below; "" if there is no such directory. tell is given what a person should know.
func NewClone(cache, base string, source Source, tell func(string)) (*Clone, error) {
	remote, err := source.locate(base)
	if err != nil {
		return nil, err
	}
	key := sha256.Sum256([]byte(remote + "\x00" + source.Ref))
	dir := filepath.Join(cache, source.Name+"-"+hex.EncodeToString(key[:8])+".git")
	return &Clone{Repository: Repository{Dir: dir}, source: source, remote: remote, tell: tell}, nil
}

// locate returns the remote as git takes it.
func (s Source) locate(base string) (string, error) {
	below, ok := strings.CutPrefix(s.Remote, "//")
	if !ok {
		if base != "" && !strings.Contains(s.Remote, ":") && !filepath.IsAbs(s.Remote) {
			return filepath.Join(base, s.Remote), nil // as tools/bazel takes it
		}
		return s.Remote, nil
	}
	if base == "" {
		return "", Refusef("its remote %s is a path in a checkout of the deployment's repository; run this command there", s.Remote)
	}
	return filepath.Join(base, filepath.FromSlash(below)), nil
}

// Remote is the remote as git takes it.
func (c *Clone) Remote() string { return c.remote }

// Name is the remote as it may be shown: without a password.
func (c *Clone) Name() string { return Redacted(c.source.Remote) }

// Ensure fetches the remote unless a commit is there, which has to be in the history of the ref.
func (c *Clone) Ensure(ctx context.Context, commit string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if ok, err := c.Holds(ctx, commit); ok || err != nil {
		return err
	}
	if err := c.fetch(ctx); err != nil {
		return err
	}
	if ok, err := c.Holds(ctx, commit); ok || err != nil {
		return err
	}
	return Refusef("%s has no commit %s in the history of %s", c.Name(), commit, c.source.Ref)
}

// Refetch fetches the remote again, if that was not tried a moment ago.
func (c *Clone) Refetch(ctx context.Context) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.fetched) < RefetchAfter {
		return nil
	}
	return c.fetch(ctx)
}

// Expire has the next Refetch ask the remote, however short ago that was.
func (c *Clone) Expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fetched = time.Time{}
}

// Fetch fetches the remote and returns the newest commit of the ref.
func (c *Clone) Fetch(ctx context.Context) (commit string, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.fetch(ctx); err != nil {
		return "", err
	}
	return c.Tip(ctx)
}

// Tip returns the newest commit of the ref, as of the last fetch.
func (c *Clone) Tip(ctx context.Context) (string, error) {
	return c.Run(ctx, "rev-parse", "--verify", "--quiet", Tip+"^{commit}")
}

// Branch returns the name of the branch that the ref is; "" for a tag.
func (c *Clone) Branch(ctx context.Context) (string, error) {
	if c.source.Ref != HEAD {
		ref, err := c.resolveRef(ctx)
		branch, is := strings.CutPrefix(ref, "refs/heads/")
		if !is {
			branch = ""
		}
		return branch, err
	}
	listed, err := c.lsRemote(ctx, "--symref", "--", c.remote, HEAD)
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(listed) {
		of, name, _ := strings.Cut(strings.TrimSpace(line), "\t")
		if branch, is := strings.CutPrefix(of, "ref: refs/heads/"); is && name == HEAD && countersign.ValidRef(branch) {
			return branch, nil
		}
	}
	return "", nil
}

// lsRemote runs git ls-remote, which has to answer in time.
func (c *Clone) lsRemote(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, AnswerTime, fmt.Errorf("it did not answer within %v", AnswerTime))
	defer cancel()
	return c.Run(ctx, append([]string{"ls-remote", "--quiet"}, args...)...)
}

// Holds tells whether a commit is in the history of the ref, as far as it was fetched.
func (c *Clone) Holds(ctx context.Context, commit string) (bool, error) {
	if _, err := os.Stat(filepath.Join(c.Dir, "HEAD")); err != nil {
		return false, nil
	}
	_, err := c.Run(ctx, "merge-base", "--is-ancestor", commit, Tip)
	if err != nil && ctx.Err() != nil {
		return false, err
	}
	return err == nil, nil
}

// fetch brings the history of the ref, and the tags in it.
func (c *Clone) fetch(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, fetchTimeout, fmt.Errorf("nothing came of it within %v", fetchTimeout))
	defer cancel()
	c.fetched = time.Now()
	defer time.AfterFunc(quiet, func() {
		c.tell(fmt.Sprintf("fetching %s from %s, for at most %v", c.source.Name, c.Name(), fetchTimeout))
	}).Stop()
	err := c.fetchLocked(ctx)
	if failed := (*Error)(nil); errors.As(err, &failed) {
		failed.stderr = strings.ReplaceAll(failed.stderr, c.remote, c.Name())
	}
	return err
}

// fetchLocked fetches, while no other process does so for the same clone.
func (c *Clone) fetchLocked(ctx context.Context) error {
	if err := os.MkdirAll(filepath.Dir(c.Dir), 0o700); err != nil {
		return err
	}
	lock, err := os.OpenFile(c.Dir+".lock", os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // unlocks
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the clone %s: %w", c.Dir, err)
	}
	format := "sha1"
	if c.source.SHA256 {
		format = "sha256"
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return err
	}
	if _, err := c.Run(ctx, "init", "--quiet", "--bare", "--object-format="+format); err != nil {
		return err
	}
	ref, err := c.resolveRef(ctx)
	if err != nil {
		return err
	}
	// Tags are fetched as far as they point into that history, since none are asked for.
	return c.runWatched(ctx, StallTime, "-c", "remote.origin.tagOpt=", "fetch", "--progress", "--prune", "--force", "--no-auto-maintenance",
		"--no-write-fetch-head", "--", c.remote, "+"+ref+":"+Tip)
}

// resolveRef returns the full name of the ref on the remote. Only branches and tags are a team's word.
func (c *Clone) resolveRef(ctx context.Context) (string, error) {
	refs := []string{c.source.Ref}
	if c.source.Ref != HEAD && !strings.HasPrefix(c.source.Ref, "refs/") {
		refs = []string{"refs/heads/" + c.source.Ref, "refs/tags/" + c.source.Ref}
	}
	listed, err := c.lsRemote(ctx, append([]string{"--", c.remote}, refs...)...)
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
		return "", Refusef("%s has no branch or tag %s", c.Name(), c.source.Ref)
	case 1:
		return found[0], nil
	}
	return "", Refusef("%s has a branch and a tag %s; write refs/heads/… or refs/tags/… as ref in repos.bzl", c.Name(), c.source.Ref)
}
