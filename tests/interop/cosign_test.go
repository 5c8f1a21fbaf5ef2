//go:build integration

package interop

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"

	"countersign"
	"countersign/artifact"
	"countersign/pipeline/resign"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// verifyBlob asks cosign whether a bundle is about a file.
func verifyBlob(t *testing.T, bundle []byte, key string, content []byte) (string, error) {
	t.Helper()
	return cosign(t, "verify-blob-attestation", "--key", file(t, "key.pem", []byte(key)), "--type", "slsaprovenance1",
		"--insecure-ignore-tlog", "--bundle", file(t, "bundle.json", bundle), file(t, "blob", content))
}

func TestCosignVerifiesAFile(t *testing.T) {
	c := contents(newFunction(t))
	bundle, want := sign(t, c)
	key := ring(t, c.Function).Versions[1]
	if output, err := verifyBlob(t, bundle, key, c.Wasm); err != nil {
		t.Fatalf("cosign refuses what Vault signed: %v\n%s", err, output)
	}
	manifest, _, err := artifact.Manifest(c)
	if err != nil {
		t.Fatal(err)
	}
	if output, err := verifyBlob(t, bundle, key, manifest); err != nil {
		t.Errorf("cosign refuses the manifest: %v\n%s", err, output)
	}
	if output, err := cosign(t, "verify-blob-attestation", "--key", file(t, "key.pem", []byte(key)),
		"--type", attest.PredicateType, "--insecure-ignore-tlog", "--bundle", file(t, "bundle.json", bundle),
		"--digest", strings.TrimPrefix(want.ManifestDigest, "sha256:"), "--digestAlg", "sha256"); err != nil {
		t.Errorf("cosign refuses the manifest's digest: %v\n%s", err, output)
	}
}

// TestCosignRefusesForgeries shows that the verdict above means something, and that Verify agrees.
func TestCosignRefusesForgeries(t *testing.T) {
	c, other := contents(newFunction(t)), contents(newFunction(t))
	bundle, want := sign(t, c)
	sign(t, other)
	keys, otherKeys := ring(t, c.Function), ring(t, other.Function)
	for name, forged := range map[string]struct {
		bundle  []byte
		key     string
		content []byte
	}{
		"another file":      {bundle, keys.Versions[1], other.Wasm},
		"another key":       {bundle, otherKeys.Versions[1], c.Wasm},
		"changed statement": {withPayload(t, bundle, "0123456789", "9123456789"), keys.Versions[1], c.Wasm},
	} {
		if output, err := verifyBlob(t, forged.bundle, forged.key, forged.content); err == nil {
			t.Errorf("%s: cosign accepts it:\n%s", name, output)
		}
		ring, want := keys, want
		ring.Versions = map[int]string{1: forged.key}
		want.FileDigests = []string{digestOf(forged.content)}
		if _, err := attest.Verify(forged.bundle, ring, want); err == nil {
			t.Errorf("%s: Verify accepts it", name)
		}
	}
}

// withPayload changes the statement in a bundle and leaves its signature alone.
func withPayload(t *testing.T, bundle []byte, old, new string) []byte {
	t.Helper()
	var b struct {
		DsseEnvelope struct {
			Payload []byte `json:"payload"`
		} `json:"dsseEnvelope"`
	}
	if err := json.Unmarshal(bundle, &b); err != nil {
		t.Fatal(err)
	}
	payload := b.DsseEnvelope.Payload
	changed := bytes.Replace(payload, []byte(old), []byte(new), 1)
	if bytes.Equal(payload, changed) {
		t.Fatalf("%q is not in the statement", old)
	}
	encode := base64.StdEncoding.EncodeToString
	return bytes.Replace(bundle, []byte(encode(payload)), []byte(encode(changed)), 1)
}

func TestCosignFindsTheAttestationInTheRegistry(t *testing.T) {
	c := contents(newFunction(t))
	ref, store := repository(t, c.Function)
	d, _, err := artifact.Push(within(t), store, c)
	if err != nil {
		t.Fatal(err)
	}
	ref = ref.WithDigest(d.Digest.String())
	verify := func(version int) (string, error) {
		return cosign(t, "verify-attestation", "--key", file(t, "key.pem", []byte(ring(t, c.Function).Versions[version])),
			"--type", "slsaprovenance1", "--insecure-ignore-tlog", "--allow-http-registry", ref.String())
	}
	bundle, _ := sign(t, c)
	if output, err := verify(1); err == nil {
		t.Fatalf("cosign accepts an artifact without attestation:\n%s", output)
	}
	if err := artifact.AttachBundle(within(t), store, ref, bundle, attest.PredicateType); err != nil {
		t.Fatal(err)
	}
	if output, err := verify(1); err != nil {
		t.Fatalf("cosign refuses it: %v\n%s", err, output)
	}
	write(t, mount+"/keys/"+c.Function+"/rotate", nil)
	if output, err := verify(2); err == nil {
		t.Fatalf("cosign accepts it with a key version that did not sign it:\n%s", output)
	}
	again, _ := sign(t, c)
	if err := artifact.AttachBundle(within(t), store, ref, again, attest.PredicateType); err != nil {
		t.Fatal(err)
	}
	for version := 1; version <= 2; version++ {
		if output, err := verify(version); err != nil {
			t.Errorf("after signing again, version %d: %v\n%s", version, err, output)
		}
	}
}

// TestCosignAfterARotation runs what docs/attestation-format.md, section 7, says of cosign with a key of Vault, of which it knows the
// latest version only: after a rotation it refuses, after signing again it accepts, also when the earlier version is retired. Two
// sign again at once.
func TestCosignAfterARotation(t *testing.T) {
	c := contents(newFunction(t))
	ref, store := repository(t, c.Function)
	d, _, err := artifact.Push(within(t), store, c)
	if err != nil {
		t.Fatal(err)
	}
	ref = ref.WithDigest(d.Digest.String())
	bundle, _ := sign(t, c)
	if err := artifact.AttachBundle(within(t), store, ref, bundle, attest.PredicateType); err != nil {
		t.Fatal(err)
	}
	verify := func(want bool, latest int) {
		t.Helper()
		t.Setenv("VAULT_KEY_PREFIX", fmt.Sprintf("vault:v%d:", latest)) // without it cosign asks Vault about version 1
		pem, err := cosign(t, "public-key", "--key", "hashivault://"+c.Function)
		if err != nil {
			t.Fatal(err, pem)
		}
		for _, key := range []string{"hashivault://" + c.Function, file(t, "key.pem", []byte(pem))} {
			output, err := cosign(t, "verify-attestation", "--key", key, "--type", "slsaprovenance1", "--insecure-ignore-tlog",
				"--allow-http-registry", ref.String())
			if (err == nil) != want {
				t.Errorf("cosign with the key %s: %v; want it to accept: %t\n%s", key, err, want, output)
			}
		}
	}
	again := func() (*resign.Outcome, error) {
		_, store := repository(t, c.Function)
		keys := newTransit(t)
		r := &resign.Resigner{Keys: keys, Mount: mount, By: attest.Deployer{DisplayName: "oidc-bob"},
			Signer: func(function string) attest.Signer { return keys.Signer(function) },
			Open:   func(artifact.Reference) (artifact.Store, error) { return store, nil }}
		return r.Resign(t.Context(), resign.Recorded{Function: release.Function{Artifact: ref.Registry + "/" + ref.Repository, ArtifactDigest: ref.Digest}})
	}
	verify(true, 1)
	write(t, mount+"/keys/"+c.Function+"/rotate", nil)
	verify(false, 1)
	verify(false, 2)
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			if _, err := again(); err != nil {
				t.Error(err)
			}
		})
	}
	both.Wait()
	// Of two without the deploy lock, one may undo the other's list of attestations, see AttachBundle: the next one mends it.
	if o, err := again(); err != nil || o.After == nil || o.After.Key.Version != 2 {
		t.Errorf("%+v, %v", o, err)
	}
	verify(true, 2)
	write(t, mount+"/keys/"+c.Function+"/config", map[string]any{"min_decryption_version": 2})
	verify(true, 2)
	if o, err := again(); err != nil || o.Added() {
		t.Errorf("after the retirement: %+v, %v", o, err)
	}
}

// TestRoomInARegistry rotates more often than a registry's artifact is to carry attestations.
func TestRoomInARegistry(t *testing.T) {
	c := contents(newFunction(t))
	ref, store := repository(t, c.Function)
	d, _, err := artifact.Push(within(t), store, c)
	if err != nil {
		t.Fatal(err)
	}
	ref = ref.WithDigest(d.Digest.String())
	keys := newTransit(t)
	r := &resign.Resigner{Keys: keys, Mount: mount, By: attest.Deployer{DisplayName: "oidc-bob"},
		Signer: func(function string) attest.Signer { return keys.Signer(function) },
		Open:   func(artifact.Reference) (artifact.Store, error) { return store, nil }}
	bundle, _ := sign(t, c)
	if err := artifact.AttachBundle(within(t), store, ref, bundle, attest.PredicateType); err != nil {
		t.Fatal(err)
	}
	for range resign.Kept + 1 {
		write(t, mount+"/keys/"+c.Function+"/rotate", nil)
		o, err := r.Resign(within(t), resign.Recorded{Function: release.Function{Artifact: ref.Registry + "/" + ref.Repository, ArtifactDigest: ref.Digest}})
		if err != nil || !o.Added() {
			t.Fatalf("%+v, %v", o, err)
		}
	}
	bundles, err := artifact.Bundles(within(t), store, ref)
	if err != nil || len(bundles) != resign.Kept {
		t.Errorf("%d attestations, %v; want %d", len(bundles), err, resign.Kept)
	}
}

// TestCosignVerifiesARelease runs what docs/releases.md, section 3, tells its readers to run.
func TestCosignVerifiesARelease(t *testing.T) {
	client := newTransit(t)
	if _, err := client.EnsureKey(within(t), countersign.ReleaseKey); err != nil {
		t.Fatal(err)
	}
	push := func(record string) string {
		ref, store := repository(t, "releases.dev")
		manifest, err := artifact.PushRecord(within(t), store, []byte(record))
		if err != nil {
			t.Fatal(err)
		}
		if record == "unsigned" {
			return ref.WithDigest(manifest).String()
		}
		bundle, err := attest.SignRelease(within(t), client.Signer(countersign.ReleaseKey), attest.Release{
			Environment: "dev", Number: 1, RecordDigest: digestOf([]byte(record)), ManifestDigest: manifest})
		if err == nil {
			err = artifact.AttachBundle(within(t), store, ref.WithDigest(manifest), bundle, attest.ReleaseType)
		}
		if err != nil {
			t.Fatal(err)
		}
		return ref.WithDigest(manifest).String()
	}
	verify := func(kind, ref string) (string, error) {
		return cosign(t, "verify-attestation", "--key", "hashivault://"+countersign.ReleaseKey, "--type", kind,
			"--insecure-ignore-tlog", "--allow-http-registry", ref)
	}
	signed := push(newFunction(t)) // cosign and the registry do not mind what a record says
	if output, err := verify(attest.ReleaseType, signed); err != nil {
		t.Errorf("cosign refuses it: %v\n%s", err, output)
	}
	if output, err := verify("slsaprovenance1", signed); err == nil {
		t.Errorf("cosign accepts it as a function's attestation:\n%s", output)
	}
	if output, err := verify(attest.ReleaseType, push("unsigned")); err == nil {
		t.Errorf("cosign accepts a record that nobody signed:\n%s", output)
	}
}
