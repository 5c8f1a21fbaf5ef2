package issue

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"countersign/vaultsign/identity"
)

const testDomain = "example.test"

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func function(tb testing.TB, name string) identity.ID {
	tb.Helper()
	id, err := identity.FunctionID(testDomain, name)
	must(tb, err)
	return id
}

// faultyVault answers as Vault's API does, except when it is told to fail: real Vaults do not fail on demand. What it
// does when nothing fails is tested on a real one (vault_integration_test.go).
type faultyVault struct {
	*httptest.Server
	config Config

	mu       sync.Mutex
	key      ed25519.PrivateKey
	ca       *x509.Certificate
	fail     []int          // status codes of the next answers
	certify  string         // ID to put into certificates instead of the CSR's
	life     time.Duration  // of certificates
	requests map[string]int // by path
	jwts     []string
}

func newFaultyVault(t *testing.T) *faultyVault {
	t.Helper()
	v := &faultyVault{requests: map[string]int{}, life: time.Hour}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, public, private)
	must(t, err)
	v.key = private
	v.ca, err = x509.ParseCertificate(der)
	must(t, err)
	v.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { v.serve(t, w, r) }))
	t.Cleanup(v.Close)
	v.config = Config{Address: v.URL, AuthMount: "jwt-nomad", AuthRole: "role", PKIMount: "pki", PKIRole: "function"}
	return v
}

func (v *faultyVault) failNext(codes ...int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.fail = codes
}

func (v *faultyVault) count(path string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.requests[path]
}

func (v *faultyVault) serve(t *testing.T, w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.requests[r.URL.Path]++
	if len(v.fail) > 0 {
		code := v.fail[0]
		v.fail = v.fail[1:]
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"errors":["told to fail"]}`)
		return
	}
	var body map[string]any
	if r.Body != nil {
		_ = json.NewDecoder(r.Body).Decode(&body) // a GET has none
	}
	answer := map[string]any{}
	switch r.URL.Path {
	case "/v1/auth/jwt-nomad/login":
		v.jwts = append(v.jwts, body["jwt"].(string))
		answer["auth"] = map[string]any{"client_token": "hvs.secret-token", "accessor": "a", "renewable": false}
	case "/v1/pki/sign/function":
		answer["data"] = map[string]any{"certificate": v.certificate(t, body["csr"].(string))}
	case "/v1/pki/issuers":
		answer["data"] = map[string]any{"keys": []string{"one"}}
	case "/v1/pki/issuer/one/json":
		answer["data"] = map[string]any{"certificate": certPEM(v.ca.Raw)}
	case "/v1/auth/token/revoke-self":
		w.WriteHeader(http.StatusNoContent)
		return
	default:
		w.WriteHeader(http.StatusNotFound)
		return
	}
	_ = json.NewEncoder(w).Encode(answer) // the client sees what is missing
}

func (v *faultyVault) certificate(t *testing.T, csrPEM string) string {
	block, _ := pem.Decode([]byte(csrPEM))
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Error(err)
		return ""
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), NotBefore: time.Now().Add(-time.Second),
		NotAfter: time.Now().Add(v.life), KeyUsage: x509.KeyUsageDigitalSignature, URIs: csr.URIs,
	}
	if v.certify != "" {
		leaf.URIs[0], _ = url.Parse(v.certify)
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, v.ca, csr.PublicKey, v.key)
	if err != nil {
		t.Error(err)
	}
	return certPEM(der)
}

func certPEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func jwtFile(t *testing.T, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "identity.jwt")
	must(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

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
			_, err := LogIn(t.Context(), v.config, jwtFile(t, "the.secret.jwt\n"))
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
	_, err := LogIn(ctx, v.config, jwtFile(t, "jwt"))
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
		"huge JWT file":    func(_ *Config, f *string) { *f = jwtFile(t, strings.Repeat("a", maxJWT+1)) },
	}
	for name, change := range tests {
		config, f := v.config, file
		change(&config, &f)
		if _, err := LogIn(t.Context(), config, f); err == nil || isDenied(err) || isUnreachable(err) {
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
	login, err := LogIn(t.Context(), v.config, jwtFile(t, "jwt"))
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

func TestRenewerKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	v := newFaultyVault(t)
	v.life = time.Second
	file := jwtFile(t, "first")
	login, err := LogIn(t.Context(), v.config, file)
	must(t, err)
	first, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	must(t, os.Remove(file)) // so that the first renewal fails
	renewed := make(chan *identity.Identity, 8)
	r := NewRenewer(first, RenewerConfig{
		Vault: v.config, JWTFile: file, Renewed: func(i *identity.Identity) { renewed <- i },
	})
	defer r.Stop()
	for deadline := time.Now().Add(20 * time.Second); r.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no renewal failed")
		}
	}
	if r.Current() != first || r.Renewals() != 0 {
		t.Error("a failed renewal changed the identity")
	}
	must(t, os.WriteFile(file, []byte("second"), 0o600))
	select {
	case next := <-renewed:
		if next == first || r.Renewals() != 1 {
			t.Errorf("%d renewals", r.Renewals())
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("no renewal: %v", r.Err())
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.jwts[len(v.jwts)-1] != "second" {
		t.Error("the renewal used an old workload identity")
	}
}

func TestRenewerRefusesUntrusted(t *testing.T) {
	t.Parallel()
	v, other := newFaultyVault(t), newFaultyVault(t)
	v.life = time.Second
	file := jwtFile(t, "jwt")
	login, err := LogIn(t.Context(), v.config, file)
	must(t, err)
	first, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	bundle, err := identity.ParseBundle(testDomain, []byte(certPEM(other.ca.Raw)))
	must(t, err)
	r := NewRenewer(first, RenewerConfig{
		Vault: v.config, JWTFile: file, Trust: func() *identity.Bundle { return bundle },
	})
	defer r.Stop()
	for deadline := time.Now().Add(20 * time.Second); r.Err() == nil; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no renewal failed")
		}
	}
	var refusal *identity.CertificateError
	if !errors.As(r.Err(), &refusal) || refusal.Reason != identity.ReasonUntrusted || r.Current() != first {
		t.Errorf("got %v", r.Err())
	}
}

func TestRenewerStops(t *testing.T) {
	v := newFaultyVault(t)
	login, err := LogIn(t.Context(), v.config, jwtFile(t, "jwt"))
	must(t, err)
	first, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	r := NewRenewer(first, RenewerConfig{Vault: v.config, JWTFile: "none"})
	if age := r.Age(time.Now()); age < time.Second || age > time.Minute || r.Remaining(time.Now()) < 50*time.Minute {
		t.Errorf("age %v, remaining %v", age, r.Remaining(time.Now()))
	}
	r.Stop()
	r.Stop()
	if r.Current() != first {
		t.Error("the identity is gone")
	}
}

func TestRenewAtHalfLife(t *testing.T) {
	v := newFaultyVault(t)
	login, err := LogIn(t.Context(), v.config, jwtFile(t, "jwt"))
	must(t, err)
	issued, err := login.Issue(t.Context(), function(t, "tax"))
	must(t, err)
	c := issued.Certificate
	life := c.NotAfter.Sub(c.NotBefore)
	times := map[time.Time]bool{}
	for range 1000 {
		at := renewAt(c)
		if part := float64(at.Sub(c.NotBefore)) / float64(life); part < 0.4 || part > 0.6 {
			t.Fatalf("renewal after %.2f of the certificate's life", part)
		}
		times[at] = true
	}
	if len(times) < 900 {
		t.Errorf("only %d different times", len(times))
	}
}

func TestTrustStore(t *testing.T) {
	v := newFaultyVault(t)
	file := filepath.Join(t.TempDir(), "bundle.pem")
	store, err := OpenTrust(v.config, testDomain, file)
	must(t, err)
	if store.Bundle() != nil {
		t.Error("a bundle from nowhere")
	}
	v.failNext(503)
	if err := store.Refresh(t.Context()); !isUnreachable(err) {
		t.Errorf("Vault is sealed: %v", err)
	}
	must(t, store.Refresh(t.Context()))
	info, err := os.Stat(file)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the cache has mode %v", info.Mode())
	}
	bundle := store.Bundle()
	v.failNext(403)
	if err := store.Refresh(t.Context()); !isDenied(err) || store.Bundle() != bundle {
		t.Errorf("refused: %v", err)
	}
	v.Close()
	again, err := OpenTrust(v.config, testDomain, file)
	must(t, err)
	if !again.Bundle().Equal(bundle) {
		t.Error("the cache lost the bundle")
	}
	if err := again.Refresh(t.Context()); !isUnreachable(err) || again.Bundle() == nil {
		t.Errorf("Vault is away: %v", err)
	}
	entries, err := os.ReadDir(filepath.Dir(file))
	must(t, err)
	if len(entries) != 1 {
		t.Errorf("%d files are left", len(entries))
	}
	must(t, os.WriteFile(file, []byte("damaged"), 0o600))
	if _, err := OpenTrust(v.config, testDomain, file); err == nil {
		t.Error("a damaged cache was read")
	}
}

func TestTrustStoreKeepsRefreshing(t *testing.T) {
	v := newFaultyVault(t)
	store, err := OpenTrust(v.config, testDomain, filepath.Join(t.TempDir(), "bundle.pem"))
	must(t, err)
	v.failNext(500)
	ctx, cancel := context.WithCancel(t.Context())
	failed := make(chan error, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		store.Keep(ctx, time.Millisecond, func(err error) { failed <- err })
	}()
	if err := <-failed; !isUnreachable(err) {
		t.Errorf("the first refresh: %v", err)
	}
	for deadline := time.Now().Add(20 * time.Second); store.Bundle() == nil; time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("no bundle")
		}
	}
	cancel()
	<-done
}
