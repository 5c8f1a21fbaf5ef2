package router

import (
	"math"
	"slices"
	"sync/atomic"
	"time"
)

// table is what decisions are made from. It never changes. With thousands of functions what a decision costs is mainly
// the cache lines that it touches, so what it needs about a callee is found by one look-up, and near to each other.
type table[T Instance] struct {
	loaded     bool // there was a snapshot
	intentions intentions
	any        []rule // of intentions, for the destination "*"
	callees    map[string]*callee[T]
}

// callee is what is known of a function.
type callee[T Instance] struct {
	rules      []rule // of the intentions with this destination
	start      step[T]
	chained    bool // there is a chain; start leads nowhere if it is broken
	registered bool // with Consul
	ingress    bool
	named      bool     // there are intentions with this destination
	local      *leaf[T] // the instances here, for as long as there is no chain; nil without any
	few        [1]rule  // the memory of rules if they are so few
}

// step is a compiled node of a chain: a router, a splitter or a resolver. The zero value leads nowhere: the chain is
// broken there.
type step[T Instance] struct {
	routes []route[T]
	splits []split[T]
	leaf   *leaf[T]
}

type route[T Instance] struct {
	headers []headerMatch
	next    step[T]
}

// split is a branch of a splitter. upTo is the sum of the weights up to and with this one.
type split[T Instance] struct {
	upTo int
	next step[T]
}

// leaf is a compiled resolver. Resolvers are compiled for each route that leads to them, so that what the route says
// about timeouts is found in the policy.
type leaf[T Instance] struct {
	group    group[T] // of the target
	balance  balance
	policy   Policy
	failover []*group[T] // of further targets
}

// weightUnit is the number of parts of a weight of one per cent: weights have two decimals.
const weightUnit = 100

// maxChain is the greatest depth of a chain, so that a malformed one ends. Consul's have a router, splitters and a
// resolver.
const maxChain = 64

// compiler makes a table of a snapshot and the instances of this host.
type compiler[T Instance] struct {
	local     map[string][]T
	gone      map[string]time.Time
	pool      *pool
	distances map[string]time.Duration

	used   map[*Endpoint]bool
	listed map[string]bool // allocations that the snapshot lists
}

func (c *compiler[T]) table(s *Snapshot) *table[T] {
	t := &table[T]{callees: map[string]*callee[T]{}}
	for name, list := range c.local {
		g := &group[T]{function: name}
		for _, in := range list {
			g.addLocal(in)
		}
		g.finish(nil)
		t.callee(name).local = newLeaf(g, Policy{ConnectTimeout: DefaultConnectTimeout, Retries: DefaultRetries})
	}
	if s == nil {
		return t
	}
	c.used, c.listed, c.distances = map[*Endpoint]bool{}, map[string]bool{}, s.Distances
	t.loaded, t.intentions = true, compileIntentions(s.Intentions)
	for _, f := range s.Functions {
		known := t.callee(f.Name)
		known.registered, known.ingress = true, known.ingress || f.Ingress
	}
	for i := range s.Chains {
		known := t.callee(s.Chains[i].Function)
		known.chained, known.start = true, c.chain(&s.Chains[i])
	}
	for name, rules := range t.intentions {
		known := t.callee(name)
		known.named, known.rules = true, rules
		if len(rules) <= len(known.few) {
			known.rules = known.few[:copy(known.few[:], rules)]
		}
	}
	t.any = t.intentions[anyName]
	return t
}

// callee returns what is known of a function, to be added to.
func (t *table[T]) callee(name string) *callee[T] {
	known := t.callees[name]
	if known == nil {
		known = &callee[T]{}
		t.callees[name] = known
	}
	return known
}

// newLeaf returns a leaf with a copy of g.
func newLeaf[T Instance](g *group[T], p Policy) *leaf[T] {
	l := &leaf[T]{group: *g, policy: p}
	if n := len(g.members); n <= len(l.group.few) {
		l.group.members = l.group.few[:copy(l.group.few[:], g.members)]
	}
	return l
}

func (c *compiler[T]) chain(ch *Chain) step[T] {
	cc := &chainCompiler[T]{compiler: c, chain: ch, groups: map[string]*group[T]{}}
	return cc.node(ch.Start, &path[T]{
		policy: Policy{ConnectTimeout: DefaultConnectTimeout, Retries: DefaultRetries},
		done:   map[string]step[T]{},
	}, 0)
}

type chainCompiler[T Instance] struct {
	*compiler[T]
	chain  *Chain
	groups map[string]*group[T] // by key of the target
}

// path is what holds for the nodes behind a route: each is compiled once. One that is being compiled is there as the zero
// step, so a loop leads nowhere.
type path[T Instance] struct {
	policy Policy
	done   map[string]step[T]
}

func (c *chainCompiler[T]) node(key string, p *path[T], depth int) step[T] {
	if s, ok := p.done[key]; ok {
		return s
	}
	n, ok := c.chain.Nodes[key]
	if !ok || depth > maxChain {
		return step[T]{}
	}
	p.done[key] = step[T]{}
	s := c.compileNode(n, p, depth)
	p.done[key] = s
	return s
}

func (c *chainCompiler[T]) compileNode(n Node, p *path[T], depth int) step[T] {
	switch {
	case len(n.Routes) > 0:
		return c.router(n.Routes, p, depth)
	case len(n.Splits) > 0:
		s, sum := step[T]{}, 0
		for _, sp := range n.Splits {
			if !(sp.Weight > 0 && sp.Weight <= 100) { // 0, or not a number
				continue
			}
			sum += int(math.Round(sp.Weight * weightUnit))
			s.splits = append(s.splits, split[T]{sum, c.node(sp.Next, p, depth+1)})
		}
		if sum == 0 {
			return step[T]{}
		}
		return s
	case n.Resolver != nil:
		return step[T]{leaf: c.resolver(n, p)}
	}
	return step[T]{}
}

// router keeps the routes that can match a call of this chain's function, up to the first that always does.
func (c *chainCompiler[T]) router(routes []Route, p *path[T], depth int) step[T] {
	s := step[T]{}
	for _, r := range routes {
		headers, ok := compileMatch(&r.Match, callPath(c.chain.Function))
		if !ok {
			continue
		}
		behind := &path[T]{policy: p.policy, done: map[string]step[T]{}}
		if depth > 0 { // Consul has routers at the start only; elsewhere a loop must be found
			behind.done = p.done
		}
		if r.RequestTimeout > 0 {
			behind.policy.RequestTimeout = r.RequestTimeout
		}
		if r.NumRetries > 0 {
			behind.policy.Retries = min(r.NumRetries, MaxRetries)
		}
		s.routes = append(s.routes, route[T]{headers, c.node(r.Next, behind, depth+1)})
		if len(headers) == 0 {
			break
		}
	}
	return s
}

// resolver returns nil if the chain does not have the target.
func (c *chainCompiler[T]) resolver(n Node, p *path[T]) *leaf[T] {
	primary := c.target(n.Resolver.Target)
	if primary == nil {
		return nil
	}
	l := newLeaf(primary, p.policy)
	l.balance = compileBalance(n.Balance)
	if n.Resolver.ConnectTimeout > 0 {
		l.policy.ConnectTimeout = n.Resolver.ConnectTimeout
	}
	if l.policy.RequestTimeout == 0 {
		l.policy.RequestTimeout = max(n.Resolver.RequestTimeout, 0)
	}
	for _, key := range n.Resolver.Failover {
		if g := c.target(key); g != nil {
			l.failover = append(l.failover, g)
		}
	}
	return l
}

// target compiles a target once per chain. It is nil if the chain has none with this key.
func (c *chainCompiler[T]) target(key string) *group[T] {
	if g, ok := c.groups[key]; ok {
		return g
	}
	t, ok := c.chain.Targets[key]
	if !ok {
		return nil
	}
	g := &group[T]{function: t.Function, subset: t.Subset, turn: new(atomic.Uint32)}
	c.addLocals(g, &t)
	local := c.local[t.Function]
	var remote []distant
	for i := range t.Endpoints {
		l := &t.Endpoints[i]
		if _, gone := c.gone[l.Allocation]; gone || !l.Passing || l.Allocation == "" || l.Address == "" ||
			slices.ContainsFunc(local, func(in T) bool { return in.ID() == l.Allocation }) {
			continue
		}
		e := c.pool.endpoint(t.Function, l)
		c.used[e] = true
		remote = append(remote, distant{e, c.distance(l.Node)})
	}
	g.finish(remote)
	c.groups[key] = g
	return g
}

// addLocals adds the instances of this host that are members of a target: those that Consul lists there as passing, and,
// if nothing is filtered, those that Consul does not list yet.
func (c *chainCompiler[T]) addLocals(g *group[T], t *Target) {
	passing := make(map[string]bool, len(t.Endpoints))
	for _, l := range t.Endpoints {
		passing[l.Allocation] = l.Passing
		c.listed[l.Allocation] = true
	}
	for _, in := range c.local[t.Function] {
		if ok, listed := passing[in.ID()]; ok || !listed && !t.Filtered {
			g.addLocal(in)
		}
	}
}

// farthest is the distance of a node of which it is not known.
const farthest = time.Duration(math.MaxInt64)

func (c *compiler[T]) distance(node string) time.Duration {
	if d, ok := c.distances[node]; ok && d >= 0 {
		return d
	}
	return farthest
}
