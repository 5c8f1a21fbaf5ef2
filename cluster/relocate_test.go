package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRelocate(t *testing.T) {
	workspace, err := os.MkdirTemp("/tmp", "relocate-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(workspace) })
	defer func(was string) { elsewhere = was }(elsewhere)
	elsewhere = t.TempDir()
	path := filepath.Join(workspace, DefaultDir)
	if err := relocate(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Fatal("outside of a workspace something was made")
	}
	if err := os.WriteFile(filepath.Join(workspace, "WORKSPACE"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time it is there already
		if err := relocate(path); err != nil {
			t.Fatal(err)
		}
	}
	d, err := open(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.HasPrefix(d.root, workspace) {
		t.Errorf("the cluster lies in the workspace: %s", d.root)
	}
	if err := os.RemoveAll(d.root); err != nil {
		t.Fatal(err)
	}
	if err := relocate(path); err != nil {
		t.Fatalf("after its directory was removed: %v", err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Errorf("the link leads nowhere: %v", err)
	}
	if err := unlink(path); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Error("the link is still there")
	}
}
