package pipeline

import (
	"fmt"
	"maps"
	"time"

	"countersign"

	consul "github.com/hashicorp/consul/api"
)

// Subsets of a function's instances while a canary is open.
const (
	subsetStable = "stable"
	subsetCanary = "canary"
)

// connectTimeout is the one that calls have without a resolver: Consul takes 5 s for a resolver that names none.
const connectTimeout = time.Second

// Canary is a release of a function that runs beside the one before and gets a share of its calls.
type Canary struct {
	Function string `json:"function"`
	Stable   string `json:"stable"`  // the release before, see Release
	Release  string `json:"release"` // the new one
	Share    Share  `json:"share"`   // of the calls that the new one gets
}

// openCanary is a canary as Consul has it. Its resolver exists from before the canary's job to after its end.
type openCanary struct {
	Canary
	resolver *consul.ServiceResolverConfigEntry
	splitter *consul.ServiceSplitterConfigEntry // nil if it is not written yet or deleted already
}

// canaries returns the open canaries by function.
func (now *routing) canaries() map[string]*openCanary {
	open := map[string]*openCanary{}
	for name, resolver := range now.resolvers {
		if resolver.Meta[markKey] != markValue {
			continue
		}
		c := &openCanary{resolver: resolver, Canary: Canary{
			Function: name, Stable: resolver.Meta[subsetStable], Release: resolver.Meta[subsetCanary],
		}}
		if splitter := now.splitters[name]; splitter != nil && splitter.Meta[markKey] == markValue {
			c.splitter = splitter
			for _, split := range splitter.Splits {
				if split.ServiceSubset == subsetCanary {
					c.Share = shareOf(split.Weight)
				}
			}
		}
		open[name] = c
	}
	return open
}

// foreign tells whether somebody else decides where calls of a function go.
func (now *routing) foreign(function string) error {
	refuse := func(kind string) error {
		return &ForeignEntryError{
			Kind: kind, Name: function,
			Reason: "a canary needs one of its own; delete it, or deploy without -canary",
		}
	}
	if e := now.resolvers[function]; e != nil && e.Meta[markKey] != markValue {
		return refuse(consul.ServiceResolver)
	}
	if e := now.splitters[function]; e != nil && e.Meta[markKey] != markValue {
		return refuse(consul.ServiceSplitter)
	}
	return nil
}

// resolverFor tells the releases of a canary apart. Either takes the calls of the other when that has no healthy
// instance: a canary that dies, and routers that learn of a change a moment later than others, cost no call.
func resolverFor(c Canary, have *consul.ServiceResolverConfigEntry) *consul.ServiceResolverConfigEntry {
	subset := func(release string) consul.ServiceResolverSubset {
		return consul.ServiceResolverSubset{
			Filter: fmt.Sprintf("Service.Meta.%s == %q", countersign.MetaRelease, release), OnlyPassing: true,
		}
	}
	entry := &consul.ServiceResolverConfigEntry{
		Kind: consul.ServiceResolver, Name: c.Function,
		DefaultSubset: subsetStable, ConnectTimeout: connectTimeout,
		Subsets: map[string]consul.ServiceResolverSubset{
			subsetStable: subset(c.Stable), subsetCanary: subset(c.Release),
		},
		Failover: map[string]consul.ServiceResolverFailover{
			subsetStable: {ServiceSubset: subsetCanary}, subsetCanary: {ServiceSubset: subsetStable},
		},
		Meta: map[string]string{markKey: markValue, subsetStable: c.Stable, subsetCanary: c.Release},
	}
	if have != nil {
		entry.ModifyIndex = have.ModifyIndex
	}
	return entry
}

// splitterFor gives a canary a share of the calls, and the rest to the stable release.
func splitterFor(c Canary, share Share, have *consul.ServiceSplitterConfigEntry) *consul.ServiceSplitterConfigEntry {
	entry := &consul.ServiceSplitterConfigEntry{
		Kind: consul.ServiceSplitter, Name: c.Function,
		Splits: []consul.ServiceSplit{
			{Weight: (wholeShare - share).weight(), ServiceSubset: subsetStable},
			{Weight: share.weight(), ServiceSubset: subsetCanary},
		},
		Meta: map[string]string{markKey: markValue},
	}
	if have != nil {
		entry.ModifyIndex = have.ModifyIndex
	}
	return entry
}

// planOpen says what is to be written before a canary's job runs: its subsets, and that it gets no calls yet.
func planOpen(c Canary, now *routing) []routeChange {
	var changes []routeChange
	have := now.resolvers[c.Function]
	if have == nil || !maps.Equal(have.Meta, resolverFor(c, nil).Meta) {
		changes = append(changes, routeChange{
			entry: resolverFor(c, have), text: fmt.Sprintf("%s has releases %s and %s", c.Function, c.Stable, c.Release),
		})
	}
	return append(changes, planShare(c, 0, now)...)
}

// planShare says what is to be written so that a canary gets a share of the calls.
func planShare(c Canary, share Share, now *routing) []routeChange {
	have := now.splitters[c.Function]
	if have != nil && now.canaries()[c.Function] != nil && now.canaries()[c.Function].Share == share {
		return nil
	}
	return []routeChange{{
		entry: splitterFor(c, share, have),
		text:  fmt.Sprintf("%s of the calls of %s go to %s", share, c.Function, c.Release),
	}}
}

// planClose says what is to be deleted when a canary has ended. The splitter refers to the resolver's subsets.
func planClose(function string, now *routing) []routeChange {
	c := now.canaries()[function]
	if c == nil {
		return nil
	}
	var changes []routeChange
	if c.splitter != nil {
		changes = append(changes, routeChange{
			entry: c.splitter, remove: true, text: "the calls of " + function + " are not split any more",
		})
	}
	return append(changes, routeChange{
		entry: c.resolver, remove: true, text: function + " has one release",
	})
}
