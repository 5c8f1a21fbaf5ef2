package publish

import (
	"context"
	"errors"
	"fmt"

	"countersign/artifact"
	"countersign/pipeline/progress"
	"countersign/pipeline/registry"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/transit"
)

// find looks for an attestation of the artifact that verifies under the present key ring.
func (p *Publication) find(ctx context.Context, f *Function) error {
	w, err := registry.Want(f.contents.Documents(f.Artifact))
	if err != nil {
		return err
	}
	ring, err := p.keys.PublicKeys(ctx, f.Name)
	if err != nil && !errors.Is(err, transit.ErrNoKey) {
		return err
	}
	bundles, err := artifact.Bundles(ctx, f.store, f.Artifact)
	f.present = err == nil
	if err != nil && !errors.Is(err, artifact.ErrNotFound) {
		return err
	}
	f.Attestation, f.why = attest.VerifyAny(bundles, ring, w)
	f.found = true
	return nil
}

// sign finds an attestation of the artifact that verifies under the present key ring, or has Vault sign one.
func (p *Publication) sign(ctx context.Context, f *Function) (progress.Outcome, error) {
	if !f.found {
		if err := p.find(ctx, f); err != nil {
			return progress.Outcome{}, err
		}
	}
	if f.why == nil {
		return progress.Nothing(fmt.Sprintf("attested by key version %d", f.Attestation.Key.Version)), nil
	}
	if p.PlanOnly {
		return progress.Nothing("would be signed: " + whyUnattested(f.why)), nil
	}
	w, err := registry.Want(f.contents.Documents(f.Artifact))
	if err != nil {
		return progress.Outcome{}, err
	}
	made, err := p.keys.EnsureKey(ctx, f.Name)
	if err != nil {
		return progress.Outcome{}, err
	}
	if f.bundle, err = attest.Sign(ctx, p.signer(f.Name), p.claims(f, w)); err != nil {
		return progress.Outcome{}, err
	}
	// What does not verify here would be refused by every host: better to know before it is published.
	ring, err := p.keys.PublicKeys(ctx, f.Name)
	if err != nil {
		return progress.Outcome{}, err
	}
	if f.Attestation, err = attest.Verify(f.bundle, ring, w); err != nil {
		return progress.Outcome{}, fmt.Errorf("verify what Vault just signed: %w", err)
	}
	f.Signed = true
	if made {
		return progress.Did(fmt.Sprintf("by version %d of a new key", f.Attestation.Key.Version)), nil
	}
	return progress.Did(fmt.Sprintf("by key version %d", f.Attestation.Key.Version)), nil
}

// whyUnattested is the reason of a refused attestation in a word.
func whyUnattested(err error) string {
	var refused *attest.VerificationError
	if errors.As(err, &refused) {
		return string(refused.Reason)
	}
	return err.Error()
}

// claims is what the attestation of a function states.
func (p *Publication) claims(f *Function, w attest.Want) attest.Claims {
	c := attest.Claims{
		Function: f.Name, Repository: f.Repository, Commit: f.Commit, Ref: f.Ref, Target: f.Target,
		ManifestDigest: w.ManifestDigest, SpecDigest: w.SpecDigest, InterfaceDigest: w.InterfaceDigest,
		Builder: attest.Builder{ID: p.Builder}, Tests: f.Tests,
	}
	for _, file := range f.contents.Files() {
		c.Files = append(c.Files, attest.File{Name: file.Name, Digest: file.Digest})
	}
	return c
}
