package artifact

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/registry"
)

// TypeRecord is the artifactType of a release record's manifest, and the media type of its one layer.
const TypeRecord = "application/vnd.countersign.release.v1+json"

const (
	maxRecord = 4 << 20 // bytes of a release record
	maxTags   = 1 << 20 // tags of one repository
)

// recordManifest returns the manifest of a record. It is a pure function of the record: the layer's descriptor says it all.
func recordManifest(layer ocispec.Descriptor) ocispec.Manifest {
	return ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: TypeRecord,
		Config:       emptyConfig().descriptor,
		Layers:       []ocispec.Descriptor{{MediaType: layer.MediaType, Digest: layer.Digest, Size: layer.Size}},
	}
}

// PushRecord stores a release record without a tag, and returns the digest of its manifest. It is idempotent.
func PushRecord(ctx context.Context, store Store, record []byte) (digest string, err error) {
	const op = "pushing a release record"
	if n := len(record); n == 0 || n > maxRecord {
		return "", fmt.Errorf("%s: it has %d bytes, not 1 to %d", op, n, maxRecord)
	}
	layer := newBlob(TypeRecord, record, nil)
	content, err := json.Marshal(recordManifest(layer.descriptor))
	if err != nil {
		return "", fmt.Errorf("%s: %w", op, err)
	}
	manifest := newBlob(ocispec.MediaTypeImageManifest, content, nil)
	manifest.descriptor.ArtifactType = TypeRecord
	for _, part := range []blob{emptyConfig(), layer, manifest} {
		if _, err := pushMissing(ctx, store, part); err != nil {
			return "", classify(op, err)
		}
	}
	return manifest.descriptor.Digest.String(), nil
}

// PullRecord reads a release record by the digest of its manifest. That nobody made another one of the digest is verified;
// what it says is not.
func PullRecord(ctx context.Context, store Store, ref Reference) ([]byte, error) {
	ctx, b, cancel := bounded(ctx)
	defer cancel()
	src, err := fetchManifest(ctx, store, ref)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	foreign := func(reason string) ([]byte, error) {
		return nil, &RecordError{What: ref.String(), Reason: reason}
	}
	if err := json.Unmarshal(src, &m); err != nil || len(m.Layers) != 1 {
		return foreign("its manifest does not have one layer")
	}
	layer := m.Layers[0]
	switch {
	case layer.MediaType != TypeRecord:
		return foreign(fmt.Sprintf("its layer is of type %.80q", layer.MediaType))
	case layer.Size < 1 || layer.Size > maxRecord || checkDigest(layer.Digest.String()) != nil:
		return foreign(fmt.Sprintf("its layer states %d bytes, not 1 to %d, or no SHA-256 digest", layer.Size, maxRecord))
	case !sameJSON(src, recordManifest(layer)):
		return foreign("its manifest has other members or annotations than one of a record")
	}
	b.bytes.Add(layer.Size)
	return fetch(ctx, store, "the record of "+ref.String(), layer)
}

// Tag has a tag name the manifest of a pinned reference. That of a tag which is there is replaced: whoever must not do that
// looks first, with Resolve.
func Tag(ctx context.Context, store Store, ref Reference, tag string) error {
	d, err := resolve(ctx, store, ref)
	if err != nil {
		return err
	}
	if err := store.Tag(ctx, d, tag); err != nil {
		return classify("tagging "+ref.String()+" as "+tag, err)
	}
	return nil
}

// Tags lists the tags of a repository that begin with prefix, in the registry's order. A repository that is not there has
// none.
func Tags(ctx context.Context, store Store, ref Reference, prefix string) ([]string, error) {
	ctx, _, cancel := bounded(ctx)
	defer cancel()
	op := "listing the tags of " + ref.Registry + "/" + ref.Repository
	lister, ok := store.(registry.TagLister)
	if !ok {
		return nil, fmt.Errorf("%s: this kind of store can't", op)
	}
	var list []string
	err := lister.Tags(ctx, "", func(page []string) error {
		for _, tag := range page {
			if strings.HasPrefix(tag, prefix) {
				list = append(list, tag)
			}
		}
		if len(list) > maxTags {
			return tooMuch("it lists more than %d tags", maxTags)
		}
		return nil
	})
	switch {
	case err == nil:
		return list, nil
	case boundOf(ctx, err) != nil:
		return nil, fmt.Errorf("%s: %w", op, boundOf(ctx, err))
	}
	if err = classify(op, err); errors.Is(err, ErrNotFound) || isNameUnknown(err) {
		return nil, nil
	}
	return nil, err
}
