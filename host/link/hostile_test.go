package link

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
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
	return append(appendCall(nil, stream, sc, digestOf(by.Certificate), false), sc.Call.Body...)
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
	tests := map[string]struct {
		peer   *identity.Identity
		frame  []byte
		code   countersign.Code
		reason callsig.Reason
	}{
		"quote's recorded call from fx": {fx, frameOf(1, f.sign(quote, callee, now), quote), countersign.CodeUnverified, callsig.ReasonUnknownKey},
		"fx names quote and its own key": {fx, func() []byte {
			sc := f.sign(fx, callee, now)
			sc.Call.Caller = quote.ID()
			return frameOf(1, sc, fx)
		}(), countersign.CodeUnverified, callsig.ReasonWrongCaller},
		"recorded call from another instance of quote": {quote2, frameOf(1, f.sign(quote, callee, now), quote), countersign.CodeUnverified, callsig.ReasonUnknownKey},
		"the same under its own key":                   {quote2, frameOf(1, f.sign(quote, callee, now), quote2), countersign.CodeUnverified, callsig.ReasonBadSignature},
		"another function":                             {quote, frameOf(1, f.sign(quote, fx.ID(), now), quote), countersign.CodeUnverified, callsig.ReasonWrongCallee},
		"retargeted":                                   {quote, changed(func(sc *callsig.SignedCall) { sc.Call.Deadline = sc.Call.Deadline.Add(time.Second) }), countersign.CodeUnverified, callsig.ReasonBadSignature},
		"another body":                                 {quote, changed(func(sc *callsig.SignedCall) { sc.Call.Body = []byte("nobody") }), countersign.CodeUnverified, callsig.ReasonBadDigest},
		"no signature":                                 {quote, changed(func(sc *callsig.SignedCall) { sc.Signature.Value = nil }), countersign.CodeUnverified, callsig.ReasonUnsigned},
		"half a signature":                             {quote, changed(func(sc *callsig.SignedCall) { sc.Signature.Value = sc.Signature.Value[:32] }), countersign.CodeUnverified, callsig.ReasonBadSignature},
		"another algorithm":                            {quote, changed(func(sc *callsig.SignedCall) { sc.Signature.Algorithm = callsig.HMACSHA256 }), countersign.CodeUnverified, callsig.ReasonWrongAlgorithm},
		"delayed":                                      {quote, frameOf(1, f.sign(quote, callee, now.Add(-50*time.Second)), quote), countersign.CodeExpired, callsig.ReasonExpired},
		"of the future":                                {quote, frameOf(1, f.sign(quote, callee, now.Add(30*time.Second)), quote), countersign.CodeExpired, callsig.ReasonNotYetValid},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			r := f.dial(test.peer, tax)
			r.write(test.frame)
			r.wantRefused(1, test.code)
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
	quote2 := f.ca.identity(t, quote.ID())
	stranger := newAuthority(t).identity(t, fx.ID())
	other := f.dial(fx, tax)
	fx2 := f.ca.identity(t, fx.ID())
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
	ann, stranger := f.ca.identity(t, client), newAuthority(t).identity(t, function(t, "quote"))
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

// rogueCallee serves one instance's connections as a host that does not keep to the protocol.
func (f *fixture) rogueCallee(to *instance, terms Terms, serve func(*rogue)) Target {
	f.tb.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(f.tb, err)
	f.tb.Cleanup(func() { l.Close() })
	go func() {
		for {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			config := identity.TLSConfig(func() *identity.Bundle { return f.trust }, nil)
			config.NextProtos, config.Certificates = []string{ALPN}, []tls.Certificate{*to.Identity().TLSCertificate()}
			conn := tls.Server(raw, config)
			if conn.Handshake() != nil {
				raw.Close()
				continue
			}
			r := f.rogue(conn)
			conn.Write(appendControl(nil, kindTerms, 0, encodeTerms(terms, digestOf(to.Identity().Certificate))))
			serve(r)
		}
	}()
	target := f.target(to)
	target.Address = l.Addr().String()
	return target
}

// readCall reads a call at the rogue's end.
func (r *rogue) readCall() (uint64, *callsig.SignedCall) {
	for {
		k, stream, payload := r.read()
		switch k {
		case 0:
			return 0, nil
		case kindCall:
			in, err := new(names).parseCall(payload)
			if err != nil {
				return 0, nil
			}
			return stream, &in.signed
		}
	}
}

func returnFrame(stream uint64, sr *callsig.SignedReturn, by *identity.Identity) []byte {
	return append(appendReturn(nil, stream, sr, digestOf(by.Certificate)), sr.Return.Body...)
}

// TestForgedReturns answers calls with what is not their return.
func TestForgedReturns(t *testing.T) {
	f := newFixture(t)
	quote, tax, fx := f.instance("quote"), f.instance("tax"), f.instance("fx")
	self := tax.Identity()
	sign := func(by *identity.Identity, sc *callsig.SignedCall, now time.Time) *callsig.SignedReturn {
		of := *sc
		of.Call.Callee = by.ID()
		sr, err := callsig.SignReturn(callsig.NewSigner(by), &of, callsig.Return{Status: 200, Body: []byte("ok")}, now)
		if err != nil {
			t.Error(err)
		}
		return sr
	}
	for name, test := range map[string]struct {
		answer func(stream uint64, sc *callsig.SignedCall) []byte
		reason callsig.Reason
	}{
		"good": {func(stream uint64, sc *callsig.SignedCall) []byte {
			return returnFrame(stream, sign(self, sc, time.Now()), self)
		}, ""},
		"another body": {func(stream uint64, sc *callsig.SignedCall) []byte {
			sr := sign(self, sc, time.Now())
			sr.Return.Body = []byte("no")
			return returnFrame(stream, sr, self)
		}, callsig.ReasonBadDigest},
		"another status": {func(stream uint64, sc *callsig.SignedCall) []byte {
			sr := sign(self, sc, time.Now())
			sr.Return.Status = 201
			return returnFrame(stream, sr, self)
		}, callsig.ReasonBadSignature},
		"of another function": {func(stream uint64, sc *callsig.SignedCall) []byte {
			return returnFrame(stream, sign(fx.Identity(), sc, time.Now()), fx.Identity())
		}, callsig.ReasonUnknownKey},
		"of another function under its name": {func(stream uint64, sc *callsig.SignedCall) []byte {
			return returnFrame(stream, sign(fx.Identity(), sc, time.Now()), self)
		}, callsig.ReasonBadSignature},
		"of another call": {func(stream uint64, sc *callsig.SignedCall) []byte {
			other := *sc
			other.Call.ID = "other"
			return returnFrame(stream, sign(self, &other, time.Now()), self)
		}, callsig.ReasonWrongCall},
		"of the same call, signed before": {func(stream uint64, sc *callsig.SignedCall) []byte {
			other := *sc
			other.Signature.Value = make([]byte, 64)
			return returnFrame(stream, sign(self, &other, time.Now()), self)
		}, callsig.ReasonBadSignature},
		"of the future": {func(stream uint64, sc *callsig.SignedCall) []byte {
			return returnFrame(stream, sign(self, sc, time.Now().Add(time.Minute)), self)
		}, callsig.ReasonNotYetValid},
	} {
		t.Run(name, func(t *testing.T) {
			target := f.rogueCallee(tax, tax.terms, func(r *rogue) {
				if stream, sc := r.readCall(); sc != nil {
					sc.Signature.KeyID = quote.Identity().Certificate.Thumbprint
					r.conn.Write(test.answer(stream, sc))
				}
			})
			a, err := f.pool().Call(t.Context(), quote, target, callOf(quote, self.ID(), "x"))
			if test.reason == "" {
				must(t, err)
				return
			}
			var refused *callsig.Error
			if !errors.As(err, &refused) || refused.Reason != test.reason || a != nil {
				t.Errorf("got %v, %v; want reason %s", a, err, test.reason)
			}
		})
	}
}

// TestSwappedReturns answers two calls with each other's return.
func TestSwappedReturns(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.instance("tax")
	self := tax.Identity()
	target := f.rogueCallee(tax, tax.terms, func(r *rogue) {
		one, first := r.readCall()
		two, second := r.readCall()
		for _, swap := range []struct {
			stream uint64
			of     *callsig.SignedCall
		}{{one, second}, {two, first}} {
			sr, err := callsig.SignReturn(callsig.NewSigner(self), swap.of, callsig.Return{Status: 200, Body: swap.of.Call.Body}, time.Now())
			if err != nil {
				t.Error(err)
			}
			r.conn.Write(returnFrame(swap.stream, sr, self))
		}
	})
	p := f.pool()
	errs := make(chan error, 2)
	for _, body := range []string{"a", "b"} {
		go func() {
			_, err := p.Call(t.Context(), quote, target, callOf(quote, self.ID(), body))
			errs <- err
		}()
	}
	for range 2 {
		var refused *callsig.Error
		if err := <-errs; !errors.As(err, &refused) || refused.Reason != callsig.ReasonWrongCall {
			t.Errorf("got %v", err)
		}
	}
}

// TestBrokenCallees ends a call whose callee sends no answer, but something else or nothing.
func TestBrokenCallees(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.instance("tax")
	tax.terms.MaxResponse = 100
	for name, test := range map[string]struct {
		serve func(*rogue)
		cause error
	}{
		"garbage":   {func(r *rogue) { r.readCall(); r.conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, new(FrameError)},
		"truncated": {func(r *rogue) { r.readCall(); r.conn.Write([]byte{0, 0}); r.conn.CloseWrite() }, new(FrameError)},
		"oversize": {func(r *rogue) {
			r.readCall()
			r.conn.Write(appendControl(nil, kindReturn, 1, make([]byte, 100+maxHead+1)))
		}, new(FrameError)},
		"stray answer": {func(r *rogue) {
			r.readCall()
			r.conn.Write(appendControl(nil, kindRefused, 9, encodeRefused("failed", "x")))
		}, new(FrameError)},
		"closed": {func(r *rogue) { r.readCall(); r.conn.Close() }, io.EOF},
		"silent": {func(r *rogue) { r.readCall() }, errSilent},
	} {
		t.Run(name, func(t *testing.T) {
			target := f.rogueCallee(tax, tax.terms, test.serve)
			p := f.pool(func(c *PoolConfig) { c.timing = quick })
			_, err := p.Call(t.Context(), quote, target, callOf(quote, function(t, "tax"), "x"))
			u := wantUnreachable(t, err, true)
			if frame := new(FrameError); errors.As(test.cause, &frame) {
				if !errors.As(u, &frame) {
					t.Errorf("got %v", u)
				}
			} else if !errors.Is(u, test.cause) {
				t.Errorf("got %v, want %v", u, test.cause)
			}
			eventually(t, "the connection is gone", func() bool { return p.Open() == 0 })
		})
	}
}

// TestDeadCaller: a callee whose caller falls silent stops what runs for it.
func TestDeadCaller(t *testing.T) {
	f := newFixture(t, func(c *ServerConfig) { c.timing = quick })
	tax := f.callee("tax")
	quote := f.instance("quote").Identity()
	stopped := make(chan bool)
	tax.run = func(ctx context.Context, _ *callsig.Call) (callsig.Return, error) {
		<-ctx.Done()
		close(stopped)
		return callsig.Return{}, ctx.Err()
	}
	r := f.dial(quote, tax)
	r.write(frameOf(1, f.sign(quote, tax.Identity().ID(), time.Now()), quote))
	select {
	case <-stopped:
	case <-time.After(5 * time.Second):
		t.Fatal("the callee goes on")
	}
	eventually(t, "the connection is ended", func() bool { return f.server.Open() == 0 })
}

// TestSlowReader: a caller that sends and does not read is cut off, and holds up nobody else.
func TestSlowReader(t *testing.T) {
	f := newFixture(t, func(c *ServerConfig) { c.timing = quick })
	tax := f.callee("tax")
	tax.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
		return callsig.Return{Status: 200, Body: make([]byte, 1<<20)}, nil
	}
	quote := f.instance("quote")
	r := f.dial(quote.Identity(), tax)
	go func() {
		for stream := uint64(1); ; stream++ {
			if _, err := r.conn.Write(frameOf(stream, f.sign(quote.Identity(), tax.Identity().ID(), time.Now()), quote.Identity())); err != nil {
				return
			}
		}
	}()
	eventually(t, "the connection is ended", func() bool {
		f.mu.Lock()
		defer f.mu.Unlock()
		return len(f.served) > 0
	})
	_, err := f.call(f.pool(), quote, tax, "x")
	must(t, err)
}

// TestSlowCall: a call that takes long is not taken for a peer that is gone.
func TestSlowCall(t *testing.T) {
	f := newFixture(t, func(c *ServerConfig) { c.timing = quick })
	quote, tax := f.instance("quote"), f.callee("tax")
	tax.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
		time.Sleep(2 * time.Duration(quick.dead) * quick.tick)
		return callsig.Return{Status: 200}, nil
	}
	_, err := f.call(f.pool(func(c *PoolConfig) { c.timing = quick }), quote, tax, "x")
	must(t, err)
}
