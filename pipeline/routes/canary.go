package routes

import (
	"fmt"
	"maps"
	"time"

	"countersign"

	consul "github.com/hashicorp/consul/api"
)

// Subsets of a function's instances while a canary is open.
const (
	SubsetStable = "stable"
	SubsetCanary = "canary"
)

// connectTimeout is the one that calls have without a resolver: Consul takes 5 s for a resolver that names none.
const connectTimeout = time.Second

// Canary is a release of a function that runs beside the one before and gets a share of its calls.
type Canary struct {
	Function string `json:"function"`
	Stable   string `json:"stable"`  // the release before, see countersign.ReleaseID
	Release  string `json:"release"` // the new one
	Share    Share  `json:"share"`   // of the calls that the new one gets
}

// openCanary is a canary as Consul has it. Its resolver exists from before the canary's job to after its end.
type openCanary struct {
	Canary
	resolver *consul.ServiceResolverConfigEntry
	splitter *consul.ServiceSplitterConfigEntry // nil if it is not written yet or deleted already
}

// Canaries returns the open canaries by function.
func (now *Entries) Canaries() map[string]Canary {
	all := map[string]Canary{}
	for name, c := range now.open() {
		all[name] = c.Canary
	}
	return all
}

// open returns the open canaries by function, with their entries.
func (now *Entries) open() map[string]*openCanary {
	open := map[string]*openCanary{}
	for name, resolver := range now.Resolvers {
		if resolver.Meta[markKey] != markValue {
			continue
		}
		c := &openCanary{resolver: resolver, Canary: Canary{
			Function: name, Stable: resolver.Meta[SubsetStable], Release: resolver.Meta[SubsetCanary],
		}}
		if splitter := now.Splitters[name]; splitter != nil && splitter.Meta[markKey] == markValue {
			c.splitter = splitter
			for _, split := range splitter.Splits {
				if split.ServiceSubset == SubsetCanary {
					c.Share = shareOf(split.Weight)
				}
			}
		}
		open[name] = c
	}
	return open
}

// CheckForeign tells whether somebody else decides where calls of a function go: the error is a *ForeignEntryError.
func (now *Entries) CheckForeign(function string) error {
	refuse := func(kind string) error {
		return &ForeignEntryError{
			Kind: kind, Name: function,
			Reason: "a canary needs one of its own; delete it, or deploy without -canary",
		}
	}
	if e := now.Resolvers[function]; e != nil && e.Meta[markKey] != markValue {
		return refuse(consul.ServiceResolver)
	}
	if e := now.Splitters[function]; e != nil && e.Meta[markKey] != markValue {
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
		DefaultSubset: SubsetStable, ConnectTimeout: connectTimeout,
		Subsets: map[string]consul.ServiceResolverSubset{
			SubsetStable: subset(c.Stable), SubsetCanary: subset(c.Release),
		},
		Failover: map[string]consul.ServiceResolverFailover{
			SubsetStable: {ServiceSubset: SubsetCanary}, SubsetCanary: {ServiceSubset: SubsetStable},
		},
		Meta: map[string]string{markKey: markValue, SubsetStable: c.Stable, SubsetCanary: c.Release},
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
			{Weight: (Whole - share).weight(), ServiceSubset: SubsetStable},
			{Weight: share.weight(), ServiceSubset: SubsetCanary},
		},
		Meta: map[string]string{markKey: markValue},
	}
	if have != nil {
		entry.ModifyIndex = have.ModifyIndex
	}
	return entry
}

// PlanOpen says what is to be written before a canary's job runs: its subsets, and that it gets no calls yet.
func PlanOpen(c Canary, now *Entries) []Change {
	var changes []Change
	have := now.Resolvers[c.Function]
	if have == nil || !maps.Equal(have.Meta, resolverFor(c, nil).Meta) {
		changes = append(changes, Change{
			Entry: resolverFor(c, have), Text: fmt.Sprintf("%s has releases %s and %s", c.Function, c.Stable, c.Release),
		})
	}
	return append(changes, PlanShare(c, 0, now)...)
}

// PlanShare says what is to be written so that a canary gets a share of the calls.
func PlanShare(c Canary, share Share, now *Entries) []Change {
	have := now.Splitters[c.Function]
	if have != nil && now.open()[c.Function] != nil && now.open()[c.Function].Share == share {
		return nil
	}
	return []Change{{
		Entry: splitterFor(c, share, have),
		Text:  fmt.Sprintf("%s of the calls of %s go to %s", share, c.Function, c.Release),
	}}
}

// PlanClose says what is to be deleted when a canary has ended. The splitter refers to the resolver's subsets.
func PlanClose(function string, now *Entries) []Change {
	c := now.open()[function]
	if c == nil {
		return nil
	}
	var changes []Change
	if c.splitter != nil {
		changes = append(changes, Change{
			Entry: c.splitter, Remove: true, Text: "the calls of " + function + " are not split any more",
		})
	}
	return append(changes, Change{
		Entry: c.resolver, Remove: true, Text: function + " has one release",
	})
}
