package pipeline

import (
	"context"
	"fmt"

	consul "github.com/hashicorp/consul/api"

	"countersign/hclspec"
)

// What marks Consul's configuration entries as ours: others are never changed.
const (
	markKey   = "managed-by"
	markValue = "countersign"
)

// newConsul returns a client of the Consul that the environment names. What it leaves out comes from Consul's usual
// variables: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_CACERT and so on.
func newConsul(env hclspec.Consul) (client *consul.Client, address string, err error) {
	config := consul.DefaultConfig()
	if env.Address != "" {
		config.Address = env.Address
	}
	client, err = consul.NewClient(config)
	if err != nil {
		return nil, "", fmt.Errorf("make a Consul client for %s: %w", config.Address, err)
	}
	return client, config.Address, nil
}

// routes are Consul's configuration entries: who may call whom, and to which release a call goes.
type routes struct {
	entries *consul.ConfigEntries
	address string
}

func newRoutes(env hclspec.Consul) (*routes, error) {
	client, address, err := newConsul(env)
	if err != nil {
		return nil, err
	}
	return &routes{client.ConfigEntries(), address}, nil
}

// routing is all of what routes were at one time, by name.
type routing struct {
	defaults   map[string]*consul.ServiceConfigEntry
	intentions map[string]*consul.ServiceIntentionsConfigEntry
	resolvers  map[string]*consul.ServiceResolverConfigEntry
	splitters  map[string]*consul.ServiceSplitterConfigEntry
}

func (r *routes) read(ctx context.Context) (*routing, error) {
	var now routing
	var err error
	if now.defaults, err = list[*consul.ServiceConfigEntry](ctx, r, consul.ServiceDefaults); err != nil {
		return nil, err
	}
	if now.intentions, err = list[*consul.ServiceIntentionsConfigEntry](ctx, r, consul.ServiceIntentions); err != nil {
		return nil, err
	}
	if now.resolvers, err = list[*consul.ServiceResolverConfigEntry](ctx, r, consul.ServiceResolver); err != nil {
		return nil, err
	}
	now.splitters, err = list[*consul.ServiceSplitterConfigEntry](ctx, r, consul.ServiceSplitter)
	return &now, err
}

func list[E consul.ConfigEntry](ctx context.Context, r *routes, kind string) (map[string]E, error) {
	entries, _, err := r.entries.List(kind, (&consul.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the %s entries: %w", kind, consulError(r.address, err))
	}
	byName := map[string]E{}
	for _, entry := range entries {
		e, ok := entry.(E)
		if !ok {
			return nil, fmt.Errorf("read the %s entries: Consul sent one of kind %q", kind, entry.GetKind())
		}
		byName[e.GetName()] = e
	}
	return byName, nil
}

// routeChange is one configuration entry that is to be written or deleted.
type routeChange struct {
	entry  consul.ConfigEntry // as it is to be; its ModifyIndex is that of the one it replaces, 0 if there is none
	remove bool
	text   string // for people
}

// apply makes changes in their order. Each is a compare-and-set: the error is a *ConflictError if somebody else changed
// an entry since it was read.
func (r *routes) apply(ctx context.Context, changes []routeChange) error {
	options := (&consul.WriteOptions{}).WithContext(ctx)
	for _, c := range changes {
		kind, name, index := c.entry.GetKind(), c.entry.GetName(), c.entry.GetModifyIndex()
		var ok bool
		var err error
		verb := "write"
		if c.remove {
			verb = "delete"
			ok, _, err = r.entries.DeleteCAS(kind, name, index, options)
		} else {
			ok, _, err = r.entries.CAS(c.entry, index, options)
		}
		if err != nil {
			return fmt.Errorf("%s %s %q: %w", verb, kind, name, consulError(r.address, err))
		}
		if !ok {
			return &ConflictError{
				What:   fmt.Sprintf("Consul's %s %q was changed after it was read", kind, name),
				Advice: "run the same command again",
			}
		}
	}
	return nil
}

// texts returns what changes do, for people.
func texts(changes []routeChange) []string {
	list := make([]string, len(changes))
	for i, c := range changes {
		list[i] = c.text
	}
	return list
}

// planDefaults says what is to be written so that calls of functions can be split: Consul refuses that for a protocol
// that it does not know as HTTP.
func planDefaults(functions []string, now *routing) ([]routeChange, error) {
	var changes []routeChange
	for _, name := range functions {
		entry := &consul.ServiceConfigEntry{Meta: map[string]string{markKey: markValue}}
		if have := now.defaults[name]; have != nil {
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
		changes = append(changes, routeChange{entry: entry, text: name + " is HTTP"})
	}
	return changes, nil
}
