package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

func TestRoundTrip(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	var got callsig.Call
	tax.run = func(_ context.Context, c *callsig.Call) (callsig.Return, error) {
		got = *c
		return callsig.Return{Status: 200, Body: bytes.ToUpper(c.Body), Explain: "[]"}, nil
	}
	var results []string
	p := f.pool(func(c *PoolConfig) { c.Handshake = func(r string) { results = append(results, r) } })
	for i, body := range []string{"one", "", strings.Repeat("long ", 100_000)} {
		a, err := p.Call(t.Context(), quote, f.target(tax), func(terms Terms) callsig.Call {
			if terms != tax.terms {
				t.Errorf("terms %+v, want %+v", terms, tax.terms)
			}
			c := callOf(quote, tax.Identity().ID(), body)(terms)
			c.Hops, c.Traceparent, c.Explain = 3, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", true
			return c
		})
		must(t, err)
		if want := strings.ToUpper(body); string(a.Return.Return.Body) != want || a.Return.Return.Explain != "[]" {
			t.Errorf("call %d: got %.40q, want %.40q", i, a.Return.Return.Body, want)
		}
		if a.Call.Signature.Algorithm != callsig.Ed25519 || a.Call.Signature.KeyID != quote.Identity().Certificate.Thumbprint ||
			a.Return.Signature.KeyID != tax.Identity().Certificate.Thumbprint {
			t.Errorf("signatures %+v and %+v", a.Call.Signature, a.Return.Signature)
		}
		if got.ID != a.Call.Call.ID || got.Caller != quote.Identity().ID() || got.Hops != 3 || got.Traceparent == "" || !got.Explain ||
			got.Deadline.UnixMilli() != a.Call.Call.Deadline.UnixMilli() {
			t.Errorf("the callee got %+v", got)
		}
	}
	if p.Open() != 1 || f.server.Open() != 1 || len(results) != 1 || results[0] != "ok" {
		t.Errorf("%d and %d connections, handshakes %q; want one", p.Open(), f.server.Open(), results)
	}
	if len(f.refusals()) > 0 {
		t.Errorf("refusals %v", f.refusals())
	}
}

func TestFailedCallIsSigned(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	tax.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
		return callsig.Return{Status: 422, Code: countersign.CodeFailed, Body: []byte(`{"detail":"no such region"}`)}, nil
	}
	a, err := f.call(f.pool(), quote, tax, "x")
	must(t, err)
	if a.Return.Return.Code != countersign.CodeFailed || a.Return.Return.ContentType != callsig.ProblemType {
		t.Errorf("got %+v", a.Return.Return)
	}
}

func TestManyAtOnce(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	p := f.pool()
	var wg sync.WaitGroup
	var shared atomic.Int64
	for g := range 32 {
		wg.Go(func() {
			for i := range 20 {
				body := fmt.Sprintf("%d/%d %s", g, i, strings.Repeat("x", g*997))
				a, err := f.call(p, quote, tax, body)
				if err != nil {
					t.Error(err)
					return
				}
				if a.Call.Signature.Algorithm == callsig.Ed25519Batch && a.Return.Signature.Algorithm == callsig.Ed25519Batch {
					shared.Add(1)
				}
				if string(a.Return.Return.Body) != "re: "+body {
					t.Errorf("got %.40q for %.40q", a.Return.Return.Body, body)
				}
			}
		})
	}
	wg.Wait()
	if p.Open() != 1 || tax.runs.Load() != 32*20 || shared.Load() == 0 {
		t.Errorf("%d connections, %d calls executed, %d shared a signature both ways", p.Open(), tax.runs.Load(), shared.Load())
	}
}

// TestRenewal renews both ends' certificates while the connection is open, more often than certificates are kept.
func TestRenewal(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	p := f.pool()
	for range 2 * maxCertificates {
		a, err := f.call(p, quote, tax, "x")
		must(t, err)
		if a.Call.Signature.KeyID != quote.Identity().Certificate.Thumbprint ||
			a.Return.Signature.KeyID != tax.Identity().Certificate.Thumbprint {
			t.Error("an old key signed")
		}
		quote.self.Store(f.ca.Identity(t, quote.Identity().ID()))
		_, err = f.call(p, quote, tax, "x")
		must(t, err)
		tax.self.Store(f.ca.Identity(t, tax.Identity().ID()))
	}
	if p.Open() != 1 || f.server.Open() != 1 {
		t.Errorf("%d and %d connections; want the first one", p.Open(), f.server.Open())
	}
	for _, c := range f.server.all() {
		if n := len(c.peer.known); n > maxCertificates {
			t.Errorf("%d certificates are kept", n)
		}
	}
}

// all returns the connections that are served.
func (s *Server) all() (list []*serving) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.serving {
		list = append(list, c)
	}
	return list
}

// TestTrustIsWithdrawn replaces the trust bundle while the connection is open.
func TestTrustIsWithdrawn(t *testing.T) {
	var f *fixture
	var mu sync.Mutex
	var other *identity.Bundle
	f = newFixture(t, func(c *ServerConfig) {
		c.Trust = func() *identity.Bundle {
			mu.Lock()
			defer mu.Unlock()
			if other != nil {
				return other
			}
			return f.trust
		}
	})
	quote, tax := f.instance("quote"), f.callee("tax")
	p := f.pool()
	_, err := f.call(p, quote, tax, "x")
	must(t, err)
	mu.Lock()
	other = newAuthority(t).Bundle
	mu.Unlock()
	_, err = f.call(p, quote, tax, "x")
	wantCode(t, err, countersign.CodeUnverified)
	f.wantReported(callsig.ReasonUnknownKey)
	if tax.runs.Load() != 1 {
		t.Error("a call of a caller that is not trusted was executed")
	}
}

func TestPermit(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	tax.permit = func(caller identity.ID) error {
		return countersign.Errorf(countersign.CodeNotPermitted, "tax", "no intention allows %s", caller)
	}
	_, err := f.call(f.pool(), quote, tax, "x")
	wantCode(t, err, countersign.CodeNotPermitted)
	if tax.runs.Load() != 0 {
		t.Error("it was executed")
	}
	eventually(t, "the refusal is reported", func() bool { return len(f.refusals()) == 1 })
}

func TestRunRefuses(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	tax.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
		return callsig.Return{}, errors.New("secret")
	}
	_, err := f.call(f.pool(), quote, tax, "x")
	wantCode(t, err, countersign.CodeInternal)
	if strings.Contains(err.Error(), "secret") {
		t.Errorf("the cause got to the caller: %v", err)
	}
}

func TestSizes(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	tax.terms.MaxRequest, tax.terms.MaxResponse = 1000, 1000
	p := f.pool()
	_, err := f.call(p, quote, tax, strings.Repeat("x", 1001))
	wantCode(t, err, countersign.CodeTooLarge)
	tax.run = func(_ context.Context, c *callsig.Call) (callsig.Return, error) {
		return callsig.Return{Status: 200, Body: make([]byte, 1000+maxHead)}, nil
	}
	a, err := f.call(p, quote, tax, strings.Repeat("x", 1000))
	must(t, err)
	if a.Return.Return.Code != countersign.CodeTooLarge || !bytes.Contains(a.Return.Return.Body, []byte("max_response")) {
		t.Errorf("got %s %s", a.Return.Return.Code, a.Return.Return.Body)
	}
	if tax.runs.Load() != 1 {
		t.Errorf("executed %d times", tax.runs.Load())
	}
}

func TestCancelAndDeadline(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	stopped := make(chan error, 1)
	began := make(chan bool, 1)
	tax.run = func(ctx context.Context, c *callsig.Call) (callsig.Return, error) {
		began <- true
		<-ctx.Done()
		stopped <- ctx.Err()
		return callsig.Return{}, ctx.Err()
	}
	p := f.pool()
	for name, end := range map[string]struct {
		give func(context.Context) (context.Context, context.CancelFunc)
		wait time.Duration // until the call's deadline
		code countersign.Code
	}{
		"canceled": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			ctx, cancel := context.WithCancel(ctx)
			go func() { <-began; cancel() }()
			return ctx, cancel
		}, time.Minute, countersign.CodeCanceled},
		"context's deadline": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, 100*time.Millisecond)
		}, time.Minute, countersign.CodeDeadline},
		"call's deadline": {context.WithCancel, 100 * time.Millisecond, countersign.CodeDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := end.give(t.Context())
			defer cancel()
			_, err := p.Call(ctx, quote, f.target(tax), func(terms Terms) callsig.Call {
				c := callOf(quote, tax.Identity().ID(), "x")(terms)
				c.Deadline = time.Now().Add(end.wait)
				return c
			})
			wantCode(t, err, end.code)
			select {
			case err := <-stopped:
				if !errors.Is(err, context.Canceled) {
					t.Errorf("the callee's context ended with %v", err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("the callee goes on")
			}
			select {
			case <-began:
			default:
			}
		})
	}
	if p.Open() != 1 {
		t.Errorf("%d connections", p.Open())
	}
}

func TestDrain(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	release := make(chan bool)
	began := make(chan bool)
	tax.run = func(context.Context, *callsig.Call) (callsig.Return, error) {
		began <- true
		<-release
		return callsig.Return{Status: 200}, nil
	}
	p := f.pool()
	done := make(chan error, 1)
	go func() {
		_, err := f.call(p, quote, tax, "first")
		done <- err
	}()
	<-began
	f.server.Drain(tax.alloc, "the instance is stopping")
	var err error
	eventually(t, "new calls are kept from a draining callee", func() bool {
		_, err = f.call(p, quote, tax, "second")
		return errors.As(err, new(*UnreachableError))
	})
	wantUnreachable(t, err, false)
	close(release)
	must(t, <-done)
	eventually(t, "the connection is closed after the last call", func() bool { return p.Open() == 0 && f.server.Open() == 0 })
	if tax.runs.Load() != 1 {
		t.Errorf("executed %d times", tax.runs.Load())
	}
}

func TestUnreachable(t *testing.T) {
	f := newFixture(t)
	quote, tax := f.instance("quote"), f.callee("tax")
	gone := f.instance("tax")
	var results []string
	p := f.pool(func(c *PoolConfig) { c.Handshake = func(r string) { results = append(results, r) } })
	_, err := f.call(p, quote, gone, "x")
	wantUnreachable(t, err, false)
	nowhere := f.target(tax)
	nowhere.Address = "127.0.0.1:1"
	_, err = p.Call(t.Context(), quote, nowhere, callOf(quote, nowhere.Function, "x"))
	wantUnreachable(t, err, false)
	other := f.target(tax)
	other.Function = function(t, "fx")
	other.Allocation = f.callee("fx").alloc
	// Who answers for fx has no certificate of it.
	f.mu.Lock()
	f.instances[ServerName(other.Allocation, "fx")] = tax
	f.mu.Unlock()
	_, err = p.Call(t.Context(), quote, other, callOf(quote, other.Function, "x"))
	var refused *identity.CertificateError
	if wantUnreachable(t, err, false); !errors.As(err, &refused) || refused.Reason != identity.ReasonWrongID {
		t.Errorf("got %v", err)
	}
	if fmt.Sprint(results) != "[refused unreachable refused]" {
		t.Errorf("handshakes %q", results)
	}
	if tax.runs.Load() != 0 || p.Open() != 0 {
		t.Errorf("%d calls, %d connections", tax.runs.Load(), p.Open())
	}
}

func TestServerName(t *testing.T) {
	for name, want := range map[string]bool{"a.b": true, "": false, "a": false, ".b": false, "a.": false, "a.b.c": false} {
		allocation, function, ok := parseServerName(name)
		if ok != want || ok && ServerName(allocation, function) != name {
			t.Errorf("%q: %q %q %v", name, allocation, function, ok)
		}
	}
}
