package ingress

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/control"
	"countersign/host/retry"
	"countersign/router"
	"countersign/tests/nobody"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

func TestAnyNodeAnswers(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	var got atomic.Pointer[countersign.Invocation]
	far.run("quote", open, running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
		got.Store(in)
		if bytes.Contains(in.Body, []byte("fail")) {
			return nil, countersign.Errorf(countersign.CodeFailed, "quote", "as it was asked to")
		}
		return in.Body, nil
	}))
	large := `"` + strings.Repeat("x", 900_000) + `"`
	for _, test := range []struct{ protocol, base string }{
		{"1", "http://"}, {"h2c", "http://"}, {"1 TLS", "https://"}, {"h2", "https://"},
	} {
		c := near.speaking(t, test.protocol, "", nil)
		for _, body := range []string{`{"a":1}`, large} {
			r, sent := near.signed(t, test.base+near.address, "quote", body)
			near.mustVerify(t, do(t, c, r), r, sent, body)
		}
		r, sent := near.signed(t, test.base+near.address, "quote", `"fail"`)
		failed := do(t, c, r)
		near.mustVerify(t, failed, r, sent, string(failed.body))
		if p := failed.problem(t); p.Code != countersign.CodeFailed || failed.StatusCode != 422 {
			t.Errorf("a failure is answered with %+v", p)
		}
	}
	if in := got.Load(); in.Caller != clientID(t).String() || in.Hops != 0 {
		t.Errorf("the function saw %+v", in)
	}
	// The node that was asked remembers the nonce, too.
	c := near.speaking(t, "1", "", nil)
	r, _ := near.signed(t, "http://"+near.address, "quote", "{}")
	again := r.Clone(t.Context())
	again.Body, _ = r.GetBody()
	do(t, c, r)
	if p := do(t, c, again).problem(t); p.Code != countersign.CodeReplayed {
		t.Errorf("a replay is answered with %+v", p)
	}
	// What does not verify is not passed on.
	got.Store(nil)
	r, _ = near.signed(t, "http://"+near.address, "quote", "{}")
	r.Header.Set("Countersign-Id", `"other"`)
	if p := do(t, c, r).problem(t); p.Code != countersign.CodeUnverified || got.Load() != nil {
		t.Errorf("a forged call is answered with %+v; the function saw %+v", p, got.Load())
	}
}

// TestUnsignedRefusalsPass has what only the other node knows.
func TestUnsignedRefusalsPass(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	far.run("quote", hclspec.Function{}, running(echo))
	c := near.speaking(t, "1", "", nil)
	r, _ := near.signed(t, "http://"+near.address, "quote", "{}")
	if p := do(t, c, r).problem(t); p.Code != countersign.CodeNotPermitted || !strings.Contains(p.Detail, "ingress") {
		t.Errorf("answered with %+v", p)
	}
}

// TestOnlyNodesForward has everybody else claim to pass a call on, to get around the rule about the authority.
func TestOnlyNodesForward(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	far.run("quote", open, running(echo))
	stranger := newFixture(t)
	function := near.ca.Identity(t, functionID(t, "other"))
	for name, test := range map[string]struct {
		base, protocol string
		self           *identity.Identity
		value          string
		want           string // in the reason; "" if the call is answered
	}{
		"plain HTTP":             {"http://", "1", nil, "http", "they use TLS"},
		"plain HTTP/2":           {"http://", "h2c", nil, "http", "they use TLS"},
		"no certificate":         {"https://", "h2", nil, "http", "present a function's certificate"},
		"a client's certificate": {"https://", "h2", near.ca.Identity(t, clientID(t)), "http", "is no function"},
		"a wrong value":          {"https://", "h2", function, "1", "http or https"},
		"a node":                 {"https://", "h2", function, "http", ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := far.speaking(t, test.protocol, "quote-alloc.quote", test.self)
			// Signed for near, over plain HTTP, and carried to far.
			r, sent := near.signed(t, "http://"+near.address, "quote", "{}")
			carried := r.Clone(t.Context())
			carried.URL.Scheme, carried.URL.Host, carried.Host = strings.TrimSuffix(test.base, "://"), far.address, near.address
			carried.Header.Set(forwardedHeader, test.value)
			got := do(t, c, carried)
			if test.want == "" {
				near.mustVerify(t, got, r, sent, "{}")
				return
			}
			if p := got.problem(t); p.Code != countersign.CodeNotPermitted || !strings.Contains(p.Detail, test.want) {
				t.Errorf("answered with %+v; want %q", p, test.want)
			}
		})
	}
	t.Run("a certificate of another authority", func(t *testing.T) {
		c := far.speaking(t, "h2", "", stranger.ca.Identity(t, functionID(t, "other")))
		r, _ := near.signed(t, "https://"+far.address, "quote", "{}")
		if _, err := c.Do(r); err == nil {
			t.Error("the handshake succeeds")
		}
	})
	t.Run("not marked", func(t *testing.T) {
		c := far.speaking(t, "h2", "quote-alloc.quote", function)
		r, _ := near.signed(t, "https://"+near.address, "quote", "{}")
		r.URL.Host, r.Host = far.address, near.address
		if p := do(t, c, r).problem(t); p.Code != countersign.CodeUnverified || !strings.Contains(p.Detail, "wrong_callee") {
			t.Errorf("answered with %+v", p)
		}
	})
}

// TestForwardedCallsGoNoFurther has two nodes that each think the other runs the function.
func TestForwardedCallsGoNoFurther(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	far.run("else", open, running(echo))
	far.in.route = to(at("other-alloc", near.address))
	near.in.route = to(at("else-alloc", far.address))
	far.run("quote", open, running(echo)).drain(t.Context())
	near.in.route = to(targetOf(far, "quote"))
	c := near.speaking(t, "1", "", nil)
	r, _ := near.signed(t, "http://"+near.address, "quote", "{}")
	if p := do(t, c, r).problem(t); p.Code != countersign.CodeUnavailable || !strings.Contains(p.Detail, "asked for does not run here") {
		t.Errorf("answered with %+v", p)
	}
}

// TestForwardingTriesElsewhere has targets that do not take the call before one that does.
func TestForwardingTriesElsewhere(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	far.run("quote", open, running(echo))
	var told *counted
	counting := func(to retry.Target) retry.Target {
		to.Record = told
		return to
	}
	stopping := far.run("quote", open, func(t *made) {
		t.runtime = echo
		t.allocation = "stopping-alloc"
	})
	stopping.drain(t.Context())
	nobody := at("nobody-alloc", nobody.Listens(t))
	gone := at("gone-alloc", far.address)
	refusing := at("stopping-alloc", far.address)
	wrong := at("other-alloc", near.address) // runs another function
	for name, first := range map[string]retry.Target{"nobody listens": nobody, "no such instance": gone, "stopping": refusing, "another function": wrong} {
		t.Run(name, func(t *testing.T) {
			told = new(counted)
			near.in.route = to(counting(first), counting(targetOf(far, "quote")))
			r, sent := near.signed(t, "http://"+near.address, "quote", "{}")
			near.mustVerify(t, do(t, near.speaking(t, "1", "", nil), r), r, sent, "{}")
			if told.began.Load() != 2 || told.ended.Load() != 2 || told.failed.Load() != 1 {
				t.Errorf("%d begun, %d ended, %d failed", told.began.Load(), told.ended.Load(), told.failed.Load())
			}
		})
	}
	near.in.route = to(nobody, gone, refusing, nobody)
	r, _ := near.signed(t, "http://"+near.address, "quote", "{}")
	if p := do(t, near.speaking(t, "1", "", nil), r).problem(t); p.Code != countersign.CodeUnavailable {
		t.Errorf("answered with %+v", p)
	}
}

// TestBrokenForwards has the node that runs the function break off, after it has begun.
func TestBrokenForwards(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	wait, entered, leave := slow()
	defer close(leave)
	far.run("quote", open, running(wait))
	c := near.speaking(t, "1", "", nil)
	r, _ := near.signed(t, "http://"+near.address, "quote", "{}")
	got := make(chan *answer)
	go func() { got <- do(t, c, r) }()
	<-entered
	must(t, far.in.http.Close())
	if p := (<-got).problem(t); p.Code != countersign.CodeInternal || !strings.Contains(p.Detail, "may have been executed") {
		t.Errorf("answered with %+v", p)
	}
}

// TestBrokenForwardsOfIdempotentFunctions has the node break off that has said before that the function is idempotent: the
// next one answers.
func TestBrokenForwardsOfIdempotentFunctions(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	third := serving(t, newFixtureWith(t, near.ca, control.Ingress{}), nil)
	wait, entered, leave := slow()
	defer close(leave)
	var calls atomic.Int32
	spec := open
	spec.Call = hclspec.Call{Timeout: 5 * time.Second, MaxRequest: 64, MaxResponse: 64, Idempotent: true}
	far.run("quote", spec, running(func(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
		if calls.Add(1) == 1 {
			return in.Body, nil
		}
		return wait(ctx, in)
	}))
	third.run("quote", spec, func(t *made) { t.runtime, t.allocation = echo, "third-alloc" })
	near.in.route = to(targetOf(far, "quote"), at("third-alloc", third.address))
	c := near.speaking(t, "1", "", nil)
	r, sent := near.signed(t, "http://"+near.address, "quote", "{}")
	first := do(t, c, r)
	near.mustVerify(t, first, r, sent, "{}")
	if first.Header.Get(idempotentHeader) != "" {
		t.Errorf("%s goes on to the client", idempotentHeader)
	}
	r, sent = near.signed(t, "http://"+near.address, "quote", "{}")
	got := make(chan *answer)
	go func() { got <- do(t, c, r) }()
	<-entered
	must(t, far.in.http.Close())
	near.mustVerify(t, <-got, r, sent, "{}")
}

// TestForwardsEndWithTheirDeadline has a node that accepts connections and says nothing.
func TestForwardsEndWithTheirDeadline(t *testing.T) {
	near, _ := twoNodes(t, control.Ingress{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	near.in.route = to(at("quote-alloc", l.Addr().String()))
	r, _ := near.signed(t, "http://"+near.address, "quote", "{}")
	began := time.Now()
	p := do(t, near.speaking(t, "1", "", nil), r).problem(t)
	if took := time.Since(began); p.Code != countersign.CodeUnavailable || took > router.DefaultConnectTimeout+3*time.Second {
		t.Errorf("answered after %s with %+v", took, p)
	}
	// A node that runs nothing has no certificate to show.
	empty := serving(t, newFixtureWith(t, near.ca, control.Ingress{}), func(in *Server) { in.route = near.in.route })
	r, _ = empty.signed(t, "http://"+empty.address, "quote", "{}")
	if p := do(t, empty.speaking(t, "1", "", nil), r).problem(t); p.Code != countersign.CodeUnavailable {
		t.Errorf("answered with %+v", p)
	}
}

// TestHeadersPassUnchanged looks at what arrives at the other node, and at what comes back.
func TestHeadersPassUnchanged(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	far.run("quote", open, running(echo))
	var arrived atomic.Pointer[http.Request]
	handler := far.in.http.Handler
	far.in.http.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		arrived.Store(r.Clone(context.Background()))
		w.Header()["X-Many"] = []string{"one", "two"}
		handler.ServeHTTP(w, r)
	})
	r, sent := near.signed(t, "http://"+near.address, "quote", "{}")
	r.Header["X-Many"] = []string{"one", "two"}
	r.Header.Set("User-Agent", "")
	got := do(t, near.speaking(t, "1", "", nil), r)
	near.mustVerify(t, got, r, sent, "{}")
	if lines := got.Header["X-Many"]; len(lines) != 2 {
		t.Errorf("the answer's lines came as %q", lines)
	}
	in := arrived.Load()
	if in.Header.Get("User-Agent") != "" || len(in.Header["X-Many"]) != 2 || in.Host != near.address || in.ProtoMajor != 2 ||
		in.Header.Get(forwardedHeader) != "http" || in.TLS.ServerName != "quote-alloc.quote" {
		t.Errorf("%s for %s by SNI %s arrived with %v", in.Proto, in.Host, in.TLS.ServerName, in.Header)
	}
}

// carried is a call that was signed for an authority, as somebody sends it who got hold of it.
func (n *node) carried(t *testing.T, authority string, covered bool) *http.Request {
	t.Helper()
	callee, id := functionID(t, "quote"), clientID(t)
	r, err := http.NewRequest(http.MethodPost, "https://"+authority+callsig.Path(callee), nil)
	must(t, err)
	call := callsig.Call{Caller: id, Callee: callee, Deadline: time.Now().Add(5 * time.Second), ID: "1", Body: []byte("{}")}
	if covered {
		call.Authority = callsig.AuthorityOf(r)
	}
	_, err = callsig.SignRequest(r, callsig.NewSigner(n.ca.Identity(t, id)), call, time.Now())
	must(t, err)
	r.Host = authority
	r.URL.Host = n.address
	return r
}

// TestForwardsAreBoundToTheirNode has a node pass on a call that was signed for another one.
func TestForwardsAreBoundToTheirNode(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{Names: []string{"shared.example"}})
	far.run("quote", open, running(echo))
	function := near.ca.Identity(t, functionID(t, "other"))
	for name, test := range map[string]struct {
		from, authority string
		covered         bool
		status          int
	}{
		"its own":                     {"127.0.0.1", near.address, true, 200},
		"of another node":             {"127.0.0.2", near.address, true, 401},
		"of another node, other port": {"127.0.0.2", "127.0.0.1:9", true, 401},
		"of the node that runs it":    {"127.0.0.2", far.address, true, 401},
		"without a port":              {"127.0.0.2", "127.0.0.1", true, 401},
		"IPv6":                        {"127.0.0.2", "[2001:db8::1]:4650", true, 401},
		"IPv4 in IPv6":                {"127.0.0.2", "[::ffff:127.0.0.1]:4650", true, 401},
		"its own, IPv4 in IPv6":       {"127.0.0.2", "[::ffff:127.0.0.2]:4650", true, 200},
		// What remains: nothing tells whose name this is, and without an authority any node is good.
		"of a DNS name": {"127.0.0.2", "node-1.example:4650", true, 200},
		"of no node":    {"127.0.0.2", near.address, false, 200},
	} {
		t.Run(name, func(t *testing.T) {
			c := far.speaking(t, "h2", "quote-alloc.quote", function)
			d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(test.from)}}
			c.Transport.(*http.Transport).DialContext = d.DialContext
			r := far.carried(t, test.authority, test.covered)
			r.Header.Set(forwardedHeader, "https")
			got := do(t, c, r)
			if got.StatusCode != test.status || test.status != 200 && !strings.Contains(string(got.body), "wrong_callee") {
				t.Errorf("answered with %d %s; want %d", got.StatusCode, got.body, test.status)
			}
		})
	}
}

// TestSharedNames has two nodes behind one name. Each is good for one execution of a call under that name, to whoever can
// bring it there: not to those who read plain HTTP.
func TestSharedNames(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{Names: []string{"shared.example:443", "shared.example"}})
	near.in.route = near.in.routeFromOutside
	for _, n := range []*node{near, far} {
		n.run("quote", open, running(echo))
	}
	r := near.carried(t, "shared.example:443", true)
	for _, n := range []*node{near, far} {
		for _, status := range []int{200, 401} {
			again := r.Clone(t.Context())
			again.Body, _ = r.GetBody()
			again.URL.Host = n.address
			if got := do(t, n.speaking(t, "h2", "", nil), again); got.StatusCode != status {
				t.Errorf("answered with %d %s; want %d", got.StatusCode, got.body, status)
			}
		}
	}
	for name, test := range map[string]struct {
		authority string
		covered   bool
		remote    string
		tls       bool
		want      string // in the refusal; "": it is answered
	}{
		"own address":                    {near.address, true, "192.0.2.1:9", false, ""},
		"shared name":                    {"shared.example", true, "192.0.2.1:9", false, "wrong_callee"},
		"shared name with a port":        {"shared.example:443", true, "192.0.2.1:9", false, "wrong_callee"},
		"another address":                {far.address, true, "192.0.2.1:9", false, "wrong_callee"},
		"no authority":                   {near.address, false, "192.0.2.1:9", false, "missing_component"},
		"no authority, IPv6":             {near.address, false, "[2001:db8::1]:9", false, "missing_component"},
		"no authority, over TLS":         {near.address, false, "192.0.2.1:9", true, ""},
		"shared name, over TLS":          {"shared.example", true, "192.0.2.1:9", true, ""},
		"shared name, from this machine": {"shared.example", true, "127.0.0.1:9", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := near.carried(t, test.authority, test.covered)
			r.RemoteAddr = test.remote
			r.URL.Scheme, r.URL.Host = "", ""
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
			w := httptest.NewRecorder()
			near.in.http.Handler.ServeHTTP(w, r)
			if ok := w.Code == 200; ok != (test.want == "") || !strings.Contains(w.Body.String(), test.want) {
				t.Errorf("answered with %d %s; want %q", w.Code, w.Body, test.want)
			}
		})
	}
}
