// Package allocdir opens what Nomad put into an allocation's directory for a function: the pipes of its logs and its
// workload identity. Other tasks of the group can write there, as any user: what is found at a path may be a link to
// something else, or something else.
//
// It owns the way from the directory to the file, and what the file must be. It must not know what is done with it.
package allocdir

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// Dir is an allocation's directory. The path to it is trusted, what is below it is not.
type Dir string

// Error says that what is at a path is not what Nomad puts there. Nothing was read from it or written to it.
type Error struct {
	Path   string
	Reason string
	Err    error // may be nil
}

// Error implements error.
func (e *Error) Error() string {
	text := e.Path + " is not used: " + e.Reason
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// OpenPipe opens the named pipe at path for reading and writing, so that it stays open while its reader restarts, and
// without waiting for one.
func (d Dir) OpenPipe(path string) (*os.File, error) {
	return d.open(path, unix.S_IFIFO, unix.O_RDWR|unix.O_NONBLOCK)
}

// Read returns the content of the file at path, of at most limit bytes.
func (d Dir) Read(path string, limit int64) ([]byte, error) {
	f, err := d.open(path, unix.S_IFREG, unix.O_RDONLY)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	if int64(len(content)) > limit {
		return nil, &Error{Path: path, Reason: fmt.Sprintf("it has more than %d bytes", limit)}
	}
	return content, nil
}

// open opens what is at path, if it is of a type. It is looked at before it is opened, since to open a device can have
// consequences; and what was looked at is what is opened.
func (d Dir) open(path string, kind uint32, flags int) (*os.File, error) {
	found, err := d.find(path)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	if err := check(found, path, kind); err != nil {
		return nil, err
	}
	fd, err := unix.Open("/proc/self/fd/"+strconv.Itoa(int(found.Fd())), flags|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// find goes from the directory to what is at path, through directories alone. It is not opened for use.
func (d Dir) find(path string) (*os.File, error) {
	below, err := filepath.Rel(string(d), path)
	if err != nil || !filepath.IsAbs(string(d)) || !filepath.IsLocal(below) {
		return nil, &Error{Path: path, Reason: fmt.Sprintf("it is not below the allocation's directory %q", string(d)), Err: err}
	}
	root, err := unix.Open(string(d), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: string(d), Err: err}
	}
	defer unix.Close(root)
	fd, err := unix.Openat2(root, below, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS})
	switch {
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.EXDEV):
		return nil, &Error{Path: path, Reason: "a link is on the way to it", Err: err}
	case errors.Is(err, unix.ENOSYS):
		return nil, &Error{Path: path, Reason: "a way without links needs Linux 5.6", Err: err}
	case err != nil:
		return nil, &os.PathError{Op: "open", Path: path, Err: err}
	}
	return os.NewFile(uintptr(fd), path), nil
}

// check makes sure that a file is of a type, has this one name, and can be changed by Nomad and this process alone. Nomad
// runs as root, or in development as the user of this process.
func check(f *os.File, path string, kind uint32) error {
	var stat unix.Stat_t
	if err := unix.Fstat(int(f.Fd()), &stat); err != nil {
		return &os.PathError{Op: "stat", Path: path, Err: err}
	}
	reason := ""
	switch self := uint32(os.Geteuid()); {
	case stat.Mode&unix.S_IFMT != kind:
		reason = fmt.Sprintf("it is not %s", map[uint32]string{unix.S_IFIFO: "a named pipe", unix.S_IFREG: "a regular file"}[kind])
	case stat.Nlink > 1: // none is what Nomad has just replaced
		reason = fmt.Sprintf("it has %d names", stat.Nlink)
	case stat.Uid != 0 && stat.Uid != self:
		reason = fmt.Sprintf("it belongs to user %d, not to root or user %d; a task of this driver needs no `user`", stat.Uid, self)
	case stat.Mode&0o022 != 0:
		reason = fmt.Sprintf("others may write to it (mode %03o); Nomad's agent needs a umask such as 022", stat.Mode&0o777)
	}
	if reason != "" {
		return &Error{Path: path, Reason: reason}
	}
	return nil
}
