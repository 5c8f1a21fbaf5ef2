package artifact

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// away is a registry that is not there.
type away struct{ Store }

var errAway = &UnreachableError{Op: "testing", Err: errors.New("connection refused")}

func (away) Resolve(context.Context, string) (ocispec.Descriptor, error) {
	return ocispec.Descriptor{}, errAway
}

func newCache(t testing.TB, dir string) *Cache {
	t.Helper()
	c, err := NewCache(dir)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCacheServesWhileTheRegistryIsAway(t *testing.T) {
	store, dir := newStore(t), t.TempDir()
	ref := pushed(t, store, quote(), `{"b":1}`)
	first, err := newCache(t, dir).Load(context.Background(), store, ref)
	if err != nil || first.Cached || first.NotKept != nil {
		t.Fatalf("%+v, %v", first, err)
	}
	for name, store := range map[string]Store{"away": away{}, "none": nil} {
		l, err := newCache(t, dir).Load(context.Background(), store, ref)
		if err != nil || !l.Cached || string(l.Wasm) != string(quote().Wasm) || len(l.Bundles) != 1 || l.Function != "quote" {
			t.Errorf("%s: %+v, %v", name, l, err)
		}
	}
	other := ref.WithDigest(digest.FromString("other").String())
	var unreachable *UnreachableError
	if _, err := newCache(t, dir).Load(context.Background(), away{}, other); !errors.As(err, &unreachable) {
		t.Errorf("what is not cached, registry away: %v", err)
	}
	if _, err := newCache(t, dir).Load(context.Background(), nil, other); !errors.Is(err, ErrNotFound) {
		t.Errorf("what is not cached, no registry: %v", err)
	}
	if _, err := newCache(t, dir).Load(context.Background(), store, ref.WithDigest("")); err == nil {
		t.Error("loaded without a digest")
	}
}

func TestBundlesAreRefreshed(t *testing.T) {
	store, cache := newStore(t), newCache(t, t.TempDir())
	ref := pushed(t, store, quote())
	if l, err := cache.Load(context.Background(), store, ref); err != nil || len(l.Bundles) != 0 {
		t.Fatalf("%+v, %v", l, err)
	}
	pushed(t, store, quote(), `{"b":1}`)
	if l, err := cache.Load(context.Background(), store, ref); err != nil || len(l.Bundles) != 1 || l.Cached {
		t.Fatalf("without cached bundles the registry is asked: %+v, %v", l, err)
	}
	pushed(t, store, quote(), `{"b":2}`)
	if l, err := cache.Load(context.Background(), store, ref); err != nil || len(l.Bundles) != 1 || !l.Cached {
		t.Fatalf("with cached bundles it is not: %+v, %v", l, err)
	}
	if b, err := cache.RefreshBundles(context.Background(), store, ref); err != nil || len(b) != 2 {
		t.Fatalf("%q, %v", b, err)
	}
	if _, err := cache.RefreshBundles(context.Background(), away{}, ref); err == nil {
		t.Error("refreshed from a registry that is away")
	}
	if l, err := cache.Load(context.Background(), away{}, ref); err != nil || len(l.Bundles) != 2 {
		t.Fatalf("%+v, %v", l, err)
	}
	uncached := pushed(t, store, native(), `{"b":3}`)
	if b, err := cache.RefreshBundles(context.Background(), store, uncached); err != nil || len(b) != 1 {
		t.Errorf("of an artifact that is not cached: %q, %v", b, err)
	}
}

// TestDamagedCache damages every file of an entry in every way: it is never served, and mended from the registry.
func TestDamagedCache(t *testing.T) {
	store, dir := newStore(t), t.TempDir()
	ref := pushed(t, store, quote(), `{"b":1}`)
	cache := newCache(t, dir)
	if _, err := cache.Load(context.Background(), store, ref); err != nil {
		t.Fatal(err)
	}
	damages := map[string]func(path string) error{
		"one bit":   func(p string) error { return rewrite(p, func(b []byte) []byte { b[0] ^= 1; return b }) },
		"truncated": func(p string) error { return rewrite(p, func(b []byte) []byte { return b[:len(b)-1] }) },
		"longer":    func(p string) error { return rewrite(p, func(b []byte) []byte { return append(b, 0) }) },
		"removed":   os.Remove,
		"a link": func(p string) error {
			return errors.Join(os.Rename(p, p+".moved"), os.Symlink(p+".moved", p))
		},
	}
	module, spec := digest.FromBytes(quote().Wasm).Encoded(), digest.FromBytes(quote().Spec).Encoded()
	for _, name := range []string{manifestFile, module, spec} {
		for damage, do := range damages {
			if err := do(filepath.Join(cache.entry(ref), name)); err != nil {
				t.Fatal(err)
			}
			var wrong *DigestError
			if l, err := cache.Load(context.Background(), nil, ref); err == nil || l != nil {
				t.Errorf("%s, %s: served", name, damage)
			} else if !errors.As(err, &wrong) && damage != "removed" {
				t.Errorf("%s, %s: %v", name, damage, err)
			}
			l, err := cache.Load(context.Background(), store, ref)
			if err != nil || string(l.Wasm) != string(quote().Wasm) || l.NotKept != nil {
				t.Fatalf("%s, %s: not mended: %+v, %v", name, damage, l, err)
			}
			if _, err := cache.Load(context.Background(), nil, ref); err != nil {
				t.Errorf("%s, %s: the mended entry is not served: %v", name, damage, err)
			}
		}
	}
	bundle := filepath.Join(cache.entry(ref), bundlesDir, digest.FromString(`{"b":1}`).Encoded())
	if err := rewrite(bundle, func(b []byte) []byte { b[1] ^= 1; return b }); err != nil {
		t.Fatal(err)
	}
	l, err := cache.Load(context.Background(), store, ref)
	if err != nil || len(l.Bundles) != 1 || string(l.Bundles[0]) != `{"b":1}` {
		t.Errorf("a damaged bundle: %+v, %v", l, err)
	}
}

func rewrite(path string, edit func([]byte) []byte) error {
	b, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	return os.WriteFile(path, edit(b), 0o600)
}

func TestAlteredArtifactsAreNotCached(t *testing.T) {
	store, cache := newStore(t), newCache(t, t.TempDir())
	ref := pushed(t, store, quote(), `{"b":1}`)
	bad := altered{Store: store, digest: quote().SpecDigest(), edit: func(b []byte) []byte { b[0] ^= 1; return b }}
	var wrong *DigestError
	if _, err := cache.Load(context.Background(), bad, ref); !errors.As(err, &wrong) {
		t.Errorf("loaded: %v", err)
	}
	if _, err := os.Stat(cache.entry(ref)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was cached: %v", err)
	}
}

// version is an artifact of about 100 KiB that differs from other versions.
func version(n int) Contents {
	c := quote()
	c.Wasm = []byte(fmt.Sprintf("%d %s", n, strings.Repeat("x", 100<<10)))
	return c
}

func TestLeastRecentlyUsedEntriesGo(t *testing.T) {
	store, cache := newStore(t), newCache(t, t.TempDir())
	cache.MaxBytes = 250 << 10 // two of them
	var refs []Reference
	for n := range 4 {
		refs = append(refs, pushed(t, store, version(n), `{"b":1}`))
	}
	load := func(n int) {
		t.Helper()
		if l, err := cache.Load(context.Background(), store, refs[n]); err != nil || l.NotKept != nil {
			t.Fatalf("%+v, %v", l, err)
		}
		// The clock of a file system may be coarse: make the order of use plain.
		then := time.Now().Add(-time.Hour)
		for _, ref := range refs {
			if info, err := os.Stat(cache.entry(ref)); err == nil && ref != refs[n] {
				_ = os.Chtimes(cache.entry(ref), then, info.ModTime().Add(-time.Minute))
			}
		}
	}
	cached := func(n int) bool {
		_, err := os.Stat(cache.entry(refs[n]))
		return err == nil
	}
	load(0)
	load(1)
	load(0)
	load(2)
	if !cached(0) || cached(1) || !cached(2) {
		t.Errorf("cached: %v %v %v; want the one used longest ago gone", cached(0), cached(1), cached(2))
	}
	cache.MaxBytes = 1
	load(3)
	if cached(0) || cached(2) || !cached(3) {
		t.Errorf("cached: %v %v %v; want only the one that was just loaded", cached(0), cached(2), cached(3))
	}
}

func TestTrimRemovesWhatInterruptedProcessesLeft(t *testing.T) {
	dir := t.TempDir()
	cache := newCache(t, dir)
	left := filepath.Join(dir, workPrefix+"1")
	if err := os.MkdirAll(filepath.Join(left, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	release, err := newCache(t, dir).lock(1) // LOCK_SH: a load is under way elsewhere
	if err != nil {
		t.Fatal(err)
	}
	if err := cache.Trim(Reference{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err != nil {
		t.Error("removed under a load's feet")
	}
	release()
	if err := cache.Trim(Reference{}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(left); err == nil {
		t.Error("not removed")
	}
}

func TestConcurrentLoads(t *testing.T) {
	store, dir := newStore(t), t.TempDir()
	var refs []Reference
	for n := range 4 {
		refs = append(refs, pushed(t, store, version(n), `{"b":1}`))
	}
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			cache, err := NewCache(dir) // as another process would
			if err != nil {
				t.Error(err)
				return
			}
			cache.MaxBytes = 250 << 10
			for i := range 8 {
				ref := refs[(n+i)%len(refs)]
				l, err := cache.Load(context.Background(), store, ref)
				if err != nil || len(l.Bundles) != 1 || l.FileDigests()[0] != version((n + i) % len(refs)).Files()[0].Digest {
					t.Errorf("%v", err)
				}
			}
		})
	}
	wg.Wait()
	last := newCache(t, dir)
	last.MaxBytes = 250 << 10
	if err := last.Trim(Reference{}); err != nil {
		t.Error(err)
	}
	if size := sizeOf(dir); size > last.MaxBytes {
		t.Errorf("%d bytes are left", size)
	}
}
