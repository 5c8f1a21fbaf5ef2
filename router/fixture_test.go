package router

import (
	"fmt"
	"testing"
	"time"

	"countersign"
)

// running is an instance of this host.
type running struct {
	id, function string
	inFlight     int
	face         string // digest of its interface
}

func (f *running) ID() string              { return f.id }
func (f *running) Function() string        { return f.function }
func (f *running) InFlight() int           { return f.inFlight }
func (f *running) InterfaceDigest() string { return f.face }

type testRouter = Router[*running]

// allowAll is an intention that allows every call.
var allowAll = []Intention{{Source: "*", Destination: "*", Allow: true}}

// listed returns passing instances, each on a node "n-<allocation>".
func listed(allocations ...string) []Listed {
	var list []Listed
	for _, a := range allocations {
		list = append(list, Listed{Allocation: a, Release: "r", Node: "n-" + a, Address: a + ":1", Passing: true})
	}
	return list
}

// plain is the chain of a function without config entries.
func plain(function string, endpoints []Listed) Chain {
	return Chain{Function: function, Start: "r", Nodes: map[string]Node{"r": {Resolver: &Resolver{Target: "t"}}},
		Targets: map[string]Target{"t": {Function: function, Endpoints: endpoints}}}
}

// only is a snapshot with one chain, in which every call is allowed.
func only(c Chain) Snapshot {
	s := Snapshot{Chains: []Chain{c}, Intentions: allowAll}
	for _, t := range c.Targets {
		s.Functions = append(s.Functions, Function{Name: t.Function})
	}
	s.Functions = append(s.Functions, Function{Name: c.Function})
	return s
}

// goes returns where a call goes: an allocation, or the code of the error.
func goes(r *testRouter, q Query) string {
	if q.Caller == "" {
		q.Caller = "quote"
	}
	return ask(r, q)
}

func ask(r *testRouter, q Query) string {
	c, err := r.Route(&q)
	switch {
	case err != nil:
		return string(countersign.CodeOf(err))
	case c.IsLocal:
		return c.Local.id
	}
	return c.Remote.Allocation
}

// counts counts where n calls go.
func counts(r *testRouter, n int, q Query) map[string]int {
	seen := map[string]int{}
	for range n {
		seen[goes(r, q)]++
	}
	return seen
}

// endpoint returns the endpoint of an allocation, by routing until it is chosen.
func endpoint(t *testing.T, r *testRouter, callee, allocation string) *Endpoint {
	t.Helper()
	for range 10000 {
		c, err := r.Route(&Query{Caller: "quote", Callee: callee})
		if err != nil {
			t.Fatal(err)
		}
		if !c.IsLocal && c.Remote.Allocation == allocation {
			return c.Remote
		}
	}
	t.Fatalf("no call goes to %s", allocation)
	return nil
}

func headers(pairs ...string) func(string) string {
	return func(name string) string {
		for i := 0; i < len(pairs); i += 2 {
			if pairs[i] == name {
				return pairs[i+1]
			}
		}
		return ""
	}
}

// clock is a clock that stands still until it is moved.
type clock struct{ at time.Time }

func newClock() *clock                { return &clock{time.Unix(1_700_000_000, 0)} }
func (c *clock) now() time.Time       { return c.at }
func (c *clock) pass(d time.Duration) { c.at = c.at.Add(d) }
func (c *clock) router() *testRouter  { return &testRouter{Now: c.now} }
func names(prefix string, n int) (list []string) {
	for i := range n {
		list = append(list, fmt.Sprintf("%s%d", prefix, i))
	}
	return list
}
