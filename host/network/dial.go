package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// errNowhere says that a service has no healthy instance.
var errNowhere = errors.New("has no healthy instance")

// maxInstances is how many instances of a service a dial tries. Whoever may register more would have it look at each, and leave
// none of them time to answer.
const maxInstances = 16

// connect tries the addresses of a tag in their order until one answers. Each has its share of the time that is left, so that
// one that is silent leaves some for the others.
func (g *tag) connect(ctx context.Context, o *Options) (*Conn, error) {
	if g.Unix != "" {
		return g.connectUnix(ctx, o.Unix)
	}
	addresses, err := g.addresses(ctx, o.Lookup)
	if err != nil {
		return nil, err
	}
	var failures error
	for i, address := range addresses {
		c, err := g.connectWithin(ctx, address, len(addresses)-i)
		if err == nil {
			return c, nil
		}
		failures = errors.Join(failures, err)
		if ctx.Err() != nil {
			break
		}
	}
	return nil, failures
}

// addresses returns where to connect to. A service is looked up each time: its instances come and go.
func (g *tag) addresses(ctx context.Context, lookup Lookup) ([]string, error) {
	if g.Service == "" {
		return g.Addresses, nil
	}
	if lookup == nil {
		return nil, fmt.Errorf("service %q can't be looked up here", g.Service)
	}
	found, err := lookup(ctx, g.Service)
	if err != nil {
		return nil, fmt.Errorf("looking up service %q: %w", g.Service, err)
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("service %q %w", g.Service, errNowhere)
	}
	return found[:min(len(found), maxInstances)], nil
}

// connectWithin connects in one share of the time that is left.
func (g *tag) connectWithin(ctx context.Context, address string, shares int) (*Conn, error) {
	if at, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, time.Until(at)/time.Duration(shares))
		defer cancel()
	}
	return g.connectTo(ctx, g.Protocol, address)
}

func (g *tag) connectTo(ctx context.Context, network, address string) (*Conn, error) {
	d := net.Dialer{Control: refuseForbidden}
	c, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if g.TLS != nil {
		return g.encrypt(ctx, c, address)
	}
	return g.take(c)
}

// explain classifies why a dial failed.
func explain(name string, err error) *Error {
	reason := Unreachable
	switch {
	case errors.Is(err, context.Canceled):
		reason = Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, unix.ETIMEDOUT):
		reason = TimedOut
	case errors.Is(err, unix.ECONNREFUSED):
		reason = Refused
	case errors.As(err, new(*tls.CertificateVerificationError)):
		reason = Unverified
	}
	return &Error{Tag: name, Reason: reason, Err: err}
}
