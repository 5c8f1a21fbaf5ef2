package modproxy

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/module"
	"golang.org/x/sync/errgroup"

	"countersign/git"
)

// table is what is served, as of one state of the pins. It does not change.
type table struct {
	modules map[string]*Module // by path
	failed  map[string]error   // by path, where that is known: what should be a module and is not
	names   map[string]error   // by the repository's name: what could not be reached, so that its path is not known
	notices []string           // for people
	made    time.Time
}

// fetches is how many remotes are asked at a time.
const fetches = 4

// newTable fetches what is missing of the pinned repositories, and looks which modules they are. What is wrong with one is
// that one's: the others are served.
func newTable(ctx context.Context, cache, base string, pins []Pin, tell func(string)) *table {
	modules, errs := make([]*Module, len(pins)), make([]error, len(pins))
	var group errgroup.Group
	group.SetLimit(fetches)
	for i, pin := range pins {
		group.Go(func() error {
			modules[i], errs[i] = open(ctx, cache, base, pin, tell)
			return nil
		})
	}
	_ = group.Wait() // none fails

	named := map[string]string{} // module paths that repos.bzl names -> repository
	for _, pin := range pins {
		if pin.Module != "" {
			named[pin.Module] = pin.Name
		}
	}
	t := &table{modules: map[string]*Module{}, failed: map[string]error{}, names: map[string]error{}, made: time.Now()}
	for i, pin := range pins {
		err := errs[i]
		if err == nil && pin.Module == "" && named[modules[i].Path] != "" {
			err = git.Refusef("its go.mod says that it is module %s, which is repository %s", modules[i].Path, named[modules[i].Path])
		}
		if err != nil {
			t.fail(pin, err)
			continue
		}
		t.add(modules[i])
	}
	return t
}

// open returns the module that a pinned commit is.
func open(ctx context.Context, cache, base string, pin Pin, tell func(string)) (*Module, error) {
	c, err := newClone(cache, base, pin, tell)
	if err != nil {
		return nil, err
	}
	if err := c.Ensure(ctx, pin.Commit); err != nil {
		return nil, err
	}
	m, err := c.module(ctx)
	if err != nil {
		return nil, err
	}
	return m, pin.Permits(m.Path)
}

func (t *table) fail(pin Pin, err error) {
	err = fmt.Errorf("repository %s, pinned at %.12s: %w", pin.Name, pin.Commit, err)
	t.notices = append(t.notices, err.Error())
	switch {
	case pin.Module != "":
		t.failed[pin.Module] = err
	case !git.IsRefusal(err):
		t.names[pin.Name] = err
	}
}

// add adds a module. A path that two repositories claim is neither's.
func (t *table) add(m *Module) {
	if other, twice := t.modules[m.Path]; twice {
		delete(t.modules, m.Path)
		t.failed[m.Path] = git.Refusef("repositories %s and %s both say that they are module %s", other.clone.pin.Name, m.clone.pin.Name, m.Path)
		t.notices = append(t.notices, t.failed[m.Path].Error())
		return
	}
	if t.failed[m.Path] != nil {
		return // there were two already, or one that can't be read
	}
	t.modules[m.Path] = m
}

// find returns the module with a path; neither a module nor an error if there is none. Where a repository that has the
// name of the path's last element could not be reached, it may be that: then it is an error, since another proxy could
// give out something else under that path.
func (t *table) find(path string) (*Module, error) {
	if m := t.modules[path]; m != nil {
		return m, nil
	}
	if err := t.failed[path]; err != nil {
		return nil, err
	}
	base, _, _ := module.SplitPathVersion(path)
	return nil, t.names[base[strings.LastIndexByte(base, '/')+1:]]
}

// paths returns the paths of all modules, also of those that could not be read.
func (t *table) paths() []string {
	return slices.Sorted(func(yield func(string) bool) {
		for path := range maps.Keys(t.modules) {
			if !yield(path) {
				return
			}
		}
		for path := range maps.Keys(t.failed) {
			if !yield(path) {
				return
			}
		}
	})
}
