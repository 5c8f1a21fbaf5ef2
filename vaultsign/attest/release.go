package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"countersign"

	"countersign/vaultsign/keyring"
)

// ReleaseType is the predicate type of the statement about a release record: docs/releases.md.
const ReleaseType = "https://countersign.example/release/v1"

// Release is what the statement about a release record says. Every field is required.
type Release struct {
	Environment    string
	Number         int
	RecordDigest   string // sha256:<hex> of the record's bytes
	ManifestDigest string // sha256:<hex> of the OCI manifest that holds it
}

type releaseStatement struct {
	Type          string           `json:"_type"`
	Subject       []resource       `json:"subject"`
	PredicateType string           `json:"predicateType"`
	Predicate     releasePredicate `json:"predicate"`
}

type releasePredicate struct {
	Environment string `json:"environment"`
	Number      int    `json:"number"`
	Record      string `json:"record"`
}

// encode writes the statement: there is one spelling, so a verifier compares bytes.
func (r Release) encode() ([]byte, error) {
	if !countersign.ValidName(r.Environment) || r.Number < 1 || !countersign.ValidDigest(r.RecordDigest) ||
		!countersign.ValidDigest(r.ManifestDigest) {
		return nil, fmt.Errorf("release %d of environment %.80q: a name, number or digest is malformed", r.Number, r.Environment)
	}
	return json.Marshal(releaseStatement{
		Type:          StatementType,
		Subject:       []resource{{Name: countersign.ReleaseKey, Digest: digestSet(r.ManifestDigest)}},
		PredicateType: ReleaseType,
		Predicate:     releasePredicate{r.Environment, r.Number, r.RecordDigest},
	})
}

// SignRelease states what r says and returns the signed bundle as JSON. signer is that of countersign.ReleaseKey.
func SignRelease(ctx context.Context, signer Signer, r Release) ([]byte, error) {
	payload, err := r.encode()
	if err != nil {
		return nil, fmt.Errorf("statement about a release: %w", err)
	}
	bundle, err := seal(ctx, signer, countersign.ReleaseKey, payload)
	if err != nil {
		return nil, fmt.Errorf("signing release %d: %w", r.Number, err)
	}
	return bundle, nil
}

// VerifyRelease returns which key version states about a release record exactly what want says, the latest of several.
// Without one, the error is a *VerificationError with the refusal that came furthest.
func VerifyRelease(bundles [][]byte, ring keyring.KeyRing, want Release) (keyring.KeyID, error) {
	furthest := refuse(Missing, "the record carries no signature of key %s", countersign.ReleaseKey)
	var best keyring.KeyID
	for _, bundle := range bundles[:min(len(bundles), MaxBundles)] {
		key, refusal := verifyRelease(bundle, ring, want)
		switch {
		case refusal == nil && key.Version > best.Version:
			best = key
		case refusal != nil && slices.Index(progress, refusal.Reason) > slices.Index(progress, furthest.Reason):
			furthest = refusal
		}
	}
	if best.Version > 0 {
		return best, nil
	}
	furthest.Function = countersign.ReleaseKey
	return keyring.KeyID{}, furthest
}

func verifyRelease(bundle []byte, ring keyring.KeyRing, want Release) (keyring.KeyID, *VerificationError) {
	payload, err := want.encode()
	if err != nil {
		return keyring.KeyID{}, refuseFor(Incomplete, err)
	}
	envelope, hint, refusal := openBundle(bundle)
	if refusal != nil {
		return keyring.KeyID{}, refusal
	}
	key, refusal := verifyEnvelope(envelope, hint, ring, countersign.ReleaseKey)
	if refusal == nil && !bytes.Equal(envelope.Payload, payload) {
		refusal = refuse(WrongDigest, "it is not about release %d of environment %s, or not about this record", want.Number, want.Environment)
	}
	if refusal != nil {
		refusal.KeyID = hint
	}
	return key, refusal
}
