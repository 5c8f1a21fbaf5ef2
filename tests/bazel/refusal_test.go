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

// tea is a remote repository of two commits on one branch, and a workspace that pins it without any other part.
type tea struct {
	workspace
	root, remote  string
	first, second string // commits
}

var teas shared

func newTea(t *testing.T) tea {
	t.Helper()
	tea := tea{root: checkout(t), remote: filepath.Join(t.TempDir(), "tea")}
	write(t, filepath.Join(tea.remote, "BUILD.bazel"), "exports_files(glob([\"*\"]))\n", 0o644)
	tea.git(t, "init", "--quiet")
	tea.git(t, "add", "--all")
	tea.git(t, "commit", "--quiet", "-m", "first")
	tea.first = tea.git(t, "rev-parse", "HEAD")
	write(t, filepath.Join(tea.remote, "second"), "", 0o644)
	tea.git(t, "add", "--all")
	tea.git(t, "commit", "--quiet", "-m", "second")
	tea.second = tea.git(t, "rev-parse", "HEAD")
	tea.workspace = teas.use(t, map[string]string{"BUILD.bazel": ""})
	return tea
}

func (tea tea) git(t *testing.T, args ...string) string {
	t.Helper()
	return team{dir: tea.remote}.git(t, args...)
}

// pins declares the repository, and has Bazel fetch it. It has to be refused with want, unless that is "".
func (tea tea) pins(t *testing.T, remote, commit, ref, want string) {
	t.Helper()
	write(t, filepath.Join(tea.dir, "WORKSPACE"), fmt.Sprintf(`workspace(name = "scratch")
local_repository(name = "countersign", path = %q)
load("@countersign//bazel:function_repository.bzl", "function_repository")
function_repository(name = "tea", commit = %q, ref = %q, remote = %q)
`, tea.root, commit, ref, remote), 0o644)
	if want == "" {
		tea.must(t, "query", "@tea//:all")
	} else {
		tea.refuses(t, want, "query", "@tea//:all")
	}
}

func TestFunctionRepository(t *testing.T) {
	t.Parallel()
	tea := newTea(t)
	// No branch points at the first commit any more but as an ancestor.
	tea.pins(t, tea.remote, tea.first, "HEAD", "")
	fetched := filepath.Join(tea.must(t, "info", "output_base"), "external/tea")
	want := fmt.Sprintf("{\"commit\":%q,\"ref\":\"HEAD\",\"remote\":%q}\n", tea.first, tea.remote)
	if got := read(t, filepath.Join(fetched, "countersign_pinned/pin.json")); got != want {
		t.Errorf("recorded pin %s, want %s", got, want)
	}
	if _, err := os.Stat(filepath.Join(fetched, "second")); err == nil {
		t.Error("another commit than the pinned one was checked out")
	}
	for _, tc := range []struct{ name, remote, commit, want string }{
		{"branch", tea.remote, "main", "not a full commit id"},
		{"short", tea.remote, tea.first[:12], "not a full commit id"},
		{"upper case", tea.remote, strings.ToUpper(tea.first), "not a full commit id"},
		{"unknown commit", tea.remote, strings.Repeat("ab", 20), "has no commit abab"},
		{"no such remote", tea.remote + "-gone", tea.first, "tea-gone"},
		{"none below the root", "//.repos/no-such-repository", tea.first, "tools/repos"},
		{"option as remote", "--upload-pack=false", tea.first, "is not a URL"},
	} {
		t.Run(tc.name, func(t *testing.T) { tea.pins(t, tc.remote, tc.commit, "HEAD", tc.want) })
	}
}

// A commit is the team's if a branch or tag of theirs holds it, whatever else their server gives out.
func TestPinnedCommitIsInTheHistoryOfItsRef(t *testing.T) {
	t.Parallel()
	tea := newTea(t)
	beside := func(name string) string {
		return tea.git(t, "commit-tree", "-p", tea.first, "-m", name, tea.first+"^{tree}")
	}
	ofStranger, dangling, next, tagged := beside("stranger"), beside("dangling"), beside("next"), beside("tagged")
	for _, args := range [][]string{
		{"config", "uploadpack.allowAnySHA1InWant", "true"},
		{"update-ref", "refs/pull/1/head", ofStranger},
		{"update-ref", "refs/x/refs/heads/hidden", ofStranger},
		{"update-ref", "refs/replace/" + tea.second, ofStranger},
		{"branch", "next", next},
		{"branch", "twice", next},
		{"tag", "twice", next},
		{"tag", "-a", "-m", "release", "v1", tagged},
	} {
		tea.git(t, args...)
	}
	for _, tc := range []struct{ name, commit, ref, want string }{
		{"only in a pull request", ofStranger, "HEAD", "has no commit " + ofStranger},
		{"pull request as ref", ofStranger, "refs/pull/1/head", "neither a branch"},
		{"pull request as a short ref", ofStranger, "pull/1/head", "no branch or tag pull/1/head"},
		{"end of another reference's name", ofStranger, "refs/heads/hidden", "no branch or tag refs/heads/hidden"},
		{"dangling", dangling, "HEAD", "has no commit " + dangling},
		{"on another branch", next, "HEAD", "has no commit " + next},
		{"branch and tag", next, "twice", "has a branch and a tag twice"},
		{"no such branch", next, "gone", "no branch or tag gone"},
		{"option as ref", next, "--upload-pack=false", "is not the name of a branch"},
		{"refspec as ref", next, "next:refs/heads/x", "is not the name of a branch"},
		{"pattern as ref", next, "*", "is not the name of a branch"},
		{"its branch", next, "next", ""},
		{"its branch in full", next, "refs/heads/next", ""},
		{"its tag", tagged, "v1", ""},
		{"its tag among two", next, "refs/tags/twice", ""},
	} {
		t.Run(tc.name, func(t *testing.T) { tea.pins(t, tea.remote, tc.commit, tc.ref, tc.want) })
	}
}

// scratch makes a workspace of a few files.
func scratch(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	fill(t, dir, files)
	return dir
}

// fill puts files into dir.
func fill(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	write(t, filepath.Join(dir, "WORKSPACE"), "", 0o644)
	for name, content := range files {
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, "tools/") {
			mode = 0o755
		}
		write(t, filepath.Join(dir, name), content, mode)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(content)
}
