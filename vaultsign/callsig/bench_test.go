package callsig

import (
	"bytes"
	"testing"
	"time"
)

func benchmarkRoundTrip(b *testing.B, p *pair, k keysOfPair) {
	body := bytes.Repeat([]byte("x"), 200)
	call := p.call()
	call.Body, call.Hops, call.Traceparent = body, 1, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	b.ReportAllocs()
	for b.Loop() {
		if err := roundTrip(p, k, call, body); err != nil {
			b.Fatal(err)
		}
	}
}

func roundTrip(p *pair, k keysOfPair, call Call, body []byte) error {
	now := time.Now()
	sc, err := SignCall(k.signCall, call, now)
	if err != nil {
		return err
	}
	if err := VerifyCall(k.verifyCall, p.tax.ID(), sc, now); err != nil {
		return err
	}
	sr, err := SignReturn(k.signReturn, sc, Return{Status: 200, Body: body}, now)
	if err != nil {
		return err
	}
	return VerifyReturn(k.verifyReturn, sc, sr, now)
}

// BenchmarkLocal signs and verifies a call and its return in a session.
func BenchmarkLocal(b *testing.B) {
	p := newPair(b)
	benchmarkRoundTrip(b, p, keysOfPair{p.caller, p.callee, p.callee, p.caller})
}

// BenchmarkEd25519 does the same with call keys.
func BenchmarkEd25519(b *testing.B) {
	p := newPair(b)
	benchmarkRoundTrip(b, p, keysOfPair{
		NewSigner(p.quote), NewKey(p.quote.Certificate, ResumeReplayCache(0, p.now, nil)),
		NewSigner(p.tax), NewKey(p.tax.Certificate, nil),
	})
}

// BenchmarkSession makes both sides of a session.
func BenchmarkSession(b *testing.B) {
	p := newPair(b)
	b.ReportAllocs()
	for b.Loop() {
		p.session(b)
	}
}
