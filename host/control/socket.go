package control

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	socketName = "host.sock"
	lockName   = "host.lock"
	// lockWait lets a host that is on its way out leave.
	lockWait = 5 * time.Second
)

// listen takes the lock of a data directory and opens its socket. release closes both; it is to be called once.
func listen(ctx context.Context, dir string) (listener net.Listener, release func(), err error) {
	if err := MakeDataDir(dir); err != nil {
		return nil, nil, err
	}
	lock, err := takeLock(ctx, filepath.Join(dir, lockName))
	if err != nil {
		return nil, nil, err
	}
	listener, err = openSocket(ctx, dir)
	if err != nil {
		lock.Close()
		return nil, nil, err
	}
	return listener, func() {
		listener.Close()
		os.Remove(filepath.Join(dir, socketName)) // before the lock is given back: it is ours until then
		lock.Close()
	}, nil
}

// takeLock waits a moment for a host that is leaving. The lock ends with the process, however that ends.
func takeLock(ctx context.Context, path string) (*os.File, error) {
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the host's lock: %w", err)
	}
	deadline := time.Now().Add(lockWait)
	for {
		err := unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return lock, nil
		}
		if time.Now().After(deadline) || !errors.Is(err, unix.EWOULDBLOCK) {
			lock.Close()
			return nil, fmt.Errorf("taking the lock %s: %w; another host uses this data directory", path, err)
		}
		select {
		case <-ctx.Done():
			lock.Close()
			return nil, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// openSocket replaces a socket on which nobody answers.
func openSocket(ctx context.Context, dir string) (net.Listener, error) {
	path := filepath.Join(dir, socketName)
	if conn, err := dial(ctx, dir); err == nil {
		conn.Close()
		return nil, fmt.Errorf("opening the control socket %s: another host answers on it", path)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("removing the control socket that a dead host left: %w", err)
	}
	var listener *net.UnixListener
	err := atDirectory(dir, func(short string) (err error) {
		listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: short, Net: "unix"})
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("opening the control socket %s: %w", path, err)
	}
	listener.SetUnlinkOnClose(false) // it would use the short path, which means nothing any more
	if err := os.Chmod(path, 0o600); err != nil {
		listener.Close()
		return nil, fmt.Errorf("closing the control socket to others: %w", err)
	}
	return peerListener{listener}, nil
}

// dial connects to the host of a data directory, if it runs as us or as root.
func dial(ctx context.Context, dir string) (net.Conn, error) {
	var conn net.Conn
	err := atDirectory(dir, func(short string) (err error) {
		conn, err = new(net.Dialer).DialContext(ctx, "unix", short)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := checkPeer(conn.(*net.UnixConn)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// atDirectory gives f a path to the socket that is always short enough: the address of a unix socket has room for 107
// bytes, which a data directory deep in a user's home exceeds.
func atDirectory(dir string, f func(path string) error) error {
	fd, err := unix.Open(dir, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return &os.PathError{Op: "open", Path: dir, Err: err}
	}
	defer unix.Close(fd)
	return f("/proc/self/fd/" + strconv.Itoa(fd) + "/" + socketName)
}

// peerListener accepts connections of the host's own user and of root only.
type peerListener struct{ *net.UnixListener }

// Accept implements net.Listener.
func (l peerListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if checkPeer(conn) == nil {
			return conn, nil
		}
		conn.Close()
	}
}

// checkPeer refuses another user's process, as the kernel names it (unix(7), SO_PEERCRED).
func checkPeer(conn *net.UnixConn) error {
	raw, err := conn.SyscallConn()
	if err != nil {
		return fmt.Errorf("asking who is at the control socket: %w", err)
	}
	var peer *unix.Ucred
	failed := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), syscall.SOL_SOCKET, unix.SO_PEERCRED)
	})
	if err := errors.Join(failed, err); err != nil {
		return fmt.Errorf("asking who is at the control socket: %w", err)
	}
	return mayTalk(peer.Uid, uint32(os.Geteuid()))
}

// mayTalk decides by user ID: the same user, or root.
func mayTalk(peer, self uint32) error {
	if peer != self && peer != 0 {
		return fmt.Errorf("user %d is at the control socket, not user %d or root", peer, self)
	}
	return nil
}
