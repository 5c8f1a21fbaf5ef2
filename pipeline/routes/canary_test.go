package routes

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	consul "github.com/hashicorp/consul/api"
)

var testCanary = Canary{Function: "quote", Stable: "aaaaaaaaaaaa", Release: "bbbbbbbbbbbb"}

// routed is what Consul has after changes to what it had.
func routed(now *Entries, changes []Change) *Entries {
	next := &Entries{
		Resolvers: map[string]*consul.ServiceResolverConfigEntry{}, Splitters: map[string]*consul.ServiceSplitterConfigEntry{},
	}
	for name, e := range now.Resolvers {
		next.Resolvers[name] = e
	}
	for name, e := range now.Splitters {
		next.Splitters[name] = e
	}
	for i, c := range changes {
		switch e := c.Entry.(type) {
		case *consul.ServiceResolverConfigEntry:
			e.ModifyIndex = uint64(10 + i)
			if next.Resolvers[e.Name] = e; c.Remove {
				delete(next.Resolvers, e.Name)
			}
		case *consul.ServiceSplitterConfigEntry:
			e.ModifyIndex = uint64(20 + i)
			if next.Splitters[e.Name] = e; c.Remove {
				delete(next.Splitters, e.Name)
			}
		}
	}
	return next
}

var update = flag.Bool("update", false, "write the golden files")

// golden compares got with a file of testdata; `go test ./pipeline/routes -update` writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("differs from %s (-update accepts it):\n%s", file, got)
	}
}

func TestCanaryEntries(t *testing.T) {
	opened := PlanOpen(testCanary, &Entries{})
	var entries []consul.ConfigEntry
	for _, c := range append(opened, PlanShare(testCanary, 1250, &Entries{})...) {
		entries = append(entries, c.Entry)
	}
	got, err := json.MarshalIndent(entries, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "canary.json", append(got, '\n'))
}

// TestCanaryLife follows a canary through all of its entries, each step as it is and when it is done again.
func TestCanaryLife(t *testing.T) {
	now := &Entries{}
	for _, step := range []struct {
		name    string
		plan    func(*Entries) []Change
		changes []string // kinds, "-" before those that are deleted
		share   Share    // afterwards; -1: no canary is open
	}{
		{"open", func(now *Entries) []Change { return PlanOpen(testCanary, now) },
			[]string{consul.ServiceResolver, consul.ServiceSplitter}, 0},
		{"shift", func(now *Entries) []Change { return PlanShare(testCanary, 1000, now) },
			[]string{consul.ServiceSplitter}, 1000},
		{"try again after its job went back", func(now *Entries) []Change { return PlanOpen(testCanary, now) },
			[]string{consul.ServiceSplitter}, 0},
		{"promote", func(now *Entries) []Change { return PlanShare(testCanary, Whole, now) },
			[]string{consul.ServiceSplitter}, Whole},
		{"close", func(now *Entries) []Change { return PlanClose("quote", now) },
			[]string{"-" + consul.ServiceSplitter, "-" + consul.ServiceResolver}, -1},
	} {
		changes := step.plan(now)
		var kinds []string
		for _, c := range changes {
			kind := c.Entry.GetKind()
			if have := now.Splitters["quote"]; kind == consul.ServiceSplitter && have != nil &&
				c.Entry.GetModifyIndex() != have.ModifyIndex {
				t.Errorf("%s: writes index %d over %d", step.name, c.Entry.GetModifyIndex(), have.ModifyIndex)
			}
			if c.Remove {
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
		c := now.open()["quote"]
		if (c != nil) != (step.share >= 0) || c != nil && (c.Share != step.share || c.Release != testCanary.Release) {
			t.Fatalf("%s: the open canary is %+v, want share %s", step.name, c, step.share)
		}
		if again := step.plan(now); len(again) != 0 {
			t.Errorf("%s again: changes %q", step.name, Texts(again))
		}
	}
}

func TestForeignEntries(t *testing.T) {
	ours := map[string]string{markKey: markValue}
	for name, tc := range map[string]struct {
		now  *Entries
		kind string // "" if nothing is in the way
	}{
		"nothing":  {&Entries{}, ""},
		"resolver": {&Entries{Resolvers: map[string]*consul.ServiceResolverConfigEntry{"quote": {}}}, consul.ServiceResolver},
		"splitter": {&Entries{Splitters: map[string]*consul.ServiceSplitterConfigEntry{"quote": {}}}, consul.ServiceSplitter},
		"ours": {&Entries{
			Resolvers: map[string]*consul.ServiceResolverConfigEntry{"quote": {Meta: ours}, "tax": {}},
			Splitters: map[string]*consul.ServiceSplitterConfigEntry{"quote": {Meta: ours}},
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			err := tc.now.CheckForeign("quote")
			var foreign *ForeignEntryError
			if errors.As(err, &foreign) != (tc.kind != "") || foreign != nil && foreign.Kind != tc.kind {
				t.Errorf("foreign = %v, want that of kind %q", err, tc.kind)
			}
		})
	}
}
