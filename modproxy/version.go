package modproxy

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"

	"countersign/git"
)

// pinnedQuery is the version query that means the pinned commit, whatever tags there are.
const pinnedQuery = "pinned"

// maxTags bounds how many tags of a repository count.
const maxTags = 10_000

// revision is a commit, and the version that it is of a module.
type revision struct {
	commit  string
	version string
	time    time.Time
}

var commitPrefix = regexp.MustCompile(`^[0-9a-f]{12,64}$`)

// resolve returns what a version is: a tag, a pseudo-version, a commit's id or its first twelve digits, or pinnedQuery.
// Only commits in the history of the pin's ref have versions.
func (m *Module) resolve(ctx context.Context, version string) (revision, error) {
	switch {
	case version == pinnedQuery:
		return m.describe(ctx, m.clone.pin.Commit)
	case module.IsPseudoVersion(version):
		return m.pseudo(ctx, version)
	case semver.IsValid(version):
		return m.tagged(ctx, version)
	case commitPrefix.MatchString(version):
		commit, err := m.find(ctx, version)
		if err != nil {
			return revision{}, err
		}
		return m.describe(ctx, commit)
	}
	return revision{}, git.Refusef("%s is no version of it: ask for a tag, a pseudo-version, a commit, or %q", version, pinnedQuery)
}

// describe returns the version of a commit: the highest tag on it, or a pseudo-version after the highest before it.
func (m *Module) describe(ctx context.Context, commit string) (revision, error) {
	at, err := m.commitTime(ctx, commit)
	if err != nil {
		return revision{}, err
	}
	on, err := m.tags(ctx, "--points-at", commit)
	if err != nil {
		return revision{}, err
	}
	if len(on) > 0 {
		return revision{commit, on[len(on)-1], at}, nil
	}
	before, err := m.tags(ctx, "--merged", commit)
	if err != nil {
		return revision{}, err
	}
	older := ""
	if len(before) > 0 {
		older = before[len(before)-1]
	}
	return revision{commit, module.PseudoVersion(m.major(), older, at, commit[:12]), at}, nil
}

// pseudo returns what a pseudo-version is, which has to be one that go itself would take for the commit.
func (m *Module) pseudo(ctx context.Context, version string) (revision, error) {
	rev, err := module.PseudoVersionRev(version)
	if err != nil || !commitPrefix.MatchString(rev) || len(rev) != 12 {
		return revision{}, git.Refusef("%s is not the pseudo-version of a git commit", version)
	}
	commit, err := m.find(ctx, rev)
	if err != nil {
		return revision{}, err
	}
	at, err := m.commitTime(ctx, commit)
	if err != nil {
		return revision{}, err
	}
	base, err := module.PseudoVersionBase(version)
	if err != nil {
		return revision{}, git.Refusef("%s: %v", version, err)
	}
	if base != "" {
		before, err := m.tags(ctx, "--merged", commit)
		if err != nil {
			return revision{}, err
		}
		found := false
		for _, tag := range before {
			found = found || tag == base
		}
		if !found {
			return revision{}, git.Refusef("%s comes after %s, which is no tag before commit %s", version, base, rev)
		}
	}
	if want := module.PseudoVersion(m.major(), base, at, rev); version != want {
		return revision{}, git.Refusef("commit %s is version %s, not %s", rev, want, version)
	}
	return revision{commit, version, at}, nil
}

// tagged returns what a tag is.
func (m *Module) tagged(ctx context.Context, version string) (revision, error) {
	if !m.isVersion(version) {
		return revision{}, git.Refusef("%s is no version that %s can have", version, m.Path)
	}
	ref := "refs/tags/" + m.tagPrefix() + version
	commit, err := m.clone.Run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", ref+"^{commit}")
	if err != nil {
		return revision{}, m.unknown("tag " + m.tagPrefix() + version)
	}
	if ok, err := m.clone.Holds(ctx, commit); err != nil {
		return revision{}, err
	} else if !ok {
		return revision{}, m.unknown("tag " + m.tagPrefix() + version)
	}
	at, err := m.commitTime(ctx, commit)
	return revision{commit, version, at}, err
}

// unknownError is a version that is not there, as far as was fetched.
type unknownError struct{ what string }

func (e *unknownError) Error() string { return e.what }

func (m *Module) unknown(what string) error {
	return &unknownError{fmt.Sprintf("there is no %s in the history of %s of its repository", what, m.clone.pin.Ref)}
}

// find returns the commit with a prefix, if it is in the history of the pin's ref.
func (m *Module) find(ctx context.Context, prefix string) (string, error) {
	// Not a name: a tag could have a commit's.
	out, err := m.clone.Run(ctx, "rev-parse", "--disambiguate="+prefix)
	if ctx.Err() != nil {
		return "", err
	}
	var found []string
	for object := range strings.Lines(out) {
		object = strings.TrimSpace(object)
		if kind, err := m.clone.Run(ctx, "cat-file", "-t", object); err != nil || kind != "commit" {
			continue
		}
		if ok, err := m.clone.Holds(ctx, object); err != nil {
			return "", err
		} else if ok {
			found = append(found, object)
		}
	}
	if len(found) != 1 {
		return "", m.unknown("commit " + prefix)
	}
	return found[0], nil
}

func (m *Module) commitTime(ctx context.Context, commit string) (time.Time, error) {
	out, err := m.clone.Run(ctx, "show", "--no-show-signature", "--no-patch", "--format=%ct", commit)
	if err != nil {
		return time.Time{}, err
	}
	seconds, err := strconv.ParseInt(out, 10, 64)
	if err != nil || seconds < 0 || seconds > 253402300799 { // the year 9999: versions have four digits for it
		return time.Time{}, git.Refusef("commit %s has no date", commit)
	}
	return time.Unix(seconds, 0).UTC(), nil
}

// tags returns the tags that are versions and that git for-each-ref lists with args, the highest last.
func (m *Module) tags(ctx context.Context, args ...string) ([]string, error) {
	prefix := "refs/tags/" + m.tagPrefix()
	args = append([]string{"for-each-ref", fmt.Sprintf("--count=%d", maxTags), "--format=%(refname)"}, args...)
	out, err := m.clone.Run(ctx, append(args, prefix+"v*")...)
	if err != nil {
		return nil, err
	}
	var versions []string
	for ref := range strings.Lines(out) {
		if version := strings.TrimPrefix(strings.TrimSpace(ref), prefix); m.isVersion(version) {
			versions = append(versions, version)
		}
	}
	semver.Sort(versions)
	return versions, nil
}

// isVersion tells whether a tag, without the prefix, is a version of the module.
func (m *Module) isVersion(tag string) bool {
	return semver.IsValid(tag) && semver.Canonical(tag) == tag && semver.Build(tag) == "" && !module.IsPseudoVersion(tag) &&
		module.Check(m.Path, tag) == nil
}

// tagPrefix is what tags of a module begin with that is in a directory of its repository.
func (m *Module) tagPrefix() string {
	if m.dir == "" {
		return ""
	}
	return m.dir + "/"
}

// major is the major version of the module's path, "" without one.
func (m *Module) major() string {
	_, major, _ := module.SplitPathVersion(m.Path)
	return module.PathMajorPrefix(major)
}
