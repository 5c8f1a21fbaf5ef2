package link

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// rogue is an end of a connection that writes what it likes.
type rogue struct {
	tb      testing.TB
	conn    *tls.Conn
	binding []byte
}

// dial connects to the fixture as id, and reads the terms.
func (f *fixture) dial(id *identity.Identity, to *instance) *rogue {
	f.tb.Helper()
	config := identity.TLSConfig(func() *identity.Bundle { return f.trust }, nil)
	config.ServerName, config.NextProtos = ServerName(to.alloc, to.Identity().ID().Name()), []string{ALPN}
	config.Certificates = []tls.Certificate{*id.TLSCertificate()}
	conn, err := tls.Dial("tcp", f.addr, config)
	must(f.tb, err)
	r := f.rogue(conn)
	if k, _, _ := r.read(); k != kindTerms {
		f.tb.Fatalf("the first frame is of kind %d", k)
	}
	return r
}

func (f *fixture) rogue(conn *tls.Conn) *rogue {
	f.tb.Cleanup(func() { conn.Close() })
	state := conn.ConnectionState()
	binding, err := bindingOf(&state)
	must(f.tb, err)
	return &rogue{f.tb, conn, binding}
}

// read returns the next frame, or kind 0 when the connection has ended.
func (r *rogue) read() (kind, uint64, []byte) {
	r.tb.Helper()
	r.conn.SetReadDeadline(time.Now().Add(5 * time.Second))
	var header [lengthSize + headerSize]byte
	if _, err := io.ReadFull(r.conn, header[:]); err != nil {
		if errors.Is(err, context.DeadlineExceeded) || strings.Contains(err.Error(), "timeout") {
			r.tb.Fatal("no frame for 5 s")
		}
		return 0, 0, nil
	}
	payload := make([]byte, binary.BigEndian.Uint32(header[:])-headerSize)
	if _, err := io.ReadFull(r.conn, payload); err != nil {
		return 0, 0, nil
	}
	return kind(header[lengthSize]), binary.BigEndian.Uint64(header[lengthSize+1:]), payload
}

func (r *rogue) write(b []byte) {
	r.tb.Helper()
	if _, err := r.conn.Write(b); err != nil {
		r.tb.Fatal(err)
	}
}

// sign makes a call of from, signed at now.
func (f *fixture) sign(from *identity.Identity, to identity.ID, now time.Time) *callsig.SignedCall {
	f.tb.Helper()
	call := callsig.Call{Caller: from.ID(), Callee: to, Deadline: now.Add(time.Minute), ID: "rogue", Body: []byte("body")}
	signed, err := callsig.SignCall(callsig.NewSigner(from), call, now)
	must(f.tb, err)
	return signed
}

// frameOf is the whole frame of a call that names the certificate of by.
func frameOf(stream uint64, sc *callsig.SignedCall, by *identity.Identity) []byte {
	return append(appendCall(nil, stream, sc, digestOf(by.Certificate)), sc.Call.Body...)
}

// wantRefused reads a refusal.
func (r *rogue) wantRefused(stream uint64, code countersign.Code) {
	r.tb.Helper()
	k, got, payload := r.read()
	refused, err := parseRefused(payload)
	if k != kindRefused || got != stream || err != nil || refused.Code != code {
		r.tb.Fatalf("got kind %d on stream %d, %v, %v; want a refusal %s on %d", k, got, refused, err, code, stream)
	}
}

func (r *rogue) wantEnd() {
	r.tb.Helper()
	for {
		if k, _, _ := r.read(); k == 0 {
			return
		}
	}
}

// TestForgedCalls sends calls that a host without the caller's key could make.
func TestForgedCalls(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	quote, fx := f.instance("quote").Identity(), f.instance("fx").Identity()
	quote2 := f.instance("quote").Identity()
	callee, now := tax.Identity().ID(), time.Now()
	changed := func(edit func(*callsig.SignedCall)) []byte {
		sc := f.sign(quote, callee, now)
		edit(sc)
		return frameOf(1, sc, quote)
	}
	recorded := func(by *identity.Identity) []byte { return frameOf(1, f.sign(quote, callee, now), by) }
	at := func(d time.Duration) []byte { return frameOf(1, f.sign(quote, callee, now.Add(d)), quote) }
	posing := f.sign(fx, callee, now)
	posing.Call.Caller = quote.ID()
	tests := map[string]struct {
		peer   *identity.Identity
		frame  []byte
		reason callsig.Reason
	}{
		"quote's recorded call from fx":                {fx, recorded(quote), callsig.ReasonUnknownKey},
		"fx names quote and its own key":               {fx, frameOf(1, posing, fx), callsig.ReasonWrongCaller},
		"recorded call from another instance of quote": {quote2, recorded(quote), callsig.ReasonUnknownKey},
		"the same under its own key":                   {quote2, recorded(quote2), callsig.ReasonBadSignature},
		"another function":                             {quote, frameOf(1, f.sign(quote, fx.ID(), now), quote), callsig.ReasonWrongCallee},
		"another deadline": {quote, changed(func(sc *callsig.SignedCall) {
			sc.Call.Deadline = sc.Call.Deadline.Add(time.Second)
		}), callsig.ReasonBadSignature},
		"another body": {quote, changed(func(sc *callsig.SignedCall) { sc.Call.Body = []byte("nobody") }), callsig.ReasonBadDigest},
		"no signature": {quote, changed(func(sc *callsig.SignedCall) { sc.Signature.Value = nil }), callsig.ReasonUnsigned},
		"half a signature": {quote, changed(func(sc *callsig.SignedCall) {
			sc.Signature.Value = sc.Signature.Value[:32]
		}), callsig.ReasonBadSignature},
		"another algorithm": {quote, changed(func(sc *callsig.SignedCall) {
			sc.Signature.Algorithm = callsig.HMACSHA256
		}), callsig.ReasonWrongAlgorithm},
		"delayed":       {quote, at(-50 * time.Second), callsig.ReasonExpired},
		"of the future": {quote, at(30 * time.Second), callsig.ReasonNotYetValid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := f.dial(test.peer, tax)
			r.write(test.frame)
			r.wantRefused(1, test.reason.Code())
			f.wantReported(test.reason)
		})
	}
	if tax.runs.Load() != 0 {
		t.Errorf("%d forged calls were executed", tax.runs.Load())
	}
}

// TestReplays sends one call again: on the same connection, on another one, to another instance, and late.
func TestReplays(t *testing.T) {
	var now time.Time
	f := newFixture(t, func(c *ServerConfig) { c.Now = func() time.Time { return now } })
	now = time.Now()
	tax, tax2 := f.callee("tax"), f.callee("tax")
	quote := f.instance("quote").Identity()
	sc := f.sign(quote, tax.Identity().ID(), now)
	r := f.dial(quote, tax)
	r.write(frameOf(1, sc, quote))
	if k, _, _ := r.read(); k != kindReturn {
		t.Fatalf("the call itself got a frame of kind %d", k)
	}
	r.write(frameOf(2, sc, quote))
	r.wantRefused(2, countersign.CodeReplayed)
	f.wantReported(callsig.ReasonReplayed)
	for _, to := range []*instance{tax, tax2} {
		r = f.dial(quote, to)
		r.write(frameOf(1, sc, quote))
		r.wantRefused(1, countersign.CodeReplayed)
		f.wantReported(callsig.ReasonReplayed)
	}
	r = f.dial(quote, tax)
	now = now.Add(2 * callsig.MaxLifetime)
	r.write(frameOf(1, sc, quote))
	r.wantRefused(1, countersign.CodeExpired)
	f.wantReported(callsig.ReasonExpired)
	if tax.runs.Load() != 1 || tax2.runs.Load() != 0 {
		t.Errorf("executed %d and %d times", tax.runs.Load(), tax2.runs.Load())
	}
}

// TestReplayedBatch sends a call again that shares its signature with others, and one whose place in the batch is forged.
func TestReplayedBatch(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	quote := f.instance("quote").Identity()
	signer := callsig.NewSigner(quote)
	batch := make([]callsig.Unsigned, 3)
	for i := range batch {
		call := callsig.Call{Caller: quote.ID(), Callee: tax.Identity().ID(), Deadline: time.Now().Add(time.Minute), ID: "rogue"}
		sc, err := callsig.PrepareCall(signer, call, time.Now())
		must(t, err)
		batch[i].Call = sc
	}
	must(t, callsig.SignBatch(signer, batch))
	r := f.dial(quote, tax)
	for i, m := range batch[:2] {
		r.write(frameOf(uint64(i+1), m.Call, quote))
		if k, _, _ := r.read(); k != kindReturn {
			t.Fatalf("a call was answered with a frame of kind %d", k)
		}
	}
	r.write(frameOf(3, batch[1].Call, quote))
	r.wantRefused(3, countersign.CodeReplayed)
	f.wantReported(callsig.ReasonReplayed)
	batch[2].Call.Signature.Value = batch[0].Call.Signature.Value
	r.write(frameOf(4, batch[2].Call, quote))
	r.wantRefused(4, countersign.CodeUnverified)
	f.wantReported(callsig.ReasonBadSignature)
	if tax.runs.Load() != 2 {
		t.Errorf("executed %d times", tax.runs.Load())
	}
}

// TestCertificateFrames sends certificates that are not the peer's to show.
func TestCertificateFrames(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	quote, fx := f.instance("quote").Identity(), f.instance("fx").Identity()
	quote2 := f.ca.Identity(t, quote.ID())
	stranger := newAuthority(t).Identity(t, fx.ID())
	other := f.dial(fx, tax)
	fx2 := f.ca.Identity(t, fx.ID())
	for name, test := range map[string]struct {
		payload func(binding []byte) []byte
		reason  callsig.Reason
	}{
		"of quote":         {func(b []byte) []byte { return encodeCertificate(quote, roleCaller, b) }, callsig.ReasonBadCertificate},
		"of another CA":    {func(b []byte) []byte { return encodeCertificate(stranger, roleCaller, b) }, callsig.ReasonBadCertificate},
		"of another link":  {func([]byte) []byte { return encodeCertificate(fx2, roleCaller, other.binding) }, callsig.ReasonBadSignature},
		"of the other end": {func(b []byte) []byte { return encodeCertificate(fx2, roleCallee, b) }, callsig.ReasonBadSignature},
		"without the key": {func(b []byte) []byte {
			return append(encodeCertificate(fx, roleCaller, b)[:64], fx2.Certificate.DER...)
		}, callsig.ReasonBadSignature},
		"cut off": {func(b []byte) []byte { return encodeCertificate(fx, roleCaller, b)[:63] }, callsig.ReasonMalformed},
		"garbage": {func([]byte) []byte { return make([]byte, 300) }, callsig.ReasonBadCertificate},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.dial(fx, tax)
			r.write(appendControl(nil, kindCertificate, 0, test.payload(r.binding)))
			r.write(frameOf(1, f.sign(quote2, tax.Identity().ID(), time.Now()), quote2))
			r.wantEnd()
			f.wantReported(test.reason)
		})
	}
	if tax.runs.Load() != 0 {
		t.Errorf("%d calls were executed", tax.runs.Load())
	}
	other.write(appendControl(nil, kindCertificate, 0, encodeCertificate(fx2, roleCaller, other.binding)))
	other.write(frameOf(1, f.sign(fx2, tax.Identity().ID(), time.Now()), fx2))
	if k, _, _ := other.read(); k != kindReturn {
		t.Errorf("a renewed certificate was answered with a frame of kind %d", k)
	}
}

// TestMalformedFrames ends connections over what is not a frame.
func TestMalformedFrames(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	quote := f.instance("quote").Identity()
	call := func() []byte { return frameOf(7, f.sign(quote, tax.Identity().ID(), time.Now()), quote) }
	header := func(k kind, length uint32) []byte {
		b, _ := begin(nil, k, 1)
		binary.BigEndian.PutUint32(b, length)
		return b
	}
	for name, test := range map[string]struct {
		bytes []byte
		want  string
	}{
		"truncated header": {call()[:5], "within a frame"},
		"truncated call":   {call()[:100], "within a frame"},
		"cut fields":       {appendControl(nil, kindCall, 1, call()[13:120]), "cut off"},
		"no header":        {header(kindPing, 3), "shorter than a header"},
		"unknown kind":     {header(99, headerSize), "does not belong here"},
		"a return":         {header(kindReturn, headerSize), "does not belong here"},
		"oversize call":    {header(kindCall, 1<<20+maxHead+headerSize+1), "at most"},
		"oversize ping":    {header(kindPing, headerSize+1), "at most"},
		"most of all":      {header(kindCall, 1<<32-1), "at most"},
		"unknown flag":     {appendControl(nil, kindCall, 1, append([]byte{0xff}, call()[14:]...)), "unknown flags"},
		"no SPIFFE ID":     {[]byte(strings.Replace(string(call()), "spiffe", "spifff", 1)), "caller of a call"},
		"stream twice":     {append(call(), call()...), "follows stream"},
		"stream 0":         {appendControl(nil, kindCall, 0, call()[13:]), "follows stream"},
		"HTTP":             {[]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), "does not belong here"},
	} {
		t.Run(name, func(t *testing.T) {
			r := f.dial(quote, tax)
			r.write(test.bytes)
			r.conn.CloseWrite()
			r.wantEnd()
			if err := f.wantReported(callsig.ReasonMalformed); !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

// TestHandshakeRefusals connects as whom no link is for.
func TestHandshakeRefusals(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	client, err := identity.ClientID(trustDomain, "ann")
	must(t, err)
	ann, stranger := f.ca.Identity(t, client), newAuthority(t).Identity(t, function(t, "quote"))
	quote := f.instance("quote").Identity()
	name := ServerName(tax.alloc, "tax")
	for what, test := range map[string]struct {
		self *identity.Identity
		name string
		alpn string
	}{
		"a client":           {ann, name, ALPN},
		"of another CA":      {stranger, name, ALPN},
		"without":            {nil, name, ALPN},
		"unknown allocation": {quote, ServerName("00000000-0000-0000-0000-000000000000", "tax"), ALPN},
		"another function":   {quote, ServerName(tax.alloc, "fx"), ALPN},
		"no name":            {quote, "tax", ALPN},
		"another protocol":   {quote, name, "h2"},
	} {
		t.Run(what, func(t *testing.T) {
			config := identity.TLSConfig(func() *identity.Bundle { return f.trust }, nil)
			config.ServerName, config.NextProtos = test.name, []string{test.alpn}
			if test.self != nil {
				config.Certificates = []tls.Certificate{*test.self.TLSCertificate()}
			}
			conn, err := tls.Dial("tcp", f.addr, config)
			if err == nil {
				f.rogue(conn).wantEnd()
			}
		})
	}
	if f.server.Open() != 0 {
		t.Error("a connection was accepted")
	}
}

// TestExplainIsSigned changes the flag that asks for an explanation.
func TestExplainIsSigned(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), function(t, "tax")
	for _, asked := range []bool{false, true} {
		call := callOf(quote, tax, "x")(Terms{Timeout: time.Minute})
		call.Explain = asked
		signed, err := callsig.SignCall(callsig.NewSigner(quote.Identity()), call, time.Now())
		must(t, err)
		payload := append(appendCall(nil, 1, signed, digest{}), call.Body...)[lengthSize+headerSize:]
		for _, flip := range []byte{0, flagExplain} {
			payload[0] ^= flip
			in, err := new(names).parseCall(payload)
			must(t, err)
			in.signed.Signature.KeyID = quote.Identity().Certificate.Thumbprint
			key := callsig.NewKey(quote.Identity().Certificate, callsig.ResumeReplayCache(0, time.Now(), nil))
			err = callsig.VerifyCall(key, tax, &in.signed, time.Now())
			var refused *callsig.Error
			if flip == 0 && err != nil || flip != 0 && (!errors.As(err, &refused) || refused.Reason != callsig.ReasonBadSignature) {
				t.Errorf("asked %v, flipped %v: %v", asked, flip != 0, err)
			}
		}
	}
}
