package driver

import (
	"strings"
	"testing"
)

func TestAllowedDirectoriesKeepOffDataDir(t *testing.T) {
	for dir, refused := range map[string]bool{
		"/var/lib": true, "/var/lib/countersign": true, "/var/lib/countersign/x": true, "/var/lib/countersign-data": false, "/srv": false,
	} {
		for name, config := range map[string]pluginConfig{"storage.allow": {Storage: storageConfig{Allow: []string{dir}}},
			"network.allow_unix": {Network: networkConfig{AllowUnix: []string{dir}}}} {
			err := check(hostConfig(config))
			if got := err != nil && strings.Contains(err.Error(), name) && strings.Contains(err.Error(), "one in the other"); got != refused {
				t.Errorf("%s %q: refused %v, want %v", name, dir, got, refused)
			}
		}
	}
}
