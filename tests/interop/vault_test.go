//go:build integration

package interop

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

func TestRacingDeploysMakeOneKey(t *testing.T) {
	client, function := newTransit(t), newFunction(t)
	if _, err := client.PublicKeys(within(t), function); !errors.Is(err, transit.ErrNoKey) {
		t.Fatalf("before the first deploy: %v", err)
	}
	ctx := within(t)
	var wg sync.WaitGroup
	var created atomic.Int32
	for range 8 {
		wg.Go(func() {
			made, err := client.EnsureKey(ctx, function)
			if err != nil {
				t.Error(err)
			}
			if made {
				created.Add(1)
			}
		})
	}
	wg.Wait()
	if r := ring(t, function); len(r.Versions) != 1 || r.MinVersion != 1 || r.Latest() != 1 || created.Load() == 0 {
		t.Errorf("%d calls say that they made the key: %+v", created.Load(), r)
	}
	if made, err := client.EnsureKey(ctx, function); made || err != nil {
		t.Errorf("later: %v, %v", made, err)
	}
}

func TestKeysThatAreNotFitAreRefused(t *testing.T) {
	for name, settings := range map[string]map[string]any{
		"another type": {"type": "ed25519"},
		"exportable":   {"type": "ecdsa-p256", "exportable": true},
		"backup":       {"type": "ecdsa-p256", "allow_plaintext_backup": true},
	} {
		function := newFunction(t)
		write(t, mount+"/keys/"+function, settings)
		if _, err := newTransit(t).EnsureKey(within(t), function); err == nil {
			t.Errorf("%s: accepted", name)
		}
		if _, err := newTransit(t).PublicKeys(within(t), function); err == nil {
			t.Errorf("%s: a key ring was made of it", name)
		}
	}
}

// TestRotationAndRetirement goes through the life of a key as a node sees it, which keeps its ring in a file.
func TestRotationAndRetirement(t *testing.T) {
	c := contents(newFunction(t))
	node, err := keyring.NewStore(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	refresh := func() keyring.KeyRing {
		t.Helper()
		r, _, err := node.Update(ring(t, c.Function))
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	verify := func(bundle []byte, want attest.Want, version int, reason attest.Reason) {
		t.Helper()
		r, err := node.Load(c.Function)
		if err != nil {
			t.Fatal(err)
		}
		a, err := attest.Verify(bundle, r, want)
		var refusal *attest.VerificationError
		switch {
		case reason == "" && (err != nil || a.Key.Version != version):
			t.Errorf("a signature of version %d: %v", version, err)
		case reason != "" && (!errors.As(err, &refusal) || refusal.Reason != reason):
			t.Errorf("a signature of version %d: %v, want %s", version, err, reason)
		}
	}
	first, want := sign(t, c)
	refresh()
	verify(first, want, 1, "")

	write(t, mount+"/keys/"+c.Function+"/rotate", nil)
	second, _ := sign(t, c)
	verify(first, want, 1, "")
	verify(second, want, 2, attest.UnknownVersion) // the node's ring is older than the key
	refresh()
	verify(first, want, 1, "")
	verify(second, want, 2, "")

	write(t, mount+"/keys/"+c.Function+"/config", map[string]any{"min_decryption_version": 2})
	if fresh := ring(t, c.Function); fresh.Versions[1] != "" || fresh.MinVersion != 2 {
		t.Fatalf("Vault still exports a retired version: %+v", fresh)
	}
	if r := refresh(); r.Versions[1] == "" || r.MinVersion != 2 {
		t.Errorf("the retired version is not archived: %+v", r)
	}
	verify(first, want, 1, attest.VersionRetired)
	verify(second, want, 2, "")

	write(t, mount+"/keys/"+c.Function+"/config", map[string]any{"min_decryption_version": 1})
	if r := refresh(); r.MinVersion != 2 {
		t.Errorf("the floor went back to %d", r.MinVersion)
	}
	verify(first, want, 1, attest.VersionRetired)
}

func TestDeniedIsNotUnreachable(t *testing.T) {
	vault := newVault(t)
	vault.SetToken("not-a-token")
	client, err := transit.New(vault, mount)
	if err != nil {
		t.Fatal(err)
	}
	function := newFunction(t)
	_, readErr := client.PublicKeys(within(t), function)
	_, ensureErr := client.EnsureKey(within(t), function)
	_, _, signErr := client.Signer(function).Sign(within(t), []byte("data"))
	for what, err := range map[string]error{"read": readErr, "ensure": ensureErr, "sign": signErr} {
		var denied *transit.DeniedError
		if !errors.As(err, &denied) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
