package issue

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/vault/api"
)

// requestTimeout bounds one request to Vault.
const requestTimeout = 10 * time.Second

// Config tells where identities come from. It holds no secret.
type Config struct {
	Address   string // URL of Vault
	Namespace string // of Vault Enterprise; "" otherwise
	CACert    string // path of a PEM file for Vault's own TLS certificate; "" means the system's authorities
	AuthMount string // of the JWT auth method, such as jwt-nomad
	AuthRole  string // JWT role
	PKIMount  string // of the PKI secrets engine
	PKIRole   string // role that signs the certificates
}

// Client returns a Vault client without a token. Unlike the one of Vault's library it takes nothing from environment
// variables, which in a host belong to somebody else: no token, no address, no permission to skip TLS verification.
func (c Config) Client() (*api.Client, error) {
	transport := &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		TLSHandshakeTimeout:   5 * time.Second,
		ResponseHeaderTimeout: requestTimeout,
		IdleConnTimeout:       30 * time.Second,
		ForceAttemptHTTP2:     true,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
	}
	if c.CACert != "" {
		roots, err := readPool(c.CACert)
		if err != nil {
			return nil, err
		}
		transport.TLSClientConfig.RootCAs = roots
	}
	client, err := api.NewClient(&api.Config{
		Address: c.Address, HttpClient: &http.Client{Transport: transport}, Timeout: requestTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("make a client for Vault at %q: %w", c.Address, err)
	}
	// Retries are this package's: they read the JWT anew.
	client.SetMaxRetries(0)
	client.ClearToken()
	client.ClearNamespace()
	if c.Namespace != "" {
		client.SetNamespace(c.Namespace)
	}
	return client, nil
}

func readPool(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the CA of Vault's TLS certificate: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("read the CA of Vault's TLS certificate: %s holds no PEM certificate", file)
	}
	return roots, nil
}

// check finds mistakes of the configuration before they become paths of Vault's API.
func (c Config) check(names ...string) error {
	values := map[string]string{
		"auth mount": c.AuthMount, "auth role": c.AuthRole, "PKI mount": c.PKIMount, "PKI role": c.PKIRole,
	}
	for _, name := range names {
		value := values[name]
		if value == "" || strings.Trim(value, "/") != value || strings.ContainsAny(value, "?#%\\ ") ||
			strings.Contains(value, "..") || strings.Contains(value, "//") {
			return fmt.Errorf("configuration of Vault: %s is %q; it must be a path without slashes at its ends", name, value)
		}
	}
	if c.Address == "" {
		return errors.New("configuration of Vault: it has no address")
	}
	return nil
}
