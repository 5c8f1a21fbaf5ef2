package catalog

import (
	"cmp"
	"maps"
	"net"
	"slices"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"

	"countersign"
	"countersign/router"
)

// convertServices sorts the services of the catalog by name.
func convertServices(services map[string][]string) []router.Function {
	var list []router.Function
	for _, name := range slices.Sorted(maps.Keys(services)) {
		list = append(list, router.Function{Name: name, Ingress: slices.Contains(services[name], countersign.TagIngress)})
	}
	return list
}

// convertHealth keeps every instance, healthy or not. Its status is the worst of its own checks' and its node's.
func convertHealth(entries []*api.ServiceEntry, onlyPassing bool) []router.Listed {
	list := make([]router.Listed, 0, len(entries))
	for _, e := range entries {
		if e == nil || e.Service == nil || e.Node == nil {
			continue
		}
		host := cmp.Or(e.Service.Address, e.Node.Address)
		status := e.Checks.AggregatedStatus()
		list = append(list, router.Listed{
			Allocation: e.Service.Meta[countersign.MetaAllocation],
			Release:    e.Service.Meta[countersign.MetaRelease],
			Interface:  e.Service.Meta[countersign.MetaInterface],
			Node:       e.Node.Node,
			Address:    net.JoinHostPort(host, strconv.Itoa(e.Service.Port)),
			Passing:    status == api.HealthPassing || status == api.HealthWarning && !onlyPassing,
		})
	}
	slices.SortFunc(list, func(a, b router.Listed) int {
		return cmp.Or(cmp.Compare(a.Allocation, b.Allocation), cmp.Compare(a.Address, b.Address))
	})
	return list
}

// convertCoordinates estimates the round-trip time from the agent's node to every other. Without a coordinate of its own
// node it knows none.
func convertCoordinates(self string, entries []*api.CoordinateEntry) map[string]time.Duration {
	distances := map[string]time.Duration{}
	var here *coordinate.Coordinate
	for _, e := range entries {
		if e != nil && e.Node == self && e.Coord != nil && e.Coord.IsValid() {
			here = e.Coord
		}
	}
	if here == nil {
		return distances
	}
	for _, e := range entries {
		if e == nil || e.Coord == nil || !e.Coord.IsValid() || !here.IsCompatibleWith(e.Coord) {
			continue
		}
		distances[e.Node] = here.DistanceTo(e.Coord)
	}
	distances[self] = 0
	return distances
}

// convertIntentions makes a flat list. Sources in other clusters and partitions can't be functions of this one.
func convertIntentions(entries []api.ConfigEntry) []router.Intention {
	list := []router.Intention{}
	for _, entry := range entries {
		e, ok := entry.(*api.ServiceIntentionsConfigEntry)
		if !ok || !isDefault(e.Namespace) || !isDefault(e.Partition) {
			continue
		}
		for _, s := range e.Sources {
			if s == nil || s.Peer != "" || s.SamenessGroup != "" || !isDefault(s.Namespace) || !isDefault(s.Partition) {
				continue
			}
			list = append(list, convertSource(e, s))
		}
	}
	return list
}

func convertSource(e *api.ServiceIntentionsConfigEntry, s *api.SourceIntention) router.Intention {
	in := router.Intention{Source: s.Name, Destination: e.Name, Allow: s.Action == api.IntentionActionAllow}
	for _, p := range s.Permissions {
		if p != nil {
			in.Permissions = append(in.Permissions, convertPermission(p, e.JWT != nil))
		}
	}
	if len(s.Permissions) == 0 && in.Allow && e.JWT != nil { // allowed with a token, which a call has not
		in.Permissions = []router.Permission{{Allow: true, Unknowable: true}}
	}
	if len(s.Permissions) > 0 {
		in.Allow = false
	}
	return in
}

func convertPermission(p *api.IntentionPermission, jwt bool) router.Permission {
	out := router.Permission{Allow: p.Action == api.IntentionActionAllow, Unknowable: p.JWT != nil}
	out.Unknowable = out.Unknowable || jwt && out.Allow
	if p.HTTP != nil {
		out.PathExact, out.PathPrefix, out.PathRegex = p.HTTP.PathExact, p.HTTP.PathPrefix, p.HTTP.PathRegex
		out.Methods = p.HTTP.Methods
		out.Unknowable = out.Unknowable || len(p.HTTP.Header) > 0
	}
	return out
}

// isDefault tells whether a namespace or partition is the one that Consul's community edition has.
func isDefault(name string) bool { return name == "" || name == "default" || name == "*" }
