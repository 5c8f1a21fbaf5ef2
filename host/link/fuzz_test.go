package link

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// FuzzFrames reads frames off a stream of bytes, as either end. What is taken for a frame must be one in full, and
// come out of the encoder as it went into the decoder.
func FuzzFrames(f *testing.F) {
	fix := newFixture(f)
	quote, tax := fix.instance("quote").Identity(), fix.instance("tax").Identity()
	call := fix.sign(quote, tax.ID(), time.Now())
	sr, err := callsig.SignReturn(callsig.NewSigner(tax), call, callsig.Return{Status: 200, Body: []byte("x"), Explain: "[]"}, time.Now())
	must(f, err)
	terms := Terms{Timeout: time.Second, Idempotent: true, MaxRequest: 1000, MaxResponse: 1000, Release: "r"}
	for _, seed := range [][]byte{
		frameOf(1, call, quote), returnFrame(1, sr, tax), appendControl(nil, kindTerms, 0, encodeTerms(terms, digest{1})),
		appendControl(nil, kindRefused, 3, encodeRefused("unverified", "why")), appendControl(nil, kindCancel, 1, nil),
		appendControl(nil, kindCertificate, 0, encodeCertificate(quote, roleCaller, make([]byte, 32))),
		appendControl(nil, kindGoAway, 0, encodeRefused("unavailable", "bye")), appendControl(nil, kindPing, 0, nil),
		frameOf(1, call, quote)[:50],
	} {
		f.Add(seed)
	}
	limit := func(kind) int64 { return 1 << 20 }
	f.Fuzz(func(t *testing.T, stream []byte) {
		c := &conn{in: bufio.NewReader(bytes.NewReader(stream)), peer: &keys{peer: quote.ID(), role: roleCaller, binding: make([]byte, 32),
			trust: func() *identity.Bundle { return fix.trust }}}
		for {
			got, err := c.next(limit)
			if err != nil {
				if frame := (*frameError)(nil); !errors.Is(err, io.EOF) && !errors.As(err, &frame) {
					t.Fatalf("got %v (%T)", err, err)
				}
				return
			}
			whole := appendControl(nil, got.kind, got.stream, got.payload)
			if again := recode(c, got); again != nil && !bytes.Equal(again, whole) {
				t.Fatalf("decoded and encoded\n%x\nis\n%x", whole, again)
			}
		}
	})
}

// recode decodes a frame and encodes what came of it; nil if it is refused or is nothing but its payload.
func recode(c *conn, f frame) []byte {
	switch f.kind {
	case kindTerms:
		if t, certificate, err := parseTerms(f.payload); err == nil {
			return appendControl(nil, f.kind, f.stream, encodeTerms(t, certificate))
		}
	case kindCall:
		in, err := new(names).parseCall(f.payload)
		if err == nil && in.signed.Signature.Algorithm != unknownAlgorithm {
			return append(appendCall(nil, f.stream, &in.signed, in.key), in.signed.Call.Body...)
		}
	case kindReturn:
		sr, key, err := parseReturn(f.payload)
		if err == nil && sr.Signature.Algorithm != unknownAlgorithm {
			return append(appendReturn(nil, f.stream, sr, key), sr.Return.Body...)
		}
	case kindRefused, kindGoAway:
		if e, err := parseRefused(f.payload); err == nil && len(e.Reason) <= maxReason {
			return appendControl(nil, f.kind, f.stream, encodeRefused(e.Code, e.Reason))
		}
	case kindCertificate:
		c.peer.learn(f.payload, time.Now())
	}
	return nil
}
