package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

const (
	// auditDevice is the name of Vault's audit device.
	auditDevice = "file"
	// auditFile is relative to the state directory, in which Vault runs: the directory may be moved.
	auditFile = "log/vault-audit.log"
	// maxAudit is the size in bytes above which Up sets the audit log aside.
	maxAudit = 64 << 20
)

// auditLog has who asked Vault for what, secrets as keyed hashes: among it each signature, with the token's entity.
func (d dir) auditLog() string { return d.path(filepath.FromSlash(auditFile)) }

// setUpAudit has Vault log every request, before anything of the cluster asks for something. A Vault whose audit device
// can't write refuses all requests.
func setUpAudit(ctx context.Context, client rest) error {
	var devices vaultData[map[string]struct{ Options map[string]string }]
	if err := client.get(ctx, "/v1/sys/audit", &devices); err != nil {
		return err
	}
	if device, ok := devices.Data[auditDevice+"/"]; ok {
		if device.Options["file_path"] == auditFile {
			return nil
		}
		if err := client.do(ctx, "DELETE", "/v1/sys/audit/"+auditDevice, nil, nil); err != nil {
			return err
		}
	}
	options := map[string]string{"file_path": auditFile, "mode": "0600"}
	return client.put(ctx, "/v1/sys/audit/"+auditDevice, map[string]any{"type": "file", "options": options}, nil)
}

// trimAudit sets an audit log aside that has become large, in place of the one before, and has Vault begin another. So the
// two of them stay below twice maxAudit and what a cluster writes from one Up to the next.
func (d dir) trimAudit(limit int64) error {
	info, err := os.Stat(d.auditLog())
	if errors.Is(err, fs.ErrNotExist) || err == nil && info.Size() <= limit {
		return nil
	}
	if err == nil {
		err = os.Rename(d.auditLog(), d.auditLog()+".1")
	}
	if err != nil {
		return fmt.Errorf("audit log of Vault: %w", err)
	}
	vault, err := d.record(vaultServer.name)
	if err != nil {
		return err
	}
	if !vault.signal(syscall.SIGHUP) { // Vault opens its audit log anew
		return errors.New("audit log of Vault: Vault has ended")
	}
	return nil
}
