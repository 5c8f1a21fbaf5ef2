package network

import (
	"errors"
	"fmt"
	"net"
	"sync"

	"golang.org/x/sys/unix"
)

// Listener accepts the connections of a tag. All listeners of a tag in an allocation take them from one queue, which is there
// as long as one of them is. None of its methods waits.
type Listener struct {
	tag   *tag
	owner *Tags

	mu sync.Mutex
	fd int // -1 after Close
}

// listening is the socket that the listeners of a tag share.
type listening struct {
	mu     sync.Mutex
	socket *net.TCPListener // nil: nobody listens
	users  int
}

// Listen begins to listen at the address of a tag. It fails with an *Error.
func (t *Tags) Listen(name string) (*Listener, error) {
	g := t.byName[name]
	switch {
	case g == nil:
		return nil, &Error{Tag: name, Reason: Undeclared}
	case !g.Listen:
		return nil, &Error{Tag: name, Reason: Undeclared, Err: errors.New("the tag makes connections, and does not listen")}
	case !g.bound():
		g.refused.Add(1)
		return nil, &Error{Tag: name, Reason: Unbound}
	}
	// Close sets what begin looks at before it ends the sockets, and waits for those that have begun.
	if !t.begin() {
		return nil, &Error{Tag: name, Reason: Canceled}
	}
	defer t.dialed.Done()
	fd, err := g.listening.open(g.Addresses[0])
	if err != nil {
		g.failed.Add(1)
		return nil, &Error{Tag: name, Reason: Unreachable, Err: err}
	}
	return &Listener{tag: g, owner: t, fd: fd}, nil
}

// open returns another descriptor for the socket.
func (l *listening) open(address string) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.socket == nil {
		socket, err := net.Listen("tcp", address)
		if err != nil {
			return -1, err
		}
		l.socket = socket.(*net.TCPListener)
	}
	fd, err := duplicate(l.socket)
	if err == nil {
		l.users++
	} else if l.users == 0 {
		l.drop()
	}
	return fd, err
}

// leave closes the socket with its last user.
func (l *listening) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.users--; l.users == 0 {
		l.drop()
	}
}

// end closes the socket.
func (l *listening) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop()
}

func (l *listening) drop() {
	if l.socket != nil {
		l.socket.Close()
		l.socket = nil
	}
}

// Descriptor returns the descriptor to wait for, or -1 after Close. Nothing else must be done with it.
func (l *Listener) Descriptor() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fd
}

// Accept returns a connection that waits. It fails with unix.EAGAIN if none does. What comes while the tag has as many as it
// may is closed at once.
func (l *Listener) Accept() (*Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.fd < 0 {
		return nil, unix.EBADF
	}
	fd, _, err := unix.Accept4(l.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
	if err != nil {
		if errors.Is(err, unix.ECONNABORTED) || errors.Is(err, unix.EINTR) {
			return nil, unix.EAGAIN
		}
		return nil, err
	}
	// As for a connection that is dialed; what fails is slower.
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	if err := l.tag.enter(); err != nil {
		_ = unix.Close(fd)
		return nil, unix.EAGAIN
	}
	c := &Conn{tag: l.tag, fd: fd}
	if err := l.owner.add(c); err != nil {
		l.tag.leave()
		return nil, fmt.Errorf("accepting: %w", err)
	}
	l.tag.dialed.Add(1)
	return c, nil
}

// Close ends it. Closing twice does nothing.
func (l *Listener) Close() {
	l.mu.Lock()
	fd := l.fd
	l.fd = -1
	l.mu.Unlock()
	if fd < 0 {
		return
	}
	_ = unix.Close(fd)
	l.tag.listening.leave()
}
