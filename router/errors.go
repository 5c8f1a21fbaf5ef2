package router

import "countersign"

func noInstanceHere(function string) error {
	return countersign.Errorf(countersign.CodeUnavailable, function,
		"no healthy instance of function %q on this node", function)
}

// known tells whether something in Consul has the name of a function.
func (t *table[T]) known(function string) bool {
	_, registered := t.functions[function]
	_, named := t.intentions[function]
	return registered || named
}

// absent tells a function that nothing in Consul knows from one whose chain is not in yet.
func (t *table[T]) absent(q *Query) error {
	if t.known(q.Callee) {
		return countersign.Errorf(countersign.CodeUnavailable, q.Callee,
			"no instance of function %q is known to this node yet; try again", q.Callee)
	}
	return countersign.Errorf(countersign.CodeUnknownFunction, q.Callee,
		"Consul knows no function %q; is it deployed?", q.Callee)
}

// unavailable tells why none of the instances of a resolver's targets can be chosen.
func (t *table[T]) unavailable(s *step[T], q *Query) error {
	healthy := 0
	for _, g := range s.groups {
		healthy += len(g.members)
	}
	g := s.groups[0]
	if healthy == 0 && len(s.groups) == 1 && g.function == q.Callee && !t.known(q.Callee) {
		return t.absent(q)
	}
	name := g.function
	if g.subset != "" {
		name = g.subset + " of " + name
	}
	if healthy > 0 && len(q.Tried)+len(q.LocalTried) > 0 {
		return countersign.Errorf(countersign.CodeUnavailable, q.Callee,
			"every healthy instance of function %q was tried: %d", name, healthy)
	}
	return countersign.Errorf(countersign.CodeUnavailable, q.Callee, "no healthy instance of function %q", name)
}
