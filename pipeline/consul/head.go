package consul

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/consul/api"

	"countersign/pipeline/releases"
	"countersign/strictjson"
)

// headKey is the key in Consul's KV store that points to the latest release of an environment.
func headKey(environment string) string { return "countersign/releases/" + environment }

// ReadHead returns the pointer to the latest release of an environment and its index; nil and 0 if there is none. What is no
// pointer is a *releases.RefusedError.
func (c *Client) ReadHead(ctx context.Context, environment string) (*releases.Head, uint64, error) {
	key := headKey(environment)
	pair, _, err := c.api.KV().Get(key, query(ctx))
	if err != nil {
		return nil, 0, fmt.Errorf("read Consul's key %s: %w", key, c.wrap(err))
	}
	if pair == nil {
		return nil, 0, nil
	}
	var head releases.Head
	if err = strictjson.Decode(pair.Value, &head); err == nil {
		err = head.Check()
	}
	if err != nil {
		return nil, 0, &releases.RefusedError{What: "Consul's key " + key + " is no pointer to a release", Err: err,
			Advice: "delete it, and the releases are found again from the registry alone"}
	}
	return &head, pair.ModifyIndex, nil
}

// WriteHead replaces the pointer if it still has that index, and tells whether it had. Index 0 is that of none.
func (c *Client) WriteHead(ctx context.Context, environment string, head releases.Head, index uint64) (bool, error) {
	key := headKey(environment)
	value, err := json.Marshal(head)
	if err != nil {
		return false, err
	}
	pair := &api.KVPair{Key: key, Value: value, ModifyIndex: index}
	ok, _, err := c.api.KV().CAS(pair, (&api.WriteOptions{}).WithContext(ctx))
	if err != nil {
		return false, fmt.Errorf("write Consul's key %s: %w", key, c.wrap(err))
	}
	return ok, nil
}
