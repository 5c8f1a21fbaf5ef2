package identity

import (
	"crypto"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"time"
)

// TLSCertificate returns the identity as a certificate of crypto/tls: call keys authenticate connections between hosts,
// too. What TLS 1.3 signs begins with 64 spaces (RFC 8446 section 4.4.3), so that it is never a signature base.
func (i *Identity) TLSCertificate() *tls.Certificate {
	return &tls.Certificate{Certificate: [][]byte{i.Certificate.DER}, PrivateKey: tlsKey{i.Key}, Leaf: i.Certificate.x509}
}

// tlsKey lets crypto/tls sign with a call key.
type tlsKey struct{ key *CallKey }

// Public implements crypto.Signer.
func (k tlsKey) Public() crypto.PublicKey { return k.key.Public() }

// Sign implements crypto.Signer with pure Ed25519, which signs the message itself.
func (k tlsKey) Sign(_ io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts.HashFunc() != crypto.Hash(0) {
		return nil, errors.New("a call key signs messages, not hashes")
	}
	return k.key.Sign(message), nil
}

// String keeps the key out of logs.
func (k tlsKey) String() string { return k.key.String() }

// GoString keeps the key out of logs.
func (k tlsKey) GoString() string { return k.key.String() }

// TLSConfig returns a configuration for TLS 1.3 that verifies the peer's certificate as a call certificate of the trust
// domain, and whom it names with accept, which may be nil. trust returns the current bundle. A client always verifies
// the server; a server verifies what a client presents, and asks for it without demanding it: whoever needs a client's
// identity asks PeerOf.
func TLSConfig(trust func() *Bundle, accept func(*Certificate) error) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// Certificates name SPIFFE IDs and no hosts, which is what VerifyConnection checks.
		InsecureSkipVerify: true,
		ClientAuth:         tls.RequestClientCert,
		// A resumed session would go on with a certificate that was checked long ago.
		SessionTicketsDisabled: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if len(state.PeerCertificates) == 0 {
				return nil // only a server comes here without one
			}
			bundle := trust()
			if bundle == nil {
				return refuse(ReasonUntrusted, ID{}, "there is no trust bundle yet")
			}
			certificate, err := bundle.Verify(state.PeerCertificates[0].Raw, time.Now())
			if err != nil || accept == nil {
				return err
			}
			return accept(certificate)
		},
	}
}

// Only returns a function for TLSConfig that accepts certificates of one identity.
func Only(want ID) func(*Certificate) error {
	return func(c *Certificate) error {
		if c.ID != want {
			return refuse(ReasonWrongID, c.ID, "want %s", want)
		}
		return nil
	}
}

// PeerOf returns the certificate that the peer of a connection with a TLSConfig presented, or nil if it presented none.
func PeerOf(state tls.ConnectionState) (*Certificate, error) {
	if len(state.PeerCertificates) == 0 {
		return nil, nil
	}
	if _, ok := state.PeerCertificates[0].PublicKey.(ed25519.PublicKey); !ok {
		return nil, refuse(ReasonProfile, ID{}, "its key is not Ed25519")
	}
	certificate, err := ParseCertificate(state.PeerCertificates[0].Raw)
	if err != nil {
		return nil, fmt.Errorf("read the certificate of a connection's peer: %w", err)
	}
	return certificate, nil
}
