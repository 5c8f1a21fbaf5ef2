package discovery

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestKnown(t *testing.T) {
	k := Known{filepath.Join(t.TempDir(), "state", "nodes.json")}
	if nodes := k.Nodes("quote"); nodes != nil {
		t.Errorf("before anything is known: %v", nodes)
	}
	for _, nodes := range [][]string{{"10.0.0.1:1"}, {"10.0.0.2:1", "10.0.0.1:1"}} {
		if err := k.Remember("quote", nodes); err != nil {
			t.Fatal(err)
		}
		if err := k.Remember("tax", []string{"10.0.0.9:1"}); err != nil {
			t.Fatal(err)
		}
		if got := k.Nodes("quote"); !slices.Equal(got, nodes) {
			t.Errorf("%v, want %v", got, nodes)
		}
	}
	if info, err := os.Stat(k.File); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
}

// TestKnownIsDamaged has a file that says nothing: it is as if there were none, and the next memory mends it.
func TestKnownIsDamaged(t *testing.T) {
	for name, content := range map[string]string{
		"empty": "", "no JSON": "{", "another type": `["quote"]`, "too long": `{"quote":["` + strings.Repeat("x", maxKnown) + `"]}`,
	} {
		k := Known{filepath.Join(t.TempDir(), "nodes.json")}
		if err := os.WriteFile(k.File, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if nodes := k.Nodes("quote"); nodes != nil {
			t.Errorf("%s: %v", name, nodes)
		}
		if err := k.Remember("quote", []string{"a:1"}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if nodes := k.Nodes("quote"); !slices.Equal(nodes, []string{"a:1"}) {
			t.Errorf("%s: %v after it was mended", name, nodes)
		}
	}
}
