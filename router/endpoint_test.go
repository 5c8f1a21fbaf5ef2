package router

import (
	"testing"
	"time"
)

func fail(e *Endpoint, times int) {
	for range times {
		e.Begin()
		e.End(true)
	}
}

func succeed(e *Endpoint) {
	e.Begin()
	e.End(false)
}

// ejectable is a router with a clock, and endpoints of tax.
func ejectable(t *testing.T, allocations ...string) (*testRouter, *clock, map[string]*Endpoint) {
	clock := newClock()
	r := clock.router()
	r.Update(only(plain("tax", listed(allocations...))))
	all := map[string]*Endpoint{}
	for _, a := range allocations {
		all[a] = endpoint(t, r, "tax", a)
	}
	return r, clock, all
}

func TestEjection(t *testing.T) {
	r, clock, all := ejectable(t, "a", "b")
	a := all["a"]
	fail(a, 4)
	succeed(a)
	fail(a, 4)
	if a.Ejected() {
		t.Fatal("ejected, although never five calls in a row failed")
	}
	for i, want := range []time.Duration{5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 55, 60, 60, 60} {
		want *= time.Second
		fail(a, 1) // the fifth, or the first after an ejection
		if !a.Ejected() {
			t.Fatalf("ejection %d: is not ejected", i+1)
		}
		if got := counts(r, 50, Query{Callee: "tax"}); got["b"] != 50 {
			t.Fatalf("ejection %d: calls go to %v", i+1, got)
		}
		fail(a, 20) // calls that were in flight
		clock.pass(want - 1)
		if !a.Ejected() {
			t.Fatalf("ejection %d ended before %v", i+1, want)
		}
		clock.pass(1)
		if a.Ejected() {
			t.Fatalf("ejection %d lasts longer than %v", i+1, want)
		}
	}
	if got := counts(r, 100, Query{Callee: "tax"}); got["a"] == 0 {
		t.Errorf("after the ejection calls go to %v", got)
	}
	succeed(a)
	fail(a, 4)
	if a.Ejected() {
		t.Error("one success after an ejection should make it five failures again")
	}
	clock.pass(DefaultOutlier.Max + 1)
	fail(a, 1)
	clock.pass(DefaultOutlier.Base)
	if a.Ejected() {
		t.Error("after a long time without, an ejection should be a first one")
	}
	if a.InFlight() != 0 {
		t.Errorf("%d calls in flight", a.InFlight())
	}
}

func TestUnreachableIsEjectedAtOnce(t *testing.T) {
	r, clock, all := ejectable(t, "a", "b", "c")
	for _, a := range []string{"a", "b"} {
		all[a].Begin()
		all[a].EndUnreachable()
	}
	if got := counts(r, 50, Query{Callee: "tax"}); got["c"] != 50 {
		t.Errorf("calls go to %v", got)
	}
	all["c"].Begin()
	all["c"].EndUnreachable()
	if got := counts(r, 300, Query{Callee: "tax"}); len(got) != 3 || got["unavailable"] != 0 {
		t.Errorf("when all are ejected calls go to %v, want any", got)
	}
	clock.pass(DefaultOutlier.Base)
	if got := counts(r, 300, Query{Callee: "tax"}); len(got) != 3 {
		t.Errorf("after the ejection calls go to %v", got)
	}
}

func TestFailedCallsEjectNoMoreThanAShare(t *testing.T) {
	_, _, all := ejectable(t, "a", "b", "c", "d", "e")
	ejected := 0
	for _, e := range all {
		fail(e, 50)
		if e.Ejected() {
			ejected++
		}
	}
	if ejected != 2 {
		t.Errorf("%d of 5 are ejected, want 2: half, rounded down", ejected)
	}
	_, _, all = ejectable(t, "a")
	fail(all["a"], 5)
	if !all["a"].Ejected() {
		t.Error("the only one is not ejected, but one may always be")
	}
}

func TestConfiguredOutlier(t *testing.T) {
	clock := newClock()
	r := clock.router()
	r.Outlier = Outlier{Failures: 1, Base: time.Minute, Max: 90 * time.Second, MaxShare: 1}
	r.Update(only(plain("tax", listed("a", "b"))))
	a, b := endpoint(t, r, "tax", "a"), endpoint(t, r, "tax", "b")
	fail(a, 1)
	fail(b, 1)
	clock.pass(time.Minute - 1)
	if !a.Ejected() || !b.Ejected() {
		t.Error("one failure should eject for a minute, and all of them")
	}
	clock.pass(1)
	fail(a, 1)
	clock.pass(90*time.Second - 1)
	if !a.Ejected() {
		t.Error("the second ejection should last 90 s")
	}
	clock.pass(1)
	if a.Ejected() {
		t.Error("the second ejection should last no more than 90 s")
	}
}

func TestStateSurvivesUpdate(t *testing.T) {
	r, _, all := ejectable(t, "a", "b")
	a := all["a"]
	a.Begin()
	a.EndUnreachable()
	a.Begin()
	again := listed("a", "b")
	again[0].Release = "corrected"
	r.Update(only(plain("tax", again)))
	if got := counts(r, 50, Query{Callee: "tax"}); got["b"] != 50 {
		t.Errorf("after an update calls go to %v: the ejection is forgotten", got)
	}
	if got := goes(r, Query{Callee: "tax", Tried: []*Endpoint{a, all["b"], nil}}); got != "unavailable" {
		t.Errorf("after an update what was tried is forgotten: %s", got)
	}
	for e := range r.endpoints() {
		if e.Allocation == "a" && (e == a || e.Release != "corrected" || e.InFlight() != 1) {
			t.Errorf("endpoint is %+v with %d calls in flight; want the new release, and the call", e, e.InFlight())
		}
	}
	r.Update(only(plain("tax", listed("b"))))
	r.Update(only(plain("tax", listed("a", "b"))))
	if endpoint(t, r, "tax", "a").InFlight() != 0 {
		t.Error("an endpoint that Consul stopped listing is remembered")
	}
	a.End(true) // of the old one: must not harm
	elsewhere := listed("a", "b")
	elsewhere[0].Address = "moved:1"
	r.Update(only(plain("tax", elsewhere)))
	if got := counts(r, 100, Query{Callee: "tax"}); got["a"] == 0 {
		t.Errorf("calls go to %v; want also to a, at its new address", got)
	}
}
