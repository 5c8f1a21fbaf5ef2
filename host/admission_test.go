package host

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oras.land/oras-go/v2/content/oci"

	"countersign/artifact"
	"countersign/host/control"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/identity/issue"
	"countersign/vaultsign/keyring"
)

// artifactKey signs artifacts of a function in the test's memory.
type artifactKey struct {
	function string
	private  *ecdsa.PrivateKey
	pem      string
}

func newArtifactKey(t *testing.T, function string) artifactKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	der, err := x509.MarshalPKIXPublicKey(private.Public())
	must(t, err)
	return artifactKey{function, private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))}
}

func (k artifactKey) ring(floor int) keyring.KeyRing {
	return keyring.KeyRing{Mount: "transit", Function: k.function, Versions: map[int]string{1: k.pem, 2: k.pem}, MinVersion: floor}
}

// Sign implements attest.Signer.
func (k artifactKey) Sign(_ context.Context, data []byte) ([]byte, keyring.PublicKey, error) {
	digest := sha256.Sum256(data)
	signature, err := ecdsa.SignASN1(rand.Reader, k.private, digest[:])
	if err != nil {
		return nil, keyring.PublicKey{}, err
	}
	key, err := k.ring(1).Public(1)
	return signature, key, err
}

// published is an artifact of quote that the host has in its cache; its registry is away.
type published struct {
	*fixture
	key   artifactKey
	ref   artifact.Reference
	vault struct {
		status, floor int
	}
}

// publish puts an artifact with a spec into the cache of a host. attestation makes its attestation, or none.
func publish(t *testing.T, spec string, attestation func(p *published, c attest.Claims) []byte) *published {
	t.Helper()
	p := &published{fixture: newFixtureFrom(t, newAuthority(t), control.HostConfig{PlainHTTP: true, Registry: control.Registry{Allow: []string{"127.0.0.1:1"}}}), key: newArtifactKey(t, "quote")}
	p.vault.status, p.vault.floor = http.StatusOK, 1
	store, err := oci.New(t.TempDir())
	must(t, err)
	contents := artifact.Contents{Function: "quote", Wasm: []byte("\x00asm\x01\x00\x00\x00"), Spec: []byte(spec),
		Interface: []byte(`{"function":"quote","request":{"kind":"string"},"reply":{"kind":"string"},"calls":{}}`)}
	d, _, err := artifact.Push(t.Context(), store, contents)
	must(t, err)
	p.ref = artifact.Reference{Registry: "127.0.0.1:1", Repository: "shop/quote", Digest: d.Digest.String()}
	iface, err := contents.InterfaceDigest()
	must(t, err)
	files := contents.Files()
	claims := attest.Claims{Function: "quote", Repository: "https://git.example/quote.git", Commit: strings.Repeat("a", 40),
		Target: "@quote//:quote", ManifestDigest: p.ref.Digest, Files: []attest.File{{Name: files[0].Name, Digest: files[0].Digest}},
		SpecDigest: contents.SpecDigest(), InterfaceDigest: iface, Builder: attest.Builder{ID: "https://builder.example"}}
	if bundle := attestation(p, claims); bundle != nil {
		must(t, artifact.AttachBundle(t.Context(), store, p.ref, bundle, attest.PredicateType))
	}
	_, err = p.host.cache.Load(t.Context(), store, p.ref)
	must(t, err)
	vault := httptest.NewServer(http.HandlerFunc(p.serveVault))
	t.Cleanup(vault.Close)
	p.host.config.Vault = control.Vault{Address: vault.URL, AuthMount: "jwt-nomad", AuthRole: "r", TransitMount: "transit",
		PKIMount: "pki", PKIRole: "function"}
	return p
}

// serveVault answers a login, and for the key of the function.
func (p *published) serveVault(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasSuffix(r.URL.Path, "/login"):
		_ = json.NewEncoder(w).Encode(map[string]any{"auth": map[string]any{"client_token": "t", "accessor": "a"}})
	case p.vault.status != http.StatusOK:
		w.WriteHeader(p.vault.status)
	default:
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"type": "ecdsa-p256",
			"min_decryption_version": p.vault.floor, "keys": map[string]any{"1": map[string]any{"public_key": p.key.pem},
				"2": map[string]any{"public_key": p.key.pem}}}})
	}
}

// begin logs in for a start of the artifact.
func (p *published) begin(t *testing.T) *start {
	t.Helper()
	file := filepath.Join(t.TempDir(), "jwt")
	must(t, os.WriteFile(file, []byte("jwt"), 0o600))
	s := &start{host: p.host, request: control.StartRequest{Function: "quote", Artifact: p.ref.String(), IdentityFile: file, MemoryBytes: 1 << 30}}
	var err error
	s.login, err = issue.LogIn(t.Context(), p.host.vault(), func() ([]byte, error) { return os.ReadFile(file) })
	must(t, err)
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const quoteSpec = "function \"quote\" {\n  description = \"Price\"\n}\n"

// bySelf attests what was published, with the function's key.
func bySelf(p *published, c attest.Claims) []byte {
	bundle, err := attest.Sign(context.Background(), p.key, c)
	if err != nil {
		panic(err)
	}
	return bundle
}

// TestAdmission starts artifacts that are in the node's cache, with one thing after the other missing.
func TestAdmission(t *testing.T) {
	none := func(*published, attest.Claims) []byte { return nil }
	for name, test := range map[string]struct {
		attestation func(*published, attest.Claims) []byte
		edit        func(*published)
		refused     bool // verification failed
		fails       bool // for another reason
	}{
		"attested":      {bySelf, nil, false, false},
		"not attested":  {none, nil, false, true}, // the registry, which is away, may have an attestation
		"another's key": {bySelf, func(p *published) { p.key = newArtifactKey(p.tb.(*testing.T), "quote") }, true, true},
		"another digest": {func(p *published, c attest.Claims) []byte {
			c.ManifestDigest = "sha256:" + strings.Repeat("0", 64)
			return bySelf(p, c)
		}, nil, true, true},
		"another spec": {func(p *published, c attest.Claims) []byte {
			c.SpecDigest = "sha256:" + strings.Repeat("0", 64)
			return bySelf(p, c)
		}, nil, true, true},
		"retired": {bySelf, func(p *published) { p.vault.floor = 2 }, true, true},
		"retired, which Vault has forgotten": {bySelf, func(p *published) {
			if _, err := p.host.updateRing(p.key.ring(2)); err != nil {
				p.tb.Fatal(err)
			}
		}, true, true},
		"Vault is away, and the keys are known": {bySelf, func(p *published) {
			p.vault.status = http.StatusServiceUnavailable
			if _, err := p.host.updateRing(p.key.ring(1)); err != nil {
				p.tb.Fatal(err)
			}
		}, false, false},
		"Vault is away, and the keys are not": {bySelf, func(p *published) { p.vault.status = http.StatusServiceUnavailable }, false, true},
		"Vault says no, and the keys are known": {bySelf, func(p *published) {
			p.vault.status = http.StatusForbidden
			if _, err := p.host.updateRing(p.key.ring(1)); err != nil {
				p.tb.Fatal(err)
			}
		}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			p := publish(t, quoteSpec, test.attestation)
			if test.edit != nil {
				test.edit(p)
			}
			err := p.begin(t).admit(t.Context())
			var unverified interface{ Unverified() bool }
			refused := errors.As(err, &unverified) && unverified.Unverified()
			if (err != nil) != test.fails || refused != test.refused {
				t.Errorf("%v; refused %v", err, refused)
			}
		})
	}
}

// TestAttestationOfAnotherFunction has the artifact attested as tax, and a host that took tax's keys for it.
func TestAttestationOfAnotherFunction(t *testing.T) {
	tax := newArtifactKey(t, "tax")
	p := publish(t, quoteSpec, func(_ *published, c attest.Claims) []byte {
		c.Function = "tax"
		bundle, err := attest.Sign(t.Context(), tax, c)
		must(t, err)
		return bundle
	})
	s := p.begin(t)
	var err error
	s.loaded, err = p.host.cache.Load(t.Context(), nil, p.ref)
	must(t, err)
	if _, err := s.verify(tax.ring(1)); err == nil {
		t.Error("it verifies as quote")
	}
}

// TestSpecsThatAreNotHeldTo has attested specs that this host does not run.
func TestSpecsThatAreNotHeldTo(t *testing.T) {
	for name, test := range map[string]struct {
		spec   string
		memory int64
		want   string
	}{
		"another function": {strings.Replace(quoteSpec, `"quote"`, `"tax"`, 1), 1 << 30, "does not declare"},
		"too much memory":  {quoteSpec, 1, "Nomad reserved"},
	} {
		t.Run(name, func(t *testing.T) {
			s := publish(t, test.spec, bySelf).begin(t)
			s.request.MemoryBytes = test.memory
			var invalid *invalidError
			if err := s.admit(t.Context()); !errors.As(err, &invalid) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("%v; want %q", err, test.want)
			}
		})
	}
}
