package identity

import (
	"cmp"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
)

// MaxCertificate is the largest certificate, in DER bytes, that is looked at.
const MaxCertificate = 8 << 10

// Reason says why a certificate was refused.
type Reason string

// The reasons to refuse a certificate.
const (
	ReasonMalformed   Reason = "malformed"    // not one DER certificate, or too large
	ReasonProfile     Reason = "profile"      // breaks the certificate profile
	ReasonUntrusted   Reason = "untrusted"    // no chain to the trust bundle
	ReasonTrustDomain Reason = "trust_domain" // a SPIFFE ID of another trust domain
	ReasonExpired     Reason = "expired"      // after notAfter
	ReasonNotYetValid Reason = "not_yet_valid"
	ReasonWrongKey    Reason = "wrong_key" // certifies another key than the one in use
	ReasonWrongID     Reason = "wrong_id"  // certifies another identity than the one asked for
)

// CertificateError is the refusal of a certificate.
type CertificateError struct {
	Reason  Reason
	ID      ID     // whom the certificate names, if that could be read
	Message string // for people
	Err     error  // cause, or nil
}

// Error implements error.
func (e *CertificateError) Error() string {
	who := "certificate"
	if !e.ID.IsZero() {
		who = "certificate of " + e.ID.String()
	}
	if e.Err != nil {
		return fmt.Sprintf("%s refused: %s: %s: %v", who, e.Reason, e.Message, e.Err)
	}
	return fmt.Sprintf("%s refused: %s: %s", who, e.Reason, e.Message)
}

// Unwrap returns the cause.
func (e *CertificateError) Unwrap() error { return e.Err }

// Unverified tells this error from one about reaching something.
func (e *CertificateError) Unverified() bool { return true }

func refuse(reason Reason, id ID, format string, args ...any) *CertificateError {
	return &CertificateError{Reason: reason, ID: id, Message: fmt.Sprintf(format, args...)}
}

// Certificate is a call certificate that has the profile: Ed25519 key, exactly one URI SAN which is a SPIFFE ID, no
// other name, key usage digitalSignature, not a CA. It does not change.
type Certificate struct {
	ID         ID
	DER        []byte
	Thumbprint string // base64url (RFC 4648 section 5, no padding) of the DER's SHA-256
	NotBefore  time.Time
	NotAfter   time.Time

	public ed25519.PublicKey
	x509   *x509.Certificate
	digest [sha256.Size]byte
}

// Digest returns the SHA-256 of the DER: the thumbprint without its encoding.
func (c *Certificate) Digest() [sha256.Size]byte { return c.digest }

// PublicKey returns the certified key.
func (c *Certificate) PublicKey() ed25519.PublicKey { return c.public }

// Serial returns the serial number in Vault's spelling: colon-separated hexadecimal.
func (c *Certificate) Serial() string {
	return strings.ReplaceAll(fmt.Sprintf("% x", c.x509.SerialNumber.Bytes()), " ", ":")
}

// CheckTime refuses the certificate outside its time.
func (c *Certificate) CheckTime(now time.Time) error {
	switch {
	case now.Before(c.NotBefore):
		return refuse(ReasonNotYetValid, c.ID, "valid from %s", c.NotBefore.UTC().Format(time.RFC3339))
	case now.After(c.NotAfter):
		return refuse(ReasonExpired, c.ID, "valid until %s", c.NotAfter.UTC().Format(time.RFC3339))
	}
	return nil
}

// Thumbprint returns the base64url SHA-256 of a DER certificate, as in x5t#S256 of RFC 7515 section 4.1.8.
func Thumbprint(der []byte) string {
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ParseCertificate reads one DER certificate and checks its profile, not its chain and not its time.
func ParseCertificate(der []byte) (*Certificate, error) {
	if len(der) > MaxCertificate {
		return nil, refuse(ReasonMalformed, ID{}, "%d bytes; at most %d are looked at", len(der), MaxCertificate)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, &CertificateError{Reason: ReasonMalformed, Message: "not a DER certificate", Err: err}
	}
	id, err := subjectOf(parsed)
	if err != nil {
		return nil, err
	}
	public, ok := parsed.PublicKey.(ed25519.PublicKey)
	switch {
	case !ok:
		return nil, refuse(ReasonProfile, id, "its key is %s; want Ed25519", parsed.PublicKeyAlgorithm)
	case IsWeakKey(public):
		return nil, refuse(ReasonProfile, id, "its key is one with which anybody can sign: a point of small order, or not in its "+
			"canonical form")
	case parsed.IsCA:
		return nil, refuse(ReasonProfile, id, "it is a CA certificate")
	case parsed.KeyUsage&x509.KeyUsageDigitalSignature == 0:
		return nil, refuse(ReasonProfile, id, "key usage lacks digitalSignature")
	case parsed.KeyUsage&(x509.KeyUsageCertSign|x509.KeyUsageCRLSign) != 0:
		return nil, refuse(ReasonProfile, id, "key usage allows signing certificates or CRLs")
	case len(parsed.UnhandledCriticalExtensions) > 0:
		return nil, refuse(ReasonProfile, id, "it has an unknown critical extension")
	}
	own := append([]byte(nil), der...)
	return &Certificate{
		ID: id, DER: own, Thumbprint: Thumbprint(own), NotBefore: parsed.NotBefore, NotAfter: parsed.NotAfter,
		public: public, x509: parsed, digest: sha256.Sum256(own),
	}, nil
}

// subjectOf returns the one SPIFFE ID that a certificate names (X509-SVID section 2: exactly one URI SAN). Other SANs
// are refused, since a second name is a second identity to somebody.
func subjectOf(c *x509.Certificate) (ID, error) {
	if len(c.URIs) != 1 {
		return ID{}, refuse(ReasonProfile, ID{}, "it has %d URI names; want exactly one", len(c.URIs))
	}
	names, err := alternativeNames(c)
	if err != nil || names != 1 {
		return ID{}, &CertificateError{Reason: ReasonProfile, Message: "it has names beside its URI", Err: err}
	}
	id, err := ParseID(c.URIs[0].String())
	if err != nil {
		return ID{}, &CertificateError{Reason: ReasonProfile, Message: "its URI name is not a SPIFFE ID", Err: err}
	}
	return id, nil
}

// subjectAltName is the extension that holds a certificate's names (RFC 5280 section 4.2.1.6).
var subjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}

// alternativeNames counts the names of a certificate of whatever kind: crypto/x509 passes over kinds that it does not know,
// such as otherName, which to other readers is a user of a directory.
func alternativeNames(c *x509.Certificate) (n int, err error) {
	for _, extension := range c.Extensions {
		if !extension.Id.Equal(subjectAltName) {
			continue
		}
		var names []asn1.RawValue
		rest, err := asn1.Unmarshal(extension.Value, &names)
		if err != nil || len(rest) > 0 {
			return 0, fmt.Errorf("reading its names: %w", cmp.Or(err, errors.New("something follows them")))
		}
		n += len(names)
	}
	return n, nil
}
