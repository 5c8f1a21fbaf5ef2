package callsig

import (
	"bytes"
	"testing"
	"time"

	"countersign/vaultsign/identity"
)

func TestSessionEnds(t *testing.T) {
	p := newPair(t)
	tests := map[string]struct{ caller, callee, want time.Duration }{
		"after an hour":        {2 * time.Hour, 3 * time.Hour, MaxSession},
		"with the caller's":    {10 * time.Minute, time.Hour, 10 * time.Minute},
		"with the callee's":    {time.Hour, 5 * time.Minute, 5 * time.Minute},
		"with both, in a hour": {time.Hour, time.Hour, MaxSession},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			start := p.now.Truncate(time.Second) // certificates and sessions count in seconds
			q := &pair{ca: p.ca, now: start}
			q.quote = p.ca.identity(t, p.quote.ID(), start.Add(-time.Minute), start.Add(test.caller))
			q.tax = p.ca.identity(t, p.tax.ID(), start.Add(-time.Minute), start.Add(test.callee))
			caller, callee := q.session(t)
			want := start.Add(test.want)
			if !caller.Expires().Equal(want) || !callee.Expires().Equal(want) {
				t.Fatalf("ends at %v and %v, want %v", caller.Expires(), callee.Expires(), want)
			}
			sc, err := SignCall(caller, q.call(), want)
			must(t, err)
			must(t, VerifyCall(callee, q.tax.ID(), sc, want))
			_, err = SignCall(caller, q.call(), want.Add(time.Second))
			wantReason(t, err, ReasonExpired)
			wantReason(t, VerifyCall(callee, q.tax.ID(), sc, want.Add(time.Second)), ReasonExpired)
		})
	}
}

func TestSessionNamesItsParties(t *testing.T) {
	p := newPair(t)
	for _, s := range []*Session{p.caller, p.callee} {
		if s.Caller() != p.quote.ID() || s.Callee() != p.tax.ID() || len(s.ID()) != 43 {
			t.Errorf("session %s of %s with %s", s.ID(), s.Caller(), s.Callee())
		}
	}
	if p.caller.Self() != p.quote.ID() || p.caller.Peer() != p.tax.ID() || p.callee.Self() != p.tax.ID() ||
		p.callee.Peer() != p.quote.ID() {
		t.Error("the sides are mixed up")
	}
}

// reseal changes a session message and signs it again with a key.
func reseal(tb testing.TB, message []byte, label string, key *identity.CallKey, change func(*sessionMessage)) []byte {
	tb.Helper()
	m, err := openSession(message, label)
	must(tb, err)
	change(m)
	return seal(m.append([]byte(label)), key)
}

func TestAcceptRefuses(t *testing.T) {
	p := newPair(t)
	stranger := newAuthority(t, p.now)
	forged := stranger.identity(t, p.quote.ID(), p.now.Add(-time.Hour), p.now.Add(time.Hour))
	change := func(f func(*sessionMessage)) func([]byte) []byte {
		return func(b []byte) []byte { return reseal(t, b, offerLabel, p.quote.Key, f) }
	}
	tests := map[string]struct {
		change func([]byte) []byte
		later  time.Duration
		want   Reason
	}{
		"empty":         {func([]byte) []byte { return nil }, 0, ReasonMalformed},
		"label only":    {func([]byte) []byte { return []byte(offerLabel) }, 0, ReasonMalformed},
		"an answer":     {func(b []byte) []byte { return append([]byte(answerLabel), b...) }, 0, ReasonMalformed},
		"cut short":     {func(b []byte) []byte { return b[:len(b)-1] }, 0, ReasonMalformed},
		"one more byte": {func(b []byte) []byte { return append(b, 0) }, 0, ReasonMalformed},
		"huge":          {func(b []byte) []byte { return append(b, make([]byte, maxSessionMessage)...) }, 0, ReasonMalformed},
		"huge length": {func(b []byte) []byte {
			copy(b[len(offerLabel):], "\xff\xff\xff\xff")
			return b
		}, 0, ReasonMalformed},
		"one bit of the key": {func(b []byte) []byte {
			at := bytes.Index(b, []byte(p.tax.ID().String())) + len(p.tax.ID().String()) + 4
			b[at] ^= 1
			return b
		}, 0, ReasonBadSignature},
		"one bit of the signature": {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, 0, ReasonBadSignature},
		"for another": {
			change(func(m *sessionMessage) { m.to = []byte(p.quote.ID().String()) }), 0, ReasonWrongCallee,
		},
		"short nonce":         {change(func(m *sessionMessage) { m.bind = m.bind[1:] }), 0, ReasonMalformed},
		"short key":           {change(func(m *sessionMessage) { m.public = m.public[1:] }), 0, ReasonMalformed},
		"low-order key":       {change(func(m *sessionMessage) { m.public = make([]byte, 32) }), 0, ReasonMalformed},
		"no created":          {change(func(m *sessionMessage) { m.created = 0 }), 0, ReasonMalformed},
		"created long before": {change(func(m *sessionMessage) { m.created = -1 << 63 }), 0, ReasonMalformed},
		"created never":       {change(func(m *sessionMessage) { m.created = 1<<63 - 1 }), 0, ReasonNotYetValid},
		"too old":             {nil, 72 * time.Second, ReasonExpired},
		"from the future":     {nil, -12 * time.Second, ReasonNotYetValid},
		"not a certificate": {
			change(func(m *sessionMessage) { m.certificate = []byte("x") }), 0, ReasonBadCertificate,
		},
		"certificate of another": {
			change(func(m *sessionMessage) { m.certificate = p.tax.Certificate.DER }), 0, ReasonBadSignature,
		},
		"certificate of another CA": {func(b []byte) []byte {
			return reseal(t, b, offerLabel, forged.Key, func(m *sessionMessage) { m.certificate = forged.Certificate.DER })
		}, 0, ReasonBadCertificate},
		"certificate over": {nil, 3 * time.Hour, ReasonExpired},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			offer, err := NewOffer(p.quote, p.tax.ID(), p.now)
			must(t, err)
			message := bytes.Clone(offer.Message())
			if test.change != nil {
				message = test.change(message)
			}
			session, answer, err := Accept(p.ca.Bundle, p.tax, message, p.now.Add(test.later))
			wantReason(t, err, test.want)
			if session != nil || answer != nil {
				t.Error("a refused offer made a session")
			}
		})
	}
}

func TestCompleteRefuses(t *testing.T) {
	p := newPair(t)
	fx := p.ca.identity(t, function(t, "fx"), p.now.Add(-time.Hour), p.now.Add(time.Hour))
	change := func(f func(*sessionMessage)) func([]byte) []byte {
		return func(b []byte) []byte { return reseal(t, b, answerLabel, p.tax.Key, f) }
	}
	tests := map[string]struct {
		change func([]byte) []byte
		want   Reason
	}{
		"an offer":    {func([]byte) []byte { return nil }, ReasonMalformed},
		"one bit":     {func(b []byte) []byte { b[len(b)-1] ^= 1; return b }, ReasonBadSignature},
		"another's":   {change(func(m *sessionMessage) { m.to = []byte(p.tax.ID().String()) }), ReasonWrongCaller},
		"other offer": {change(func(m *sessionMessage) { m.bind = make([]byte, 32) }), ReasonWrongCall},
		"low order":   {change(func(m *sessionMessage) { m.public = make([]byte, 32) }), ReasonMalformed},
		"other callee": {func(b []byte) []byte {
			return reseal(t, b, answerLabel, fx.Key, func(m *sessionMessage) { m.certificate = fx.Certificate.DER })
		}, ReasonWrongCallee},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			offer, err := NewOffer(p.quote, p.tax.ID(), p.now)
			must(t, err)
			_, answer, err := Accept(p.ca.Bundle, p.tax, offer.Message(), p.now)
			must(t, err)
			_, err = offer.Complete(p.ca.Bundle, test.change(answer), p.now)
			wantReason(t, err, test.want)
		})
	}
	_, err := NewOffer(p.quote, client(t, "ann"), p.now)
	wantReason(t, err, ReasonMalformed)
	_, err = NewOffer(p.quote, p.tax.ID(), p.now.Add(3*time.Hour))
	wantReason(t, err, ReasonExpired)
	offer, err := NewOffer(p.quote, p.tax.ID(), p.now)
	must(t, err)
	_, _, err = Accept(p.ca.Bundle, p.ca.identity(t, p.tax.ID(), p.now.Add(-time.Hour), p.now.Add(-time.Minute)),
		offer.Message(), p.now)
	wantReason(t, err, ReasonExpired)
}

// The two sides derive different keys if either was told something else, whoever relayed it.
func TestSessionsBindTheTranscript(t *testing.T) {
	p := newPair(t)
	offer, err := NewOffer(p.quote, p.tax.ID(), p.now)
	must(t, err)
	first, _, err := Accept(p.ca.Bundle, p.tax, offer.Message(), p.now)
	must(t, err)
	second, answer, err := Accept(p.ca.Bundle, p.tax, offer.Message(), p.now)
	must(t, err)
	caller, err := offer.Complete(p.ca.Bundle, answer, p.now)
	must(t, err)
	sc, err := SignCall(caller, p.call(), p.now)
	must(t, err)
	wantReason(t, VerifyCall(first, p.tax.ID(), sc, p.now), ReasonUnknownKey)
	must(t, VerifyCall(second, p.tax.ID(), sc, p.now))
}
