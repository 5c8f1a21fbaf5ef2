package modproxy

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/mod/sumdb/dirhash"

	"countersign/git"
)

// Version is a version of a module, with the hashes that go.sum has for it.
type Version struct {
	Path, Version string
	Zip, GoMod    string // h1:…
}

// VersionOf returns which version of which module a commit is, in a git repository of this machine.
func VersionOf(ctx context.Context, repository, commit string) (Version, error) {
	dir, err := filepath.Abs(repository)
	if err != nil {
		return Version{}, err
	}
	c := clone{&git.Clone{Repository: git.Repository{Dir: dir}}, Pin{Commit: commit}}
	m, err := c.moduleIn(ctx, "")
	if err != nil {
		return Version{}, fmt.Errorf("commit %s of %s as a Go module: %w", commit, repository, err)
	}
	v, err := m.version(ctx, commit)
	if err != nil {
		return v, fmt.Errorf("hash module %s: %w", m.Path, err)
	}
	return v, nil
}

// Pinned returns the version of a module that the pin is, the one that @latest means.
func (s *Server) Pinned(ctx context.Context, path string) (Version, error) {
	m, err := s.current(ctx).find(path)
	if err != nil {
		return Version{}, err
	}
	if m == nil {
		return Version{}, errNotOurs
	}
	return m.version(ctx, m.clone.pin.Commit)
}

// version describes a commit of the module.
func (m *Module) version(ctx context.Context, commit string) (Version, error) {
	r, err := m.describe(ctx, commit)
	if err != nil {
		return Version{}, err
	}
	v := Version{Path: m.Path, Version: r.version}
	mod, err := m.goModAt(ctx, r)
	if err != nil {
		return v, err
	}
	v.GoMod, err = dirhash.Hash1([]string{"go.mod"}, func(string) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(mod)), nil
	})
	if err != nil {
		return v, err
	}
	file, err := os.CreateTemp("", "module-*.zip")
	if err != nil {
		return v, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	if err := m.zip(ctx, r, file); err != nil {
		return v, err
	}
	v.Zip, err = dirhash.HashZip(file.Name(), dirhash.Hash1)
	return v, err
}
