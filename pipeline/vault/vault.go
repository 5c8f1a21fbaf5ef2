// Package vault is the Vault of an environment: its transit engine has the functions' keys.
//
// It owns how a client of it comes about, and whose token that has. It must not know what is signed, and it sees no
// private key.
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
	c, err := client(env)
	if err != nil {
		return nil, err
	}
	return transit.New(c, env.TransitMount)
}

// client returns a client with the user's token.
func client(env hclspec.Vault) (*api.Client, error) {
	config := api.DefaultConfig()
	if env.Address != "" {
		config.Address = env.Address
	}
	c, err := discovery.VaultClient(config)
	if err != nil {
		return nil, err
	}
	if env.Namespace != "" {
		c.SetNamespace(env.Namespace)
	}
	if c.Token() == "" {
		// Without a token it is Vault that says what it refuses.
		token, _ := discovery.LoginToken()
		c.SetToken(token)
	}
	return c, nil
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
