package modproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"time"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	modzip "golang.org/x/mod/zip"

	"countersign/git"
)

// Limits of a module. Those of go itself are larger: 500 MB, and no number of files.
const (
	maxModule = 64 << 20
	maxFile   = 16 << 20
	maxFiles  = 20_000
	maxGoMod  = 1 << 20
)

// Module is a module of a pinned repository.
type Module struct {
	Path  string
	clone clone
	dir   string // within the repository; "" for its root
}

// clone is the clone of a pinned repository.
type clone struct {
	*git.Clone
	pin Pin
}

// newClone returns the clone of a pin below the directory cache. base is what remotes that begin with // are below.
func newClone(cache, base string, pin Pin, tell func(string)) (clone, error) {
	c, err := git.NewClone(cache, base, git.Source{Name: pin.Name, Remote: pin.Remote, Ref: pin.Ref, SHA256: len(pin.Commit) == 64}, tell)
	return clone{c, pin}, err
}

// module returns the module that the pinned commit of c is.
func (c clone) module(ctx context.Context) (*Module, error) {
	m, err := c.moduleIn(ctx, "")
	if c.pin.Module != SDKPath || err == nil && m.Path == SDKPath {
		return m, err
	}
	// The SDK is in a directory of the product's repository.
	return c.moduleIn(ctx, "sdk")
}

func (c clone) moduleIn(ctx context.Context, dir string) (*Module, error) {
	m := &Module{clone: c, dir: dir}
	declared, _, err := m.goMod(ctx, c.pin.Commit)
	if err != nil {
		return nil, err
	}
	m.Path = declared
	return m, nil
}

// goMod returns the module path that go.mod of a commit declares, and its text.
func (m *Module) goMod(ctx context.Context, commit string) (declared string, text []byte, err error) {
	text, err = m.clone.File(ctx, commit, path.Join(m.dir, "go.mod"), maxGoMod)
	if err != nil {
		return "", nil, err
	}
	// Lax is how go reads the files of dependencies.
	file, err := modfile.ParseLax("go.mod", text, nil)
	if err != nil {
		return "", nil, git.Refusef("its go.mod can't be read: %v", err)
	}
	if file.Module == nil {
		return "", nil, git.Refusef("its go.mod names no module")
	}
	declared = file.Module.Mod.Path
	if err := module.CheckPath(declared); err != nil {
		return "", nil, git.Refusef("its go.mod: %v", err)
	}
	return declared, text, nil
}

// goModAt returns go.mod of a revision, which has to be of this module.
func (m *Module) goModAt(ctx context.Context, r revision) ([]byte, error) {
	declared, text, err := m.goMod(ctx, r.commit)
	if err != nil {
		return nil, err
	}
	if declared != m.Path {
		return nil, git.Refusef("commit %s has the go.mod of another module, %s", r.commit[:12], declared)
	}
	return text, nil
}

// zip writes the module zip of a revision.
func (m *Module) zip(ctx context.Context, r revision, w io.Writer) (err error) {
	if _, err := m.goModAt(ctx, r); err != nil {
		return err
	}
	entries, err := m.files(ctx, r.commit)
	if err != nil {
		return err
	}
	if err := checkEntries(entries); err != nil {
		return err
	}
	b, err := m.clone.Blobs(ctx)
	if err != nil {
		return err
	}
	files := make([]modzip.File, len(entries))
	for i, e := range entries {
		files[i] = zipFile{e, b}
	}
	err = modzip.Create(w, module.Version{Path: m.Path, Version: r.version}, files)
	if closeErr := b.Close(); err == nil && closeErr != nil {
		return fmt.Errorf("read the files of commit %s: %w", r.commit, closeErr)
	}
	var list modzip.FileErrorList
	if errors.As(err, &list) {
		return git.Refusef("go can't have it as a module: %s", describe(list))
	}
	return err
}

// files lists what the module's zip holds: as go does, with the repository's LICENSE if the module has none.
func (m *Module) files(ctx context.Context, commit string) ([]git.Entry, error) {
	entries, err := m.clone.Tree(ctx, commit, m.dir)
	if err != nil || m.dir == "" || slices.ContainsFunc(entries, isLicense) {
		return entries, err
	}
	line, err := m.clone.Lookup(ctx, commit, "LICENSE")
	return append(entries, line...), err
}

func isLicense(e git.Entry) bool { return e.Path == "LICENSE" }

// checkEntries refuses what go leaves out of modules, since the build by Bazel would see other files than `go test` does,
// and what is too much.
func checkEntries(entries []git.Entry) error {
	if len(entries) > maxFiles {
		return git.Refusef("it has %d files; a module has at most %d", len(entries), maxFiles)
	}
	var total int64
	for _, e := range entries {
		switch e.Mode {
		case "100644", "100755":
		case "120000":
			return git.Refusef("%q is a symbolic link, and go leaves those out of modules", e.Path)
		case "160000":
			return git.Refusef("%q is a submodule of git, and go leaves those out of modules", e.Path)
		default:
			return git.Refusef("%q has the mode %s: it is not a file", e.Path, e.Mode)
		}
		if e.Size > maxFile {
			return git.Refusef("%q has %d bytes; a file of a module has at most %d", e.Path, e.Size, maxFile)
		}
		if total += e.Size; total > maxModule {
			return git.Refusef("its files have more than %d bytes in all", maxModule)
		}
	}
	return nil
}

// describe names the first few files that are wrong.
func describe(list modzip.FileErrorList) string {
	var parts []string
	for i, e := range list {
		if i == 3 {
			parts = append(parts, fmt.Sprintf("and %d more", len(list)-i))
			break
		}
		parts = append(parts, fmt.Sprintf("%q: %v", e.Path, e.Err))
	}
	return strings.Join(parts, "; ")
}

// zipFile is a file of a commit for modzip.
type zipFile struct {
	entry git.Entry
	blobs *git.Blobs
}

func (f zipFile) Path() string                 { return f.entry.Path }
func (f zipFile) Lstat() (fs.FileInfo, error)  { return fileInfo{f.entry}, nil }
func (f zipFile) Open() (io.ReadCloser, error) { return f.blobs.Open(f.entry.Object) }

type fileInfo struct{ entry git.Entry }

func (i fileInfo) Name() string       { return path.Base(i.entry.Path) }
func (i fileInfo) Size() int64        { return i.entry.Size }
func (i fileInfo) Mode() fs.FileMode  { return 0o644 }
func (i fileInfo) ModTime() time.Time { return time.Time{} }
func (i fileInfo) IsDir() bool        { return false }
func (i fileInfo) Sys() any           { return nil }
