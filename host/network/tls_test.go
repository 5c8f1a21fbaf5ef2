package network

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// certified is a certificate for a name, and the pool that vouches for it.
func certified(t *testing.T, name string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// serveTLS has each connection served until the test ends.
func serveTLS(t *testing.T, certificate tls.Certificate, serve func(raw net.Conn, c *tls.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer raw.Close()
				serve(raw, tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{certificate}}))
			}()
		}
	}()
	return l.Addr().String()
}

// TestTheHostEncrypts sends much through a connection that the host encrypts, both sides at once.
func TestTheHostEncrypts(t *testing.T) {
	certificate, pool := certified(t, "db.example")
	ended := make(chan error, 10)
	server := serveTLS(t, certificate, func(_ net.Conn, c *tls.Conn) {
		_, err := io.Copy(c, c)
		ended <- errors.Join(err, c.CloseWrite())
	})
	tags := open(t, nil, Binding{Tag: "db", Protocol: TCP, Addresses: []string{server}, TLS: &tls.Config{RootCAs: pool, ServerName: "db.example"}},
		Binding{Tag: "ip", Protocol: TCP, Addresses: []string{server}, TLS: &tls.Config{RootCAs: pool}})
	mustEcho(t, dial(t, tags, "ip")) // the certificate has the address
	c := dial(t, tags, "db")
	want := make([]byte, 3<<20)
	if _, err := rand.Read(want); err != nil {
		t.Fatal(err)
	}
	go func() {
		for rest := want; len(rest) > 0; {
			n, err := c.Write(rest)
			if errors.Is(err, unix.EAGAIN) {
				time.Sleep(time.Millisecond)
			} else if err != nil {
				t.Error(err)
				return
			}
			rest = rest[n:]
		}
		if err := c.Shutdown(unix.SHUT_WR); err != nil {
			t.Error(err)
		}
	}()
	var got []byte
	for b := make([]byte, 64<<10); ; {
		n, err := read(c, b)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		got = append(got, b[:n]...)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%d bytes came back, of %d", len(got), len(want))
	}
	if err := <-ended; err != nil {
		t.Errorf("the server sees an end that is none: %v", err)
	}
}

// TestWhatIsWrittenBeforeCloseArrives has a function close at once.
func TestWhatIsWrittenBeforeCloseArrives(t *testing.T) {
	certificate, pool := certified(t, "db.example")
	heard := make(chan string, 1)
	server := serveTLS(t, certificate, func(_ net.Conn, c *tls.Conn) {
		b, err := io.ReadAll(c)
		heard <- string(b)
		if err != nil {
			t.Error(err)
		}
	})
	tags := open(t, nil, Binding{Tag: "db", Protocol: TCP, Addresses: []string{server}, TLS: &tls.Config{RootCAs: pool}})
	c := dial(t, tags, "db")
	if _, err := c.Write([]byte("bye")); err != nil {
		t.Fatal(err)
	}
	c.Close()
	if got := <-heard; got != "bye" {
		t.Errorf("the server hears %q", got)
	}
}

// TestTheHostVerifiesServers has servers with certificates of others, with none, and one whose connection is cut.
func TestTheHostVerifiesServers(t *testing.T) {
	certificate, pool := certified(t, "db.example")
	_, others := certified(t, "db.example")
	server := serveTLS(t, certificate, func(_ net.Conn, c *tls.Conn) { _, _ = io.Copy(c, c) })
	cut := serveTLS(t, certificate, func(raw net.Conn, c *tls.Conn) {
		_, _ = c.Write([]byte("half"))
		raw.Close() // without the end that TLS signs
	})
	binding := func(tag, address, name string, pool *x509.CertPool) Binding {
		return Binding{Tag: tag, Protocol: TCP, Addresses: []string{address}, TLS: &tls.Config{RootCAs: pool, ServerName: name}}
	}
	tags := open(t, nil, binding("name", server, "other.example", pool), binding("authority", server, "db.example", others),
		binding("system", server, "db.example", nil), binding("plain", echo(t, "tcp", "127.0.0.1:0"), "db.example", pool),
		binding("cut", cut, "db.example", pool))
	for tag, want := range map[string]Reason{"name": Unverified, "authority": Unverified, "system": Unverified, "plain": Unreachable} {
		_, err := tags.Dial(t.Context(), tag)
		wantReason(t, err, tag, want)
	}
	c := dial(t, tags, "cut")
	b := make([]byte, 16)
	if n, err := read(c, b); err != nil || string(b[:n]) != "half" {
		t.Errorf("%q, %v", b[:n], err)
	}
	if n, err := read(c, b); !errors.Is(err, unix.ECONNRESET) {
		t.Errorf("a connection that was cut ends like one that was closed: %d, %v", n, err)
	}
	for what, b := range map[string]Binding{
		"by TCP":              {Protocol: UDP, Addresses: []string{server}, TLS: &tls.Config{}},
		"it makes":            {Protocol: TCP, Listen: true, Addresses: []string{server}, TLS: &tls.Config{}},
		"add tls_server_name": {Protocol: TCP, Service: "db", TLS: &tls.Config{}},
	} {
		b.Tag = "db"
		if _, err := Open([]Binding{b}, Options{}); err == nil {
			t.Errorf("%s: it is taken", what)
		}
	}
}
