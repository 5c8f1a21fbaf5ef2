package ingress

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/host/problem"
	"countersign/host/retry"
	"countersign/interfaces"
	"countersign/router"
	"countersign/telemetry"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
)

// open is the spec of a function that signed clients may call; openJWT of one for clients with tokens.
var (
	open    = hclspec.Function{Ingress: &hclspec.Ingress{HTTP: true, Auth: hclspec.AuthSigned}}
	openJWT = hclspec.Function{Ingress: &hclspec.Ingress{HTTP: true, Auth: hclspec.AuthJWT}}
)

const trustDomain = "test.example"

func newAuthority(t *testing.T) *identitytest.Authority {
	t.Helper()
	return identitytest.NewAuthority(t, trustDomain, time.Now())
}

// fixture is what is behind a port: the calls of a host, with instances that the test made.
type fixture struct {
	tb     testing.TB
	ca     *identitytest.Authority
	calls  *calls.Node
	config Config
}

func newFixture(t *testing.T) *fixture { return newFixtureWith(t, newAuthority(t), control.Ingress{}) }

// newFixtureWith makes a host of the trust domain that ca stands for.
func newFixtureWith(t *testing.T, ca *identitytest.Authority, config control.Ingress) *fixture {
	t.Helper()
	f := &fixture{tb: t, ca: ca}
	replay, log := callsig.ResumeReplayCache(1<<16, time.Now(), nil), slog.New(slog.DiscardHandler)
	tm, err := telemetry.New(t.Context(), telemetry.Config{Node: "node", Log: log})
	must(t, err)
	f.calls = calls.New(calls.Config{TrustDomain: trustDomain, Bind: "127.0.0.1", Trust: f.trust, Replay: replay, Telemetry: tm, Log: log})
	f.calls.Router.Standalone = true
	t.Cleanup(f.calls.Close)
	f.config = Config{Ingress: config, Node: f.calls, TrustDomain: trustDomain, Bind: "127.0.0.1", Trust: f.trust, Replay: replay,
		Telemetry: tm, Log: log}
	return f
}

func (f *fixture) trust() *identity.Bundle { return f.ca.Bundle }

// made is an instance that a test makes.
type made struct {
	*calls.Instance
	f          *fixture
	runtime    calls.Runtime
	allocation string
	face       *interfaces.Document
}

// run makes a callable instance. edit gives it a runtime, and perhaps another allocation.
func (f *fixture) run(function string, spec hclspec.Function, edit func(*made)) *made {
	f.tb.Helper()
	id, err := identity.FunctionID(trustDomain, function)
	if err != nil {
		f.tb.Fatal(err)
	}
	spec.Name = function
	if spec.Call.Timeout == 0 {
		spec.Call = hclspec.Call{Timeout: 5 * time.Second, MaxRequest: 1 << 20, MaxResponse: 1 << 20}
	}
	m := &made{f: f, allocation: function + "-alloc"}
	edit(m)
	self := f.ca.Identity(f.tb, id)
	m.Instance = f.calls.Prepare(calls.InstanceConfig{Allocation: m.allocation, Spec: &spec, SVID: id,
		Identity: func() *identity.Identity { return self }, Interface: m.face})
	f.calls.Add(m.Instance, m.runtime)
	return m
}

// drain makes an instance refuse calls, and leaves it in the routes.
func (m *made) drain(ctx context.Context) {
	m.f.calls.Drain(ctx, m.Instance)
	m.f.calls.Router.Add(m.Instance)
}

// goFunction is a runtime that runs a Go function of the test.
type goFunction func(context.Context, *countersign.Invocation) ([]byte, error)

func (n goFunction) Invoke(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
	return n(ctx, in)
}

func running(n goFunction) func(*made) { return func(m *made) { m.runtime = n } }

var echo = goFunction(func(_ context.Context, in *countersign.Invocation) ([]byte, error) { return in.Body, nil })

// node is a host with its port open.
type node struct {
	*fixture
	in      *Server
	address string
}

// serving opens the port of a fixture. edit may change the ingress before.
func serving(t *testing.T, f *fixture, edit func(*Server)) *node {
	t.Helper()
	in, err := New(f.config)
	must(t, err)
	if edit != nil {
		edit(in)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- in.Serve(context.Background(), l) }()
	t.Cleanup(func() {
		must(t, in.Close())
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve ended with %v", err)
		}
	})
	return &node{f, in, l.Addr().String()}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func clientID(t *testing.T) identity.ID {
	t.Helper()
	id, err := identity.ClientID(trustDomain, "someone")
	must(t, err)
	return id
}

func functionID(t *testing.T, name string) identity.ID {
	t.Helper()
	id, err := identity.FunctionID(trustDomain, name)
	must(t, err)
	return id
}

// speaking returns an HTTP client that speaks one protocol: "1", "h2c", "1 TLS" or "h2". It presents self, if not nil,
// and asks for serverName by SNI.
func (n *node) speaking(t *testing.T, protocol, serverName string, self *identity.Identity) *http.Client {
	t.Helper()
	config := identity.TLSConfig(n.trust, nil)
	config.ServerName = serverName
	if self != nil {
		config.Certificates = []tls.Certificate{*self.TLSCertificate()}
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(protocol == "1" || protocol == "1 TLS")
	protocols.SetHTTP2(protocol == "h2")
	protocols.SetUnencryptedHTTP2(protocol == "h2c")
	transport := &http.Transport{Protocols: protocols, TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// answer is what came back for a request.
type answer struct {
	*http.Response
	body []byte
}

// problem returns the problem document that an answer must be.
func (a *answer) problem(t *testing.T) problem.Document {
	t.Helper()
	var p problem.Document
	if a.Header.Get("Content-Type") != "application/problem+json" || json.Unmarshal(a.body, &p) != nil || p.Status != a.StatusCode {
		t.Fatalf("status %d with %q is no problem document: %s", a.StatusCode, a.Header.Get("Content-Type"), a.body)
	}
	return p
}

func do(t *testing.T, c *http.Client, r *http.Request) *answer {
	t.Helper()
	response, err := c.Do(r)
	must(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	must(t, err)
	return &answer{response, body}
}

// signed makes a signed call for node at base, such as https://127.0.0.1:1.
func (n *node) signed(t *testing.T, base, function, body string) (*http.Request, *callsig.SignedCall) {
	t.Helper()
	callee := functionID(t, function)
	r, err := http.NewRequest(http.MethodPost, base+callsig.Path(callee), nil)
	must(t, err)
	id := clientID(t)
	sent, err := callsig.SignRequest(r, callsig.NewSigner(n.ca.Identity(t, id)), callsig.Call{Caller: id, Callee: callee,
		Authority: callsig.AuthorityOf(r), Deadline: time.Now().Add(5 * time.Second), ID: "1", Body: []byte(body)}, time.Now())
	must(t, err)
	return r, sent
}

// mustVerify fails unless an answer is the function's verified return of exactly this call, with the body.
func (n *node) mustVerify(t *testing.T, got *answer, r *http.Request, sent *callsig.SignedCall, body string) {
	t.Helper()
	v := callsig.Verifier{Trust: n.trust}
	if _, err := v.VerifyResponse(got.Response, got.body, r, sent); err != nil || !bytes.Equal(got.body, []byte(body)) {
		t.Fatalf("status %d with %s does not verify: %v", got.StatusCode, got.body, err)
	}
}

// twoNodes is two nodes of one trust domain: near runs the function other, and sends calls of anything else to far.
func twoNodes(t *testing.T, config control.Ingress) (near, far *node) {
	t.Helper()
	ca := newAuthority(t)
	far = serving(t, newFixtureWith(t, ca, config), nil)
	f := newFixtureWith(t, ca, config)
	f.run("other", open, running(echo))
	near = serving(t, f, func(in *Server) { in.route = to(targetOf(far, "quote")) })
	return near, far
}

// at is an instance on another host.
func at(allocation, address string) retry.Target {
	return retry.Target{Allocation: allocation, Address: address, Record: new(counted)}
}

// targetOf is where a function runs on a node.
func targetOf(n *node, function string) retry.Target { return at(function+"-alloc", n.address) }

// counted is a record that counts what it is told.
type counted struct{ began, ended, failed atomic.Int32 }

func (c *counted) Begin() { c.began.Add(1) }
func (c *counted) End(failed bool) {
	c.ended.Add(1)
	if failed {
		c.failed.Add(1)
	}
}
func (c *counted) EndUnreachable() { c.End(true) }
func (c *counted) EndUnknown()     { c.End(false) }
func (c *counted) Ejected() bool   { return false }

// to is a routeFunc that names targets, one after the other.
func to(targets ...retry.Target) routeFunc {
	return func(function string, _ func(string) string) nextFunc {
		i := 0
		return func() (place, *router.Policy, error) {
			if i == len(targets) {
				return place{}, nil, countersign.Errorf(countersign.CodeUnavailable, function, "no more")
			}
			i++
			return place{target: targets[i-1]}, nil, nil
		}
	}
}

// slow is a function that waits until it is let go, and tells when it was entered.
func slow() (n goFunction, entered chan bool, leave chan bool) {
	entered, leave = make(chan bool), make(chan bool)
	return func(ctx context.Context, in *countersign.Invocation) ([]byte, error) {
		entered <- true
		select {
		case <-leave:
		case <-ctx.Done():
		}
		return in.Body, nil
	}, entered, leave
}
