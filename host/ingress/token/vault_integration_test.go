//go:build integration

package token

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"os"
	"testing"

	"github.com/go-jose/go-jose/v4"
	"github.com/hashicorp/vault/api"
)

// realIssuer is the OpenID Connect issuer of the Vault of VAULT_ADDR, which signs identity tokens for its entities.
type realIssuer struct {
	t      *testing.T
	root   *api.Client
	user   *api.Client // with the token of an entity that may get identity tokens
	role   string
	issuer string
	client string // audience of the tokens
}

func (r *realIssuer) write(path string, data map[string]any) *api.Secret {
	r.t.Helper()
	secret, err := r.root.Logical().Write(path, data)
	must(r.t, err)
	return secret
}

func (r *realIssuer) remove(path string) {
	r.t.Cleanup(func() {
		_, err := r.root.Logical().Delete(path)
		must(r.t, err)
	})
}

func newRealIssuer(t *testing.T, algorithm string) *realIssuer {
	t.Helper()
	if os.Getenv("VAULT_ADDR") == "" || os.Getenv("VAULT_TOKEN") == "" {
		t.Fatal("set VAULT_ADDR and VAULT_TOKEN of a Vault in which mounts may be made")
	}
	root, err := api.NewClient(nil)
	must(t, err)
	suffix := make([]byte, 4)
	rand.Read(suffix)
	name := "test-token-" + hex.EncodeToString(suffix)
	r := &realIssuer{t: t, root: root, role: name}

	r.write("identity/oidc/key/"+name, map[string]any{"algorithm": algorithm, "allowed_client_ids": "*"})
	r.remove("identity/oidc/key/" + name)
	r.write("identity/oidc/role/"+name, map[string]any{"key": name, "ttl": "2m"})
	r.remove("identity/oidc/role/" + name)
	role, err := root.Logical().Read("identity/oidc/role/" + name)
	must(t, err)
	r.client = role.Data["client_id"].(string)
	r.logIn(name)
	jws, err := jose.ParseSignedCompact(r.token(), algorithms)
	must(t, err)
	c, err := parseClaims(jws.UnsafePayloadWithoutVerification())
	must(t, err)
	r.issuer = c.Issuer
	return r
}

// logIn makes an entity: tokens without one get no identity tokens.
func (r *realIssuer) logIn(name string) {
	r.t.Helper()
	must(r.t, r.root.Sys().EnableAuthWithOptions(name, &api.EnableAuthOptions{Type: "userpass"}))
	r.t.Cleanup(func() { must(r.t, r.root.Sys().DisableAuth(name)) })
	must(r.t, r.root.Sys().PutPolicy(name, `path "identity/oidc/token/`+name+`" { capabilities = ["read"] }`))
	r.t.Cleanup(func() { must(r.t, r.root.Sys().DeletePolicy(name)) })
	password := rand.Text()
	r.write("auth/"+name+"/users/ann", map[string]any{"password": password, "token_policies": name})
	login := r.write("auth/"+name+"/login/ann", map[string]any{"password": password})
	r.remove("identity/entity/id/" + login.Auth.EntityID)
	var err error
	r.user, err = r.root.Clone()
	must(r.t, err)
	r.user.SetToken(login.Auth.ClientToken)
}

func (r *realIssuer) token() string {
	r.t.Helper()
	secret, err := r.user.Logical().Read("identity/oidc/token/" + r.role)
	must(r.t, err)
	return secret.Data["token"].(string)
}

// TestRealVaultIsAnIssuer verifies Vault's identity tokens, by discovery and by its JWKS, before and after a rotation.
func TestRealVaultIsAnIssuer(t *testing.T) {
	for _, algorithm := range []string{"RS256", "ES256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			r := newRealIssuer(t, algorithm)
			ca := os.Getenv("VAULT_CACERT")
			for name, config := range map[string]Config{
				"discovery": {Issuer: r.issuer, Audience: r.client, CACert: ca},
				"JWKS": {Issuer: r.issuer, Audience: r.client, CACert: ca,
					JWKSURL: r.root.Address() + "/v1/identity/oidc/.well-known/keys"},
			} {
				v := verifierOf(t, config)
				got, err := v.Verify(context.Background(), r.token())
				if err != nil || got.Issuer != r.issuer || got.Subject == "" {
					t.Fatalf("by %s: caller %v, error %v", name, got, err)
				}
				// After a rotation the key is another. The verifier asks again, at once since the last time is long ago.
				r.write("identity/oidc/key/"+r.role+"/rotate", map[string]any{"verification_ttl": "1m"})
				for _, set := range v.issuers {
					set.mu.Lock()
					set.tried = set.tried.Add(-fetchPause)
					set.mu.Unlock()
				}
				_, err = v.Verify(context.Background(), r.token())
				must(t, err)
			}
			_, err := verifierOf(t, Config{Issuer: r.issuer, Audience: "somebody", CACert: ca}).Verify(context.Background(), r.token())
			var refused *Error
			if !errors.As(err, &refused) {
				t.Errorf("a token for another audience: %v", err)
			}
		})
	}
}
