package artifact

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
)

// The tests in this file hold one check each, where another one before or behind it would refuse as well.

// resolving is a store that answers the question for a digest with a descriptor of its own, and that lists referrers.
type resolving struct {
	Store
	answer    ocispec.Descriptor
	referrers []ocispec.Descriptor
}

func (r resolving) Resolve(context.Context, string) (ocispec.Descriptor, error) { return r.answer, nil }

func (r resolving) Referrers(_ context.Context, _ ocispec.Descriptor, _ string, fn func([]ocispec.Descriptor) error) error {
	return fn(r.referrers)
}

var _ registry.ReferrerLister = resolving{}

// TestAnswersThatAreNotTheManifest has a registry that names something else than what was asked for.
func TestAnswersThatAreNotTheManifest(t *testing.T) {
	store := newStore(t)
	ref := pushed(t, store, quote())
	good, err := store.Resolve(t.Context(), ref.Digest)
	if err != nil {
		t.Fatal(err)
	}
	edit := func(f func(*ocispec.Descriptor)) ocispec.Descriptor { d := good; f(&d); return d }
	for name, answer := range map[string]ocispec.Descriptor{
		"another digest": edit(func(d *ocispec.Descriptor) { d.Digest = digest.FromString("other") }),
		"another type":   edit(func(d *ocispec.Descriptor) { d.MediaType = ocispec.MediaTypeImageIndex }),
		"a huge one":     edit(func(d *ocispec.Descriptor) { d.Size = maxManifest + 1 }),
	} {
		var digests *DigestError
		var layout *LayoutError
		if _, err := resolve(t.Context(), resolving{Store: store, answer: answer}, ref); !errors.As(err, &digests) && !errors.As(err, &layout) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := resolve(t.Context(), resolving{Store: store, answer: good}, ref); err != nil {
		t.Errorf("what it is: %v", err)
	}
}

// TestOnlyDigestsAreResolved has a registry that would answer for a tag, and a cache that would look for a file.
func TestOnlyDigestsAreResolved(t *testing.T) {
	store := newStore(t)
	ref := pushed(t, store, quote())
	answer, err := store.Resolve(t.Context(), ref.Digest)
	if err != nil {
		t.Fatal(err)
	}
	cache := newCache(t, t.TempDir())
	for _, sum := range []string{"", "latest", "sha256:../../etc", "sha512:" + strings.Repeat("a", 128), "sha256:abc"} {
		answer.Digest = digest.Digest(sum)
		asked := &counted{Store: resolving{Store: store, answer: answer}}
		if d, err := resolve(t.Context(), asked, ref.WithDigest(sum)); err == nil || asked.n != 0 {
			t.Errorf("%q is resolved to %v, %v; asked %d times", sum, d, err, asked.n)
		}
		if _, err := cache.Load(t.Context(), asked, ref.WithDigest(sum)); err == nil || !strings.Contains(err.Error(), "loading ") {
			t.Errorf("%q is looked for in the cache: %v", sum, err)
		}
	}
}

// counted counts how often a store is asked.
type counted struct {
	Store
	n int
}

func (c *counted) Resolve(ctx context.Context, s string) (ocispec.Descriptor, error) {
	c.n++
	return c.Store.Resolve(ctx, s)
}

// endless never ends, and counts what was read of it.
type endless struct{ read int64 }

func (e *endless) Read(b []byte) (int, error) {
	e.read += int64(len(b))
	if e.read > 1<<24 {
		return 0, errors.New("it was read on and on")
	}
	return len(b), nil
}

// TestNoMoreIsReadThanWasAnnounced has a registry that sends bytes without end.
func TestNoMoreIsReadThanWasAnnounced(t *testing.T) {
	var from endless
	_, err := readVerified(&from, ocispec.Descriptor{Digest: digest.FromString("x"), Size: 10})
	var mismatch *mismatchError
	if !errors.As(err, &mismatch) || from.read > 1<<20 {
		t.Errorf("%v after %d bytes", err, from.read)
	}
	// The rest of what was announced has the right digest.
	if _, err := readVerified(strings.NewReader("xy"), ocispec.Descriptor{Digest: digest.FromString("x"), Size: 1}); !errors.As(err, &mismatch) {
		t.Errorf("one byte more: %v", err)
	}
}

// TestManyLayers has a manifest with more layers than a function has platforms.
func TestManyLayers(t *testing.T) {
	m := ocispec.Manifest{MediaType: ocispec.MediaTypeImageManifest, ArtifactType: TypeFunction}
	for range maxLayers + 1 {
		m.Layers = append(m.Layers, newBlob("application/x", []byte("x"), nil).descriptor)
	}
	src, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parseManifest("it", src); err == nil || !strings.Contains(err.Error(), "layers") {
		t.Errorf("%v", err)
	}
}

// TestBundleOfAnotherArtifact lists the bundle of one artifact among the referrers of another.
func TestBundleOfAnotherArtifact(t *testing.T) {
	store := newStore(t)
	ref := pushed(t, store, quote())
	other := pushed(t, store, native(), `{"b":1}`)
	subject, err := store.Resolve(t.Context(), ref.Digest)
	if err != nil {
		t.Fatal(err)
	}
	from, err := store.Resolve(t.Context(), other.Digest)
	if err != nil {
		t.Fatal(err)
	}
	referrers, err := registry.Referrers(t.Context(), store, from, TypeBundle)
	if err != nil || len(referrers) != 1 {
		t.Fatalf("%v, %v", referrers, err)
	}
	bundles, err := Bundles(t.Context(), resolving{Store: store, answer: subject, referrers: referrers}, ref)
	if err != nil || len(bundles) != 0 {
		t.Errorf("%q, %v", bundles, err)
	}
}

// TestNumberOfBundles has a registry with more bundles than are looked at.
func TestNumberOfBundles(t *testing.T) {
	store := newStore(t)
	ref := pushed(t, store, quote())
	subject, err := store.Resolve(t.Context(), ref.Digest)
	if err != nil {
		t.Fatal(err)
	}
	var referrers []ocispec.Descriptor
	for i := range maxBundles + 3 {
		manifest, parts, err := referrerManifest(subject, newBlob(TypeBundle, fmt.Appendf(nil, `{"b":%d}`, i), nil), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range append(parts, manifest) {
			if _, err := pushMissing(t.Context(), store, part); err != nil {
				t.Fatal(err)
			}
		}
		referrers = append(referrers, manifest.descriptor)
	}
	bundles, err := Bundles(t.Context(), resolving{Store: store, answer: subject, referrers: referrers}, ref)
	if err != nil || len(bundles) != maxBundles {
		t.Errorf("%d bundles, %v", len(bundles), err)
	}
}

// TestCacheReadsRegularFilesOnly puts into a cache what has the right bytes and is no file of ours.
func TestCacheReadsRegularFilesOnly(t *testing.T) {
	dir, content := t.TempDir(), []byte("x")
	want := digest.FromBytes(content).String()
	file, link := filepath.Join(dir, "file"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(file, content, 0o600), os.Symlink(file, link)); err != nil {
		t.Fatal(err)
	}
	if got, err := readFile(file, 1, want); err != nil || !bytes.Equal(got, content) {
		t.Errorf("the file: %q, %v", got, err)
	}
	if _, err := readFile(link, 100, want); err == nil {
		t.Error("a link is followed")
	}
	if _, err := readFile(file, 0, want); err == nil {
		t.Error("a file is read that is larger than it may be")
	}
}
