package transit

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/hashicorp/vault/api"

	"countersign/tests/nobody"
	"countersign/vaultsign/attest"
)

var _ attest.Signer = (*Signer)(nil)

func clientOf(t *testing.T, address string) *Client {
	t.Helper()
	config := api.DefaultConfig()
	config.Address, config.MaxRetries, config.Timeout = address, 0, 2*time.Second
	vault, err := api.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(vault, "/transit/")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestAnswersAreClassified speaks HTTP with the error answers that Vault documents; what succeeds is tested on a real
// Vault (tests/interop).
func TestAnswersAreClassified(t *testing.T) {
	type kind struct{ unreachable, denied, noKey bool }
	for status, want := range map[int]kind{
		http.StatusForbidden:           {denied: true},
		http.StatusServiceUnavailable:  {unreachable: true}, // sealed
		http.StatusInternalServerError: {unreachable: true},
		http.StatusTooManyRequests:     {unreachable: true},
		http.StatusNotFound:            {noKey: true},
		http.StatusBadRequest:          {},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			w.Write([]byte(`{"errors":["no"]}`))
		}))
		c := clientOf(t, server.URL)
		_, readErr := c.PublicKeys(context.Background(), "quote")
		_, _, signErr := c.Signer("quote").Sign(context.Background(), []byte("data"))
		_, ensureErr := c.EnsureKey(context.Background(), "quote")
		server.Close()
		for what, err := range map[string]error{"read": readErr, "sign": signErr, "ensure": ensureErr} {
			var unreachable *UnreachableError
			var denied *DeniedError
			got := kind{errors.As(err, &unreachable), errors.As(err, &denied), errors.Is(err, ErrNoKey)}
			if err == nil || got != want {
				t.Errorf("%s after status %d: %v is %+v, want %+v", what, status, err, got, want)
			}
		}
	}
}

func TestNobodyListens(t *testing.T) {
	address := "http://" + nobody.Listens(t)
	var unreachable *UnreachableError
	if _, err := clientOf(t, address).PublicKeys(context.Background(), "quote"); !errors.As(err, &unreachable) ||
		!unreachable.Unreachable() {
		t.Errorf("reading: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_, err := clientOf(t, address).PublicKeys(ctx, "quote")
	if !errors.Is(err, context.Canceled) || errors.As(err, &unreachable) {
		t.Errorf("reading after a cancel: %v", err)
	}
}

func TestAnswersThatAreNotKeys(t *testing.T) {
	for name, body := range map[string]string{
		"not JSON":        `<html>`,
		"another type":    `{"data":{"type":"ed25519","min_decryption_version":1,"keys":{"1":{"public_key":"AA=="}}}}`,
		"exportable":      `{"data":{"type":"ecdsa-p256","exportable":true,"min_decryption_version":1,"keys":{}}}`,
		"backup allowed":  `{"data":{"type":"ecdsa-p256","allow_plaintext_backup":true,"keys":{}}}`,
		"no versions":     `{"data":{"type":"ecdsa-p256","min_decryption_version":1,"keys":{}}}`,
		"version is text": `{"data":{"type":"ecdsa-p256","min_decryption_version":1,"keys":{"x":{"public_key":""}}}}`,
		"not a key":       `{"data":{"type":"ecdsa-p256","min_decryption_version":1,"keys":{"1":{"public_key":"key"}}}}`,
		"keys is a list":  `{"data":{"type":"ecdsa-p256","keys":[1]}}`,
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte(body)) }))
		if ring, err := clientOf(t, server.URL).PublicKeys(context.Background(), "quote"); err == nil {
			t.Errorf("%s: read as %+v", name, ring)
		}
		server.Close()
	}
}

func TestNamesDoNotBecomePaths(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("%s %s was asked for", r.Method, r.URL.Path)
	}))
	defer server.Close()
	c := clientOf(t, server.URL)
	for _, name := range []string{"", "../sys/seal", "a/b", "Quote", "quote?x"} {
		_, err1 := c.PublicKeys(context.Background(), name)
		_, err2 := c.EnsureKey(context.Background(), name)
		_, _, err3 := c.Signer(name).Sign(context.Background(), nil)
		if err1 == nil || err2 == nil || err3 == nil {
			t.Errorf("%q was taken for a function name", name)
		}
	}
	if _, err := New(nil, "../sys"); err == nil {
		t.Error("a path out of the mount was accepted")
	}
}

func TestParseSignature(t *testing.T) {
	if version, signature, err := parseSignature("vault:v12:AQI="); err != nil || version != 12 || len(signature) != 2 {
		t.Errorf("%d, %v, %v", version, signature, err)
	}
	for _, bad := range []string{"", "vault:v1", "vault:1:AQI=", "vault:v0:AQI=", "vault:v1:", "vault:v1:*",
		"other:v1:AQI=", "vault:v1:AQI=:x"} {
		if _, _, err := parseSignature(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

// TestKeysThatAreNotFit has keys of Vault that could sign, and must not.
func TestKeysThatAreNotFit(t *testing.T) {
	good := key{Type: keyType}
	if err := good.check("testing"); err != nil {
		t.Errorf("a key as it must be: %v", err)
	}
	for name, k := range map[string]key{
		"another type": {Type: "ecdsa-p384"}, "no type": {}, "exportable": {Type: keyType, Exportable: true},
		"with backup": {Type: keyType, AllowPlaintextBackup: true},
	} {
		if k.check("testing") == nil {
			t.Errorf("%s: it is fit for artifacts", name)
		}
	}
}
