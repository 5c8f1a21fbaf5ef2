package attest

import (
	"errors"
	"slices"

	"countersign"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"countersign/vaultsign/keyring"
)

const (
	// MaxBundle bounds a bundle, in bytes.
	MaxBundle = 1 << 20
	// MaxBundles bounds how many bundles VerifyAny looks at.
	MaxBundles = 64
)

// Want is what an attestation must be about. Every field is required: an expectation that is left out would be a check
// that is left out.
type Want struct {
	Function        string
	ManifestDigest  string   // sha256:<hex> of the OCI manifest, from its bytes
	FileDigests     []string // sha256:<hex> of every file that may run, from its bytes; at least one
	SpecDigest      string   // sha256:<hex> of the spec's bytes
	InterfaceDigest string   // sha256:<hex> of the interface that callers see
}

// Attestation is what a verified bundle states, and who signed it.
type Attestation struct {
	Claims
	Key keyring.KeyID // whose public half verified the signature
}

// Verify checks a bundle against a function's key ring and an expectation. Every error is a *VerificationError. The
// payload is not looked at before its signature has been verified.
func Verify(bundle []byte, ring keyring.KeyRing, want Want) (*Attestation, error) {
	a, refusal := verify(bundle, ring, want)
	if refusal != nil {
		refusal.Function = want.Function
		return nil, refusal
	}
	return a, nil
}

// VerifyAny checks the bundles of one artifact and returns the one that verifies under the latest version of the key:
// after a rotation an artifact may carry several. If none does, the error is a *VerificationError with the refusal that
// came furthest; without bundles its reason is Missing. Bundles beyond MaxBundles are not looked at.
func VerifyAny(bundles [][]byte, ring keyring.KeyRing, want Want) (*Attestation, error) {
	furthest := refuse(Missing, "the artifact carries no attestation: deploy it with the pipeline, which signs it")
	var best *Attestation
	for _, bundle := range bundles[:min(len(bundles), MaxBundles)] {
		a, refusal := verify(bundle, ring, want)
		if refusal == nil {
			if best == nil || a.Key.Version > best.Key.Version {
				best = a
			}
			continue
		}
		if slices.Index(progress, refusal.Reason) > slices.Index(progress, furthest.Reason) {
			furthest = refusal
		}
	}
	if best != nil {
		return best, nil
	}
	furthest.Function = want.Function
	return nil, furthest
}

// NamedKey returns the key version that a bundle names as its signer. Nothing of it is verified.
func NamedKey(bundle []byte) (keyring.KeyID, error) {
	_, hint, refusal := openBundle(bundle)
	if refusal != nil {
		return keyring.KeyID{}, refusal
	}
	return keyring.ParseKeyID(hint)
}

// progress orders reasons by how much of an attestation had been accepted when they came up.
var progress = []Reason{Incomplete, Missing, Malformed, WrongType, WrongKey, BadSignature, WrongFunction, WrongDigest,
	WrongSpec, WrongInterface, UnknownVersion, VersionRetired}

func verify(bundle []byte, ring keyring.KeyRing, want Want) (*Attestation, *VerificationError) {
	if refusal := want.check(); refusal != nil {
		return nil, refusal
	}
	envelope, hint, refusal := openBundle(bundle)
	if refusal != nil {
		return nil, refusal
	}
	key, refusal := verifyEnvelope(envelope, hint, ring, want.Function)
	if refusal == nil {
		var claims Claims
		if claims, refusal = decodeStatement(envelope.Payload); refusal == nil {
			if refusal = want.match(claims); refusal == nil {
				return &Attestation{Claims: claims, Key: key}, nil
			}
		}
	}
	refusal.KeyID = hint
	return nil, refusal
}

// check refuses an expectation with holes.
func (w Want) check() *VerificationError {
	digests := append([]string{w.ManifestDigest, w.SpecDigest, w.InterfaceDigest}, w.FileDigests...)
	malformed := func(digest string) bool { return !countersign.ValidDigest(digest) }
	if !countersign.ValidName(w.Function) || len(w.FileDigests) == 0 || slices.ContainsFunc(digests, malformed) {
		return refuse(Incomplete, "the verifier must name the function and the sha256 digests of manifest, files, spec "+
			"and interface")
	}
	return nil
}

// match compares what is stated with what is expected.
func (w Want) match(c Claims) *VerificationError {
	switch {
	case c.Function != w.Function:
		return refuse(WrongFunction, "it is about function %q", c.Function)
	case c.ManifestDigest != w.ManifestDigest:
		return refuse(WrongDigest, "it is about the manifest %s, not %s", c.ManifestDigest, w.ManifestDigest)
	case c.SpecDigest != w.SpecDigest:
		return refuse(WrongSpec, "it is about the spec %s, not %s", c.SpecDigest, w.SpecDigest)
	case c.InterfaceDigest != w.InterfaceDigest:
		return refuse(WrongInterface, "it is about the interface %s, not %s", c.InterfaceDigest, w.InterfaceDigest)
	}
	for _, digest := range w.FileDigests {
		if !slices.ContainsFunc(c.Files, func(f File) bool { return f.Digest == digest }) {
			return refuse(WrongDigest, "it does not name the file %s", digest)
		}
	}
	return nil
}

// openBundle reads a bundle down to an envelope with one signature, and the hint that names its key. Fields that the
// format does not have, and fields that are there twice, are refused.
func openBundle(src []byte) (envelope *dssepb.Envelope, hint string, refusal *VerificationError) {
	if len(src) > MaxBundle {
		return nil, "", refuse(Malformed, "the bundle has %d bytes, more than %d", len(src), MaxBundle)
	}
	var bundle bundlepb.Bundle
	if err := protojson.Unmarshal(src, &bundle); err != nil {
		// protojson's messages vary between builds on purpose; a refusal reads the same everywhere.
		return nil, "", &VerificationError{Reason: Malformed, Detail: "not a sigstore bundle in JSON", Err: err}
	}
	if bundle.MediaType != BundleType {
		return nil, "", refuse(WrongType, "the bundle's media type is %.100q, not %s", bundle.MediaType, BundleType)
	}
	envelope = bundle.GetDsseEnvelope()
	if envelope == nil {
		return nil, "", refuse(WrongType, "the bundle holds no DSSE envelope")
	}
	if envelope.PayloadType != PayloadType {
		return nil, "", refuse(WrongType, "the payload type is %.100q, not %s", envelope.PayloadType, PayloadType)
	}
	if n := len(envelope.Signatures); n != 1 || envelope.Signatures[0] == nil {
		return nil, "", refuse(Malformed, "the envelope has %d signatures, not one", n)
	}
	key := bundle.GetVerificationMaterial().GetPublicKey()
	if key == nil {
		return nil, "", refuse(Malformed, "the bundle's verification material does not name a key")
	}
	return envelope, key.Hint, nil
}

// verifyEnvelope verifies the signature with the key version that the hint names.
func verifyEnvelope(e *dssepb.Envelope, hint string, ring keyring.KeyRing, function string) (keyring.KeyID,
	*VerificationError) {
	id, err := keyring.ParseKeyID(hint)
	if err != nil {
		return id, refuseFor(WrongKey, err)
	}
	if ring.Function != function {
		return id, refuse(WrongKey, "the key ring is one of function %.80q", ring.Function)
	}
	if id != ring.KeyID(id.Version) {
		return id, refuse(WrongKey, "it is signed with %s, not with the key %s/%s", id, ring.Mount, ring.Function)
	}
	key, err := ring.Public(id.Version)
	var retired *keyring.RetiredVersionError
	var unknown *keyring.UnknownVersionError
	switch {
	case errors.As(err, &retired):
		return id, refuseFor(VersionRetired, err)
	case errors.As(err, &unknown):
		return id, refuseFor(UnknownVersion, err)
	case err != nil:
		return id, refuseFor(WrongKey, err)
	}
	signature := e.Signatures[0]
	if signature.Keyid != key.Fingerprint() {
		return id, refuse(WrongKey, "its key id is %.100q, but %s is %s", signature.Keyid, id, key.Fingerprint())
	}
	if !key.Verify(dsse.PAE(e.PayloadType, e.Payload), signature.Sig) {
		return id, refuse(BadSignature, "the signature is not one of %s over this statement", id)
	}
	return id, nil
}
