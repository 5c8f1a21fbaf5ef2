//go:build integration

package interop

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"testing"

	"countersign/artifact"
	"countersign/vaultsign/attest"
)

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

// repository returns a function's repository in the registry.
func repository(t testing.TB, function string) (artifact.Reference, artifact.Store) {
	t.Helper()
	ref, err := artifact.ParseReference(variable(t, "COUNTERSIGN_REGISTRY") + "/interop/" + function)
	if err != nil {
		t.Fatal(err)
	}
	store, err := artifact.Open(ref, true)
	if err != nil {
		t.Fatal(err)
	}
	return ref, store
}

func TestPushSignPullVerify(t *testing.T) {
	c := contents(newFunction(t))
	c.Wasm = nil
	c.Native = map[string][]byte{"linux/amd64": []byte("amd " + c.Function), "linux/arm64": []byte("arm " + c.Function)}
	ref, store := repository(t, c.Function)
	nowhere := ref.WithDigest(digestOf([]byte("x")))
	if _, err := artifact.Pull(within(t), store, nowhere); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("pulling what is not there: %v", err)
	}
	d, pushed, err := artifact.Push(within(t), store, c)
	if err != nil || !pushed {
		t.Fatalf("%v, %v", pushed, err)
	}
	if _, pushed, err := artifact.Push(within(t), store, c); err != nil || pushed {
		t.Errorf("again: %v, %v", pushed, err)
	}
	ref = ref.WithDigest(d.Digest.String())
	if b, err := artifact.Bundles(within(t), store, ref); err != nil || len(b) != 0 {
		t.Errorf("before it was signed: %d bundles, %v", len(b), err)
	}
	bundle, want := sign(t, c)
	if err := artifact.AttachBundle(within(t), store, ref, bundle, attest.PredicateType); err != nil {
		t.Fatal(err)
	}
	cache, err := artifact.NewCache(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	l, err := cache.Load(within(t), store, ref)
	if err != nil || l.NotKept != nil {
		t.Fatal(err, l)
	}
	if _, err := attest.VerifyAny(l.Bundles, ring(t, c.Function), want); err != nil {
		t.Error(err)
	}
	if l, err = cache.Load(within(t), nil, ref); err != nil || len(l.Bundles) != 1 || len(l.Native) != 2 {
		t.Errorf("from the cache: %+v, %v", l, err)
	}
	if err := store.Tag(within(t), d, "stable"); err != nil {
		t.Fatal(err)
	}
	tagged, err := artifact.ParseReference(ref.Registry + "/" + ref.Repository + ":stable")
	if err != nil {
		t.Fatal(err)
	}
	if pinned, err := artifact.Resolve(within(t), store, tagged); err != nil || pinned.Digest != ref.Digest {
		t.Errorf("resolved to %s, %v", pinned, err)
	}
}

// TestRacingAttachments has several writers, each with a client of its own as separate processes have. The registry
// has no compare-and-set, so one may undo another; but none fails, and attaching again, one by one, mends the list.
func TestRacingAttachments(t *testing.T) {
	c := contents(newFunction(t))
	ref, store := repository(t, c.Function)
	d, _, err := artifact.Push(within(t), store, c)
	if err != nil {
		t.Fatal(err)
	}
	ref = ref.WithDigest(d.Digest.String())
	ctx := within(t)
	attach := func(n int) {
		_, store := repository(t, c.Function)
		if err := artifact.AttachBundle(ctx, store, ref, fmt.Appendf(nil, `{"n":%d}`, n), attest.PredicateType); err != nil {
			t.Error(err)
		}
	}
	const writers = 3
	var wg sync.WaitGroup
	for n := range writers {
		wg.Go(func() { attach(n) })
	}
	wg.Wait()
	if b, err := artifact.Bundles(ctx, store, ref); err != nil || len(b) == 0 {
		t.Errorf("%d bundles are attached: %v", len(b), err)
	}
	for n := range writers {
		attach(n)
	}
	if b, err := artifact.Bundles(ctx, store, ref); err != nil || len(b) != writers {
		t.Errorf("%d of %d bundles are attached: %v", len(b), writers, err)
	}
}
