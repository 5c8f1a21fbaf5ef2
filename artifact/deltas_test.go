package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"countersign/artifact/delta"
)

// weighed counts the bytes of what is fetched.
type weighed struct {
	Store
	bytes atomic.Int64
}

func (w *weighed) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	w.bytes.Add(d.Size)
	return w.Store.Fetch(ctx, d)
}

// stuck does not answer who asks for a delta.
type stuck struct {
	Store
	asked atomic.Int64
}

func (s *stuck) Fetch(ctx context.Context, d ocispec.Descriptor) (io.ReadCloser, error) {
	if d.MediaType == TypeDelta {
		s.asked.Add(1)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return s.Store.Fetch(ctx, d)
}

// versions are two of a function that have most of their bytes in common, the second with some more in the middle.
func versions() (before, after Contents) {
	r := rand.New(rand.NewPCG(7, 7))
	code := make([]byte, 300<<10)
	for i := range code {
		code[i] = byte(r.Uint32())
	}
	before, after = quote(), quote()
	before.Wasm = code
	after.Wasm = append(append(bytes.Clone(code[:100<<10]), "a new helper"...), code[100<<10:]...)
	return before, after
}

// TestDelta has a node that runs a version fetch the next one: as a delta, and from its own cache if only the spec changed.
func TestDelta(t *testing.T) {
	store, cache := &weighed{Store: newStore(t)}, newCache(t, t.TempDir())
	first, second := versions()
	before, after := pushed(t, store, first), pushed(t, store, second)
	if l, err := cache.Load(t.Context(), store, before); err != nil || l.Transfer != (Transfer{Size: 300 << 10, Fetched: 300 << 10}) {
		t.Fatalf("%+v, %v", l, err)
	}
	for range 2 {
		n, instead, err := AttachDeltas(t.Context(), store, after, before, second)
		if err != nil || n == 0 || n > 1000 || instead != int64(len(second.Wasm)) {
			t.Fatalf("deltas of %d bytes instead of %d, %v", n, instead, err)
		}
	}
	if list, err := listReferrers(t.Context(), store, descriptorOf(t, store, after), TypeDelta); err != nil || len(list) != 1 {
		t.Errorf("%d deltas, %v", len(list), err)
	}
	store.bytes.Store(0)
	l, err := cache.Load(t.Context(), store, after)
	if err != nil || !bytes.Equal(l.Wasm, second.Wasm) || l.Transfer.Deltas != 1 || l.Transfer.Fetched > 1000 || l.NotKept != nil {
		t.Fatalf("%+v, %v", l.Transfer, err)
	}
	if n := store.bytes.Load(); n > 5000 {
		t.Errorf("it fetched %d bytes", n)
	}
	respecified := second
	respecified.Spec = []byte(`function "quote" { timeout = "1s" }`)
	only := pushed(t, store, respecified)
	store.bytes.Store(0)
	l, err = cache.Load(t.Context(), store, only)
	if err != nil || l.Transfer.Fetched != 0 || !bytes.Equal(l.Spec, respecified.Spec) || store.bytes.Load() > 5000 {
		t.Errorf("a spec that changed: %+v, %v, %d bytes", l, err, store.bytes.Load())
	}
	if l, err = newCache(t, t.TempDir()).Load(t.Context(), store, after); err != nil || l.Transfer.Deltas != 0 || !bytes.Equal(l.Wasm, second.Wasm) {
		t.Errorf("a node that has nothing: %+v, %v", l, err)
	}
}

// TestNoDelta makes none where it is not worth it.
func TestNoDelta(t *testing.T) {
	store := newStore(t)
	first, second := versions()
	other := quote()
	other.Wasm = bytes.Repeat([]byte("nothing in common "), 10000)
	before := pushed(t, store, first)
	for name, c := range map[string]Contents{"too small": quote(), "the same": first, "another kind": native()} {
		if n, _, err := AttachDeltas(t.Context(), store, pushed(t, store, c), before, c); n != 0 || err != nil {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
	}
	r := rand.New(rand.NewPCG(8, 8))
	for i := range second.Wasm {
		second.Wasm[i] = byte(r.Uint32())
	}
	if n, _, err := AttachDeltas(t.Context(), store, pushed(t, store, second), before, second); n != 0 || err != nil {
		t.Errorf("nothing in common: %d bytes, %v", n, err)
	}
}

func descriptorOf(t *testing.T, store Store, ref Reference) ocispec.Descriptor {
	t.Helper()
	d, err := resolve(t.Context(), store, ref)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestForeignDeltas has everybody who may push attach what he likes: the node fetches the whole artifact, and never another one.
func TestForeignDeltas(t *testing.T) {
	first, second := versions()
	evil := bytes.Clone(second.Wasm)
	evil[1000]++
	digestOf := func(b []byte) string { return newBlob(TypeWasm, b, nil).descriptor.Digest.String() }
	good, err := delta.Make(first.Wasm, second.Wasm)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := delta.Make(first.Wasm, evil)
	if err != nil {
		t.Fatal(err)
	}
	none := func(*ocispec.Manifest) {}
	for name, tc := range map[string]struct {
		content  []byte
		from, to string
		edit     func(*ocispec.Manifest)
		fetched  bool // the delta was good
	}{
		"good":               {good, digestOf(first.Wasm), digestOf(second.Wasm), none, true},
		"of something else":  {bad, digestOf(first.Wasm), digestOf(second.Wasm), none, false},
		"damaged":            {good[:len(good)-1], digestOf(first.Wasm), digestOf(second.Wasm), none, false},
		"from nothing known": {good, "sha256:" + strings.Repeat("0", 64), digestOf(second.Wasm), none, false},
		"from a path":        {good, "sha256:../../../etc/passwd", digestOf(second.Wasm), none, false},
		"from a pattern":     {good, "sha256:" + strings.Repeat("?", 64), digestOf(second.Wasm), none, false},
		"larger than it":     {make([]byte, 400<<10), digestOf(first.Wasm), digestOf(second.Wasm), none, false},
		"of another type":    {good, digestOf(first.Wasm), digestOf(second.Wasm), func(m *ocispec.Manifest) { m.Layers[0].MediaType = "text/plain" }, false},
		"two layers":         {good, digestOf(first.Wasm), digestOf(second.Wasm), func(m *ocispec.Manifest) { m.Layers = append(m.Layers, m.Layers[0]) }, false},
		"a size that lies":   {good, digestOf(first.Wasm), digestOf(second.Wasm), func(m *ocispec.Manifest) { m.Layers[0].Size++ }, false},
	} {
		t.Run(name, func(t *testing.T) {
			store, cache := newStore(t), newCache(t, t.TempDir())
			before, after := pushed(t, store, first), pushed(t, store, second)
			if _, err := cache.Load(t.Context(), store, before); err != nil {
				t.Fatal(err)
			}
			attachForeign(t, store, after, tc.content, map[string]string{annotationFrom: tc.from, annotationTo: tc.to}, tc.edit)
			l, err := cache.Load(t.Context(), store, after)
			if err != nil || !bytes.Equal(l.Wasm, second.Wasm) || (l.Transfer.Deltas == 1) != tc.fetched ||
				name == "larger than it" && l.Transfer.Fetched != int64(len(second.Wasm)) {
				t.Errorf("%+v, %v", l.Transfer, err)
			}
		})
	}
	t.Run("many", func(t *testing.T) {
		store, cache := &weighed{Store: newStore(t)}, newCache(t, t.TempDir())
		before, after := pushed(t, store, first), pushed(t, store, second)
		if _, err := cache.Load(t.Context(), store, before); err != nil {
			t.Fatal(err)
		}
		for i := range 20 {
			attachForeign(t, store, after, append(make([]byte, 100<<10), byte(i)), map[string]string{annotationFrom: digestOf(first.Wasm), annotationTo: digestOf(second.Wasm)}, none)
		}
		store.bytes.Store(0)
		if _, err := cache.Load(t.Context(), store, after); err != nil || store.bytes.Load() > 2*int64(len(second.Wasm)) {
			t.Errorf("%v; it fetched %d bytes for %d", err, store.bytes.Load(), len(second.Wasm))
		}
	})
	t.Run("all is counted", func(t *testing.T) {
		store, cache := newStore(t), newCache(t, t.TempDir())
		before, after := pushed(t, store, first), pushed(t, store, second)
		if _, err := cache.Load(t.Context(), store, before); err != nil {
			t.Fatal(err)
		}
		attachForeign(t, store, after, bad, map[string]string{annotationFrom: digestOf(first.Wasm), annotationTo: digestOf(second.Wasm)}, none)
		if l, err := cache.Load(t.Context(), store, after); err != nil || l.Transfer.Fetched != int64(len(bad)+len(second.Wasm)) {
			t.Errorf("%+v, %v", l.Transfer, err)
		}
	})
	t.Run("that never comes", func(t *testing.T) {
		defer func(before time.Duration) { deltaTime = before }(deltaTime)
		deltaTime = 100 * time.Millisecond
		store, cache := &stuck{Store: newStore(t)}, newCache(t, t.TempDir())
		before, after := pushed(t, store, first), pushed(t, store, second)
		if _, err := cache.Load(t.Context(), store, before); err != nil {
			t.Fatal(err)
		}
		if _, _, err := AttachDeltas(t.Context(), store, after, before, second); err != nil {
			t.Fatal(err)
		}
		if l, err := cache.Load(t.Context(), store, after); err != nil || !bytes.Equal(l.Wasm, second.Wasm) || l.Transfer.Deltas != 0 || store.asked.Load() != 1 {
			t.Errorf("%+v, %v; asked %d times", l, err, store.asked.Load())
		}
	})
	t.Run("from what rotted", func(t *testing.T) {
		store, dir := newStore(t), t.TempDir()
		cache := newCache(t, dir)
		before, after := pushed(t, store, first), pushed(t, store, second)
		if _, err := cache.Load(t.Context(), store, before); err != nil {
			t.Fatal(err)
		}
		if _, _, err := AttachDeltas(t.Context(), store, after, before, second); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, before.Digest[len("sha256:"):], digestOf(first.Wasm)[len("sha256:"):])
		if err := os.WriteFile(path, evil[:300<<10], 0o600); err != nil {
			t.Fatal(err)
		}
		if l, err := cache.Load(t.Context(), store, after); err != nil || !bytes.Equal(l.Wasm, second.Wasm) || l.Transfer.Deltas != 0 {
			t.Errorf("%+v, %v", l, err)
		}
	})
}

// attachForeign attaches a delta as somebody else would.
func attachForeign(t *testing.T, store Store, ref Reference, content []byte, annotations map[string]string, edit func(*ocispec.Manifest)) {
	t.Helper()
	manifest, parts, err := referrerManifest(descriptorOf(t, store, ref), newBlob(TypeDelta, content, nil), annotations)
	if err != nil {
		t.Fatal(err)
	}
	var m ocispec.Manifest
	if err := json.Unmarshal(manifest.content, &m); err != nil {
		t.Fatal(err)
	}
	edit(&m)
	src, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range append(parts, newBlob(ocispec.MediaTypeImageManifest, src, nil)) {
		if _, err := pushMissing(t.Context(), store, b); err != nil {
			t.Fatal(err)
		}
	}
}
