package repositories

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"countersign"
	"countersign/git"
	"countersign/pins"
)

// fetches is how many remotes are asked at a time.
const fetches = 4

// Deployment is a deployment repository, and clones of what it pins.
type Deployment struct {
	file  *pins.File
	cache string
	tell  func(string)
	ask   bool
}

// Open reads repos.bzl at a path. cache is a directory for clones, which several processes may share. tell is given what a
// person should know.
func Open(path, cache string, tell func(string)) (*Deployment, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	file, err := pins.Read(path)
	if err != nil {
		return nil, err
	}
	return &Deployment{file: file, cache: cache, tell: tell}, nil
}

// Ask has git ask for passwords on the terminal: a person is there, and remotes are asked one after the other.
func (d *Deployment) Ask() { d.ask = true }

// Dir is the directory of repos.bzl.
func (d *Deployment) Dir() string { return filepath.Dir(d.file.Path()) }

// clone returns the clone of a pinned repository.
func (d *Deployment) clone(e pins.Entry) (*git.Clone, error) {
	c, err := git.NewClone(d.cache, d.Dir(), git.Source{Name: e.Name, Remote: e.Remote, Ref: e.Ref, SHA256: len(e.Commit) == 64}, d.tell)
	if err == nil {
		c.Ask = d.ask
	}
	return c, err
}

// Repository is what there is to know of a pinned repository.
type Repository struct {
	Name       string     `json:"name"`
	Remote     string     `json:"remote"`
	Ref        string     `json:"ref"`
	Commit     string     `json:"commit"`          // that is pinned
	Newest     string     `json:"newest"`          // commit of the ref; "" if that is not known
	Error      string     `json:"error,omitempty"` // why it is not
	Bump       *Change    `json:"bump"`            // what moving the pin to the newest commit changes; null if that is not known
	Functions  []Function `json:"functions"`
	Module     string     `json:"module"`      // path of the Go module, "" without one
	CalledBy   []string   `json:"called_by"`   // functions of other repositories whose specs list one of these
	ImportedBy []Import   `json:"imported_by"` // other repositories whose go.mod requires the module

	entry    pins.Entry
	requires map[string]string
	known    bool // what the pinned commit holds
}

// Import is a repository whose go.mod requires the module of another one.
type Import struct {
	Repository string `json:"repository"`
	Version    string `json:"version"`
}

// List returns all that is pinned, in the order of repos.bzl. What is wrong with a repository is in its Error.
func (d *Deployment) List(ctx context.Context) ([]*Repository, error) {
	return d.list(ctx, d.newest)
}

// list looks at each pinned repository, several at a time, and tells who depends on it.
func (d *Deployment) list(ctx context.Context, look func(context.Context, *Repository, pins.Entry, *git.Clone) error) ([]*Repository, error) {
	entries := d.file.Entries()
	all := make([]*Repository, len(entries))
	var group errgroup.Group
	group.SetLimit(fetches)
	for i, e := range entries {
		group.Go(func() error {
			all[i] = d.look(ctx, e, look)
			return nil
		})
	}
	_ = group.Wait() // none fails
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	relate(all)
	return all, nil
}

func (d *Deployment) look(ctx context.Context, e pins.Entry, look func(context.Context, *Repository, pins.Entry, *git.Clone) error) *Repository {
	r := &Repository{Name: e.Name, Remote: git.Redacted(e.Remote), Ref: e.Ref, Commit: e.Commit, Functions: (*content)(nil).pinned(e),
		CalledBy: []string{}, ImportedBy: []Import{}, entry: e}
	clone, err := d.clone(e)
	if err == nil {
		clone.Ask = false // several are asked at a time
		err = look(ctx, r, e, clone)
	}
	if err != nil {
		r.Error = err.Error()
	}
	return r
}

// newest asks the remote for the newest commit, and tells what moving to it changes.
func (d *Deployment) newest(ctx context.Context, r *Repository, e pins.Entry, clone *git.Clone) error {
	tip, failed := clone.Fetch(ctx)
	before, err := r.readPinned(ctx, e, clone)
	if failed != nil {
		return failed
	}
	r.Newest = tip
	if err != nil {
		return err
	}
	after, err := read(ctx, clone.Repository, tip)
	if err != nil {
		return err
	}
	if r.Bump, err = between(ctx, clone.Repository, e.Commit, tip); err == nil {
		r.Bump.Notes = append(r.Bump.Notes, differences(e, before, after)...)
	}
	return err
}

// pinnedOnly fetches the remote only if the pinned commit is not there.
func (d *Deployment) pinnedOnly(ctx context.Context, r *Repository, e pins.Entry, clone *git.Clone) error {
	if err := clone.Ensure(ctx, e.Commit); err != nil {
		return err
	}
	_, err := r.readPinned(ctx, e, clone)
	return err
}

// readPinned reads the pinned commit. One that was fetched before its branch was moved back is there, too.
func (r *Repository) readPinned(ctx context.Context, e pins.Entry, clone *git.Clone) (*content, error) {
	if _, err := clone.Run(ctx, "cat-file", "-e", e.Commit+"^{commit}"); err != nil {
		return nil, git.Refusef("%s has no commit %s in the history of %s: what is pinned can't be built", clone.Name(), e.Commit, e.Ref)
	}
	c, err := read(ctx, clone.Repository, e.Commit)
	if err != nil {
		return nil, fmt.Errorf("read commit %.12s: %w", e.Commit, err)
	}
	r.Functions, r.Module, r.requires, r.known = c.pinned(e), c.module, c.requires, true
	return c, nil
}

// relate tells of each repository who depends on it.
func relate(all []*Repository) {
	for _, r := range all {
		for _, other := range all {
			if other == r {
				continue
			}
			for _, f := range other.Functions {
				if slices.ContainsFunc(r.Functions, func(callee Function) bool { return slices.Contains(f.Calls, callee.Name) }) {
					r.CalledBy = append(r.CalledBy, f.Name)
				}
			}
			if version := other.requires[r.moduleFor(other)]; version != "" {
				r.ImportedBy = append(r.ImportedBy, Import{other.Name, version})
			}
		}
	}
}

// moduleFor returns the path under which another repository may import this one. Where it is not known which module it is, it may
// be any that it is permitted to be.
func (r *Repository) moduleFor(other *Repository) string {
	if r.known {
		return r.Module
	}
	for _, path := range slices.Sorted(maps.Keys(other.requires)) {
		if permitted(r.entry, path) == nil {
			return path
		}
	}
	return ""
}

var commitPrefix = regexp.MustCompile(`^[0-9a-f]{7,64}$`)

// find returns the commit that a person means by an id or the beginning of one. It has to be in the history of the pin's ref as the
// remote has it now: servers also give out what strangers propose, and what was taken back.
func find(ctx context.Context, clone *git.Clone, ref, id string) (string, error) {
	if !commitPrefix.MatchString(id) {
		return "", fmt.Errorf("%.80q is no id of a commit, nor the first seven digits of one or more", id)
	}
	out := id
	if !countersign.ValidCommit(id) {
		var err error
		// Not a name: a tag could have a commit's.
		if out, err = clone.Run(ctx, "rev-parse", "--disambiguate="+id); err != nil && ctx.Err() != nil {
			return "", err
		}
	}
	var found []string
	for object := range strings.FieldsSeq(out) {
		if kind, err := clone.Run(ctx, "cat-file", "-t", object); err != nil || kind != "commit" {
			continue
		}
		ok, err := clone.Holds(ctx, object)
		if err != nil {
			return "", err
		}
		if ok {
			found = append(found, object)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", git.Refusef("%s has no commit %s in the history of %s; a pin whose commits are in another branch or tag names it as \"ref\" in repos.bzl",
			clone.Name(), id, ref)
	}
	return "", fmt.Errorf("%s begins several commits: %s", id, strings.Join(found, ", "))
}

// entry returns a pin by the name of its repository.
func (d *Deployment) entry(name string) (pins.Entry, error) {
	e, ok := d.file.Entry(name)
	if ok {
		return e, nil
	}
	if of, ok := d.file.Of(name); ok {
		return e, fmt.Errorf("%s is a function of the repository %s: name that", name, of.Name)
	}
	unknown := &pins.UnknownError{Name: name, File: d.file.Path()}
	for _, e := range d.file.Entries() {
		unknown.Known = append(unknown.Known, e.Name)
	}
	return e, unknown
}

// of is an error of one of several repositories.
func of(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

var errDependents = errors.New("others depend on it")
