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

// connect makes the transport, which keeps connections.
func (c *Client) connect() {
	c.verifier.Trust = func() *identity.Bundle { return c.Trust }
	dialer := &net.Dialer{Timeout: connectTimeout}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, &notConnectedError{err}
		}
		return conn, nil
	}
	c.transport = &http.Transport{DialContext: dial, ForceAttemptHTTP2: true, DisableCompression: true,
		IdleConnTimeout: idleTimeout}
	c.transport.DialTLSContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, connectTimeout)
		defer cancel()
		raw, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		// Any function may vouch for the node: the return tells who answered. No server name is sent, so that the node
		// chooses one that it runs.
		config := identity.TLSConfig(func() *identity.Bundle { return c.Trust }, ofFunction)
		config.NextProtos = []string{"h2", "http/1.1"}
		secure := tls.Client(raw, config)
		if err := secure.HandshakeContext(ctx); err != nil {
			raw.Close()
			return nil, &notConnectedError{fmt.Errorf("TLS with %s: %w", address, err)}
		}
		return secure, nil
	}
}

// Close closes connections that are not in use.
func (c *Client) Close() {
	c.once.Do(c.connect)
	c.transport.CloseIdleConnections()
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

// notAnswered says why a node did not answer: only if there was no connection may another node be asked. That the node
// shows a wrong certificate is a refusal, which no other node makes good.
func notAnswered(function, node string, err error) error {
	var refused *identity.CertificateError
	var plain tls.RecordHeaderError
	var unconnected *notConnectedError
	switch {
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
