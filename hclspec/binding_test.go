package hclspec

import (
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"
)

// TestCertificatesInAnEnvironment has the certificates of an authority in the file itself.
func TestCertificatesInAnEnvironment(t *testing.T) {
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	authority := strings.Repeat(string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})), 3)
	src := strings.Replace(fullEnvironment, `tls_server_name = "db.example"`, "tls_server_name = \"db.example\"\n      tls_ca          = <<PEM\n"+authority+"PEM", 1)
	e, diags := ParseEnvironment("prod.hcl", []byte(src), testEnv)
	if len(diags) > 0 {
		t.Fatal(diags)
	}
	for _, b := range e.Network {
		if b.Tag == "db" && b.TLSCA != authority {
			t.Errorf("read as %q", b.TLSCA)
		}
	}
}
