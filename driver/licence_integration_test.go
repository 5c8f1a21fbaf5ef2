//go:build integration

package driver

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// TestNomadPackages keeps Nomad's BUSL-licensed packages out of the driver: these are all that are under MPL-2.0 and
// wanted.
func TestNomadPackages(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("go list: %v: %s", err, out)
	}
	var got []string
	for path := range strings.Lines(string(out)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(path), "github.com/hashicorp/nomad/"); ok {
			got = append(got, rest)
		}
	}
	slices.Sort(got)
	want := []string{"plugins/base/proto", "plugins/drivers/proto", "plugins/shared/hclspec",
		"plugins/shared/structs/proto"}
	if !slices.Equal(got, want) {
		t.Errorf("packages of Nomad: %v, want %v", got, want)
	}
}
