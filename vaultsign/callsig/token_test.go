package callsig

import (
	"net/http"
	"testing"
	"time"

	"countersign"
	"countersign/vaultsign/identity"
)

// tokenExchange is the return of a call with a bearer token, and what it answers.
func (x *exchange) tokenExchange(t *testing.T, edit func(*http.Request), ret Return) (*http.Request, *http.Response) {
	t.Helper()
	call := x.outsideCall()
	r := newRequest(t, "https://node.example", &call)
	r.Header.Set("Content-Digest", ContentDigest(call.Body))
	r.Header.Set(HeaderID, `"mine"`)
	if edit != nil {
		edit(r)
	}
	read, err := ReadTokenCall(r, call.Body, x.tax.ID())
	must(t, err)
	resp := &http.Response{StatusCode: ret.Status, Header: http.Header{}}
	id := read.ID
	if id == "" {
		id = "the-node's"
	}
	_, err = SignTokenResponse(resp.Header, NewSigner(x.tax), r, id, ret, x.now)
	must(t, err)
	return r, resp
}

func TestTokenReturn(t *testing.T) {
	x := newExchange(t)
	failed := Return{Status: 422, Code: countersign.CodeFailed, Body: []byte(`{}`), Explain: "[]"}
	for name, test := range map[string]struct {
		edit func(*http.Request)
		ret  Return
	}{
		"all fields":        {nil, Return{Status: 200, Body: []byte(`{}`)}},
		"a failure":         {nil, failed},
		"no digest, no ID":  {func(r *http.Request) { r.Header = http.Header{} }, Return{Status: 200, Body: []byte(`{}`)}},
		"deadline, a trace": {func(r *http.Request) { r.Header.Set("Traceparent", "00-1") }, Return{Status: 200, Body: []byte(`{}`)}},
	} {
		t.Run(name, func(t *testing.T) {
			r, resp := x.tokenExchange(t, test.edit, test.ret)
			got, err := x.client.VerifyTokenResponse(resp, test.ret.Body, r, x.tax.ID())
			must(t, err)
			if got.Return.Code != test.ret.Code || got.Return.Status != test.ret.Status {
				t.Errorf("read %+v", got.Return)
			}
			// It is no return of a signed call.
			_, _, sc := x.signed(t)
			_, err = x.client.VerifyResponse(resp, test.ret.Body, r, sc)
			wantReason(t, err, ReasonUnsigned)
		})
	}
}

func TestTokenReturnsThatAreRefused(t *testing.T) {
	x := newExchange(t)
	body := []byte(`{}`)
	for name, test := range map[string]struct {
		edit func(*http.Request, *http.Response)
		want Reason
	}{
		"another status":   {func(_ *http.Request, w *http.Response) { w.StatusCode = 201 }, ReasonBadSignature},
		"another function": {func(_ *http.Request, w *http.Response) { w.Header = x.otherTokenReturn(t).Header }, ReasonWrongCallee},
		"another path":     {func(r *http.Request, _ *http.Response) { r.URL.Path = "/call/fx" }, ReasonBadSignature},
		"another request": {func(r *http.Request, _ *http.Response) {
			r.Header.Set("Content-Digest", ContentDigest([]byte("x")))
		}, ReasonBadSignature},
		"the request's digest is not covered": {func(r *http.Request, w *http.Response) {
			r.Header.Del("Content-Digest")
			_, err := SignTokenResponse(w.Header, NewSigner(x.tax), r, "mine", Return{Status: 200, Body: body}, x.now)
			must(t, err)
			r.Header.Set("Content-Digest", ContentDigest(x.call().Body))
		}, ReasonMissingComponent},
		"another call": {func(r *http.Request, _ *http.Response) { r.Header.Set(HeaderID, `"other"`) }, ReasonWrongCall},
		"old":          {func(*http.Request, *http.Response) { x.now = x.now.Add(2 * time.Minute) }, ReasonExpired},
		"unsigned":     {func(_ *http.Request, w *http.Response) { w.Header.Del("Signature") }, ReasonUnsigned},
	} {
		t.Run(name, func(t *testing.T) {
			now := x.now
			defer func() { x.now = now }()
			r, resp := x.tokenExchange(t, nil, Return{Status: 200, Body: body})
			test.edit(r, resp)
			_, err := x.client.VerifyTokenResponse(resp, body, r, x.tax.ID())
			wantReason(t, err, test.want)
		})
	}
}

// otherTokenReturn is a return that another identity signed.
func (x *exchange) otherTokenReturn(t *testing.T) *http.Response {
	t.Helper()
	r, resp := x.tokenExchange(t, nil, Return{Status: 200, Body: []byte(`{}`)})
	fx, err := identity.FunctionID(x.tax.ID().TrustDomain(), "fx")
	must(t, err)
	self := x.ca.identity(t, fx, x.now.Add(-time.Minute), x.now.Add(time.Hour))
	_, err = SignTokenResponse(resp.Header, NewSigner(self), r, "mine", Return{Status: 200, Body: []byte(`{}`)}, x.now)
	must(t, err)
	return resp
}

func TestReadTokenCallRefuses(t *testing.T) {
	x := newExchange(t)
	for name, test := range map[string]struct {
		edit func(*http.Request)
		want Reason
	}{
		"a query":        {func(r *http.Request) { r.URL.RawQuery = "a=b" }, ReasonMalformed},
		"another path":   {func(r *http.Request) { r.URL.Path = "/call/fx" }, ReasonWrongCallee},
		"a wrong digest": {func(r *http.Request) { r.Header.Set("Content-Digest", ContentDigest([]byte("x"))) }, ReasonBadDigest},
		"a bad deadline": {func(r *http.Request) { r.Header.Set(HeaderDeadline, "-1") }, ReasonMalformed},
		"a bad ID":       {func(r *http.Request) { r.Header.Set(HeaderID, `"a b"`) }, ReasonMalformed},
		"a bad trace":    {func(r *http.Request) { r.Header.Set("Traceparent", "a b") }, ReasonMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			call := x.outsideCall()
			r := newRequest(t, "https://node.example", &call)
			test.edit(r)
			_, err := ReadTokenCall(r, call.Body, x.tax.ID())
			wantReason(t, err, test.want)
		})
	}
}

func TestAuthority(t *testing.T) {
	x := newExchange(t)
	x.server.Authority = func(a string) bool { return a == "node.example:7000" }
	send := func(base string, covered bool) (*http.Request, Call) {
		call := x.outsideCall()
		r := newRequest(t, base, &call)
		if covered {
			call.Authority = AuthorityOf(r)
		}
		_, err := SignRequest(r, NewSigner(x.ann), call, x.now)
		must(t, err)
		return r, call
	}
	r, call := send("http://Node.Example:7000", true)
	_, err := x.server.VerifyRequest(r, call.Body, x.tax.ID())
	must(t, err)

	// Carried to another node as it is, or with the name changed.
	r, call = send("http://other.example:7000", true)
	_, err = x.server.VerifyRequest(r, call.Body, x.tax.ID())
	wantReason(t, err, ReasonWrongCallee)
	r.Host, r.URL.Host = "node.example:7000", "node.example:7000"
	_, err = x.server.VerifyRequest(r, call.Body, x.tax.ID())
	wantReason(t, err, ReasonBadSignature)

	// Forwarded, the name is not this node's, but is signed all the same.
	r, call = send("http://other.example:7000", true)
	_, err = x.server.VerifyForwarded(r, call.Body, x.tax.ID(), func(a string) bool { return a == "other.example:7000" || a == "node.example:7000" })
	must(t, err)
	r, call = send("http://other.example:7000", true)
	r.Host = "node.example:7000"
	_, err = x.server.VerifyForwarded(r, call.Body, x.tax.ID(), func(a string) bool { return a == "other.example:7000" || a == "node.example:7000" })
	wantReason(t, err, ReasonBadSignature)

	r, call = send("http://other.example:7000", true)
	_, err = x.server.VerifyForwarded(r, call.Body, x.tax.ID(), func(string) bool { return false })
	wantReason(t, err, ReasonWrongCallee)

	// Exposed, it has to be there and to be this node's.
	own := func(a string) bool { return a == "other.example:7000" }
	r, call = send("http://other.example:7000", true)
	_, err = x.server.VerifyExposed(r, call.Body, x.tax.ID(), own)
	must(t, err)
	r, call = send("http://node.example:7000", true)
	_, err = x.server.VerifyExposed(r, call.Body, x.tax.ID(), own)
	wantReason(t, err, ReasonWrongCallee)
	r, call = send("http://other.example:7000", false)
	_, err = x.server.VerifyExposed(r, call.Body, x.tax.ID(), own)
	wantReason(t, err, ReasonMissingComponent)

	// Not covered, it does not matter.
	r, call = send("http://other.example:7000", false)
	_, err = x.server.VerifyRequest(r, call.Body, x.tax.ID())
	must(t, err)

	call = x.outsideCall()
	call.Authority = "elsewhere"
	_, err = SignRequest(newRequest(t, "http://node.example", &call), NewSigner(x.ann), call, x.now)
	wantReason(t, err, ReasonWrongCallee)
}
