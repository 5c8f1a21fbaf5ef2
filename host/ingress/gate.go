package ingress

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"countersign/host/link"
	"countersign/vaultsign/identity"
)

// Limits of the port, documented in docs/ingress.md.
const (
	firstByteTimeout = 2 * time.Second
	openTimeout      = 5 * time.Second // for the first byte and the TLS handshake together
	maxOpening       = 512             // connections in that state at once
	openingShare     = 64              // of these, from one address
	maxConnections   = 4096            // HTTP connections at once
	connectionsShare = 1024            // of these, from one address that is no other host's
)

// tlsHandshake is the first byte of a TLS connection (RFC 8446 section 5.1). No HTTP method begins with it.
const tlsHandshake = 0x16

// gate is the listener of a host's one port. It tells by the first byte whether a connection speaks TLS, does the
// handshake, hands connections of other hosts to links, and gives the rest to the HTTP server, which calls Accept.
type gate struct {
	net.Listener
	ctx    context.Context
	cancel context.CancelFunc
	tls    *tls.Config
	links  func(context.Context, *tls.Conn)

	timeout time.Duration
	opening *opening
	open    *room // for HTTP connections
	shares  *shares
	ready   chan net.Conn
	failed  chan error
}

// newGate begins to accept connections from l until Close, or until ctx is done.
func (in *Server) newGate(ctx context.Context, l net.Listener) *gate {
	g := &gate{Listener: l, tls: in.tlsConfig(), links: in.links, timeout: in.openTimeout,
		opening: newOpening(in.maxOpening, in.openingShare), open: newRoom(int64(in.maxConnections)), shares: newShares(in.connectionsShare),
		ready: make(chan net.Conn), failed: make(chan error, 1)}
	g.ctx, g.cancel = context.WithCancel(ctx)
	if g.tls.NextProtos = []string{"h2", "http/1.1"}; g.links != nil {
		g.tls.NextProtos = append([]string{link.ALPN}, g.tls.NextProtos...)
	}
	go g.run()
	return g
}

// Accept implements net.Listener for the HTTP server.
func (g *gate) Accept() (net.Conn, error) {
	select {
	case c := <-g.ready:
		return c, nil
	case err := <-g.failed:
		g.failed <- err
		return nil, err
	case <-g.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener. Connections that were handed over go on.
func (g *gate) Close() error {
	g.cancel()
	return g.Listener.Close()
}

// run accepts connections.
func (g *gate) run() {
	for {
		c, err := g.Listener.Accept()
		var passing interface{ Temporary() bool }
		switch {
		case err == nil:
			from := sourceOf(c.RemoteAddr().String())
			g.opening.add(from, c)
			go g.welcome(c, from)
		case errors.As(err, &passing) && passing.Temporary() && g.ctx.Err() == nil: // out of file descriptors
			time.Sleep(10 * time.Millisecond)
		default:
			g.failed <- err
			return
		}
	}
}

// welcome finds out what a connection speaks and hands it on.
func (g *gate) welcome(raw net.Conn, from source) {
	stop := context.AfterFunc(g.ctx, func() { raw.Close() })
	c, peer, err := g.identify(raw, from)
	g.opening.done(from, raw)
	if !stop() || err != nil {
		if c != nil {
			c.Close() // gives its place back
		}
		raw.Close()
		return
	}
	if peer != nil {
		g.links(g.ctx, peer)
		return
	}
	select {
	case g.ready <- c:
	case <-g.ctx.Done():
		c.Close()
	}
}

// identify reads the first byte and does the handshake of a TLS connection. A connection for the HTTP server has taken
// a place in open, which it gives back when it is closed. Over a limit it is closed at once: to let it wait would make
// those wait who are in time.
func (g *gate) identify(raw net.Conn, from source) (net.Conn, *tls.Conn, error) {
	began := time.Now()
	if err := raw.SetDeadline(began.Add(min(g.timeout, firstByteTimeout))); err != nil {
		return nil, nil, err
	}
	c := &peeked{Conn: raw}
	if _, err := raw.Read(c.first[:]); err != nil {
		return nil, nil, err
	}
	c.unread = 1
	if err := raw.SetDeadline(began.Add(g.timeout)); err != nil {
		return nil, nil, err
	}
	var out net.Conn = c
	host := false
	if c.first[0] == tlsHandshake {
		secure := tls.Server(c, g.tls)
		if err := secure.HandshakeContext(g.ctx); err != nil {
			return nil, nil, err
		}
		state := secure.ConnectionState()
		if host = isHost(&state); host {
			g.opening.proven(from)
		}
		if state.NegotiatedProtocol == link.ALPN {
			return nil, secure, raw.SetDeadline(time.Time{})
		}
		out = secure // exactly a *tls.Conn: the HTTP server looks for one
	}
	var err error
	if c.closed, err = g.place(from, host); err != nil {
		return nil, nil, err
	}
	return out, nil, raw.SetDeadline(time.Time{})
}

// isHost tells whether the other end of a connection, whose certificate the handshake has verified, is another host.
func isHost(state *tls.ConnectionState) bool {
	peer, err := identity.PeerOf(*state)
	return err == nil && peer != nil && peer.ID.Kind() == identity.KindFunction
}

// place takes a place for an HTTP connection, which release gives back.
func (g *gate) place(from source, host bool) (release func(), err error) {
	if !host && !g.shares.take(from) {
		return nil, errors.New("too many connections from this address")
	}
	if !g.open.take(1, host) {
		if !host {
			g.shares.give(from)
		}
		return nil, errors.New("too many connections")
	}
	return func() {
		g.open.give(1, host)
		if !host {
			g.shares.give(from)
		}
	}, nil
}

// peeked is a connection whose first byte was read already.
type peeked struct {
	net.Conn
	first  [1]byte
	unread int
	closed func() // or nil; called once
	once   sync.Once
}

// Read implements net.Conn.
func (p *peeked) Read(b []byte) (int, error) {
	if p.unread == 0 || len(b) == 0 {
		return p.Conn.Read(b)
	}
	p.unread = 0
	b[0] = p.first[0]
	return 1, nil
}

// Close implements net.Conn.
func (p *peeked) Close() error {
	if p.closed != nil {
		p.once.Do(p.closed)
	}
	return p.Conn.Close()
}

// tlsConfig lets the instance that a client names by SNI present its call certificate.
func (in *Server) tlsConfig() *tls.Config {
	config := identity.TLSConfig(in.config.Trust, nil)
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		self, err := in.presenting(hello.ServerName)
		if err != nil {
			return nil, err
		}
		return self.TLSCertificate(), nil
	}
	return config
}

// presenting returns the identity of the instance that a server name asks for. <allocation>.<function> is that instance
// and no other; a function's name is one of its instances, if there is one here, and any other name without a dot, no
// name, and a configured name are any instance: who calls from outside verifies the return, not the node.
func (in *Server) presenting(name string) (*identity.Identity, error) {
	var some *identity.Identity
	for _, at := range in.node.Instances() {
		self := at.Identity()
		if self.Certificate.CheckTime(time.Now()) != nil {
			continue
		}
		if name == link.ServerName(at.ID(), at.Function()) || name == at.Function() {
			return self, nil
		}
		some = self
	}
	switch {
	case some == nil:
		return nil, errors.New("no function with a valid certificate runs here")
	case strings.Contains(name, ".") && !in.isNamed(name):
		return nil, fmt.Errorf("no instance %.128q runs here", name)
	}
	return some, nil
}

// isNamed tells whether a host name is configured as this host's, with or without a port.
func (in *Server) isNamed(name string) bool {
	for own := range in.names {
		if host, _, err := net.SplitHostPort(own); own == name || err == nil && host == name {
			return true
		}
	}
	return false
}
