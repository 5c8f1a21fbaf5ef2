package catalog

import (
	"context"
	"errors"
	"net/url"
	"reflect"
	"slices"

	"github.com/hashicorp/consul/api"
)

// errFiltered says that Consul left intentions out of its answer. What is left out may be what denies a call.
var errFiltered = errors.New("the token may not read all intentions (service_prefix \"\" with intentions = \"read\")," +
	" so what Consul answers can't be relied on; docs/routing.md has the policy that the token needs")

// Of the queries, discovery chains and health are answered by the agent's cache, which asks the servers once for all
// watchers of a node. The others have no cache that goes together with blocking.

func (w *Watcher) intentionsQuery() query {
	key := watchKey{kind: intentionsWatch}
	return query{key: key, ask: func(ctx context.Context, opts *api.QueryOptions) (bool, *api.QueryMeta, error) {
		entries, meta, err := w.client.ConfigEntries().List(api.ServiceIntentions, opts)
		if err != nil {
			return false, nil, err
		}
		if meta.ResultsFilteredByACLs {
			return false, nil, errFiltered
		}
		list := convertIntentions(entries)
		return w.store(ctx, func(d *data) bool {
			if d.hasIntentions && reflect.DeepEqual(d.intentions, list) {
				return false
			}
			d.intentions, d.hasIntentions = list, true
			return true
		}), meta, nil
	}}
}

func (w *Watcher) servicesQuery() query {
	key := watchKey{kind: servicesWatch}
	return query{key: key, ask: func(ctx context.Context, opts *api.QueryOptions) (bool, *api.QueryMeta, error) {
		services, meta, err := w.client.Catalog().Services(opts)
		if err != nil {
			return false, nil, err
		}
		list := convertServices(services)
		return w.store(ctx, func(d *data) bool {
			if d.hasFunctions && reflect.DeepEqual(d.functions, list) {
				return false
			}
			d.functions, d.hasFunctions = list, true
			return true
		}), meta, nil
	}}
}

func (w *Watcher) chainQuery(function string) query {
	key := watchKey{kind: chainWatch, target: targetKey{function: function}}
	return query{key: key, cached: true, ask: func(ctx context.Context, opts *api.QueryOptions) (bool, *api.QueryMeta, error) {
		var answer chainAnswer
		meta, err := w.client.Raw().Query("/v1/discovery-chain/"+url.PathEscape(function), &answer, opts)
		if err != nil {
			return false, nil, err
		}
		c, err := convertChain(function, &answer)
		if err != nil {
			return false, nil, err
		}
		return w.store(ctx, func(d *data) bool {
			known := d.chains[function]
			if known == nil {
				known = &chainData{latest: &chain{}}
				d.chains[function] = known
			}
			if reflect.DeepEqual(known.latest, c) {
				return false
			}
			if len(c.notes) > 0 && !slices.Equal(known.latest.notes, c.notes) {
				w.log.Warn("not everything in a discovery chain is honoured", "function", function, "what", c.notes)
			}
			known.latest = c
			return true
		}), meta, nil
	}}
}

func (w *Watcher) healthQuery(target targetKey) query {
	key := watchKey{kind: healthWatch, target: target}
	return query{key: key, cached: true, ask: func(ctx context.Context, opts *api.QueryOptions) (bool, *api.QueryMeta, error) {
		opts.Filter, opts.Datacenter = target.filter, target.datacenter
		entries, meta, err := w.client.Health().Service(target.function, "", false, opts)
		if err != nil {
			return false, nil, err
		}
		list := convertHealth(entries, target.onlyPassing)
		return w.store(ctx, func(d *data) bool {
			if old, had := d.health[target]; had && reflect.DeepEqual(old, list) {
				return false
			}
			d.health[target] = list
			return true
		}), meta, nil
	}}
}

func (w *Watcher) coordinatesQuery() query {
	key := watchKey{kind: coordinatesWatch}
	ask := func(ctx context.Context, opts *api.QueryOptions) (bool, *api.QueryMeta, error) {
		var self struct{ Config struct{ NodeName string } }
		if _, err := w.client.Raw().Query("/v1/agent/self", &self, opts); err != nil {
			return false, nil, err
		}
		entries, meta, err := w.client.Coordinate().Nodes(opts)
		if err != nil {
			return false, nil, err
		}
		distances := convertCoordinates(self.Config.NodeName, entries)
		return w.store(ctx, func(d *data) bool {
			if reflect.DeepEqual(d.distances, distances) {
				return false
			}
			d.distances = distances
			return true
		}), meta, nil
	}
	return query{key: key, every: coordinatesEvery, ask: ask}
}

// store lets set put an answer into place; set tells whether it is news. A watch whose ctx ended stores nothing: another
// one for the same may run already.
func (w *Watcher) store(ctx context.Context, set func(d *data) bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if ctx.Err() != nil || !set(&w.data) {
		return false
	}
	w.changed = true
	w.wake()
	return true
}
