package discovery

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	vault "github.com/hashicorp/vault/api"
)

// VaultAddress is the Vault of the environment, as Vault's own command finds it: VAULT_ADDR, or the local one.
func VaultAddress() string { return vault.DefaultConfig().Address }

// Vault returns a client of the environment's Vault with the user's token: VAULT_TOKEN, or what `vault login` left. It is
// an error if there is no token.
func Vault() (*vault.Client, error) {
	v, err := VaultClient(vault.DefaultConfig())
	if err != nil {
		return nil, err
	}
	if v.Token() != "" {
		return v, nil
	}
	token, err := LoginToken()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errors.New("there is no Vault token: set VAULT_TOKEN, or run `vault login`")
	}
	if err != nil {
		return nil, err
	}
	v.SetToken(token)
	return v, nil
}

// LoginToken returns the token that `vault login` left in the user's home directory. The error is fs.ErrNotExist if it left
// none.
func LoginToken() (string, error) {
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fmt.Errorf("looking for a Vault token: %w", err)
	}
	token, err := os.ReadFile(filepath.Join(home, ".vault-token"))
	if err != nil {
		return "", fmt.Errorf("reading the token that `vault login` left: %w", err)
	}
	return strings.TrimSpace(string(token)), nil
}
