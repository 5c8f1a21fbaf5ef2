package catalog

import (
	"fmt"
	"slices"

	"github.com/hashicorp/consul/api"

	"countersign/router"
)

// chainAnswer is the answer of /v1/discovery-chain. The API package's own type lacks the request timeout of a resolver
// and the peer of a target.
type chainAnswer struct {
	Chain *struct {
		StartNode string
		Nodes     map[string]*chainNode
		Targets   map[string]*chainTarget
	}
}

type chainNode struct {
	Type     string
	Routes   []*api.DiscoveryRoute
	Splits   []*api.DiscoverySplit
	Resolver *struct {
		Default        bool
		ConnectTimeout string
		RequestTimeout string
		Target         string
		Failover       *struct{ Targets []string }
	}
	LoadBalancer *api.LoadBalancer
}

type chainTarget struct {
	Service       string
	ServiceSubset string
	Datacenter    string
	Peer          string
	Subset        api.ServiceResolverSubset
	External      bool
}

// convertChain makes a chain of what Consul answered about function.
func convertChain(function string, answer *chainAnswer) (*chain, error) {
	if answer.Chain == nil {
		return nil, fmt.Errorf("discovery chain of %q: Consul answered without a chain", function)
	}
	c := &chain{keys: map[string]targetKey{}, Chain: router.Chain{Function: function, Start: answer.Chain.StartNode,
		Nodes: map[string]router.Node{}, Targets: map[string]router.Target{}}}
	for id, n := range answer.Chain.Nodes {
		if n == nil {
			continue
		}
		node, err := c.node(n)
		if err != nil {
			return nil, fmt.Errorf("discovery chain of %q, node %q: %w", function, id, err)
		}
		c.Nodes[id] = node
	}
	for id, t := range answer.Chain.Targets {
		if t != nil {
			c.target(id, t)
		}
	}
	slices.Sort(c.notes)
	c.notes = slices.Compact(c.notes)
	return c, nil
}

func (c *chain) node(n *chainNode) (router.Node, error) {
	var out router.Node
	switch {
	case n.Type == api.DiscoveryGraphNodeTypeRouter:
		for _, r := range n.Routes {
			if r != nil {
				out.Routes = append(out.Routes, c.route(r))
			}
		}
	case n.Type == api.DiscoveryGraphNodeTypeSplitter:
		for _, s := range n.Splits {
			if s != nil {
				out.Splits = append(out.Splits, router.Split{Weight: float64(s.Weight), Next: s.NextNode})
			}
		}
	case n.Type == api.DiscoveryGraphNodeTypeResolver && n.Resolver != nil:
		out.Balance = c.balance(n.LoadBalancer)
		connect, err := parseDuration("connect timeout", n.Resolver.ConnectTimeout)
		if err != nil {
			return out, err
		}
		request, err := parseDuration("request timeout", n.Resolver.RequestTimeout)
		if err != nil {
			return out, err
		}
		if n.Resolver.Default { // nobody wrote a service-resolver, so the timeout is not what somebody wants
			connect = 0
		}
		out.Resolver = &router.Resolver{Target: n.Resolver.Target, ConnectTimeout: connect, RequestTimeout: request}
		if n.Resolver.Failover != nil {
			out.Resolver.Failover = n.Resolver.Failover.Targets
		}
	default:
		return out, fmt.Errorf("of unknown type %q", n.Type)
	}
	return out, nil
}

func (c *chain) route(r *api.DiscoveryRoute) router.Route {
	out := router.Route{Next: r.NextNode}
	if r.Definition == nil {
		return out
	}
	if m := r.Definition.Match; m != nil && m.HTTP != nil {
		out.Match = router.Match{PathExact: m.HTTP.PathExact, PathPrefix: m.HTTP.PathPrefix, PathRegex: m.HTTP.PathRegex,
			CaseInsensitive: m.HTTP.CaseInsensitive, Methods: m.HTTP.Methods, QueryParams: len(m.HTTP.QueryParam) > 0}
		for _, h := range m.HTTP.Header {
			out.Match.Headers = append(out.Match.Headers, router.HeaderMatch(h))
		}
		if out.Match.QueryParams {
			c.note("a route with query parameters: calls have none")
		}
	}
	if d := r.Definition.Destination; d != nil {
		out.RequestTimeout, out.NumRetries = d.RequestTimeout, int(min(d.NumRetries, router.MaxRetries))
		c.noteDestination(d)
	}
	return out
}

// noteDestination notes what of a route makes no sense for signed calls.
func (c *chain) noteDestination(d *api.ServiceRouteDestination) {
	if d.PrefixRewrite != "" {
		c.note("prefix_rewrite: the signature covers the path")
	}
	if d.RequestHeaders != nil || d.ResponseHeaders != nil {
		c.note("request_headers and response_headers: nothing on the way changes a signed message")
	}
	if d.IdleTimeout > 0 {
		c.note("idle_timeout: a call has a deadline")
	}
	if len(d.RetryOn) > 0 || len(d.RetryOnStatusCodes) > 0 {
		c.note("retry_on and retry_on_status_codes: idempotent functions are retried when no verified answer came")
	}
}

func (c *chain) balance(lb *api.LoadBalancer) router.Balance {
	if lb == nil {
		return router.Balance{}
	}
	b := router.Balance{Policy: lb.Policy}
	switch lb.Policy {
	case "", "random", "round_robin", "ring_hash", "maglev":
	case "least_request":
		if lb.LeastRequestConfig != nil {
			b.Choices = int(min(lb.LeastRequestConfig.ChoiceCount, 1024))
		}
	default:
		c.note(fmt.Sprintf("load balancer policy %q: it is not known", lb.Policy))
	}
	for _, h := range lb.HashPolicies {
		switch {
		case h.SourceIP:
			b.Hash = append(b.Hash, router.HashOn{Terminal: h.Terminal})
		case h.Field == "header" && h.FieldValue != "":
			b.Hash = append(b.Hash, router.HashOn{Header: h.FieldValue, Terminal: h.Terminal})
		default:
			c.note(fmt.Sprintf("hash policy on field %q: calls have none", h.Field))
		}
	}
	return b
}

// target adds a target. One in another cluster has no instances: there is no way to it.
func (c *chain) target(id string, t *chainTarget) {
	c.Targets[id] = router.Target{Function: t.Service, Subset: t.ServiceSubset, Filtered: t.Subset.Filter != ""}
	if t.Peer != "" || t.External || t.Service == "" {
		c.note(fmt.Sprintf("target %q: peers and external services are not called", id))
		return
	}
	c.keys[id] = targetKey{function: t.Service, filter: t.Subset.Filter, datacenter: t.Datacenter,
		onlyPassing: t.Subset.OnlyPassing}
}

func (c *chain) note(text string) { c.notes = append(c.notes, text) }
