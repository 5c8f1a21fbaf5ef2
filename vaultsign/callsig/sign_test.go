package callsig

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/identity"
)

// both runs a test with session keys and with call keys.
func both(t *testing.T, test func(t *testing.T, p *pair, k keysOfPair)) {
	t.Run("hmac-sha256", func(t *testing.T) {
		p := newPair(t)
		test(t, p, keysOfPair{p.caller, p.callee, p.callee, p.caller})
	})
	t.Run("ed25519", func(t *testing.T) {
		p := newPair(t)
		test(t, p, keysOfPair{
			NewSigner(p.quote), NewKey(p.quote.Certificate, ResumeReplayCache(0, p.now, nil)),
			NewSigner(p.tax), NewKey(p.tax.Certificate, nil),
		})
	})
}

type keysOfPair struct {
	signCall     Signer
	verifyCall   Key
	signReturn   Signer
	verifyReturn Key
}

func TestRoundTrip(t *testing.T) {
	both(t, func(t *testing.T, p *pair, k keysOfPair) {
		returned := []Return{
			{Status: 200, Body: []byte(`{"rate":0.2}`)},
			{Status: 200},
			{Status: 422, Code: countersign.CodeFailed, Body: []byte(`{"title":"no such region"}`)},
		}
		for i, ret := range returned {
			call := p.call()
			call.Hops, call.Traceparent = i, strings.Repeat("t", i)
			sc, err := SignCall(k.signCall, call, p.now)
			must(t, err)
			must(t, VerifyCall(k.verifyCall, p.tax.ID(), sc, p.now))
			sr, err := SignReturn(k.signReturn, sc, ret, p.now)
			must(t, err)
			must(t, VerifyReturn(k.verifyReturn, sc, sr, p.now))
		}
	})
}

func TestSigningRefuses(t *testing.T) {
	p := newPair(t)
	late := p.now.Add(3 * time.Hour)
	tests := map[string]struct {
		signer Signer
		change func(*Call)
		now    time.Time
		want   Reason
	}{
		"caller is somebody else": {NewSigner(p.tax), func(*Call) {}, p.now, ReasonWrongCaller},
		"no caller":               {p.caller, func(c *Call) { c.Caller = identity.ID{} }, p.now, ReasonMalformed},
		"no callee":               {p.caller, func(c *Call) { c.Callee = identity.ID{} }, p.now, ReasonMalformed},
		"callee is a client":      {p.caller, func(c *Call) { c.Callee = client(t, "ann") }, p.now, ReasonMalformed},
		"method":                  {p.caller, func(c *Call) { c.Method = "GET" }, p.now, ReasonMalformed},
		"path of another":         {p.caller, func(c *Call) { c.Path = "/call/fx" }, p.now, ReasonWrongCallee},
		"path with a line break":  {p.caller, func(c *Call) { c.Path += "\n" }, p.now, ReasonWrongCallee},
		"no ID":                   {p.caller, func(c *Call) { c.ID = "" }, p.now, ReasonMalformed},
		"ID with a line break":    {p.caller, func(c *Call) { c.ID = "a\nb" }, p.now, ReasonMalformed},
		"ID too long":             {p.caller, func(c *Call) { c.ID = strings.Repeat("a", 129) }, p.now, ReasonMalformed},
		"content type":            {p.caller, func(c *Call) { c.ContentType = "a/b\r\nx: y" }, p.now, ReasonMalformed},
		"traceparent":             {p.caller, func(c *Call) { c.Traceparent = "a b" }, p.now, ReasonMalformed},
		"no deadline":             {p.caller, func(c *Call) { c.Deadline = time.Time{} }, p.now, ReasonMalformed},
		"far deadline": {
			p.caller, func(c *Call) { c.Deadline = p.now.AddDate(40000, 0, 0) }, p.now, ReasonMalformed,
		},
		"negative hops":          {p.caller, func(c *Call) { c.Hops = -1 }, p.now, ReasonMalformed},
		"interface of nothing":   {p.caller, func(c *Call) { c.Interface = "sha256:" }, p.now, ReasonMalformed},
		"too many hops":          {p.caller, func(c *Call) { c.Hops = 1001 }, p.now, ReasonMalformed},
		"session is over":        {p.caller, func(*Call) {}, late, ReasonExpired},
		"certificate is over":    {NewSigner(p.quote), func(*Call) {}, late, ReasonExpired},
		"certificate is to come": {NewSigner(p.quote), func(*Call) {}, p.now.Add(-time.Hour), ReasonNotYetValid},
		"callee's side":          {p.callee, func(c *Call) { c.Caller = p.tax.ID() }, p.now, ReasonWrongCaller},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			call := p.call()
			test.change(&call)
			_, err := SignCall(test.signer, call, test.now)
			wantReason(t, err, test.want)
		})
	}
}

func TestSigningReturnRefuses(t *testing.T) {
	p := newPair(t)
	sc, err := SignCall(p.caller, p.call(), p.now)
	must(t, err)
	tests := map[string]struct {
		signer Signer
		ret    Return
		now    time.Time
		want   Reason
	}{
		"by another function":  {NewSigner(p.quote), Return{Status: 200}, p.now, ReasonWrongCallee},
		"by the caller's side": {p.caller, Return{Status: 200}, p.now, ReasonWrongCallee},
		"no status":            {p.callee, Return{}, p.now, ReasonMalformed},
		"no content":           {p.callee, Return{Status: 204}, p.now, ReasonMalformed},
		"status too high":      {p.callee, Return{Status: 600, Code: "failed"}, p.now, ReasonMalformed},
		"error without a code": {p.callee, Return{Status: 500}, p.now, ReasonMalformed},
		"code without error":   {p.callee, Return{Status: 200, Code: "failed"}, p.now, ReasonMalformed},
		"bad code":             {p.callee, Return{Status: 500, Code: "a\nb"}, p.now, ReasonMalformed},
		"content type":         {p.callee, Return{Status: 200, ContentType: " "}, p.now, ReasonMalformed},
		"explains too much": {
			p.callee, Return{Status: 200, Explain: strings.Repeat("x", maxExplain+1)}, p.now, ReasonMalformed,
		},
		"session is over": {p.callee, Return{Status: 200}, p.now.Add(2 * time.Hour), ReasonExpired},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := SignReturn(test.signer, sc, test.ret, test.now)
			wantReason(t, err, test.want)
		})
	}
}

func TestVerifyCallRefuses(t *testing.T) {
	later := func(d time.Duration) func(*pair) { return func(p *pair) { p.now = p.now.Add(d) } }
	tests := map[string]struct {
		change func(*pair, *SignedCall)
		clock  func(*pair)
		want   Reason
	}{
		"unsigned":            {func(_ *pair, sc *SignedCall) { sc.Signature = Signature{} }, nil, ReasonUnsigned},
		"one bit of the body": {func(_ *pair, sc *SignedCall) { sc.Call.Body[3] ^= 1 }, nil, ReasonBadDigest},
		"body cut short":      {func(_ *pair, sc *SignedCall) { sc.Call.Body = sc.Call.Body[1:] }, nil, ReasonBadDigest},
		"body and digest": {func(_ *pair, sc *SignedCall) {
			sc.Call.Body, sc.Digest = nil, [32]byte{0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8,
				0x99, 0x6f, 0xb9, 0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
				0xb8, 0x55}
		}, nil, ReasonBadSignature},
		"deadline": {
			func(_ *pair, sc *SignedCall) { sc.Call.Deadline = sc.Call.Deadline.Add(1e6) }, nil, ReasonBadSignature,
		},
		"ID":                {func(_ *pair, sc *SignedCall) { sc.Call.ID += "x" }, nil, ReasonBadSignature},
		"hops added":        {func(_ *pair, sc *SignedCall) { sc.Call.Hops = 1 }, nil, ReasonBadSignature},
		"interface added":   {func(_ *pair, sc *SignedCall) { sc.Call.Interface = anInterface }, nil, ReasonBadSignature},
		"traceparent added": {func(_ *pair, sc *SignedCall) { sc.Call.Traceparent = "x" }, nil, ReasonBadSignature},
		"content type":      {func(_ *pair, sc *SignedCall) { sc.Call.ContentType = "text/plain" }, nil, ReasonBadSignature},
		"caller":            {func(p *pair, sc *SignedCall) { sc.Call.Caller = p.tax.ID() }, nil, ReasonWrongCaller},
		"callee": {func(p *pair, sc *SignedCall) {
			sc.Call.Callee, sc.Call.Path = p.quote.ID(), "/call/quote"
		}, nil, ReasonWrongCallee},
		"path":   {func(_ *pair, sc *SignedCall) { sc.Call.Path = "/call/fx" }, nil, ReasonWrongCallee},
		"key ID": {func(_ *pair, sc *SignedCall) { sc.Signature.KeyID += "x" }, nil, ReasonUnknownKey},
		"algorithm": {
			func(_ *pair, sc *SignedCall) { sc.Signature.Algorithm = "rsa-pss-sha512" }, nil, ReasonWrongAlgorithm,
		},
		"no nonce":  {func(_ *pair, sc *SignedCall) { sc.Signature.Nonce = "" }, nil, ReasonBadSignature},
		"nonce":     {func(_ *pair, sc *SignedCall) { sc.Signature.Nonce += "1" }, nil, ReasonBadSignature},
		"signature": {func(_ *pair, sc *SignedCall) { sc.Signature.Value[0] ^= 1 }, nil, ReasonBadSignature},
		"signature cut": {
			func(_ *pair, sc *SignedCall) { sc.Signature.Value = sc.Signature.Value[:31] }, nil, ReasonBadSignature,
		},
		"signature long": {
			func(_ *pair, sc *SignedCall) { sc.Signature.Value = append(sc.Signature.Value, 0) }, nil, ReasonBadSignature,
		},
		"no created":     {func(_ *pair, sc *SignedCall) { sc.Signature.Created = 0 }, nil, ReasonMalformed},
		"no expires":     {func(_ *pair, sc *SignedCall) { sc.Signature.Expires = 0 }, nil, ReasonMalformed},
		"created moved":  {func(_ *pair, sc *SignedCall) { sc.Signature.Created++ }, nil, ReasonBadSignature},
		"lives too long": {func(_ *pair, sc *SignedCall) { sc.Signature.Expires += 3600 }, nil, ReasonExpired},
		"never lived": {func(_ *pair, sc *SignedCall) {
			sc.Signature.Expires = sc.Signature.Created
		}, nil, ReasonExpired},
		"within skew, early": {nil, later(-9 * time.Second), ""},
		"from the future":    {nil, later(-12 * time.Second), ReasonNotYetValid},
		"within skew, late":  {nil, later(39 * time.Second), ""},
		"too old":            {nil, later(42 * time.Second), ReasonExpired},
		"key is over":        {nil, later(3 * time.Hour), ReasonExpired},
	}
	both(t, func(t *testing.T, p *pair, k keysOfPair) {
		start := p.now
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				p.now = start
				sc, err := SignCall(k.signCall, p.call(), p.now)
				must(t, err)
				if test.change != nil {
					test.change(p, sc)
				}
				if test.clock != nil {
					test.clock(p)
				}
				wantReason(t, VerifyCall(k.verifyCall, p.tax.ID(), sc, p.now), test.want)
			})
		}
	})
}

func TestReplayIsRefused(t *testing.T) {
	both(t, func(t *testing.T, p *pair, k keysOfPair) {
		sc, err := SignCall(k.signCall, p.call(), p.now)
		must(t, err)
		forged := *sc
		forged.Signature.Value = bytes.Clone(sc.Signature.Value)
		forged.Signature.Value[5] ^= 1
		wantReason(t, VerifyCall(k.verifyCall, p.tax.ID(), &forged, p.now), ReasonBadSignature)
		must(t, VerifyCall(k.verifyCall, p.tax.ID(), sc, p.now)) // the forgery used up nothing
		wantReason(t, VerifyCall(k.verifyCall, p.tax.ID(), sc, p.now), ReasonReplayed)
		wantReason(t, VerifyCall(k.verifyCall, p.tax.ID(), sc, p.now.Add(39*time.Second)), ReasonReplayed)
	})
}

func TestVerifyReturnRefuses(t *testing.T) {
	tests := map[string]struct {
		change func(p *pair, call *SignedCall, ret *SignedReturn)
		want   Reason
	}{
		"unsigned": {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Signature = Signature{} }, ReasonUnsigned},
		"body":     {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Return.Body = []byte("{}") }, ReasonBadDigest},
		"status":   {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Return.Status = 201 }, ReasonBadSignature},
		"made a fail": {
			func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Return.Status, r.Return.Code = 500, "failed" }, ReasonBadSignature,
		},
		"bad status":  {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Return.Status = 99 }, ReasonMalformed},
		"key ID":      {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Signature.KeyID = "x" }, ReasonUnknownKey},
		"algorithm":   {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Signature.Algorithm = "x" }, ReasonWrongAlgorithm},
		"signature":   {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Signature.Value[0] ^= 1 }, ReasonBadSignature},
		"call's ID":   {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.CallID = "other" }, ReasonWrongCall},
		"no created":  {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Signature.Created = 0 }, ReasonMalformed},
		"future":      {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Signature.Created += 12 }, ReasonNotYetValid},
		"before call": {func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Signature.Created -= 12 }, ReasonExpired},
		"expired": {
			func(_ *pair, _ *SignedCall, r *SignedReturn) { r.Signature.Expires = r.Signature.Created - 12 }, ReasonExpired,
		},
		"call's body": {func(_ *pair, c *SignedCall, _ *SignedReturn) { c.Digest[0] ^= 1 }, ReasonBadSignature},
		"call's callee": {func(p *pair, c *SignedCall, _ *SignedReturn) {
			c.Call.Callee, c.Call.Path = p.quote.ID(), "/call/quote"
		}, ReasonWrongCallee},
	}
	both(t, func(t *testing.T, p *pair, k keysOfPair) {
		for name, test := range tests {
			t.Run(name, func(t *testing.T) {
				sc, err := SignCall(k.signCall, p.call(), p.now)
				must(t, err)
				sr, err := SignReturn(k.signReturn, sc, Return{Status: 200, Body: []byte(`{"rate":1}`)}, p.now)
				must(t, err)
				test.change(p, sc, sr)
				wantReason(t, VerifyReturn(k.verifyReturn, sc, sr, p.now), test.want)
			})
		}
	})
}

// A return is that of one call only, even if a second call is the same in all but its nonce.
func TestReturnOfAnotherCall(t *testing.T) {
	both(t, func(t *testing.T, p *pair, k keysOfPair) {
		first, err := SignCall(k.signCall, p.call(), p.now)
		must(t, err)
		second, err := SignCall(k.signCall, p.call(), p.now)
		must(t, err)
		sr, err := SignReturn(k.signReturn, first, Return{Status: 200}, p.now)
		must(t, err)
		wantReason(t, VerifyReturn(k.verifyReturn, second, sr, p.now), ReasonBadSignature)
		must(t, VerifyReturn(k.verifyReturn, first, sr, p.now))
	})
}

// A message of one direction does not verify in the other, nor in another session.
func TestSessionsAreSeparate(t *testing.T) {
	p := newPair(t)
	otherCaller, otherCallee := p.session(t)
	sc, err := SignCall(p.caller, p.call(), p.now)
	must(t, err)
	wantReason(t, VerifyCall(otherCallee, p.tax.ID(), sc, p.now), ReasonUnknownKey)
	sc.Signature.KeyID = otherCallee.ID()
	wantReason(t, VerifyCall(otherCallee, p.tax.ID(), sc, p.now), ReasonBadSignature)
	if p.caller.ID() == otherCaller.ID() || p.caller.ID() != p.callee.ID() {
		t.Fatal("session IDs do not tell sessions apart")
	}
	base := []byte("the same bytes")
	if p.callee.verify(returns, base, p.caller.appendSignature(nil, calls, base)) {
		t.Fatal("calls and returns have the same key")
	}
	if !p.callee.verify(calls, base, p.caller.appendSignature(nil, calls, base)) {
		t.Fatal("the two sides have different keys")
	}
	wantReason(t, p.caller.canVerify(calls, p.now), ReasonWrongCallee)
}

func TestKeyWithoutReplayCacheAcceptsNoCall(t *testing.T) {
	p := newPair(t)
	sc, err := SignCall(NewSigner(p.quote), p.call(), p.now)
	must(t, err)
	wantReason(t, VerifyCall(NewKey(p.quote.Certificate, nil), p.tax.ID(), sc, p.now), ReasonReplayCacheFull)
}

func TestReasonsHaveCodes(t *testing.T) {
	want := map[Reason]countersign.Code{
		ReasonMalformed: countersign.CodeBadRequest, ReasonExpired: countersign.CodeExpired,
		ReasonNotYetValid: countersign.CodeExpired, ReasonReplayed: countersign.CodeReplayed,
		ReasonReplayCacheFull: countersign.CodeOverloaded, ReasonBadSignature: countersign.CodeUnverified,
		Reason("another"): countersign.CodeUnverified,
	}
	for reason, code := range want {
		if got := reason.Code(); got != code {
			t.Errorf("code of %s is %s, want %s", reason, got, code)
		}
	}
}
