package job

import (
	"maps"
	"strings"
	"testing"
)

func TestDeployerOfOneVersion(t *testing.T) {
	d := Deployer{Name: "alice", EntityID: "e1", DisplayName: "oidc-alice", From: "alice@laptop"}
	meta := map[string]string{"commit": "c"}
	SetDeployer(meta, d, 7)
	if got, ok := ReadDeployer(meta, 7); !ok || got != d {
		t.Errorf("ReadDeployer = %+v, %t; want %+v", got, ok, d)
	}
	if got, ok := ReadDeployer(meta, 8); ok {
		t.Errorf("a copy of what %+v deployed is told to be his, too", got)
	}
	SetDeployer(meta, Deployer{Name: "root"}, 8)
	if got, ok := ReadDeployer(meta, 8); !ok || got != (Deployer{Name: "root"}) {
		t.Errorf("ReadDeployer = %+v, %t; want nothing of who deployed before", got, ok)
	}
	KeepDeployer(meta, map[string]string{"deployed_by": "bob", "commit": "other"})
	if want := map[string]string{"commit": "c", "deployed_by": "bob"}; !maps.Equal(meta, want) {
		t.Errorf("kept is %v, want %v", meta, want)
	}
	if _, ok := ReadDeployer(nil, 0); ok {
		t.Error("a job without meta tells who deployed")
	}
}

// TestHostileDeployer names somebody so that Nomad would put a variable there, a terminal would obey, and Consul would
// refuse the service.
func TestHostileDeployer(t *testing.T) {
	for name, want := range map[string]string{
		"${meta.secret}": "__meta.secret_", "%{for}": "__for_", "a\x1b[31m": "a__31m", "a\nb": "a_b", "é\xff": "é_",
		strings.Repeat("é", 200): strings.Repeat("é", 128),
	} {
		meta := map[string]string{}
		SetDeployer(meta, Deployer{Name: name, From: name}, 1)
		if got, _ := ReadDeployer(meta, 1); got.Name != want || got.From != want || meta["deployed_by"] != want {
			t.Errorf("%q is told as %+v, %v; want %q", name, got, meta, want)
		}
	}
	hostile := map[string]string{"deployed_by": "a\x1b]0;", "deployed_version": "1"}
	if got, _ := ReadDeployer(hostile, 1); strings.ContainsRune(got.Name, '\x1b') {
		t.Errorf("what somebody else registered is printed as it is: %q", got.Name)
	}
}
