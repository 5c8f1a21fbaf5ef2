//go:build !wasip1

package io

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"countersign.internal/sdk/internal/local"
)

// unbound is the error where nothing says where a tag leads.
func unbound(tag string) *Error {
	return &Error{tag, Undeclared, errors.New("there is no platform here that binds it, and native functions have no network tags; " +
		"in a test, say with sdktest.Network where it leads")}
}

// listen listens where a test has bound the tag.
func listen(tag string) (net.Listener, error) {
	network, address, ok := local.Network(tag)
	if !ok {
		return nil, unbound(tag)
	}
	l, err := net.Listen(network, address)
	if err != nil {
		return nil, &Error{tag, Unreachable, err}
	}
	return l, nil
}

// dial connects to what a test has bound the tag to.
func dial(ctx context.Context, tag string) (net.Conn, error) {
	network, address, ok := local.Network(tag)
	if !ok {
		return nil, unbound(tag)
	}
	var d net.Dialer
	c, err := d.DialContext(ctx, network, address)
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() != nil:
		return nil, ended(tag, ctx.Err())
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, &Error{tag, Refused, err}
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, &Error{tag, TimedOut, err}
	}
	return nil, &Error{tag, Unreachable, err}
}
