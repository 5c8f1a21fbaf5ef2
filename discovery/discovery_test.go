package discovery

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// consulServer answers as Consul does about functions quote, which has an address of its own, and tax, which has that of
// its node, and about a database.
func consulServer(t *testing.T, broken bool) {
	t.Helper()
	answers := map[string]any{
		"/v1/catalog/services":      map[string][]string{"quote": {"countersign"}, "tax": {"countersign"}, "database": {"primary"}},
		"/v1/catalog/service/quote": []map[string]any{{"ServiceAddress": "10.0.0.2", "ServicePort": 7070}, {"ServiceAddress": "10.0.0.1", "ServicePort": 7070}},
		"/v1/catalog/service/tax":   []map[string]any{{"Address": "10.0.0.1", "ServicePort": 7070}},
		"/v1/health/service/quote":  []map[string]any{{"Service": map[string]any{"Address": "10.0.0.2", "Port": 7070}}},
		"/v1/health/service/fx":     []map[string]any{},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if answers[r.URL.Path] == nil || broken {
			http.Error(w, "no", http.StatusInternalServerError)
			return
		}
		if err := json.NewEncoder(w).Encode(answers[r.URL.Path]); err != nil {
			t.Error(err)
		}
	}))
	t.Cleanup(server.Close)
	t.Setenv("CONSUL_HTTP_ADDR", server.URL)
}

func TestCatalog(t *testing.T) {
	consulServer(t, false)
	c, err := NewCatalog()
	if err != nil {
		t.Fatal(err)
	}
	hosts, err := c.Hosts(t.Context())
	if want := []string{"10.0.0.1:7070", "10.0.0.2:7070"}; err != nil || !slices.Equal(hosts, want) {
		t.Errorf("hosts are %v, %v; want %v", hosts, err, want)
	}
	functions, err := c.Functions(t.Context())
	if want := []string{"quote", "tax"}; err != nil || !slices.Equal(functions, want) {
		t.Errorf("functions are %v, %v; want %v", functions, err, want)
	}
	for function, want := range map[string][]string{"quote": {"10.0.0.2:7070"}, "fx": nil} {
		nodes, err := c.Nodes(t.Context(), function)
		if err != nil || !slices.Equal(nodes, want) {
			t.Errorf("nodes of %s are %v, %v; want %v", function, nodes, err, want)
		}
	}
}

func TestConsulDoesNotAnswer(t *testing.T) {
	consulServer(t, true)
	c, err := NewCatalog()
	if err != nil {
		t.Fatal(err)
	}
	if hosts, err := c.Hosts(t.Context()); err == nil {
		t.Errorf("hosts are %v", hosts)
	}
	if nodes, err := c.Nodes(t.Context(), "quote"); err == nil {
		t.Errorf("nodes are %v", nodes)
	}
}

func TestVaultToken(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("VAULT_TOKEN", "")
	if _, err := Vault(); err == nil || !strings.Contains(err.Error(), "`vault login`") {
		t.Errorf("without a token: %v", err)
	}
	if err := os.WriteFile(filepath.Join(home, ".vault-token"), []byte("kept\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"kept", "given"} { // the environment's wins
		v, err := Vault()
		if err != nil {
			t.Fatal(err)
		}
		if v.Token() != want {
			t.Errorf("the token is %q, want %q", v.Token(), want)
		}
		t.Setenv("VAULT_TOKEN", "given")
	}
}
