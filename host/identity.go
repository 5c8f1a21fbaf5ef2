package host

import (
	"context"
	"fmt"
	"time"

	"github.com/hashicorp/vault/api"

	"countersign/host/allocdir"
	"countersign/host/control"
	"countersign/vaultsign/identity"
	"countersign/vaultsign/identity/issue"
)

// trustPeriod is how often the trust domain's CA certificates are fetched anew.
const trustPeriod = 5 * time.Minute

// vault is where identities come from.
func (h *Host) vault() issue.Config {
	v := h.config.Vault
	return issue.Config{Address: v.Address, Namespace: v.Namespace, CACert: v.CACert, AuthMount: v.AuthMount,
		AuthRole: v.AuthRole, PKIMount: v.PKIMount, PKIRole: v.PKIRole}
}

// keepTrust refreshes the trust bundle until the host stops.
func (h *Host) keepTrust() {
	h.trust.Keep(h.ctx, trustPeriod, func(err error) {
		h.log.Warn("the trust bundle could not be refreshed; the last one is used", "error", err)
	})
}

// renewUntrusted renews the certificates of functions that run and that a new bundle does not verify: their authority was taken away,
// so that every host refuses their calls from its next refresh on.
func (h *Host) renewUntrusted(bundle *identity.Bundle) {
	for _, t := range h.running() {
		if t.identity == nil {
			continue
		}
		if _, err := bundle.Verify(t.identity.Current().Certificate.DER, time.Now()); err != nil {
			h.log.Warn("a call certificate is not trusted any more, and is renewed", "id", t.identity.Current().ID().String(), "error", err)
			t.identity.Renew()
		}
	}
}

// logIn checks who is to run and logs in to Vault with the allocation's workload identity.
func (s *start) logIn(ctx context.Context) error {
	var err error
	if s.svid, err = identity.FunctionID(s.host.config.TrustDomain, s.request.Function); err != nil {
		return invalid("function %q: %v", s.request.Function, err)
	}
	if s.login, err = issue.LogIn(ctx, s.host.vault(), jwtOf(s.request)); err != nil {
		return fmt.Errorf("logging in to Vault as the allocation of function %q: %w", s.request.Function, err)
	}
	return nil
}

// jwtOf returns what reads an allocation's workload identity, which Nomad keeps fresh.
func jwtOf(r control.StartRequest) func() ([]byte, error) {
	return func() ([]byte, error) { return allocdir.Dir(r.AllocDir).Read(r.IdentityFile, issue.MaxJWT) }
}

// identify gets the instance's call key certified, and keeps it so.
func (s *start) identify(ctx context.Context) error {
	h := s.host
	if h.trust.Bundle() == nil {
		if err := h.trust.Refresh(ctx); err != nil {
			return fmt.Errorf("fetching the trust bundle: %w", err)
		}
	}
	id, err := s.login.Issue(ctx, s.svid)
	if err != nil {
		return fmt.Errorf("getting the call certificate of function %q: %w", s.request.Function, err)
	}
	if err := h.trusted(ctx, id); err != nil {
		return fmt.Errorf("the call certificate that Vault issued to function %q is refused: %w", s.request.Function, err)
	}
	task, function := s.request.TaskID, s.request.Function
	s.renewer = issue.NewRenewer(id, issue.RenewerConfig{Vault: h.vault(), JWT: jwtOf(s.request), Trust: h.trust.Bundle, Refresh: h.trust.Refresh,
		Log:      h.log,
		LoggedIn: func(ctx context.Context, vault *api.Client) error { return h.refreshKeys(ctx, vault, function) },
		Renewed: func(id *identity.Identity) {
			h.events.send(task, "Call certificate renewed, valid until "+id.Certificate.NotAfter.UTC().Format(time.RFC3339))
		}})
	s.event("Call certificate issued to %s, valid until %s", id.ID(), id.Certificate.NotAfter.UTC().Format(time.RFC3339))
	return nil
}

// trusted verifies a fresh certificate; of a CA that the bundle lacks, once more with a fresh bundle.
func (h *Host) trusted(ctx context.Context, id *identity.Identity) error {
	_, err := h.trust.Bundle().Verify(id.Certificate.DER, time.Now())
	if err == nil {
		return nil
	}
	if h.trust.Refresh(ctx) != nil {
		return err
	}
	_, err = h.trust.Bundle().Verify(id.Certificate.DER, time.Now())
	return err
}
