package ingress

import (
	"context"
	"net"
	"net/http"
	"testing"
	"time"

	"countersign"
	"countersign/host/control"
	"countersign/router"
)

// routed has near ask a router, which knows the function quote at addresses, in place of a fixed list.
func (n *node) routed(t *testing.T, addresses map[string]string) map[string]*router.Endpoint {
	t.Helper()
	n.calls.Router.Standalone = false
	target := router.Target{Function: "quote"}
	for allocation, address := range addresses {
		target.Endpoints = append(target.Endpoints, router.Listed{Allocation: allocation, Node: "n", Address: address, Passing: true})
	}
	n.calls.Router.Update(router.Snapshot{Functions: []router.Function{{Name: "quote", Ingress: true}},
		Chains: []router.Chain{{Function: "quote", Start: "r", Nodes: map[string]router.Node{"r": {Resolver: &router.Resolver{Target: "t"}}},
			Targets: map[string]router.Target{"t": target}}}})
	found := map[string]*router.Endpoint{}
	query := router.Query{Callee: "quote"}
	for range addresses {
		choice, err := n.calls.Router.Route(&query)
		must(t, err)
		found[choice.Remote.Allocation] = choice.Remote
		query.Tried = append(query.Tried, choice.Remote)
	}
	n.in.route = n.in.routeFromOutside
	return found
}

func TestCanceledForwardsSayNothing(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	wait, entered, leave := slow()
	defer close(leave)
	far.run("quote", open, running(wait))
	e := near.routed(t, map[string]string{"quote-alloc": far.address})["quote-alloc"]
	for range 4 { // one less than eject
		e.Begin()
		e.End(true)
	}
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := near.signed(t, "http://"+near.address, "quote", "{}")
	gone := make(chan bool)
	go func() {
		near.speaking(t, "1", "", nil).Do(r.WithContext(ctx))
		close(gone)
	}()
	<-entered
	cancel()
	<-gone
	for e.InFlight() > 0 {
		time.Sleep(time.Millisecond)
	}
	e.Begin()
	e.End(true)
	if !e.Ejected() {
		t.Error("a client that went away reset the count of failures")
	}
}

func TestUnreachableForwardsEject(t *testing.T) {
	near, far := twoNodes(t, control.Ingress{})
	_ = far
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	closed := l.Addr().String()
	must(t, l.Close())
	e := near.routed(t, map[string]string{"quote-alloc": closed})["quote-alloc"]
	r, _ := near.signed(t, "http://"+near.address, "quote", "{}")
	if got := do(t, near.speaking(t, "1", "", nil), r); got.StatusCode != http.StatusServiceUnavailable || got.problem(t).Code != countersign.CodeUnavailable {
		t.Errorf("%d", got.StatusCode)
	}
	if !e.Ejected() {
		t.Error("not ejected")
	}
}
