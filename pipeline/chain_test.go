package pipeline

import (
	"encoding/json"
	"errors"
	"testing"

	consul "github.com/hashicorp/consul/api"
)

var testCanary = Canary{Function: "quote", Stable: "aaaaaaaaaaaa", Release: "bbbbbbbbbbbb"}

// routed is what Consul has after changes to what it had.
func routed(now *routing, changes []routeChange) *routing {
	next := &routing{
		resolvers: map[string]*consul.ServiceResolverConfigEntry{}, splitters: map[string]*consul.ServiceSplitterConfigEntry{},
	}
	for name, e := range now.resolvers {
		next.resolvers[name] = e
	}
	for name, e := range now.splitters {
		next.splitters[name] = e
	}
	for i, c := range changes {
		switch e := c.entry.(type) {
		case *consul.ServiceResolverConfigEntry:
			e.ModifyIndex = uint64(10 + i)
			if next.resolvers[e.Name] = e; c.remove {
				delete(next.resolvers, e.Name)
			}
		case *consul.ServiceSplitterConfigEntry:
			e.ModifyIndex = uint64(20 + i)
			if next.splitters[e.Name] = e; c.remove {
				delete(next.splitters, e.Name)
			}
		}
	}
	return next
}

func TestCanaryEntries(t *testing.T) {
	opened := planOpen(testCanary, &routing{})
	var entries []consul.ConfigEntry
	for _, c := range append(opened, planShare(testCanary, 1250, &routing{})...) {
		entries = append(entries, c.entry)
	}
	got, err := json.MarshalIndent(entries, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "canary.json", append(got, '\n'))
}

// TestCanaryLife follows a canary through all of its entries, each step as it is and when it is done again.
func TestCanaryLife(t *testing.T) {
	now := &routing{}
	for _, step := range []struct {
		name    string
		plan    func(*routing) []routeChange
		changes []string // kinds, "-" before those that are deleted
		share   Share    // afterwards; -1: no canary is open
	}{
		{"open", func(now *routing) []routeChange { return planOpen(testCanary, now) },
			[]string{consul.ServiceResolver, consul.ServiceSplitter}, 0},
		{"shift", func(now *routing) []routeChange { return planShare(testCanary, 1000, now) },
			[]string{consul.ServiceSplitter}, 1000},
		{"try again after its job went back", func(now *routing) []routeChange { return planOpen(testCanary, now) },
			[]string{consul.ServiceSplitter}, 0},
		{"promote", func(now *routing) []routeChange { return planShare(testCanary, wholeShare, now) },
			[]string{consul.ServiceSplitter}, wholeShare},
		{"close", func(now *routing) []routeChange { return planClose("quote", now) },
			[]string{"-" + consul.ServiceSplitter, "-" + consul.ServiceResolver}, -1},
	} {
		changes := step.plan(now)
		var kinds []string
		for _, c := range changes {
			kind := c.entry.GetKind()
			if have := now.splitters["quote"]; kind == consul.ServiceSplitter && have != nil &&
				c.entry.GetModifyIndex() != have.ModifyIndex {
				t.Errorf("%s: writes index %d over %d", step.name, c.entry.GetModifyIndex(), have.ModifyIndex)
			}
			if c.remove {
				kind = "-" + kind
			}
			kinds = append(kinds, kind)
		}
		if len(kinds) != len(step.changes) {
			t.Fatalf("%s: changes %v, want %v", step.name, kinds, step.changes)
		}
		for i := range kinds {
			if kinds[i] != step.changes[i] {
				t.Errorf("%s: changes %v, want %v", step.name, kinds, step.changes)
			}
		}
		now = routed(now, changes)
		c := now.canaries()["quote"]
		if (c != nil) != (step.share >= 0) || c != nil && (c.Share != step.share || c.Release != testCanary.Release) {
			t.Fatalf("%s: the open canary is %+v, want share %s", step.name, c, step.share)
		}
		if again := step.plan(now); len(again) != 0 {
			t.Errorf("%s again: changes %q", step.name, texts(again))
		}
	}
}

func TestForeignEntries(t *testing.T) {
	ours := map[string]string{markKey: markValue}
	for name, tc := range map[string]struct {
		now  *routing
		kind string // "" if nothing is in the way
	}{
		"nothing":  {&routing{}, ""},
		"resolver": {&routing{resolvers: map[string]*consul.ServiceResolverConfigEntry{"quote": {}}}, consul.ServiceResolver},
		"splitter": {&routing{splitters: map[string]*consul.ServiceSplitterConfigEntry{"quote": {}}}, consul.ServiceSplitter},
		"ours": {&routing{
			resolvers: map[string]*consul.ServiceResolverConfigEntry{"quote": {Meta: ours}, "tax": {}},
			splitters: map[string]*consul.ServiceSplitterConfigEntry{"quote": {Meta: ours}},
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.now.foreign("quote")
			var foreign *ForeignEntryError
			if errors.As(err, &foreign) != (tc.kind != "") || foreign != nil && foreign.Kind != tc.kind {
				t.Errorf("foreign = %v, want that of kind %q", err, tc.kind)
			}
		})
	}
}
