package network

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"path/filepath"
)

// The protocols of a tag.
const (
	TCP = "tcp"
	UDP = "udp"
)

// DefaultConnections is how many connections of a tag may be open at once if its binding does not say it.
const DefaultConnections = 64

// Binding is a network tag with what it is bound to: Addresses, Service or Unix, or nothing.
type Binding struct {
	Tag      string
	Protocol string // TCP or UDP
	Listen   bool   // connections are accepted at its one address, and none made

	Addresses []string // host:port; tried in this order
	Service   string   // a service that Lookup knows
	Unix      string   // path of a Unix socket

	// TLS has the host encrypt: nil is not to. Without a ServerName in it, the server is who the address says.
	TLS *tls.Config

	Limits
}

// Limits bound what a tag can be used for by one allocation. A zero is no bound, but for Connections.
type Limits struct {
	Connections int   // open at once, those being made included; 0 is DefaultConnections
	Bytes       int64 // of one connection, both directions together
	Rate        int64 // bytes per second, of all connections and both directions together
}

// Lookup returns the addresses (host:port) of a service's healthy instances, nearest first. There may be none.
type Lookup func(ctx context.Context, service string) ([]string, error)

// bound tells whether there is something to connect to.
func (b *Binding) bound() bool { return len(b.Addresses) > 0 || b.Service != "" || b.Unix != "" }

// check refuses a binding that can't be meant.
func (b *Binding) check() error {
	ways := 0
	for _, given := range []bool{len(b.Addresses) > 0, b.Service != "", b.Unix != ""} {
		if given {
			ways++
		}
	}
	switch {
	case b.Protocol != TCP && b.Protocol != UDP:
		return fmt.Errorf("unknown protocol %q", b.Protocol)
	case ways > 1:
		return errors.New("it is bound to more than one of addresses, a service and a Unix socket")
	case b.Protocol == UDP && b.Unix != "":
		return errors.New("UDP goes to an address or a service, not to a Unix socket")
	case b.Listen && (b.Protocol != TCP || len(b.Addresses) > 1 || b.Service != "" || b.Unix != ""):
		return errors.New("it listens: that is for TCP, and at one address")
	case b.TLS != nil && (b.Protocol != TCP || b.Listen):
		return errors.New("the host encrypts connections that it makes by TCP")
	case b.TLS != nil && b.TLS.ServerName == "" && len(b.Addresses) == 0:
		return errors.New("the host encrypts, and nothing says whose certificate the server has to have: add tls_server_name")
	case b.Connections < 0 || b.Bytes < 0 || b.Rate < 0:
		return errors.New("a limit is negative")
	}
	for _, a := range b.Addresses {
		if _, _, err := net.SplitHostPort(a); err != nil {
			return fmt.Errorf("its address: %w", err)
		}
	}
	// One that begins with @ or a zero byte would be abstract.
	if b.Unix != "" && !filepath.IsAbs(b.Unix) {
		return fmt.Errorf("the Unix socket %q is not an absolute path", b.Unix)
	}
	return nil
}
