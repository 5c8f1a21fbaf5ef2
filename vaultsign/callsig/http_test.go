package callsig

import (
	"bytes"
	"crypto/sha512"
	"encoding/base64"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/identity"
)

// exchange is an outside client and a function that meet over HTTP.
type exchange struct {
	*pair
	ann      *identity.Identity
	server   *Verifier
	client   *Verifier
	sessions map[string]*Session
}

func newExchange(tb testing.TB) *exchange {
	tb.Helper()
	x := &exchange{pair: newPair(tb), sessions: map[string]*Session{}}
	x.ann = x.ca.identity(tb, client(tb, "ann"), x.now.Add(-time.Minute), x.now.Add(time.Hour))
	trust := func() *identity.Bundle { return x.ca.Bundle }
	clock := func() time.Time { return x.now }
	x.server = &Verifier{
		Trust: trust, Replay: ResumeReplayCache(0, x.now, nil), Now: clock,
		Session: func(id string) *Session { return x.sessions[id] },
	}
	x.client = &Verifier{Trust: trust, Now: clock}
	return x
}

func (x *exchange) outsideCall() Call {
	call := x.call()
	call.Caller = x.ann.ID()
	return call
}

func newRequest(tb testing.TB, base string, call *Call) *http.Request {
	tb.Helper()
	r, err := http.NewRequest(http.MethodPost, base+Path(call.Callee), nil)
	must(tb, err)
	return r
}

// signed returns a signed request as a server sees it, and its body.
func (x *exchange) signed(tb testing.TB) (*http.Request, []byte, *SignedCall) {
	tb.Helper()
	call := x.outsideCall()
	r := newRequest(tb, "http://node.example:7000", &call)
	sc, err := SignRequest(r, NewSigner(x.ann), call, x.now)
	must(tb, err)
	return r, call.Body, sc
}

func TestHTTPRoundTrip(t *testing.T) {
	x := newExchange(t)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		sc, err := x.server.VerifyRequest(r, body, x.tax.ID())
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		deadline := x.now.Add(2 * time.Second).Truncate(time.Millisecond)
		if sc.Call.Caller != x.ann.ID() || sc.Call.Hops != 3 || !sc.Call.Deadline.Equal(deadline) {
			t.Errorf("the call reads %+v", sc.Call)
		}
		ret := Return{Status: http.StatusOK, Body: []byte(`{"rate":0.2}`)}
		if len(body) == 0 {
			ret = Return{Status: 422, Code: countersign.CodeFailed, Body: []byte(`{"title":"no region"}`)}
		}
		if _, err := SignResponse(w.Header(), NewSigner(x.tax), sc, ret, x.now); err != nil {
			t.Error(err)
		}
		w.WriteHeader(ret.Status)
		if _, err := w.Write(ret.Body); err != nil {
			t.Error(err)
		}
	}))
	defer server.Close()
	for _, body := range []string{`{"region":"EU"}`, ``} {
		call := x.outsideCall()
		call.Body, call.Hops, call.Traceparent = []byte(body), 3, "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
		r := newRequest(t, server.URL, &call)
		sc, err := SignRequest(r, NewSigner(x.ann), call, x.now)
		must(t, err)
		resp, err := server.Client().Do(r)
		must(t, err)
		reply, err := io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		sr, err := x.client.VerifyResponse(resp, reply, r, sc)
		if err != nil {
			t.Fatalf("%v; the response says %s", err, reply)
		}
		if (sr.Return.Code == countersign.CodeFailed) != (body == "") {
			t.Errorf("the return reads %+v", sr.Return)
		}
		// Sent once more as it is, it is refused.
		again := r.Clone(t.Context())
		must(t, err)
		again.Body, err = r.GetBody()
		must(t, err)
		resp, err = server.Client().Do(again)
		must(t, err)
		reply, err = io.ReadAll(resp.Body)
		must(t, err)
		must(t, resp.Body.Close())
		if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(string(reply), "replayed: ") {
			t.Errorf("a replay is answered with %d %s", resp.StatusCode, reply)
		}
		_, err = x.client.VerifyResponse(resp, reply, r, sc)
		wantReason(t, err, ReasonUnsigned)
	}
}

// Structs and HTTP messages have one signature base.
func TestBaseOfStructsAndHTTPAreTheSame(t *testing.T) {
	x := newExchange(t)
	call := x.outsideCall()
	call.Hops, call.Traceparent, call.ID = 2, "trace", `a"b\c`
	r := newRequest(t, "http://node.example", &call)
	sc, err := SignRequest(r, NewSigner(x.ann), call, x.now)
	must(t, err)
	var s scratch
	must(t, s.callBase(sc))
	found, err := findSignature(r.Header, TagCall)
	must(t, err)
	base, err := appendBase(nil, found.components, requestSource{r})
	must(t, err)
	if got := append(base, found.params...); !bytes.Equal(got, s.base) {
		t.Errorf("over HTTP\n%s\nfrom the struct\n%s", got, s.base)
	}
}

// A call over HTTP may be signed in a session as well.
func TestSessionOverHTTP(t *testing.T) {
	x := newExchange(t)
	x.sessions[x.callee.ID()] = x.callee
	call := x.call()
	r := newRequest(t, "http://node.example", &call)
	sc, err := SignRequest(r, x.caller, call, x.now)
	must(t, err)
	got, err := x.server.VerifyRequest(r, call.Body, x.tax.ID())
	must(t, err)
	if r.Header.Get(HeaderCertificate) != "" || got.Signature.KeyID != sc.Signature.KeyID {
		t.Errorf("signature %+v, certificate %q", got.Signature, r.Header.Get(HeaderCertificate))
	}
	delete(x.sessions, x.callee.ID())
	_, err = x.server.VerifyRequest(r, call.Body, x.tax.ID())
	wantReason(t, err, ReasonUnknownKey)
	x.server.Session = nil
	_, err = x.server.VerifyRequest(r, call.Body, x.tax.ID())
	wantReason(t, err, ReasonUnknownKey)
}

// otherClient signs a call as a library would that knows RFC 9421 and docs/call-format.md, but not this code.
func (x *exchange) otherClient(t *testing.T, r *http.Request, label, list, params string) {
	t.Helper()
	digest := sha512.Sum512(x.call().Body)
	for name, value := range map[string]string{
		"Content-Type": "application/json; charset=utf-8", "X-Extra": "one",
		"Content-Digest": ContentDigest(x.call().Body) + ", sha-512=:" + base64.StdEncoding.EncodeToString(digest[:]) + ":",
		HeaderCaller:     `"` + x.ann.ID().String() + `"`, HeaderCallee: `"` + x.tax.ID().String() + `"`,
		HeaderDeadline: "4102444800000", HeaderID: `"7"`,
		HeaderCertificate: ":" + base64.StdEncoding.EncodeToString(x.ann.Certificate.DER) + ":",
	} {
		r.Header.Set(name, value)
	}
	r.Header.Add("X-Extra", " two ")
	params = strings.ReplaceAll(params, "KEY", x.ann.Certificate.Thumbprint)
	r.Header.Set("Signature-Input", `other=("@method");tag="theirs", `+label+"="+list+params)
	r.Header.Set("Signature", `other=:AAAA:, `+label+`=:AAAA:`)
	found, err := findSignature(r.Header, TagCall)
	must(t, err)
	base, err := appendBase(nil, found.components, requestSource{r})
	must(t, err)
	value := x.ann.Key.Sign(append(base, found.params...))
	r.Header.Set("Signature", `other=:AAAA:, `+label+`=:`+base64.StdEncoding.EncodeToString(value)+`:`)
}

func TestOtherClientsAreUnderstood(t *testing.T) {
	x := newExchange(t)
	created := x.now.Unix()
	const all = `"countersign-id" "countersign-deadline" "countersign-callee" "countersign-caller" "content-digest" ` +
		`"content-type" "@path" "@method"`
	params := `;tag="countersign-call";expires=` + itoa(created+20) + `;created=` + itoa(created) +
		`;keyid="KEY";nonce="NONCE"`
	tests := map[string]struct{ label, list, params, query string }{
		"another order and label": {"sig1", "(" + all + ")", params, ""},
		"a star in the label":     {"*a.b-c_1", "(" + all + ")", params, ""},
		"white space": {
			"sig1", "(  " + strings.ReplaceAll(all, " ", "  ") + " )", strings.ReplaceAll(params, ";", "; "), "",
		},
		"unknown parameters": {"sig1", "(" + all + ")", params + `;purpose="x";n=1.50;t=tok;b=?0;d=@1;p=%"%c3%a9"`, ""},
		"more components": {"sig1", "(" + all + ` "@authority" "@scheme" "@target-uri" "@request-target" "@query" ` +
			`"x-extra" ` +
			`"x-extra";bs "content-digest";key="sha-512" "content-digest";sf "host" "countersign-deadline";sf)`, params, "a=b"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			call := x.outsideCall()
			r := newRequest(t, "http://Node.Example:80", &call)
			r.URL.RawQuery = test.query
			x.otherClient(t, r, test.label, test.list, strings.ReplaceAll(test.params, "NONCE", "0123456789abcdef"+name))
			sc, err := x.server.VerifyRequest(r, call.Body, x.tax.ID())
			must(t, err)
			if sc.Signature.Label != test.label || sc.Signature.Algorithm != "" || sc.Call.ID != "7" {
				t.Errorf("read as %+v", sc)
			}
			// The return covers the request as the client sent it: its label, its digests.
			resp := &http.Response{StatusCode: 200, Header: http.Header{}}
			_, err = SignResponse(resp.Header, NewSigner(x.tax), sc, Return{Status: 200}, x.now)
			must(t, err)
			_, err = x.client.VerifyResponse(resp, nil, r, sc)
			must(t, err)
		})
	}
	for name, nonce := range map[string]string{"short": "123456789012345", "long": strings.Repeat("n", 129), "none": ""} {
		t.Run("nonce "+name, func(t *testing.T) {
			call := x.outsideCall()
			r := newRequest(t, "http://node.example", &call)
			x.otherClient(t, r, "sig1", "("+all+")", strings.ReplaceAll(params, "NONCE", nonce))
			_, err := x.server.VerifyRequest(r, call.Body, x.tax.ID())
			wantReason(t, err, ReasonMalformed)
		})
	}
}

func TestVerifyResponseOfAnotherCall(t *testing.T) {
	x := newExchange(t)
	_, _, first := x.signed(t)
	request, _, second := x.signed(t)
	resp := &http.Response{StatusCode: 200, Header: http.Header{}}
	_, err := SignResponse(resp.Header, NewSigner(x.tax), first, Return{Status: 200}, x.now)
	must(t, err)
	_, err = x.client.VerifyResponse(resp, nil, request, second)
	wantReason(t, err, ReasonBadSignature)
	_, err = x.client.VerifyResponse(resp, nil, nil, first)
	wantReason(t, err, ReasonMalformed)
}

func TestSignRequestRefusesAnotherTarget(t *testing.T) {
	x := newExchange(t)
	for _, target := range []string{"/", "/call/fx", "/call/tax?a=b", "/call/tax?", "/call/tax/"} {
		r, err := http.NewRequest(http.MethodPost, "http://node.example"+target, nil)
		must(t, err)
		_, err = SignRequest(r, NewSigner(x.ann), x.outsideCall(), x.now)
		wantReason(t, err, ReasonWrongCallee)
	}
}
