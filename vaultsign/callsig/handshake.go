package callsig

import (
	"bytes"
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"time"

	"countersign/vaultsign/identity"
)

// Labels that separate the uses of keys and hashes from each other. A signature base starts with a quote, so that no
// signed session message is a signature base either.
const (
	offerLabel      = "countersign session offer v1\n"
	answerLabel     = "countersign session answer v1\n"
	transcriptLabel = "countersign session transcript v1\n"
	idLabel         = "countersign session id v1\n"
	callKeyLabel    = "countersign session v1 call key"
	returnKeyLabel  = "countersign session v1 return key"
)

const (
	maxSessionMessage = 16 << 10 // bytes
	sessionNonceSize  = 16
	x25519Size        = 32
)

// Trust verifies certificates: an *identity.Bundle.
type Trust interface {
	Verify(der []byte, now time.Time) (*identity.Certificate, error)
}

// Offer is the caller's half of a session that is not complete.
type Offer struct {
	message []byte
	signer  *identity.Identity
	callee  identity.ID
	private *ecdh.PrivateKey
	created time.Time
}

// NewOffer makes an offer of a session with callee. Send Message to the callee's Accept, and its answer to Complete.
func NewOffer(caller *identity.Identity, callee identity.ID, now time.Time) (*Offer, error) {
	if _, ok := callee.Function(); !ok {
		return nil, refuse(ReasonMalformed, "offer a session to %q: only functions are called", callee)
	}
	if err := NewSigner(caller).canSign(calls, now); err != nil {
		return nil, err
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("offer a session to %s: make an X25519 key: %w", callee, err)
	}
	nonce := make([]byte, sessionNonceSize)
	rand.Read(nonce)
	return offerWith(caller, callee, private, nonce, now), nil
}

// offerWith makes the offer that a key and a nonce determine.
func offerWith(
	caller *identity.Identity, callee identity.ID, private *ecdh.PrivateKey, nonce []byte, now time.Time,
) *Offer {
	body := sessionMessage{
		certificate: caller.Certificate.DER, to: []byte(callee.String()),
		public: private.PublicKey().Bytes(), created: now.Unix(), bind: nonce,
	}.append([]byte(offerLabel))
	return &Offer{
		message: seal(body, caller.Key), signer: caller, callee: callee, private: private, created: now,
	}
}

// Message returns the bytes for Accept. They hold no secret.
func (o *Offer) Message() []byte { return o.message }

// Accept verifies an offer to callee and returns the callee's side of the session and the answer for Offer.Complete.
// Refusals are *Error.
func Accept(trust Trust, callee *identity.Identity, offer []byte, now time.Time) (*Session, []byte, error) {
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("accept a session: make an X25519 key: %w", err)
	}
	return acceptWith(trust, callee, offer, private, now)
}

// acceptWith makes the answer that a key determines.
func acceptWith(
	trust Trust, callee *identity.Identity, offer []byte, private *ecdh.PrivateKey, now time.Time,
) (*Session, []byte, error) {
	m, err := openSession(offer, offerLabel)
	if err != nil {
		return nil, nil, err
	}
	if string(m.to) != callee.ID().String() {
		return nil, nil, refuse(ReasonWrongCallee, "the offer is not for %s", callee.ID())
	}
	if len(m.bind) != sessionNonceSize {
		return nil, nil, refuse(ReasonMalformed, "the offer's nonce has %d bytes; want %d", len(m.bind), sessionNonceSize)
	}
	caller, err := m.verify(trust, now)
	if err != nil {
		return nil, nil, err
	}
	if err := NewSigner(callee).canSign(returns, now); err != nil {
		return nil, nil, err
	}
	offered := sha256.Sum256(offer)
	answer := seal(sessionMessage{
		certificate: callee.Certificate.DER, to: []byte(caller.ID.String()),
		public: private.PublicKey().Bytes(), created: now.Unix(), bind: offered[:],
	}.append([]byte(answerLabel)), callee.Key)
	s, err := derive(private, m.public, offer, answer)
	if err != nil {
		return nil, nil, err
	}
	s.isCallee, s.caller, s.callee = true, caller.ID, callee.ID()
	s.expires = sessionEnd(time.Unix(m.created, 0), caller, callee.Certificate)
	return s, answer, nil
}

// Complete verifies the answer to the offer and returns the caller's side of the session. Refusals are *Error.
func (o *Offer) Complete(trust Trust, answer []byte, now time.Time) (*Session, error) {
	m, err := openSession(answer, answerLabel)
	if err != nil {
		return nil, err
	}
	offered := sha256.Sum256(o.message)
	switch {
	case !bytes.Equal(m.bind, offered[:]):
		return nil, refuse(ReasonWrongCall, "the answer is to another offer")
	case string(m.to) != o.signer.ID().String():
		return nil, refuse(ReasonWrongCaller, "the answer is not for %s", o.signer.ID())
	}
	callee, err := m.verify(trust, now)
	if err != nil {
		return nil, err
	}
	if callee.ID != o.callee {
		return nil, refuse(ReasonWrongCallee, "the session was offered to %s, but %s answers", o.callee, callee.ID)
	}
	s, err := derive(o.private, m.public, o.message, answer)
	if err != nil {
		return nil, err
	}
	s.caller, s.callee = o.signer.ID(), callee.ID
	s.expires = sessionEnd(time.Unix(o.created.Unix(), 0), o.signer.Certificate, callee)
	return s, nil
}

// sessionEnd returns when a session ends that was offered at created: both sides compute the same.
func sessionEnd(created time.Time, caller, callee *identity.Certificate) time.Time {
	end := created.Add(MaxSession)
	for _, c := range []*identity.Certificate{caller, callee} {
		if c.NotAfter.Before(end) {
			end = c.NotAfter
		}
	}
	return end
}

// derive makes the session's ID and keys from the key agreement and all that was said (RFC 7748 section 6.1, RFC 5869).
func derive(private *ecdh.PrivateKey, peer, offer, answer []byte) (*Session, error) {
	public, err := ecdh.X25519().NewPublicKey(peer)
	if err != nil {
		return nil, because(ReasonMalformed, err, "read the other side's X25519 key")
	}
	secret, err := private.ECDH(public) // refuses the all-zero result of a low-order key
	if err != nil {
		return nil, because(ReasonMalformed, err, "agree on a session key")
	}
	transcript := hashParts(transcriptLabel, offer, answer)
	s := &Session{id: base64.RawURLEncoding.EncodeToString(hashParts(idLabel, transcript))}
	for d := range s.macs {
		key, err := sessionKey(secret, transcript, direction(d))
		if err != nil {
			return nil, fmt.Errorf("derive session keys: %w", err)
		}
		s.macs[d].init(key)
	}
	return s, nil
}

// sessionKey derives the HMAC key of one direction: HKDF-SHA256 with the transcript's hash as salt.
func sessionKey(secret, transcript []byte, d direction) ([]byte, error) {
	info := callKeyLabel
	if d == returns {
		info = returnKeyLabel
	}
	return hkdf.Key(sha256.New, secret, transcript, info, sha256.Size)
}

// hashParts returns the SHA-256 of a label and length-prefixed parts.
func hashParts(label string, parts ...[]byte) []byte {
	h := sha256.New()
	h.Write([]byte(label))
	for _, part := range parts {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write(part)
	}
	return h.Sum(nil)
}

// sessionMessage is what an offer and an answer have in common. On the wire: label, then each field with its length
// as a big-endian uint32, created as a big-endian int64 of Unix seconds, then the Ed25519 signature of all before it.
type sessionMessage struct {
	certificate []byte // DER of the sender
	to          []byte // SPIFFE ID of the receiver
	public      []byte // X25519 ephemeral public key
	created     int64
	bind        []byte // offer: 16 random bytes; answer: SHA-256 of the offer

	signed    []byte
	signature []byte
}

func (m sessionMessage) append(dst []byte) []byte {
	created := binary.BigEndian.AppendUint64(nil, uint64(m.created))
	for _, part := range [][]byte{m.certificate, m.to, m.public, created, m.bind} {
		dst = binary.BigEndian.AppendUint32(dst, uint32(len(part)))
		dst = append(dst, part...)
	}
	return dst
}

func seal(body []byte, key *identity.CallKey) []byte {
	return append(body[:len(body):len(body)], key.Sign(body)...)
}

// openSession takes a session message apart; nothing of it is verified yet.
func openSession(message []byte, label string) (*sessionMessage, error) {
	if len(message) > maxSessionMessage {
		return nil, refuse(ReasonMalformed, "a session message of %d bytes; at most %d", len(message), maxSessionMessage)
	}
	if len(message) < len(label)+ed25519.SignatureSize || string(message[:len(label)]) != label {
		return nil, refuse(ReasonMalformed, "not a message %q", label[:len(label)-1])
	}
	end := len(message) - ed25519.SignatureSize
	m := &sessionMessage{signed: message[:end], signature: message[end:]}
	rest := message[len(label):end]
	var created []byte
	for _, part := range []*[]byte{&m.certificate, &m.to, &m.public, &created, &m.bind} {
		if len(rest) < 4 {
			return nil, refuse(ReasonMalformed, "the session message is cut short")
		}
		n := binary.BigEndian.Uint32(rest)
		rest = rest[4:]
		if uint64(n) > uint64(len(rest)) {
			return nil, refuse(ReasonMalformed, "the session message is cut short")
		}
		*part, rest = rest[:n:n], rest[n:]
	}
	if len(rest) != 0 || len(created) != 8 || len(m.public) != x25519Size {
		return nil, refuse(ReasonMalformed, "a field of the session message has a wrong length")
	}
	m.created = int64(binary.BigEndian.Uint64(created))
	return m, nil
}

// verify checks the sender's certificate, the message's age and its signature.
func (m *sessionMessage) verify(trust Trust, now time.Time) (*identity.Certificate, error) {
	certificate, err := trust.Verify(m.certificate, now)
	if err != nil {
		return nil, because(certificateReason(err), err, "verify the certificate of a session message")
	}
	switch age := now.Unix() - m.created; {
	case m.created <= 0:
		return nil, refuse(ReasonMalformed, "the session message has no created time")
	case m.created > now.Unix()+skewSeconds:
		return nil, refuse(ReasonNotYetValid, "the session message was created %d s in the future", -age)
	case age > lifetimeSeconds+skewSeconds:
		return nil, refuse(ReasonExpired, "the session message was created %d s ago", age)
	}
	if !ed25519.Verify(certificate.PublicKey(), m.signed, m.signature) {
		return nil, refuse(ReasonBadSignature, "the session message's signature by %s does not verify", certificate.ID)
	}
	return certificate, nil
}
