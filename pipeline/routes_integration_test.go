//go:build integration

package pipeline

import (
	"errors"
	"slices"
	"testing"

	consul "github.com/hashicorp/consul/api"
)

// realRoutes are those of the cluster's Consul, and what is there now.
func realRoutes(t *testing.T) (*routes, *routing) {
	t.Helper()
	r, err := newRoutes(realEnvironment(t).Consul)
	if err != nil {
		t.Fatal(err)
	}
	return r, readRoutes(t, r)
}

func readRoutes(t *testing.T, r *routes) *routing {
	t.Helper()
	now, err := r.read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// applied makes changes, and deletes what they wrote when the test ends.
func applied(t *testing.T, r *routes, changes []routeChange, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.apply(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		t.Cleanup(func() {
			if _, err := r.entries.Delete(c.entry.GetKind(), c.entry.GetName(), nil); err != nil {
				t.Errorf("clean up: %v", err)
			}
		})
	}
}

func TestIntentionsOnConsul(t *testing.T) {
	r, now := realRoutes(t)
	caller, callee := freshName("caller"), freshName("callee")
	plan := func(callers map[string][]string, narrow func(string) bool, now *routing) ([]routeChange, error) {
		changes, _, err := planIntentions(callers, narrow, now)
		return changes, err
	}
	wanted := map[string][]string{callee: {caller}}
	changes, err := plan(wanted, nil, now)
	applied(t, r, changes, err)
	now = readRoutes(t, r)
	if changes, err := plan(wanted, func(string) bool { return true }, now); err != nil || len(changes) != 0 {
		t.Fatalf("a second time: %q, %v; want no change", texts(changes), err)
	}
	for source, want := range map[string]bool{caller: true, callee: false, "*": false} {
		if got := permitted(t, source, callee); got != want {
			t.Errorf("Consul lets %s call %s: %t, want %t", source, callee, got, want)
		}
	}
	if permitted(t, callee, caller) {
		t.Error("Consul permits what no spec lists")
	}

	// Somebody adds an intention meanwhile: the write that does not know of it is refused, and theirs stays.
	stale := *now.intentions[callee]
	theirs := stale
	theirs.Sources = append(slices.Clone(stale.Sources), &consul.SourceIntention{
		Name: "robot", Action: consul.IntentionActionAllow, Type: consul.IntentionSourceConsul,
	})
	if ok, _, err := r.entries.CAS(&theirs, theirs.ModifyIndex, nil); err != nil || !ok {
		t.Fatalf("adding an intention by hand: %t, %v", ok, err)
	}
	var conflict *ConflictError
	if err := r.apply(t.Context(), []routeChange{{entry: &stale}}); !errors.As(err, &conflict) {
		t.Errorf("overwriting what somebody changed: %v; want a conflict", err)
	}
	if err := r.apply(t.Context(), []routeChange{{entry: &stale, remove: true}}); !errors.As(err, &conflict) {
		t.Errorf("deleting what somebody changed: %v; want a conflict", err)
	}
	all := func(name string) bool { return name == caller }
	changes, err = plan(nil, all, readRoutes(t, r))
	applied(t, r, changes, err)
	if permitted(t, caller, callee) || !permitted(t, "robot", callee) {
		t.Errorf("after narrowing: ours allows: %t, theirs: %t; want only theirs",
			permitted(t, caller, callee), permitted(t, "robot", callee))
	}
}

// permitted asks Consul whether its intentions let source call destination.
func permitted(t *testing.T, source, destination string) bool {
	t.Helper()
	client, _, err := newConsul(realEnvironment(t).Consul)
	if err != nil {
		t.Fatal(err)
	}
	ok, _, err := client.Connect().IntentionCheck(&consul.IntentionCheck{
		Source: source, Destination: destination, SourceType: consul.IntentionSourceConsul,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestCanaryEntriesOnConsul(t *testing.T) {
	r, now := realRoutes(t)
	c := Canary{Function: freshName("canary"), Stable: "0123456789ab", Release: "ba9876543210"}
	defaults, err := planDefaults([]string{c.Function}, now)
	applied(t, r, append(defaults, planOpen(c, now)...), err)
	now = readRoutes(t, r)
	if changes := planOpen(c, now); len(changes) != 0 {
		t.Errorf("opening it again would change %q", texts(changes))
	}
	for _, share := range []Share{1, 1250, 9999, wholeShare, 0, 1000} {
		if err := r.apply(t.Context(), planShare(c, share, now)); err != nil {
			t.Fatalf("share %s: %v", share, err)
		}
		now = readRoutes(t, r)
		got := now.canaries()[c.Function]
		if got == nil || got.Share != share || got.Release != c.Release || got.Stable != c.Stable {
			t.Fatalf("share %s is read as %+v", share, got)
		}
		if changes := planShare(c, share, now); len(changes) != 0 {
			t.Errorf("share %s again would change %q", share, texts(changes))
		}
	}
	client, _, err := newConsul(realEnvironment(t).Consul)
	if err != nil {
		t.Fatal(err)
	}
	chain, _, err := client.DiscoveryChain().Get(c.Function, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, subset := range []string{subsetStable, subsetCanary} {
		id := subset + "." + c.Function + ".default.default." + chain.Chain.Datacenter
		node := chain.Chain.Nodes["resolver:"+id]
		if node == nil || node.Resolver.Failover == nil || chain.Chain.Targets[id].Subset.Filter == "" {
			t.Errorf("the discovery chain has no subset %s with failover: %+v", subset, chain.Chain.Nodes)
		}
	}
	if err := r.apply(t.Context(), planClose(c.Function, now)); err != nil {
		t.Fatal(err)
	}
	if now = readRoutes(t, r); now.resolvers[c.Function] != nil || now.splitters[c.Function] != nil {
		t.Error("entries are left after the end")
	}
}
