// Package nobody has addresses at which nobody listens, for tests of what can't be reached. It owns that the address stays
// so until the test ends: a port that a test closes may be another one's in the next moment.
package nobody

import (
	"net"
	"strconv"
	"testing"

	"golang.org/x/sys/unix"
)

// Listens returns an address of loopback, host:port, that refuses connections until the test ends. A socket is bound to it
// that does not listen.
func Listens(tb testing.TB) string {
	tb.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		tb.Fatalf("make a socket: %v", err)
	}
	tb.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		tb.Fatalf("bind a socket to a free port: %v", err)
	}
	name, err := unix.Getsockname(fd)
	if err != nil {
		tb.Fatalf("ask for the port of a socket: %v", err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(name.(*unix.SockaddrInet4).Port))
}
