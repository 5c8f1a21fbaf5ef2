package consul

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"

	"countersign"

	"github.com/hashicorp/consul/api"

	"countersign/discovery"
	"countersign/hclspec"
	"countersign/pipeline/failure"
)

// Client is a client of the Consul that an environment names.
type Client struct {
	api     *api.Client
	address string // for messages
}

// New returns a client of the Consul that the environment names. What it leaves out comes from Consul's usual variables:
// CONSUL_HTTP_ADDR, CONSUL_HTTP_TOKEN, CONSUL_CACERT and so on.
func New(env hclspec.Consul) (*Client, error) {
	config := api.DefaultConfig()
	if env.Address != "" {
		config.Address = env.Address
	}
	client, err := discovery.ConsulClient(config)
	return &Client{client, config.Address}, err
}

// Artifacts returns the digests of the artifacts that the instances of function in the catalog run, sorted, each once.
func (c *Client) Artifacts(ctx context.Context, function string) ([]string, error) {
	instances, _, err := c.api.Catalog().Service(function, countersign.TagFunction, query(ctx))
	if err != nil {
		return nil, c.wrap(err)
	}
	var digests []string
	for _, instance := range instances {
		digests = append(digests, instance.ServiceMeta[countersign.MetaArtifact])
	}
	slices.Sort(digests)
	return slices.Compact(digests), nil
}

// Passing returns the addresses (host:port) of the allocations of function whose checks pass all, those of their nodes
// included, by Nomad's ID.
func (c *Client) Passing(ctx context.Context, function string) (map[string]string, error) {
	entries, _, err := c.api.Health().Service(function, countersign.TagFunction, true, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("ask which instances of %q pass their checks: %w", function, c.wrap(err))
	}
	addresses := map[string]string{}
	for _, e := range entries {
		addresses[e.Service.Meta[countersign.MetaAllocation]] = net.JoinHostPort(e.Service.Address, strconv.Itoa(e.Service.Port))
	}
	return addresses, nil
}

func query(ctx context.Context) *api.QueryOptions { return (&api.QueryOptions{}).WithContext(ctx) }

// wrap tells an answer of Consul from a failure to reach it.
func (c *Client) wrap(err error) error {
	var transport *url.Error
	var dial *net.OpError
	var status api.StatusError
	switch {
	case errors.As(err, &status) && status.Code == 403:
		return fmt.Errorf("no permission; set CONSUL_HTTP_TOKEN to a token that may do this: %w", err)
	case errors.As(err, &transport) || errors.As(err, &dial):
		return &failure.UnreachableError{Server: "Consul at " + c.address, Err: err}
	}
	return err
}
