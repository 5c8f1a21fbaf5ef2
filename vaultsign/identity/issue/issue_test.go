package issue

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"countersign/vaultsign/identity"
)

func TestLoginIsTriedAgain(t *testing.T) {
	const login = "/v1/auth/jwt-nomad/login"
	tests := map[string]struct {
		fail  []int
		tries int
		check func(error) bool
	}{
		"at once":            {nil, 1, func(err error) bool { return err == nil }},
		"after a stray 403":  {[]int{403}, 2, func(err error) bool { return err == nil }},
		"after an outage":    {[]int{503, 502, 429}, 4, func(err error) bool { return err == nil }},
		"refused to the end": {[]int{403, 403, 403, 403, 403}, deniedTries, isDenied},
		"bad JWT":            {[]int{400, 400, 400, 400, 400}, deniedTries, isDenied},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newFaultyVault(t)
			v.failNext(test.fail...)
			_, err := LogIn(t.Context(), v.config, from(jwtFile(t, "the.secret.jwt\n")))
			if !test.check(err) || v.count(login) != test.tries {
				t.Errorf("got %v (%T) after %d tries; want %d", err, err, v.count(login), test.tries)
			}
			if err != nil && (strings.Contains(err.Error(), "secret.jwt") || strings.Contains(err.Error(), "secret-token")) {
				t.Errorf("the error tells a secret: %v", err)
			}
		})
	}
}

func isDenied(err error) bool {
	var denied *DeniedError
	return errors.As(err, &denied) && denied.Denied()
}

func isUnreachable(err error) bool {
	var unreachable *UnreachableError
	return errors.As(err, &unreachable) && unreachable.Unreachable()
}

func TestLoginGivesUpInTime(t *testing.T) {
	v := newFaultyVault(t)
	v.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := LogIn(ctx, v.config, from(jwtFile(t, "jwt")))
	if !isUnreachable(err) || time.Since(began) > 5*time.Second {
		t.Errorf("got %v (%T) after %v", err, err, time.Since(began))
	}
}

func TestBadConfiguration(t *testing.T) {
	v := newFaultyVault(t)
	file := jwtFile(t, "jwt")
	tests := map[string]func(*Config, *string){
		"no auth mount":    func(c *Config, _ *string) { c.AuthMount = "" },
		"slash at the end": func(c *Config, _ *string) { c.PKIMount = "pki/" },
		"parent":           func(c *Config, _ *string) { c.AuthRole = "../sys" },
		"query":            func(c *Config, _ *string) { c.PKIRole = "a?b" },
		"no address":       func(c *Config, _ *string) { c.Address = "" },
		"bad address":      func(c *Config, _ *string) { c.Address = "http://a b" },
		"no CA file":       func(c *Config, _ *string) { c.CACert = file + "x" },
		"CA file is a JWT": func(c *Config, _ *string) { c.CACert = file },
		"no JWT file":      func(_ *Config, f *string) { *f += "x" },
		"empty JWT file":   func(_ *Config, f *string) { *f = jwtFile(t, " \n") },
		"huge JWT file":    func(_ *Config, f *string) { *f = jwtFile(t, strings.Repeat("a", MaxJWT+1)) },
	}
	for name, change := range tests {
		config, f := v.config, file
		change(&config, &f)
		if _, err := LogIn(t.Context(), config, from(f)); err == nil || isDenied(err) || isUnreachable(err) {
			t.Errorf("%s: got %v (%T)", name, err, err)
		}
	}
	if n := v.count("/v1/auth/jwt-nomad/login"); n != 0 {
		t.Errorf("%d logins were tried", n)
	}
}

// A host's environment is not its own: what Vault's library would take from there must not matter.
func TestEnvironmentDoesNotMatter(t *testing.T) {
	v := newFaultyVault(t)
	for name, value := range map[string]string{
		"VAULT_ADDR": "http://127.0.0.1:1", "VAULT_TOKEN": "stolen", "VAULT_NAMESPACE": "other", "VAULT_SKIP_VERIFY": "true",
	} {
		t.Setenv(name, value)
	}
	client, err := v.config.Client()
	must(t, err)
	if client.Token() != "" || client.Namespace() != "" || client.Address() != v.URL {
		t.Errorf("the client has token %q, namespace %q, address %s", client.Token(), client.Namespace(), client.Address())
	}
	secure := httptest.NewTLSServer(http.NotFoundHandler())
	defer secure.Close()
	config := v.config
	config.Address = secure.URL
	client, err = config.Client()
	must(t, err)
	if _, err := client.Logical().Read("pki/issuers"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("TLS with an unknown authority: %v", err)
	}
}

func TestIssueRefusesAnotherIdentity(t *testing.T) {
	v := newFaultyVault(t)
	login, err := LogIn(t.Context(), v.config, from(jwtFile(t, "jwt")))
	must(t, err)
	issued, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	if issued.ID() != function(t, "tax") {
		t.Errorf("certified as %s", issued.ID())
	}
	v.mu.Lock()
	v.certify = "spiffe://example.test/function/fx"
	v.mu.Unlock()
	_, err = login.Issue(t.Context(), function(t, "tax"))
	var refusal *identity.CertificateError
	if !errors.As(err, &refusal) || refusal.Reason != identity.ReasonWrongID {
		t.Errorf("got %v, want a refusal", err)
	}
	must(t, login.Close(t.Context()))
	must(t, login.Close(t.Context()))
	if n := v.count("/v1/auth/token/revoke-self"); n != 1 || login.Client().Token() != "" {
		t.Errorf("the token was revoked %d times", n)
	}
}

// TestIssueNamesTheJob has Vault compare the common name with the job's ID: it compares URIs as patterns.
func TestIssueNamesTheJob(t *testing.T) {
	v := newFaultyVault(t)
	login, err := LogIn(t.Context(), v.config, from(jwtFile(t, "jwt")))
	must(t, err)
	_, err = login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	if v.named != "tax" {
		t.Errorf("the common name is %v", v.named)
	}
}
