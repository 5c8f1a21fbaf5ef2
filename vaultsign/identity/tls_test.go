package identity

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

// handshake connects two TLS configurations and returns whom the server sees and what each end says.
func handshake(t *testing.T, server, client *tls.Config) (peer *Certificate, serverErr, clientErr error) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	b, err := net.Dial("tcp", l.Addr().String())
	must(t, err)
	a, err := l.Accept()
	must(t, err)
	defer a.Close()
	defer b.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	done := make(chan error, 1)
	s := tls.Server(a, server)
	go func() {
		err := s.HandshakeContext(ctx)
		if err != nil {
			a.Close()
		}
		done <- err
	}()
	c := tls.Client(b, client)
	clientErr = c.HandshakeContext(ctx)
	if clientErr != nil {
		b.Close()
	} else {
		go c.Read(make([]byte, 1)) // takes the alert of a server that refuses after the client is done
	}
	serverErr = <-done
	if serverErr == nil && clientErr == nil {
		var err error
		if peer, err = PeerOf(s.ConnectionState()); err != nil {
			t.Fatal(err)
		}
	}
	return peer, serverErr, clientErr
}

// identity certifies a fresh call key for a function.
func (a *ca) identity(t *testing.T, function string) *Identity {
	t.Helper()
	key, err := NewCallKey()
	must(t, err)
	c := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), URIs: []*url.URL{uri(t, "spiffe://"+domain+"/function/"+function)},
		KeyUsage: x509.KeyUsageDigitalSignature, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}, a.cert, key.Public(), a.key)
	self, err := NewIdentity(key, c.Raw)
	must(t, err)
	return self
}

func TestTLS(t *testing.T) {
	ours, theirs := newCA(t, time.Now()), newCA(t, time.Now())
	bundle, err := ParseBundle(domain, bundlePEM(ours.cert))
	must(t, err)
	trust := func() *Bundle { return bundle }
	quote, tax := ours.identity(t, "quote"), ours.identity(t, "tax")
	config := func(self *Identity, accept func(*Certificate) error) *tls.Config {
		c := TLSConfig(trust, accept)
		c.ServerName = "tax"
		if self != nil {
			c.Certificates = []tls.Certificate{*self.TLSCertificate()}
		}
		return c
	}
	stranger := theirs.identity(t, "quote")
	for name, test := range map[string]struct {
		server, client *tls.Config
		refusedBy      string
		reason         Reason
		wantPeer       string
	}{
		"both known":             {config(tax, nil), config(quote, Only(tax.ID())), "", "", quote.ID().String()},
		"client without":         {config(tax, nil), config(nil, Only(tax.ID())), "", "", ""},
		"client of another CA":   {config(tax, nil), config(stranger, nil), "server", ReasonUntrusted, ""},
		"server of another CA":   {config(theirs.identity(t, "tax"), nil), config(quote, nil), "client", ReasonUntrusted, ""},
		"server of another name": {config(quote, nil), config(quote, Only(tax.ID())), "client", ReasonWrongID, ""},
		"client not accepted":    {config(tax, Only(tax.ID())), config(quote, nil), "server", ReasonWrongID, ""},
	} {
		t.Run(name, func(t *testing.T) {
			peer, serverErr, clientErr := handshake(t, test.server, test.client)
			err := map[string]error{"server": serverErr, "client": clientErr, "": errors.Join(serverErr, clientErr)}[test.refusedBy]
			var refused *CertificateError
			switch {
			case test.refusedBy == "" && err != nil:
				t.Fatal(err)
			case test.refusedBy != "" && (!errors.As(err, &refused) || refused.Reason != test.reason):
				t.Errorf("%s: %v; want reason %s", test.refusedBy, err, test.reason)
			}
			got := ""
			if peer != nil {
				got = peer.ID.String()
			}
			if got != test.wantPeer {
				t.Errorf("the server sees %q; want %q", got, test.wantPeer)
			}
		})
	}
	for _, verb := range []string{"%v", "%+v", "%#v"} {
		if s := fmt.Sprintf(verb, quote.TLSCertificate().PrivateKey); s != "call key (private)" {
			t.Errorf("a key prints as %s", s)
		}
	}
}
