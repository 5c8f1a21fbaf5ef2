package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"

	"countersign/modproxy"
)

// modules are the Go modules that were made so far, by path. A repository's go.mod names those that it requires as a
// team's would: by the pseudo-version of the commit. So a repository is made after those that it requires.
type modules map[string]modproxy.Version

// source is a directory that a repository is made of.
type source struct {
	name     string // of the repository
	dir      string
	path     string   // of its module, "" if it is none
	requires []string // module paths
}

// readSource reads what go.mod says; a directory without one has none of it.
func readSource(name, dir string) (source, error) {
	s := source{name: name, dir: dir}
	file, err := readGoMod(dir)
	if file == nil || err != nil {
		return s, err
	}
	s.path = file.Module.Mod.Path
	for _, r := range file.Require {
		s.requires = append(s.requires, r.Mod.Path)
	}
	return s, nil
}

func readGoMod(dir string) (*modfile.File, error) {
	name := filepath.Join(dir, "go.mod")
	text, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	file, err := modfile.Parse(name, text, nil)
	if err == nil && file.Module == nil {
		err = fmt.Errorf("%s names no module", name)
	}
	return file, err
}

// inOrder sorts sources so that each comes after those that it requires.
func inOrder(sources []source) ([]source, error) {
	var sorted []source
	for len(sources) > 0 {
		i := slices.IndexFunc(sources, func(s source) bool {
			return !slices.ContainsFunc(sources, func(other source) bool { return slices.Contains(s.requires, other.path) })
		})
		if i < 0 {
			return nil, fmt.Errorf("the examples require each other in a circle; no commit can name another that names it")
		}
		sorted = append(sorted, sources[i])
		sources = slices.Delete(slices.Clone(sources), i, i+1)
	}
	return sorted, nil
}

// requireError is a go.mod or go.sum that does not name the commits that were made.
type requireError struct{ file, detail string }

func (e *requireError) Error() string {
	return fmt.Sprintf("%s %s; run tools/repos --update and commit what it writes", e.file, e.detail)
}

// require checks, or updates, what go.mod and go.sum in a directory say of the modules that were made.
func (m modules) require(dir string, update bool) error {
	file, err := readGoMod(dir)
	if file == nil || err != nil {
		return err
	}
	var wrong error
	var sums []modproxy.Version
	for _, r := range file.Require {
		want, ok := m[r.Mod.Path]
		if !ok {
			continue
		}
		sums = append(sums, want)
		if r.Mod.Version == want.Version {
			continue
		}
		wrong = &requireError{filepath.Join(dir, "go.mod"), fmt.Sprintf("requires %s %s, and not %s", want.Path, r.Mod.Version, want.Version)}
		if err := file.AddRequire(want.Path, want.Version); err != nil {
			return err
		}
	}
	if wrong != nil && !update {
		return wrong
	}
	if wrong != nil {
		text, err := file.Format()
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), text, 0o644); err != nil {
			return err
		}
	}
	return m.sum(filepath.Join(dir, "go.sum"), sums, update)
}

// sum checks, or updates, a go.sum.
func (m modules) sum(name string, sums []modproxy.Version, update bool) error {
	old, err := os.ReadFile(name)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	lines := map[module.Version]string{}
	var order []module.Version
	add := func(path, version, hash string) {
		key := module.Version{Path: path, Version: version}
		if lines[key] == "" {
			order = append(order, key)
		}
		lines[key] = hash
	}
	for line := range strings.Lines(string(old)) {
		// Those of other people's modules stay as they are.
		if fields := strings.Fields(line); len(fields) == 3 && m[fields[0]] == (modproxy.Version{}) {
			add(fields[0], fields[1], fields[2])
		}
	}
	for _, v := range sums {
		add(v.Path, v.Version, v.Zip)
		add(v.Path, v.Version+"/go.mod", v.GoMod)
	}
	module.Sort(order)
	var text strings.Builder
	for _, key := range order {
		fmt.Fprintf(&text, "%s %s %s\n", key.Path, key.Version, lines[key])
	}
	switch {
	case text.String() == string(old):
		return nil
	case !update:
		return &requireError{name, "has not the hashes of what go.mod requires"}
	}
	return os.WriteFile(name, []byte(text.String()), 0o644)
}

// add records the module that a repository's commit is.
func (m modules) add(ctx context.Context, r repository, commit string) error {
	v, err := modproxy.VersionOf(ctx, filepath.Join(r.dir, ".git"), commit)
	if err != nil {
		return err
	}
	m[v.Path] = v
	return nil
}
