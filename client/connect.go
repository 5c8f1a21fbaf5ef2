package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"countersign/vaultsign/identity"
)

const (
	connectTimeout = 5 * time.Second
	idleTimeout    = 60 * time.Second
)

// transport returns what keeps connections to nodes that may take calls of a function. One that was made for another
// function is never used: its node showed another certificate.
func (c *Client) transport(callee identity.ID) *http.Transport {
	c.once.Do(func() {
		c.transports = map[identity.ID]*http.Transport{}
		c.verifier.Trust = func() *identity.Bundle { return c.Trust }
	})
	if c.AnyNode || c.Plain {
		callee = identity.ID{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.transports[callee] == nil {
		c.transports[callee] = c.connect(callee)
	}
	return c.transports[callee]
}

// connect makes a transport that verifies whose certificate a node shows: the callee's, or, if that is nobody, any
// function's.
func (c *Client) connect(callee identity.ID) *http.Transport {
	dialer := &net.Dialer{Timeout: connectTimeout}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, &notConnectedError{err}
		}
		return conn, nil
	}
	transport := &http.Transport{DialContext: dial, ForceAttemptHTTP2: true, DisableCompression: true,
		IdleConnTimeout: idleTimeout}
	transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		accept := ofFunction
		if !callee.IsZero() {
			accept = identity.Only(callee)
		}
		config := identity.TLSConfig(func() *identity.Bundle { return c.Trust }, accept)
		config.ServerName = callee.Name() // asks for the certificate; without one the node chooses
		config.NextProtos = []string{"h2", "http/1.1"}
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, &notConnectedError{fmt.Errorf("TLS with %s: %w", address, err)}
		}
		return secure, nil
	}
	return transport
}

// Close closes connections that are not in use.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range c.transports {
		t.CloseIdleConnections()
	}
}

// ofFunction accepts the certificates of functions.
func ofFunction(c *identity.Certificate) error {
	if c.ID.Kind() != identity.KindFunction {
		return &identity.CertificateError{Reason: identity.ReasonWrongID, ID: c.ID, Message: "want a function's"}
	}
	return nil
}

// notConnectedError says that there is no connection, so nothing was sent.
type notConnectedError struct{ err error }

func (e *notConnectedError) Error() string { return e.err.Error() }
func (e *notConnectedError) Unwrap() error { return e.err }

// notAnswered says why a node did not answer: only if there was no connection may another node be asked, or if the node
// shows that it runs something else. Any other wrong certificate is a refusal, which no other node makes good.
func notAnswered(function, node string, err error) error {
	var refused *identity.CertificateError
	var plain tls.RecordHeaderError
	var unconnected *notConnectedError
	switch {
	case errors.As(err, &refused) && refused.Reason == identity.ReasonWrongID && refused.ID.Kind() == identity.KindFunction:
		// Maybe the function stopped there a moment ago. Nothing was sent.
		return &UnreachableError{Function: function, Err: fmt.Errorf("%s does not show that it runs the function (-any-node "+
			"calls nodes that pass calls on, and lets whoever holds a function's certificate read along): %w", node, err)}
	case errors.As(err, &refused):
		return fmt.Errorf("calling function %q at %s: the node is refused: %w", function, node, err)
	case errors.As(err, &plain):
		return &UnreachableError{Function: function, Err: fmt.Errorf("%w (%s does not speak TLS; -plain does without)", err, node)}
	case errors.As(err, &unconnected):
		return &UnreachableError{Function: function, Err: err}
	}
	return &BrokenError{Function: function, Node: node, Err: err}
}

// BrokenError says that the connection to a node broke before the return was there. The call may have been executed.
type BrokenError struct {
	Function string
	Node     string // host:port
	Err      error
}

// Error implements error.
func (e *BrokenError) Error() string {
	return fmt.Sprintf("calling function %q at %s: no answer; the call may have been executed: %v", e.Function, e.Node, e.Err)
}

// Unwrap returns the cause.
func (e *BrokenError) Unwrap() error { return e.Err }

// Unreachable marks the error as one that trying again may cure, if the function may execute a call twice.
func (e *BrokenError) Unreachable() bool { return true }
