package issue

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
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
	named    any // common name of the last certificate that was asked for
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
		v.named = body["common_name"]
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

// from reads the workload identity from a file.
func from(file string) func() ([]byte, error) {
	return func() ([]byte, error) { return os.ReadFile(file) }
}
