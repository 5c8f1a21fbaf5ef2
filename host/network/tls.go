package network

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// flushTime is how long what a function wrote may take to get away after it has closed its connection.
const flushTime = 5 * time.Second

// relay encrypts a connection: the function has one end of a pair of sockets, and the host copies between the other end and the
// server.
type relay struct {
	server *tls.Conn
	bare   *bare // below server
	inside *net.UnixConn

	cut    atomic.Bool // the server's end came without its saying so
	mu     sync.Mutex
	sent   bool // all that the function wrote
	closed bool // by the function
}

// bare is a connection below TLS. It notices its own end: crypto/tls takes one between two records for the end that the server
// has signed.
type bare struct {
	net.Conn
	ended atomic.Bool
}

// Read implements net.Conn.
func (b *bare) Read(p []byte) (int, error) {
	n, err := b.Conn.Read(p)
	if err == io.EOF {
		b.ended.Store(true)
	}
	return n, err
}

// encrypt makes a connection one that is encrypted, and takes c over.
func (g *tag) encrypt(ctx context.Context, c net.Conn, address string) (*Conn, error) {
	config := g.TLS.Clone()
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	below := &bare{Conn: c}
	server := tls.Client(below, config)
	if err := server.HandshakeContext(ctx); err != nil {
		c.Close()
		return nil, fmt.Errorf("TLS with %s (%s): %w", address, config.ServerName, err)
	}
	inside, fd, err := pair()
	if err != nil {
		c.Close()
		return nil, err
	}
	r := &relay{server: server, bare: below, inside: inside}
	go r.run()
	return &Conn{tag: g, fd: fd, relay: r}, nil
}

// pair returns a pair of connected sockets.
func pair() (*net.UnixConn, int, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, -1, fmt.Errorf("making a pair of sockets: %w", err)
	}
	f := os.NewFile(uintptr(fds[0]), "pair")
	defer f.Close()
	c, err := net.FileConn(f)
	if err != nil {
		_ = unix.Close(fds[1])
		return nil, -1, fmt.Errorf("making a pair of sockets: %w", err)
	}
	return c.(*net.UnixConn), fds[1], nil
}

// send copies what the function writes, and then says that nothing more will come.
func (r *relay) send() {
	_, err := io.Copy(r.server, r.inside)
	if err == nil {
		err = r.server.CloseWrite()
	}
	if err != nil { // the server takes nothing more; the function learns it by its next write
		_ = r.inside.CloseRead()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent = true; r.closed {
		r.server.Close()
	}
}

// receive copies what the server writes.
func (r *relay) receive() {
	if _, err := io.Copy(r.inside, r.server); err != nil || r.bare.ended.Load() {
		r.cut.Store(true) // before the function sees an end
	}
	_ = r.inside.CloseWrite()
}

// run copies until both sides have closed, or one of them can't go on.
func (r *relay) run() {
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		r.send()
	}()
	if r.receive(); !r.cut.Load() {
		<-sent
	}
	r.end()
}

func (r *relay) end() {
	r.server.Close()
	r.inside.Close()
}

// close is told that the function has closed its end.
func (r *relay) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed = true; r.sent {
		r.server.Close()
		return
	}
	time.AfterFunc(flushTime, r.end)
}
