package network

import (
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Conn is a connected, non-blocking socket to what its tag is bound to. Its methods can be called by
// several goroutines; none of them waits.
type Conn struct {
	tag      *tag
	owner    *Tags // nil until it is one of its connections
	datagram bool
	relay    *relay // nil: the function's bytes go as they are

	mu    sync.Mutex
	fd    int // -1 after Close
	moved int64
}

// take returns a Conn with a descriptor of its own for the socket of c, which it closes.
func (g *tag) take(c net.Conn) (*Conn, error) {
	defer c.Close()
	fd, err := duplicate(c)
	if err != nil {
		return nil, err
	}
	return &Conn{tag: g, fd: fd, datagram: g.Protocol == UDP}, nil
}

// duplicate returns another descriptor for a socket of Go's, which are all non-blocking.
func duplicate(c any) (int, error) {
	s, ok := c.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("a %T has no descriptor", c)
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd, failure := -1, error(nil)
	err = raw.Control(func(theirs uintptr) { fd, failure = unix.FcntlInt(theirs, unix.F_DUPFD_CLOEXEC, 0) })
	if err := errors.Join(err, failure); err != nil {
		return -1, fmt.Errorf("duplicating a socket: %w", err)
	}
	return fd, nil
}

// Datagram tells whether each read and write is one datagram.
func (c *Conn) Datagram() bool { return c.datagram }

// Descriptor returns the descriptor to wait for, or -1 after Close. It must not be read, written or closed.
func (c *Conn) Descriptor() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.fd
}

// Wait returns how long it takes until the tag's rate lets a byte pass.
func (c *Conn) Wait() time.Duration {
	_, wait := c.tag.bucket.allowed(1)
	return wait
}

// Read reads what is there. It fails with unix.EAGAIN if nothing is, and with an *Error at the limit of bytes.
func (c *Conn) Read(p []byte) (int, error) {
	return c.move(p, &c.tag.in, func(fd int, p []byte) (int, error) {
		n, _, err := unix.Recvfrom(fd, p, unix.MSG_DONTWAIT)
		if n == 0 && err == nil && len(p) > 0 && c.relay != nil && c.relay.cut.Load() {
			return 0, unix.ECONNRESET // whoever cut it, it was not the server that said the end
		}
		return n, err
	})
}

// Write writes what fits. It fails with unix.EAGAIN if nothing does, and with an *Error at the limit of bytes.
func (c *Conn) Write(p []byte) (int, error) {
	return c.move(p, &c.tag.out, func(fd int, p []byte) (int, error) {
		return unix.SendmsgN(fd, p, nil, nil, unix.MSG_NOSIGNAL|unix.MSG_DONTWAIT)
	})
}

const (
	// maxMove bounds one read or write of a stream: while its other end keeps up, the kernel would not return before all is moved,
	// and nothing could stop it.
	maxMove = 1 << 20
	// datagramHeaders is what a datagram counts beside its bytes: an empty one is not for nothing.
	datagramHeaders = 28
)

func (c *Conn) move(p []byte, total *atomic.Int64, do func(int, []byte) (int, error)) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, unix.EBADF
	}
	if len(p) > 0 || c.datagram {
		if limit := c.tag.Bytes; limit > 0 {
			if c.moved >= limit {
				return 0, c.exhausted()
			}
			if !c.datagram {
				p = p[:min(int64(len(p)), limit-c.moved)]
			}
		}
		n, _ := c.tag.bucket.allowed(max(min(len(p), maxMove), 1))
		if n == 0 {
			return 0, unix.EAGAIN
		}
		if !c.datagram { // a datagram passes as a whole, on credit
			p = p[:min(len(p), n)]
		}
	}
	n, err := do(c.fd, p)
	if err != nil {
		return 0, err
	}
	cost := n
	if c.datagram {
		cost += datagramHeaders
	}
	c.moved += int64(cost)
	c.tag.bucket.pay(cost)
	total.Add(int64(n))
	return n, nil
}

// exhausted ends a connection that has moved as many bytes as it may.
func (c *Conn) exhausted() error {
	// It may be that the other side has ended it already.
	_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
	return &Error{Tag: c.tag.Tag, Reason: Limited, Err: fmt.Errorf("the connection has moved %d bytes, as many as it may", c.tag.Bytes)}
}

// Shutdown ends one direction or both: unix.SHUT_RD, SHUT_WR or SHUT_RDWR.
func (c *Conn) Shutdown(how int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return unix.EBADF
	}
	return unix.Shutdown(c.fd, how)
}

// Close ends the connection. Closing twice does nothing.
func (c *Conn) Close() {
	if !c.closeDescriptor() {
		return
	}
	c.tag.leave()
	c.owner.remove(c)
}

// closeDescriptor tells whether it was open.
func (c *Conn) closeDescriptor() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return false
	}
	// A socket that is closed is gone, whatever the call returns.
	_ = unix.Close(c.fd)
	c.fd = -1
	if c.relay != nil {
		c.relay.close()
	}
	return true
}
