package router

import (
	"maps"
	"math"
	"slices"
	"testing"
	"time"
)

func TestSameHostFirst(t *testing.T) {
	here, there := &running{id: "here", function: "tax", inFlight: 100}, listed("there", "here")
	for name, c := range map[string]struct {
		listed   []Listed
		filtered bool
		want     string
	}{
		"listed":                   {there, false, "here"},
		"listed in the subset":     {there, true, "here"},
		"not in the subset":        {there[:1], true, "there"},
		"not listed yet":           {there[:1], false, "here"},
		"nobody is listed yet":     {nil, false, "here"},
		"nobody is in the subset":  {nil, true, "unavailable"},
		"critical":                 {critical(there, "here"), false, "there"},
		"critical, and no other":   {critical(there[1:], "here"), false, "unavailable"},
		"without allocation":       {listed(""), true, "unavailable"},
		"without address":          {[]Listed{{Allocation: "a", Passing: true}}, true, "unavailable"},
		"critical on another host": {critical(there, "there"), false, "here"},
	} {
		t.Run(name, func(t *testing.T) {
			var r testRouter
			r.Add(here)
			chain := plain("tax", c.listed)
			target := chain.Targets["t"]
			target.Filtered = c.filtered
			chain.Targets["t"] = target
			r.Update(only(chain))
			if got := counts(&r, 50, Query{Callee: "tax"}); got[c.want] != 50 {
				t.Errorf("calls go to %v, want %s", got, c.want)
			}
		})
	}
}

func critical(list []Listed, allocation string) []Listed {
	list = slices.Clone(list)
	for i := range list {
		list[i].Passing = list[i].Passing && list[i].Allocation != allocation
	}
	return list
}

func TestLocalInstancesWithoutConsul(t *testing.T) {
	for name, r := range map[string]*testRouter{"standalone": {Standalone: true}} { // before a snapshot: intention_test.go
		busy, idle := &running{id: "busy", function: "tax", inFlight: 9}, &running{id: "idle", function: "tax", inFlight: 1}
		r.Add(busy)
		r.Add(idle)
		r.Add(idle)
		for caller, want := range map[string]string{"quote": "idle", "": "idle"} {
			for range 50 {
				if got := ask(r, Query{Caller: caller, Callee: "tax"}); got != want {
					t.Fatalf("%s: goes to %s, want %s", name, got, want)
				}
			}
		}
		if got := goes(r, Query{Callee: "tax", LocalTried: []string{"idle"}}); got != "busy" {
			t.Errorf("%s: after the idle one was tried: %s", name, got)
		}
		if got := goes(r, Query{Callee: "tax", LocalTried: []string{"idle", "busy"}}); got != "unavailable" {
			t.Errorf("%s: after both were tried: %s", name, got)
		}
		r.Remove(idle)
		r.Remove(idle)
		if got := goes(r, Query{Callee: "tax"}); got != "busy" {
			t.Errorf("%s: after the idle one left: %s", name, got)
		}
		r.Remove(busy)
		if got := goes(r, Query{Callee: "tax"}); got != "unavailable" {
			t.Errorf("%s: after both left: %s", name, got)
		}
	}
}

func TestAnInstanceThatLeftIsNotCalledAsARemoteOne(t *testing.T) {
	clock := newClock()
	r := clock.router()
	here := &running{id: "here", function: "tax", inFlight: 0}
	r.Update(only(plain("tax", listed("here", "there"))))
	r.Add(here)
	if got := counts(r, 50, Query{Callee: "tax"}); got["here"] != 50 {
		t.Fatalf("calls go to %v, want here", got)
	}
	r.Remove(here)
	if got := counts(r, 50, Query{Callee: "tax"}); got["there"] != 50 {
		t.Errorf("after it left, while Consul lists it, calls go to %v", got)
	}
	clock.pass(2 * tombstoneTime)
	r.Update(only(plain("tax", listed("here", "there"))))
	if got := counts(r, 50, Query{Callee: "tax"}); got["there"] != 50 {
		t.Errorf("while Consul lists it for long, calls go to %v", got)
	}
	r.Update(only(plain("tax", listed("there"))))
	if len(r.gone) != 0 {
		t.Errorf("still remembers %v", r.gone)
	}
}

func TestNearestFirst(t *testing.T) {
	var r testRouter
	s := only(plain("tax", listed("a", "b", "c", "d", "e", "unknown")))
	s.Distances = map[string]time.Duration{"n-a": 10 * time.Millisecond, "n-b": 12 * time.Millisecond,
		"n-c": 12*time.Millisecond + 1, "n-d": 200 * time.Microsecond, "n-e": 1200 * time.Microsecond}
	r.Update(s)
	q := Query{Callee: "tax"}
	for _, want := range [][]string{{"d", "e"}, {"a", "b"}, {"c"}, {"unknown"}} {
		got := counts(&r, 400, q)
		if !slices.Equal(slices.Sorted(maps.Keys(got)), want) {
			t.Fatalf("after %d were tried, calls go to %v, want %v", len(q.Tried), got, want)
		}
		for _, allocation := range want {
			for e := range r.endpoints() {
				if e.Allocation == allocation {
					q.Tried = append(q.Tried, e)
				}
			}
		}
	}
	if got := goes(&r, q); got != "unavailable" {
		t.Errorf("after all were tried: %s", got)
	}
}

// endpoints returns every endpoint that the router knows.
func (r *Router[T]) endpoints() map[*Endpoint]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[*Endpoint]bool{}
	for _, e := range r.pool.endpoints {
		all[e] = true
	}
	return all
}

func TestTheLessBusyOfTwo(t *testing.T) {
	var r testRouter
	r.Update(only(plain("tax", listed("a", "b"))))
	a := endpoint(t, &r, "tax", "a")
	a.Begin()
	if got := counts(&r, 100, Query{Callee: "tax"}); got["b"] != 100 {
		t.Errorf("with a call in flight to a, calls go to %v", got)
	}
	r.Update(only(plain("tax", listed("a", "b", "c")))) // calls in flight are remembered
	if got := counts(&r, 300, Query{Callee: "tax"}); got["a"] != 0 || got["b"] == 0 || got["c"] == 0 {
		t.Errorf("with a call in flight to a of three, calls go to %v", got)
	}
	a.EndUnknown()
	if got := counts(&r, 300, Query{Callee: "tax"}); len(got) != 3 {
		t.Errorf("with no call in flight, calls go to %v", got)
	}
}

func balanced(b Balance, allocations ...string) Snapshot {
	chain := plain("tax", listed(allocations...))
	n := chain.Nodes["r"]
	n.Balance = b
	chain.Nodes["r"] = n
	s := only(chain)
	s.Distances = map[string]time.Duration{"n-a": 1} // which only our own policy looks at
	return s
}

func TestLoadBalancerPolicies(t *testing.T) {
	const n = 3000
	for _, policy := range []string{"random", "round_robin", "least_request", "ring_hash", "maglev"} {
		var r testRouter
		r.Add(&running{id: "here", function: "tax", inFlight: 0})
		r.Update(balanced(Balance{Policy: policy}, "a", "b", "here"))
		got := counts(&r, n, Query{Callee: "tax"})
		for _, allocation := range []string{"a", "b", "here"} {
			if sigma := math.Sqrt(n * 2 / 9.); math.Abs(float64(got[allocation])-n/3) > 6*sigma {
				t.Errorf("%s: calls go to %v, want a third to each", policy, got)
			}
		}
		tried := endpoint(t, &r, "tax", "a")
		if got := counts(&r, n, Query{Callee: "tax", Tried: []*Endpoint{tried}}); got["a"] != 0 || got["b"] == 0 {
			t.Errorf("%s: after a was tried, calls go to %v", policy, got)
		}
	}
	var r testRouter
	r.Update(balanced(Balance{Policy: "round_robin"}, "a", "b"))
	first, second, third := goes(&r, Query{Callee: "tax"}), goes(&r, Query{Callee: "tax"}), goes(&r, Query{Callee: "tax"})
	if first == second || first != third {
		t.Errorf("round_robin goes to %s, %s, %s", first, second, third)
	}
	r.Update(balanced(Balance{Policy: "least_request", Choices: 16}, "a", "b", "c"))
	for _, allocation := range []string{"a", "c"} {
		endpoint(t, &r, "tax", allocation).Begin()
	}
	if got := counts(&r, 1000, Query{Callee: "tax"}); got["b"] < 990 { // 16 choices miss b with (2/3)^15
		t.Errorf("least_request of 16: calls go to %v", got)
	}
	r.Update(balanced(Balance{Policy: "new_in_consul_2"}, "a", "b"))
	if got := counts(&r, 100, Query{Callee: "tax"}); got["a"] != 100 {
		t.Errorf("an unknown policy: calls go to %v, want the nearest", got)
	}
}

func TestHashPolicies(t *testing.T) {
	var r testRouter
	all := names("a", 10)
	by := func(h ...HashOn) { r.Update(balanced(Balance{Policy: "maglev", Hash: h}, all...)) }
	user := func(u string) Query { return Query{Callee: "tax", Header: headers("x-user", u)} }

	by(HashOn{Header: "x-user"})
	where, used := map[string]string{}, map[string]bool{}
	for _, u := range names("u", 200) {
		where[u] = goes(&r, user(u))
		used[where[u]] = true
		if got := counts(&r, 20, user(u)); len(got) != 1 {
			t.Fatalf("%s goes to %v", u, got)
		}
	}
	if len(used) != len(all) {
		t.Errorf("200 users are on %d of %d instances", len(used), len(all))
	}
	if got := counts(&r, 300, Query{Callee: "tax"}); len(got) < 5 {
		t.Errorf("without the field calls go to %v, want any", got)
	}
	gone := all[3]
	r.Update(balanced(Balance{Policy: "ring_hash", Hash: []HashOn{{Header: "x-user"}}}, slices.Concat(all[:3], all[4:])...))
	for u, before := range where {
		if now := goes(&r, user(u)); now != before && before != gone || now == gone {
			t.Errorf("%s went from %s to %s when %s left", u, before, now, gone)
		}
	}

	by(HashOn{})
	callers := map[string]bool{}
	for _, caller := range names("c", 100) {
		got := counts(&r, 5, Query{Caller: caller, Callee: "tax"})
		if len(got) != 1 {
			t.Fatalf("%s goes to %v", caller, got)
		}
		maps.Copy(callers, map[string]bool{slices.Collect(maps.Keys(got))[0]: true})
	}
	if len(callers) < 5 {
		t.Errorf("100 callers are on %d instances", len(callers))
	}
	by(HashOn{Terminal: true}, HashOn{Header: "x-user"})
	if a, b := goes(&r, user("u1")), goes(&r, user("u2")); a != b {
		t.Errorf("after a terminal hash the field counts: %s, %s", a, b)
	}
}
