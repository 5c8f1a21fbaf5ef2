package attest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"errors"
	"reflect"
	"testing"

	"countersign/vaultsign/keyring"
)

// FuzzVerify looks for bundles that panic, and for bundles that verify without being the one that was signed.
func FuzzVerify(f *testing.F) {
	// Every worker of a fuzz run is a process of its own: they must all have the same key.
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{7}, 32))
	if err != nil {
		f.Fatal(err)
	}
	key := localKey{keyring.KeyID{Mount: "transit", Function: "quote", Version: 1}, private}
	ring, want := ringOf(f, 1, key), quoteWant()
	f.Add(sign(f, key, quoteClaims()))
	f.Add(signPayload(f, key, `{"_type":1}`))
	f.Add([]byte(`{"mediaType":"` + BundleType + `","dsseEnvelope":{"signatures":[null]}}`))
	f.Fuzz(func(t *testing.T, bundle []byte) {
		a, err := Verify(bundle, ring, want)
		if err == nil && !reflect.DeepEqual(a.Claims, quoteClaims()) {
			t.Errorf("verified a statement that nobody signed: %+v", a)
		}
		var refusal *VerificationError
		if err != nil && !errors.As(err, &refusal) {
			t.Errorf("refused with a %T: %v", err, err)
		}
	})
}

// FuzzStatement does the same behind the signature, which a fuzzer cannot pass.
func FuzzStatement(f *testing.F) {
	stated, err := quoteClaims().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(stated)
	f.Add([]byte(`{"subject":[1],"predicate":{"buildDefinition":[]}}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		claims, refusal := decodeStatement(payload)
		if refusal != nil {
			return
		}
		again, err := claims.encode()
		if err != nil {
			t.Fatalf("accepted what could not have been stated: %v", err)
		}
		if back, refusal := decodeStatement(again); refusal != nil || back.match(claims) != nil {
			t.Errorf("changed on the way: %s", again)
		}
	})
}

func (c Claims) match(other Claims) *VerificationError {
	w := Want{Function: other.Function, ManifestDigest: other.ManifestDigest, SpecDigest: other.SpecDigest,
		InterfaceDigest: other.InterfaceDigest}
	for _, file := range other.Files {
		w.FileDigests = append(w.FileDigests, file.Digest)
	}
	return w.match(c)
}
