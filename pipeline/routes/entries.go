package routes

import (
	"fmt"
	"maps"
	"slices"

	consul "github.com/hashicorp/consul/api"
)

// What marks Consul's configuration entries as ours: others are never changed.
const (
	markKey   = "managed-by"
	markValue = "countersign"
)

// Entries are all of Consul's configuration entries that decide about calls, as they were at one time, by name.
type Entries struct {
	Defaults   map[string]*consul.ServiceConfigEntry
	Intentions map[string]*consul.ServiceIntentionsConfigEntry
	Resolvers  map[string]*consul.ServiceResolverConfigEntry
	Splitters  map[string]*consul.ServiceSplitterConfigEntry
	Routers    map[string]*consul.ServiceRouterConfigEntry
}

// Change is one configuration entry that is to be written or deleted.
type Change struct {
	Entry  consul.ConfigEntry // as it is to be; its ModifyIndex is that of the one it replaces, 0 if there is none
	Remove bool
	Text   string // for people
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Texts returns what changes do, for people.
func Texts(changes []Change) []string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.Text
	}
	return list
}

// PlanDefaults says what is to be written so that calls of functions can be split: Consul refuses that for a protocol
// that it does not know as HTTP.
func PlanDefaults(functions []string, now *Entries) ([]Change, error) {
	var changes []Change
	for _, name := range functions {
		entry := &consul.ServiceConfigEntry{Meta: map[string]string{markKey: markValue}}
		if have := now.Defaults[name]; have != nil {
			switch have.Protocol {
			case "http", "http2", "grpc":
				continue
			case "":
				copied := *have
				entry = &copied
			default:
				return nil, &ForeignEntryError{
					Kind: consul.ServiceDefaults, Name: name,
					Reason: fmt.Sprintf("it says protocol %q, and calls of functions are HTTP; make it \"http\"", have.Protocol),
				}
			}
		}
		entry.Kind, entry.Name, entry.Protocol = consul.ServiceDefaults, name, "http"
		changes = append(changes, Change{Entry: entry, Text: name + " is HTTP"})
	}
	return changes, nil
}

// ForeignEntryError refuses to change a configuration entry of Consul that somebody else wrote. Nothing was run.
type ForeignEntryError struct {
	Kind, Name string // such as service-splitter, quote
	Reason     string // why it is in the way, and what to do
}

// Error implements error.
func (e *ForeignEntryError) Error() string {
	return fmt.Sprintf("Consul has a %s %q that is not ours, so it is not changed: %s", e.Kind, e.Name, e.Reason)
}
