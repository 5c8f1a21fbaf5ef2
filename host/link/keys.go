package link

import (
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"

	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// maxCertificates is how many certificates of a peer are known at a time: the newest.
const maxCertificates = 4

// keys are the certificates that the peer of a connection has proved to hold the keys of: that of the TLS handshake,
// and those that came in certificate frames. All are of one SPIFFE ID.
type keys struct {
	peer    identity.ID
	role    string // of the peer: roleCaller or roleCallee
	binding []byte // what ties a proof to the connection
	trust   func() *identity.Bundle
	replay  *callsig.ReplayCache // nil at the calling end

	mu     sync.Mutex
	bundle *identity.Bundle // that verified them
	known  []known          // oldest first
}

type known struct {
	digest      digest
	certificate *identity.Certificate
	key         *callsig.CertificateKey
	batch       *callsig.BatchKey
}

// Which end of a connection somebody is.
const (
	roleCaller = "caller"
	roleCallee = "callee"
)

// bindingOf returns bytes that only the two ends of a TLS connection know, and that no other connection has (RFC 9266).
func bindingOf(state *tls.ConnectionState) ([]byte, error) {
	return state.ExportKeyingMaterial("EXPORTER-countersign-link", nil, 32)
}

// newKeys begins with the certificate of the TLS handshake, which verified it and the possession of its key.
func newKeys(state tls.ConnectionState, role string, trust func() *identity.Bundle, replay *callsig.ReplayCache) (*keys, error) {
	certificate, err := identity.PeerOf(state)
	if err != nil {
		return nil, err
	}
	if certificate == nil {
		return nil, refuse(callsig.ReasonUnknownKey, "the %s presented no certificate", role)
	}
	binding, err := bindingOf(&state)
	if err != nil {
		return nil, err
	}
	k := &keys{peer: certificate.ID, role: role, binding: binding, trust: trust, replay: replay}
	k.keep(certificate)
	return k, nil
}

func (k *keys) keep(c *identity.Certificate) {
	if len(k.known) == maxCertificates {
		k.known = slices.Delete(k.known, 0, 1)
	}
	key := callsig.NewKey(c, k.replay)
	k.known = append(k.known, known{digestOf(c), c, key, callsig.NewBatchKey(key)})
}

func digestOf(c *identity.Certificate) digest { return c.Digest() }

// find returns the key that a signature names, if the current trust bundle verifies its certificate, and completes the
// signature with the key's ID.
func (k *keys) find(d digest, s *callsig.Signature, now time.Time) (callsig.Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if bundle := k.trust(); bundle != k.bundle {
		k.verify(bundle, now)
	}
	for i := range k.known {
		known := &k.known[i]
		if known.digest != d {
			continue
		}
		s.KeyID = known.certificate.Thumbprint
		if s.Algorithm == callsig.Ed25519Batch {
			return known.batch, nil
		}
		return known.key, nil
	}
	return nil, refuse(callsig.ReasonUnknownKey, "the signature names a certificate that the %s has not sent, or that is "+
		"not trusted any more", k.role)
}

// verify drops the certificates that a new trust bundle does not verify.
func (k *keys) verify(bundle *identity.Bundle, now time.Time) {
	k.known = slices.DeleteFunc(k.known, func(n known) bool {
		if bundle == nil {
			return true
		}
		_, err := bundle.Verify(n.certificate.DER, now)
		return err != nil
	})
	k.bundle = bundle
}

// proofLabel begins what a certificate frame's proof signs.
const proofLabel = "countersign link certificate v1\n"

// proofBase is what the proof of a certificate frame signs: that who holds the key is this end of this connection.
func proofBase(role string, binding []byte, d digest) []byte {
	base := append([]byte(proofLabel), role...)
	return append(append(append(base, '\n'), binding...), d[:]...)
}

// encodeCertificate makes the payload of a certificate frame.
func encodeCertificate(id *identity.Identity, role string, binding []byte) []byte {
	proof := id.Key.Sign(proofBase(role, binding, digestOf(id.Certificate)))
	return append(proof, id.Certificate.DER...)
}

// learn takes a certificate frame of the peer.
func (k *keys) learn(payload []byte, now time.Time) error {
	r := reader{rest: payload}
	proof := r.take(ed25519.SignatureSize)
	if r.broken {
		return malformed("certificate is cut off")
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	bundle := k.trust()
	if bundle == nil {
		return refuse(callsig.ReasonBadCertificate, "there is no trust bundle yet")
	}
	certificate, err := bundle.Verify(r.rest, now)
	if err != nil {
		reason := callsig.ReasonBadCertificate
		var ce *identity.CertificateError
		if errors.As(err, &ce) && ce.Reason == identity.ReasonExpired {
			reason = callsig.ReasonExpired
		}
		return &callsig.Error{Reason: reason, Message: "verify a new certificate of the " + k.role, Err: err}
	}
	if certificate.ID != k.peer {
		return refuse(callsig.ReasonBadCertificate, "the %s is %s and sent a certificate of %s", k.role, k.peer, certificate.ID)
	}
	d := digestOf(certificate)
	if !ed25519.Verify(certificate.PublicKey(), proofBase(k.role, k.binding, d), proof) {
		return refuse(callsig.ReasonBadSignature, "the %s does not prove that it holds the key of its new certificate", k.role)
	}
	for i := range k.known {
		if k.known[i].digest == d {
			return nil
		}
	}
	k.keep(certificate)
	return nil
}

// presented are the certificates that this end has sent, oldest first: those that the peer knows.
type presented []digest

// add notes a certificate, and reports whether the peer did not know it.
func (p *presented) add(d digest) bool {
	if slices.Contains(*p, d) {
		return false
	}
	if len(*p) == maxCertificates {
		*p = slices.Delete(*p, 0, 1)
	}
	*p = append(*p, d)
	return true
}
