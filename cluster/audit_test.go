package cluster

import (
	"os"
	"os/signal"
	"syscall"
	"testing"
	"time"
)

// TestTrimAudit sets a log aside that is too large, tells Vault, and leaves one alone that is not.
func TestTrimAudit(t *testing.T) {
	d := oddDir(t)
	if err := d.trimAudit(4); err != nil {
		t.Errorf("without a log: %v", err)
	}
	if err := os.WriteFile(d.auditLog(), []byte("12345"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := d.trimAudit(5); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(d.auditLog()); err != nil {
		t.Errorf("a small log is gone: %v", err)
	}
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	defer signal.Stop(hup)
	self, err := readProc(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	if err := d.writeRecord(record{Name: "vault", PID: os.Getpid(), StartTick: self.startTick, BootID: bootID()}); err != nil {
		t.Fatal(err)
	}
	if err := d.trimAudit(4); err != nil {
		t.Fatal(err)
	}
	select {
	case <-hup:
	case <-time.After(10 * time.Second):
		t.Error("Vault is not told to open another log")
	}
	if b, err := os.ReadFile(d.auditLog() + ".1"); err != nil || string(b) != "12345" {
		t.Errorf("set aside is %q, %v", b, err)
	}
}
