package link

import (
	"crypto/tls"
	"errors"
	"net"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// The tests in this file hold one check each, where another one before or behind it would refuse as well.

// connected returns the server's end of a connection whose handshake looked at nothing but the chain.
func (f *fixture) connected(self, server *identity.Identity, name, alpn string) *tls.Conn {
	f.tb.Helper()
	config := func(own *identity.Identity) *tls.Config {
		c := identity.TLSConfig(func() *identity.Bundle { return f.trust }, nil)
		if c.ServerName = name; own != nil {
			c.Certificates = []tls.Certificate{*own.TLSCertificate()}
		}
		if alpn != "" {
			c.NextProtos = []string{alpn}
		}
		return c
	}
	return f.handshake(config(server), config(self))
}

// handshake connects two configurations and returns the server's end.
func (f *fixture) handshake(server, client *tls.Config) *tls.Conn {
	f.tb.Helper()
	a, b := net.Pipe()
	f.tb.Cleanup(func() { a.Close(); b.Close() })
	c := tls.Client(b, client)
	go func() {
		if c.Handshake() == nil {
			_, _ = c.Read(make([]byte, 1))
		}
	}()
	s := tls.Server(a, server)
	if err := s.Handshake(); err != nil {
		return nil
	}
	return s
}

// TestConnectionsThatAreNotLinks hands connections to a server whose handshake did not look.
func TestConnectionsThatAreNotLinks(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	quote := f.instance("quote").Identity()
	client, err := identity.ClientID(trustDomain, "quote")
	must(t, err)
	fx := f.instance("fx")
	find := f.server.config.Find
	f.server.config.Find = func(allocation, name string) Callee {
		if name == "posing" { // an allocation of fx that is asked for under another name
			return fx
		}
		return find(allocation, name)
	}
	name := ServerName(tax.alloc, "tax")
	for what, test := range map[string]struct {
		self       *identity.Identity
		name, alpn string
		want       bool
	}{
		"a link":                            {quote, name, ALPN, true},
		"a client":                          {f.ca.Identity(t, client), name, ALPN, false},
		"without a certificate":             {nil, name, ALPN, false},
		"another protocol":                  {quote, name, "h2", false},
		"no protocol":                       {quote, name, "", false},
		"an allocation of another function": {quote, ServerName(fx.alloc, "posing"), ALPN, false},
	} {
		t.Run(what, func(t *testing.T) {
			conn := f.connected(test.self, tax.Identity(), test.name, test.alpn)
			if conn == nil {
				t.Fatal("no handshake")
			}
			c, err := f.server.accept(conn)
			if (err == nil) != test.want {
				t.Errorf("accepted: %v", err)
			}
			if err == nil {
				f.server.drop(c)
			}
		})
	}
}

// TestHandshakeAlone has the configuration of the handshake alone, with nothing behind it.
func TestHandshakeAlone(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	id, err := identity.ClientID(trustDomain, "quote")
	must(t, err)
	for what, test := range map[string]struct {
		self *identity.Identity
		want bool
	}{
		"a function": {f.instance("quote").Identity(), true}, "a client": {f.ca.Identity(t, id), false}, "nobody": {nil, false},
	} {
		server, err := f.server.TLSConfig(&tls.ClientHelloInfo{ServerName: ServerName(tax.alloc, "tax")})
		must(t, err)
		client := identity.TLSConfig(func() *identity.Bundle { return f.trust }, nil)
		client.ServerName, client.NextProtos = ServerName(tax.alloc, "tax"), []string{ALPN}
		if test.self != nil {
			client.Certificates = []tls.Certificate{*test.self.TLSCertificate()}
		}
		if got := f.handshake(server, client) != nil; got != test.want {
			t.Errorf("%s: the handshake succeeds: %v", what, got)
		}
	}
}

// TestRequestsOverTheLimit has a caller that does not look how much the callee takes.
func TestRequestsOverTheLimit(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	tax.terms.MaxRequest = 8
	quote := f.instance("quote").Identity()
	r := f.dial(quote, tax)
	call := callsig.Call{Caller: quote.ID(), Callee: tax.Identity().ID(), Deadline: time.Now().Add(time.Minute), ID: "large", Body: make([]byte, 9)}
	signed, err := callsig.SignCall(callsig.NewSigner(quote), call, time.Now())
	must(t, err)
	r.write(frameOf(1, signed, quote))
	r.wantRefused(1, countersign.CodeTooLarge)
	if tax.runs.Load() != 0 {
		t.Error("the call was executed")
	}
}

// TestCallsThatAreNotSent has calls that the callee's end would refuse: they do not get there.
func TestCallsThatAreNotSent(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	tax.terms.MaxRequest = 8
	quote, p := f.instance("quote"), f.pool()
	for what, test := range map[string]struct {
		callee identity.ID
		body   string
		want   countersign.Code
	}{
		"for another function": {function(t, "fx"), "1", countersign.CodeUnverified},
		"too large":            {tax.Identity().ID(), "123456789", countersign.CodeTooLarge},
	} {
		_, err := p.Call(t.Context(), quote, f.target(tax), callOf(quote, test.callee, test.body))
		var refused *RefusedError
		var signature *callsig.Error
		code := countersign.CodeOf(err)
		if errors.As(err, &signature) {
			code = signature.Code()
		}
		if errors.As(err, &refused) || code != test.want {
			t.Errorf("%s: %v", what, err)
		}
	}
	if n := len(f.refusals()); n != 0 || tax.runs.Load() != 0 {
		t.Errorf("%d calls were refused, %d executed", n, tax.runs.Load())
	}
}
