//go:build integration

package cluster

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"testing"
	"time"

	"countersign/cluster"
)

// TestIdentities asks Vault for what each identity may have and for what it must not get.
func TestIdentities(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := up(t, dir)
	for _, key := range []string{"tax", "fx"} {
		must(t, http.MethodPut, env.VaultAddr+"/v1/transit/keys/"+key, env.VaultToken,
			map[string]string{"type": "ecdsa-p256"}, nil)
	}
	runJob(t, env, "tax")
	jwt, err := os.ReadFile(filepath.Join(dir, "data", "nomad", "alloc", waitRunning(t, env, "tax"), "t", "secrets",
		"nomad_countersign.jwt"))
	if err != nil {
		t.Fatal(err)
	}
	function := login(t, env, string(jwt), http.StatusOK)
	login(t, env, string(jwt[:len(jwt)-10])+"AAAAAAAAAA", http.StatusBadRequest)

	digest := map[string]string{"input": "AAAA"}
	const own, other, client = "spiffe://countersign.local/function/tax", "spiffe://countersign.local/function/fx",
		"spiffe://countersign.local/client/alice"
	me := "spiffe://countersign.local/client/" + cluster.LocalName()
	alice, err := cluster.PersonToken(t.Context(), dir, "alice")
	if err != nil {
		t.Fatal(err)
	}
	pipeline, keeper := tokenOf(t, env, "countersign-pipeline"), tokenOf(t, env, "countersign-operator")
	for _, c := range []struct {
		name, token, method, path string
		body                      any
		want                      int
	}{
		{"function reads its key", function, "GET", "transit/keys/tax", nil, 200},
		{"function reads another's key", function, "GET", "transit/keys/fx", nil, 403},
		{"function signs an artifact", function, "PUT", "transit/sign/tax", digest, 403},
		{"function rotates its key", function, "PUT", "transit/keys/tax/rotate", nil, 403},
		{"function lists keys", function, "LIST", "transit/keys", nil, 403},
		{"function is certified", function, "PUT", "pki/sign/function", csr(t, own), 200},
		{"function as another", function, "PUT", "pki/sign/function", csr(t, other), 400},
		{"function as two", function, "PUT", "pki/sign/function", csr(t, own, other), 400},
		{"function as a client", function, "PUT", "pki/sign/client", csr(t, client), 403},
		{"function looks at itself", function, "GET", "auth/token/lookup-self", nil, 403},
		{"operator signs", env.VaultToken, "PUT", "transit/sign/tax", digest, 200},
		{"operator rotates", env.VaultToken, "PUT", "transit/keys/tax/rotate", nil, 200},
		{"operator lists", env.VaultToken, "LIST", "transit/keys", nil, 200},
		{"operator sets the floor", env.VaultToken, "PUT", "transit/keys/tax/config",
			map[string]int{"min_decryption_version": 2}, 200},
		{"developer as the own client", env.VaultToken, "PUT", "pki/sign/client", csr(t, me), 200},
		{"developer as another client", env.VaultToken, "PUT", "pki/sign/client", csr(t, client), 400},
		{"developer makes a key that can leave", env.VaultToken, "PUT", "transit/keys/evil", map[string]any{"type": "ecdsa-p256",
			"exportable": true}, 403},
		{"developer makes a key that can be backed up", env.VaultToken, "PUT", "transit/keys/evil", map[string]any{
			"allow_plaintext_backup": true}, 403},
		{"developer lets a key leave", env.VaultToken, "PUT", "transit/keys/tax/config", map[string]any{"exportable": true}, 403},
		{"developer lets a key be deleted", env.VaultToken, "PUT", "transit/keys/tax/config", map[string]any{
			"deletion_allowed": true, "min_decryption_version": 1}, 403},
		{"alice as herself", alice, "PUT", "pki/sign/client", csr(t, client), 200},
		{"alice as another client", alice, "PUT", "pki/sign/client", csr(t, me), 400},
		{"alice as several", alice, "PUT", "pki/sign/client", csr(t, client, me), 400},
		{"alice signs an artifact", alice, "PUT", "transit/sign/tax", digest, 403},
		{"alice reads a key", alice, "GET", "transit/keys/tax", nil, 403},
		{"pipeline signs", pipeline, "PUT", "transit/sign/tax", digest, 200},
		{"pipeline makes a key", pipeline, "PUT", "transit/keys/new", map[string]any{"type": "ecdsa-p256", "exportable": false,
			"allow_plaintext_backup": false}, 200},
		{"pipeline makes a key that can leave", pipeline, "PUT", "transit/keys/evil", map[string]any{"exportable": true}, 403},
		{"pipeline rotates", pipeline, "PUT", "transit/keys/tax/rotate", nil, 403},
		{"pipeline retires versions", pipeline, "PUT", "transit/keys/tax/config", map[string]int{"min_decryption_version": 2}, 403},
		{"pipeline as a client", pipeline, "PUT", "pki/sign/client", csr(t, client), 403},
		{"who looks after keys rotates", keeper, "PUT", "transit/keys/fx/rotate", nil, 200},
		{"who looks after keys signs", keeper, "PUT", "transit/sign/tax", digest, 403},
		{"who looks after keys makes one", keeper, "PUT", "transit/keys/other", map[string]any{"type": "ecdsa-p256"}, 403},
		{"who looks after keys lets one leave", keeper, "PUT", "transit/keys/fx/config", map[string]any{"exportable": true}, 403},
		{"who looks after keys as a client", keeper, "PUT", "pki/sign/client", csr(t, client), 403},
		{"operator's client as a function", env.VaultToken, "PUT", "pki/sign/client", csr(t, own), 400},
		{"operator as a function", env.VaultToken, "PUT", "pki/sign/function", csr(t, own), 403},
		{"operator exports a key", env.VaultToken, "GET", "transit/export/signing-key/tax", nil, 403},
		{"operator deletes a key", env.VaultToken, "DELETE", "transit/keys/tax", nil, 403},
		{"operator reads policies", env.VaultToken, "GET", "sys/policies/acl/countersign-operator", nil, 403},
		{"operator makes a root", env.VaultToken, "PUT", "pki/root/generate/internal", nil, 403},
	} {
		code := request(t, c.method, env.VaultAddr+"/v1/"+c.path, c.token, c.body, nil)
		if code == http.StatusNoContent {
			code = http.StatusOK
		}
		if code != c.want {
			t.Errorf("%s: status %d, want %d", c.name, code, c.want)
		}
	}
	checkCertificate(t, env, function, own)
	down(t, dir, true)
}

// tokenOf makes a token with one policy.
func tokenOf(t *testing.T, env *cluster.Env, policy string) string {
	t.Helper()
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	must(t, http.MethodPut, env.VaultAddr+"/v1/auth/token/create", rootToken(t, env.Dir),
		map[string]any{"policies": []string{policy}, "no_default_policy": true}, &answer)
	return answer.Auth.Token
}

// login logs in with a workload identity.
func login(t *testing.T, env *cluster.Env, jwt string, want int) string {
	t.Helper()
	var answer struct {
		Auth struct {
			Token string `json:"client_token"`
		} `json:"auth"`
	}
	body := map[string]string{"role": "countersign-function", "jwt": jwt}
	if code := request(t, http.MethodPut, env.VaultAddr+"/v1/auth/jwt-nomad/login", "", body, &answer); code != want {
		t.Errorf("login: status %d, want %d", code, want)
	}
	return answer.Auth.Token
}

// TestGlobIsNobody runs a job whose ID is a glob that matches every function: Vault certifies it as none of them.
func TestGlobIsNobody(t *testing.T) {
	t.Parallel()
	dir := newDir(t)
	env := up(t, dir)
	runJob(t, env, "*")
	jwt, err := os.ReadFile(filepath.Join(dir, "data", "nomad", "alloc", waitRunning(t, env, "*"), "t", "secrets",
		"nomad_countersign.jwt"))
	if err != nil {
		t.Fatal(err)
	}
	token := login(t, env, string(jwt), http.StatusOK)
	for _, name := range []string{"tax", "*", "t*", ""} {
		body := csr(t, "spiffe://countersign.local/function/tax")
		body["common_name"] = name
		if code := request(t, http.MethodPut, env.VaultAddr+"/v1/pki/sign/function", token, body, nil); code != http.StatusBadRequest {
			t.Errorf("with common name %q: status %d, want %d", name, code, http.StatusBadRequest)
		}
	}
	down(t, dir, true)
}

// csr is a signing request of a fresh key for SPIFFE IDs.
func csr(t *testing.T, ids ...string) map[string]string {
	t.Helper()
	var uris []*url.URL
	for _, id := range ids {
		u, err := url.Parse(id)
		if err != nil {
			t.Fatal(err)
		}
		uris = append(uris, u)
	}
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificateRequest(rand.Reader, &x509.CertificateRequest{URIs: uris}, key)
	if err != nil {
		t.Fatal(err)
	}
	request := map[string]string{
		"csr": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})),
		"ttl": "1000h",
	}
	if dir, name := path.Split(ids[0]); path.Base(dir) == "function" {
		request["common_name"] = name
	}
	return request
}

// checkCertificate looks at what Vault certifies: the SPIFFE ID, an Ed25519 chain, hours at most.
func checkCertificate(t *testing.T, env *cluster.Env, token, id string) {
	t.Helper()
	var answer struct {
		Data struct {
			Certificate string `json:"certificate"`
			Issuer      string `json:"issuing_ca"`
		} `json:"data"`
	}
	must(t, http.MethodPut, env.VaultAddr+"/v1/pki/sign/function", token, csr(t, id), &answer)
	leaf, issuer := parse(t, answer.Data.Certificate), parse(t, answer.Data.Issuer)
	if err := leaf.CheckSignatureFrom(issuer); err != nil {
		t.Error(err)
	}
	if len(leaf.URIs) != 1 || leaf.URIs[0].String() != id || leaf.PublicKeyAlgorithm != x509.Ed25519 ||
		issuer.PublicKeyAlgorithm != x509.Ed25519 || leaf.IsCA || leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Errorf("certificate of %v, key %v, usage %v, CA %v", leaf.URIs, leaf.PublicKeyAlgorithm, leaf.KeyUsage, leaf.IsCA)
	}
	if life := leaf.NotAfter.Sub(leaf.NotBefore); life > 4*time.Hour+time.Minute {
		t.Errorf("it lives for %v", life)
	}
	var list struct{ Data struct{ Keys []string } }
	root := rootToken(t, env.Dir)
	must(t, "LIST", env.VaultAddr+"/v1/pki/certs", root, nil, &list)
	if len(list.Data.Keys) > 1 {
		t.Errorf("Vault stores %d certificates; only the root's is to be", len(list.Data.Keys))
	}
}

func parse(t *testing.T, text string) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		t.Fatalf("not PEM: %q", text)
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func rootToken(t *testing.T, dir string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(dir, "secrets", "vault.json"))
	if err != nil {
		t.Fatal(err)
	}
	var keys struct {
		RootToken string `json:"root_token"`
	}
	if err := json.Unmarshal(data, &keys); err != nil {
		t.Fatal(err)
	}
	return keys.RootToken
}
