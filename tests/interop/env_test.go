//go:build integration

package interop

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"countersign/artifact"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

const mount = "transit"

// variable returns a variable that the tests cannot do without.
func variable(t testing.TB, name string) string {
	t.Helper()
	value := os.Getenv(name)
	if value == "" {
		t.Fatalf("%s is not set; see the package's documentation", name)
	}
	return value
}

func newVault(t testing.TB) *api.Client {
	t.Helper()
	variable(t, "VAULT_ADDR")
	variable(t, "VAULT_TOKEN")
	client, err := api.NewClient(api.DefaultConfig())
	if err != nil {
		t.Fatal(err)
	}
	return client
}

func newTransit(t testing.TB) *transit.Client {
	t.Helper()
	client, err := transit.New(newVault(t), mount)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// newFunction returns a name that no other test has. Its key stays in Vault: an operator's token can't delete keys.
func newFunction(t testing.TB) string {
	t.Helper()
	return "interop-" + strings.ToLower(rand.Text()[:12])
}

func within(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// write changes something in Vault.
func write(t testing.TB, path string, data map[string]any) {
	t.Helper()
	if _, err := newVault(t).Logical().WriteWithContext(within(t), path, data); err != nil {
		t.Fatal(err)
	}
}

// ring returns the key ring of a function as Vault has it now.
func ring(t testing.TB, function string) keyring.KeyRing {
	t.Helper()
	r, err := newTransit(t).PublicKeys(within(t), function)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func contents(function string) artifact.Contents {
	return artifact.Contents{
		Function: function, Wasm: []byte("\x00asm\x01\x00\x00\x00 " + function),
		Spec:      []byte(`function "` + function + `" {}`),
		Interface: []byte(`{"function":"` + function + `","request":{"kind":"any"},"reply":{"kind":"any"},"calls":{}}`),
	}
}

// sign attests contents with the latest version of the function's key, as the pipeline does.
func sign(t testing.TB, c artifact.Contents) (bundle []byte, want attest.Want) {
	t.Helper()
	client := newTransit(t)
	if _, err := client.EnsureKey(within(t), c.Function); err != nil {
		t.Fatal(err)
	}
	_, manifest, err := artifact.Manifest(c)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := c.InterfaceDigest()
	if err != nil {
		t.Fatal(err)
	}
	want = attest.Want{Function: c.Function, ManifestDigest: manifest.Digest.String(), SpecDigest: c.SpecDigest(),
		InterfaceDigest: sum}
	claims := attest.Claims{
		Deployer:    attest.Deployer{Entity: "alice", EntityID: "6f1b0d2e", DisplayName: "oidc-alice"},
		SignedAgain: attest.SignedAgain{Key: "hashivault://transit/" + c.Function + ":v1", By: attest.Deployer{DisplayName: "root"}},

		Function: c.Function, Repository: "https://git.example/shop/" + c.Function, Commit: strings.Repeat("0123456789", 4),
		Target: "@" + c.Function + "//:" + c.Function, ManifestDigest: want.ManifestDigest, SpecDigest: want.SpecDigest,
		InterfaceDigest: sum, Builder: attest.Builder{ID: "https://countersign.example/builder/test"},
	}
	for _, f := range c.Files() {
		claims.Files = append(claims.Files, attest.File{Name: f.Name, Digest: f.Digest})
		want.FileDigests = append(want.FileDigests, f.Digest)
	}
	bundle, err = attest.Sign(within(t), client.Signer(c.Function), claims)
	if err != nil {
		t.Fatal(err)
	}
	return bundle, want
}

// file writes a file of the test's own.
func file(t testing.TB, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// cosign runs the real thing, away from the user's own configuration.
func cosign(t testing.TB, arguments ...string) (output string, err error) {
	t.Helper()
	command := exec.CommandContext(within(t), variable(t, "COUNTERSIGN_COSIGN"), arguments...)
	home := t.TempDir()
	command.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home, "DOCKER_CONFIG="+home)
	var text bytes.Buffer
	command.Stdout, command.Stderr = &text, &text
	err = command.Run()
	return text.String(), err
}
