package issue

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/hashicorp/vault/api"

	"countersign/vaultsign/identity"
)

const (
	minRenewPause = time.Second
	maxRenewPause = time.Minute
	renewTimeout  = time.Minute
)

// RenewerConfig tells a Renewer where new identities come from.
type RenewerConfig struct {
	Vault Config
	JWT   func() ([]byte, error) // workload identity, read anew at each renewal
	// Trust, if set, returns the bundle that a new certificate must chain to before it is used.
	Trust func() *identity.Bundle
	// Refresh, if set, fetches that bundle anew: for a certificate of an authority that it does not have yet.
	Refresh func(ctx context.Context) error
	// LoggedIn, if set, is called with the renewal's Vault client, so that other things can be refreshed with the same
	// login. Its error is logged.
	LoggedIn func(ctx context.Context, vault *api.Client) error
	// Renewed, if set, is called with each new identity.
	Renewed func(*identity.Identity)
	Log     *slog.Logger
}

// Renewer holds the current identity of an allocation and replaces it in time: at about half of the certificate's life,
// by a login with the workload identity as it is then. While that fails the old identity serves until it expires.
type Renewer struct {
	config  RenewerConfig
	current atomic.Pointer[identity.Identity]
	failure atomic.Pointer[renewalFailure]
	renewed atomic.Int64
	now     chan struct{} // asks for a renewal before its time
	cancel  context.CancelFunc
	done    chan struct{}
}

type renewalFailure struct{ err error }

// NewRenewer begins to renew first. Stop must be called.
func NewRenewer(first *identity.Identity, config RenewerConfig) *Renewer {
	if config.Log == nil {
		config.Log = slog.New(slog.DiscardHandler)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &Renewer{config: config, now: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	r.current.Store(first)
	go r.run(ctx)
	return r
}

// Renew asks for a renewal now, and does not wait for it. Asked for twice before it begins, it happens once.
func (r *Renewer) Renew() {
	select {
	case r.now <- struct{}{}:
	default:
	}
}

// Current returns the identity to use now. It may have expired if Vault has been away for long.
func (r *Renewer) Current() *identity.Identity { return r.current.Load() }

// Age returns how long ago the current certificate became valid.
func (r *Renewer) Age(now time.Time) time.Duration { return now.Sub(r.Current().Certificate.NotBefore) }

// Remaining returns for how long the current certificate is still valid; negative if it expired.
func (r *Renewer) Remaining(now time.Time) time.Duration {
	return r.Current().Certificate.NotAfter.Sub(now)
}

// Renewals returns how often the identity was replaced.
func (r *Renewer) Renewals() int64 { return r.renewed.Load() }

// Err returns why the last renewal failed, or nil.
func (r *Renewer) Err() error {
	if f := r.failure.Load(); f != nil {
		return f.err
	}
	return nil
}

// Stop ends renewal and waits until it has ended. The current identity stays usable. Stop may be called again.
func (r *Renewer) Stop() {
	r.cancel()
	<-r.done
}

func (r *Renewer) run(ctx context.Context) {
	defer close(r.done)
	pause := minRenewPause
	wait := time.Until(renewAt(r.Current().Certificate))
	for {
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		case <-r.now:
			timer.Stop()
		}
		err := r.renew(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			pause, wait = minRenewPause, max(minRenewPause, time.Until(renewAt(r.Current().Certificate)))
			continue
		}
		r.failure.Store(&renewalFailure{err})
		wait = pause + rand.N(pause/2)
		pause = min(2*pause, maxRenewPause)
		r.config.Log.Warn("renewing a call certificate failed", "id", r.Current().ID().String(), "error", err,
			"valid_until", r.Current().Certificate.NotAfter, "next_try", wait)
	}
}

// renewAt is half of the certificate's life, give or take a tenth, so that allocations that were started together do
// not renew together.
func renewAt(c *identity.Certificate) time.Time {
	life := c.NotAfter.Sub(c.NotBefore)
	jitter := time.Duration((rand.Float64() - 0.5) * 0.2 * float64(life))
	return c.NotBefore.Add(life/2 + jitter)
}

// verify verifies a new certificate; of an authority that the bundle lacks, once more with a fresh bundle.
func (r *Renewer) verify(ctx context.Context, next *identity.Identity) error {
	if r.config.Trust == nil {
		return nil
	}
	_, err := r.config.Trust().Verify(next.Certificate.DER, time.Now())
	if err == nil || r.config.Refresh == nil || r.config.Refresh(ctx) != nil {
		return err
	}
	_, err = r.config.Trust().Verify(next.Certificate.DER, time.Now())
	return err
}

func (r *Renewer) renew(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	login, err := LogIn(ctx, r.config.Vault, r.config.JWT)
	if err != nil {
		return err
	}
	defer func() {
		if err := login.Close(context.WithoutCancel(ctx)); err != nil {
			r.config.Log.Warn("a Vault token was not revoked; it ends by itself", "error", err)
		}
	}()
	next, err := login.Issue(ctx, r.Current().ID())
	if err != nil {
		return err
	}
	if err := r.verify(ctx, next); err != nil {
		return fmt.Errorf("verify the new certificate of %s: %w", next.ID(), err)
	}
	r.current.Store(next)
	r.failure.Store(nil)
	r.renewed.Add(1)
	r.config.Log.Info("renewed a call certificate", "id", next.ID().String(), "valid_until", next.Certificate.NotAfter)
	if r.config.Renewed != nil {
		r.config.Renewed(next)
	}
	if r.config.LoggedIn != nil {
		if err := r.config.LoggedIn(ctx, login.Client()); err != nil {
			r.config.Log.Warn("refreshing with the renewed login failed", "id", next.ID().String(), "error", err)
		}
	}
	return nil
}
