package identity

import (
	"crypto"
	"crypto/tls"
	"net"
	"testing"
	"time"
)

// TestTLS12IsRefused has an end that speaks TLS 1.2 at most.
func TestTLS12IsRefused(t *testing.T) {
	authority := newCA(t, time.Now())
	bundle, err := ParseBundle(domain, bundlePEM(authority.cert))
	must(t, err)
	config := func() *tls.Config {
		c := TLSConfig(func() *Bundle { return bundle }, nil)
		c.Certificates = []tls.Certificate{*authority.identity(t, "tax").TLSCertificate()}
		return c
	}
	old := func() *tls.Config {
		c := config()
		c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
		return c
	}
	if _, _, err := handshake(t, config(), old()); err == nil {
		t.Error("a server speaks TLS 1.2")
	}
	if _, _, err := handshake(t, old(), config()); err == nil {
		t.Error("a client speaks TLS 1.2")
	}
}

// TestNoResumption connects twice with a client that would go on with the first connection's session.
func TestNoResumption(t *testing.T) {
	authority := newCA(t, time.Now())
	bundle, err := ParseBundle(domain, bundlePEM(authority.cert))
	must(t, err)
	trust := func() *Bundle { return bundle }
	server, client := TLSConfig(trust, nil), TLSConfig(trust, nil)
	server.Certificates = []tls.Certificate{*authority.identity(t, "tax").TLSCertificate()}
	client.ServerName, client.ClientSessionCache = "tax", tls.NewLRUClientSessionCache(1)
	client.SessionTicketsDisabled = false // the client is somebody else's
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			c := tls.Server(raw, server)
			_, _ = c.Write([]byte{1}) // after the session ticket, if there is one
			defer c.Close()
		}
	}()
	for range 2 {
		c, err := tls.Dial("tcp", l.Addr().String(), client)
		must(t, err)
		defer c.Close()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		if c.ConnectionState().DidResume {
			t.Error("a session is resumed: its certificate was checked long ago")
		}
	}
}

// TestNoTrustBundle has a host that never got one.
func TestNoTrustBundle(t *testing.T) {
	authority := newCA(t, time.Now())
	none := func() *Bundle { return nil }
	server := TLSConfig(none, nil)
	server.Certificates = []tls.Certificate{*authority.identity(t, "tax").TLSCertificate()}
	if _, _, err := handshake(t, server, TLSConfig(none, nil)); err == nil {
		t.Error("a client talks to a server that it has nothing to verify with")
	}
}

// TestCallKeysSignNoHashes asks a call key for the signature of a hash, which may be one of anything.
func TestCallKeysSignNoHashes(t *testing.T) {
	key := newCA(t, time.Now()).identity(t, "tax").Key
	if _, err := (tlsKey{key}).Sign(nil, make([]byte, 64), crypto.SHA512); err == nil {
		t.Error("it signs a hash")
	}
}
