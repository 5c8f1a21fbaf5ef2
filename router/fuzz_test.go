package router

import (
	"errors"
	"math"
	"slices"
	"testing"
	"time"

	"countersign"
)

// source makes things of bytes. When they run out it makes zeros.
type source struct{ b []byte }

func (s *source) n(n int) int {
	if len(s.b) == 0 {
		return 0
	}
	v := int(s.b[0])
	s.b = s.b[1:]
	return v % n
}

func (s *source) yes() bool { return s.n(2) == 1 }

func pickOne[V any](s *source, of ...V) V { return of[s.n(len(of))] }

func (s *source) name() string { return pickOne(s, "tax", "fx", "tax", "fx", "vat", "*", "", "quote") }
func (s *source) key() string  { return pickOne(s, "1", "2", "3", "1", "2", "3", "4", "missing", "") }
func (s *source) text() string {
	return pickOne(s, "", "", "", "", "/call/tax", "/call", "(", ".*", "x)|(", "1")
}
func (s *source) duration() time.Duration {
	return pickOne(s, 0, time.Millisecond, -1, math.MaxInt64, math.MinInt64, time.Hour)
}

// node is mostly of one kind.
func (s *source) node() (n Node) {
	kind := s.n(5)
	for range s.n(4) * pickOne(s, 0, min(kind, 1)) {
		r := Route{Next: s.key(), RequestTimeout: s.duration(), NumRetries: pickOne(s, 0, 3, -1, math.MaxInt)}
		r.Match = Match{PathExact: s.text(), PathPrefix: s.text(), PathRegex: s.text(), CaseInsensitive: s.yes(),
			QueryParams: s.n(5) == 4}
		for range s.n(3) {
			r.Match.Headers = append(r.Match.Headers, HeaderMatch{Name: s.text(), Present: s.yes(), Exact: s.text(),
				Regex: s.text(), Invert: s.yes()})
		}
		n.Routes = append(n.Routes, r)
	}
	for range s.n(4) * pickOne(s, 0, kind/3) {
		w := pickOne(s, 50, 30, 20, 0, -1, math.NaN(), math.Inf(1), 1e300, 0.001, 100)
		n.Splits = append(n.Splits, Split{Weight: w, Next: s.key()})
	}
	if kind != 4 {
		n.Resolver = &Resolver{Target: s.key(), Failover: []string{s.key(), s.key()}, ConnectTimeout: s.duration(),
			RequestTimeout: s.duration()}
	}
	n.Balance = Balance{Policy: pickOne(s, "", "random", "round_robin", "least_request", "maglev", "x"),
		Choices: pickOne(s, 0, 1, 3, -5, math.MaxInt), Hash: []HashOn{{Header: s.text(), Terminal: s.yes()}}}
	return n
}

func (s *source) snapshot() Snapshot {
	snap := Snapshot{Distances: map[string]time.Duration{"n1": s.duration(), "n2": s.duration()}}
	for range s.n(4) {
		snap.Functions = append(snap.Functions, Function{s.name(), s.yes()})
	}
	snap.Intentions = slices.Clone(pickOne(s, allowAll, allowAll, nil))
	for range s.n(4) {
		in := Intention{Source: s.name(), Destination: s.name(), Allow: s.n(4) > 0}
		for range s.n(2) {
			in.Permissions = append(in.Permissions, Permission{Allow: s.yes(), PathRegex: s.text(), Unknowable: s.yes()})
		}
		snap.Intentions = append(snap.Intentions, in)
	}
	for range 2 + s.n(3) {
		c := Chain{Function: s.name(), Start: s.key(), Nodes: map[string]Node{}, Targets: map[string]Target{}}
		for range 3 + s.n(4) {
			c.Nodes[s.key()] = s.node()
		}
		for range 3 + s.n(3) {
			t := Target{Function: s.name(), Filtered: s.yes()}
			for range s.n(5) {
				t.Endpoints = append(t.Endpoints, Listed{Allocation: pickOne(s, "a", "b", "c", "d", ""),
					Node: pickOne(s, "n1", "n2", ""), Address: pickOne(s, "h:1", "h:2", "h:3", ""), Passing: s.n(4) > 0})
			}
			c.Targets[s.key()] = t
		}
		snap.Chains = append(snap.Chains, c)
	}
	return snap
}

// FuzzRoute holds that no snapshot makes Route panic or loop, and that whatever it says a call goes only where the
// intentions and the caller's spec allow.
func FuzzRoute(f *testing.F) {
	f.Add([]byte{})
	state := uint64(1)
	for range 500 {
		seed := make([]byte, 1500)
		for i := range seed {
			state = mix(state + 0x9e3779b97f4a7c15)
			seed[i] = byte(state)
		}
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		s := &source{b}
		var r testRouter
		if s.yes() {
			r.Add(&running{id: pickOne(s, "a", "b"), function: s.name()})
		}
		for range 1 + s.n(2) {
			r.Update(s.snapshot())
		}
		allowed := func(f string) bool { return f != "vat" }
		var tried []*Endpoint
		for range 10 {
			q := Query{Caller: s.name(), Callee: s.name(), Allowed: allowed, Tried: tried,
				Header: func(string) string { return s.text() }}
			choice, err := r.Route(&q)
			if err != nil {
				var refusal *countersign.CallError
				if !errors.As(err, &refusal) {
					t.Fatalf("%+v: error %v is not a CallError", q, err)
				}
				continue
			}
			checkChoice(t, &r, &q, choice)
			if choice.Remote != nil {
				choice.Remote.Begin()
				choice.Remote.EndUnreachable()
				tried = append(tried, choice.Remote)
			}
		}
	})
}

func checkChoice(t *testing.T, r *testRouter, q *Query, c Choice[*running]) {
	if c.IsLocal == (c.Remote != nil) || c.IsLocal == (c.Local == nil) {
		t.Fatalf("%+v: both or none of local and remote: %+v", q, c)
	}
	if c.Policy == nil || c.Policy.ConnectTimeout <= 0 || c.Policy.RequestTimeout < 0 || c.Policy.Retries < 0 ||
		c.Policy.Retries > MaxRetries {
		t.Fatalf("%+v: policy %+v", q, c.Policy)
	}
	if slices.Contains(q.Tried, c.Remote) && c.Remote != nil {
		t.Fatalf("%+v: goes to what was tried", q)
	}
	for _, f := range []string{q.Callee, c.Function} {
		if err := r.Permitted(q.Caller, f); err != nil {
			t.Fatalf("%+v: goes to %q, yet %v", q, c.Function, err)
		}
	}
	if c.Function != q.Callee && q.Caller != "" && !q.Allowed(c.Function) {
		t.Fatalf("%+v: goes to %q, which the spec does not list", q, c.Function)
	}
}
