package identity

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"
)

// MaxBundle is the largest trust bundle, in PEM bytes, that is looked at.
const MaxBundle = 1 << 20

// Bundle is the set of CA certificates that a trust domain's call certificates chain to. It does not change; a refresh
// makes a new one.
type Bundle struct {
	trustDomain string
	authorities []*x509.Certificate
	roots       *x509.CertPool
}

// ParseBundle reads a trust domain's bundle from PEM: one or more CA certificates. Anything else in it is an error.
func ParseBundle(trustDomain string, data []byte) (*Bundle, error) {
	if err := CheckTrustDomain(trustDomain); err != nil {
		return nil, fmt.Errorf("read trust bundle: %w", err)
	}
	if len(data) > MaxBundle {
		return nil, fmt.Errorf("read trust bundle of %s: %d bytes; at most %d are looked at",
			trustDomain, len(data), MaxBundle)
	}
	b := &Bundle{trustDomain: trustDomain, roots: x509.NewCertPool()}
	seen := map[[sha256.Size]byte]bool{}
	for rest := bytes.TrimSpace(data); len(rest) > 0; rest = bytes.TrimSpace(rest) {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil || block.Type != "CERTIFICATE" {
			return nil, fmt.Errorf("read trust bundle of %s: it holds something that is not a PEM certificate", trustDomain)
		}
		sum := sha256.Sum256(block.Bytes)
		if seen[sum] {
			continue
		}
		seen[sum] = true
		if err := b.add(block.Bytes); err != nil {
			return nil, fmt.Errorf("read trust bundle of %s: certificate %d: %w", trustDomain, len(b.authorities)+1, err)
		}
	}
	if len(b.authorities) == 0 {
		return nil, fmt.Errorf("read trust bundle of %s: it holds no certificate", trustDomain)
	}
	slices.SortFunc(b.authorities, func(x, y *x509.Certificate) int { return bytes.Compare(x.Raw, y.Raw) })
	return b, nil
}

func (b *Bundle) add(der []byte) error {
	authority, err := x509.ParseCertificate(der)
	if err != nil {
		return err
	}
	if !authority.BasicConstraintsValid || !authority.IsCA {
		return errors.New("it is not a CA certificate")
	}
	if authority.KeyUsage != 0 && authority.KeyUsage&x509.KeyUsageCertSign == 0 {
		return errors.New("its key usage does not allow signing certificates")
	}
	public, ok := authority.PublicKey.(ed25519.PublicKey)
	if !ok {
		return fmt.Errorf("its key is %s; want Ed25519", authority.PublicKeyAlgorithm)
	}
	if IsWeakKey(public) {
		return errors.New("its key is one with which anybody can sign")
	}
	b.authorities = append(b.authorities, authority)
	b.roots.AddCert(authority)
	return nil
}

// TrustDomain returns whose bundle this is.
func (b *Bundle) TrustDomain() string { return b.trustDomain }

// PEM returns the bundle in the form that ParseBundle reads, in a fixed order.
func (b *Bundle) PEM() []byte {
	var out bytes.Buffer
	for _, authority := range b.authorities {
		// Writing to a buffer does not fail.
		_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: authority.Raw})
	}
	return out.Bytes()
}

// Equal reports whether two bundles trust the same authorities for the same trust domain.
func (b *Bundle) Equal(other *Bundle) bool {
	if b == nil || other == nil {
		return b == other
	}
	return b.trustDomain == other.trustDomain && slices.EqualFunc(b.authorities, other.authorities,
		func(x, y *x509.Certificate) bool { return x.Equal(y) })
}

// Verify reads a DER certificate, and refuses it with a *CertificateError unless it has the profile, names a SPIFFE ID
// of the bundle's trust domain, is within its time, and chains to the bundle (RFC 5280 section 6).
func (b *Bundle) Verify(der []byte, now time.Time) (*Certificate, error) {
	certificate, err := ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	if got := certificate.ID.TrustDomain(); got != b.trustDomain {
		return nil, refuse(ReasonTrustDomain, certificate.ID, "trust domain %q; want %q", got, b.trustDomain)
	}
	if err := certificate.CheckTime(now); err != nil {
		return nil, err
	}
	_, err = certificate.x509.Verify(x509.VerifyOptions{
		Roots:       b.roots,
		CurrentTime: now,
		// Call keys sign messages, not TLS handshakes: the extended key usage does not matter.
		KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny},
	})
	if err != nil {
		return nil, &CertificateError{
			Reason: ReasonUntrusted, ID: certificate.ID, Message: "no chain to the trust bundle", Err: err,
		}
	}
	return certificate, nil
}
