//go:build integration

package issue

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"countersign/vaultsign/identity"
)

// realVault is the Vault of VAULT_ADDR with mounts of this test's own, set up as the local cluster does.
type realVault struct {
	root   *api.Client
	config Config
	key    *ecdsa.PrivateKey // signs workload identities, as Nomad would
}

func newRealVault(t *testing.T, certTTL string) *realVault {
	t.Helper()
	if os.Getenv("VAULT_ADDR") == "" || os.Getenv("VAULT_TOKEN") == "" {
		t.Fatal("set VAULT_ADDR and VAULT_TOKEN of a Vault in which mounts may be made")
	}
	root, err := api.NewClient(nil)
	must(t, err)
	v := &realVault{root: root, config: Config{
		Address: os.Getenv("VAULT_ADDR"), CACert: os.Getenv("VAULT_CACERT"),
		AuthMount: unique("jwt"), AuthRole: "function", PKIMount: unique("pki"), PKIRole: "function",
	}}
	v.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	must(t, root.Sys().EnableAuthWithOptions(v.config.AuthMount, &api.EnableAuthOptions{Type: "jwt"}))
	t.Cleanup(func() { must(t, root.Sys().DisableAuth(v.config.AuthMount)) })
	must(t, root.Sys().Mount(v.config.PKIMount, &api.MountInput{Type: "pki"}))
	t.Cleanup(func() { must(t, root.Sys().Unmount(v.config.PKIMount)) })
	policy := unique("policy")
	t.Cleanup(func() { must(t, root.Sys().DeletePolicy(policy)) })
	must(t, root.Sys().PutPolicy(policy, fmt.Sprintf(
		`path "%s/sign/function" { capabilities = ["update"] }`, v.config.PKIMount)))

	public, err := x509.MarshalPKIXPublicKey(v.key.Public())
	must(t, err)
	v.write(t, "auth/"+v.config.AuthMount+"/config", map[string]any{
		"jwt_validation_pubkeys": string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})),
	})
	v.write(t, "auth/"+v.config.AuthMount+"/role/function", map[string]any{
		"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "nomad_job_id",
		"claim_mappings": map[string]string{"nomad_job_id": "nomad_job_id"}, "token_policies": policy, "token_ttl": "5m",
	})
	v.write(t, v.config.PKIMount+"/root/generate/internal", map[string]any{
		"common_name": "test CA", "key_type": "ed25519", "ttl": "24h",
	})
	mounts, err := root.Sys().ListAuth()
	must(t, err)
	role := map[string]any{
		"key_type": "ed25519", "require_cn": true, "use_csr_common_name": false, "allow_any_name": false, "ttl": certTTL,
		"allowed_domains_template": true, "allow_bare_domains": true, "enforce_hostnames": true,
		"allowed_domains": fmt.Sprintf("{{identity.entity.aliases.%s.metadata.nomad_job_id}}",
			mounts[v.config.AuthMount+"/"].Accessor),
		"allow_localhost": false, "allow_ip_sans": false, "no_store": true, "not_before_duration": "1s",
		"key_usage": "DigitalSignature", "allowed_uri_sans_template": true,
		"allowed_uri_sans": fmt.Sprintf("spiffe://%s/function/{{identity.entity.aliases.%s.metadata.nomad_job_id}}",
			testDomain, mounts[v.config.AuthMount+"/"].Accessor),
	}
	v.write(t, v.config.PKIMount+"/roles/function", role)
	role["allowed_uri_sans_template"], role["allowed_uri_sans"] = false, "spiffe://"+testDomain+"/client/*"
	role["allowed_domains_template"], role["allowed_domains"], role["require_cn"] = false, "", false
	v.write(t, v.config.PKIMount+"/roles/client", role)
	return v
}

func unique(prefix string) string {
	b := make([]byte, 4)
	rand.Read(b)
	return "test-" + prefix + "-" + hex.EncodeToString(b)
}

func (v *realVault) write(t *testing.T, path string, data map[string]any) {
	t.Helper()
	_, err := v.root.Logical().Write(path, data)
	must(t, err)
}

// workloadIdentity writes the JWT of a job into a file.
func (v *realVault) workloadIdentity(t *testing.T, job string) string {
	t.Helper()
	claims, err := json.Marshal(map[string]any{
		"aud": "vault.io", "sub": job, "nomad_job_id": job, "iat": time.Now().Unix(), "nbf": time.Now().Unix() - 5,
		"exp": time.Now().Add(time.Hour).Unix(),
	})
	must(t, err)
	signed := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"ES256"}`)) + "." +
		base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(signed))
	r, s, err := ecdsa.Sign(rand.Reader, v.key, digest[:])
	must(t, err)
	signature := append(r.FillBytes(make([]byte, 32)), s.FillBytes(make([]byte, 32))...)
	file := filepath.Join(t.TempDir(), "identity.jwt")
	must(t, os.WriteFile(file, []byte(signed+"."+base64.RawURLEncoding.EncodeToString(signature)+"\n"), 0o600))
	return file
}

func TestRealVaultIssuesOwnIdentityOnly(t *testing.T) {
	v := newRealVault(t, "1h")
	ctx := context.Background()
	login, err := LogIn(ctx, v.config, from(v.workloadIdentity(t, "tax")))
	must(t, err)
	issued, err := login.Issue(ctx, function(t, "tax"))
	must(t, err)

	trust, err := OpenTrust(v.config, testDomain, filepath.Join(t.TempDir(), "bundle.pem"))
	must(t, err)
	must(t, trust.Refresh(ctx))
	certificate, err := trust.Bundle().Verify(issued.Certificate.DER, time.Now())
	must(t, err)
	if certificate.ID != function(t, "tax") {
		t.Errorf("certified %s", certificate.ID)
	}
	_, err = login.Issue(ctx, function(t, "fx"))
	var denied *DeniedError
	if !errors.As(err, &denied) {
		t.Errorf("a certificate for another function: got %v, want a *DeniedError", err)
	}
	token := login.Client().Token()
	must(t, login.Close(ctx))
	v.root.SetToken(token)
	if _, err := v.root.Auth().Token().LookupSelf(); err == nil {
		t.Error("the token still works after Close")
	}
	v.root.SetToken(os.Getenv("VAULT_TOKEN"))
}

func TestRealVaultRefusesTamperedIdentity(t *testing.T) {
	v := newRealVault(t, "1h")
	file := v.workloadIdentity(t, "tax")
	jwt, err := os.ReadFile(file)
	must(t, err)
	jwt[len(jwt)/2] ^= 1
	must(t, os.WriteFile(file, jwt, 0o600))
	_, err = LogIn(context.Background(), v.config, from(file))
	var denied *DeniedError
	if !errors.As(err, &denied) {
		t.Errorf("got %v, want a *DeniedError", err)
	}
}

func TestRealVaultBatchToken(t *testing.T) {
	v := newRealVault(t, "1h")
	v.write(t, "auth/"+v.config.AuthMount+"/role/function", map[string]any{
		"role_type": "jwt", "bound_audiences": "vault.io", "user_claim": "nomad_job_id", "token_type": "batch",
		"claim_mappings": map[string]string{"nomad_job_id": "nomad_job_id"}, "token_ttl": "5m",
	})
	login, err := LogIn(context.Background(), v.config, from(v.workloadIdentity(t, "tax")))
	must(t, err)
	must(t, login.Close(context.Background()))
}

func TestRealVaultRenewal(t *testing.T) {
	v := newRealVault(t, "4s")
	ctx := context.Background()
	file := v.workloadIdentity(t, "tax")
	login, err := LogIn(ctx, v.config, from(file))
	must(t, err)
	first, err := login.Issue(ctx, function(t, "tax"))
	must(t, err)
	must(t, login.Close(ctx))
	trust, err := OpenTrust(v.config, testDomain, filepath.Join(t.TempDir(), "bundle.pem"))
	must(t, err)
	must(t, trust.Refresh(ctx))
	renewed := make(chan *identity.Identity, 10)
	r := NewRenewer(first, RenewerConfig{
		Vault: v.config, JWT: from(file), Trust: trust.Bundle, Renewed: func(i *identity.Identity) { renewed <- i },
	})
	defer r.Stop()
	for range 2 {
		select {
		case next := <-renewed:
			if next.Certificate.Thumbprint == first.Certificate.Thumbprint || next.Key.Public().Equal(first.Key.Public()) {
				t.Error("renewal kept the key or the certificate")
			}
			if r.Current() != next || r.Remaining(time.Now()) <= 0 || r.Err() != nil {
				t.Errorf("after renewal %v remain, error %v", r.Remaining(time.Now()), r.Err())
			}
		case <-time.After(10 * time.Second):
			t.Fatalf("no renewal: %v", r.Err())
		}
	}
}

func TestRealVaultReplacesAuthority(t *testing.T) {
	v := newRealVault(t, "1h")
	ctx := context.Background()
	trust, err := OpenTrust(v.config, testDomain, filepath.Join(t.TempDir(), "bundle.pem"))
	must(t, err)
	must(t, trust.Refresh(ctx))
	before := trust.Bundle()
	must(t, trust.Refresh(ctx))
	if trust.Bundle() != before {
		t.Error("a refresh without news replaced the bundle")
	}
	id, err := identity.ClientID(testDomain, "ann")
	must(t, err)
	old, err := Client(ctx, v.root, v.config.PKIMount, id, time.Minute)
	must(t, err)
	answer, err := v.root.Logical().Write(v.config.PKIMount+"/root/rotate/internal", map[string]any{
		"common_name": "next CA", "key_type": "ed25519", "ttl": "24h",
	})
	must(t, err)
	v.write(t, v.config.PKIMount+"/root/replace", map[string]any{"default": answer.Data["issuer_id"]})
	fresh, err := Client(ctx, v.root, v.config.PKIMount, id, time.Minute)
	must(t, err)
	if _, err := before.Verify(fresh.Certificate.DER, time.Now()); err == nil {
		t.Error("the old bundle verifies a certificate of the new authority")
	}
	must(t, trust.Refresh(ctx))
	for _, i := range []*identity.Identity{old, fresh} {
		if _, err := trust.Bundle().Verify(i.Certificate.DER, time.Now()); err != nil {
			t.Error(err)
		}
	}
	if left := time.Until(fresh.Certificate.NotAfter); left > time.Minute {
		t.Errorf("asked for a minute, got %v", left)
	}
}
