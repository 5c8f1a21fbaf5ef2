package host

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/host/calls"
	"countersign/host/control"
	"countersign/host/link"
	"countersign/router"
	"countersign/tests/nobody"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// nodes are hosts of one trust domain that reach each other over TCP, with a snapshot in place of Consul.
type nodes struct {
	tb    testing.TB
	hosts []*fixture
	at    []string // addresses of the hosts
	tasks []placed
	allow []router.Intention
	close []func()
}

type placed struct {
	task *task
	node int
}

func newNodes(tb testing.TB, n int) *nodes {
	tb.Helper()
	return newNodesFrom(tb, n, control.HostConfig{})
}

// newNodesFrom is newNodes with a configuration.
func newNodesFrom(tb testing.TB, n int, config control.HostConfig) *nodes {
	tb.Helper()
	ns := &nodes{tb: tb}
	ca := newAuthority(tb)
	for range n {
		f := newFixtureFrom(tb, ca, config)
		f.host.calls.Router.Standalone = false
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			tb.Fatal(err)
		}
		in, err := f.host.newIngress()
		if err != nil {
			tb.Fatal(err)
		}
		go in.Serve(f.host.ctx, l)
		end := func() { f.host.cancel(); l.Close(); in.Close(); f.host.calls.Close() }
		tb.Cleanup(end)
		ns.hosts, ns.at, ns.close = append(ns.hosts, f), append(ns.at, l.Addr().String()), append(ns.close, end)
	}
	return ns
}

// run makes a callable task on a node.
func (ns *nodes) run(node int, function string, spec hclspec.Function, edit func(*task)) *task {
	ns.tb.Helper()
	t := ns.hosts[node].run(function, spec, func(t *task) {
		t.request.AllocID = function + "-" + string(rune('a'+node))
		t.request.TaskID = t.request.AllocID + "-task"
		t.status.AllocID, t.status.TaskID = t.request.AllocID, t.request.TaskID
		edit(t)
	})
	ns.tasks = append(ns.tasks, placed{t, node})
	for _, callee := range spec.Calls {
		ns.allow = append(ns.allow, router.Intention{Source: function, Destination: callee, Allow: true})
	}
	return t
}

// publish lets every host know what runs where.
func (ns *nodes) publish() {
	for _, f := range ns.hosts {
		s := router.Snapshot{Intentions: ns.allow}
		targets := map[string]router.Target{}
		for _, p := range ns.tasks {
			name := p.task.request.Function
			t := targets[name]
			t.Function = name
			t.Endpoints = append(t.Endpoints, router.Listed{Allocation: p.task.request.AllocID, Node: string(rune('a' + p.node)),
				Address: ns.at[p.node], Interface: p.task.instance.InterfaceDigest(), Passing: true})
			targets[name] = t
		}
		for name, t := range targets {
			s.Functions = append(s.Functions, router.Function{Name: name, Ingress: true})
			s.Chains = append(s.Chains, router.Chain{Function: name, Start: "resolver",
				Nodes:   map[string]router.Node{"resolver": {Resolver: &router.Resolver{Target: name}}},
				Targets: map[string]router.Target{name: t}})
		}
		f.host.calls.Router.Update(s)
	}
}

func TestRemoteCall(t *testing.T) {
	ns := newNodes(t, 2)
	quote := ns.run(0, "quote", hclspec.Function{Calls: []string{"tax", "fx"}}, running(echo))
	var got *countersign.Invocation
	ns.run(1, "tax", hclspec.Function{}, running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
		got = in
		return in.Body, nil
	}))
	ns.run(1, "fx", hclspec.Function{}, running(func(context.Context, *countersign.Invocation) ([]byte, error) {
		return nil, countersign.Errorf(countersign.CodeFailed, "fx", "no such currency")
	}))
	ns.publish()
	ctx, hops := calls.Explain(context.Background())
	reply, err := outbound{quote}.Call(ctx, &countersign.Invocation{Function: "quote", Hops: 2}, "tax", []byte(`{"a":1}`))
	if err != nil || string(reply) != `{"a":1}` {
		t.Fatalf("%q, %v", reply, err)
	}
	if got.Caller != functionID(t, "quote").String() || got.Hops != 3 || time.Until(got.Deadline) > 5*time.Second {
		t.Errorf("the callee sees %+v", got)
	}
	var verified []countersign.Hop
	if err := json.Unmarshal([]byte(hops.Encode()), &verified); err != nil || len(verified) != 1 ||
		verified[0].Algorithm != "ed25519" || verified[0].Allocation != "tax-b" {
		t.Errorf("hops %+v", verified)
	}
	if _, err := callAs(quote, 0, "fx", `{}`); countersign.CodeOf(err) != countersign.CodeFailed || !strings.Contains(err.Error(), "no such currency") {
		t.Errorf("a function's own error arrives as %v", err)
	}
}

func TestLocalInstanceFirst(t *testing.T) {
	ns := newNodes(t, 2)
	quote := ns.run(0, "quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
	for node := range 2 {
		ns.run(node, "tax", hclspec.Function{}, running(func(context.Context, *countersign.Invocation) ([]byte, error) {
			return []byte{'0' + byte(node)}, nil
		}))
	}
	ns.publish()
	for range 20 {
		if reply, err := callAs(quote, 0, "tax", `{}`); err != nil || string(reply) != "0" {
			t.Fatalf("%q, %v; want the answer of the same host", reply, err)
		}
	}
	local := ns.tasks[1].task
	ns.hosts[0].host.calls.Router.Remove(local.instance)
	if reply, err := callAs(quote, 0, "tax", `{}`); err != nil || string(reply) != "1" {
		t.Errorf("%q, %v; want the answer of the other host", reply, err)
	}
}

// TestNoLocalCallsWithoutIntentions starts a host while Consul is away, as after a restart.
func TestNoLocalCallsWithoutIntentions(t *testing.T) {
	f := newFixtureFrom(t, newAuthority(t), control.HostConfig{Consul: control.Consul{Address: "http://" + nobody.Listens(t)}})
	executed := false
	f.run("payments", hclspec.Function{}, running(func(_ context.Context, in *countersign.Invocation) ([]byte, error) {
		executed = true
		return in.Body, nil
	}))
	quote := f.run("quote", hclspec.Function{Calls: []string{"payments"}}, running(echo))
	call := func() error {
		_, err := callAs(quote, 0, "payments", `{}`)
		return err
	}
	if err := call(); countersign.CodeOf(err) != countersign.CodeUnavailable || executed {
		t.Errorf("before Consul has answered: %v, executed %v; want unavailable", err, executed)
	}
	f.host.calls.Router.Update(router.Snapshot{Intentions: []router.Intention{{Source: "quote", Destination: "payments"}}})
	if err := call(); countersign.CodeOf(err) != countersign.CodeNotPermitted || executed {
		t.Errorf("once Consul denies it: %v, executed %v; want not permitted", err, executed)
	}
	f.host.calls.Router.Update(router.Snapshot{Intentions: []router.Intention{{Source: "quote", Destination: "payments", Allow: true}}})
	if err := call(); err != nil || !executed {
		t.Errorf("once Consul allows it: %v, executed %v", err, executed)
	}
}

// TestCalleeAsksIntentions gives one node intentions that the other does not have, as a node would that was taken over.
func TestCalleeAsksIntentions(t *testing.T) {
	ns := newNodes(t, 2)
	quote := ns.run(0, "quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
	executed := false
	ns.run(1, "tax", hclspec.Function{}, running(func(context.Context, *countersign.Invocation) ([]byte, error) {
		executed = true
		return nil, nil
	}))
	ns.publish()
	ns.hosts[1].host.calls.Router.Update(router.Snapshot{})
	if _, err := callAs(quote, 0, "tax", `{}`); countersign.CodeOf(err) != countersign.CodeNotPermitted || executed {
		t.Errorf("%v, executed %v; want not permitted", err, executed)
	}
}

// TestHostSpeaksForItsFunctionsOnly lets a host that runs only fx try to call as quote, in every way that its keys allow.
func TestHostSpeaksForItsFunctionsOnly(t *testing.T) {
	ns := newNodes(t, 2)
	fx := ns.run(0, "fx", hclspec.Function{}, running(echo))
	executed := false
	tax := ns.run(1, "tax", hclspec.Function{}, running(func(context.Context, *countersign.Invocation) ([]byte, error) {
		executed = true
		return nil, nil
	}))
	ns.allow = append(ns.allow, router.Intention{Source: "quote", Destination: "tax", Allow: true},
		router.Intention{Source: "fx", Destination: "tax", Allow: true})
	ns.publish()
	quote, callee := functionID(t, "quote"), functionID(t, "tax")
	pool := link.NewPool(link.PoolConfig{Trust: ns.hosts[0].host.trust.Bundle})
	defer pool.Close()
	to := link.Target{Address: ns.at[1], Allocation: tax.request.AllocID, Function: callee, ConnectTimeout: time.Second}
	for name, caller := range map[string]link.Caller{
		"its own key":             fx.instance,
		"a certificate it forged": forged{"fx-a", newAuthority(t).Identity(t, quote)},
	} {
		_, err := pool.Call(t.Context(), caller, to, func(link.Terms) callsig.Call {
			return callsig.Call{Caller: quote, Callee: callee, Deadline: time.Now().Add(time.Second), ID: "1", Body: []byte(`{}`)}
		})
		if err == nil || executed {
			t.Errorf("with %s: %v, executed %v; want a refusal", name, err, executed)
		}
	}
}

func functionID(tb testing.TB, name string) identity.ID {
	tb.Helper()
	id, err := identity.FunctionID(trustDomain, name)
	if err != nil {
		tb.Fatal(err)
	}
	return id
}

// forged is a caller of whatever identity.
type forged struct {
	allocation string
	self       *identity.Identity
}

func (f forged) ID() string                   { return f.allocation }
func (f forged) Identity() *identity.Identity { return f.self }
func (f forged) BuiltWith(string) []byte      { return nil }

// TestHostDiesDuringCalls kills the host of one of two instances while it executes a call.
func TestHostDiesDuringCalls(t *testing.T) {
	for name, idempotent := range map[string]bool{"idempotent": true, "not idempotent": false} {
		t.Run(name, func(t *testing.T) {
			ns := newNodes(t, 3)
			quote := ns.run(0, "quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
			spec := hclspec.Function{Call: hclspec.Call{Timeout: 5 * time.Second, MaxRequest: 99, MaxResponse: 99, Idempotent: idempotent}}
			entered, calls := make(chan int, 8), new(atomic.Int32)
			for node := 1; node <= 2; node++ {
				ns.run(node, "tax", spec, running(func(ctx context.Context, _ *countersign.Invocation) ([]byte, error) {
					entered <- node
					if calls.Add(1) == 1 { // the first call is never answered
						<-ctx.Done()
						return nil, ctx.Err()
					}
					return []byte("answered"), nil
				}))
			}
			ns.publish()
			answered := make(chan error, 1)
			go func() {
				reply, err := callAs(quote, 0, "tax", `{}`)
				if err == nil && string(reply) != "answered" {
					err = errors.New("the reply is " + string(reply))
				}
				answered <- err
			}()
			first := <-entered
			ns.close[first]()
			err := <-answered
			if idempotent && err != nil {
				t.Errorf("%v; want the answer of the other instance", err)
			}
			if !idempotent && (countersign.CodeOf(err) != countersign.CodeInternal || !strings.Contains(err.Error(), "may have been executed")) {
				t.Errorf("%v; want that it may have been executed", err)
			}
			if _, err := callAs(quote, 0, "tax", `{}`); err != nil {
				t.Errorf("the call after that: %v; want that it goes to the other instance at once", err)
			}
		})
	}
}

// TestStoppingInstanceIsLeft calls an instance that Consul still lists and that takes no calls any more.
func TestStoppingInstanceIsLeft(t *testing.T) {
	ns := newNodes(t, 3)
	quote := ns.run(0, "quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
	for node := 1; node <= 2; node++ {
		ns.run(node, "tax", hclspec.Function{}, running(echo))
	}
	ns.publish()
	for range 8 { // both have connections
		if _, err := callAs(quote, 0, "tax", `{}`); err != nil {
			t.Fatal(err)
		}
	}
	stopping := ns.tasks[1].task
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	ns.hosts[1].host.calls.Drain(ctx, stopping.instance)
	for range 20 {
		if _, err := callAs(quote, 0, "tax", `{}`); err != nil {
			t.Errorf("%v; want the answer of the other instance", err)
		}
	}
}

// TestStoppingTaskSaysSo stops a task during a call from another host: that call ends as it would have, the caller hears
// at once that there shall be no more, and closes the connection.
func TestStoppingTaskSaysSo(t *testing.T) {
	ns := newNodes(t, 2)
	quote := ns.run(0, "quote", hclspec.Function{Calls: []string{"tax"}}, running(echo))
	entered, leave := make(chan bool), make(chan bool)
	tax := ns.run(1, "tax", hclspec.Function{}, running(func(context.Context, *countersign.Invocation) ([]byte, error) {
		entered <- true
		<-leave
		return []byte("answered"), nil
	}))
	ns.publish()
	answered, stopped := make(chan error, 1), make(chan error, 1)
	go func() {
		reply, err := callAs(quote, 0, "tax", `{}`)
		if err == nil && string(reply) != "answered" {
			err = errors.New("the reply is " + string(reply))
		}
		answered <- err
	}()
	<-entered
	go func() { stopped <- ns.hosts[1].host.Stop(context.Background(), tax.request.TaskID, 10*time.Second) }()
	for tax.instance.Accepts() {
		time.Sleep(time.Millisecond)
	}
	var err error
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		// A refusal comes from the callee's host; after its goaway nothing is sent there any more.
		if _, err = callAs(quote, 0, "tax", `{}`); countersign.CodeOf(err) == countersign.CodeUnavailable &&
			strings.Contains(err.Error(), "can't be reached") {
			break
		}
	}
	var unreachable *link.UnreachableError
	if !errors.As(err, &unreachable) || unreachable.Sent || !strings.Contains(unreachable.Error(), "the instance is stopping") {
		t.Errorf("%v; want that nothing was sent since the instance is stopping", err)
	}
	close(leave)
	if err := <-answered; err != nil {
		t.Errorf("the call that ran: %v", err)
	}
	if err := <-stopped; err != nil {
		t.Errorf("Stop: %v", err)
	}
	from := ns.hosts[0].host.calls
	for end := time.Now().Add(5 * time.Second); from.Links() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := from.Links(); n > 0 {
		t.Errorf("%d connections to a task that has stopped", n)
	}
}
