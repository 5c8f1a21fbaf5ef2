package router

import (
	"strings"
	"testing"
)

// faces returns instances whose interface is what follows the colon.
func faces(allocations ...string) []Listed {
	var list []Listed
	for _, a := range allocations {
		name, face, _ := strings.Cut(a, ":")
		l := listed(name)
		l[0].Interface = face
		list = append(list, l...)
	}
	return list
}

func only1(face string) func(string) bool { return func(f string) bool { return f == face } }

// TestOnlyWhatFits has instances of two interfaces, under every policy.
func TestOnlyWhatFits(t *testing.T) {
	for _, policy := range []string{"", "random", "round_robin", "least_request", "ring_hash", "maglev"} {
		c := plain("tax", faces("a:old", "b:new", "c:new", "d:"))
		n := c.Nodes["r"]
		n.Balance = Balance{Policy: policy, Hash: []HashOn{{Header: "k"}}}
		c.Nodes["r"] = n
		r := &testRouter{}
		r.Update(only(c))
		r.Add(&running{id: "here", function: "tax", face: "new"})
		for face, want := range map[string]string{"old": "a d", "new": "b c d here"} {
			for range 40 {
				if got := goes(r, Query{Callee: "tax", Fits: only1(face), Header: headers("k", face)}); !strings.Contains(want, got) {
					t.Errorf("%s: a caller of %s goes to %s", policy, face, got)
				}
			}
		}
		if got := goes(r, Query{Callee: "tax", Fits: only1("x")}); got != "d" { // whose host can say so
			t.Errorf("%s: a caller of neither goes to %s", policy, got)
		}
	}
}

// TestNothingFits has callers that know of no instance that fits: what they know may be wrong.
func TestNothingFits(t *testing.T) {
	r := &testRouter{}
	r.Update(only(plain("tax", faces("a:old", "b:new"))))
	a, b := endpoint(t, r, "tax", "a"), endpoint(t, r, "tax", "b")
	if seen := counts(r, 100, Query{Callee: "tax", Fits: only1("x")}); seen["a"] == 0 || seen["b"] == 0 {
		t.Errorf("nothing fits: %v", seen)
	}
	if got := goes(r, Query{Callee: "tax", Fits: only1("old"), Tried: []*Endpoint{a}}); got != "b" {
		t.Error("the one that fits was tried:", got)
	}
	if got := goes(r, Query{Callee: "tax", Fits: only1("old"), Tried: []*Endpoint{a, b}}); got != "unavailable" {
		t.Error("all were tried:", got)
	}
	// One that fits is taken although it is ejected.
	a.Begin()
	a.EndUnreachable()
	if seen := counts(r, 20, Query{Callee: "tax", Fits: only1("old")}); seen["a"] != 20 {
		t.Errorf("the one that fits is ejected: %v", seen)
	}
}

// TestSplitsGiveWay has a canary with an interface of its own: callers go where they fit, whatever the weights are.
func TestSplitsGiveWay(t *testing.T) {
	c := Chain{Function: "tax", Start: "s", Nodes: map[string]Node{
		"s":   {Splits: []Split{{Weight: 90, Next: "old"}, {Weight: 10, Next: "new"}}},
		"old": {Resolver: &Resolver{Target: "old"}}, "new": {Resolver: &Resolver{Target: "new"}},
	}, Targets: map[string]Target{
		"old": {Function: "tax", Subset: "old", Filtered: true, Endpoints: faces("a:old")},
		"new": {Function: "tax", Subset: "new", Filtered: true, Endpoints: faces("b:new")},
	}}
	r := &testRouter{}
	r.Update(only(c))
	for face, want := range map[string]string{"old": "a", "new": "b"} {
		if seen := counts(r, 200, Query{Callee: "tax", Fits: only1(face)}); seen[want] != 200 {
			t.Errorf("callers of %s go to %v", face, seen)
		}
	}
	if seen := counts(r, 400, Query{Callee: "tax"}); seen["a"] == 0 || seen["b"] == 0 {
		t.Errorf("callers that fit both go to %v", seen)
	}
	if seen := counts(r, 400, Query{Callee: "tax", Fits: only1("x")}); seen["a"] < 300 || seen["b"] == 0 {
		t.Errorf("callers that nothing fits go to %v", seen)
	}
}
