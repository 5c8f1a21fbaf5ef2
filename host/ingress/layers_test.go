package ingress

import (
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/router"
	"countersign/vaultsign/identity"
)

// The tests in this file hold one check each, where another one before or behind it would refuse as well.

// TestForwardingCertificateInItsTime has a connection between nodes that is open for longer than the certificate is good.
func TestForwardingCertificateInItsTime(t *testing.T) {
	ca, id := newAuthority(t), functionID(t, "other")
	for name, test := range map[string]struct {
		from, to time.Duration
		forwards bool
	}{
		"in its time":     {-time.Hour, time.Hour, true},
		"after its time":  {-time.Hour, -time.Second, false},
		"before its time": {time.Minute, time.Hour, false},
	} {
		_, peer := ca.Certify(t, id, time.Now().Add(test.from), time.Now().Add(test.to))
		leaf, err := x509.ParseCertificate(peer.Certificate.DER)
		must(t, err)
		r, err := http.NewRequest(http.MethodPost, "https://node.example/call/quote", nil)
		must(t, err)
		r.Header.Set(forwardedHeader, "https")
		r.TLS = &tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf}}
		forwarded, err := comesForwarded(r)
		if forwarded != test.forwards || !forwarded && countersign.CodeOf(err) != countersign.CodeNotPermitted {
			t.Errorf("%s: forwarded %v, %v", name, forwarded, err)
		}
	}
}

// TestForwardsGoToTheFunction has a host in the place of another that shows the certificate of a function of its own,
// whatever it is asked for. Nothing is sent there.
func TestForwardsGoToTheFunction(t *testing.T) {
	near, _ := twoNodes(t, control.Ingress{})
	config := identity.TLSConfig(near.trust, nil)
	config.NextProtos = []string{"h2"}
	config.Certificates = []tls.Certificate{*near.ca.Identity(t, functionID(t, "fx")).TLSCertificate()}
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	must(t, err)
	defer l.Close()
	var heard atomic.Int64
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_, _ = io.Copy(&counter{&heard}, c)
			}()
		}
	}()
	near.in.route = to(at("quote-alloc", l.Addr().String()))
	r, _ := near.signed(t, "http://"+near.address, "quote", `"secret"`)
	if p := do(t, near.speaking(t, "1", "", nil), r).problem(t); p.Code != countersign.CodeUnavailable {
		t.Errorf("answered with %+v", p)
	}
	if heard.Load() != 0 {
		t.Errorf("%d bytes were sent to another function's host", heard.Load())
	}
}

// counter counts what is written to it.
type counter struct{ n *atomic.Int64 }

func (c *counter) Write(b []byte) (int, error) { c.n.Add(int64(len(b))); return len(b), nil }

// TestRedirectsFromOutside has Consul lead a call from outside to another function, which may be called from outside.
func TestRedirectsFromOutside(t *testing.T) {
	f := newFixture(t)
	f.run("other", open, running(echo))
	f.calls.Router.Standalone = false
	f.calls.Router.Update(router.Snapshot{Functions: []router.Function{{Name: "quote", Ingress: true}, {Name: "other", Ingress: true}},
		Chains: []router.Chain{{Function: "quote", Start: "r", Nodes: map[string]router.Node{"r": {Resolver: &router.Resolver{Target: "t"}}},
			Targets: map[string]router.Target{"t": {Function: "other", Endpoints: []router.Listed{
				{Allocation: "other-alloc", Node: "node", Address: "127.0.0.1:1", Passing: true}}}}}}})
	in, err := New(f.config)
	must(t, err)
	at, _, err := in.routeFromOutside("quote", func(string) string { return "" })()
	if countersign.CodeOf(err) != countersign.CodeUnavailable || at != (place{}) {
		t.Errorf("the call is led to %+v, %v", at, err)
	}
}

// TestTLSOnly12 has a client that speaks TLS 1.2 at most.
func TestTLSOnly12(t *testing.T) {
	f := newFixture(t)
	f.run("quote", open, running(echo))
	n := serving(t, f, nil)
	config := identity.TLSConfig(n.trust, nil)
	config.MinVersion, config.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if c, err := tls.Dial("tcp", n.address, config); err == nil {
		c.Close()
		t.Error("the port speaks TLS 1.2")
	}
}

// TestRequestsAreSmallEnough has requests that are larger than a spec allows, with and without saying so.
func TestRequestsAreSmallEnough(t *testing.T) {
	f := newFixture(t)
	spec := open
	spec.Call.Timeout, spec.Call.MaxRequest, spec.Call.MaxResponse = time.Minute, 8, 1<<10
	f.run("quote", spec, running(echo))
	n := serving(t, f, nil)
	for _, chunked := range []bool{false, true} {
		r, _ := n.signed(t, "http://"+n.address, "quote", `"`+strings.Repeat("x", 99)+`"`)
		if chunked {
			r.ContentLength = -1
		}
		if p := do(t, n.speaking(t, "1", "", nil), r).problem(t); p.Code != countersign.CodeTooLarge {
			t.Errorf("chunked %v: answered with %+v", chunked, p)
		}
	}
}

// TestTokensWithoutIssuers has a function for clients with tokens on a node that trusts no issuer.
func TestTokensWithoutIssuers(t *testing.T) {
	f := newFixture(t)
	f.run("quote", openJWT, running(echo))
	n := serving(t, f, nil)
	r, err := http.NewRequest(http.MethodPost, "http://"+n.address+"/call/quote", strings.NewReader("{}"))
	must(t, err)
	r.Header.Set("Authorization", "Bearer a.b.c")
	if p := do(t, n.speaking(t, "1", "", nil), r).problem(t); p.Code != countersign.CodeUnverified {
		t.Errorf("answered with %+v", p)
	}
}

// TestPresentsValidCertificates has an instance whose certificate could not be renewed.
func TestPresentsValidCertificates(t *testing.T) {
	f := newFixture(t)
	m := f.run("quote", open, running(echo))
	in, err := New(f.config)
	must(t, err)
	if self, err := in.presenting("quote"); err != nil || self != m.Identity() {
		t.Errorf("an instance: %v", err)
	}
	g := newFixture(t)
	_, old := g.ca.Certify(t, functionID(t, "quote"), time.Now().Add(-time.Hour), time.Now().Add(-time.Minute))
	g.calls.Add(g.calls.Prepare(calls.InstanceConfig{Allocation: "a", Spec: m.Spec(), SVID: old.ID(),
		Identity: func() *identity.Identity { return old }}), echo)
	in, err = New(g.config)
	must(t, err)
	for _, name := range []string{"quote", "a.quote", ""} {
		if self, err := in.presenting(name); err == nil {
			t.Errorf("%q: %s presents itself with a certificate that has expired", name, self.ID())
		}
	}
}
