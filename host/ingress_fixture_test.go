package host

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
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/control"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// open is the spec of a function that signed clients may call; openJWT of one for clients with tokens.
var (
	open    = hclspec.Function{Ingress: &hclspec.Ingress{HTTP: true, Auth: hclspec.AuthSigned}}
	openJWT = hclspec.Function{Ingress: &hclspec.Ingress{HTTP: true, Auth: hclspec.AuthJWT}}
)

// node is a host with its port open.
type node struct {
	*fixture
	in      *ingress
	address string
}

// serving opens the port of a fixture. edit may change the ingress before.
func serving(t *testing.T, f *fixture, edit func(*ingress)) *node {
	t.Helper()
	f.host.log = slog.New(slog.DiscardHandler)
	in, err := newIngress(f.host)
	must(t, err)
	if edit != nil {
		edit(in)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	served := make(chan error, 1)
	go func() { served <- in.Serve(l) }()
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
	config := identity.TLSConfig(n.host.trust.Bundle, nil)
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
func (a *answer) problem(t *testing.T) problem {
	t.Helper()
	var p problem
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
	v := callsig.Verifier{Trust: n.host.trust.Bundle}
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
	near = serving(t, f, func(in *ingress) { in.route = to(targetOf(far, "quote")) })
	return near, far
}

// targetOf is where a function runs on a node.
func targetOf(n *node, function string) *target {
	return &target{Allocation: function + "-alloc", Address: n.address}
}

// to is a routeFunc that names targets, one after the other.
func to(targets ...*target) routeFunc {
	return func(function string, _ func(string) string) func() (place, error) {
		i := 0
		return func() (place, error) {
			if i == len(targets) {
				return place{}, countersign.Errorf(countersign.CodeUnavailable, function, "no more")
			}
			i++
			return place{target: targets[i-1]}, nil
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
