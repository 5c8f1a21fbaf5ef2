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
	f.found, f.latest, f.carried = true, ring.Latest(), len(bundles)
	return nil
}

// sign finds an attestation of the artifact under the latest version of its key, or has Vault sign one. Where an earlier
// version attests the artifact, and still counts, what that states is signed again: neither build nor job is another.
func (p *Publication) sign(ctx context.Context, f *Function) (progress.Outcome, error) {
	if !f.found {
		if err := p.find(ctx, f); err != nil {
			return progress.Outcome{}, err
		}
	}
	w, err := registry.Want(f.contents.Documents(f.Artifact))
	if err != nil {
		return progress.Outcome{}, err
	}
	if f.why == nil {
		return p.signAgain(ctx, f, w)
	}
	if p.PlanOnly {
		return progress.Nothing("would be signed: " + whyUnattested(f.why)), nil
	}
	made, err := p.keys.EnsureKey(ctx, f.Name)
	if err != nil {
		return progress.Outcome{}, err
	}
	if err := p.attest(ctx, f, w, p.claims(f, w)); err != nil {
		return progress.Outcome{}, err
	}
	if made {
		return progress.Did(fmt.Sprintf("by version %d of a new key", f.Attestation.Key.Version)), nil
	}
	return progress.Did(fmt.Sprintf("by key version %d", f.Attestation.Key.Version)), nil
}

// signAgain has the latest version of the key attest what an earlier one does: when that is retired, the function has to
// start all the same.
func (p *Publication) signAgain(ctx context.Context, f *Function, w attest.Want) (progress.Outcome, error) {
	has, latest, carried := f.Attestation.Key.Version, f.latest, f.carried
	switch {
	case has >= latest:
		return progress.Nothing(fmt.Sprintf("attested by key version %d", has)), nil
	case carried >= attest.MaxBundles:
		// One more, and nodes might not look at the one that counts.
		return progress.Outcome{}, fmt.Errorf("sign again by key version %d (attested by %d): the artifact carries %d attestations, "+
			"and nodes look at no more: delete those of retired versions from the registry (`oras discover` lists them), or change "+
			"the function", latest, has, carried)
	case p.PlanOnly:
		return progress.Nothing(fmt.Sprintf("would be signed again: attested by key version %d, the latest is %d", has, latest)), nil
	}
	if err := p.attest(ctx, f, w, f.Attestation.Again(p.Deployer)); err != nil {
		return progress.Outcome{}, err
	}
	f.SignedAgain = true
	return progress.Did(fmt.Sprintf("again, by key version %d (was %d)", f.Attestation.Key.Version, has)), nil
}

// attest has Vault sign claims.
func (p *Publication) attest(ctx context.Context, f *Function, w attest.Want, claims attest.Claims) (err error) {
	if f.bundle, err = attest.Sign(ctx, p.signer(f.Name), claims); err != nil {
		return err
	}
	// What does not verify here would be refused by every host: better to know before it is published.
	ring, err := p.keys.PublicKeys(ctx, f.Name)
	if err != nil {
		return err
	}
	if f.Attestation, err = attest.Verify(f.bundle, ring, w); err != nil {
		return fmt.Errorf("verify what Vault just signed: %w", err)
	}
	f.Signed = true
	return nil
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
		Builder: attest.Builder{ID: p.Builder}, Tests: f.Tests, Deployer: p.Deployer,
	}
	for _, file := range f.contents.Files() {
		c.Files = append(c.Files, attest.File{Name: file.Name, Digest: file.Digest})
	}
	return c
}
