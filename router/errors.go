package router

import "countersign"

func noInstanceHere(function string) error {
	return countersign.Errorf(countersign.CodeUnavailable, function,
		"no healthy instance of function %q on this node", function)
}

// intentionsUnknown refuses a call between functions, wherever the callee runs, before the first Update.
func intentionsUnknown(function string) error {
	return countersign.Errorf(countersign.CodeUnavailable, function,
		"the intentions are not known yet: this node has had no answer from Consul since its host started; try again")
}

// absent tells a function that nothing in Consul has the name of from one whose chain is not in yet.
func (c *callee[T]) absent(q *Query) error {
	if c.registered || c.named {
		return countersign.Errorf(countersign.CodeUnavailable, q.Callee,
			"no instance of function %q is known to this node yet; try again", q.Callee)
	}
	return countersign.Errorf(countersign.CodeUnknownFunction, q.Callee,
		"Consul knows no function %q; is it deployed?", q.Callee)
}

// unavailable tells why none of the instances of a resolver's targets can be chosen.
func (t *table[T]) unavailable(l *leaf[T], q *Query) error {
	g := &l.group
	healthy := len(g.members)
	for _, f := range l.failover {
		healthy += len(f.members)
	}
	known := t.callees[q.Callee]
	if healthy == 0 && len(l.failover) == 0 && g.function == q.Callee && !known.registered && !known.named {
		return known.absent(q)
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
