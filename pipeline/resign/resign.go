package resign

import (
	"context"
	"errors"
	"fmt"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/registry"
	"countersign/pipeline/vault"
	"countersign/release"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// Resigner signs again what is published. It is safe for concurrent use with different artifacts.
type Resigner struct {
	Open   func(artifact.Reference) (artifact.Store, error)
	Keys   registry.KeyRings
	Signer func(function string) attest.Signer
	By     attest.Deployer // whose token signs, stated in attestations
	Mount  string          // of the transit engine, for messages
	DryRun bool            // sign and attach nothing
	// Archive also takes what a retired version attests, with the public key that a release record has of it. Only a user may
	// decide that, each time: whoever stole that version can have made attestations with it, and what keeps his out is the
	// record alone.
	Archive bool
}

// Recorded is an artifact as a verified release record tells of it. Of one that no record tells of, there are only Artifact and
// ArtifactDigest.
type Recorded struct {
	release.Function
	Keys map[string]string // archive of the record: key version -> public key
}

// New returns a resigner for an environment.
func New(env *hclspec.Environment, keys *transit.Client, by attest.Deployer) *Resigner {
	return &Resigner{
		Open: func(ref artifact.Reference) (artifact.Store, error) { return registry.Open(env.Registry, ref) },
		Keys: keys, Signer: func(function string) attest.Signer { return keys.Signer(function) }, By: by,
		Mount: env.Vault.TransitMount,
	}
}

// Outcome is what became of one artifact.
type Outcome struct {
	Before   *attest.Attestation // that was verified
	After    *attest.Attestation // by the latest version; Before if that is; nil if it would be made, with DryRun
	Latest   int                 // version of the key
	Archived bool                // Before was verified with an archived public key, since its version is retired
	Removed  int                 // attestations that were taken off the artifact, since it carried too many
}

// Added tells whether another attestation was made, or would be with DryRun.
func (o *Outcome) Added() bool { return o.Before != o.After }

// RefusedError says that an artifact carries nothing that may be repeated. It is a verification failure.
type RefusedError struct {
	Artifact string // OCI reference with a digest
	Retired  bool   // what it carries is signed by a retired version, and archived public keys were not to be used
	Err      error  // why
}

// Error implements error.
func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s is not signed again, since nothing that it carries counts: %v", e.Artifact, e.Err)
}

// Unwrap returns the cause.
func (e *RefusedError) Unwrap() error { return e.Err }

// Unverified marks the error as a verification failure.
func (e *RefusedError) Unverified() bool { return true }

// Resign makes sure that the latest version of its function's key attests an artifact: it verifies an attestation that counts, has
// Vault sign what that states, verifies that, and attaches it. It is idempotent, and may be interrupted anywhere: an
// attestation is attached whole or not at all.
//
// recorded is what release records tell of the artifact, one or several. With Archive, and if no version that counts is left, the
// attestation is repeated that one of them tells of, if it verifies with the public key that this record has, and states what this
// record says.
//
// Errors whose Unverified method returns true, such as *RefusedError, say that something was checked and refused.
func (r *Resigner) Resign(ctx context.Context, recorded ...Recorded) (*Outcome, error) {
	if len(recorded) == 0 {
		return nil, errors.New("sign again: no artifact is named")
	}
	for _, other := range recorded {
		if other.Reference() != recorded[0].Reference() {
			return nil, fmt.Errorf("sign again: %s and %s are two artifacts", recorded[0].Reference(), other.Reference())
		}
	}
	ref, err := artifact.ParseReference(recorded[0].Reference())
	if err != nil {
		return nil, err
	}
	store, err := r.Open(ref)
	if err != nil {
		return nil, err
	}
	documents, err := artifact.PullDocuments(ctx, store, ref)
	if err != nil {
		return nil, err
	}
	want, err := registry.Want(documents)
	if err != nil {
		return nil, err
	}
	ring, err := r.Keys.PublicKeys(ctx, want.Function)
	if errors.Is(err, transit.ErrNoKey) {
		return nil, &vault.NoKeyError{Function: want.Function, Mount: r.Mount}
	}
	if err != nil {
		return nil, err
	}
	o := &Outcome{Latest: ring.Latest()}
	if o.Before, err = attest.VerifyAny(documents.Bundles, ring, want); err != nil {
		refused := &RefusedError{Artifact: ref.String(), Err: err}
		if attest.IsRetired(err) && r.Archive {
			o.Archived = true
			o.Before, refused.Err = fromArchive(documents.Bundles, ring, want, recorded)
		} else {
			refused.Retired = attest.IsRetired(err)
		}
		if o.Before == nil {
			return nil, refused
		}
	}
	if !o.Archived && o.Before.Key.Version >= o.Latest {
		o.After = o.Before
		return o, nil
	}
	if r.DryRun {
		return o, nil
	}
	if o.Removed, err = makeRoom(ctx, store, ref, documents.Bundles, ring, want, recorded); err != nil {
		return nil, fmt.Errorf("sign %s again by key version %d: %w", ref, o.Latest, err)
	}
	o.After, err = r.repeat(ctx, store, ref, want, o.Before)
	return o, err
}

// repeat has Vault sign what a verified attestation states, and attaches that.
func (r *Resigner) repeat(ctx context.Context, store artifact.Store, ref artifact.Reference, want attest.Want,
	before *attest.Attestation) (*attest.Attestation, error) {
	bundle, err := attest.Sign(ctx, r.Signer(want.Function), before.Again(r.By))
	if err != nil {
		return nil, err
	}
	ring, err := r.Keys.PublicKeys(ctx, want.Function)
	if err != nil {
		return nil, err
	}
	// What does not verify here would be refused by every host.
	after, err := attest.Verify(bundle, ring, want)
	if err != nil {
		return nil, fmt.Errorf("verify what Vault just signed: %w", err)
	}
	return after, artifact.AttachBundle(ctx, store, ref, bundle, attest.PredicateType)
}

// fromArchive returns the attestation that a release record tells of, of a key version that is retired. The record vouches for
// the public key and for what is stated: nothing else that the retired version signed is taken.
func fromArchive(bundles [][]byte, ring keyring.KeyRing, want attest.Want, recorded []Recorded) (*attest.Attestation, error) {
	var errs []error
	for _, f := range recorded {
		a, err := f.fromArchive(bundles, ring, want)
		if err == nil {
			return a, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func (f Recorded) fromArchive(bundles [][]byte, ring keyring.KeyRing, want attest.Want) (*attest.Attestation, error) {
	id, err := keyring.ParseKeyID(f.Key)
	if err != nil {
		return nil, errors.New("no release record tells which key version attests it")
	}
	if id != ring.KeyID(id.Version) {
		return nil, fmt.Errorf("the release record names a version of another key, %s", id)
	}
	if id.Version >= ring.MinVersion {
		return nil, fmt.Errorf("%s, which the release record names, is not retired, and nothing that it signed is attached", id)
	}
	old, err := keyring.FromArchive(id, f.Keys[f.Key])
	if err != nil {
		return nil, err
	}
	if f.SpecDigest != want.SpecDigest || f.InterfaceDigest != want.InterfaceDigest {
		return nil, errors.New("the release record tells of another spec or interface")
	}
	for _, bundle := range bundles[:min(len(bundles), attest.MaxBundles)] {
		a, err := attest.Verify(bundle, old, want)
		if err == nil && a.Repository == f.Repository && a.Commit == f.Commit {
			return a, nil
		}
	}
	return nil, fmt.Errorf("no attestation that is attached states what the release record says (commit %s of %s), signed with the "+
		"archived %s", f.Commit, f.Repository, id)
}
