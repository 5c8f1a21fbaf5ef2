// Package hosts asks the hosts that run functions whether an allocation can be called.
//
// It owns what makes their answer certain: it comes over TLS with the certificate of exactly that allocation. It must not
// know Nomad and Consul, nor why somebody asks.
package hosts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"countersign/discovery"
	"countersign/hclspec"
	"countersign/host/link"
	"countersign/pipeline/failure"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/issue"
)

const (
	// askTime is how long a host may take to answer.
	askTime   = 5 * time.Second
	maxAnswer = 4 << 10 // bytes
)

// Instance is an allocation of a function, and where its host takes calls.
type Instance struct {
	Function   string
	Allocation string // Nomad's ID
	Address    string // host:port
}

// Asker asks the hosts of a trust domain. It is safe for concurrent use.
type Asker struct {
	trustDomain string
	fetch       func(context.Context) (*identity.Bundle, error)

	mu    sync.Mutex
	trust *identity.Bundle // nil until it was fetched
}

// New returns one for the hosts of an environment. Who they are is verified with what the environment's Vault vouches for,
// which is asked when the first host is.
func New(env *hclspec.Environment) *Asker {
	address := env.Vault.Address
	if address == "" {
		address = discovery.VaultAddress()
	}
	config := issue.Config{Address: address, Namespace: env.Vault.Namespace, CACert: os.Getenv("VAULT_CACERT"),
		PKIMount: env.Vault.PKIMount}
	return &Asker{trustDomain: env.TrustDomain, fetch: func(ctx context.Context) (*identity.Bundle, error) {
		return issue.FetchBundle(ctx, config, env.TrustDomain)
	}}
}

// Answers returns nil if the host at the instance's address says that the allocation can be called. The error is a
// *failure.UnreachableError if nobody answers there, an *identity.CertificateError if somebody does who can't show the
// certificate of the function, and a *NotServingError if the host does not run the allocation.
func (a *Asker) Answers(ctx context.Context, i Instance) error {
	ctx, cancel := context.WithTimeout(ctx, askTime)
	defer cancel()
	trust, err := a.bundle(ctx)
	if err != nil {
		return err
	}
	function, err := identity.FunctionID(a.trustDomain, i.Function)
	if err != nil {
		return err
	}
	config := identity.TLSConfig(func() *identity.Bundle { return trust }, identity.Only(function))
	// By this name a host shows the certificate of this allocation, or none.
	config.ServerName = link.ServerName(i.Allocation, i.Function)
	transport := &http.Transport{TLSClientConfig: config, DisableKeepAlives: true}
	err = get(ctx, transport, i)
	var refused *identity.CertificateError
	var alert *net.OpError // of crypto/tls, for what the host said
	var network net.Error
	switch {
	case err == nil || errors.As(err, &refused):
		return err
	case errors.As(err, &alert) && alert.Op == "remote error":
		return &NotServingError{i, err}
	case errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, context.DeadlineExceeded):
		return &failure.UnreachableError{Server: "the host at " + i.Address, Err: err}
	}
	return err
}

// get asks for the health of an allocation.
func get(ctx context.Context, transport *http.Transport, i Instance) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+i.Address+"/v1/health/"+i.Allocation, nil)
	if err != nil {
		return fmt.Errorf("ask for the health of allocation %s: %w", i.Allocation, err)
	}
	answer, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil {
		return err
	}
	var health struct{ Function, State string }
	if answer.StatusCode != http.StatusOK {
		return &NotServingError{i, fmt.Errorf("it answers %s", answer.Status)}
	}
	if err := json.Unmarshal(text, &health); err != nil || health.Function != i.Function || health.State != "running" {
		return &NotServingError{i, fmt.Errorf("it answers %.200q", text)}
	}
	return nil
}

// bundle returns what vouches for hosts.
func (a *Asker) bundle(ctx context.Context) (*identity.Bundle, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.trust != nil {
		return a.trust, nil
	}
	var err error
	a.trust, err = a.fetch(ctx)
	return a.trust, err
}

// NotServingError says that a host does not run an allocation that is to run there.
type NotServingError struct {
	Instance Instance
	Err      error
}

// Error implements error.
func (e *NotServingError) Error() string {
	return fmt.Sprintf("the host at %s does not run allocation %s of function %q: %v", e.Instance.Address,
		e.Instance.Allocation, e.Instance.Function, e.Err)
}

// Unwrap returns the cause.
func (e *NotServingError) Unwrap() error { return e.Err }
