// Package registry is the OCI registry of an environment: where the artifacts of its functions are, and what they say
// about themselves once their attestations verify.
//
// It owns the names of artifacts, and that nothing which an artifact says is believed before an attestation of it was
// verified. It must not know who made an artifact, nor what is done with it.
package registry

import (
	"context"
	"errors"
	"strings"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/vault"
	"countersign/release"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// Reference names the repository of a function's artifacts.
func Reference(env hclspec.Registry, function string) artifact.Reference {
	return artifact.Reference{
		Registry:   env.Address,
		Repository: strings.TrimPrefix(strings.Trim(env.Prefix, "/")+"/"+function, "/"),
	}
}

// Open returns the store of an artifact. Plain HTTP is for the registry of the environment alone.
func Open(env hclspec.Registry, ref artifact.Reference) (artifact.Store, error) {
	return artifact.Open(ref, env.PlainHTTP && ref.Registry == env.Address)
}

// Want is what an attestation of an artifact has to be about.
func Want(d *artifact.Documents) (attest.Want, error) {
	w := attest.Want{
		Function: d.Reference.Function(), ManifestDigest: d.Reference.Digest, SpecDigest: d.SpecDigest(),
	}
	for _, f := range d.Files {
		w.FileDigests = append(w.FileDigests, f.Digest)
	}
	var err error
	w.InterfaceDigest, err = artifact.InterfaceDigest(d.Interface)
	return w, err
}

// KeyRings tells the public halves of functions' keys; *transit.Client is the one there is outside of tests.
type KeyRings interface {
	PublicKeys(ctx context.Context, function string) (keyring.KeyRing, error)
}

// Reader reads what is published.
type Reader struct {
	Open  func(artifact.Reference) (artifact.Store, error)
	Keys  KeyRings
	Mount string // of the transit engine, for messages
}

// NewReader returns a reader of the environment's registry.
func NewReader(env *hclspec.Environment, keys KeyRings) *Reader {
	open := func(ref artifact.Reference) (artifact.Store, error) { return Open(env.Registry, ref) }
	return &Reader{Open: open, Keys: keys, Mount: env.Vault.TransitMount}
}

// Read returns the documents of the artifact that f names, and an attestation of it that verifies under the present key
// ring: the one that f tells of, if that still counts, otherwise any. Another may count when a key was rotated since and
// the same artifact signed again; what it states is then what is known.
//
// Errors whose Unverified method returns true say that something was checked and refused.
func (r *Reader) Read(ctx context.Context, f release.Function) (*artifact.Documents, *attest.Attestation, error) {
	ref, err := artifact.ParseReference(f.Reference())
	if err != nil {
		return nil, nil, err
	}
	store, err := r.Open(ref)
	if err != nil {
		return nil, nil, err
	}
	documents, err := artifact.PullDocuments(ctx, store, ref)
	if err != nil {
		return nil, nil, err
	}
	want, err := Want(documents)
	if err != nil {
		return nil, nil, err
	}
	ring, err := r.Keys.PublicKeys(ctx, want.Function)
	if errors.Is(err, transit.ErrNoKey) {
		return nil, nil, &vault.NoKeyError{Function: want.Function, Mount: r.Mount}
	}
	if err != nil {
		return nil, nil, err
	}
	for _, bundle := range documents.Bundles {
		if a, err := attest.Verify(bundle, ring, want); err == nil && recalls(f, a) {
			return documents, a, nil
		}
	}
	a, err := attest.VerifyAny(documents.Bundles, ring, want)
	return documents, a, err
}

// recalls tells whether f was made from an attestation.
func recalls(f release.Function, a *attest.Attestation) bool {
	return f.Key == a.Key.String() && f.Repository == a.Repository && f.Commit == a.Commit
}
