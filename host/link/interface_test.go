package link

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

const ownInterface = "sha256:1111111111111111111111111111111111111111111111111111111111111111"

// TestInterfaces calls a function with its own interface, with others that it does and does not serve, and with none.
func TestInterfaces(t *testing.T) {
	f := newFixture(t)
	tax, quote := f.callee("tax"), f.instance("quote")
	tax.terms.Interface = ownInterface
	old, bad, long, unknown := "old one", "bad one", "old "+strings.Repeat("x", maxInterface), "old but not sent"
	quote.built = map[string][]byte{interfaceDigest(old): []byte(old), interfaceDigest(bad): []byte(bad), interfaceDigest(long): []byte(long)}
	pool := f.pool()
	for range 2 { // the second time nothing is sent any more
		for _, tt := range []struct {
			built  string
			accept bool
		}{{ownInterface, true}, {interfaceDigest(old), true}, {interfaceDigest(bad), false}, {interfaceDigest(long), false},
			{interfaceDigest(unknown), false}, {"", false}} {
			before := tax.runs.Load()
			_, err := pool.Call(context.Background(), quote, f.target(tax), func(Terms) callsig.Call {
				return callsig.Call{Caller: quote.Identity().ID(), Callee: tax.Identity().ID(), Deadline: time.Now().Add(5 * time.Second),
					ID: "1", Interface: tt.built, Body: []byte("body")}
			})
			var refused *RefusedError
			if !tt.accept && (!errors.As(err, &refused) || refused.Code != countersign.CodeInterfaceMismatch) || tt.accept && err != nil {
				t.Errorf("built with %q: %v", tt.built, err)
			}
			if ran := tax.runs.Load() > before; ran != tt.accept {
				t.Errorf("built with %q: executed %v", tt.built, ran)
			}
		}
	}
}

// TestShownInterfaces has a caller's host that sends what is no interface, too many, or one twice; and calls that name one
// that their signature does not cover.
func TestShownInterfaces(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	tax.terms.Interface = ownInterface
	quote := f.instance("quote").Identity()
	show := func(text string) []byte { return appendControl(nil, kindInterface, 0, []byte(text)) }
	var many []byte
	for i := range maxInterfaces + 1 {
		many = append(many, show(fmt.Sprint("old ", i))...)
	}
	for name, frames := range map[string][]byte{
		"no interface": show("nonsense"), "twice": append(show("old"), show("old")...), "too many": many,
		"too long": show("old" + strings.Repeat("x", maxInterface))[:64], // the rest would meet a closed connection
	} {
		t.Run(name, func(t *testing.T) {
			r := f.dial(quote, tax)
			r.write(frames)
			r.wantEnd()
		})
	}
	f.wantCallOf(quote, tax, interfaceDigest("old"), show("old"), "")
	f.wantCallOf(quote, tax, interfaceDigest("old"), nil, countersign.CodeInterfaceMismatch)
	f.wantCallOf(quote, tax, interfaceDigest("bad"), show("bad"), countersign.CodeInterfaceMismatch)
	// What another connection has shown counts there.
	f.wantCallOf(quote, tax, interfaceDigest("old"), show("old 2"), countersign.CodeInterfaceMismatch)
	r := f.dial(quote, tax)
	sc := f.signBuilt(quote, tax, interfaceDigest("old"))
	sc.Call.Interface = ownInterface
	r.write(frameOf(1, sc, quote))
	r.wantRefused(1, countersign.CodeUnverified)
}

// signBuilt makes a call whose caller was built with an interface.
func (f *fixture) signBuilt(from *identity.Identity, to *instance, built string) *callsig.SignedCall {
	f.tb.Helper()
	call := callsig.Call{Caller: from.ID(), Callee: to.Identity().ID(), Deadline: time.Now().Add(time.Minute), ID: "1", Interface: built,
		Body: []byte("body")}
	signed, err := callsig.SignCall(callsig.NewSigner(from), call, time.Now())
	must(f.tb, err)
	return signed
}

// wantCallOf makes a call on a connection of its own after other frames, and wants it refused with code, or answered.
func (f *fixture) wantCallOf(from *identity.Identity, to *instance, built string, before []byte, code countersign.Code) {
	f.tb.Helper()
	r := f.dial(from, to)
	r.write(append(before, frameOf(1, f.signBuilt(from, to, built), from)...))
	if code != "" {
		r.wantRefused(1, code)
		return
	}
	if k, _, _ := r.read(); k != kindReturn {
		f.tb.Errorf("built with %s: kind %d", built, k)
	}
}

// TestShownOnlyByThosePermitted: who may not call has nothing compared.
func TestShownOnlyByThosePermitted(t *testing.T) {
	f := newFixture(t)
	tax := f.callee("tax")
	tax.terms.Interface = ownInterface
	other := f.instance("other").Identity()
	tax.permit = func(identity.ID) error { return countersign.Errorf(countersign.CodeNotPermitted, "tax", "no") }
	f.wantCallOf(other, tax, interfaceDigest("old"), appendControl(nil, kindInterface, 0, []byte("old")), countersign.CodeNotPermitted)
	if n := tax.compared.Load(); n != 0 {
		t.Errorf("%d interfaces were compared for who may not call", n)
	}
}
