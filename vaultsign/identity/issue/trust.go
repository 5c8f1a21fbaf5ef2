package issue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/renameio/v2"
	"github.com/hashicorp/vault/api"

	"countersign/vaultsign/identity"
)

// maxIssuers bounds how many authorities of a PKI mount are fetched.
const maxIssuers = 64

// TrustStore holds a trust domain's bundle: fetched from Vault, kept on disk, usable while Vault is away.
type TrustStore struct {
	config      Config
	trustDomain string
	file        string
	client      *api.Client
	soon        chan struct{} // asks Keep for a refresh

	// Changed, if set before the first refresh, is called when there is another bundle.
	Changed func(*identity.Bundle)

	refreshing sync.Mutex
	bundle     atomic.Pointer[identity.Bundle]
	fetched    atomic.Pointer[time.Time]
}

// OpenTrust opens the store whose cache is file, a PEM file of mode 0600 in a directory that exists. It asks nobody: a
// bundle is there if the cache has one, otherwise after Refresh. A damaged cache is an error.
func OpenTrust(config Config, trustDomain, file string) (*TrustStore, error) {
	t, err := newTrust(config, trustDomain)
	if err != nil {
		return nil, err
	}
	t.file = file
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return t, nil
	case err != nil:
		return nil, fmt.Errorf("read the cached trust bundle: %w", err)
	}
	bundle, err := identity.ParseBundle(trustDomain, data)
	if err != nil {
		return nil, fmt.Errorf("read the cached trust bundle %s (remove the file to fetch it anew): %w", file, err)
	}
	t.bundle.Store(bundle)
	return t, nil
}

// FetchBundle returns the trust bundle as Vault has it now, for a program that runs once and keeps nothing.
func FetchBundle(ctx context.Context, config Config, trustDomain string) (*identity.Bundle, error) {
	t, err := newTrust(config, trustDomain)
	if err != nil {
		return nil, err
	}
	return t.fetchBundle(ctx)
}

func newTrust(config Config, trustDomain string) (*TrustStore, error) {
	if err := config.check("PKI mount"); err != nil {
		return nil, err
	}
	if err := identity.CheckTrustDomain(trustDomain); err != nil {
		return nil, fmt.Errorf("open the trust bundle: %w", err)
	}
	client, err := config.Client()
	if err != nil {
		return nil, err
	}
	return &TrustStore{config: config, trustDomain: trustDomain, client: client, soon: make(chan struct{}, 1)}, nil
}

// Bundle returns the current bundle, or nil if there never was one. It keeps its address while its content is the same.
func (t *TrustStore) Bundle() *identity.Bundle { return t.bundle.Load() }

// Fetched returns when Vault last told the bundle, or the zero time if it did not since the store was opened.
func (t *TrustStore) Fetched() time.Time {
	if at := t.fetched.Load(); at != nil {
		return *at
	}
	return time.Time{}
}

// Refresh fetches the bundle: all authorities of the PKI mount, so that certificates of an authority that was just
// replaced stay valid. If it fails the old bundle stays.
func (t *TrustStore) Refresh(ctx context.Context) error {
	t.refreshing.Lock()
	defer t.refreshing.Unlock()
	bundle, err := t.fetchBundle(ctx)
	if err != nil {
		return err
	}
	now := time.Now()
	t.fetched.Store(&now)
	if bundle.Equal(t.bundle.Load()) {
		return nil
	}
	// Use it even if it cannot be kept.
	t.bundle.Store(bundle)
	if t.Changed != nil {
		t.Changed(bundle)
	}
	if err := writeFile(t.file, bundle.PEM()); err != nil {
		return fmt.Errorf("keep the trust bundle: %w", err)
	}
	return nil
}

// Soon asks Keep for a refresh now, and does not wait for it.
func (t *TrustStore) Soon() {
	select {
	case t.soon <- struct{}{}:
	default:
	}
}

// Keep refreshes the bundle every period, and when Soon asks for it, until ctx is done, and hands errors to failed.
func (t *TrustStore) Keep(ctx context.Context, period time.Duration, failed func(error)) {
	ticker := time.NewTicker(period)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-t.soon:
		}
		if err := t.Refresh(ctx); err != nil && ctx.Err() == nil {
			failed(err)
		}
	}
}

func (t *TrustStore) fetchBundle(ctx context.Context) (*identity.Bundle, error) {
	data, err := t.fetch(ctx)
	if err != nil {
		return nil, err
	}
	bundle, err := identity.ParseBundle(t.trustDomain, data)
	if err != nil {
		return nil, fmt.Errorf("fetch the trust bundle from Vault's %s: %w", t.config.PKIMount, err)
	}
	return bundle, nil
}

// fetch reads the mount's authorities, for which Vault asks no token.
func (t *TrustStore) fetch(ctx context.Context) ([]byte, error) {
	const op = "fetch the trust bundle"
	path := t.config.PKIMount + "/issuers"
	list, err := t.client.Logical().ListWithContext(ctx, path)
	if err != nil {
		return nil, classify(op, path, err)
	}
	var ids []any
	if list != nil {
		ids, _ = list.Data["keys"].([]any)
	}
	if len(ids) == 0 || len(ids) > maxIssuers {
		return nil, fmt.Errorf("%s: Vault's %s has %d authorities; want 1 to %d", op, t.config.PKIMount, len(ids), maxIssuers)
	}
	var out bytes.Buffer
	for _, id := range ids {
		path := fmt.Sprintf("%s/issuer/%v/json", t.config.PKIMount, id)
		secret, err := t.client.Logical().ReadWithContext(ctx, path)
		if err != nil {
			return nil, classify(op, path, err)
		}
		text := ""
		if secret != nil {
			text, _ = secret.Data["certificate"].(string)
		}
		if text == "" {
			return nil, fmt.Errorf("%s: Vault's %s has no certificate", op, path)
		}
		out.WriteString(text + "\n")
	}
	return out.Bytes(), nil
}

// writeFile replaces a file, with mode 0600, so that a reader, or a crash, sees the old content or the new one.
func writeFile(file string, data []byte) error {
	f, err := renameio.NewPendingFile(file, renameio.WithTempDir(filepath.Dir(file)), renameio.WithStaticPermissions(0o600))
	if err != nil {
		return err
	}
	defer f.Cleanup() // does nothing after the rename
	if _, err := f.Write(data); err != nil {
		return err
	}
	return f.CloseAtomicallyReplace()
}
