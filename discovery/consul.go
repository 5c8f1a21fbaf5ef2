package discovery

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"countersign"

	consul "github.com/hashicorp/consul/api"
)

// Catalog finds functions and hosts in Consul.
type Catalog struct{ client *consul.Client }

// NewCatalog returns the Consul of the environment: CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN and so on.
func NewCatalog() (*Catalog, error) {
	c, err := ConsulClient(consul.DefaultConfig())
	return &Catalog{c}, err
}

// Nodes returns the addresses (host:port) at which healthy instances of function can be called: nearest first, as Consul
// sorts them from its agent. There may be none.
func (c *Catalog) Nodes(ctx context.Context, function string) ([]string, error) {
	q := (&consul.QueryOptions{Near: "_agent"}).WithContext(ctx)
	entries, _, err := c.client.Health().Service(function, "", true, q)
	if err != nil {
		return nil, fmt.Errorf("asking Consul: %w", err)
	}
	var nodes []string
	for _, e := range entries {
		nodes = append(nodes, net.JoinHostPort(e.Service.Address, strconv.Itoa(e.Service.Port)))
	}
	return nodes, nil
}

// Hosts returns the addresses (host:port) of the hosts, sorted: those of the functions' services. A host has one for all
// of its functions. It is an error if there is none.
func (c *Catalog) Hosts(ctx context.Context) ([]string, error) {
	functions, err := c.Functions(ctx)
	if err != nil {
		return nil, err
	}
	q := (&consul.QueryOptions{}).WithContext(ctx)
	var found addresses
	for _, name := range functions {
		found.ask(func() ([]*consul.CatalogService, error) {
			entries, _, err := c.client.Catalog().Service(name, countersign.TagFunction, q)
			return entries, err
		})
	}
	return found.wait()
}

// Functions returns the names of the functions that have an instance, healthy or not, sorted. There may be none.
func (c *Catalog) Functions(ctx context.Context) ([]string, error) {
	services, _, err := c.client.Catalog().Services((&consul.QueryOptions{}).WithContext(ctx))
	if err != nil {
		return nil, fmt.Errorf("asking Consul for the functions: %w", err)
	}
	var names []string
	for name, tags := range services {
		if slices.Contains(tags, countersign.TagFunction) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// addresses collects distinct addresses from several queries at a time.
type addresses struct {
	running sync.WaitGroup
	slots   chan struct{}
	mu      sync.Mutex
	list    []string
	err     error
}

const queriesAtOnce = 16

func (a *addresses) ask(query func() ([]*consul.CatalogService, error)) {
	if a.slots == nil {
		a.slots = make(chan struct{}, queriesAtOnce)
	}
	a.slots <- struct{}{}
	a.running.Go(func() {
		entries, err := query()
		<-a.slots
		a.mu.Lock()
		defer a.mu.Unlock()
		if err != nil {
			a.err = fmt.Errorf("asking Consul where a function runs: %w", err)
		}
		for _, e := range entries {
			address := e.ServiceAddress
			if address == "" {
				address = e.Address // a service without one has its node's
			}
			a.list = append(a.list, net.JoinHostPort(address, strconv.Itoa(e.ServicePort)))
		}
	})
}

func (a *addresses) wait() ([]string, error) {
	a.running.Wait()
	if a.err != nil {
		return nil, a.err
	}
	if len(a.list) == 0 {
		return nil, fmt.Errorf("no function is deployed: Consul knows no service with the tag %q", countersign.TagFunction)
	}
	slices.SortFunc(a.list, strings.Compare)
	return slices.Compact(a.list), nil
}
