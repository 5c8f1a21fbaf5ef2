package artifact

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
	"oras.land/oras-go/v2/errdef"
	"oras.land/oras-go/v2/registry"

	"countersign/strictjson"
)

// TypeBundle is the media type of a sigstore bundle, and the artifactType of the manifest that attaches one.
const TypeBundle = "application/vnd.dev.sigstore.bundle.v0.3+json"

// Annotations of a bundle's manifest (cosign's Bundle Specification, "Annotations").
const (
	annotationContent   = "dev.sigstore.bundle.content"
	annotationPredicate = "dev.sigstore.bundle.predicateType"
)

const (
	// maxBundles is how many bundles of one artifact are looked at.
	maxBundles = 64
	// attachTries is how often an attachment that another writer undid is made again.
	attachTries = 6
)

// AttachBundle attaches a sigstore bundle with a DSSE envelope to the artifact of a pinned reference, as an OCI
// referrer (OCI distribution spec 1.1, "Pushing Manifests with Subject"). predicateType is that of the statement. It is
// idempotent; what is attached already is not written again.
//
// On a registry without the referrers API the list of referrers is a tagged index that every writer replaces as a
// whole: of two at the same time one may undo the other, or be told that the other's half-written index is broken.
// AttachBundle therefore looks, and attaches again. A writer that started earlier and is slower can still undo it after
// that: whoever must be sure looks again with Bundles.
func AttachBundle(ctx context.Context, store Store, ref Reference, bundle []byte, predicateType string) error {
	op := "attaching a bundle to " + ref.String()
	if n := len(bundle); n == 0 || n > MaxDocument {
		return fmt.Errorf("%s: it has %d bytes, not 1 to %d", op, n, MaxDocument)
	}
	subject, err := resolve(ctx, store, ref)
	if err != nil {
		return err
	}
	annotations := map[string]string{annotationContent: "dsse-envelope", annotationPredicate: predicateType}
	manifest, parts, err := referrerManifest(subject, newBlob(TypeBundle, bundle, nil), annotations)
	if err != nil {
		return fmt.Errorf("%s: %w", op, err)
	}
	return attachReferrer(ctx, store, op, subject, manifest, parts)
}

// attachReferrer pushes a referrer and looks, until it is listed.
func attachReferrer(ctx context.Context, store Store, op string, subject ocispec.Descriptor, manifest blob, parts []blob) (err error) {
	for _, part := range parts {
		if _, err := pushMissing(ctx, store, part); err != nil {
			return classify(op, err)
		}
	}
	for try := range attachTries {
		if err := pause(ctx, try); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
		var done bool
		if done, err = attach(ctx, store, subject, manifest); done {
			return nil
		}
		if err != nil && isFinal(err) {
			return classify(op, err)
		}
	}
	if err != nil {
		return classify(op, err)
	}
	return fmt.Errorf("%s: the registry does not list it after %d attempts: other writers keep replacing the list; "+
		"deploy again", op, attachTries)
}

// attach pushes a referrer's manifest unless it is listed, and tells whether it is listed then.
func attach(ctx context.Context, store Store, subject ocispec.Descriptor, manifest blob) (done bool, err error) {
	if done, err = isListed(ctx, store, subject, manifest.descriptor); done || err != nil {
		return done, err
	}
	err = store.Push(ctx, manifest.descriptor, bytes.NewReader(manifest.content))
	if err != nil && !errors.Is(err, errdef.ErrAlreadyExists) {
		return false, err
	}
	return isListed(ctx, store, subject, manifest.descriptor)
}

func isListed(ctx context.Context, store Store, subject, referrer ocispec.Descriptor) (bool, error) {
	referrers, err := listReferrers(ctx, store, subject, referrer.ArtifactType)
	return slices.ContainsFunc(referrers, func(d ocispec.Descriptor) bool { return d.Digest == referrer.Digest }), err
}

// listBundles lists the referrers that say that they are bundles, whatever they are.
func listBundles(ctx context.Context, store Store, subject ocispec.Descriptor) ([]ocispec.Descriptor, error) {
	return listReferrers(ctx, store, subject, TypeBundle)
}

// listReferrers lists the referrers that say that they are of a type, whatever they are, and of each no more than is needed to
// read it and, of deltas, to choose one.
func listReferrers(ctx context.Context, store Store, subject ocispec.Descriptor, artifactType string) ([]ocispec.Descriptor, error) {
	ctx, _, cancel := bounded(ctx)
	defer cancel()
	var list []ocispec.Descriptor
	keep := func(page []ocispec.Descriptor) error {
		if len(list)+len(page) > maxReferrers {
			return tooMuch("it lists more than %d attestations of one artifact", maxReferrers)
		}
		for _, d := range page {
			kept := ocispec.Descriptor{MediaType: d.MediaType, Digest: d.Digest, Size: d.Size}
			if artifactType == TypeDelta {
				kept.Annotations = map[string]string{annotationFrom: d.Annotations[annotationFrom], annotationTo: d.Annotations[annotationTo]}
			}
			list = append(list, kept)
		}
		return nil
	}
	lister, ok := store.(registry.ReferrerLister)
	if !ok { // a directory, or memory
		all, err := registry.Referrers(ctx, store, subject, artifactType)
		if err == nil {
			err = keep(all)
		}
		return list, err
	}
	err := lister.Referrers(ctx, subject, artifactType, keep)
	switch limit := boundOf(ctx, err); {
	case errors.Is(err, errdef.ErrTooManyPages):
		err = tooMuch("its list of attestations of one artifact has more than %d pages", maxPages)
	case limit != nil:
		err = limit
	}
	return list, err
}

// isFinal tells errors that another attempt does not change: no answer, which was already waited for, and a no.
func isFinal(err error) bool {
	var unreachable *UnreachableError
	var denied *DeniedError
	err = classify("", err)
	return errors.As(err, &unreachable) || errors.As(err, &denied) || errors.Is(err, context.Canceled)
}

// pause waits before a repeated try, longer each time and not in step with others.
func pause(ctx context.Context, try int) error {
	if try == 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(rand.N(time.Duration(try) * 100 * time.Millisecond)):
		return nil
	}
}

// referrerManifest makes the manifest that attaches a layer, whose type is also its own. It has no time: there is none that anybody
// vouched for, and the same layer attached twice is one referrer.
func referrerManifest(subject ocispec.Descriptor, layer blob, annotations map[string]string) (blob, []blob, error) {
	config := emptyConfig()
	content, err := json.Marshal(ocispec.Manifest{
		Versioned:    specs.Versioned{SchemaVersion: 2},
		MediaType:    ocispec.MediaTypeImageManifest,
		ArtifactType: layer.descriptor.MediaType,
		Config:       config.descriptor,
		Layers:       []ocispec.Descriptor{layer.descriptor},
		Subject:      &ocispec.Descriptor{MediaType: subject.MediaType, Digest: subject.Digest, Size: subject.Size},
		Annotations:  annotations,
	})
	if err != nil {
		return blob{}, nil, err
	}
	manifest := newBlob(ocispec.MediaTypeImageManifest, content, nil)
	manifest.descriptor.ArtifactType = layer.descriptor.MediaType
	return manifest, []blob{config, layer}, nil
}

// Bundles returns the sigstore bundles that are attached to the artifact of a pinned reference, ordered by digest.
// Everybody who may push may attach: what is not a bundle, or is gone, is passed over. None is no error.
func Bundles(ctx context.Context, store Store, ref Reference) (bundles [][]byte, err error) {
	ctx, _, cancel := bounded(ctx)
	defer cancel()
	_, err = eachBundle(ctx, store, ref, func(_ ocispec.Descriptor, bundle []byte) { bundles = append(bundles, bundle) })
	if err != nil {
		return nil, err
	}
	return bundles, nil
}

// eachBundle reads the bundles of an artifact, ordered by the digests of their manifests, and returns the artifact's descriptor.
func eachBundle(ctx context.Context, store Store, ref Reference, each func(manifest ocispec.Descriptor, bundle []byte)) (
	subject ocispec.Descriptor, err error) {
	subject, err = resolve(ctx, store, ref)
	if err != nil {
		return subject, err
	}
	referrers, err := listBundles(ctx, store, subject)
	if err != nil {
		return subject, classify("listing the bundles of "+ref.String(), err)
	}
	byDigest := func(a, b ocispec.Descriptor) int { return cmp.Compare(a.Digest, b.Digest) }
	slices.SortFunc(referrers, byDigest)
	for _, referrer := range referrers[:min(len(referrers), maxBundles)] {
		bundle, err := fetchBundle(ctx, store, ref, referrer)
		var foreign *LayoutError
		switch {
		case errors.As(err, &foreign) || errors.Is(err, ErrNotFound):
		case err != nil:
			return subject, err
		default:
			each(referrer, bundle)
		}
	}
	return subject, nil
}

// RemoveBundles takes those bundles off the artifact of a pinned reference for which remove says so, and returns how many are
// not listed any more. Bundles that Bundles does not return are not asked about. A registry that lets nobody delete is an error,
// unless its list of referrers is one that clients write: what that does not name is not read any more.
func RemoveBundles(ctx context.Context, store Store, ref Reference, remove func(bundle []byte) bool) (removed int, err error) {
	ctx, _, cancel := bounded(ctx)
	defer cancel()
	op := "taking bundles off " + ref.String()
	deleter, ok := store.(content.Deleter)
	if !ok {
		return 0, fmt.Errorf("%s: this kind of store can't", op)
	}
	var gone []ocispec.Descriptor
	subject, err := eachBundle(ctx, store, ref, func(d ocispec.Descriptor, bundle []byte) {
		if remove(bundle) {
			gone = append(gone, d)
		}
	})
	if err != nil || len(gone) == 0 {
		return 0, err
	}
	var failed error
	for _, d := range gone {
		if err := deleter.Delete(ctx, d); err != nil && !errors.Is(err, errdef.ErrNotFound) {
			failed = classify(op, err)
		}
	}
	left, err := listBundles(ctx, store, subject)
	if err != nil {
		return 0, classify(op, err)
	}
	for _, d := range gone {
		if !slices.ContainsFunc(left, func(l ocispec.Descriptor) bool { return l.Digest == d.Digest }) {
			removed++
		}
	}
	if removed == len(gone) {
		failed = nil
	}
	return removed, failed
}

// fetchBundle reads one referrer's manifest and the bundle in it.
func fetchBundle(ctx context.Context, store Store, ref Reference, referrer ocispec.Descriptor) ([]byte, error) {
	what := fmt.Sprintf("the bundle %s of %s", referrer.Digest, ref)
	foreign := &LayoutError{What: what, Reason: "it does not hold exactly one sigstore bundle of bearable size"}
	if referrer.MediaType != ocispec.MediaTypeImageManifest || referrer.Size > maxManifest ||
		checkDigest(referrer.Digest.String()) != nil {
		return nil, foreign
	}
	src, err := fetch(ctx, store, what, referrer)
	if err != nil {
		return nil, err
	}
	var m ocispec.Manifest
	if strictjson.DecodeOpen(src, &m) != nil || m.ArtifactType != TypeBundle || len(m.Layers) != 1 {
		return nil, foreign
	}
	layer := m.Layers[0]
	if layer.MediaType != TypeBundle || layer.Size < 1 || layer.Size > MaxDocument ||
		checkDigest(layer.Digest.String()) != nil || m.Subject == nil || m.Subject.Digest.String() != ref.Digest {
		return nil, foreign
	}
	return fetch(ctx, store, what, layer)
}
