package router

import (
	"math"
	"slices"
	"strings"
	"time"
)

// table is what decisions are made from. It never changes.
type table[T Instance] struct {
	loaded     bool // there was a snapshot
	intentions intentions
	functions  map[string]function
	chains     map[string]*step[T]
	local      map[string]*step[T] // functions with instances here, as long as there is no chain
}

// function is what is known of a service in the catalog.
type function struct{ ingress bool }

// step is a compiled node of a chain; exactly one of routes, splits and groups is set. The nodes behind a route are
// compiled for that route, so that what it says about timeouts is found in the groups' policy.
type step[T Instance] struct {
	routes  []route[T]
	splits  []split[T]
	groups  []*group[T] // the target, then those for failover
	policy  Policy
	balance balance
}

type route[T Instance] struct {
	headers []headerMatch
	next    *step[T] // nil: the chain is broken here
}

// split is a branch of a splitter. upTo is the sum of the weights up to and with this one.
type split[T Instance] struct {
	upTo int
	next *step[T]
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
	t := &table[T]{local: map[string]*step[T]{}}
	for name, list := range c.local {
		g := &group[T]{function: name}
		for _, in := range list {
			g.addLocal(in)
		}
		g.finish()
		t.local[name] = &step[T]{groups: []*group[T]{g},
			policy: Policy{ConnectTimeout: DefaultConnectTimeout, Retries: DefaultRetries}}
	}
	if s == nil {
		return t
	}
	c.used, c.listed, c.distances = map[*Endpoint]bool{}, map[string]bool{}, s.Distances
	t.loaded, t.intentions = true, compileIntentions(s.Intentions)
	t.functions = make(map[string]function, len(s.Functions))
	for _, f := range s.Functions {
		t.functions[f.Name] = function{ingress: f.Ingress || t.functions[f.Name].ingress}
	}
	t.chains = make(map[string]*step[T], len(s.Chains))
	for i := range s.Chains {
		t.chains[s.Chains[i].Function] = c.chain(&s.Chains[i])
	}
	return t
}

// chain compiles a chain. The result is nil if it is broken.
func (c *compiler[T]) chain(ch *Chain) *step[T] {
	cc := &chainCompiler[T]{compiler: c, chain: ch, groups: map[string]*group[T]{}}
	return cc.node(ch.Start, &path[T]{
		policy: Policy{ConnectTimeout: DefaultConnectTimeout, Retries: DefaultRetries},
		done:   map[string]*step[T]{},
	}, 0)
}

type chainCompiler[T Instance] struct {
	*compiler[T]
	chain  *Chain
	groups map[string]*group[T] // by key of the target
}

// path is what holds for the nodes behind a route: each is compiled once. A node that is being compiled is there as nil,
// so a loop leads to nil.
type path[T Instance] struct {
	policy Policy
	done   map[string]*step[T]
}

func (c *chainCompiler[T]) node(key string, p *path[T], depth int) *step[T] {
	if s, ok := p.done[key]; ok {
		return s
	}
	n, ok := c.chain.Nodes[key]
	if !ok || depth > maxChain {
		return nil
	}
	p.done[key] = nil
	s := c.compileNode(n, p, depth)
	p.done[key] = s
	return s
}

func (c *chainCompiler[T]) compileNode(n Node, p *path[T], depth int) *step[T] {
	switch {
	case len(n.Routes) > 0:
		return c.router(n.Routes, p, depth)
	case len(n.Splits) > 0:
		s, sum := &step[T]{}, 0
		for _, sp := range n.Splits {
			if !(sp.Weight > 0 && sp.Weight <= 100) { // 0, or not a number
				continue
			}
			sum += int(math.Round(sp.Weight * weightUnit))
			s.splits = append(s.splits, split[T]{sum, c.node(sp.Next, p, depth+1)})
		}
		if sum == 0 {
			return nil
		}
		return s
	case n.Resolver != nil:
		return c.resolver(n, p)
	}
	return nil
}

// router keeps the routes that can match a call of this chain's function, up to the first that always does.
func (c *chainCompiler[T]) router(routes []Route, p *path[T], depth int) *step[T] {
	s := &step[T]{}
	for _, r := range routes {
		headers, ok := compileMatch(&r.Match, callPath(c.chain.Function))
		if !ok {
			continue
		}
		behind := &path[T]{policy: p.policy, done: map[string]*step[T]{}}
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
	if len(s.routes) == 0 {
		return nil
	}
	return s
}

func (c *chainCompiler[T]) resolver(n Node, p *path[T]) *step[T] {
	s := &step[T]{policy: p.policy, balance: compileBalance(n.Balance)}
	if n.Resolver.ConnectTimeout > 0 {
		s.policy.ConnectTimeout = n.Resolver.ConnectTimeout
	}
	if s.policy.RequestTimeout == 0 {
		s.policy.RequestTimeout = max(n.Resolver.RequestTimeout, 0)
	}
	primary := c.target(n.Resolver.Target)
	if primary == nil {
		return nil
	}
	s.groups = append(s.groups, primary)
	for _, key := range n.Resolver.Failover {
		if g := c.target(key); g != nil {
			s.groups = append(s.groups, g)
		}
	}
	return s
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
	g := &group[T]{function: t.Function, subset: t.Subset}
	c.addLocals(g, &t)
	local := c.local[t.Function]
	for i := range t.Endpoints {
		l := &t.Endpoints[i]
		if _, gone := c.gone[l.Allocation]; gone || !l.Passing || l.Allocation == "" || l.Address == "" ||
			slices.ContainsFunc(local, func(in T) bool { return in.ID() == l.Allocation }) {
			continue
		}
		e := c.pool.endpoint(t.Function, l)
		c.used[e] = true
		g.members = append(g.members, member[T]{remote: e, distance: c.distance(l.Node), hash: hash(e.Allocation)})
	}
	slices.SortStableFunc(g.members[g.local:], func(a, b member[T]) int {
		if a.distance != b.distance {
			if a.distance < b.distance {
				return -1
			}
			return 1
		}
		return strings.Compare(a.remote.Allocation, b.remote.Allocation)
	})
	g.finish()
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
