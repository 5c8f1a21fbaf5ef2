package callsig

import (
	"errors"
	"strconv"
	"testing"
	"time"

	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
)

const testDomain = "example.test"

func newAuthority(tb testing.TB, now time.Time) authority {
	tb.Helper()
	return authority{identitytest.NewAuthority(tb, testDomain, now)}
}

// authority certifies for times that a test says.
type authority struct{ *identitytest.Authority }

func (a authority) identity(tb testing.TB, id identity.ID, from, to time.Time) *identity.Identity {
	tb.Helper()
	_, self := a.Certify(tb, id, from, to)
	return self
}

func function(tb testing.TB, name string) identity.ID {
	tb.Helper()
	id, err := identity.FunctionID(testDomain, name)
	must(tb, err)
	return id
}

func client(tb testing.TB, name string) identity.ID {
	tb.Helper()
	id, err := identity.ClientID(testDomain, name)
	must(tb, err)
	return id
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// wantReason fails the test unless err is the refusal that it expects; "" expects none.
func wantReason(tb testing.TB, err error, want Reason) {
	tb.Helper()
	if want == "" {
		must(tb, err)
		return
	}
	var refusal *Error
	if !errors.As(err, &refusal) {
		tb.Fatalf("got %v (%T), want an *Error with reason %s", err, err, want)
	}
	if refusal.Reason != want {
		tb.Fatalf("got %v, want reason %s", err, want)
	}
	if !refusal.Unverified() || refusal.Code() == "" || refusal.Message == "" {
		tb.Fatalf("refusal %#v lacks something", refusal)
	}
}

// pair is two functions with a session between them.
type pair struct {
	ca             authority
	now            time.Time
	quote, tax     *identity.Identity
	caller, callee *Session
}

func newPair(tb testing.TB) *pair {
	tb.Helper()
	p := &pair{now: time.Now()}
	p.ca = newAuthority(tb, p.now)
	p.quote = p.ca.identity(tb, function(tb, "quote"), p.now.Add(-time.Minute), p.now.Add(2*time.Hour))
	p.tax = p.ca.identity(tb, function(tb, "tax"), p.now.Add(-time.Minute), p.now.Add(2*time.Hour))
	p.caller, p.callee = p.session(tb)
	return p
}

func (p *pair) session(tb testing.TB) (caller, callee *Session) {
	tb.Helper()
	offer, err := NewOffer(p.quote, p.tax.ID(), p.now)
	must(tb, err)
	callee, answer, err := Accept(p.ca.Bundle, p.tax, offer.Message(), p.now)
	must(tb, err)
	caller, err = offer.Complete(p.ca.Bundle, answer, p.now)
	must(tb, err)
	return caller, callee
}

func (p *pair) call() Call {
	return Call{
		Caller: p.quote.ID(), Callee: p.tax.ID(), Deadline: p.now.Add(2 * time.Second), ID: "01JD-test-call",
		Body: []byte(`{"region":"EU"}`),
	}
}

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// anInterface is the digest of some interface.
const anInterface = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
