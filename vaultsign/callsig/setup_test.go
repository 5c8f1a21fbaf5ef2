package callsig

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net/url"
	"strconv"
	"testing"
	"time"

	"countersign/vaultsign/identity"
)

const testDomain = "example.test"

// authority is a CA made for a test.
type authority struct {
	key    ed25519.PrivateKey
	cert   *x509.Certificate
	bundle *identity.Bundle
}

func newAuthority(tb testing.TB, now time.Time) *authority {
	tb.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test CA"},
		NotBefore: now.Add(-24 * time.Hour), NotAfter: now.Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(tb, err)
	cert, err := x509.ParseCertificate(der)
	must(tb, err)
	bundle, err := identity.ParseBundle(testDomain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	must(tb, err)
	return &authority{key: private, cert: cert, bundle: bundle}
}

func (a *authority) identity(tb testing.TB, id identity.ID, from, to time.Time) *identity.Identity {
	tb.Helper()
	key, err := identity.NewCallKey()
	must(tb, err)
	uri, err := url.Parse(id.String())
	must(tb, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(from.UnixNano()), NotBefore: from, NotAfter: to,
		KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{uri},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	must(tb, err)
	out, err := identity.NewIdentity(key, der)
	must(tb, err)
	return out
}

func function(tb testing.TB, name string) identity.ID {
	tb.Helper()
	id, err := identity.FunctionID(testDomain, name)
	must(tb, err)
	return id
}

func client(tb testing.TB, name string) identity.ID {
	tb.Helper()
	id, err := identity.ClientID(testDomain, name)
	must(tb, err)
	return id
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// wantReason fails the test unless err is the refusal that it expects; "" expects none.
func wantReason(tb testing.TB, err error, want Reason) {
	tb.Helper()
	if want == "" {
		must(tb, err)
		return
	}
	var refusal *Error
	if !errors.As(err, &refusal) {
		tb.Fatalf("got %v (%T), want an *Error with reason %s", err, err, want)
	}
	if refusal.Reason != want {
		tb.Fatalf("got %v, want reason %s", err, want)
	}
	if !refusal.Unverified() || refusal.Code() == "" || refusal.Message == "" {
		tb.Fatalf("refusal %#v lacks something", refusal)
	}
}

// pair is two functions with a session between them.
type pair struct {
	ca             *authority
	now            time.Time
	quote, tax     *identity.Identity
	caller, callee *Session
}

func newPair(tb testing.TB) *pair {
	tb.Helper()
	p := &pair{now: time.Now()}
	p.ca = newAuthority(tb, p.now)
	p.quote = p.ca.identity(tb, function(tb, "quote"), p.now.Add(-time.Minute), p.now.Add(2*time.Hour))
	p.tax = p.ca.identity(tb, function(tb, "tax"), p.now.Add(-time.Minute), p.now.Add(2*time.Hour))
	p.caller, p.callee = p.session(tb)
	return p
}

func (p *pair) session(tb testing.TB) (caller, callee *Session) {
	tb.Helper()
	offer, err := NewOffer(p.quote, p.tax.ID(), p.now)
	must(tb, err)
	callee, answer, err := Accept(p.ca.bundle, p.tax, offer.Message(), p.now)
	must(tb, err)
	caller, err = offer.Complete(p.ca.bundle, answer, p.now)
	must(tb, err)
	return caller, callee
}

func (p *pair) call() Call {
	return Call{
		Caller: p.quote.ID(), Callee: p.tax.ID(), Deadline: p.now.Add(2 * time.Second), ID: "01JD-test-call",
		Body: []byte(`{"region":"EU"}`),
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }
