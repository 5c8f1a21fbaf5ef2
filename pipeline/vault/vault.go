// Package vault is the Vault of an environment: its transit engine has the functions' keys.
//
// It owns how a client of it comes about. It must not know what is signed, and it sees no private key.
package vault

import (
	"fmt"

	"github.com/hashicorp/vault/api"

	"countersign/discovery"
	"countersign/hclspec"
	"countersign/vaultsign/transit"
)

// Keys returns the client of the environment's transit engine. What the environment leaves out comes from Vault's
// usual variables; the token comes from VAULT_TOKEN or from `vault login`.
func Keys(env hclspec.Vault) (*transit.Client, error) {
	config := api.DefaultConfig()
	if env.Address != "" {
		config.Address = env.Address
	}
	client, err := discovery.VaultClient(config)
	if err != nil {
		return nil, err
	}
	if env.Namespace != "" {
		client.SetNamespace(env.Namespace)
	}
	if client.Token() == "" {
		// Without a token it is Vault that says what it refuses.
		token, _ := discovery.LoginToken()
		client.SetToken(token)
	}
	return transit.New(client, env.TransitMount)
}

// NoKeyError says that Vault has no key of a function, so nothing can be signed with it.
type NoKeyError struct{ Function, Mount string }

// Error implements error.
func (e *NoKeyError) Error() string {
	return fmt.Sprintf("Vault has no key %q in its transit mount %s, so no attestation of this function can be genuine",
		e.Function, e.Mount)
}

// Unverified marks the error as a verification failure.
func (e *NoKeyError) Unverified() bool { return true }
