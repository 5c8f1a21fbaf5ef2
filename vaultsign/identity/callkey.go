package identity

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/url"
)

// CallKey is an Ed25519 key (RFC 8032) that signs calls, returns and session messages of one instance or client. It is
// made fresh, lives in memory only, and cannot be read back.
type CallKey struct {
	private ed25519.PrivateKey
}

// NewCallKey makes a fresh key.
func NewCallKey() (*CallKey, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make call key: %w", err)
	}
	return &CallKey{private: private}, nil
}

// CallKeyFrom wraps an existing private key, such as one that an outside client keeps in a file.
func CallKeyFrom(private ed25519.PrivateKey) (*CallKey, error) {
	if len(private) != ed25519.PrivateKeySize {
		return nil, fmt.Errorf("use call key: an Ed25519 private key has %d bytes, not %d",
			ed25519.PrivateKeySize, len(private))
	}
	return &CallKey{private: private}, nil
}

// Public returns the public half.
func (k *CallKey) Public() ed25519.PublicKey { return k.private.Public().(ed25519.PublicKey) }

// Sign returns the Ed25519 signature of message: 64 bytes.
func (k *CallKey) Sign(message []byte) []byte { return ed25519.Sign(k.private, message) }

// CSR returns a PEM-encoded PKCS #10 certificate request (RFC 2986) whose only name is the URI SAN id.
func (k *CallKey) CSR(id ID) ([]byte, error) {
	uri, err := url.Parse(id.String())
	if err != nil || id.IsZero() {
		return nil, fmt.Errorf("make certificate request for %q: not a SPIFFE ID", id)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: []*url.URL{uri}}, k.private)
	if err != nil {
		return nil, fmt.Errorf("make certificate request for %s: %w", id, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der}), nil
}

// String keeps the key out of logs.
func (k *CallKey) String() string { return "call key (private)" }

// GoString keeps the key out of logs.
func (k *CallKey) GoString() string { return k.String() }

// Identity is a call key with its certificate. It does not change: renewal makes a new one.
type Identity struct {
	Key         *CallKey
	Certificate *Certificate
}

// NewIdentity joins a key and its certificate (DER), which must have the certificate profile and hold the key's public
// half. The chain is not verified here: Bundle.Verify does that.
func NewIdentity(key *CallKey, der []byte) (*Identity, error) {
	certificate, err := ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if !key.Public().Equal(certificate.PublicKey()) {
		return nil, refuse(ReasonWrongKey, certificate.ID, "the certificate is for another public key")
	}
	return &Identity{Key: key, Certificate: certificate}, nil
}

// ID returns whom the identity speaks for.
func (i *Identity) ID() ID { return i.Certificate.ID }
