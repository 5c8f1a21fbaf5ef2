//go:build integration

package bazel

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"countersign/pipeline/bazel"
	"countersign/repositories"
)

// bumpAndCheckout moves the pin of quote, whose remote is a directory, and works on it in a checkout. It is part of a test, since a
// server of Bazel takes its time to start.
func (d *initialised) bumpAndCheckout(t *testing.T, remote string) {
	t.Helper()
	open := func() *repositories.Deployment {
		t.Helper()
		r, err := repositories.Open(filepath.Join(d.dir, "repos.bzl"), filepath.Join(d.dir, ".repos/clones"), func(text string) { t.Log(text) })
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	deployed := func() string {
		t.Helper()
		d.must(t, "build", "//:deploy.quote")
		return read(t, filepath.Join(d.must(t, "info", "bazel-bin"), "deploy.quote.json"))
	}
	// A pin that was moved: the next deploy builds that commit.
	write(t, filepath.Join(remote, "module.wasm"), "newer", 0o644)
	newer := commitAll(t, remote)
	if strings.Contains(deployed(), newer) {
		t.Error("what is not pinned is built")
	}
	r := open()
	moves, err := r.Bump(t.Context(), []string{"quote"}, newer[:9])
	if err == nil {
		err = r.Write()
	}
	if err != nil || len(moves) != 1 || moves[0].To != newer {
		t.Fatalf("%+v, %v", moves, err)
	}
	if !strings.Contains(deployed(), newer) {
		t.Error("what was pinned is not built")
	}

	made, err := open().Checkout(t.Context(), "quote", "")
	if err != nil {
		t.Fatal(err)
	}
	// Everything that is in there is built as it is now, and nothing of what git keeps.
	write(t, filepath.Join(made.Dir, ".git/config"), read(t, filepath.Join(made.Dir, ".git/config"))+"[x]\n\ttoken = "+secret+"\n", 0o644)
	inside := "/checkouts" + made.Dir
	build := read(t, filepath.Join(made.Dir, "BUILD.bazel")) + "genrule(name = \"seen\", srcs = [\"module.wasm\"], outs = [\"seen.txt\"], cmd = \"" +
		"{ cat $(location module.wasm); cat " + inside + "/.git/config " + made.Dir + "/.git/config; " +
		"echo true >" + inside + "/.git/hooks/post-commit; echo x >" + inside + "/left; } >$@ || true\")\n"
	write(t, filepath.Join(made.Dir, "BUILD.bazel"), build, 0o644)
	for _, content := range []string{"mine", "mine, later"} {
		write(t, filepath.Join(made.Dir, "module.wasm"), content, 0o644)
		d.must(t, "build", "@quote//:seen")
		got := read(t, filepath.Join(d.must(t, "info", "bazel-bin"), "external/quote/seen.txt"))
		if !strings.HasPrefix(got, content) || strings.Contains(got, secret) {
			t.Errorf("with %q in the checkout, the build has %q", content, got)
		}
	}
	for _, name := range []string{".git/hooks/post-commit", "left"} {
		if _, err := os.Lstat(filepath.Join(made.Dir, name)); err == nil {
			t.Errorf("a build wrote %s into the checkout", name)
		}
	}
	// It is no part of the workspace.
	d.refuses(t, "checkouts", "query", "//checkouts/...")

	// A deploy says why there is none. If it did not, what vouches for the repository would refuse it.
	d.refuses(t, "is not built from a pinned commit", "build", "//:deploy.quote")
	options := func() []string {
		t.Helper()
		got := strings.TrimPrefix(d.must(t, "run", "//:deploy"), "newer ")
		before, _, _ := strings.Cut(got, " "+secret)
		return strings.Split(before, "\n")
	}
	given := options()
	override := "--override_repository=quote=" + inside
	if !slices.Contains(given, override) {
		t.Errorf("the deploy is told %q", given)
	}
	_, err = bazel.Open(filepath.Join(d.must(t, "info", "bazel-bin"), "deploy.build.json"), func(name string) string {
		return map[string]string{"BUILD_WORKSPACE_DIRECTORY": d.dir, "COUNTERSIGN_BAZEL_OPTIONS": strings.Join(given, "\n")}[name]
	})
	var refusal *bazel.CheckedOutError
	if !errors.As(err, &refusal) || !slices.Equal(refusal.Repositories, []string{"quote"}) {
		t.Errorf("a deploy with a checkout: %v", err)
	}
	t.Setenv("COUNTERSIGN_CHECKOUTS", "off")
	if !strings.Contains(deployed(), newer) || slices.Contains(options(), override) {
		t.Error("the checkout counts although it is turned off")
	}
	t.Setenv("COUNTERSIGN_CHECKOUTS", "")

	// A checkout that was made anew is another directory, also for a server that runs. One that is gone is told.
	if _, err := open().Checkin(t.Context(), "quote", true, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(deployed(), newer) {
		t.Error("what is checked in is not built from its pin")
	}
	if made, err = open().Checkout(t.Context(), "quote", ""); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(made.Dir, "BUILD.bazel"), build, 0o644)
	d.must(t, "build", "@quote//:seen")
	if err := os.RemoveAll(made.Dir); err != nil {
		t.Fatal(err)
	}
	d.refuses(t, "countersign checkin quote", "build", "@quote//:seen")
	if _, err := open().Checkin(t.Context(), "quote", false, false); err != nil {
		t.Fatal(err)
	}
}
