package issue

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"countersign/vaultsign/identity"
)

func TestRenewerKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	v := newFaultyVault(t)
	v.life = time.Second
	file := jwtFile(t, "first")
	login, err := LogIn(t.Context(), v.config, from(file))
	must(t, err)
	first, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	must(t, os.Remove(file)) // so that the first renewal fails
	renewed := make(chan *identity.Identity, 8)
	r := NewRenewer(first, RenewerConfig{
		Vault: v.config, JWT: from(file), Renewed: func(i *identity.Identity) { renewed <- i },
	})
	defer r.Stop()
	for deadline := time.Now().Add(20 * time.Second); r.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no renewal failed")
		}
	}
	if r.Current() != first || r.Renewals() != 0 {
		t.Error("a failed renewal changed the identity")
	}
	must(t, os.WriteFile(file, []byte("second"), 0o600))
	select {
	case next := <-renewed:
		if next == first || r.Renewals() != 1 {
			t.Errorf("%d renewals", r.Renewals())
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("no renewal: %v", r.Err())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.jwts[len(v.jwts)-1] != "second" {
		t.Error("the renewal used an old workload identity")
	}
}

func TestRenewerRefusesUntrusted(t *testing.T) {
	t.Parallel()
	v, other := newFaultyVault(t), newFaultyVault(t)
	v.life = time.Second
	file := jwtFile(t, "jwt")
	login, err := LogIn(t.Context(), v.config, from(file))
	must(t, err)
	first, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	bundle, err := identity.ParseBundle(testDomain, []byte(certPEM(other.ca.Raw)))
	must(t, err)
	r := NewRenewer(first, RenewerConfig{
		Vault: v.config, JWT: from(file), Trust: func() *identity.Bundle { return bundle },
	})
	defer r.Stop()
	for deadline := time.Now().Add(20 * time.Second); r.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no renewal failed")
		}
	}
	var refusal *identity.CertificateError
	if !errors.As(r.Err(), &refusal) || refusal.Reason != identity.ReasonUntrusted || r.Current() != first {
		t.Errorf("got %v", r.Err())
	}
}

func TestRenewerStops(t *testing.T) {
	v := newFaultyVault(t)
	login, err := LogIn(t.Context(), v.config, from(jwtFile(t, "jwt")))
	must(t, err)
	first, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	r := NewRenewer(first, RenewerConfig{Vault: v.config, JWT: from("none")})
	if age := r.Age(time.Now()); age < time.Second || age > time.Minute || r.Remaining(time.Now()) < 50*time.Minute {
		t.Errorf("age %v, remaining %v", age, r.Remaining(time.Now()))
	}
	r.Stop()
	r.Stop()
	if r.Current() != first {
		t.Error("the identity is gone")
	}
}

func TestRenewAtHalfLife(t *testing.T) {
	v := newFaultyVault(t)
	login, err := LogIn(t.Context(), v.config, from(jwtFile(t, "jwt")))
	must(t, err)
	issued, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	c := issued.Certificate
	life := c.NotAfter.Sub(c.NotBefore)
	times := map[time.Time]bool{}
	for range 1000 {
		at := renewAt(c)
		if part := float64(at.Sub(c.NotBefore)) / float64(life); part < 0.4 || part > 0.6 {
			t.Fatalf("renewal after %.2f of the certificate's life", part)
		}
		times[at] = true
	}
	if len(times) < 900 {
		t.Errorf("only %d different times", len(times))
	}
}

// TestRenewerOfAnotherAuthority renews after Vault's authority was replaced, with a bundle that does not have the new one yet.
func TestRenewerOfAnotherAuthority(t *testing.T) {
	t.Parallel()
	v, other := newFaultyVault(t), newFaultyVault(t)
	file := jwtFile(t, "jwt")
	login, err := LogIn(t.Context(), v.config, from(file))
	must(t, err)
	first, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	var bundle atomic.Pointer[identity.Bundle]
	b, err := identity.ParseBundle(testDomain, []byte(certPEM(other.ca.Raw)))
	must(t, err)
	bundle.Store(b)
	renewed := make(chan *identity.Identity, 8)
	r := NewRenewer(first, RenewerConfig{
		Vault: v.config, JWT: from(file), Trust: bundle.Load, Renewed: func(i *identity.Identity) { renewed <- i },
		Refresh: func(context.Context) error {
			b, err := identity.ParseBundle(testDomain, []byte(certPEM(v.ca.Raw)))
			bundle.Store(b)
			return err
		},
	})
	defer r.Stop()
	r.Renew()
	select {
	case <-renewed:
	case <-time.After(30 * time.Second):
		t.Fatalf("no renewal: %v", r.Err())
	}
	if r.Err() != nil || r.Renewals() != 1 {
		t.Errorf("%d renewals, %v; want that the first one fetched the bundle", r.Renewals(), r.Err())
	}
}
