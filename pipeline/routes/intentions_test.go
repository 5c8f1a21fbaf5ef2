package routes

import (
	"errors"
	"slices"
	"testing"

	consul "github.com/hashicorp/consul/api"
)

// source is an intention; ours is one that we wrote.
func source(name string, action consul.IntentionAction, description string) *consul.SourceIntention {
	return &consul.SourceIntention{Name: name, Action: action, Description: description, Type: consul.IntentionSourceConsul}
}

func ours(name string) *consul.SourceIntention {
	return source(name, consul.IntentionActionAllow, sourceMark+"why")
}

func TestMergeSources(t *testing.T) {
	theirs := source("robot", consul.IntentionActionAllow, "for the robot")
	peer := ours("quote")
	peer.Peer = "elsewhere"
	conditional := ours("quote")
	conditional.Action, conditional.Permissions = "", []*consul.IntentionPermission{{Action: consul.IntentionActionAllow}}
	flipped := ours("quote")
	flipped.Action = consul.IntentionActionDeny
	anybody := func(string) bool { return true }
	for _, tc := range []struct {
		name    string
		have    []*consul.SourceIntention
		callers []string
		narrow  func(string) bool
		want    []string // sources, "!" before those that deny
		changes int
		denied  int
	}{
		{"new", nil, []string{"cart", "quote"}, anybody, []string{"cart", "quote"}, 2, 0},
		{"as it is", []*consul.SourceIntention{ours("quote"), theirs}, []string{"quote"}, anybody, []string{"quote", "robot"}, 0, 0},
		{"one more", []*consul.SourceIntention{ours("quote")}, []string{"quote", "cart"}, anybody, []string{"quote", "cart"}, 1, 0},
		{"one less", []*consul.SourceIntention{ours("quote"), theirs, ours("cart")}, []string{"cart"}, anybody,
			[]string{"robot", "cart"}, 1, 0},
		{"one less, but not yet", []*consul.SourceIntention{ours("quote")}, nil, nil, []string{"quote"}, 0, 0},
		{"one less, but it has a canary", []*consul.SourceIntention{ours("quote"), ours("cart")}, nil,
			func(caller string) bool { return caller != "quote" }, []string{"quote"}, 1, 0},
		{"the last", []*consul.SourceIntention{ours("quote")}, nil, anybody, nil, 1, 0},
		{"theirs stays", []*consul.SourceIntention{theirs}, nil, anybody, []string{"robot"}, 0, 0},
		{"theirs denies", []*consul.SourceIntention{source("quote", consul.IntentionActionDeny, "")}, []string{"quote"}, anybody,
			[]string{"!quote"}, 0, 1},
		{"ours was made a denial", []*consul.SourceIntention{flipped}, []string{"quote"}, anybody, []string{"!quote"}, 0, 1},
		{"and stays so", []*consul.SourceIntention{flipped}, nil, anybody, []string{"!quote"}, 0, 0},
		{"ours was given conditions", []*consul.SourceIntention{conditional}, nil, anybody, []string{"quote"}, 0, 0},
		{"of the same name, but a peer's", []*consul.SourceIntention{peer}, []string{"quote"}, anybody,
			[]string{"quote", "quote"}, 1, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			before := slices.Clone(tc.have)
			m := mergeSources("tax", tc.have, tc.callers, tc.narrow)
			var got []string
			for _, s := range m.sources {
				name := s.Name
				if s.Action == consul.IntentionActionDeny {
					name = "!" + name
				}
				got = append(got, name)
			}
			if !slices.Equal(got, tc.want) || len(m.changes) != tc.changes || len(m.denied) != tc.denied {
				t.Errorf("sources %q, changes %q, denied %q; want %q, %d and %d", got, m.changes, m.denied, tc.want, tc.changes,
					tc.denied)
			}
			if !slices.Equal(before, tc.have) {
				t.Error("what was read is changed")
			}
		})
	}
}

func TestPlanIntentions(t *testing.T) {
	now := &Entries{Intentions: map[string]*consul.ServiceIntentionsConfigEntry{
		"tax":  {Kind: consul.ServiceIntentions, Name: "tax", ModifyIndex: 7, Sources: []*consul.SourceIntention{ours("quote")}},
		"gone": {Kind: consul.ServiceIntentions, Name: "gone", ModifyIndex: 8, Sources: []*consul.SourceIntention{ours("quote")}},
		"mail": {Kind: consul.ServiceIntentions, Name: "mail", ModifyIndex: 9, Sources: []*consul.SourceIntention{
			source("robot", consul.IntentionActionAllow, "")}},
		"*": {Kind: consul.ServiceIntentions, Name: "*", Sources: []*consul.SourceIntention{
			source("*", consul.IntentionActionDeny, "of somebody else")}},
	}}
	changes, _, err := PlanIntentions(map[string][]string{"tax": {"quote"}, "fx": {"quote"}}, func(string) bool { return true }, now)
	if err != nil || len(changes) != 2 {
		t.Fatalf("changes %q, %v; want two", Texts(changes), err)
	}
	fx, gone := changes[0], changes[1]
	if fx.Entry.GetName() != "fx" || fx.Remove || fx.Entry.GetModifyIndex() != 0 || fx.Entry.GetMeta()[markKey] != markValue {
		t.Errorf("first %+v; want fx to be created", fx)
	}
	if gone.Entry.GetName() != "gone" || !gone.Remove || gone.Entry.GetModifyIndex() != 8 {
		t.Errorf("second %+v; want the entry without a source to be deleted as it was read", gone)
	}
}

func TestDefaultDenyIsLast(t *testing.T) {
	changes, _, err := PlanIntentions(map[string][]string{"tax": {"quote"}}, nil, &Entries{})
	if err != nil || len(changes) != 2 || changes[1].Entry.GetName() != anyService {
		t.Errorf("changes %q, %v; want what is allowed first, and then that all else is denied", Texts(changes), err)
	}
	everything := &Entries{Intentions: map[string]*consul.ServiceIntentionsConfigEntry{
		"*": {Name: "*", Sources: []*consul.SourceIntention{source("*", consul.IntentionActionAllow, "")}},
	}}
	var foreign *ForeignEntryError
	if _, _, err := PlanIntentions(nil, nil, everything); !errors.As(err, &foreign) || foreign.Name != "*" {
		t.Errorf("somebody lets everything call everything: %v; want a refusal that names it", err)
	}
}

func TestPlanDefaults(t *testing.T) {
	now := &Entries{Defaults: map[string]*consul.ServiceConfigEntry{
		"tax": {Protocol: "http"}, "fx": {Protocol: "grpc"},
		"quote": {MaxInboundConnections: 5, ModifyIndex: 3}, "cart": {Protocol: "tcp"},
	}}
	changes, err := PlanDefaults([]string{"tax", "fx", "quote", "new"}, now)
	if err != nil || len(changes) != 2 {
		t.Fatalf("changes %q, %v; want quote and new", Texts(changes), err)
	}
	quote := changes[0].Entry.(*consul.ServiceConfigEntry)
	if quote.Protocol != "http" || quote.MaxInboundConnections != 5 || quote.ModifyIndex != 3 || quote.Meta[markKey] != "" {
		t.Errorf("quote becomes %+v; want what somebody wrote, and the protocol", quote)
	}
	if created := changes[1].Entry; created.GetName() != "new" || created.GetMeta()[markKey] != markValue {
		t.Errorf("new becomes %+v; want an entry that is marked as ours", created)
	}
	var foreign *ForeignEntryError
	if _, err := PlanDefaults([]string{"cart"}, now); !errors.As(err, &foreign) || foreign.Name != "cart" {
		t.Errorf("a function whose protocol somebody set to tcp: %v; want a refusal", err)
	}
}
