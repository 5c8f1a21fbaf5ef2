package cgroup

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// tops are the names of what holds all our groups. systemd wants such a suffix of what it finds in its own hierarchy.
const (
	topV1 = "countersign"
	topV2 = "countersign.slice"
)

// removeTime is how long the end of what is in a group is waited for.
const removeTime = 10 * time.Second

// Owner names a process that makes groups, so that the next one of the same kind can tell what is left of it from what
// is in use.
type Owner struct {
	Kind string // names what only one process at a time should be, such as a data directory; letters, digits, hyphens
	Life string // names this process and no later one; letters, digits, hyphens
}

// OwnerOf is the owner of groups that a process makes for a directory, which is named by what it is and not by its path:
// two containers can have the same paths. life names the process.
func OwnerOf(dir, life string) (Owner, error) {
	var stat unix.Stat_t
	if err := unix.Stat(dir, &stat); err != nil {
		return Owner{}, fmt.Errorf("looking at %s: %w", dir, err)
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%d:%d", stat.Dev, stat.Ino))
	return Owner{Kind: hex.EncodeToString(sum[:8]), Life: life}, nil
}

func (o Owner) dir() string { return o.Kind + "." + o.Life }

// Tree is where one process makes its groups: a directory in each hierarchy.
type Tree struct {
	at    hierarchies
	owner Owner
	mkdir func(string) error // replaced by tests, which have no kernel that fills a new group
}

// Open finds the hierarchies of this machine. Nothing is made yet. The error is an *UnsupportedError.
func Open(owner Owner) (*Tree, error) {
	at, err := ofMachine()
	if err != nil {
		return nil, err
	}
	return &Tree{at: at, owner: owner, mkdir: mkdir}, nil
}

func mkdir(dir string) error { return os.Mkdir(dir, 0o755) }

// top returns the directory of a hierarchy that holds all our groups.
func top(h hierarchy) string {
	if h.v2 {
		return filepath.Join(h.mount, topV2)
	}
	return filepath.Join(h.mount, topV1)
}

// prepare makes what groups of a hierarchy are below, and in version 2 hands the controllers down to there.
func (t *Tree) prepare(h hierarchy) (string, error) {
	above := top(h)
	own := filepath.Join(above, t.owner.dir())
	for _, dir := range []string{above, own} {
		if err := t.mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
			return "", refused(dir, err)
		}
	}
	if h.v2 {
		for _, dir := range []string{h.mount, above, own} {
			if err := enable(dir, t.at.controllers(h)); err != nil {
				return "", refused(dir, err)
			}
		}
	}
	return own, nil
}

// enable hands controllers of a version 2 group to those below it.
func enable(dir string, controllers []string) error {
	file := filepath.Join(dir, "cgroup.subtree_control")
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var missing []string
	for _, c := range controllers {
		if !slices.Contains(strings.Fields(string(text)), c) {
			missing = append(missing, "+"+c)
		}
	}
	if len(missing) == 0 {
		return nil
	}
	return write(file, strings.Join(missing, " "))
}

// Make makes a group. Its name is to be unique in the tree: what is found under it is ended and removed. ready is a
// directory in version 2 that somebody else made for the same purpose and will remove, or "": with it, and with both
// controllers in version 2, the limits are set there. The error is an *UnsupportedError.
func (t *Tree) Make(name, ready string, l Limits) (*Group, error) {
	if name == "" || name != filepath.Base(name) || name[0] == '.' {
		return nil, &UnsupportedError{Detail: fmt.Sprintf("%q can't be the name of a cgroup", name)}
	}
	g := &Group{limits: l}
	if ready != "" && t.at.memory.v2 && t.at.tasks.v2 {
		g.memory, g.tasks, g.borrowed = place{ready, true}, place{ready, true}, true
	} else if err := t.makeOwn(g, name); err != nil {
		return nil, errors.Join(err, g.Remove())
	}
	if err := g.restrict(); err != nil {
		return nil, errors.Join(err, g.Remove())
	}
	return g, nil
}

func (t *Tree) makeOwn(g *Group, name string) error {
	for _, h := range t.at.distinct() {
		var dir string
		var err error
		for range 5 { // what is empty may be removed meanwhile, by Tidy or by another process that leaves
			if dir, err = t.makeIn(h, name); !errors.Is(err, fs.ErrNotExist) {
				break
			}
		}
		if err != nil {
			return err
		}
		for _, controller := range t.at.controllers(h) {
			if controller == memoryController {
				g.memory = place{dir, h.v2}
			} else {
				g.tasks = place{dir, h.v2}
			}
		}
	}
	return nil
}

// makeIn makes the directory of a group in one hierarchy.
func (t *Tree) makeIn(h hierarchy, name string) (string, error) {
	own, err := t.prepare(h)
	if err != nil {
		return "", err
	}
	dir := filepath.Join(own, name)
	err = t.mkdir(dir)
	if errors.Is(err, fs.ErrExist) {
		if err = removeGroup(place{dir, h.v2}); err == nil {
			err = t.mkdir(dir)
		}
	}
	if err != nil {
		return "", refused(dir, err)
	}
	return dir, nil
}

// Sweep ends and removes what other owners of the same kind have left. alive tells by an owner's Life whether it still
// runs.
func (t *Tree) Sweep(alive func(life string) bool) error {
	var errs []error
	for _, h := range t.at.distinct() {
		owners, err := os.ReadDir(top(h))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("looking for cgroups that are left over: %w", err))
		}
		for _, e := range owners {
			kind, life, ok := strings.Cut(e.Name(), ".")
			if ok && kind == t.owner.Kind && life != t.owner.Life && !alive(life) {
				errs = append(errs, removeBelow(filepath.Join(top(h), e.Name()), h.v2))
			}
		}
	}
	return errors.Join(errs...)
}

// Tidy removes the tree's own directories, if no group is in them.
func (t *Tree) Tidy() {
	for _, h := range t.at.distinct() {
		_ = rmdir(filepath.Join(top(h), t.owner.dir()))
		_ = rmdir(top(h))
	}
}

// Close removes what is left of the tree, with everything in it.
func (t *Tree) Close() error {
	var errs []error
	for _, h := range t.at.distinct() {
		own := filepath.Join(top(h), t.owner.dir())
		if _, err := os.Stat(own); err == nil {
			errs = append(errs, removeBelow(own, h.v2))
		}
	}
	t.Tidy()
	return errors.Join(errs...)
}

// removeBelow removes an owner's groups and then its directory.
func removeBelow(dir string, v2 bool) error {
	groups, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("looking for cgroups that are left over: %w", err)
	}
	var errs []error
	for _, e := range groups {
		if e.IsDir() {
			errs = append(errs, removeGroup(place{filepath.Join(dir, e.Name()), v2}))
		}
	}
	return errors.Join(append(errs, removeGroup(place{dir, v2}))...)
}
