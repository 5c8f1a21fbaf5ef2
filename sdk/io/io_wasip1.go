//go:build wasip1

package io

import (
	"context"
	"errors"
	"net"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"countersign.internal/sdk/internal/local"
)

//go:wasmimport countersign_v1 network_dial
func abiDial(tag unsafe.Pointer, size uint32) uint32

//go:wasmimport countersign_v1 network_listen
func abiListen(tag unsafe.Pointer, size uint32) uint32

//go:wasmimport countersign_v1 network_status
func abiStatus(descriptor uint32) uint32

// idleDescriptor can be read once no goroutine has anything to do but wait. Connections have higher descriptors, and the
// numbers of errors are lower.
const idleDescriptor = 1 << 20

// Errors of WASI by which the host says why a tag can't be used, beside those that syscall names alike.
var reasons = map[syscall.Errno]Reason{
	syscall.ENOTCAPABLE: Undeclared, syscall.ENODEV: Unbound, syscall.EDQUOT: Limited, syscall.EHOSTUNREACH: Unreachable,
	syscall.EACCES: Unverified, syscall.ECONNREFUSED: Refused, syscall.ETIMEDOUT: TimedOut, syscall.ECANCELED: Canceled,
}

func dial(ctx context.Context, tag string) (net.Conn, error) {
	descriptor := abiDial(unsafe.Pointer(unsafe.StringData(tag)), uint32(len(tag)))
	runtime.KeepAlive(tag)
	if descriptor <= idleDescriptor {
		return nil, explain(tag, syscall.Errno(descriptor))
	}
	// net.FileConn counts who uses the descriptor: the last one that is closed ends the connection.
	f := os.NewFile(uintptr(descriptor), tag)
	defer f.Close()
	if err := await(ctx, f); err != nil {
		if ctx.Err() != nil {
			return nil, ended(tag, ctx.Err())
		}
		return nil, explain(tag, err)
	}
	c, err := net.FileConn(f)
	if err != nil {
		return nil, explain(tag, err)
	}
	return newConn(c, tag), nil
}

func newConn(c net.Conn, tag string) *conn {
	settle.Do(func() { local.Settle = settleDown })
	open.Add(1)
	return &conn{Conn: c, tag: tag}
}

func listen(tag string) (net.Listener, error) {
	descriptor := abiListen(unsafe.Pointer(unsafe.StringData(tag)), uint32(len(tag)))
	runtime.KeepAlive(tag)
	if descriptor <= idleDescriptor {
		return nil, explain(tag, syscall.Errno(descriptor))
	}
	f := os.NewFile(uintptr(descriptor), tag)
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, explain(tag, err)
	}
	return &listener{Listener: l, tag: tag}, nil
}

// listener accepts the connections of a tag.
type listener struct {
	net.Listener
	tag    string
	closed atomic.Bool
}

// Accept implements net.Listener.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	switch {
	case err == nil:
		return newConn(c, l.tag), nil
	case l.closed.Load():
		return nil, &net.OpError{Op: "accept", Net: "tag", Addr: Addr{l.tag}, Err: net.ErrClosed}
	}
	return nil, err
}

// SetDeadline ends an Accept, as that of net.TCPListener.
func (l *listener) SetDeadline(t time.Time) error {
	return l.Listener.(*net.TCPListener).SetDeadline(t)
}

// Addr implements net.Listener.
func (l *listener) Addr() net.Addr { return Addr{l.tag} }

// Close implements net.Listener.
func (l *listener) Close() error {
	l.closed.Store(true)
	return l.Listener.Close()
}

// await returns when the connection is made. Meanwhile other goroutines run.
func await(ctx context.Context, f *os.File) error {
	if at, ok := ctx.Deadline(); ok {
		if err := f.SetWriteDeadline(at); err != nil {
			return err
		}
	}
	long := time.Unix(1, 0)
	defer context.AfterFunc(ctx, func() { f.SetWriteDeadline(long) })()
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	status := syscall.EAGAIN
	err = raw.Write(func(fd uintptr) bool {
		status = syscall.Errno(abiStatus(uint32(fd)))
		return status != syscall.EAGAIN
	})
	if err == nil && status != 0 {
		err = status
	}
	return err
}

// explain turns an error of the host into one that names the tag.
func explain(tag string, err error) *Error {
	var errno syscall.Errno
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{tag, TimedOut, context.DeadlineExceeded}
	case !errors.As(err, &errno):
		return &Error{tag, Unreachable, err}
	}
	reason, ok := reasons[errno]
	if !ok {
		reason = Unreachable
	}
	return &Error{tag, reason, errno}
}

// open is how many connections there are.
var open atomic.Int64

var (
	settle sync.Once
	idle   = sync.OnceValue(func() *os.File { return os.NewFile(idleDescriptor, "idle") })
)

// settleDown lets goroutines that earlier calls left behind run until all of them wait: between calls none does. Without
// it a pool would hand out connections that their other end has closed meanwhile.
func settleDown() {
	if open.Load() > 0 {
		var b [1]byte
		_, _ = idle().Read(b[:]) // what could fail, a later use of a connection tells
	}
}

// conn is a connection of a tag.
type conn struct {
	net.Conn
	tag    string
	closed atomic.Bool
}

// LocalAddr implements net.Conn.
func (c *conn) LocalAddr() net.Addr { return Addr{c.tag} }

// RemoteAddr implements net.Conn.
func (c *conn) RemoteAddr() net.Addr { return Addr{c.tag} }

// Read implements net.Conn.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	return n, c.name("read", err)
}

// Write implements net.Conn.
func (c *conn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	return n, c.name("write", err)
}

// name makes an error what clients look for: on WASI, package net says of a closed connection that it is a closed file.
func (c *conn) name(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EDQUOT):
		return &Error{c.tag, Limited, syscall.EDQUOT}
	case c.closed.Load():
		return &net.OpError{Op: op, Net: "tag", Addr: Addr{c.tag}, Err: net.ErrClosed}
	}
	return err
}

// CloseWrite tells the other end that nothing more will come.
func (c *conn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return syscall.ENOTSUP
}

// Close implements net.Conn.
func (c *conn) Close() error {
	if c.closed.Swap(true) {
		return c.name("close", net.ErrClosed)
	}
	open.Add(-1)
	return c.Conn.Close()
}
