package network

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// allowed returns the directory of those allowed in which a path is, and the rest of the path.
func allowed(path string, directories []string) (top, below string, err error) {
	for _, top := range directories {
		if below, err := filepath.Rel(top, path); err == nil && filepath.IsLocal(below) {
			return top, below, nil
		}
	}
	return "", "", fmt.Errorf("%s is not in a directory that `network.allow_unix` in the driver's plugin block has: [%s]", path,
		strings.Join(directories, ", "))
}

// connectUnix connects to a socket below one of the directories. No link is followed from there on.
func (g *tag) connectUnix(ctx context.Context, directories []string) (*Conn, error) {
	top, below, err := allowed(g.Unix, directories)
	if err != nil {
		return nil, err
	}
	root, err := os.Open(top)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	fd, err := unix.Openat2(int(root.Fd()), below, &unix.OpenHow{Flags: unix.O_PATH | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_SYMLINKS | unix.RESOLVE_NO_MAGICLINKS})
	if errors.Is(err, unix.ELOOP) {
		return nil, fmt.Errorf("%s is not used: a symbolic link is on the way to it", g.Unix)
	}
	if err != nil {
		return nil, &os.PathError{Op: "open", Path: g.Unix, Err: err}
	}
	socket := os.NewFile(uintptr(fd), g.Unix)
	defer socket.Close()
	return g.connectTo(ctx, "unix", fmt.Sprintf("/proc/self/fd/%d", fd))
}
