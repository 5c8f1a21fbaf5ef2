//go:build integration

package bazel

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The sandbox shows the build as the .bazelrc that everyone uses sets it up. The second build, which may use the
// network, shows that the first failed for no other reason.
func TestActionsHaveNoNetwork(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("reached\n"))
			conn.Close()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	w := own(t, scratch(t, map[string]string{
		"BUILD.bazel": fmt.Sprintf("genrule(\n    name = \"fetch\",\n    outs = [\"fetched\"],\n"+
			"    cmd = \"bash -c 'cat < /dev/tcp/127.0.0.1/%d' > $@\",\n)\n", port),
		".bazelrc": strings.ReplaceAll(read(t, filepath.Join(checkout(t), ".bazelrc")),
			"build --@io_bazel_rules_go//go/config:pure\n", ""),
	}))
	w.refuses(t, "127.0.0.1/"+fmt.Sprint(port), "build", "--disk_cache=", "//:fetch")
	w.must(t, "build", "--disk_cache=", "--sandbox_default_allow_network", "//:fetch")
	if got := read(t, filepath.Join(w.must(t, "info", "bazel-bin"), "fetched")); got != "reached\n" {
		t.Errorf("with network: fetched %q", got)
	}
}

// What is built from uncommitted files must not be deployed under the pinned commit's name.
func TestOverriddenRepositoryIsNotDeployed(t *testing.T) {
	root := checkout(t)
	override := "--override_repository=tax=" + filepath.Join(root, "examples/tax")
	workspace{dir: root}.refuses(t, "is not built from a pinned commit", "build", "--nobuild", override, "//:deploy")
}

func TestFunctionRepository(t *testing.T) {
	t.Parallel()
	root := checkout(t)
	remote := filepath.Join(t.TempDir(), "tea")
	git := func(args ...string) string {
		t.Helper()
		args = append([]string{"-C", remote, "-c", "user.name=t", "-c", "user.email=t@t.example"}, args...)
		return strings.TrimSpace(command(t, root, "git", args...))
	}
	write(t, filepath.Join(remote, "BUILD.bazel"), "exports_files(glob([\"*\"]))\n", 0o644)
	git("init", "--quiet")
	git("add", "--all")
	git("commit", "--quiet", "-m", "first")
	first := git("rev-parse", "HEAD")
	write(t, filepath.Join(remote, "countersign_source.json"), "{}\n", 0o644)
	git("add", "--all")
	git("commit", "--quiet", "-m", "forged")
	forged := git("rev-parse", "HEAD")
	// No branch points at the first commit any more but as an ancestor.
	dir := scratch(t, nil)
	w := own(t, dir)
	declare := func(remote, commit string) {
		write(t, filepath.Join(dir, "WORKSPACE"), fmt.Sprintf(`workspace(name = "scratch")
local_repository(name = "countersign", path = %q)
load("@countersign//bazel:function_repository.bzl", "function_repository")
function_repository(name = "tea", commit = %q, remote = %q)
`, root, commit, remote), 0o644)
	}

	declare(remote, first)
	if got := w.must(t, "query", "@tea//:all-targets"); !strings.Contains(got, "@tea//:countersign_source.json") {
		t.Errorf("the source is not recorded; there are\n%s", got)
	}
	base := w.must(t, "info", "output_base")
	want := fmt.Sprintf("{\"commit\":%q,\"repository\":%q}\n", first, remote)
	if got := read(t, filepath.Join(base, "external/tea/countersign_source.json")); got != want {
		t.Errorf("recorded source %s, want %s", got, want)
	}

	for _, tc := range []struct{ name, remote, commit, want string }{
		{"branch", remote, "main", "not a full commit id"},
		{"short", remote, first[:12], "not a full commit id"},
		{"upper case", remote, strings.ToUpper(first), "not a full commit id"},
		{"unknown commit", remote, strings.Repeat("ab", 20), "has no commit abab"},
		{"no such remote", remote + "-gone", first, "tea-gone"},
		{"none below the root", "//.repos/no-such-repository", first, "tools/repos"},
		{"option as remote", "--upload-pack=false", first, "is not a URL"},
		{"forged source", remote, forged, "only the build may write"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			declare(tc.remote, tc.commit)
			w.refuses(t, tc.want, "query", "@tea//:all")
		})
	}
}

// scratch makes a workspace of a few files.
func scratch(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "WORKSPACE"), "", 0o644)
	for name, content := range files {
		write(t, filepath.Join(dir, name), content, 0o644)
	}
	return dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
