package link

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

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
		"garbage":   {func(r *rogue) { r.readCall(); r.conn.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n")) }, new(frameError)},
		"truncated": {func(r *rogue) { r.readCall(); r.conn.Write([]byte{0, 0}); r.conn.CloseWrite() }, new(frameError)},
		"oversize": {func(r *rogue) {
			r.readCall()
			r.conn.Write(appendControl(nil, kindReturn, 1, make([]byte, 100+maxHead+1)))
		}, new(frameError)},
		"stray answer": {func(r *rogue) {
			r.readCall()
			r.conn.Write(appendControl(nil, kindRefused, 9, encodeRefused("failed", "x")))
		}, new(frameError)},
		"closed": {func(r *rogue) { r.readCall(); r.conn.Close() }, io.EOF},
		"silent": {func(r *rogue) { r.readCall() }, errSilent},
	} {
		t.Run(name, func(t *testing.T) {
			target := f.rogueCallee(tax, tax.terms, test.serve)
			p := f.pool(func(c *PoolConfig) { c.timing = quick })
			_, err := p.Call(t.Context(), quote, target, callOf(quote, function(t, "tax"), "x"))
			u := wantUnreachable(t, err, true)
			if frame := new(frameError); errors.As(test.cause, &frame) {
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
	patient := timing{tick: 100 * time.Millisecond, probe: 2, dead: 15, write: time.Second} // a busy machine answers late
	f := newFixture(t, func(c *ServerConfig) { c.timing = patient })
	quote, tax := f.instance("quote"), f.callee("tax")
	tax.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
		time.Sleep(2 * time.Duration(patient.dead) * patient.tick)
		return callsig.Return{Status: 200}, nil
	}
	_, err := f.call(f.pool(func(c *PoolConfig) { c.timing = patient }), quote, tax, "x")
	must(t, err)
}

// TestUnsignableReturns has returns that no signature can be made for: each is an error of its own call, and of no other.
func TestUnsignableReturns(t *testing.T) {
	for name, ret := range map[string]callsig.Return{
		"explains too much":    {Status: 200, Explain: strings.Repeat("x", 20<<10+1)},
		"explains a lot":       {Status: 200, Explain: strings.Repeat("x", 70_000)},
		"status without body":  {Status: 204},
		"no status":            {},
		"code of a success":    {Status: 200, Code: countersign.CodeFailed},
		"failure without code": {Status: 500},
		"code with a space":    {Status: 500, Code: "not a code"},
		"long code":            {Status: 500, Code: countersign.Code(strings.Repeat("x", 70_000))},
		"content type":         {Status: 200, ContentType: "text/plain\r\nx: y"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			quote, tax := f.instance("quote"), f.callee("tax")
			entered, leave := make(chan bool), make(chan bool)
			tax.run = func(_ context.Context, call *callsig.Call) (callsig.Return, error) {
				if string(call.Body) == "innocent" {
					entered <- true
					<-leave
					return callsig.Return{Status: 200, Body: []byte("ok")}, nil
				}
				return ret, nil
			}
			p := f.pool()
			innocent := make(chan error, 1)
			go func() {
				a, err := f.call(p, quote, tax, "innocent")
				if err == nil && string(a.Return.Return.Body) != "ok" {
					err = errors.New("answered with " + string(a.Return.Return.Body))
				}
				innocent <- err
			}()
			<-entered
			a, err := f.call(p, quote, tax, "x")
			close(leave)
			if err != nil || a.Return.Return.Code != countersign.CodeInternal || len(a.Return.Return.Body) > 1024 {
				t.Errorf("%+v, %v; want a small signed error", a, err)
			}
			if err := <-innocent; err != nil {
				t.Errorf("another call of the connection: %v", err)
			}
			if p.Open() != 1 || f.server.Open() != 1 {
				t.Errorf("%d and %d connections", p.Open(), f.server.Open())
			}
		})
	}
}

// TestNothingRunsWithoutAKey has a callee whose certificate ends, before and during calls.
func TestNothingRunsWithoutAKey(t *testing.T) {
	var late atomic.Int64 // hours
	f := newFixture(t, func(c *ServerConfig) {
		c.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load()) * time.Hour) }
	})
	quote, tax := f.instance("quote"), f.callee("tax")
	good := tax.Identity()
	_, ended := f.ca.Certify(t, function(t, "tax"), time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	var during atomic.Pointer[func()] // what happens during a call
	nothing := func() {}
	during.Store(&nothing)
	tax.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
		(*during.Load())()
		return callsig.Return{Status: 200}, nil
	}
	p := f.pool()
	_, err := f.call(p, quote, tax, "x")
	must(t, err)

	tax.self.Store(ended)
	_, err = p.Call(t.Context(), quote, Target{Address: f.addr, Allocation: tax.alloc, Function: good.ID()}, callOf(quote, good.ID(), "x"))
	var refused *RefusedError
	if !errors.As(err, &refused) || refused.Code != countersign.CodeUnavailable || tax.runs.Load() != 1 {
		t.Errorf("after its end: %v, executed %d times; want a refusal", err, tax.runs.Load())
	}
	tax.self.Store(good)
	renewal := func() { tax.self.Store(ended) } // that went wrong
	during.Store(&renewal)
	if _, err = f.call(p, quote, tax, "x"); err != nil {
		t.Errorf("replaced by a worse one during the call: %v", err)
	}
	tax.self.Store(good)
	set := func() { late.Store(3) } // the clock
	during.Store(&set)
	_, err = p.Call(t.Context(), quote, f.target(tax), func(terms Terms) callsig.Call {
		call := callOf(quote, good.ID(), "x")(terms)
		call.Deadline = time.Now().Add(500 * time.Millisecond)
		return call
	})
	if countersign.CodeOf(err) != countersign.CodeDeadline {
		t.Errorf("no key during the call: %v; want that there is no answer", err)
	}
	late.Store(0)
	during.Store(&nothing)
	if _, err = f.call(p, quote, tax, "x"); err != nil || f.server.Open() != 1 {
		t.Errorf("afterwards: %v, %d connections; want that the connection is still there", err, f.server.Open())
	}
}
