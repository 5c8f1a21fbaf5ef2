package pipeline

import (
	"context"

	"countersign/hclspec"
	"countersign/pipeline/consul"
	"countersign/pipeline/releases"
	"countersign/pipeline/vault"
)

// Releases returns the records of an environment, for reading.
func Releases(env *hclspec.Environment) (*releases.Ledger, error) {
	keys, err := vault.Keys(env.Vault)
	if err != nil {
		return nil, err
	}
	client, err := consul.New(env.Consul)
	if err != nil {
		return nil, err
	}
	return releases.Open(env, client, keys)
}

// ReadReleases returns the latest records of an environment, verified, the latest first, at most n; 0: all.
func ReadReleases(ctx context.Context, env *hclspec.Environment, n int) ([]*releases.Entry, error) {
	ledger, err := Releases(env)
	if err != nil {
		return nil, err
	}
	return ledger.History(ctx, n)
}
