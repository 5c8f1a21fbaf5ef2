package pins

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"
	"golang.org/x/sys/unix"
)

// ErrNone says that there is no repos.bzl.
var ErrNone = errors.New("run this in a deployment repository (`countersign init` makes one)")

// Find returns the path of repos.bzl in a directory or the nearest one above. The error is ErrNone if there is none.
func Find(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	for at := dir; ; at = filepath.Dir(at) {
		path := filepath.Join(at, FileName)
		if _, err := os.Lstat(path); err == nil {
			return path, nil
		} else if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("no %s in %s or above: %w", FileName, dir, ErrNone)
		}
	}
}

// Read reads repos.bzl.
func Read(path string) (*File, error) {
	src, _, err := load(path)
	if err != nil {
		return nil, err
	}
	return Parse(path, src)
}

// load returns the content of a file, which may be reached by a link to read it, and nothing but a file.
func load(path string) ([]byte, fs.FileInfo, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0) // a pipe would keep us waiting
	if err != nil {
		return nil, nil, fmt.Errorf("read the pins: %w", err)
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, fmt.Errorf("read the pins: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("read the pins: %s is not a file", path)
	}
	src, err := io.ReadAll(io.LimitReader(file, maxSize+1))
	if err != nil {
		return nil, nil, fmt.Errorf("read the pins: %w", err)
	}
	return src, info, nil
}

// Bytes returns the text, with all edits.
func (f *File) Bytes() []byte { return bytes.Clone(f.src) }

// Path returns where the file was read from.
func (f *File) Path() string { return f.path }

// Changed tells whether the text differs from what was read.
func (f *File) Changed() bool { return !bytes.Equal(f.src, f.read) }

// Write replaces the file by the edited one, whole or not at all. If somebody else has changed it since it was read, that is an
// error, and the file stays as it is.
func (f *File) Write() error {
	if !f.Changed() {
		return nil
	}
	if err := f.write(); err != nil {
		return fmt.Errorf("write the pins: %w", err)
	}
	f.read = f.src
	return nil
}

func (f *File) write() error {
	info, err := os.Lstat(f.path)
	if err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return fmt.Errorf("%s is a symbolic link, and would be replaced by a file: edit what it leads to", f.path)
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return err
	}
	defer dir.Close() // unlocks
	// Two commands that edit: one after the other. Editors know nothing of it, but are slower than what follows.
	if err := unix.Flock(int(dir.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock %s: %w", dir.Name(), err)
	}
	now, info, err := load(f.path)
	if err != nil {
		return err
	}
	if !bytes.Equal(now, f.read) {
		return fmt.Errorf("%s was changed by somebody else meanwhile; look at it, and run this again", f.path)
	}
	mode := info.Mode().Perm()
	return renameio.WriteFile(f.path, f.src, mode, renameio.WithTempDir(dir.Name()), renameio.WithStaticPermissions(mode))
}
