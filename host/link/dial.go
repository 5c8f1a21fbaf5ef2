package link

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"countersign/vaultsign/identity"
)

// dial opens a connection and reads the callee's terms.
func (p *Pool) dial(from Caller, to Target) (*link, error) {
	timeout := to.ConnectTimeout
	if timeout <= 0 {
		timeout = connectTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	l, err := p.open(ctx, from, to)
	if errors.Is(err, errRenewed) {
		l, err = p.open(ctx, from, to)
	}
	var refused *identity.CertificateError
	var alert tls.AlertError
	switch remote := (*net.OpError)(nil); {
	case err == nil:
		p.config.Handshake("ok")
	case errors.As(err, &refused), errors.As(err, &alert), errors.As(err, &remote) && remote.Op == "remote error":
		p.config.Handshake("refused")
	default:
		p.config.Handshake("unreachable")
	}
	return l, err
}

// errRenewed says that the callee got a new certificate while the connection was made.
var errRenewed = errors.New("the callee's certificate was renewed meanwhile")

func (p *Pool) open(ctx context.Context, from Caller, to Target) (*link, error) {
	dialer := net.Dialer{}
	if p.config.LocalAddr != "" {
		ip := net.ParseIP(p.config.LocalAddr)
		if ip == nil {
			return nil, fmt.Errorf("connect from %q: not an IP address", p.config.LocalAddr)
		}
		dialer.LocalAddr = &net.TCPAddr{IP: ip}
	}
	raw, err := dialer.DialContext(ctx, "tcp", to.Address)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	l, err := p.greet(ctx, raw, from, to)
	if err != nil {
		raw.Close()
		return nil, err
	}
	return l, nil
}

// greet runs the handshake and reads the first frame.
func (p *Pool) greet(ctx context.Context, raw net.Conn, from Caller, to Target) (*link, error) {
	self := from.Identity()
	config := identity.TLSConfig(p.config.Trust, identity.Only(to.Function))
	config.ServerName = ServerName(to.Allocation, to.Function.Name())
	config.NextProtos = []string{ALPN}
	config.DynamicRecordSizingDisabled = true
	config.Certificates = []tls.Certificate{*self.TLSCertificate()}
	conn := tls.Client(raw, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("TLS handshake: %w", err)
	}
	state := conn.ConnectionState()
	if state.NegotiatedProtocol != ALPN {
		return nil, fmt.Errorf("the peer does not speak %q", ALPN)
	}
	peer, err := newKeys(state, roleCallee, p.config.Trust, nil)
	if err != nil {
		return nil, err
	}
	l := &link{conn: newConn(conn, peer, p.config.Batch, p.config.timing), pool: p, ends: ends{from.ID(), to.Allocation}, from: from,
		target: to, binding: peer.binding, streams: map[uint64]*stream{}}
	l.presented.add(digestOf(self.Certificate))
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetReadDeadline(deadline)
	}
	first, err := l.next(func(k kind) int64 {
		if k == kindTerms {
			return maxControl
		}
		return -1
	})
	if err != nil {
		return nil, fmt.Errorf("read the callee's terms: %w", err)
	}
	terms, certificate, err := parseTerms(first.payload)
	if err != nil {
		return nil, err
	}
	if certificate != peer.known[0].digest {
		return nil, errRenewed
	}
	l.terms = terms
	l.used.Store(p.config.Now().UnixNano())
	return l, conn.SetReadDeadline(time.Time{})
}
