//go:build integration

package bazel

import (
	"path/filepath"
	"strings"
	"testing"
)

// The unit tests of this repository and of the examples, in the sandbox.
func TestUnitTests(t *testing.T) {
	w := ours(t)
	w.must(t, "test", "--keep_going", "//...", "@fx//...", "@quote//...", "@tax//...", "@thumbnail//...")
	for _, want := range []string{"@quote//:quote_test", "//hclspec:hclspec_test"} {
		if got := w.must(t, "query", "tests("+strings.Split(want, ":")[0]+":all)"); !strings.Contains(got, want) {
			t.Errorf("%s is no test any more; there are\n%s", want, got)
		}
	}
}

// A team's repository is complete on its own: it has a workspace of its own, and builds and tests in it.
func TestTeamsOwnWorkspace(t *testing.T) {
	t.Parallel()
	w := own(t, filepath.Join(checkout(t), ".repos/quote"))
	w.must(t, "test", "//...")
	w.must(t, "build", "//:quote")
}
