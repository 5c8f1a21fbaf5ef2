package callsig

import (
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The tests in this file hold one check each, where another one behind it would refuse as well.

// TestTwoSignaturesOfOurs has a call with two signatures under our tag, both of which verify.
func TestTwoSignaturesOfOurs(t *testing.T) {
	x := newExchange(t)
	r, body, _ := x.signed(t)
	for _, field := range []string{"Signature-Input", "Signature"} {
		r.Header.Add(field, strings.Replace(r.Header.Get(field), "call=", "again=", 1))
	}
	_, err := x.server.VerifyRequest(r, body, x.tax.ID())
	wantReason(t, err, ReasonMalformed)
}

// TestNumberOfComponents has a signature that covers more components than are looked at, all of which are there.
func TestNumberOfComponents(t *testing.T) {
	x := newExchange(t)
	r, body, _ := x.signed(t)
	var more strings.Builder
	for i := range maxComponents {
		name := fmt.Sprintf("x-%d", i)
		r.Header.Set(name, "x")
		fmt.Fprintf(&more, "%q ", name)
	}
	r.Header.Set("Signature-Input", strings.Replace(r.Header.Get("Signature-Input"), "(", "("+more.String(), 1))
	_, err := x.server.VerifyRequest(r, body, x.tax.ID())
	wantReason(t, err, ReasonMalformed)
}

// TestAlgorithmsFromOutside looks for keys of algorithms that no message from outside may have.
func TestAlgorithmsFromOutside(t *testing.T) {
	x := newExchange(t)
	r, _, _ := x.signed(t)
	for _, a := range []Algorithm{Ed25519Batch, "rsa-pss-sha512", "ed25519 "} {
		_, err := x.server.key(r.Header, &Signature{Algorithm: a, KeyID: x.ann.Certificate.Thumbprint}, x.now)
		wantReason(t, err, ReasonWrongAlgorithm)
	}
}

// TestCachedCertificateGetsOld asks the cache itself, which is not the only one to look at the time.
func TestCachedCertificateGetsOld(t *testing.T) {
	x := newExchange(t)
	var cache certificateCache
	ann := x.ann.Certificate
	_, err := cache.verify(x.ca.Bundle, ann.Thumbprint, ann.DER, x.now)
	must(t, err)
	if _, err = cache.verify(x.ca.Bundle, ann.Thumbprint, ann.DER, ann.NotAfter.Add(time.Second)); err == nil {
		t.Error("a certificate is handed out after its time")
	}
}

// TestKeysKeepTheirTime asks keys themselves, whose certificates were verified before.
func TestKeysKeepTheirTime(t *testing.T) {
	x := newExchange(t)
	ann := x.ann.Certificate
	key := NewKey(ann, nil)
	must(t, key.canVerify(calls, ann.NotAfter))
	wantReason(t, key.canVerify(calls, ann.NotAfter.Add(time.Second)), ReasonExpired)
	wantReason(t, key.canVerify(returns, ann.NotBefore.Add(-time.Second)), ReasonNotYetValid)
}

// TestControlCharactersInFields has fields as no HTTP parser hands them out.
func TestControlCharactersInFields(t *testing.T) {
	for _, value := range []string{"a\nb", "a\r\n\"@path\": /call/fx", "\x00", "a\x7f", "a\x1fb"} {
		_, err := combine("x-a", []string{"fine", value})
		wantReason(t, err, ReasonMalformed)
	}
	if got, err := combine("x-a", []string{"a\tb"}); err != nil || got != "a\tb" {
		t.Errorf("a tab: %q, %v", got, err)
	}
}

// TestVerifiedComesFromVerification has calls and returns of which one thing after the other is verified.
func TestVerifiedComesFromVerification(t *testing.T) {
	p := newPair(t)
	sc, err := SignCall(p.caller, p.call(), p.now)
	must(t, err)
	sr, err := SignReturn(p.callee, sc, Return{Status: http.StatusOK, Body: []byte("1")}, p.now)
	must(t, err)
	other, err := SignCall(p.caller, p.call(), p.now)
	must(t, err)
	want := func(when, want string) {
		t.Helper()
		if got := Verified(sc, sr); got != want {
			t.Errorf("%s: %q is verified; want %q", when, got, want)
		}
	}
	want("signed", "nothing")
	if VerifyReturn(p.caller, other, sr, p.now) == nil {
		t.Fatal("the return of another call verifies")
	}
	want("refused", "nothing")
	must(t, VerifyReturn(p.caller, sc, sr, p.now))
	want("the return alone", "return")
	must(t, VerifyCall(p.callee, p.tax.ID(), sc, p.now))
	want("both", "call and return")
	if got := Verified(other, sr); got != "nothing" {
		t.Errorf("of another call, %q is verified", got)
	}
	must(t, VerifyCall(p.callee, p.tax.ID(), other, p.now))
	if got := Verified(other, sr); got != "call" {
		t.Errorf("of another call that is verified, %q is verified", got)
	}
	// Between hosts, that the call verifies is for the callee's end to see, and its signature under the return says so.
	far, err := SignCall(NewSigner(p.quote), p.call(), p.now)
	must(t, err)
	back, err := SignReturn(NewSigner(p.tax), far, Return{Status: http.StatusOK, Body: []byte("1")}, p.now)
	must(t, err)
	if got := Verified(far, back); got != "nothing" {
		t.Errorf("before it is verified, %q is", got)
	}
	must(t, VerifyReturn(NewKey(p.tax.Certificate, nil), far, back, p.now))
	if got := Verified(far, back); got != "call and return" {
		t.Errorf("between hosts, %q is verified", got)
	}
}

// TestShapesOfBatches has trees that the key signed and that are none: of one message, of too many, and with a place that
// is none.
func TestShapesOfBatches(t *testing.T) {
	p := newPair(t)
	base := []byte("base")
	value := func(count, index int) []byte {
		var tree tree
		for range count {
			tree.add(leafOf(base))
		}
		root := tree.build()
		v := p.quote.Key.Sign(rootBase(root, count))
		v = binary.BigEndian.AppendUint32(v, uint32(count))
		v = binary.BigEndian.AppendUint32(v, uint32(index))
		return tree.appendPath(v, index)
	}
	for _, test := range []struct {
		count, index int
		want         bool
	}{{2, 0, true}, {2, 1, true}, {MaxBatch, MaxBatch - 1, true}, {1, 0, false}, {MaxBatch + 1, MaxBatch, false}, {3, 5, false}} {
		if got := p.batchKey(nil).verify(calls, base, value(test.count, test.index)); got != test.want {
			t.Errorf("message %d of %d: %v", test.index, test.count, got)
		}
	}
}

// TestKeyOfTokenReturns has returns of calls with tokens that name another key or algorithm than they are verified with,
// or whose key is of another time.
func TestKeyOfTokenReturns(t *testing.T) {
	x := newExchange(t)
	r, resp := x.tokenExchange(t, nil, Return{Status: 200, Body: []byte(`{}`)})
	found, err := findSignature(resp.Header, TagTokenReturn)
	must(t, err)
	base, err := appendBase(nil, found.components, responseSource{status: 200, header: resp.Header, request: r})
	must(t, err)
	base = append(base, found.params...)
	for name, test := range map[string]struct {
		edit func(*Signature)
		now  time.Time
		want Reason
	}{
		"as it is":          {func(*Signature) {}, x.now, ""},
		"another key":       {func(s *Signature) { s.KeyID = x.quote.Certificate.Thumbprint }, x.now, ReasonUnknownKey},
		"another algorithm": {func(s *Signature) { s.Algorithm = HMACSHA256 }, x.now, ReasonWrongAlgorithm},
	} {
		sr := &SignedReturn{CallID: "mine", Signature: found.signature}
		test.edit(&sr.Signature)
		err := verifyTokenReturn(NewKey(x.tax.Certificate, nil), x.tax.ID(), r, sr, base, test.now)
		t.Run(name, func(t *testing.T) { wantReason(t, err, test.want) })
	}
	past := x.ca.identity(t, x.tax.ID(), x.now.Add(-time.Hour), x.now.Add(-time.Minute))
	sr := &SignedReturn{CallID: "mine", Signature: found.signature}
	sr.Signature.KeyID = past.Certificate.Thumbprint
	wantReason(t, verifyTokenReturn(NewKey(past.Certificate, nil), x.tax.ID(), r, sr, base, x.now), ReasonExpired)
}
