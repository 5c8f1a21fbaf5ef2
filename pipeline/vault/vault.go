// Package vault is the Vault of an environment: its transit engine has the functions' keys.
//
// It owns how a client of it comes about. It must not know what is signed, and it sees no private key.
package vault

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/hashicorp/vault/api"

	"countersign/hclspec"
	"countersign/vaultsign/transit"
)

// Keys returns the client of the environment's transit engine. What the environment leaves out comes from Vault's
// usual variables; the token comes from VAULT_TOKEN or from `vault login`.
func Keys(env hclspec.Vault) (*transit.Client, error) {
	config := api.DefaultConfig()
	if config.Error != nil {
		return nil, fmt.Errorf("configure the Vault client: %w", config.Error)
	}
	if env.Address != "" {
		config.Address = env.Address
	}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a Vault client for %s: %w", config.Address, err)
	}
	if env.Namespace != "" {
		client.SetNamespace(env.Namespace)
	}
	if client.Token() == "" {
		client.SetToken(tokenOfLogin())
	}
	return transit.New(client, env.TransitMount)
}

// tokenOfLogin returns the token that `vault login` left, or "".
func tokenOfLogin() string {
	home, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	token, err := os.ReadFile(filepath.Join(home, ".vault-token"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(token))
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
