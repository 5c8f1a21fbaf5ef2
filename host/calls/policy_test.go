package calls

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/link"
	"countersign/interfaces"
	"countersign/router"
	"countersign/telemetry"
	"countersign/tests/nobody"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/identitytest"
)

const trustDomain = "test.example"

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func functionID(t *testing.T, name string) identity.ID {
	t.Helper()
	id, err := identity.FunctionID(trustDomain, name)
	must(t, err)
	return id
}

// caller is an instance of quote, which may call tax, and the routes to tax.
type caller struct {
	*Instance
	t     *testing.T
	ca    *identitytest.Authority
	tax   []router.Listed // the nearest first
	limit router.Route
	until time.Duration // connect timeout; 0: not said
}

func newCaller(t *testing.T) *caller {
	t.Helper()
	c := &caller{t: t, ca: identitytest.NewAuthority(t, trustDomain, time.Now())}
	log := slog.New(slog.DiscardHandler)
	tm, err := telemetry.New(t.Context(), telemetry.Config{Node: "node", Log: log})
	must(t, err)
	node := New(Config{TrustDomain: trustDomain, Bind: "127.0.0.1", Trust: c.trust, Telemetry: tm, Log: log,
		Replay: callsig.ResumeReplayCache(1<<10, time.Now(), nil)})
	t.Cleanup(node.Close)
	self := c.ca.Identity(t, functionID(t, "quote"))
	c.Instance = node.Prepare(InstanceConfig{Allocation: "quote-a", SVID: self.ID(), Identity: func() *identity.Identity { return self },
		Spec: &hclspec.Function{Name: "quote", Calls: []string{"tax"}}})
	node.Add(c.Instance, nil)
	return c
}

func (c *caller) trust() *identity.Bundle { return c.ca.Bundle }

// far is an instance of tax at the called end of links.
type far struct {
	self       *identity.Identity
	idempotent bool
	face       string // digest of its interface, as its host says
	calls      atomic.Int32
	conns      chan net.Conn
	run        func(ctx context.Context) error // of a refusal; nil: it was executed
}

func (f *far) Identity() *identity.Identity { return f.self }
func (f *far) Terms() link.Terms {
	return link.Terms{Timeout: 5 * time.Second, Idempotent: f.idempotent, MaxRequest: 64, MaxResponse: 1 << 10, Interface: f.face}
}
func (f *far) Permit(identity.ID) error { return nil }

// Serves refuses every interface but the callee's own.
func (f *far) Serves(document []byte) (string, error) {
	d, err := interfaces.ParseInterface(document)
	if err != nil {
		return "", err
	}
	return d.Digest(), countersign.Errorf(countersign.CodeInterfaceMismatch, "tax", "it does not fit")
}

func (f *far) Run(ctx context.Context, _ *callsig.Call) (callsig.Return, error) {
	f.calls.Add(1)
	if f.run != nil {
		if err := f.run(ctx); err != nil {
			return callsig.Return{}, err
		}
	}
	return callsig.Return{Status: 200, Body: []byte(`"answered"`)}, nil
}

// at lists an instance of tax at an address, farther than those that are listed already.
func (c *caller) at(address string) {
	name := "tax-" + string(rune('a'+len(c.tax)))
	c.tax = append(c.tax, router.Listed{Allocation: name, Node: name, Address: address, Passing: true})
}

// runs lists an instance of tax that runs.
func (c *caller) runs(f *far) *far {
	c.t.Helper()
	f.self, f.conns = c.ca.Identity(c.t, functionID(c.t, "tax")), make(chan net.Conn, 9)
	server := link.NewServer(link.ServerConfig{Trust: c.trust, Replay: callsig.ResumeReplayCache(1<<10, time.Now(), nil),
		Find: func(string, string) link.Callee { return f }})
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{GetConfigForClient: server.TLSConfig, MinVersion: tls.VersionTLS13})
	must(c.t, err)
	c.t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			f.conns <- conn
			go func() {
				if secure := conn.(*tls.Conn); secure.Handshake() == nil {
					server.Serve(context.Background(), secure)
				}
			}()
		}
	}()
	c.at(l.Addr().String())
	return f
}

// closed lists an instance where nobody listens.
func (c *caller) closed() {
	c.t.Helper()
	c.at(nobody.Listens(c.t))
}

// endpoints lets the router know what is listed, and returns what it makes of that.
func (c *caller) endpoints() []*router.Endpoint {
	c.t.Helper()
	c.limit.Next = "resolver"
	s := router.Snapshot{Functions: []router.Function{{Name: "tax"}}, Distances: map[string]time.Duration{},
		Intentions: []router.Intention{{Source: "quote", Destination: "tax", Allow: true}},
		Chains: []router.Chain{{Function: "tax", Start: "router", Nodes: map[string]router.Node{"router": {Routes: []router.Route{c.limit}},
			"resolver": {Resolver: &router.Resolver{Target: "t", ConnectTimeout: c.until}}},
			Targets: map[string]router.Target{"t": {Function: "tax", Endpoints: c.tax}}}}}
	for i, l := range c.tax {
		s.Distances[l.Node] = time.Duration(i) * time.Second
	}
	c.node.Router.Update(s)
	query := router.Query{Caller: "quote", Callee: "tax"}
	for range c.tax {
		choice, err := c.node.Router.Route(&query)
		must(c.t, err)
		query.Tried = append(query.Tried, choice.Remote)
	}
	return query.Tried
}

func (c *caller) call(ctx context.Context, body string) error {
	_, err := c.Call(ctx, &countersign.Invocation{Function: "quote"}, "tax", []byte(body))
	return err
}

// nearlyEjected has as many calls to e fail as do not eject it yet; oneMore tells whether one more does.
func nearlyEjected(e *router.Endpoint) {
	for range router.DefaultOutlier.Failures - 1 {
		e.Begin()
		e.End(true)
	}
}

func oneMoreEjects(e *router.Endpoint) bool {
	if e.Ejected() {
		return false
	}
	e.Begin()
	e.End(true)
	return e.Ejected()
}

// TestCallsThatSayNothing has calls that must leave the count of an instance's failures as it is.
func TestCallsThatSayNothing(t *testing.T) {
	t.Run("canceled", func(t *testing.T) {
		c, entered := newCaller(t), make(chan bool)
		c.runs(&far{run: func(ctx context.Context) error { entered <- true; <-ctx.Done(); return nil }})
		e := c.endpoints()[0]
		nearlyEjected(e)
		ctx, cancel := context.WithCancel(t.Context())
		go func() { <-entered; cancel() }()
		if err := c.call(ctx, `{}`); countersign.CodeOf(err) != countersign.CodeCanceled {
			t.Errorf("%v; want canceled", err)
		}
		if !oneMoreEjects(e) {
			t.Error("a call that was given up changes the count of failures")
		}
	})
	t.Run("too large for the callee's spec", func(t *testing.T) {
		c := newCaller(t)
		c.runs(new(far))
		e := c.endpoints()[0]
		nearlyEjected(e)
		if err := c.call(t.Context(), `"`+strings.Repeat("x", 99)+`"`); countersign.CodeOf(err) != countersign.CodeTooLarge {
			t.Errorf("%v; want too large", err)
		}
		if !oneMoreEjects(e) {
			t.Error("a call that was not sent changes the count of failures")
		}
	})
}

func TestUnreachableIsEjectedAtOnce(t *testing.T) {
	c := newCaller(t)
	c.closed()
	good := c.runs(new(far))
	e := c.endpoints()
	must(t, c.call(t.Context(), `{}`))
	if !e[0].Ejected() || e[1].Ejected() || good.calls.Load() != 1 {
		t.Errorf("ejected: %v and %v; %d calls", e[0].Ejected(), e[1].Ejected(), good.calls.Load())
	}
}

func TestConnectTimeoutIsHonoured(t *testing.T) {
	c := newCaller(t)
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	c.at(silent.Addr().String())
	c.until = 50 * time.Millisecond
	e, began := c.endpoints()[0], time.Now()
	if err := c.call(t.Context(), `{}`); countersign.CodeOf(err) != countersign.CodeUnavailable {
		t.Errorf("%v; want unavailable", err)
	}
	if took := time.Since(began); took < c.until || took > router.DefaultConnectTimeout || !e.Ejected() {
		t.Errorf("took %s, ejected %v", took, e.Ejected())
	}
}

func TestRetriesAreHonoured(t *testing.T) {
	for _, retries := range []int{1, 4} {
		c := newCaller(t)
		for range 6 {
			c.closed()
		}
		c.limit.NumRetries = retries
		tried := 0
		endpoints := c.endpoints()
		if err := c.call(t.Context(), `{}`); countersign.CodeOf(err) != countersign.CodeUnavailable {
			t.Errorf("%v; want unavailable", err)
		}
		for _, e := range endpoints {
			if e.Ejected() {
				tried++
			}
		}
		if tried != 1+retries {
			t.Errorf("with %d retries, %d instances are tried", retries, tried)
		}
	}
}

func TestRefusalsGoElsewhere(t *testing.T) {
	for code, elsewhere := range map[countersign.Code]bool{
		countersign.CodeUnavailable: true, countersign.CodeOverloaded: true, countersign.CodeLoop: false,
	} {
		c := newCaller(t)
		c.runs(&far{run: func(context.Context) error { return countersign.Errorf(code, "tax", "refused") }})
		good := c.runs(new(far))
		c.endpoints()
		err := c.call(t.Context(), `{}`)
		if elsewhere && (err != nil || good.calls.Load() != 1) {
			t.Errorf("%s: %v, %d calls of the other instance", code, err, good.calls.Load())
		}
		if !elsewhere && (countersign.CodeOf(err) != code || good.calls.Load() != 0) {
			t.Errorf("%s: %v, %d calls of the other instance", code, err, good.calls.Load())
		}
	}
}

func TestExecutedCallsGoElsewhereIfIdempotent(t *testing.T) {
	for _, idempotent := range []bool{true, false} {
		c := newCaller(t)
		breaks := &far{idempotent: idempotent}
		breaks.run = func(context.Context) error { (<-breaks.conns).(*tls.Conn).NetConn().Close(); return nil }
		c.runs(breaks)
		good := c.runs(new(far))
		e := c.endpoints()[0]
		err := c.call(t.Context(), `{}`)
		if idempotent && (err != nil || good.calls.Load() != 1) || !idempotent &&
			(countersign.CodeOf(err) != countersign.CodeInternal || good.calls.Load() != 0) {
			t.Errorf("idempotent %v: %v, %d calls of the other instance", idempotent, err, good.calls.Load())
		}
		if !e.Ejected() {
			t.Errorf("idempotent %v: an instance whose connection broke is not ejected", idempotent)
		}
	}
}
