//go:build integration

package consul

import (
	"errors"
	"slices"
	"testing"

	"github.com/hashicorp/consul/api"

	"countersign/pipeline/failure"
	"countersign/pipeline/load/loadtest"
	"countersign/pipeline/routes"
)

// realConsul is that of the cluster.
func realConsul(t *testing.T) *Client {
	t.Helper()
	c, err := New(loadtest.Environment(t).Consul)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// realRoutes is the cluster's Consul, and what is there now.
func realRoutes(t *testing.T) (*Client, *routes.Entries) {
	t.Helper()
	c := realConsul(t)
	return c, readRoutes(t, c)
}

func readRoutes(t *testing.T, c *Client) *routes.Entries {
	t.Helper()
	now, err := c.Entries(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return now
}

// applied makes changes, and deletes what they wrote when the test ends.
func applied(t *testing.T, r *Client, changes []routes.Change, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Write(t.Context(), changes); err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		t.Cleanup(func() {
			if _, err := r.api.ConfigEntries().Delete(c.Entry.GetKind(), c.Entry.GetName(), nil); err != nil {
				t.Errorf("clean up: %v", err)
			}
		})
	}
}

func TestIntentionsOnConsul(t *testing.T) {
	r, now := realRoutes(t)
	caller, callee := loadtest.FreshName("caller"), loadtest.FreshName("callee")
	plan := func(callers map[string][]string, narrow func(string) bool, now *routes.Entries) ([]routes.Change, error) {
		changes, _, err := routes.PlanIntentions(callers, narrow, now)
		return changes, err
	}
	wanted := map[string][]string{callee: {caller}}
	changes, err := plan(wanted, nil, now)
	applied(t, r, changes, err)
	now = readRoutes(t, r)
	if changes, err := plan(wanted, func(string) bool { return true }, now); err != nil || len(changes) != 0 {
		t.Fatalf("a second time: %q, %v; want no change", routes.Texts(changes), err)
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
	stale := *now.Intentions[callee]
	theirs := stale
	theirs.Sources = append(slices.Clone(stale.Sources), &api.SourceIntention{
		Name: "robot", Action: api.IntentionActionAllow, Type: api.IntentionSourceConsul,
	})
	if ok, _, err := r.api.ConfigEntries().CAS(&theirs, theirs.ModifyIndex, nil); err != nil || !ok {
		t.Fatalf("adding an intention by hand: %t, %v", ok, err)
	}
	var conflict *failure.ConflictError
	if err := r.Write(t.Context(), []routes.Change{{Entry: &stale}}); !errors.As(err, &conflict) {
		t.Errorf("overwriting what somebody changed: %v; want a conflict", err)
	}
	if err := r.Write(t.Context(), []routes.Change{{Entry: &stale, Remove: true}}); !errors.As(err, &conflict) {
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
	client, err := New(loadtest.Environment(t).Consul)
	if err != nil {
		t.Fatal(err)
	}
	ok, _, err := client.api.Connect().IntentionCheck(&api.IntentionCheck{
		Source: source, Destination: destination, SourceType: api.IntentionSourceConsul,
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ok
}

func TestCanaryEntriesOnConsul(t *testing.T) {
	r, now := realRoutes(t)
	c := routes.Canary{Function: loadtest.FreshName("canary"), Stable: "0123456789ab", Release: "ba9876543210"}
	defaults, err := routes.PlanDefaults([]string{c.Function}, now)
	applied(t, r, append(defaults, routes.PlanOpen(c, now)...), err)
	now = readRoutes(t, r)
	if changes := routes.PlanOpen(c, now); len(changes) != 0 {
		t.Errorf("opening it again would change %q", routes.Texts(changes))
	}
	for _, share := range []routes.Share{1, 1250, 9999, routes.Whole, 0, 1000} {
		if err := r.Write(t.Context(), routes.PlanShare(c, share, now)); err != nil {
			t.Fatalf("share %s: %v", share, err)
		}
		now = readRoutes(t, r)
		got, ok := now.Canaries()[c.Function]
		if !ok || got.Share != share || got.Release != c.Release || got.Stable != c.Stable {
			t.Fatalf("share %s is read as %+v", share, got)
		}
		if changes := routes.PlanShare(c, share, now); len(changes) != 0 {
			t.Errorf("share %s again would change %q", share, routes.Texts(changes))
		}
	}
	client, err := New(loadtest.Environment(t).Consul)
	if err != nil {
		t.Fatal(err)
	}
	chain, _, err := client.api.DiscoveryChain().Get(c.Function, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, subset := range []string{routes.SubsetStable, routes.SubsetCanary} {
		id := subset + "." + c.Function + ".default.default." + chain.Chain.Datacenter
		node := chain.Chain.Nodes["resolver:"+id]
		if node == nil || node.Resolver.Failover == nil || chain.Chain.Targets[id].Subset.Filter == "" {
			t.Errorf("the discovery chain has no subset %s with failover: %+v", subset, chain.Chain.Nodes)
		}
	}
	if err := r.Write(t.Context(), routes.PlanClose(c.Function, now)); err != nil {
		t.Fatal(err)
	}
	if now = readRoutes(t, r); now.Resolvers[c.Function] != nil || now.Splitters[c.Function] != nil {
		t.Error("entries are left after the end")
	}
}
