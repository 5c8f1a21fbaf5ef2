package consul

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/hashicorp/consul/api"

	"countersign/pipeline/failure"
	"countersign/pipeline/routes"
)

// Entries reads the configuration entries that decide about calls.
func (c *Client) Entries(ctx context.Context) (*routes.Entries, error) {
	var now routes.Entries
	var err error
	if now.Defaults, err = list[*api.ServiceConfigEntry](ctx, c, api.ServiceDefaults); err != nil {
		return nil, err
	}
	if now.Intentions, err = list[*api.ServiceIntentionsConfigEntry](ctx, c, api.ServiceIntentions); err != nil {
		return nil, err
	}
	if now.Resolvers, err = list[*api.ServiceResolverConfigEntry](ctx, c, api.ServiceResolver); err != nil {
		return nil, err
	}
	if now.Splitters, err = list[*api.ServiceSplitterConfigEntry](ctx, c, api.ServiceSplitter); err != nil {
		return nil, err
	}
	now.Routers, err = list[*api.ServiceRouterConfigEntry](ctx, c, api.ServiceRouter)
	return &now, err
}

func list[E api.ConfigEntry](ctx context.Context, c *Client, kind string) (map[string]E, error) {
	entries, _, err := c.api.ConfigEntries().List(kind, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the %s entries: %w", kind, c.wrap(err))
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

// Write makes changes in their order. Each is a compare-and-set: the error is a *failure.ConflictError if somebody else
// changed an entry since it was read.
func (c *Client) Write(ctx context.Context, changes []routes.Change) error {
	for _, change := range changes {
		if err := c.write(ctx, change); err != nil {
			return err
		}
	}
	return nil
}

func (c *Client) write(ctx context.Context, change routes.Change) error {
	options := (&api.WriteOptions{}).WithContext(ctx)
	kind, name, index := change.Entry.GetKind(), change.Entry.GetName(), change.Entry.GetModifyIndex()
	var ok bool
	var err error
	verb := "write"
	if change.Remove {
		verb = "delete"
		ok, _, err = c.api.ConfigEntries().DeleteCAS(kind, name, index, options)
	} else {
		ok, _, err = c.api.ConfigEntries().CAS(change.Entry, index, options)
	}
	if err != nil {
		wrapped := fmt.Errorf("%s %s %q: %w", verb, kind, name, c.wrap(err))
		if change.Remove && namesSubset(err) {
			return fmt.Errorf("%w; a service-router, or another entry, leads calls to %s or %s of %s: change it, and run this again",
				wrapped, routes.SubsetStable, routes.SubsetCanary, name)
		}
		return wrapped
	}
	if !ok {
		return &failure.ConflictError{
			What:   fmt.Sprintf("Consul's %s %q was changed after it was read", kind, name),
			Advice: "run the same command again",
		}
	}
	return nil
}

// namesSubset tells whether Consul refused since an entry of somebody else's names a subset that would be gone.
func namesSubset(err error) bool {
	var status api.StatusError
	return errors.As(err, &status) && strings.Contains(status.Body, "subset")
}
