package storage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// OpenBelow opens the directory at an absolute path that is one of the allowed ones or below. No link is followed from there
// on.
func OpenBelow(path string, allowed []string) (*os.File, error) {
	for _, top := range allowed {
		below, err := filepath.Rel(top, path)
		if err != nil || !filepath.IsLocal(below) {
			continue
		}
		root, err := os.Open(top)
		if err != nil {
			return nil, fmt.Errorf("opening a directory that storage.allow has: %w", err)
		}
		defer root.Close()
		return openIn(root, below, path)
	}
	return nil, fmt.Errorf("%s is not in a directory that `storage.allow` in the driver's plugin block has: [%s]",
		path, strings.Join(allowed, ", "))
}

// MakeBelow opens the directory at parts below an absolute path, and makes those of them that are missing, for this user alone.
func MakeBelow(top string, parts ...string) (*os.File, error) {
	dir, err := os.Open(top)
	if err != nil {
		return nil, err
	}
	path := top
	for _, part := range parts {
		path = filepath.Join(path, part)
		if err := unix.Mkdirat(int(dir.Fd()), part, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			dir.Close()
			return nil, &os.PathError{Op: "mkdir", Path: path, Err: err}
		}
		next, err := openIn(dir, part, path)
		dir.Close()
		if err != nil {
			return nil, err
		}
		dir = next
	}
	return dir, nil
}

// openIn opens a directory below another one.
func openIn(dir *os.File, below, path string) (*os.File, error) {
	fd, err := unix.Openat2(int(dir.Fd()), below, &unix.OpenHow{Flags: unix.O_RDONLY | unix.O_DIRECTORY | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is not used: a symbolic link is on the way to it", path)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}
