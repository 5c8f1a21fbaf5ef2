// Package identitytest is a certificate authority for tests, in place of the one in Vault.
//
// It owns what such an authority certifies and for how long. It must not know what the certificates are used for, nor
// be imported by anything but tests.
package identitytest

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net/url"
	"testing"
	"time"

	"countersign/vaultsign/identity"
)

// Authority is a certificate authority of one trust domain.
type Authority struct {
	Bundle *identity.Bundle // the authority's own certificate alone
	PEM    []byte           // the same, encoded

	certificate *x509.Certificate
	key         ed25519.PrivateKey
}

// NewAuthority returns an authority that is valid for a day before and after now.
func NewAuthority(tb testing.TB, trustDomain string, now time.Time) *Authority {
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
	certificate, err := x509.ParseCertificate(der)
	must(tb, err)
	a := &Authority{PEM: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), certificate: certificate, key: private}
	a.Bundle, err = identity.ParseBundle(trustDomain, a.PEM)
	must(tb, err)
	return a
}

// Identity certifies a fresh call key for an hour before and after now.
func (a *Authority) Identity(tb testing.TB, id identity.ID) *identity.Identity {
	tb.Helper()
	_, self := a.Certify(tb, id, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	return self
}

// Certify certifies a fresh call key for a time, and returns the key as well.
func (a *Authority) Certify(
	tb testing.TB, id identity.ID, from, to time.Time,
) (ed25519.PrivateKey, *identity.Identity) {
	tb.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	must(tb, err)
	uri, err := url.Parse(id.String())
	must(tb, err)
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 63))
	must(tb, err)
	template := &x509.Certificate{
		SerialNumber: serial, NotBefore: from, NotAfter: to, KeyUsage: x509.KeyUsageDigitalSignature, URIs: []*url.URL{uri},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, private.Public(), a.key)
	must(tb, err)
	key, err := identity.CallKeyFrom(private)
	must(tb, err)
	self, err := identity.NewIdentity(key, der)
	must(tb, err)
	return private, self
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
