package repositories

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"path"
	"slices"
	"strings"

	"countersign"
	"countersign/git"
	"countersign/modproxy"
	"countersign/pins"
)

// Move is a pin that is moved.
type Move struct {
	Name string `json:"name"`
	*Change
}

// Bump moves pins: each of names to the newest commit of its ref, or the only one to commit. Nothing is written if anything is wrong
// with one of them; Write does that.
func (d *Deployment) Bump(ctx context.Context, names []string, commit string) ([]Move, error) {
	if commit != "" && len(names) != 1 {
		return nil, errors.New("one commit is of one repository")
	}
	moves, contents := []Move{}, map[string]*content{}
	var errs []error
	for _, name := range slices.Compact(slices.Sorted(slices.Values(names))) {
		change, after, err := d.bump(ctx, name, commit)
		if err != nil {
			errs = append(errs, of(name, err))
			continue
		}
		moves, contents[name] = append(moves, Move{name, change}), after
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	if err := d.checkModules(ctx, contents); err != nil {
		return nil, err
	}
	for i, m := range moves {
		if err := d.file.Set(m.Name, m.To); err != nil {
			return nil, err
		}
		e, _ := d.file.Entry(m.Name)
		moves[i].Notes = append(m.Notes, d.unpinned(contents[m.Name].pinned(e))...)
	}
	return moves, nil
}

// bump returns what moving one pin changes, and what the new commit holds.
func (d *Deployment) bump(ctx context.Context, name, commit string) (*Change, *content, error) {
	e, err := d.entry(name)
	if err != nil {
		return nil, nil, err
	}
	clone, err := d.clone(e)
	if err != nil {
		return nil, nil, err
	}
	to, err := clone.Fetch(ctx)
	if err == nil && commit != "" {
		to, err = find(ctx, clone, e.Ref, commit)
	}
	if err != nil {
		return nil, nil, err
	}
	after, err := read(ctx, clone.Repository, to)
	if err != nil {
		return nil, nil, fmt.Errorf("read commit %.12s: %w", to, err)
	}
	// The pinned commit may be gone: that is a reason to move.
	before, err := new(Repository).readPinned(ctx, e, clone)
	if git.IsRefusal(err) {
		return &Change{From: e.Commit, To: to, Commits: []Commit{}, Undone: []Commit{},
			Notes: []string{fmt.Sprintf("the pinned commit %.12s is not in the history of %s any more", e.Commit, e.Ref)}}, after, nil
	}
	if err != nil {
		return nil, nil, err
	}
	if err := missing(e, before, after); err != nil {
		return nil, nil, fmt.Errorf("commit %.12s: %w", to, err)
	}
	change, err := between(ctx, clone.Repository, e.Commit, to)
	if err != nil {
		return nil, nil, err
	}
	change.Notes = append(change.Notes, differences(e, before, after)...)
	return change, after, nil
}

// checkModules refuses commits with which those who import a repository could not be built: its Go module has to be the one that
// others require, and one that it may be.
func (d *Deployment) checkModules(ctx context.Context, moved map[string]*content) error {
	var before []*Repository
	var errs []error
	for _, e := range d.file.Entries() {
		after := moved[e.Name]
		if after == nil || after.module != "" && permitted(e, after.module) == nil {
			continue
		}
		if before == nil {
			var err error
			if before, err = d.list(ctx, d.pinnedOnly); err != nil {
				return err
			}
		}
		of := before[slices.IndexFunc(before, func(r *Repository) bool { return r.Name == e.Name })]
		var left []string
		for _, i := range of.ImportedBy {
			if importer := moved[i.Repository]; importer == nil || importer.requires[of.Module] != "" {
				left = append(left, i.Repository)
			}
		}
		if len(left) == 0 {
			continue
		}
		why := errors.New("it has no go.mod any more")
		if after.module != "" {
			why = permitted(e, after.module)
		}
		errs = append(errs, fmt.Errorf("%s: %s %w, and could not be built: %w", e.Name, strings.Join(left, ", "), errDependents, why))
	}
	return errors.Join(errs...)
}

// permitted tells whether a repository may be the Go module of a path, or why not.
func permitted(e pins.Entry, module string) error {
	return modproxy.Pin{Name: e.Name, Module: e.Module}.Permits(module)
}

// unpinned tells what functions call that nothing pins.
func (d *Deployment) unpinned(functions []Function) []string {
	var notes []string
	for _, f := range functions {
		for _, callee := range f.Calls {
			if _, ok := d.file.Of(callee); !ok && !slices.ContainsFunc(functions, func(f Function) bool { return f.Name == callee }) {
				notes = append(notes, fmt.Sprintf("%s calls %s, which nothing pins: `countersign repos add` its repository, or the deploy is refused unless it runs",
					f.Name, callee))
			}
		}
	}
	return notes
}

// Changed tells whether there is anything to write.
func (d *Deployment) Changed() bool { return d.file.Changed() }

// Write writes what was moved, added and removed to repos.bzl.
func (d *Deployment) Write() error { return d.file.Write() }

// Addition is a repository that is to be pinned.
type Addition struct {
	Remote    string
	Name      string            // "" for the last element of the remote
	Ref       string            // "" for the remote's HEAD
	Commit    string            // id, or the beginning of one; "" for the newest of the ref
	Functions map[string]string // name -> label; nil for those that its BUILD files declare
}

// Add pins a repository, in memory: Write writes it. notes are what a person should know.
func (d *Deployment) Add(ctx context.Context, a Addition) (e pins.Entry, notes []string, err error) {
	if e, err = a.entry(); err != nil {
		return e, nil, err
	}
	if _, there := d.file.Entry(e.Name); there {
		return e, nil, fmt.Errorf("%s pins a repository %s already: `countersign bump %s` moves it, and -name names another", d.file.Path(), e.Name, e.Name)
	}
	clone, err := d.clone(e)
	if err != nil {
		return e, nil, err
	}
	tip, err := clone.Fetch(ctx)
	if err == nil && a.Commit != "" {
		tip, err = find(ctx, clone, e.Ref, a.Commit)
	}
	if err != nil {
		return e, nil, err
	}
	e.Commit = tip
	found, err := read(ctx, clone.Repository, tip)
	if err != nil {
		return e, nil, fmt.Errorf("read commit %.12s: %w", tip, err)
	}
	if e.Functions = a.Functions; e.Functions == nil {
		if e.Functions, err = found.entryOf(e.Name); err != nil {
			return e, nil, fmt.Errorf("commit %.12s: %w", tip, err)
		}
	}
	if e.Module, notes, err = d.module(e, found.module); err != nil {
		return e, nil, err
	}
	if err := d.file.Add(e); err != nil {
		return e, nil, err
	}
	return e, append(notes, d.unpinned(found.pinned(e))...), nil
}

// module returns what the entry has to say of the repository's Go module. What it is called is the platform's word, so one that is
// named otherwise than the repository is told.
func (d *Deployment) module(e pins.Entry, path string) (string, []string, error) {
	if path == "" {
		return "", nil, nil
	}
	if permitted(e, path) == nil {
		return "", nil, nil
	}
	e.Module = path
	if path == modproxy.SDKPath || strings.HasPrefix(path, modproxy.SDKPath+"/") {
		return "", nil, git.Refusef("its go.mod says that it is the SDK, module %s", path)
	}
	if err := permitted(e, path); err != nil {
		return "", nil, err
	}
	for _, other := range d.file.Entries() {
		if other.Module == path {
			return "", nil, git.Refusef("its go.mod says that it is module %s, which is repository %s", path, other.Name)
		}
	}
	return path, []string{fmt.Sprintf("it is pinned as the Go module %s, as its go.mod says: whoever imports that path builds with this repository", path)}, nil
}

// entry returns what can be said before the remote is asked.
func (a Addition) entry() (pins.Entry, error) {
	e := pins.Entry{Name: a.Name, Ref: a.Ref, Functions: maps.Clone(a.Functions), Remote: a.Remote}
	if below, ok := strings.CutPrefix(a.Remote, "//"); ok {
		// A path below the workspace: none that leads out of it.
		if cleaned := path.Clean("/" + below); cleaned != "/"+below {
			return e, fmt.Errorf("%q is not a path below the directory of repos.bzl", a.Remote)
		}
		if _, err := git.CheckRemote("/" + below); err != nil {
			return e, err
		}
	} else {
		var err error
		if e.Remote, err = git.CheckRemote(a.Remote); err != nil {
			return e, err
		}
	}
	if e.Ref == "" {
		e.Ref = pins.HEAD
	}
	if !countersign.ValidRef(e.Ref) {
		return e, fmt.Errorf("ref %.80q is not the name of a branch or tag", e.Ref)
	}
	if e.Name == "" {
		e.Name = nameOf(e.Remote)
	}
	if !countersign.ValidName(e.Name) || e.Name == "countersign" {
		return e, fmt.Errorf("%.80q can't be the name of a repository: use %s, and not countersign; -name gives it one", e.Name, countersign.NameForm)
	}
	return e, nil
}

// nameOf returns what a remote is called: the last element of its path.
func nameOf(remote string) string {
	if u, err := url.Parse(remote); err == nil && u.Scheme != "" {
		remote = u.Path
	}
	remote = strings.TrimSuffix(strings.TrimRight(remote, "/"), ".git")
	return remote[strings.LastIndexAny(remote, "/:")+1:]
}

// Remove takes a pin away, in memory: Write writes it. It is refused while other repositories depend on it, or if that can't be
// told, unless force is set.
func (d *Deployment) Remove(ctx context.Context, name string, force bool) (removed *Repository, err error) {
	if _, err := d.entry(name); err != nil {
		return nil, err
	}
	all, err := d.list(ctx, d.pinnedOnly)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(all, func(r *Repository) bool { return r.Name == name })
	if removed = all[i]; !force {
		for _, r := range all {
			if !r.known && r != removed {
				return nil, fmt.Errorf("whether %s depends on %s can't be told (-force removes it all the same): %s", r.Name, name, r.Error)
			}
		}
		if who := removed.dependents(); len(who) > 0 {
			return nil, fmt.Errorf("%s: %w: %s; their builds would fail. Bump them to commits that don't need it, or remove them first (-force removes it all the same)",
				name, errDependents, strings.Join(who, ", "))
		}
	}
	return removed, d.file.Remove(name)
}

// dependents names who depends on a repository.
func (r *Repository) dependents() []string {
	var who []string
	for _, f := range r.CalledBy {
		who = append(who, "function "+f)
	}
	for _, i := range r.ImportedBy {
		who = append(who, "module of "+i.Repository)
	}
	return who
}
