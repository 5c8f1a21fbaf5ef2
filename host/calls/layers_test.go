package calls

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"countersign"
	"countersign/hclspec"
	"countersign/vaultsign/callsig"
	"countersign/vaultsign/identity"
)

// The tests in this file hold one check each, where another one before or behind it would refuse as well.

// counting is a runtime that counts its calls.
type counting struct{ calls int }

func (c *counting) Invoke(_ context.Context, in *countersign.Invocation) ([]byte, error) {
	c.calls++
	return in.Body, nil
}

// near runs tax on the caller's own host.
func (c *caller) near(spec hclspec.Function) (*Instance, *counting) {
	c.t.Helper()
	self := c.ca.Identity(c.t, functionID(c.t, "tax"))
	spec.Name = "tax"
	if spec.Call.Timeout == 0 {
		spec.Call = hclspec.Call{Timeout: time.Minute, MaxRequest: 64, MaxResponse: 64}
	}
	runs := new(counting)
	in := c.node.Prepare(InstanceConfig{Allocation: "tax-near", SVID: self.ID(), Spec: &spec,
		Identity: func() *identity.Identity { return self }})
	c.node.Add(in, runs)
	return in, runs
}

// outgoing is a call of tax on its way.
func (c *caller) outgoing(body string) *outgoing {
	return &outgoing{from: c.Instance, node: c.node, parent: &countersign.Invocation{Function: "quote"}, callee: "tax",
		request: []byte(body), began: time.Now()}
}

// signed makes and signs a call within the host.
func (c *caller) signed(keys *session, to *Instance, body string) *callsig.SignedCall {
	c.t.Helper()
	o := c.outgoing(body)
	call := callsig.Call{Caller: c.config.SVID, Callee: to.config.SVID, Deadline: time.Now().Add(time.Minute), ID: NewCallID(),
		Hops: 1, Body: o.request}
	sc, err := callsig.SignCall(keys.caller, call, time.Now())
	must(c.t, err)
	return sc
}

// TestLocalCallsAreVerified hands calls to an instance of the same host that were changed after they were signed.
func TestLocalCallsAreVerified(t *testing.T) {
	for name, change := range map[string]func(*callsig.SignedCall){
		"another body":      func(sc *callsig.SignedCall) { sc.Call.Body = []byte("2") },
		"another signature": func(sc *callsig.SignedCall) { sc.Signature.Value[0] ^= 1 },
		"another deadline":  func(sc *callsig.SignedCall) { sc.Call.Deadline = sc.Call.Deadline.Add(time.Second) },
		"fewer hops":        func(sc *callsig.SignedCall) { sc.Call.Hops = 0 },
		"unsigned":          func(sc *callsig.SignedCall) { sc.Signature.Value = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCaller(t)
			to, runs := c.near(hclspec.Function{})
			keys, err := c.node.sessions.between(c.Instance, to, time.Now().Add(time.Second))
			must(t, err)
			sc := c.signed(keys, to, "1")
			change(sc)
			if _, err := to.receive(t.Context(), c.Instance, keys.callee, sc); countersign.CodeOf(err) != countersign.CodeUnverified || runs.calls != 0 {
				t.Errorf("%v, %d calls were executed", err, runs.calls)
			}
		})
	}
	t.Run("twice", func(t *testing.T) {
		c := newCaller(t)
		to, runs := c.near(hclspec.Function{})
		keys, err := c.node.sessions.between(c.Instance, to, time.Now().Add(time.Second))
		must(t, err)
		sc := c.signed(keys, to, "1")
		_, err = to.receive(t.Context(), c.Instance, keys.callee, sc)
		must(t, err)
		if _, err := to.receive(t.Context(), c.Instance, keys.callee, sc); countersign.CodeOf(err) != countersign.CodeReplayed || runs.calls != 1 {
			t.Errorf("%v, %d calls were executed", err, runs.calls)
		}
	})
}

// TestLocalReturnsAreVerified answers calls within the host with returns that are not those of the calls.
func TestLocalReturnsAreVerified(t *testing.T) {
	for name, change := range map[string]func(*callsig.SignedReturn, *callsig.SignedReturn){
		"of another call":   func(sr, other *callsig.SignedReturn) { *sr = *other },
		"another body":      func(sr, _ *callsig.SignedReturn) { sr.Return.Body = []byte("2") },
		"another status":    func(sr, _ *callsig.SignedReturn) { sr.Return.Status = 201 },
		"another signature": func(sr, _ *callsig.SignedReturn) { sr.Signature.Value[0] ^= 1 },
		"unsigned":          func(sr, _ *callsig.SignedReturn) { sr.Signature.Value = nil },
	} {
		t.Run(name, func(t *testing.T) {
			c := newCaller(t)
			to, _ := c.near(hclspec.Function{})
			keys, err := c.node.sessions.between(c.Instance, to, time.Now().Add(time.Second))
			must(t, err)
			sc, other := c.signed(keys, to, "1"), c.signed(keys, to, "1")
			sr, err := to.receive(t.Context(), c.Instance, keys.callee, sc)
			must(t, err)
			otherReturn, err := to.receive(t.Context(), c.Instance, keys.callee, other)
			must(t, err)
			change(sr, otherReturn)
			ctx, hops := Explain(t.Context())
			reply, err := c.outgoing("1").answered(ctx, keys, sc, sr)
			if countersign.CodeOf(err) != countersign.CodeUnverified || reply != nil || hops.Encode() != "[]" {
				t.Errorf("%q, %v, hops %s", reply, err, hops.Encode())
			}
		})
	}
}

// TestHopsTellWhatWasVerified explains a call within a host and one to another: what is told comes from the verification.
func TestHopsTellWhatWasVerified(t *testing.T) {
	for _, local := range []bool{true, false} {
		c := newCaller(t)
		if local {
			c.near(hclspec.Function{})
		} else {
			c.runs(new(far))
		}
		c.endpoints()
		ctx, explained := Explain(t.Context())
		must(t, c.call(ctx, `1`))
		var hops []countersign.Hop
		must(t, json.Unmarshal([]byte(explained.Encode()), &hops))
		if len(hops) != 1 || hops[0].Verified != "call and return" || (hops[0].Algorithm == "hmac-sha256") != local {
			t.Errorf("local %v: %+v", local, hops)
		}
	}
}

// TestHopLimitOfTheCaller has a callee on another host that does not count hops.
func TestHopLimitOfTheCaller(t *testing.T) {
	c := newCaller(t)
	careless := c.runs(new(far))
	c.endpoints()
	for hops, want := range map[int]countersign.Code{maxHops - 1: "", maxHops: countersign.CodeLoop} {
		before := careless.calls.Load()
		_, err := c.Call(t.Context(), &countersign.Invocation{Function: "quote", Hops: hops}, "tax", []byte("1"))
		if got := countersign.CodeOf(err); got != want || (careless.calls.Load() == before) != (want != "") {
			t.Errorf("after %d hops: %v; %d calls were made", hops, err, careless.calls.Load()-before)
		}
	}
}

// TestHopLimitOfTheCallee has a caller on another host that does not count hops.
func TestHopLimitOfTheCallee(t *testing.T) {
	c := newCaller(t)
	to, runs := c.near(hclspec.Function{})
	call := &callsig.Call{Caller: c.config.SVID, Callee: to.config.SVID, Deadline: time.Now().Add(time.Minute), Hops: maxHops + 1}
	if _, err := (linked{to}).Run(t.Context(), call); countersign.CodeOf(err) != countersign.CodeLoop || runs.calls != 0 {
		t.Errorf("%v, %d calls were executed", err, runs.calls)
	}
}

// TestCallsThatTheSpecDoesNotList has a function that the intentions would let be called.
func TestCallsThatTheSpecDoesNotList(t *testing.T) {
	c := newCaller(t)
	callee := c.runs(new(far))
	c.endpoints()
	c.config.Spec.Calls = []string{"fx"}
	if err := c.call(t.Context(), "1"); countersign.CodeOf(err) != countersign.CodeNotPermitted || callee.calls.Load() != 0 {
		t.Errorf("%v, %d calls were made", err, callee.calls.Load())
	}
}

// TestCalleeAsksTheIntentions has a caller on another host that did not ask them.
func TestCalleeAsksTheIntentions(t *testing.T) {
	c := newCaller(t)
	to, _ := c.near(hclspec.Function{})
	c.endpoints()
	l := linked{to}
	must(t, l.Permit(c.config.SVID))
	client, err := identity.ClientID(trustDomain, "quote")
	must(t, err)
	for _, id := range []identity.ID{functionID(t, "fx"), client} {
		if err := l.Permit(id); countersign.CodeOf(err) != countersign.CodeNotPermitted {
			t.Errorf("%s: %v", id, err)
		}
	}
}

// TestTimeOfACall has deadlines before and after what the spec of the callee gives a call.
func TestTimeOfACall(t *testing.T) {
	c := newCaller(t)
	to, runs := c.near(hclspec.Function{Call: hclspec.Call{Timeout: time.Minute, MaxRequest: 64, MaxResponse: 64}})
	var until time.Time
	to.runtime = invoke(func(ctx context.Context) { until, _ = ctx.Deadline() })
	began := time.Now()
	for _, given := range []time.Duration{30 * time.Second, time.Hour} {
		deadline := began.Add(given)
		_, err := to.Run(t.Context(), "quote", &callsig.Call{Deadline: deadline})
		must(t, err)
		if latest := time.Now().Add(time.Minute); until.After(deadline) || until.After(latest) || until.Before(began.Add(given/2)) && given < time.Minute {
			t.Errorf("a call with %s may take until %s", given, until.Sub(began))
		}
	}
	to.runtime = runs
	ret, err := to.Run(t.Context(), "quote", &callsig.Call{Deadline: began.Add(-time.Second)})
	if err != nil || ret.Code != countersign.CodeDeadline || runs.calls != 0 {
		t.Errorf("after its deadline: %v, %v, %d calls", ret.Code, err, runs.calls)
	}
}

// invoke is a runtime that shows the context of a call.
type invoke func(context.Context)

func (f invoke) Invoke(ctx context.Context, _ *countersign.Invocation) ([]byte, error) {
	f(ctx)
	return []byte("1"), nil
}

// TestSizeOfACall has requests that the callee's spec does not allow, by each way.
func TestSizeOfACall(t *testing.T) {
	c := newCaller(t)
	to, runs := c.near(hclspec.Function{Call: hclspec.Call{Timeout: time.Minute, MaxRequest: 2, MaxResponse: 64}})
	keys, err := c.node.sessions.between(c.Instance, to, time.Now().Add(time.Second))
	must(t, err)
	sc := c.signed(keys, to, "123")
	if _, err := to.receive(t.Context(), c.Instance, keys.callee, sc); countersign.CodeOf(err) != countersign.CodeTooLarge {
		t.Errorf("within the host: %v", err)
	}
	if _, err := (linked{to}).Run(t.Context(), &sc.Call); countersign.CodeOf(err) != countersign.CodeTooLarge {
		t.Errorf("between hosts: %v", err)
	}
	if runs.calls != 0 {
		t.Errorf("%d calls were executed", runs.calls)
	}
}

// TestSessionsOfEndedAllocations has an allocation end, and looks for sessions with it.
func TestSessionsOfEndedAllocations(t *testing.T) {
	c := newCaller(t)
	to, _ := c.near(hclspec.Function{})
	first, err := c.node.sessions.between(c.Instance, to, time.Now().Add(time.Second))
	must(t, err)
	if again, err := c.node.sessions.between(c.Instance, to, time.Now().Add(time.Second)); err != nil || again != first {
		t.Errorf("the next call has another session: %v", err)
	}
	c.node.End(to)
	if len(c.node.sessions.pairs) != 0 {
		t.Error("the session of an allocation that has ended is kept")
	}
}

// TestSessionsAreReplacedInTime has a session whose end is near, since a certificate's is.
func TestSessionsAreReplacedInTime(t *testing.T) {
	c := newCaller(t)
	to, _ := c.near(hclspec.Function{})
	own := to.config.Identity
	_, soon := c.ca.Certify(t, to.config.SVID, time.Now().Add(-time.Hour), time.Now().Add(renewBefore/2))
	to.config.Identity = func() *identity.Identity { return soon }
	first, err := c.node.sessions.between(c.Instance, to, time.Now().Add(time.Second))
	must(t, err)
	to.config.Identity = own // renewed
	if again, err := c.node.sessions.between(c.Instance, to, time.Now().Add(time.Second)); err != nil || again != first {
		t.Errorf("a session that outlives the call is replaced: %v", err)
	}
	if again, err := c.node.sessions.between(c.Instance, to, time.Now().Add(renewBefore)); err != nil || again == first {
		t.Errorf("a session that ends in %s is used for a call of %s: %v", time.Until(first.caller.Expires()), renewBefore, err)
	}
}

// TestStoppingInstancesTakeNoCalls calls one past the routes, which do not lead to it any more.
func TestStoppingInstancesTakeNoCalls(t *testing.T) {
	c := newCaller(t)
	to, runs := c.near(hclspec.Function{})
	c.node.Drain(t.Context(), to)
	call := &callsig.Call{Deadline: time.Now().Add(time.Minute)}
	if _, err := to.Run(t.Context(), "quote", call); countersign.CodeOf(err) != countersign.CodeUnavailable || runs.calls != 0 {
		t.Errorf("%v, %d calls were executed", err, runs.calls)
	}
}
