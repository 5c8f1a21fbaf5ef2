package callsig

import (
	"bytes"
	"testing"
	"time"
)

func BenchmarkLocal(b *testing.B) {
	p := newPair(b)
	body := bytes.Repeat([]byte("x"), 200)
	call := p.call()
	call.Body, call.Hops, call.Traceparent = body, 1, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		sc, err := SignCall(p.caller, call, now)
		must(b, err)
		must(b, VerifyCall(p.callee, p.tax.ID(), sc, now))
		sr, err := SignReturn(p.callee, sc, Return{Status: 200, Body: body}, now)
		must(b, err)
		must(b, VerifyReturn(p.caller, sc, sr, now))
	}
}

func BenchmarkEd25519(b *testing.B) {
	p := newPair(b)
	body := bytes.Repeat([]byte("x"), 200)
	call := p.call()
	call.Body = body
	cache := NewReplayCache(0, p.now)
	quote, tax := NewSigner(p.quote), NewSigner(p.tax)
	callKey, returnKey := NewKey(p.quote.Certificate, cache), NewKey(p.tax.Certificate, nil)
	b.ReportAllocs()
	for b.Loop() {
		now := time.Now()
		sc, err := SignCall(quote, call, now)
		must(b, err)
		must(b, VerifyCall(callKey, p.tax.ID(), sc, now))
		sr, err := SignReturn(tax, sc, Return{Status: 200, Body: body}, now)
		must(b, err)
		must(b, VerifyReturn(returnKey, sc, sr, now))
	}
}

func BenchmarkSession(b *testing.B) {
	p := newPair(b)
	b.ReportAllocs()
	for b.Loop() {
		p.session(b)
	}
}
