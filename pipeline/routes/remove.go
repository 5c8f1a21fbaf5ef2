package routes

import (
	"fmt"
	"slices"

	consul "github.com/hashicorp/consul/api"
)

// PlanRemove says what is to be deleted when a function is taken away: every entry of its name that we wrote, in an order
// that Consul accepts, and our intentions in which it is one of the two. What other people wrote stays; the remarks name it.
func PlanRemove(function string, now *Entries) (changes []Change, remarks []string) {
	add := func(kind string, entry consul.ConfigEntry, meta map[string]string) {
		if meta[markKey] != markValue {
			remarks = append(remarks, fmt.Sprintf("Consul's %s %q is not ours and stays", kind, function))
			return
		}
		changes = append(changes, Change{Entry: entry, Remove: true, Text: fmt.Sprintf("%s %s is deleted", kind, function)})
	}
	if e := now.Routers[function]; e != nil {
		add(consul.ServiceRouter, e, e.Meta)
	}
	if e := now.Splitters[function]; e != nil {
		add(consul.ServiceSplitter, e, e.Meta)
	}
	if e := now.Resolvers[function]; e != nil {
		add(consul.ServiceResolver, e, e.Meta)
	}
	for _, callee := range sortedKeys(now.Intentions) {
		have := now.Intentions[callee]
		kept := slices.DeleteFunc(slices.Clone(have.Sources), func(s *consul.SourceIntention) bool {
			return isOurs(s) && (callee == function || s.Name == function)
		})
		if len(kept) == len(have.Sources) {
			continue
		}
		entry := *have
		entry.Sources = kept
		text := fmt.Sprintf("%s may not call %s any more", function, callee)
		if callee == function {
			text = "nobody may call " + function + " any more"
		}
		changes = append(changes, Change{Entry: &entry, Remove: len(kept) == 0, Text: text})
	}
	if e := now.Defaults[function]; e != nil {
		add(consul.ServiceDefaults, e, e.Meta)
	}
	return changes, remarks
}

// Callers returns who may call a function by an intention of ours, sorted.
func Callers(function string, now *Entries) (names []string) {
	if have := now.Intentions[function]; have != nil {
		for _, s := range have.Sources {
			if isOurs(s) {
				names = append(names, s.Name)
			}
		}
	}
	slices.Sort(names)
	return names
}
