package repositories

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"

	"countersign"
)

// CheckoutsDir is where checkouts are, below the deployment repository. Git ignores all of it, and the builds of the workspace
// don't see it.
const CheckoutsDir = "checkouts"

// overridesName is the file in CheckoutsDir that tools/bazel reads: in each line a repository, and the directory that it is
// built from in place of its pinned commit.
const overridesName = "overrides"

// maxOverrides bounds that file.
const maxOverrides = 1 << 20

// override is a line of that file.
type override struct {
	name string
	path string // as it is written: absolute, or below the deployment repository
}

// overrides are the checkouts that Bazel builds, as of when the file was read. It is locked until close.
type overrides struct {
	root string
	lock *os.File
	list []override
}

// lockOverrides reads the file, and keeps other commands from changing it.
func lockOverrides(root string) (*overrides, error) {
	dir := filepath.Join(root, CheckoutsDir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make a place for checkouts: %w", err)
	}
	lock, err := os.Open(dir)
	if err != nil {
		return nil, fmt.Errorf("lock the checkouts: %w", err)
	}
	o := &overrides{root: root, lock: lock}
	if err = unix.Flock(int(lock.Fd()), unix.LOCK_EX); err == nil {
		o.list, err = readOverrides(root)
	}
	if err != nil {
		o.close()
		return nil, fmt.Errorf("lock the checkouts: %w", err)
	}
	return o, nil
}

func (o *overrides) close() { o.lock.Close() } // unlocks

// readOverrides reads the file; there may be none.
func readOverrides(root string) ([]override, error) {
	name := filepath.Join(root, CheckoutsDir, overridesName)
	info, err := os.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err == nil && (!info.Mode().IsRegular() || info.Size() > maxOverrides) {
		err = errors.New("it is not a file of checkouts")
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(name)
	}
	if err != nil {
		return nil, fmt.Errorf("read the checkouts: %s: %w", name, err)
	}
	var list []override
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		repository, path, _ := strings.Cut(line, " ")
		if !countersign.ValidName(repository) || !writable(path) {
			return nil, fmt.Errorf("read the checkouts: %s: %q is not a repository and a directory", name, line)
		}
		list = append(list, override{repository, path})
	}
	return list, nil
}

// writable tells whether a path can stand in a line of the file and of mounts: no control characters, no spaces.
func writable(path string) bool {
	return path != "" && !strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r == 0x7f || r == '\\' || r == '\ufffd' })
}

func (o *overrides) lookUp(name string) (override, bool) {
	i := slices.IndexFunc(o.list, func(v override) bool { return v.name == name })
	if i < 0 {
		return override{}, false
	}
	return o.list[i], true
}

// dir returns where a checkout is.
func (v override) dir(root string) string {
	if filepath.IsAbs(v.path) {
		return v.path
	}
	return filepath.Join(root, v.path)
}

// put writes the file with a checkout more, or in place of the one of the same repository.
func (o *overrides) put(v override) error {
	return o.write(append(slices.DeleteFunc(slices.Clone(o.list), func(other override) bool { return other.name == v.name }), v))
}

// remove writes the file without a checkout.
func (o *overrides) remove(name string) error {
	return o.write(slices.DeleteFunc(slices.Clone(o.list), func(other override) bool { return other.name == name }))
}

func (o *overrides) write(list []override) error {
	slices.SortFunc(list, func(a, b override) int { return strings.Compare(a.name, b.name) })
	var text bytes.Buffer
	text.WriteString("# Written by `countersign checkout` and `countersign checkin`, and read by tools/bazel.\n")
	for _, v := range list {
		fmt.Fprintf(&text, "%s %s\n", v.name, v.path)
	}
	dir := filepath.Join(o.root, CheckoutsDir)
	// It ignores itself: so that needs no line in a .gitignore that is somebody else's.
	err := renameio.WriteFile(filepath.Join(dir, ".gitignore"), []byte("*\n"), 0o644, renameio.WithTempDir(dir))
	if err == nil {
		err = renameio.WriteFile(filepath.Join(dir, overridesName), text.Bytes(), 0o644, renameio.WithTempDir(dir))
	}
	if err != nil {
		return fmt.Errorf("write the checkouts: %w", err)
	}
	o.list = list
	return nil
}
