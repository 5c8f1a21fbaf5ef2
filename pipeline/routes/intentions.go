package routes

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	consul "github.com/hashicorp/consul/api"
)

// sourceMark begins the description of each intention that is ours. Intentions are marked one by one, since people add
// their own to the same entry in Consul's UI.
const sourceMark = "countersign: "

// anyService is the name with which Consul means every service.
const anyService = "*"

// PlanIntentions says what is to be written so that exactly the callers of each callee may call it, apart from what
// other people wrote. An intention of ours that is not wanted goes only if the caller is in narrow; nil: none goes. The
// remarks name calls that stay denied, since somebody wants it so.
func PlanIntentions(callers map[string][]string, narrow func(caller string) bool, now *Entries) (
	changes []Change, remarks []string, err error) {
	names := slices.Collect(maps.Keys(callers))
	for name := range now.Intentions {
		if callers[name] == nil && name != anyService {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, callee := range names {
		have := now.Intentions[callee]
		entry := &consul.ServiceIntentionsConfigEntry{Meta: map[string]string{markKey: markValue}}
		if have != nil {
			copied := *have
			entry = &copied
		}
		entry.Kind, entry.Name = consul.ServiceIntentions, callee
		merged := mergeSources(callee, entry.Sources, callers[callee], narrow)
		remarks = append(remarks, merged.denied...)
		if merged.changes == nil {
			continue
		}
		entry.Sources = merged.sources
		changes = append(changes, Change{
			Entry: entry, Remove: len(entry.Sources) == 0, Text: strings.Join(merged.changes, ", "),
		})
	}
	deny, err := planDefaultDeny(now.Intentions[anyService])
	return append(changes, deny...), remarks, err
}

// merged is what mergeSources makes of the sources of an entry.
type merged struct {
	sources []*consul.SourceIntention
	changes []string // for people; nil if there are none
	denied  []string // callers that somebody else's intention keeps out, for people
}

// mergeSources adds intentions for callers that have none, and takes ours away from those that call no more.
func mergeSources(callee string, sources []*consul.SourceIntention, callers []string,
	narrow func(caller string) bool) merged {
	var m merged
	known := map[string]bool{}
	for _, s := range sources {
		wanted := slices.Contains(callers, s.Name)
		if isOurs(s) && !wanted && narrow != nil && narrow(s.Name) {
			m.changes = append(m.changes, fmt.Sprintf("%s may not call %s any more", s.Name, callee))
			continue
		}
		m.sources = append(m.sources, s)
		if !isLocal(s) {
			continue
		}
		known[s.Name] = true
		if wanted && s.Action == consul.IntentionActionDeny {
			m.denied = append(m.denied, fmt.Sprintf("%s may not call %s: an intention that is not ours denies it",
				s.Name, callee))
		}
	}
	for _, caller := range callers {
		if !known[caller] {
			m.changes = append(m.changes, fmt.Sprintf("%s may call %s", caller, callee))
			m.sources = append(m.sources, &consul.SourceIntention{
				Name: caller, Type: consul.IntentionSourceConsul, Action: consul.IntentionActionAllow,
				Description: sourceMark + "the spec of " + caller + " lists " + callee + " in calls",
			})
		}
	}
	return m
}

// isOurs tells whether we wrote an intention. One of ours that somebody turned into a denial, or bound to conditions, is
// theirs from then on.
func isOurs(s *consul.SourceIntention) bool {
	return strings.HasPrefix(s.Description, sourceMark) && isLocal(s) && s.Action == consul.IntentionActionAllow
}

// isLocal tells whether the source is a service of this Consul, not of a peer.
func isLocal(s *consul.SourceIntention) bool { return s.Peer == "" && s.SamenessGroup == "" }

// planDefaultDeny makes sure that what no other intention allows is denied.
func planDefaultDeny(have *consul.ServiceIntentionsConfigEntry) ([]Change, error) {
	entry := &consul.ServiceIntentionsConfigEntry{Meta: map[string]string{markKey: markValue}}
	if have != nil {
		copied := *have
		entry = &copied
	}
	for _, s := range entry.Sources {
		switch {
		case s.Name != anyService || !isLocal(s):
		case s.Action == consul.IntentionActionDeny:
			return nil, nil
		default:
			return nil, &ForeignEntryError{
				Kind: consul.ServiceIntentions, Name: anyService,
				Reason: "it lets every service call every other; delete it, or make it deny",
			}
		}
	}
	entry.Kind, entry.Name = consul.ServiceIntentions, anyService
	entry.Sources = append(slices.Clone(entry.Sources), &consul.SourceIntention{
		Name: anyService, Type: consul.IntentionSourceConsul, Action: consul.IntentionActionDeny,
		Description: sourceMark + "what no spec lists in calls is denied",
	})
	return []Change{{Entry: entry, Text: "what no spec lists is denied"}}, nil
}
