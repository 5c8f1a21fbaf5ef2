package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// The limits of a server, unless its config says otherwise.
const (
	maxStreams     = 1024      // calls under way on a connection
	maxHeld        = 128 << 20 // bytes of calls under way on a connection
	maxConnections = 8192
	// serverIdle is longer than a pool's idle time, so that it is mostly the caller who closes.
	serverIdle = 2 * idleTimeout
)

// ServerConfig is what a Server works with.
type ServerConfig struct {
	Trust  func() *identity.Bundle // current; nil while there is none
	Replay *callsig.ReplayCache    // remembers calls, for all connections; a restart may forget them
	// Find returns the instance that runs here, or nil.
	Find func(allocation, function string) Callee
	// Refused is told of each call that was refused and each connection that broke the protocol: a *callsig.Error or a
	// *countersign.CallError. It may be nil.
	Refused func(function string, err error)
	Log     *slog.Logger     // nil: silent
	Now     func() time.Time // nil: time.Now

	Streams     int   // most calls under way on a connection; 0: 1024
	Held        int64 // most bytes of calls under way on a connection, except for one; 0: 128 MiB
	Connections int   // most connections; 0: 8192
	Batch       int   // most returns that one signature covers; 0: callsig.MaxBatch

	timing timing
}

// Server is the called end of the connections to the instances of this host. It is safe for concurrent use.
type Server struct {
	config ServerConfig

	mu      sync.Mutex
	serving map[*serving]bool
}

// NewServer returns a server.
func NewServer(config ServerConfig) *Server {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	if config.Refused == nil {
		config.Refused = func(string, error) {}
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.Streams == 0 {
		config.Streams = maxStreams
	}
	if config.Held == 0 {
		config.Held = maxHeld
	}
	if config.Connections == 0 {
		config.Connections = maxConnections
	}
	if config.timing == (timing{}) {
		config.timing = defaultTiming
	}
	return &Server{config: config, serving: map[*serving]bool{}}
}

// TLSConfig returns the configuration for a handshake whose client offers ALPN: with the certificate of the instance
// that the server name names, and for a client that is a function. It fits tls.Config.GetConfigForClient.
func (s *Server) TLSConfig(hello *tls.ClientHelloInfo) (*tls.Config, error) {
	callee, err := s.find(hello.ServerName)
	if err != nil {
		return nil, err
	}
	config := identity.TLSConfig(s.config.Trust, func(c *identity.Certificate) error {
		if c.ID.Kind() != identity.KindFunction {
			return &identity.CertificateError{Reason: identity.ReasonWrongID, ID: c.ID, Message: "only functions call by link"}
		}
		return nil
	})
	config.ClientAuth = tls.RequireAnyClientCert // VerifyConnection verifies it
	config.NextProtos = []string{ALPN}
	config.DynamicRecordSizingDisabled = true
	config.Certificates = []tls.Certificate{*callee.Identity().TLSCertificate()}
	return config, nil
}

func (s *Server) find(serverName string) (Callee, error) {
	allocation, function, ok := parseServerName(serverName)
	if !ok {
		return nil, fmt.Errorf("the TLS server name %.100q is not <allocation>.<function>", serverName)
	}
	callee := s.config.Find(allocation, function)
	if callee == nil {
		return nil, fmt.Errorf("allocation %.50q of function %.64q does not run here", allocation, function)
	}
	return callee, nil
}

// Serve serves one connection until it ends or ctx is done. The handshake is over and has agreed on ALPN. The error
// says why the connection ended; nil, that its caller closed it.
func (s *Server) Serve(ctx context.Context, conn *tls.Conn) error {
	c, err := s.accept(conn)
	if err != nil {
		conn.NetConn().Close()
		return err
	}
	defer s.drop(c)
	c.base = context.WithoutCancel(ctx)
	stop := context.AfterFunc(ctx, func() { c.fail(context.Cause(ctx)) })
	defer stop()
	go c.write()
	go c.watch(c.busy, c.idle)
	err = c.read()
	c.fail(err)
	c.cancelAll()
	s.report(c, err)
	if errors.Is(c.cause, errClosed) || isClosed(c.cause) {
		return nil
	}
	return c.cause
}

// report tells of a peer that broke the protocol.
func (s *Server) report(c *serving, err error) {
	var frame *frameError
	var refused *callsig.Error
	switch {
	case errors.As(err, &frame):
		s.config.Refused(c.function, &callsig.Error{Reason: callsig.ReasonMalformed, Message: "connection of " + c.peer.peer.String(), Err: err})
	case errors.As(err, &refused):
		s.config.Refused(c.function, refused)
	default:
		return
	}
	s.config.Log.Warn("a connection was ended", "function", c.function, "allocation", c.allocation,
		"caller", c.peer.peer.String(), "remote", c.tls.RemoteAddr().String(), "error", err)
}

// accept checks what the handshake has led to.
func (s *Server) accept(conn *tls.Conn) (*serving, error) {
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != ALPN || state.Version != tls.VersionTLS13 {
		return nil, fmt.Errorf("serve link: the handshake did not agree on TLS 1.3 and %q", ALPN)
	}
	callee, err := s.find(state.ServerName)
	if err != nil {
		return nil, fmt.Errorf("serve link: %w", err)
	}
	peer, err := newKeys(state, roleCaller, s.config.Trust, s.config.Replay)
	if err != nil {
		return nil, fmt.Errorf("serve link: %w", err)
	}
	if peer.peer.Kind() != identity.KindFunction {
		return nil, fmt.Errorf("serve link: %s is not a function", peer.peer)
	}
	c := &serving{conn: newConn(conn, peer, s.config.Batch, s.config.timing), server: s, callee: callee, terms: callee.Terms(),
		running: map[uint64]context.CancelFunc{}}
	c.allocation, c.function, _ = parseServerName(state.ServerName)
	self := callee.Identity()
	c.self = self.ID()
	c.presented.add(digestOf(self.Certificate))
	c.names = names{caller: peer.peer, callee: c.self}
	if c.binding = peer.binding; c.self.Name() != c.function {
		return nil, fmt.Errorf("serve link: allocation %s is of %s, not of %q", c.allocation, c.self, c.function)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.serving) >= s.config.Connections {
		return nil, fmt.Errorf("serve link: more than %d connections", s.config.Connections)
	}
	s.serving[c] = true
	_, err = c.out.push(outgoing{kind: kindTerms, payload: encodeTerms(c.terms, digestOf(self.Certificate))})
	if s.config.Find(c.allocation, c.function) == nil { // Drain has come before this connection
		c.drain("the instance is stopping")
	}
	return c, err
}

func (s *Server) drop(c *serving) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.serving, c)
}

// Open returns how many connections are being served.
func (s *Server) Open() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.serving)
}

// Drain tells the callers of an allocation, which Find does not return any more, that it takes no more calls. Those under
// way go on; the callers close their connections after them.
func (s *Server) Drain(allocation, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.serving {
		if c.allocation == allocation {
			c.drain(reason)
		}
	}
}

// refusalOf turns an error from before a call was accepted into what the caller is told: never the cause.
func refusalOf(function string, err error) *countersign.CallError {
	var refused *callsig.Error
	var call *countersign.CallError
	switch {
	case errors.As(err, &call):
		return call
	case errors.As(err, &refused):
		return &countersign.CallError{Code: refused.Code(), Function: function, Reason: string(refused.Reason) + ": " + refused.Message, Err: err}
	}
	return &countersign.CallError{Code: countersign.CodeOf(err), Function: function,
		Reason: "internal error; the host's log has the cause", Err: err}
}
