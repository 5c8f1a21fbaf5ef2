package routes

import (
	"strings"
	"testing"

	consul "github.com/hashicorp/consul/api"
)

// What is deleted is ours, and what others wrote stays, also in an entry that we share with them.
func TestPlanRemove(t *testing.T) {
	ours := map[string]string{markKey: markValue}
	source := func(name, description string) *consul.SourceIntention {
		return &consul.SourceIntention{Name: name, Action: consul.IntentionActionAllow, Description: description}
	}
	now := &Entries{
		Defaults: map[string]*consul.ServiceConfigEntry{"fx": {Kind: consul.ServiceDefaults, Name: "fx", Meta: ours},
			"tax": {Kind: consul.ServiceDefaults, Name: "tax", Meta: ours}},
		Routers:   map[string]*consul.ServiceRouterConfigEntry{"fx": {Kind: consul.ServiceRouter, Name: "fx"}},
		Splitters: map[string]*consul.ServiceSplitterConfigEntry{"fx": {Kind: consul.ServiceSplitter, Name: "fx", Meta: ours}},
		Resolvers: map[string]*consul.ServiceResolverConfigEntry{"fx": {Kind: consul.ServiceResolver, Name: "fx", Meta: ours}},
		Intentions: map[string]*consul.ServiceIntentionsConfigEntry{
			"fx": {Kind: consul.ServiceIntentions, Name: "fx", Sources: []*consul.SourceIntention{
				source("quote", sourceMark+"x"), source("bank", "somebody's")}},
			"tax": {Kind: consul.ServiceIntentions, Name: "tax", Sources: []*consul.SourceIntention{source("fx", sourceMark+"x")}},
			"*":   {Kind: consul.ServiceIntentions, Name: "*", Sources: []*consul.SourceIntention{source("*", sourceMark+"x")}},
		},
	}
	changes, remarks := PlanRemove("fx", now)
	var got []string
	for _, c := range changes {
		what := "write "
		if c.Remove {
			what = "delete "
		}
		got = append(got, what+c.Entry.GetKind()+" "+c.Entry.GetName())
	}
	want := "delete service-splitter fx, delete service-resolver fx, write service-intentions fx, delete service-intentions tax, " +
		"delete service-defaults fx"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("changes: %s\nwant: %s", text, want)
	}
	if kept := changes[2].Entry.(*consul.ServiceIntentionsConfigEntry).Sources; len(kept) != 1 || kept[0].Name != "bank" {
		t.Errorf("sources left: %v", kept)
	}
	if text := strings.Join(remarks, " "); !strings.Contains(text, `service-router "fx" is not ours`) {
		t.Errorf("remarks: %s", text)
	}
}
