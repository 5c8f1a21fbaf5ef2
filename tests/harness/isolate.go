//go:build integration

package harness

import (
	"context"
	"errors"

	"countersign/cluster"
)

// Isolate cuts a node of env off from all other nodes and from the servers. Its own processes still reach each other.
// heal undoes it and may be called more than once. See cluster.Env.Cut.
func Isolate(ctx context.Context, env *cluster.Env, node int) (heal func() error, err error) {
	var heals []func() error
	heal = func() error {
		var errs []error
		for _, one := range heals {
			errs = append(errs, one())
		}
		return errors.Join(errs...)
	}
	for other := range len(env.Nodes) + 1 { // 0 is the servers
		if other == node {
			continue
		}
		one, err := env.Cut(ctx, node, other)
		if err != nil {
			return nil, errors.Join(err, heal())
		}
		heals = append(heals, one)
	}
	return heal, nil
}
