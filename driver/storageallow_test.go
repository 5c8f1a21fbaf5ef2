package driver

import (
	"strings"
	"testing"
)

func TestStorageAllowKeepsOffDataDir(t *testing.T) {
	for dir, refused := range map[string]bool{
		"/var/lib": true, "/var/lib/countersign": true, "/var/lib/countersign/x": true, "/var/lib/countersign-data": false, "/srv": false,
	} {
		err := check(hostConfig(pluginConfig{Storage: storageConfig{Allow: []string{dir}}}))
		if got := err != nil && strings.Contains(err.Error(), "one in the other"); got != refused {
			t.Errorf("storage.allow %q: refused %v, want %v", dir, got, refused)
		}
	}
}
