package attest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
	bundlepb "github.com/sigstore/protobuf-specs/gen/pb-go/bundle/v1"
	commonpb "github.com/sigstore/protobuf-specs/gen/pb-go/common/v1"
	dssepb "github.com/sigstore/protobuf-specs/gen/pb-go/dsse"
	"google.golang.org/protobuf/encoding/protojson"

	"countersign/vaultsign/keyring"
)

// Signer signs with one key. It differs from DSSE's own interface in that the signature and the key version that made
// it come from one answer: asked for separately, a rotation could come between them.
type Signer interface {
	// Sign returns an ECDSA P-256 signature over the SHA-256 of data, in ASN.1 DER (RFC 3279, 2.2.3), and the public
	// half of the key version that made it.
	Sign(ctx context.Context, data []byte) (signature []byte, key keyring.PublicKey, err error)
}

// Sign states claims and returns the signed bundle as JSON. A signature that does not verify is an error: nobody could
// use the artifact.
func Sign(ctx context.Context, signer Signer, claims Claims) ([]byte, error) {
	payload, err := claims.encode()
	if err != nil {
		return nil, fmt.Errorf("attestation of function %.80q: %w", claims.Function, err)
	}
	bundle, err := seal(ctx, signer, claims.Function, payload)
	if err != nil {
		return nil, fmt.Errorf("signing the attestation of function %q: %w", claims.Function, err)
	}
	return bundle, nil
}

// seal has a statement signed by a key that is called name, and makes sure that it was.
func seal(ctx context.Context, signer Signer, name string, payload []byte) ([]byte, error) {
	data := dsse.PAE(PayloadType, payload)
	signature, key, err := signer.Sign(ctx, data)
	if err != nil {
		return nil, err
	}
	if key.ID.Function != name || !key.Verify(data, signature) {
		return nil, fmt.Errorf("the signature is not one of key %s but of %s, or does not verify", name, key.ID)
	}
	return pack(payload, signature, key)
}

// pack makes the bundle: a DSSE envelope and the name of its key; no certificate, no transparency log, no time. The
// envelope's keyid is the key's fingerprint, because DSSE libraries, cosign's among them, pass over a signature whose
// keyid is another than the one they derive from the key that they are given.
func pack(payload, signature []byte, key keyring.PublicKey) ([]byte, error) {
	text, err := protojson.Marshal(&bundlepb.Bundle{
		MediaType: BundleType,
		VerificationMaterial: &bundlepb.VerificationMaterial{
			Content: &bundlepb.VerificationMaterial_PublicKey{
				PublicKey: &commonpb.PublicKeyIdentifier{Hint: key.ID.String()},
			},
		},
		Content: &bundlepb.Bundle_DsseEnvelope{DsseEnvelope: &dssepb.Envelope{
			Payload:     payload,
			PayloadType: PayloadType,
			Signatures:  []*dssepb.Signature{{Sig: signature, Keyid: key.Fingerprint()}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("writing a bundle: %w", err)
	}
	var compact bytes.Buffer // protojson varies its white space on purpose
	if err := json.Compact(&compact, text); err != nil {
		return nil, fmt.Errorf("writing a bundle: %w", err)
	}
	return compact.Bytes(), nil
}
