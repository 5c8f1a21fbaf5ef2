package pipeline

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"strings"
	"testing"
	"time"

	"oras.land/oras-go/v2/content/oci"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/progress"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// keys are a function's key versions, made here instead of in Vault.
type keys struct {
	t       *testing.T
	private []*ecdsa.PrivateKey // version 1 first
	floor   int
}

func (k *keys) rotate() {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		k.t.Fatal(err)
	}
	k.private = append(k.private, private)
}

func (k *keys) pem(version int) string {
	der, err := x509.MarshalPKIXPublicKey(&k.private[version-1].PublicKey)
	if err != nil {
		k.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

func (k *keys) EnsureKey(context.Context, string) (bool, error) {
	if k.private != nil {
		return false, nil
	}
	k.rotate()
	return true, nil
}

func (k *keys) PublicKeys(_ context.Context, function string) (keyring.KeyRing, error) {
	if k.private == nil {
		return keyring.KeyRing{}, transit.ErrNoKey
	}
	ring := keyring.KeyRing{
		Mount: "transit", Function: function, Versions: map[int]string{}, MinVersion: max(1, k.floor), FetchedAt: time.Now(),
	}
	for i := range k.private {
		if i+1 >= k.floor {
			ring.Versions[i+1] = k.pem(i + 1)
		}
	}
	return ring, nil
}

type signer struct {
	*keys
	function string
}

func (s signer) Sign(ctx context.Context, data []byte) ([]byte, keyring.PublicKey, error) {
	digest := sha256.Sum256(data)
	signature, err := ecdsa.SignASN1(rand.Reader, s.private[len(s.private)-1], digest[:])
	if err != nil {
		return nil, keyring.PublicKey{}, err
	}
	ring, err := s.PublicKeys(ctx, s.function)
	if err != nil {
		return nil, keyring.PublicKey{}, err
	}
	key, err := ring.Public(ring.Latest())
	return signature, key, err
}

// directory is a registry's repository on disk.
func directory(t *testing.T) artifact.Store {
	t.Helper()
	store, err := oci.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return store
}

// publishing returns a deploy with a registry, and a function to deploy with it.
func publishing(t *testing.T, k *keys, store artifact.Store, commitDigit string) (*deploy, *unit) {
	t.Helper()
	env := &hclspec.Environment{Registry: hclspec.Registry{Address: "registry.example:5000", Prefix: "functions"}}
	source := &Source{
		Built: Built{
			Name: "quote", Target: "@quote//:quote", Runtime: hclspec.RuntimeWasm,
			Repository: "https://git.example/quote.git", Commit: strings.Repeat(commitDigit, 40),
		},
		Function: &hclspec.Function{Name: "quote"}, SpecSource: []byte("function \"quote\" {}\n"),
	}
	document := []byte(`{"calls":{},"function":"quote","reply":{"kind":"integer"},"request":{"kind":"string"}}`)
	p, err := pack(source, env, []byte("\x00asm module"), document)
	if err != nil {
		t.Fatal(err)
	}
	p.store = store
	d := &deploy{keys: k, signer: func(function string) attest.Signer { return signer{k, function} }}
	return d, &unit{Source: source, packed: p}
}

func TestSignAndPublishOnlyWhatLacks(t *testing.T) {
	k, store := &keys{t: t}, directory(t)
	run := func(t *testing.T, commitDigit string, wantSigned bool, wantVersion int, wantCommit string) {
		t.Helper()
		d, u := publishing(t, k, store, commitDigit)
		signed, err := d.sign(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		published, err := d.publish(t.Context(), u)
		if err != nil {
			t.Fatal(err)
		}
		if signed.Idle == wantSigned || published.Idle == wantSigned {
			t.Errorf("sign: %+v, publish: %+v; want them to do something: %t", signed, published, wantSigned)
		}
		if got := u.attestation.Key.Version; got != wantVersion {
			t.Errorf("attested by version %d, want %d", got, wantVersion)
		}
		if u.attestation.Commit != strings.Repeat(wantCommit, 40) {
			t.Errorf("attested commit %s, want 40 times %s", u.attestation.Commit, wantCommit)
		}
		if r := u.result(); r.Signed != wantSigned || r.Published != wantSigned {
			t.Errorf("result tells signed %t, published %t; want %t", r.Signed, r.Published, wantSigned)
		}
	}
	run(t, "1", true, 1, "1")  // first deploy: makes the key
	run(t, "1", false, 1, "1") // no change
	run(t, "2", false, 1, "1") // another commit that gives the same bytes
	k.rotate()
	run(t, "1", false, 1, "1") // version 1 still counts
	k.floor = 2
	run(t, "2", true, 2, "2")  // it does not any more: signed again, without a new build
	run(t, "1", false, 2, "2") // the one that counts is found among both
}

func TestPlanOnlySignsAndPublishesNothing(t *testing.T) {
	k, store := &keys{t: t}, directory(t)
	d, u := publishing(t, k, store, "1")
	d.PlanOnly = true
	for _, step := range []func(context.Context, *unit) (progress.Outcome, error){d.sign, d.publish} {
		o, err := step(t.Context(), u)
		if err != nil || !o.Idle || !strings.Contains(o.Detail, "would be") {
			t.Errorf("outcome %+v, %v; want nothing but what would be done", o, err)
		}
	}
	if k.private != nil {
		t.Error("a key was made")
	}
	if _, err := artifact.Pull(t.Context(), store, u.packed.reference); !errors.Is(err, artifact.ErrNotFound) {
		t.Errorf("pulling gives %v, want ErrNotFound", err)
	}
}

func TestRingOfOnePublicKey(t *testing.T) {
	k, store := &keys{t: t}, directory(t)
	d, u := publishing(t, k, store, "1")
	k.rotate()
	k.rotate() // signs with version 2
	for _, step := range []func(context.Context, *unit) (progress.Outcome, error){d.sign, d.publish} {
		if _, err := step(t.Context(), u); err != nil {
			t.Fatal(err)
		}
	}
	loaded, err := artifact.Pull(t.Context(), store, u.packed.reference)
	if err != nil {
		t.Fatal(err)
	}
	w, err := want(loaded.Contents, loaded.ManifestDigest)
	if err != nil {
		t.Fatal(err)
	}
	for version, ok := range map[int]bool{2: true, 1: false} {
		ring, err := ringOf([]byte(k.pem(version)), loaded.Bundles, w)
		if err != nil {
			t.Fatal(err)
		}
		a, err := attest.VerifyAny(loaded.Bundles, ring, w)
		if ok != (err == nil) || ok && a.Key.Version != 2 {
			t.Errorf("with the key of version %d: %+v, %v", version, a, err)
		}
	}
	if _, err := ringOf([]byte("-----BEGIN CERTIFICATE-----"), nil, w); err == nil {
		t.Error("a file without a public key was taken")
	}
}
