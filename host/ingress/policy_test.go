package ingress

import (
	"context"
	"net"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/control"
	"countersign/host/retry"
	"countersign/router"
	"countersign/tests/nobody"
)

// routes are what near's router knows of the function quote.
type routes struct {
	near    *node
	listed  []router.Listed // the nearest first
	connect time.Duration   // timeout; 0: not said
	retries int             // 0: not said
}

// at lists an instance at an address, farther than those that are listed already.
func (r *routes) at(allocation, address string) {
	r.listed = append(r.listed, router.Listed{Allocation: allocation, Node: allocation, Address: address, Passing: true})
}

// closed lists an instance where nobody listens.
func (r *routes) closed(t *testing.T, allocation string) {
	t.Helper()
	r.at(allocation, nobody.Listens(t))
}

// endpoints lets near's router know what is listed, and returns what it makes of that.
func (r *routes) endpoints(t *testing.T) []*router.Endpoint {
	t.Helper()
	own := &r.near.calls.Router
	own.Standalone = false
	s := router.Snapshot{Functions: []router.Function{{Name: "quote", Ingress: true}}, Distances: map[string]time.Duration{},
		Chains: []router.Chain{{Function: "quote", Start: "router", Nodes: map[string]router.Node{
			"router":   {Routes: []router.Route{{Next: "resolver", NumRetries: r.retries}}},
			"resolver": {Resolver: &router.Resolver{Target: "t", ConnectTimeout: r.connect}}},
			Targets: map[string]router.Target{"t": {Function: "quote", Endpoints: r.listed}}}}}
	for i, l := range r.listed {
		s.Distances[l.Node] = time.Duration(i) * time.Second
	}
	own.Update(s)
	query := router.Query{Callee: "quote"}
	for range r.listed {
		choice, err := own.Route(&query)
		must(t, err)
		query.Tried = append(query.Tried, choice.Remote)
	}
	r.near.in.route = r.near.in.routeFromOutside
	return query.Tried
}

// call makes a signed call of quote to near.
func (r *routes) call(t *testing.T, ctx context.Context) (*http.Response, error) {
	t.Helper()
	request, _ := r.near.signed(t, "http://"+r.near.address, "quote", "{}")
	response, err := r.near.speaking(t, "1", "", nil).Do(request.WithContext(ctx))
	if err == nil {
		response.Body.Close()
	}
	return response, err
}

// status makes a call and fails unless it is answered with a status.
func (r *routes) status(t *testing.T, want int) {
	t.Helper()
	response, err := r.call(t, t.Context())
	must(t, err)
	if response.StatusCode != want {
		t.Errorf("answered with %d; want %d", response.StatusCode, want)
	}
}

func TestCanceledForwardsSayNothing(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	wait, entered, leave := slow()
	defer close(leave)
	far.run("quote", open, running(wait))
	r := &routes{near: near}
	r.at("quote-alloc", far.address)
	e := r.endpoints(t)[0]
	for range router.DefaultOutlier.Failures - 1 {
		e.Begin()
		e.End(true)
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-entered; cancel() }()
	if _, err := r.call(t, ctx); err == nil {
		t.Error("the call is answered")
	}
	for end := time.Now().Add(5 * time.Second); e.InFlight() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if e.Ejected() {
		t.Error("a client that went away counts as a failure")
	}
	e.Begin()
	e.End(true)
	if !e.Ejected() {
		t.Error("a client that went away resets the count of failures")
	}
}

func TestUnreachableForwardsEjectAtOnce(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	far.run("quote", open, running(echo))
	r := &routes{near: near}
	r.closed(t, "nobody")
	r.at("quote-alloc", far.address)
	e := r.endpoints(t)
	r.status(t, 200)
	if !e[0].Ejected() || e[1].Ejected() {
		t.Errorf("ejected: %v and %v", e[0].Ejected(), e[1].Ejected())
	}
}

func TestForwardsHonourConnectTimeout(t *testing.T) {
	near, _ := twoNodes(t, control.Ingress{})
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer silent.Close()
	r := &routes{near: near, connect: 50 * time.Millisecond}
	r.at("silent", silent.Addr().String())
	e, began := r.endpoints(t)[0], time.Now()
	r.status(t, 503)
	if took := time.Since(began); took < r.connect || took > router.DefaultConnectTimeout || !e.Ejected() {
		t.Errorf("took %s, ejected %v", took, e.Ejected())
	}
}

func TestForwardsHonourRetries(t *testing.T) {
	near, _ := twoNodes(t, control.Ingress{})
	for _, retries := range []int{1, 4} {
		r := &routes{near: near, retries: retries}
		for _, allocation := range []string{"a", "b", "c", "d", "e", "f"} {
			r.closed(t, allocation)
		}
		endpoints, tried := r.endpoints(t), 0
		r.status(t, 503)
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

// TestForwardsLeaveFullNodes has a node that answers as many calls as it may.
func TestForwardsLeaveFullNodes(t *testing.T) {
	near, third := twoNodes(t, control.Ingress{})
	third.run("quote", open, running(echo))
	full := serving(t, newFixtureWith(t, near.ca, control.Ingress{MaxCalls: 1}), nil)
	wait, entered, leave := slow()
	full.run("quote", open, func(m *made) { m.runtime, m.allocation = wait, "full" })
	r := &routes{near: near}
	r.at("full", full.address)
	e := r.endpoints(t)[0]
	first := make(chan bool)
	go func() {
		defer close(first)
		r.status(t, 200)
	}()
	<-entered
	r.status(t, http.StatusTooManyRequests) // there is no other
	r.at("quote-alloc", third.address)
	r.endpoints(t)
	r.status(t, 200)
	if e.Ejected() {
		t.Error("a node that is full is ejected")
	}
	close(leave)
	<-first
}

// TestExecutedForwardsStay has a node break off during a call that may be executed once only.
func TestExecutedForwardsStay(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	third := serving(t, newFixtureWith(t, near.ca, control.Ingress{}), nil)
	var executed atomic.Int32
	wait, entered, leave := slow()
	defer close(leave)
	far.run("quote", open, running(wait))
	third.run("quote", open, func(m *made) {
		m.allocation = "third"
		m.runtime = goFunction(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
			executed.Add(1)
			return in.Body, nil
		})
	})
	r := &routes{near: near}
	r.at("quote-alloc", far.address)
	r.at("third", third.address)
	e := r.endpoints(t)[0]
	go func() {
		<-entered
		far.in.http.Close()
	}()
	r.status(t, 500)
	if executed.Load() != 0 || !e.Ejected() {
		t.Errorf("executed %d times elsewhere, ejected %v", executed.Load(), e.Ejected())
	}
}

// TestPolicyWithinANode has calls that instances of the node itself take.
func TestPolicyWithinANode(t *testing.T) {
	f := newFixture(t)
	var executed atomic.Int32
	here := func(allocation string, run goFunction) *made {
		return f.run("quote", hclspec.Function{Ingress: open.Ingress}, func(m *made) { m.runtime, m.allocation = run, allocation })
	}
	fails := goFunction(func(context.Context, *countersign.Invocation) ([]byte, error) {
		executed.Add(1)
		return nil, countersign.Errorf(countersign.CodeOverloaded, "quote", "no room before the deadline")
	})
	stopping := []*made{here("a", echo), here("b", echo)}
	for _, m := range stopping {
		m.drain(t.Context())
	}
	runs, failing := here("c", echo), here("d", fails)
	r := &routes{near: serving(t, f, nil)}
	for name, test := range map[string]struct {
		limits *router.Policy
		places []*made
		status int
	}{
		"stopping ones are left":     {nil, append(stopping, runs), 200},
		"one retry":                  {&router.Policy{Retries: 1}, append(stopping, runs), 503},
		"none":                       {&router.Policy{}, append(stopping, runs), 503},
		"an answer is final":         {nil, []*made{failing, runs}, 429},
		"also after one was stopped": {nil, []*made{stopping[0], failing, runs}, 429},
	} {
		t.Run(name, func(t *testing.T) {
			executed.Store(0)
			r.near.in.route = func(function string, _ func(string) string) nextFunc {
				tries := 0
				return func() (place, *router.Policy, error) {
					tries++
					return place{instance: test.places[tries-1].Instance}, test.limits, nil
				}
			}
			r.status(t, test.status)
			if test.status == 429 && executed.Load() != 1 {
				t.Errorf("executed %d times", executed.Load())
			}
		})
	}
}

var _ retry.Record = (*router.Endpoint)(nil)
