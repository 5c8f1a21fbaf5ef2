// Package io is how a function uses its network tags: it connects to what the environment binds a tag to, and to nothing
// else.
//
//	conn, err := io.Dial(ctx, "rates")
//
// A Dialer has the methods that client libraries ask for: DialContext of net/http, pgx and go-redis, Dial and DialTimeout
// of lib/pq, DialAddress of gRPC and go-sql-driver. What they pass as network and address is ignored.
//
// Under go test the same code connects to what sdktest.Network says. It imports only the standard library.
package io

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"
)

// Reason says why a tag could not be used.
type Reason string

// The reasons of an Error.
const (
	Undeclared  Reason = "undeclared"  // the function's spec has no such tag
	Unbound     Reason = "unbound"     // the environment binds it to nothing
	Limited     Reason = "limited"     // a limit of the binding is reached: connections, or bytes of this one
	Unreachable Reason = "unreachable" // nothing there could be found or reached
	Refused     Reason = "refused"     // nothing listens there
	Unverified  Reason = "unverified"  // the host encrypts, and the server is not who it should be
	TimedOut    Reason = "timed out"
	Canceled    Reason = "canceled"
)

// Error says that a network tag could not be used. errors.Is finds its cause, such as context.DeadlineExceeded; it is a
// net.Error, as clients expect.
type Error struct {
	Tag    string
	Reason Reason
	Err    error // may be nil
}

// Error implements error.
func (e *Error) Error() string {
	if e.Err == nil {
		return fmt.Sprintf("network tag %q: %s", e.Tag, e.Reason)
	}
	return fmt.Sprintf("network tag %q: %s: %v", e.Tag, e.Reason, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Timeout implements net.Error.
func (e *Error) Timeout() bool { return e.Reason == TimedOut }

// Temporary implements net.Error.
func (e *Error) Temporary() bool { return e.Reason == TimedOut || e.Reason == Limited }

// NetworkTag names the tag. By this method package sdk tells errors of a tag from those of what no tag declares.
func (e *Error) NetworkTag() string { return e.Tag }

// Dial connects to what the tag is bound to. It ends when ctx does, and after 10 seconds in any case. The connection can be
// kept and used by later calls that come to the same sandbox. An error is an *Error.
func Dial(ctx context.Context, tag string) (net.Conn, error) {
	if err := ctx.Err(); err != nil {
		return nil, ended(tag, err)
	}
	return dial(ctx, tag)
}

// Listen accepts the connections of a tag that is declared with listen = true, while the call runs. What all listeners of an
// allocation accept comes from one queue, which is there as long as one of them is open. An error is an *Error.
func Listen(tag string) (net.Listener, error) { return listen(tag) }

// ended is the error of a dial whose context has ended.
func ended(tag string, err error) *Error {
	if errors.Is(err, context.DeadlineExceeded) {
		return &Error{tag, TimedOut, err}
	}
	return &Error{tag, Canceled, err}
}

// Dialer connects to what the tag of this name is bound to, in the shapes that client libraries know.
type Dialer string

// DialContext is Dial as net.Dialer has it. Network and address are ignored: the environment says where the tag leads.
func (d Dialer) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return Dial(ctx, string(d))
}

// Dial is DialContext without a context.
func (d Dialer) Dial(_, _ string) (net.Conn, error) { return Dial(context.Background(), string(d)) }

// DialTimeout is Dial that ends after a time.
func (d Dialer) DialTimeout(_, _ string, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return Dial(ctx, string(d))
}

// DialAddress is DialContext without a network.
func (d Dialer) DialAddress(ctx context.Context, _ string) (net.Conn, error) {
	return Dial(ctx, string(d))
}

// LookupHost is for clients that resolve a name before they dial, as pgx does: it returns the name, which Dial ignores.
func (d Dialer) LookupHost(_ context.Context, host string) ([]string, error) {
	return []string{host}, nil
}

// Addr is the address of either end of a connection: what a tag leads to, the function does not learn.
type Addr struct{ Tag string }

// Network implements net.Addr.
func (Addr) Network() string { return "tag" }

// String implements net.Addr.
func (a Addr) String() string { return a.Tag }
