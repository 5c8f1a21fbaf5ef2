package callsig

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"time"

	"countersign/vaultsign/identity"
)

// direction tells calls from returns: a session has a key for each.
type direction int

const (
	calls direction = iota
	returns
)

// Signer signs calls or returns: an *IdentitySigner or a *Session.
type Signer interface {
	// Self is whom the signer speaks for.
	Self() identity.ID
	algorithm() Algorithm
	keyID() string
	// newNonce returns a nonce that this signer never returned before.
	newNonce() string
	// canSign refuses a signer whose time is over, or that is not for this direction.
	canSign(d direction, now time.Time) error
	// appendSignature appends the signature of base.
	appendSignature(dst []byte, d direction, base []byte) []byte
}

// Key verifies signatures of one party: a *CertificateKey or a *Session.
type Key interface {
	// Peer is whom the key speaks for.
	Peer() identity.ID
	algorithm() Algorithm
	keyID() string
	canVerify(d direction, now time.Time) error
	verify(d direction, base, signature []byte) bool
	// claim refuses a nonce that was claimed before. It is asked last, so that forgeries use up nothing.
	claim(s *Signature, now time.Time) error
}

// IdentitySigner signs with a call key and its certificate.
type IdentitySigner struct {
	identity *identity.Identity
}

// NewSigner returns a signer for an identity.
func NewSigner(id *identity.Identity) *IdentitySigner { return &IdentitySigner{identity: id} }

// Self implements Signer.
func (s *IdentitySigner) Self() identity.ID { return s.identity.ID() }

// Certificate returns the certificate that SignRequest and SignResponse send along, in DER.
func (s *IdentitySigner) Certificate() []byte { return s.identity.Certificate.DER }

func (s *IdentitySigner) algorithm() Algorithm { return Ed25519 }

func (s *IdentitySigner) keyID() string { return s.identity.Certificate.Thumbprint }

func (s *IdentitySigner) newNonce() string {
	var nonce [16]byte
	rand.Read(nonce[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(nonce[:])
}

func (s *IdentitySigner) canSign(_ direction, now time.Time) error {
	if err := s.identity.Certificate.CheckTime(now); err != nil {
		return because(certificateReason(err), err, "sign as %s: renew the certificate or check the clock", s.Self())
	}
	return nil
}

func (s *IdentitySigner) appendSignature(dst []byte, _ direction, base []byte) []byte {
	return append(dst, s.identity.Key.Sign(base)...)
}

// CertificateKey verifies with the public key of a verified certificate.
type CertificateKey struct {
	certificate *identity.Certificate
	replay      *ReplayCache
}

// NewKey returns the key of a certificate that identity.Bundle.Verify accepted. Calls are verified against replay,
// which may be nil for a key that verifies returns only.
func NewKey(certificate *identity.Certificate, replay *ReplayCache) *CertificateKey {
	return &CertificateKey{certificate: certificate, replay: replay}
}

// Peer implements Key.
func (k *CertificateKey) Peer() identity.ID { return k.certificate.ID }

func (k *CertificateKey) algorithm() Algorithm { return Ed25519 }

func (k *CertificateKey) keyID() string { return k.certificate.Thumbprint }

func (k *CertificateKey) canVerify(_ direction, now time.Time) error {
	if err := k.certificate.CheckTime(now); err != nil {
		return because(certificateReason(err), err, "verify the signature of %s", k.Peer())
	}
	return nil
}

func (k *CertificateKey) verify(_ direction, base, signature []byte) bool {
	return len(signature) == ed25519.SignatureSize && ed25519.Verify(k.certificate.PublicKey(), base, signature)
}

const (
	minNonce = 16 // bytes of a nonce under ed25519: 96 random bits in base64
	maxNonce = 128
)

func (k *CertificateKey) claim(s *Signature, now time.Time) error {
	switch {
	case k.replay == nil:
		return refuse(ReasonReplayCacheFull, "this verifier keeps no replay cache, so it accepts no calls")
	case len(s.Nonce) < minNonce || len(s.Nonce) > maxNonce:
		return refuse(ReasonMalformed, "the nonce is not %d to %d characters", minNonce, maxNonce)
	}
	return k.replay.claim(k.keyID(), s, now)
}

// certificateReason maps the refusal of a certificate to that of the message it came with.
func certificateReason(err error) Reason {
	var ce *identity.CertificateError
	if errors.As(err, &ce) {
		switch ce.Reason {
		case identity.ReasonExpired:
			return ReasonExpired
		case identity.ReasonNotYetValid:
			return ReasonNotYetValid
		}
	}
	return ReasonBadCertificate
}
