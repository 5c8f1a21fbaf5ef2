package router

import (
	"math/rand/v2"
	"slices"

	"countersign"
)

// Route decides where a call goes. It does no I/O and, when it succeeds, allocates nothing.
//
// The error is a *countersign.CallError. CodeNotPermitted: Consul's intentions do not allow the call, or the chain leads
// to a function that the caller's spec does not list. CodeUnknownFunction: nothing in Consul has the callee's name.
// CodeUnavailable: there is no healthy instance that was not tried, or Consul's answers about the callee, or the
// intentions, are not in yet.
func (r *Router[T]) Route(q *Query) (Choice[T], error) {
	t := r.current.Load()
	if r.Standalone {
		return t.here(q)
	}
	if t == nil || !t.loaded {
		if q.Caller != "" { // also for a callee of this host: it may be the one that an intention denies
			return Choice[T]{}, intentionsUnknown(q.Callee)
		}
		return t.here(q)
	}
	known := t.callees[q.Callee]
	if known == nil {
		known = &callee[T]{}
	}
	if err := t.mayCall(known, q); err != nil {
		return Choice[T]{}, err
	}
	if known.chained {
		return t.walk(&known.start, q)
	}
	// Consul has not answered about the callee yet. What runs here may be called all the same.
	if known.local != nil {
		return t.pick(known.local, q)
	}
	return Choice[T]{}, known.absent(q)
}

// here chooses among the instances of this host, without regard to Consul. A nil table has none.
func (t *table[T]) here(q *Query) (Choice[T], error) {
	if t != nil {
		if known := t.callees[q.Callee]; known != nil && known.local != nil {
			return t.pick(known.local, q)
		}
	}
	return Choice[T]{}, noInstanceHere(q.Callee)
}

// mayCall tells whether a call may be made at all: by the intentions or, from outside, by the callee's ingress. An
// instance of this host is called from outside without regard to what Consul says of its ingress: the host knows its
// spec.
func (t *table[T]) mayCall(known *callee[T], q *Query) error {
	if q.Caller != "" {
		if ok, why := permit(known.rules, t.any, q.Caller, q.Callee); !ok {
			return notPermitted(q.Caller, q.Callee, why)
		}
		return nil
	}
	if known.registered && !known.ingress && known.local == nil {
		return countersign.Errorf(countersign.CodeNotPermitted, q.Callee,
			"function %q can't be called from outside: its spec has no ingress", q.Callee)
	}
	return nil
}

// walk follows the chain from s to an instance.
func (t *table[T]) walk(s *step[T], q *Query) (Choice[T], error) {
	for s != nil && s.leaf == nil {
		switch {
		case s.routes != nil:
			s = followRoute(s.routes, q)
		case s.splits != nil:
			s = followSplit(s.splits, q)
		default:
			s = nil
		}
	}
	if s == nil {
		return Choice[T]{}, countersign.Errorf(countersign.CodeUnavailable, q.Callee,
			"the discovery chain of %q in Consul leads nowhere for this call; look at its service-router, "+
				"service-splitter and service-resolver", q.Callee)
	}
	return t.pick(s.leaf, q)
}

func followRoute[T Instance](routes []route[T], q *Query) *step[T] {
	for i := range routes {
		if matches(routes[i].headers, q.Header) {
			return &routes[i].next
		}
	}
	return nil
}

// followSplit chooses a branch by weight. If nothing behind it fits, the next behind which something does is taken.
func followSplit[T Instance](splits []split[T], q *Query) *step[T] {
	// The weights add up to 100 %. If they do not, each has its share of what they add up to.
	n := rand.IntN(splits[len(splits)-1].upTo)
	i := 0
	for splits[i].upTo <= n {
		i++
	}
	if q.Fits != nil {
		for k := range splits {
			if s := &splits[(i+k)%len(splits)].next; s.fits(q) {
				return s
			}
		}
	}
	return &splits[i].next
}

// fits tells whether the chain behind s has an instance that fits.
func (s *step[T]) fits(q *Query) bool {
	switch {
	case s.leaf != nil:
		return s.leaf.group.fits(q) || slices.ContainsFunc(s.leaf.failover, func(g *group[T]) bool { return g.fits(q) })
	case s.routes != nil:
		next := followRoute(s.routes, q)
		return next != nil && next.fits(q)
	}
	return slices.ContainsFunc(s.splits, func(sp split[T]) bool { return sp.next.fits(q) })
}

// pick chooses an instance of the first target that has one: first among those that fit and are not ejected, then, if
// there are none of these anywhere, among those that fit, then among all.
func (t *table[T]) pick(l *leaf[T], q *Query) (Choice[T], error) {
	if err := t.mayFollow(&l.group, q); err != nil {
		return Choice[T]{}, err
	}
	choice, ok := t.among(l, q)
	if !ok && q.Fits != nil {
		any := *q
		any.Fits = nil
		choice, ok = t.among(l, &any)
	}
	if !ok {
		return Choice[T]{}, t.unavailable(l, q)
	}
	return choice, nil
}

func (t *table[T]) among(l *leaf[T], q *Query) (Choice[T], bool) {
	for _, ignoreEjection := range [2]bool{false, true} {
		if m := choose(&l.balance, &l.group, q, ignoreEjection); m >= 0 {
			return l.choice(&l.group, m), true
		}
		for _, g := range l.failover {
			if t.mayFollow(g, q) != nil {
				continue
			}
			if m := choose(&l.balance, g, q, ignoreEjection); m >= 0 {
				return l.choice(g, m), true
			}
		}
	}
	return Choice[T]{}, false
}

func (l *leaf[T]) choice(g *group[T], i int) Choice[T] {
	m := &g.members[i]
	return Choice[T]{Local: m.local, IsLocal: m.remote == nil, Remote: m.remote, Function: g.function,
		Policy: &l.policy}
}

// mayFollow tells whether the chain may lead the call to another function than its callee. Consul is not trusted to make
// a caller call what its signed spec does not list, nor to open to the outside what has no ingress.
func (t *table[T]) mayFollow(g *group[T], q *Query) error {
	function := g.function
	if function == q.Callee {
		return nil
	}
	if q.Caller == "" {
		if known := t.callees[function]; known != nil && known.ingress {
			return nil
		}
		return countersign.Errorf(countersign.CodeNotPermitted, q.Callee,
			"the discovery chain of %q leads to %q, which can't be called from outside", q.Callee, function)
	}
	if q.Allowed == nil || !q.Allowed(function) {
		return countersign.Errorf(countersign.CodeNotPermitted, q.Callee,
			"the discovery chain of %q leads to %q, which the spec of %q does not list in calls", q.Callee, function,
			q.Caller)
	}
	if ok, why := t.intentions.permit(q.Caller, function); !ok {
		return notPermitted(q.Caller, function, why)
	}
	return nil
}
