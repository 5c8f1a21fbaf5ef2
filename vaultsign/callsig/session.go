package callsig

import (
	"crypto/hmac"
	"crypto/sha256"
	"hash"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"countersign/vaultsign/identity"
)

// MaxSession is the longest that a session lives; it ends earlier with the earlier of the two certificates.
const MaxSession = time.Hour

// Session signs calls from one instance to another of the same node, and the returns, with HMAC-SHA256. Both sides hold
// their own Session, made by NewOffer, Accept and Offer.Complete. The caller's side signs calls and verifies returns;
// the callee's side does the opposite. A Session is safe for concurrent use.
type Session struct {
	id       string
	caller   identity.ID
	callee   identity.ID
	isCallee bool
	expires  time.Time
	macs     [2]macPool // by direction
	sent     atomic.Uint64
	seen     window
}

// ID returns the session's ID: the keyid of its signatures.
func (s *Session) ID() string { return s.id }

// Caller returns who signs calls in this session.
func (s *Session) Caller() identity.ID { return s.caller }

// Callee returns who is called in this session.
func (s *Session) Callee() identity.ID { return s.callee }

// Expires returns when the session ends.
func (s *Session) Expires() time.Time { return s.expires }

// Self implements Signer.
func (s *Session) Self() identity.ID {
	if s.isCallee {
		return s.callee
	}
	return s.caller
}

// Peer implements Key.
func (s *Session) Peer() identity.ID {
	if s.isCallee {
		return s.caller
	}
	return s.callee
}

func (s *Session) algorithm() Algorithm { return HMACSHA256 }

func (s *Session) keyID() string { return s.id }

// newNonce counts, so that the other side can tell a replay without remembering every nonce.
func (s *Session) newNonce() string { return strconv.FormatUint(s.sent.Add(1), 10) }

func (s *Session) canSign(d direction, now time.Time) error {
	if (d == returns) != s.isCallee {
		return refuse(ReasonWrongCaller, "this side of the session does not sign such messages")
	}
	return s.checkTime(now)
}

func (s *Session) canVerify(d direction, now time.Time) error {
	if (d == calls) != s.isCallee {
		return refuse(ReasonWrongCallee, "this side of the session does not verify such messages")
	}
	return s.checkTime(now)
}

func (s *Session) checkTime(now time.Time) error {
	if now.After(s.expires) {
		return refuse(ReasonExpired, "the session ended %s; offer a new one", s.expires.UTC().Format(time.RFC3339))
	}
	return nil
}

func (s *Session) appendSignature(dst []byte, d direction, base []byte) []byte {
	return s.macs[d].append(dst, base)
}

func (s *Session) verify(d direction, base, signature []byte) bool {
	return s.macs[d].verify(base, signature)
}

func (s *Session) claim(sig *Signature, _ time.Time) error {
	n, err := strconv.ParseUint(sig.Nonce, 10, 64)
	if err != nil || n == 0 || strconv.FormatUint(n, 10) != sig.Nonce {
		return refuse(ReasonMalformed, "a session's nonce is a count from 1")
	}
	if !s.seen.claim(n) {
		return refuse(ReasonReplayed, "the call's nonce was used before in this session")
	}
	return nil
}

// macPool keeps HMAC states that have hashed the key already.
type macPool struct{ pool sync.Pool }

// mac is one such state, with room for its result.
type mac struct {
	hash hash.Hash
	sum  [sha256.Size]byte
}

func (m *macPool) init(key []byte) {
	m.pool.New = func() any { return &mac{hash: hmac.New(sha256.New, key)} }
}

func (m *mac) compute(message []byte) []byte {
	m.hash.Reset()
	m.hash.Write(message) // never fails
	return m.hash.Sum(m.sum[:0])
}

func (m *macPool) append(dst, message []byte) []byte {
	state := m.pool.Get().(*mac)
	defer m.pool.Put(state)
	return append(dst, state.compute(message)...)
}

func (m *macPool) verify(message, signature []byte) bool {
	state := m.pool.Get().(*mac)
	defer m.pool.Put(state)
	return hmac.Equal(state.compute(message), signature)
}

// windowSize is how far a call may be overtaken by later calls of its session before it is refused.
const windowSize = 1 << 14

// window tells which counts were claimed, as in RFC 4303 section 3.4.3: those too old to know count as claimed.
type window struct {
	mu   sync.Mutex
	last uint64 // highest count claimed
	bits [windowSize / 64]uint64
}

func (w *window) claim(n uint64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case n > w.last:
		w.forget(n)
		w.last = n
	case w.last-n >= windowSize:
		return false
	case w.bits[n/64%(windowSize/64)]&(1<<(n%64)) != 0:
		return false
	}
	w.bits[n/64%(windowSize/64)] |= 1 << (n % 64)
	return true
}

// forget clears the bits of the counts after last up to n: they stand for counts that left the window.
func (w *window) forget(n uint64) {
	if n-w.last >= windowSize {
		w.bits = [windowSize / 64]uint64{}
		return
	}
	for i := w.last + 1; i <= n; i++ {
		w.bits[i/64%(windowSize/64)] &^= 1 << (i % 64)
	}
}
