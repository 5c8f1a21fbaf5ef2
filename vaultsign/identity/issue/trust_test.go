package issue

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"countersign/vaultsign/identity"
)

func TestTrustStore(t *testing.T) {
	v := newFaultyVault(t)
	file := filepath.Join(t.TempDir(), "bundle.pem")
	store, err := OpenTrust(v.config, testDomain, file)
	must(t, err)
	if store.Bundle() != nil {
		t.Error("a bundle from nowhere")
	}
	v.failNext(503)
	if err := store.Refresh(t.Context()); !isUnreachable(err) {
		t.Errorf("Vault is sealed: %v", err)
	}
	must(t, store.Refresh(t.Context()))
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the cache has mode %v", info.Mode())
	}
	bundle := store.Bundle()
	v.failNext(403)
	if err := store.Refresh(t.Context()); !isDenied(err) || store.Bundle() != bundle {
		t.Errorf("refused: %v", err)
	}
	v.Close()
	again, err := OpenTrust(v.config, testDomain, file)
	must(t, err)
	if !again.Bundle().Equal(bundle) {
		t.Error("the cache lost the bundle")
	}
	if err := again.Refresh(t.Context()); !isUnreachable(err) || again.Bundle() == nil {
		t.Errorf("Vault is away: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
	must(t, os.WriteFile(file, []byte("damaged"), 0o600))
	if _, err := OpenTrust(v.config, testDomain, file); err == nil {
		t.Error("a damaged cache was read")
	}
}

func TestTrustStoreKeepsRefreshing(t *testing.T) {
	v := newFaultyVault(t)
	store, err := OpenTrust(v.config, testDomain, filepath.Join(t.TempDir(), "bundle.pem"))
	must(t, err)
	v.failNext(500)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		store.Keep(ctx, time.Millisecond, func(err error) { failed <- err })
	}()
	if err := <-failed; !isUnreachable(err) {
		t.Errorf("the first refresh: %v", err)
	}
	for deadline := time.Now().Add(20 * time.Second); store.Bundle() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no bundle")
		}
	}
	cancel()
	<-done
}

// TestTrustStoreSoon asks for a refresh before its time: who asked to be told is told of the new bundle, once.
func TestTrustStoreSoon(t *testing.T) {
	v := newFaultyVault(t)
	store, err := OpenTrust(v.config, testDomain, filepath.Join(t.TempDir(), "bundle.pem"))
	must(t, err)
	changed := make(chan *identity.Bundle, 8)
	store.Changed = func(b *identity.Bundle) { changed <- b }
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		store.Keep(ctx, time.Hour, func(err error) { t.Error(err) })
	}()
	store.Soon()
	select {
	case b := <-changed:
		if b != store.Bundle() {
			t.Error("it is told of another bundle than there is")
		}
	case <-time.After(30 * time.Second):
		t.Fatal("it was not refreshed")
	}
	must(t, store.Refresh(t.Context()))
	cancel()
	<-ended
	if len(changed) != 0 {
		t.Error("the same bundle again is told as another")
	}
}
