package attest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"countersign/vaultsign/keyring"
)

// localKey is a key whose private half is in the test.
type localKey struct {
	id      keyring.KeyID
	private *ecdsa.PrivateKey
}

func newKey(t testing.TB, function string, version int) localKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return localKey{keyring.KeyID{Mount: "transit", Function: function, Version: version}, private}
}

func (k localKey) Sign(_ context.Context, data []byte) ([]byte, keyring.PublicKey, error) {
	digest := sha256.Sum256(data)
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	return signature, k.public(), err
}

func (k localKey) pem() string {
	der, err := x509.MarshalPKIXPublicKey(k.private.Public())
	if err != nil {
		panic(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (k localKey) public() keyring.PublicKey {
	ring := keyring.KeyRing{Mount: k.id.Mount, Function: k.id.Function, Versions: map[int]string{k.id.Version: k.pem()},
		MinVersion: 1}
	key, err := ring.Public(k.id.Version)
	if err != nil {
		panic(err)
	}
	return key
}

func ringOf(t testing.TB, floor int, keys ...localKey) keyring.KeyRing {
	t.Helper()
	ring := keyring.KeyRing{Mount: "transit", Function: keys[0].id.Function, Versions: map[int]string{}, MinVersion: floor}
	for _, k := range keys {
		ring.Versions[k.id.Version] = k.pem()
	}
	return ring
}

func digestOf(s string) string { return "sha256:" + strings.Repeat(s, 64)[:64] }

// quoteClaims are what the test vectors of docs/attestation-format.md state.
func quoteClaims() Claims {
	return Claims{
		Function: "quote", Repository: "https://git.example/shop/quote.git", Commit: strings.Repeat("c0ffee12", 5),
		Target: "@quote//:quote", ManifestDigest: digestOf("1"), Files: []File{{"quote.wasm", digestOf("2")}},
		SpecDigest: digestOf("3"), InterfaceDigest: digestOf("4"),
		Builder: Builder{ID: "https://countersign.example/builder/bazel", Version: map[string]string{"bazel": "7.4.0"}},
	}
}

func quoteWant() Want {
	return Want{Function: "quote", ManifestDigest: digestOf("1"), FileDigests: []string{digestOf("2")},
		SpecDigest: digestOf("3"), InterfaceDigest: digestOf("4")}
}

func sign(t testing.TB, key localKey, claims Claims) []byte {
	t.Helper()
	bundle, err := Sign(context.Background(), key, claims)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// signPayload signs any payload properly: what an insider with the key could do.
func signPayload(t testing.TB, key localKey, payload string) []byte {
	t.Helper()
	signature, id, err := key.Sign(context.Background(), dsse.PAE(PayloadType, []byte(payload)))
	if err != nil {
		t.Fatal(err)
	}
	bundle, err := pack([]byte(payload), signature, id)
	if err != nil {
		t.Fatal(err)
	}
	return bundle
}

// payloadOf returns the statement in a bundle.
func payloadOf(t testing.TB, bundle []byte) string {
	t.Helper()
	var b struct {
		DsseEnvelope struct{ Payload []byte }
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		t.Fatal(err)
	}
	return string(b.DsseEnvelope.Payload)
}

func replaced(t testing.TB, in, old, new string) string {
	t.Helper()
	if strings.Count(in, old) == 0 {
		t.Fatalf("%q is not in %s", old, in)
	}
	return strings.Replace(in, old, new, 1)
}
