package discovery

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	consul "github.com/hashicorp/consul/api"
	vault "github.com/hashicorp/vault/api"

	"countersign/patience"
)

// ConsulClient returns a client that does not wait for ever, see package patience. config is changed.
func ConsulClient(config *consul.Config) (*consul.Client, error) {
	if !strings.HasPrefix(config.Address, "unix://") { // for a socket, the library makes what carries requests itself
		client, err := consul.NewHttpClient(config.Transport, config.TLSConfig)
		if err != nil {
			return nil, fmt.Errorf("use the TLS settings for Consul (CONSUL_CACERT and so on): %w", err)
		}
		client.Transport = &patience.Transport{Base: client.Transport, Server: "Consul at " + config.Address}
		config.HttpClient = client
	}
	client, err := consul.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a Consul client for %s: %w", config.Address, err)
	}
	return client, nil
}

// VaultClient returns a client that does not wait for ever, see package patience: it tries again what Vault answered
// with a passing error, and not what it did not answer. config is one of Vault's DefaultConfig, and is changed.
func VaultClient(config *vault.Config) (*vault.Client, error) {
	if config.Error != nil {
		return nil, fmt.Errorf("configure the Vault client: %w", config.Error)
	}
	client, err := vault.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a Vault client for %s: %w", config.Address, err)
	}
	// Only now: for the address of a socket, the library changes what carries requests.
	config.HttpClient.Transport = &patience.Transport{Base: config.HttpClient.Transport, Server: "Vault at " + config.Address}
	client.SetCheckRetry(func(ctx context.Context, answer *http.Response, err error) (bool, error) {
		if err != nil {
			return false, err
		}
		return vault.DefaultRetryPolicy(ctx, answer, err)
	})
	return client, nil
}
