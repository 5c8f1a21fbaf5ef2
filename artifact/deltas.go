package artifact

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"countersign/artifact/delta"
	"countersign/strictjson"
)

// TypeDelta is the media type of a delta, and the artifactType of the manifest that attaches one (docs/delta-format.md).
const TypeDelta = "application/vnd.countersign.delta.v1"

// Annotations of a delta's manifest: the digests of the executable that it is applied to and of the one that it makes.
const (
	annotationFrom = "from"
	annotationTo   = "to"
)

const (
	// leastDelta is the size from which on an executable is worth a delta, in bytes.
	leastDelta = 64 << 10
	// maxDeltas is how many deltas of one artifact are looked at.
	maxDeltas = 64
	// maxTries is how many deltas are fetched for one executable.
	maxTries = 2
)

// deltaTime is for how long deltas of an artifact are asked for: then it is fetched as a whole. Tests have less time.
var deltaTime = time.Minute

// worth tells whether a delta of n bytes is worth being kept for an executable of a size.
func worth(n int, size int64) bool { return int64(n) < size/2 }

// AttachDeltas attaches to the artifact of a pinned reference, whose contents are c, the deltas from the executables of an earlier
// one in the same store, so that nodes that have those fetch no more than what changed. It returns how many bytes the deltas have,
// and how many the executables that they make; both are 0 if there are none that are worth it. It is idempotent.
func AttachDeltas(ctx context.Context, store Store, ref, before Reference, c Contents) (bytes, instead int64, err error) {
	op := fmt.Sprintf("attaching deltas from %s to %s", before.Digest, ref)
	executables := map[string]blob{}
	for _, layer := range c.layers() {
		if !isDocument(layer.descriptor) {
			executables[kind(layer.descriptor)] = layer
		}
	}
	_, old, err := fetchLayers(ctx, store, before, nil, func(d ocispec.Descriptor) bool {
		now, has := executables[kind(d)]
		return has && now.descriptor.Digest != d.Digest && min(d.Size, now.descriptor.Size) >= leastDelta && max(d.Size, now.descriptor.Size) <= delta.MaxSize
	})
	if err != nil {
		return 0, 0, err
	}
	subject, err := resolve(ctx, store, ref)
	if err != nil {
		return 0, 0, err
	}
	for _, from := range old {
		if from.content == nil {
			continue
		}
		to := executables[kind(from.descriptor)]
		content, err := delta.Make(from.content, to.content)
		if err != nil {
			return bytes, instead, fmt.Errorf("%s: %w", op, err)
		}
		if !worth(len(content), to.descriptor.Size) {
			continue
		}
		manifest, parts, err := referrerManifest(subject, newBlob(TypeDelta, content, nil), map[string]string{
			annotationFrom: from.descriptor.Digest.String(), annotationTo: to.descriptor.Digest.String()})
		if err != nil {
			return bytes, instead, fmt.Errorf("%s: %w", op, err)
		}
		if err := attachReferrer(ctx, store, op, subject, manifest, parts); err != nil {
			return bytes, instead, err
		}
		bytes, instead = bytes+int64(len(content)), instead+to.descriptor.Size
	}
	return bytes, instead, nil
}

// kind is what executables of two artifacts have to have in common to be versions of each other.
func kind(d ocispec.Descriptor) string { return d.MediaType + " " + d.Annotations[AnnotationPlatform] }

// Transfer is how the executables of an artifact came to a node, in bytes.
type Transfer struct {
	Size    int64 // of the executables
	Fetched int64 // from the registry, as a whole or as deltas
	Deltas  int   // number of executables that were made with a delta
}

// String tells it in words.
func (t Transfer) String() string {
	switch {
	case t.Deltas > 0:
		return fmt.Sprintf("%d of %d bytes fetched, as a delta", t.Fetched, t.Size)
	case t.Fetched == 0:
		return fmt.Sprintf("none of %d bytes fetched", t.Size)
	}
	return fmt.Sprintf("%d bytes fetched", t.Fetched)
}

// nearby finds executables without fetching them as a whole: in other entries of the cache, or by a delta from one of them. What it
// can't find, for whatever reason, is fetched as a whole.
type nearby struct {
	cache    *Cache
	store    Store
	ref      Reference
	listed   bool
	until    time.Time            // deltas are asked for; zero: none was yet
	deltas   []ocispec.Descriptor // with annotations, unverified
	transfer Transfer
}

// executable returns the bytes of a layer, of which the digest was verified, or nil.
func (n *nearby) executable(ctx context.Context, want ocispec.Descriptor) []byte {
	if isDocument(want) {
		return nil
	}
	n.transfer.Size += want.Size
	if content := n.cache.layer(want.Digest.String(), want.Size); content != nil {
		return content
	}
	if want.Size <= delta.MaxSize {
		if content := n.byDelta(ctx, want); content != nil {
			n.transfer.Deltas++
			return content
		}
	}
	n.transfer.Fetched += want.Size
	return nil
}

// byDelta returns the bytes of a layer that a delta makes of what the cache has, or nil.
func (n *nearby) byDelta(ctx context.Context, want ocispec.Descriptor) []byte {
	if n.until.IsZero() {
		n.until = time.Now().Add(deltaTime)
	}
	ctx, cancel := context.WithDeadlineCause(ctx, n.until, tooSlow("its deltas took more than %v", deltaTime))
	defer cancel()
	tries := 0
	for _, d := range n.list(ctx) {
		from := d.Annotations[annotationFrom]
		if d.Annotations[annotationTo] != want.Digest.String() || checkDigest(from) != nil {
			continue
		}
		old := n.cache.layer(from, delta.MaxSize)
		if old == nil {
			continue
		}
		if tries++; tries > maxTries {
			break // deltas that do not work must not cost more than the whole
		}
		content, fetched, err := n.apply(ctx, d, old, want)
		if n.transfer.Fetched += fetched; err == nil {
			return content
		}
	}
	return nil
}

// list returns the deltas that are attached, once. Without an answer there are none.
func (n *nearby) list(ctx context.Context) []ocispec.Descriptor {
	if n.listed {
		return n.deltas
	}
	n.listed = true
	if subject, err := resolve(ctx, n.store, n.ref); err == nil {
		list, err := listReferrers(ctx, n.store, subject, TypeDelta)
		if err == nil {
			n.deltas = list[:min(len(list), maxDeltas)]
		}
	}
	return n.deltas
}

// apply fetches a delta and applies it. What comes out has the digest that is wanted, or there is an error.
func (n *nearby) apply(ctx context.Context, referrer ocispec.Descriptor, old []byte, want ocispec.Descriptor) (content []byte, fetched int64, err error) {
	what := fmt.Sprintf("the delta %s of %s", referrer.Digest, n.ref)
	foreign := &LayoutError{What: what, Reason: "it does not hold exactly one delta of bearable size"}
	if referrer.MediaType != ocispec.MediaTypeImageManifest || referrer.Size > maxManifest || checkDigest(referrer.Digest.String()) != nil {
		return nil, 0, foreign
	}
	src, err := fetch(ctx, n.store, what, referrer)
	if err != nil {
		return nil, 0, err
	}
	var m ocispec.Manifest
	if strictjson.DecodeOpen(src, &m) != nil || m.ArtifactType != TypeDelta || len(m.Layers) != 1 {
		return nil, 0, foreign
	}
	layer := m.Layers[0]
	if layer.MediaType != TypeDelta || layer.Size < 1 || !worth(int(layer.Size), want.Size) || checkDigest(layer.Digest.String()) != nil {
		return nil, 0, foreign
	}
	_, b, cancel := bounded(ctx)
	defer cancel()
	b.bytes.Add(layer.Size)
	packed, err := fetch(ctx, n.store, what, layer)
	if err != nil {
		return nil, 0, err
	}
	if content, err = delta.Apply(old, packed, want.Size); err != nil {
		return nil, layer.Size, fmt.Errorf("%s: %w", what, err)
	}
	if got := want.Digest.Algorithm().FromBytes(content); got != want.Digest {
		return nil, layer.Size, &DigestError{What: "what comes of " + what, Want: want.Digest.String(), Err: errors.New("it has the digest " + got.String())}
	}
	return content, layer.Size, nil
}

// layer returns a layer that any entry of the cache has, or nil. It was hashed.
func (c *Cache) layer(digest string, limit int64) []byte {
	paths, err := filepath.Glob(filepath.Join(c.dir, "*", digest[len("sha256:"):]))
	if err != nil {
		return nil
	}
	slices.Sort(paths)
	for _, path := range paths {
		if !hexName.MatchString(filepath.Base(filepath.Dir(path))) {
			continue // somebody works on it
		}
		if content, err := readFile(path, limit, digest); err == nil {
			return content
		}
	}
	return nil
}
