//go:build integration

package bazel

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// with returns files with one more.
func with(files map[string]string, name, content string) map[string]string {
	more := maps.Clone(files)
	more[name] = content
	return more
}

// alias is a repository whose function is another target.
func alias(of string) map[string]string {
	files := aFunction("payments")
	files["BUILD.bazel"] += "alias(name = \"quote\", actual = \"" + of + "\", visibility = [\"//visibility:public\"])\n"
	return files
}

// Whatever a team's repository says of itself, name, repository, commit and ref are those of repos.bzl.
func TestOnlyThePinNamesAFunction(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t)
	d.commit(t, "tax", aFunction("tax"))
	forged := `{"commit":"` + strings.Repeat("dead", 10) + `","repository":"https://git.example/payments"}`

	type entry struct{ Name, Target, Repository, Commit, Ref string }
	states := func(t *testing.T, want ...entry) {
		t.Helper()
		var got []entry
		m, _ := builds(t, d.open(t))
		for _, f := range m.Functions {
			got = append(got, entry{f.Name, f.Target, f.Repository, f.Commit, f.Ref})
		}
		if !slices.Equal(got, want) {
			t.Errorf("the manifest states\n%v, want\n%v", got, want)
		}
	}
	commit := d.commit(t, "quote", with(aFunction("quote"), "countersign_source.json", forged))
	d.deploys(t, "@quote//:quote")
	states(t, entry{"quote", "@quote//:quote", "//.repos/quote", commit, "HEAD"})

	commit = d.commit(t, "shop", aFunction("a", "b"))
	d.pin("shop", map[string]string{"functions": `{"cart": "//:a", "till": "//:b"}`, "ref": `"main"`})
	d.deploys(t, "@shop//:b", "@shop//:a")
	states(t, entry{"cart", "@shop//:a", "//.repos/shop", commit, "main"},
		entry{"till", "@shop//:b", "//.repos/shop", commit, "main"})
	delete(d.teams, "shop")

	for _, tc := range []struct {
		name   string
		files  map[string]string
		target string
		want   string
	}{
		{"a name of its own", with(aFunction("quote"), "own.bzl", ownRule(`name = "payments", `)), "@quote//:quote", "name"},
		{"a source of its own", with(aFunction("quote"), "own.bzl", ownRule(`source = source, `)), "@quote//:quote", "source"},
		{"alias of another target", alias(":payments"), "@quote//:quote", "another name for @quote//:payments"},
		{"alias of another team's", alias("@tax//:tax"), "@quote//:quote", "another name for @tax//:tax"},
		{"target that no pin names", aFunction("payments"), "@quote//:payments", "is not a function of repos.bzl"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d.commit(t, "quote", tc.files)
			d.deploys(t, tc.target)
			if tc.target == "@quote//:quote" {
				d.refusesToBuild(t, tc.want, "quote")
			} else {
				d.refuses(t, tc.want, "build", "//:deploy")
			}
		})
	}
	t.Run("a deploy target of the team's", func(t *testing.T) {
		files := aFunction("quote")
		files["BUILD.bazel"] += "load(\"@countersign//bazel:deploy.bzl\", \"deploy\")\n" +
			"deploy(name = \"deploy\", functions = [\"@quote//:quote\"])\n"
		d.commit(t, "quote", files)
		d.deploys(t, "@quote//:quote")
		d.refuses(t, "only the workspace that pins", "build", "@quote//:deploy")
	})
	t.Run("one function of two repositories", func(t *testing.T) {
		d.pin("quote", map[string]string{"functions": `{"tax": "//:quote"}`})
		d.deploys(t, "@quote//:quote")
		d.refuses(t, "function tax is in", "build", "//:deploy")
	})
}

// What Bazel reads is what was committed and reviewed, and nothing of the machine that builds.
func TestLinksInARepository(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t)
	d.deploys(t, "@quote//:quote")
	d.teams["quote"] = team{}
	good := aFunction("quote")
	build := good["BUILD.bazel"]
	for _, tc := range []struct{ name, path, target, want string }{
		{"BUILD file", "sub/BUILD.bazel", "../real.txt", "Bazel would read it"},
		{"BUILD file without extension", "sub/BUILD", "../real.txt", "Bazel would read it"},
		{"BUILD file in another case", "sub/Build.Bazel", "../real.txt", "Bazel would read it"},
		{"Starlark", "sub/x.bzl", "../own.bzl", "Bazel would read it"},
		{"WORKSPACE", "WORKSPACE", "real.txt", "Bazel would read it"},
		{"MODULE.bazel", "MODULE.bazel", "real.txt", "Bazel would read it"},
		{"directory", "sub", "pkg", "not a file of the repository"},
		{"the directory itself", "sub", ".", "leads out of the repository"},
		{"absolute path", "secret", "/etc/passwd", "absolute path"},
		{"leaves the repository", "sub/secret", "../../../etc/passwd", "leads out of the repository"},
		{"leaves by another link", "sub/secret", "../up/passwd", "leads out of the repository"},
		{"nothing", "secret", "gone", "not a file of the repository"},
		{"git's own files", "secret", ".git/config", "or nowhere"},
		{"the build's own package", "countersign_PINNED", "pkg", "not a file of the repository"},
		{"a file", "sub/copy", "../real.txt", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			files := with(with(good, "real.txt", build), "pkg/BUILD.bazel", "")
			if strings.Contains(tc.target, "up/") {
				files["up"] = "-> /etc"
			}
			d.commit(t, "quote", with(files, tc.path, "-> "+tc.target))
			d.deploys(t, "@quote//:quote")
			if tc.want == "" {
				d.must(t, "query", "@quote//:all")
			} else {
				d.refuses(t, tc.want, "query", "@quote//:all")
			}
		})
	}
	t.Run("a package in the place of the build's", func(t *testing.T) {
		d.commit(t, "quote", with(good, "countersign_pinned/pin.json", "{}"))
		d.deploys(t, "@quote//:quote")
		d.refuses(t, "which only the build may make", "query", "@quote//:all")
	})
}

// What stands in for a repository, whatever it holds, is not deployed under the pin's name.
func TestNothingStandsInForAPinnedRepository(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	commit := d.commit(t, "quote", aFunction("quote"))
	d.deploys(t, "@quote//:quote")
	builds(t, d.open(t))

	other := filepath.Join(d.dir, ".repos/other")
	for name, content := range aFunction("quote") {
		write(t, filepath.Join(other, name), content, 0o644)
	}
	pin := fmt.Sprintf("{\"commit\":%q,\"ref\":\"HEAD\",\"remote\":\"//.repos/quote\"}\n", commit)
	write(t, filepath.Join(other, "countersign_pinned/pin.json"), pin, 0o644)
	write(t, filepath.Join(other, "countersign_pinned/BUILD.bazel"), "", 0o644)
	write(t, filepath.Join(other, "countersign_source.json"), pin, 0o644)
	write(t, filepath.Join(other, "WORKSPACE"), "", 0o644)
	override := "--override_repository=quote=" + other
	d.must(t, "build", override, "@quote//:quote")
	cannotBuild(t, d.open(t, override), "is not built from a pinned commit")
	cannotBuild(t, d.open(t, override), "is not built from a pinned commit", "quote")
	builds(t, d.open(t), "quote")
}
