package countersign_test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"countersign"
)

// TestNames holds the rule against the cases that package sdk holds its copy against.
func TestNames(t *testing.T) {
	raw, err := os.ReadFile("sdk/testdata/names.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases struct{ Valid, Invalid []string }
	if err := json.Unmarshal(raw, &cases); err != nil || len(cases.Valid) == 0 || len(cases.Invalid) == 0 {
		t.Fatalf("the cases can't be used: %v", err)
	}
	for _, name := range cases.Valid {
		if !countersign.ValidName(name) {
			t.Errorf("%q is refused", name)
		}
	}
	for _, name := range cases.Invalid {
		if countersign.ValidName(name) {
			t.Errorf("%q is accepted", name)
		}
	}
}

func TestForms(t *testing.T) {
	hex := strings.Repeat("0123456789abcdef", 4)
	for name, c := range map[string]struct {
		valid          func(string) bool
		accept, refuse []string
	}{
		"trust domain": {countersign.ValidTrustDomain,
			[]string{"countersign.local", "a_b-c.d9", strings.Repeat("a", 255)},
			[]string{"", "Example.org", "a/b", "a b", "ä", strings.Repeat("a", 256)}},
		"digest": {countersign.ValidDigest,
			[]string{"sha256:" + hex},
			[]string{"", hex, "sha256:", "sha256:" + hex[1:], "sha256:" + hex + "0", "sha512:" + hex,
				"sha256:" + strings.ToUpper(hex), "sha256:" + hex[1:] + "\n"}},
		"commit": {countersign.ValidCommit,
			[]string{hex[:40], hex},
			[]string{"", "main", hex[:39], hex[:41], strings.ToUpper(hex), hex[:39] + "g", hex[:39] + "\n"}},
		"ref": {countersign.ValidRef,
			[]string{"HEAD", "main", "refs/heads/main", "refs/tags/v1.2+build#3", "release/2025_07"},
			[]string{"", "-f", "/main", "a..b", "a//b", "refs/pull/1/head", "refs/remotes/x", "a b", "a:b", "a^", "a*",
				"a\n", "é", "a@{1}", strings.Repeat("a", 256)}},
	} {
		for _, s := range c.accept {
			if !c.valid(s) {
				t.Errorf("%s: %q is refused", name, s)
			}
		}
		for _, s := range c.refuse {
			if c.valid(s) {
				t.Errorf("%s: %q is accepted", name, s)
			}
		}
	}
}

func TestShort(t *testing.T) {
	digest := "sha256:0123456789abcdef0123"
	for _, c := range []struct{ got, want string }{
		{countersign.ReleaseID(digest), "0123456789ab"},
		{countersign.ReleaseID("sha256:01"), "01"},
		{countersign.ReleaseID(""), ""},
		{countersign.Short(digest), "sha256:0123456789ab"},
		{countersign.Short("0123456789abcdef"), "0123456789ab"},
		{countersign.Short(""), ""},
	} {
		if c.got != c.want {
			t.Errorf("got %q, want %q", c.got, c.want)
		}
	}
}
