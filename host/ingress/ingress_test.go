package ingress

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

func TestTooManyCalls(t *testing.T) {
	f := newFixtureWith(t, newAuthority(t), control.Ingress{MaxCalls: 1})
	wait, entered, leave := slow()
	f.run("quote", open, running(wait))
	n := serving(t, f, nil)
	c := n.speaking(t, "h2c", "", nil)
	r, sent := n.signed(t, "http://"+n.address, "quote", "{}")
	first := make(chan *answer)
	go func() { first <- do(t, c, r) }()
	<-entered
	second, _ := n.signed(t, "http://"+n.address, "quote", "{}")
	got := do(t, c, second)
	if p := got.problem(t); got.StatusCode != http.StatusTooManyRequests || p.Code != countersign.CodeOverloaded {
		t.Errorf("a second call is answered with %d %s", got.StatusCode, got.body)
	}
	close(leave)
	n.mustVerify(t, <-first, r, sent, "{}")
	third, sent := n.signed(t, "http://"+n.address, "quote", "{}")
	go func() { <-entered }()
	n.mustVerify(t, do(t, c, third), third, sent, "{}")
}

func TestBodiesHaveABudget(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(echo))
	n := serving(t, f, func(in *Server) { in.bodies = newRoom(100) })
	c := n.speaking(t, "1", "", nil)
	large := `"` + strings.Repeat("x", 200) + `"`
	for _, length := range []int64{int64(len(large)), -1} {
		r, _ := n.signed(t, "http://"+n.address, "quote", large)
		r.ContentLength = length
		if p := do(t, c, r).problem(t); p.Code != countersign.CodeOverloaded {
			t.Errorf("a body that is too large is answered with %+v", p)
		}
	}
	for range 5 { // each gives back what it took
		r, sent := n.signed(t, "http://"+n.address, "quote", `"`+strings.Repeat("x", 60)+`"`)
		got := do(t, c, r)
		n.mustVerify(t, got, r, sent, string(sent.Call.Body))
	}
}

// TestRefusalsAreProblems has each refusal of a node, by docs/errors.md.
func TestRefusalsAreProblems(t *testing.T) {
	f := newFixtureWith(t, newAuthority(t), control.Ingress{Names: []string{"Node.Example", "named.example:99"}})
	f.run("quote", open, running(echo))
	f.run("secret", hclspec.Function{}, running(echo))
	f.run("web", openJWT, running(echo))
	n := serving(t, f, nil)
	c := n.speaking(t, "1", "", nil)
	replayed, _ := n.signed(t, "http://"+n.address, "quote", "{}")
	do(t, c, replayed)
	again := replayed.Clone(t.Context())
	again.Body, _ = replayed.GetBody()
	request := func(function string, edit func(*http.Request)) *http.Request {
		r, _ := n.signed(t, "http://"+n.address, function, "{}")
		if edit != nil {
			edit(r)
		}
		return r
	}
	_, port, _ := strings.Cut(n.address, ":")
	for name, test := range map[string]struct {
		r      *http.Request
		status int
		code   countersign.Code
		reason string
	}{
		"replayed":         {again, 401, countersign.CodeReplayed, "replayed"},
		"for another node": {request("quote", func(r *http.Request) { r.Host = "other.example" }), 401, countersign.CodeUnverified, "wrong_callee"},
		"named":            {request("quote", func(r *http.Request) { r.Host = "node.example:" + port }), 401, countersign.CodeUnverified, "bad_signature"},
		"named with port":  {request("quote", func(r *http.Request) { r.Host = "named.example:99" }), 401, countersign.CodeUnverified, "bad_signature"},
		"no such function": {request("nobody", nil), 404, countersign.CodeUnknownFunction, "no function of this name"},
		"no function":      {request("quote", func(r *http.Request) { r.URL.Path = "/call/-" }), 404, countersign.CodeUnknownFunction, "no function"},
		"not open":         {request("secret", nil), 403, countersign.CodeNotPermitted, "ingress"},
		"no token":         {request("web", nil), 401, countersign.CodeUnverified, "Authorization"},
		"no issuer": {request("web", func(r *http.Request) { r.Header.Set("Authorization", "Bearer x.y.z") }), 401,
			countersign.CodeUnverified, "trusts no issuer"},
		"a token instead": {request("quote", func(r *http.Request) {
			r.Header.Del("Signature")
			r.Header.Set("Authorization", "Bearer x.y.z")
		}), 401, countersign.CodeUnverified, "unsigned"},
		"GET":           {request("quote", func(r *http.Request) { r.Method = http.MethodGet }), 405, countersign.CodeBadRequest, "POST"},
		"nothing":       {request("quote", func(r *http.Request) { r.URL.Path = "/call" }), 404, countersign.CodeBadRequest, "nothing is here"},
		"a slash after": {request("quote", func(r *http.Request) { r.URL.Path += "/" }), 404, countersign.CodeBadRequest, "nothing is here"},
	} {
		t.Run(name, func(t *testing.T) {
			got := do(t, c, test.r)
			p := got.problem(t)
			if got.StatusCode != test.status || p.Code != test.code || !strings.Contains(p.Detail, test.reason) {
				t.Errorf("answered with %d %s; want %d %s with %q", got.StatusCode, got.body, test.status, test.code, test.reason)
			}
			if bearer := test.r.Header.Get("Authorization") != "" && test.status == 401; bearer != (got.Header.Get("WWW-Authenticate") == "Bearer") {
				t.Errorf("WWW-Authenticate is %q", got.Header.Get("WWW-Authenticate"))
			}
		})
	}
}

// TestStoppingInstancePassesItsCallsOn has a call meet an instance that stops, beside one that does not.
func TestStoppingInstancePassesItsCallsOn(t *testing.T) {
	f := newFixture(t)
	first := f.run("quote", open, running(echo))
	n := serving(t, f, nil)
	first.drain(t.Context()) // in the table, and refusing
	second := f.run("quote", open, func(t *made) {
		t.runtime = echo
		t.allocation = "second-alloc"
	})
	c := n.speaking(t, "1", "", nil)
	for range 20 {
		r, sent := n.signed(t, "http://"+n.address, "quote", "{}")
		n.mustVerify(t, do(t, c, r), r, sent, "{}")
	}
	second.drain(t.Context())
	r, _ := n.signed(t, "http://"+n.address, "quote", "{}")
	if p := do(t, c, r).problem(t); p.Code != countersign.CodeUnavailable {
		t.Errorf("answered with %+v", p)
	}
}

// TestDefaultPorts has names of a host that listens on a scheme's port, which an authority leaves out.
func TestDefaultPorts(t *testing.T) {
	f := newFixture(t)
	in, err := New(f.config)
	must(t, err)
	in.addNames(address("192.0.2.1:443"))
	if !in.isOwn("192.0.2.1") || !in.isOwn("192.0.2.1:443") || in.isOwn("192.0.2.2") {
		t.Errorf("the host's names are %v", in.names)
	}
	r := httptest.NewRequest(http.MethodPost, "https://192.0.2.1:443/call/quote", bytes.NewReader(nil))
	if !in.isOwn(callsig.AuthorityOf(r)) {
		t.Errorf("%q is not one of %v", callsig.AuthorityOf(r), in.names)
	}
}

// address is a net.Addr.
type address string

func (a address) Network() string { return "tcp" }
func (a address) String() string  { return string(a) }

// TestIngress calls over HTTP; docs/errors.md has the statuses.
func TestIngress(t *testing.T) {
	f := newFixture(t)
	open := hclspec.Function{Ingress: &hclspec.Ingress{HTTP: true, Auth: "signed"},
		Call: hclspec.Call{Timeout: time.Second, MaxRequest: 64, MaxResponse: 64}}
	f.run("quote", open, running(echo))
	f.run("tax", hclspec.Function{}, running(echo))
	in, err := New(f.config)
	must(t, err)
	server := httptest.NewServer(in.http.Handler)
	defer server.Close()
	client, err := identity.ClientID(trustDomain, "someone")
	if err != nil {
		t.Fatal(err)
	}
	function, err := identity.FunctionID(trustDomain, "fx")
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		as     identity.ID
		callee string
		body   string
		edit   func(*http.Request)
		status int
	}{
		"good":               {client, "quote", `{}`, nil, 200},
		"unknown function":   {client, "nobody", `{}`, nil, 404},
		"without ingress":    {client, "tax", `{}`, nil, 403},
		"as a function":      {function, "quote", `{}`, nil, 403},
		"too large":          {client, "quote", strings.Repeat("x", 65), nil, 413},
		"too large, chunked": {client, "quote", strings.Repeat("x", 65), func(r *http.Request) { r.ContentLength = -1 }, 413},
		"unsigned":           {client, "quote", `{}`, func(r *http.Request) { r.Header.Del("Signature") }, 401},
	} {
		t.Run(name, func(t *testing.T) {
			callee, err := identity.FunctionID(trustDomain, test.callee)
			if err != nil {
				t.Fatal(err)
			}
			r, err := http.NewRequest(http.MethodPost, server.URL+callsig.Path(callee), nil)
			if err != nil {
				t.Fatal(err)
			}
			self := f.ca.Identity(t, test.as)
			sent, err := callsig.SignRequest(r, callsig.NewSigner(self), callsig.Call{Caller: test.as, Callee: callee,
				Deadline: time.Now().Add(time.Second), ID: "1", Body: []byte(test.body)}, time.Now())
			if err != nil {
				t.Fatal(err)
			}
			if test.edit != nil {
				test.edit(r)
			}
			response, err := http.DefaultClient.Do(r)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != test.status {
				t.Fatalf("status %d with %s; want %d", response.StatusCode, body, test.status)
			}
			if test.status != 200 {
				return
			}
			v := callsig.Verifier{Trust: f.trust}
			if _, err := v.VerifyResponse(response, body, r, sent); err != nil || !bytes.Equal(body, []byte(test.body)) {
				t.Errorf("the return %s does not verify: %v", body, err)
			}
		})
	}
}

// TestUnsignableReturnsOutside has a function whose failure has a code that no return can carry.
func TestUnsignableReturnsOutside(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(func(context.Context, *countersign.Invocation) ([]byte, error) {
		return nil, countersign.Errorf("not a code", "quote", "odd")
	}))
	n := serving(t, f, nil)
	r, sent := n.signed(t, "http://"+n.address, "quote", "{}")
	got := do(t, n.speaking(t, "1", "", nil), r)
	n.mustVerify(t, got, r, sent, string(got.body))
	if p := got.problem(t); p.Code != countersign.CodeInternal {
		t.Errorf("answered with %+v", p)
	}
}

// TestExplainedOnlyIfSigned asks for explanations in every way.
func TestExplainedOnlyIfSigned(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(echo))
	n := serving(t, f, nil)
	c := n.speaking(t, "1", "", nil)
	callee, id := functionID(t, "quote"), clientID(t)
	ask := func(explain bool) (*http.Request, *callsig.SignedCall) {
		r, err := http.NewRequest(http.MethodPost, "http://"+n.address+callsig.Path(callee), nil)
		must(t, err)
		sent, err := callsig.SignRequest(r, callsig.NewSigner(n.ca.Identity(t, id)), callsig.Call{Caller: id, Callee: callee,
			Authority: callsig.AuthorityOf(r), Deadline: time.Now().Add(5 * time.Second), ID: "1", Body: []byte("{}"), Explain: explain}, time.Now())
		must(t, err)
		return r, sent
	}
	for _, explain := range []bool{true, false} {
		r, sent := ask(explain)
		got := do(t, c, r)
		n.mustVerify(t, got, r, sent, "{}")
		if explained := got.Header.Get(callsig.HeaderExplain) != ""; explained != explain {
			t.Errorf("asked %v, explained %v", explain, explained)
		}
	}
	r, _ := ask(false)
	r.Header.Set(callsig.HeaderExplain, "?1") // on the way
	if p := do(t, c, r).problem(t); p.Code != countersign.CodeUnverified || !strings.Contains(p.Detail, "missing_component") {
		t.Errorf("asked by somebody else: %+v", p)
	}
	r, _ = ask(true)
	r.Header.Del(callsig.HeaderExplain)
	if p := do(t, c, r).problem(t); p.Code != countersign.CodeUnverified {
		t.Errorf("taken out by somebody else: %+v", p)
	}
}

// TestNobodyCanSign has an instance whose certificate is gone after the call.
func TestNobodyCanSign(t *testing.T) {
	f := newFixture(t)
	id := functionID(t, "quote")
	good := f.ca.Identity(t, id)
	_, ended := f.ca.Certify(t, id, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	var self atomic.Pointer[identity.Identity]
	self.Store(good)
	spec := open
	spec.Name, spec.Call = "quote", hclspec.Call{Timeout: 5 * time.Second, MaxRequest: 64, MaxResponse: 64}
	runs := 0
	in := f.calls.Prepare(calls.InstanceConfig{Allocation: "a", Spec: &spec, SVID: id, Identity: self.Load})
	f.calls.Add(in, goFunction(func(context.Context, *countersign.Invocation) ([]byte, error) {
		runs++
		self.Store(ended)
		return []byte("{}"), nil
	}))
	n := serving(t, f, nil)
	c := n.speaking(t, "1", "", nil)
	r, _ := n.signed(t, "http://"+n.address, "quote", "{}")
	if got := do(t, c, r); got.problem(t).Code != countersign.CodeInternal || !strings.Contains(string(got.body), "was executed") {
		t.Errorf("after the call: %d %s", got.StatusCode, got.body)
	}
	r, _ = n.signed(t, "http://"+n.address, "quote", "{}")
	if got := do(t, c, r); got.problem(t).Code != countersign.CodeUnavailable || runs != 1 {
		t.Errorf("before the call: %d %s, executed %d times", got.StatusCode, got.body, runs)
	}
}
