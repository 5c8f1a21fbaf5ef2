package host

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"countersign/host/control"
)

// TestAStartHasADeadline starts a function while Vault takes connections and never answers.
func TestAStartHasADeadline(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	dir := t.TempDir()
	identity := filepath.Join(dir, "identity")
	if err := os.WriteFile(identity, []byte("a.b.c"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := newFixture(t).host
	h.config.Vault = control.Vault{Address: "http://" + silent.Addr().String(), AuthMount: "jwt", AuthRole: "role", PKIMount: "pki", PKIRole: "role", TransitMount: "transit"}
	h.startTime = 50 * time.Millisecond
	_, err = h.Start(context.Background(), control.StartRequest{TaskID: "task", AllocID: "alloc", Function: "quote", AllocDir: dir, IdentityFile: identity})
	if err == nil || !strings.Contains(err.Error(), "it was not done after 50ms") {
		t.Errorf("got %v", err)
	}
	if h.task("task") != nil {
		t.Error("a start that was given up left a task")
	}
}
