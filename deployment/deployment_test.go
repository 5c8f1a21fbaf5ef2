package deployment

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"countersign/git"
	"countersign/hclspec"
)

const commit = "0123456789abcdef0123456789abcdef01234567"

// made makes a repository and returns its directory.
func made(t *testing.T, o Options) string {
	t.Helper()
	o.Dir = filepath.Join(t.TempDir(), "deployment")
	if _, err := Init(t.Context(), o); err != nil {
		t.Fatal(err)
	}
	return o.Dir
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEnvironmentsAreValid(t *testing.T) {
	dir := made(t, Options{Remote: "https://git.example.com/countersign.git", Commit: commit, Bazel: "6.5.0"})
	env := map[string]string{"COUNTERSIGN_REGISTRY": "127.0.0.1:5000", "NOMAD_ADDR": "http://127.0.0.1:4646",
		"CONSUL_HTTP_ADDR": "http://127.0.0.1:8500", "VAULT_ADDR": "http://127.0.0.1:8200"}
	for _, name := range []string{"dev", "prod"} {
		file := "environments/" + name + ".hcl"
		got, diags := hclspec.ParseEnvironment(file, []byte(read(t, filepath.Join(dir, file))), env)
		if diags.HasErrors() || got.Name != name {
			t.Errorf("%s: %v", file, diags)
		}
	}
}

// What is the same in the product's own workspace stays so: a setting that keeps actions apart, above all.
func TestSettingsAreTheProductsOwn(t *testing.T) {
	dir := made(t, Options{Remote: "https://git.example.com/countersign.git", Commit: commit, Bazel: "6.5.0"})
	mine := read(t, filepath.Join(dir, ".bazelrc"))
	for line := range strings.Lines(read(t, "../.bazelrc")) {
		if strings.HasPrefix(line, "#") || strings.HasPrefix(line, "common:") {
			continue // for versions of Bazel, which a deployment repository has one of
		}
		if strings.HasPrefix(line, "startup ") {
			continue // for servers that tests start and end again
		}
		if !strings.Contains(mine, line) {
			t.Errorf(".bazelrc lacks %q", line)
		}
	}
	for _, version := range []struct{ bazel, want string }{
		{"7.6.1", "common --noenable_bzlmod\n"}, {"8.4.2", "common --noenable_bzlmod --enable_workspace\n"},
	} {
		dir := made(t, Options{Remote: "https://git.example.com/countersign.git", Commit: commit, Bazel: version.bazel})
		if got := read(t, filepath.Join(dir, ".bazelrc")); !strings.Contains(got, version.want) {
			t.Errorf("Bazel %s: .bazelrc lacks %q", version.bazel, version.want)
		}
		if got := read(t, filepath.Join(dir, ".bazelversion")); got != version.bazel+"\n" {
			t.Errorf("Bazel %s: .bazelversion is %q", version.bazel, got)
		}
	}
}

func TestScriptsParse(t *testing.T) {
	dir := made(t, Options{Remote: "https://git.example.com/countersign.git", Commit: commit, Bazel: "6.5.0"})
	for _, script := range []string{"tools/bazel", "ci/check", "ci/deploy"} {
		path := filepath.Join(dir, script)
		if info, err := os.Stat(path); err != nil || info.Mode()&0o111 == 0 {
			t.Errorf("%s is not executable: %v", script, err)
		}
		if out, err := exec.Command("bash", "-n", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", script, err, out)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		o    Options
		want string
	}{
		{"no remote", Options{}, "where is Countersign fetched from"},
		{"option as remote", Options{Remote: "--upload-pack=false"}, "not a URL or path"},
		{"program as remote", Options{Remote: "ext::sh -c id"}, "not a URL or path"},
		{"password", Options{Remote: "https://me:hunter2@git.example.com/x"}, "holds credentials"},
		{"token as user", Options{Remote: "https://ghp_hunter2@git.example.com/x"}, "holds credentials"},
		{"password in a URL that is none", Options{Remote: "https://me:hunter2@git.example.com:x/"}, "can't be parsed"},
		{"quote", Options{Remote: `https://git.example.com/"x`}, "can't be written down"},
		{"line", Options{Remote: "https://git.example.com/x\ny"}, "can't be written down"},
		{"branch", Options{Remote: "https://git.example.com/x", Commit: "main"}, "not a full commit id"},
		{"Bazel 9", Options{Remote: "https://git.example.com/x", Commit: commit, Bazel: "9.0.0"}, "no WORKSPACE mode"},
		{"Bazel 5", Options{Remote: "https://git.example.com/x", Commit: commit, Bazel: "5.4.1"}, "no build with Bazel 5.4.1"},
		{"no version", Options{Remote: "https://git.example.com/x", Commit: commit, Bazel: "latest"}, "no release of Bazel"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			// All else is right: without the check, there would be a repository.
			tc.o.Dir = filepath.Join(t.TempDir(), "d")
			tc.o.Commit, tc.o.Bazel = cmp.Or(tc.o.Commit, commit), cmp.Or(tc.o.Bazel, "6.5.0")
			_, err := Init(t.Context(), tc.o)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %q", err, tc.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error tells a password: %v", err)
			}
			if _, err := os.Lstat(tc.o.Dir); err == nil {
				t.Error("something was made")
			}
		})
	}
}

// What somebody has is never overwritten. A directory in which only `git init` was run is empty enough.
func TestInitOverwritesNothing(t *testing.T) {
	o := Options{Remote: "https://git.example.com/x", Commit: commit, Bazel: "6.5.0", Dir: t.TempDir()}
	mine := filepath.Join(o.Dir, "repos.bzl")
	if err := os.WriteFile(mine, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), o); err == nil || !strings.Contains(err.Error(), "holds repos.bzl already") {
		t.Errorf("got %v", err)
	}
	if read(t, mine) != "mine" {
		t.Error("the file was overwritten")
	}
	if err := os.Rename(mine, filepath.Join(t.TempDir(), "x")); err != nil {
		t.Fatal(err)
	}
	if _, err := git.At(o.Dir).Run(t.Context(), "init", "--quiet"); err != nil {
		t.Fatal(err)
	}
	if _, err := Init(t.Context(), o); err != nil {
		t.Error(err)
	}
}

func TestHeadOfARemote(t *testing.T) {
	remote := t.TempDir()
	for _, args := range [][]string{{"init", "--quiet"}, {"-c", "user.name=t", "-c", "user.email=t@t.example", "commit", "--quiet",
		"--allow-empty", "-m", "first"}} {
		if _, err := git.At(remote).Run(t.Context(), args...); err != nil {
			t.Fatal(err)
		}
	}
	head, err := git.At(remote).Run(t.Context(), "rev-parse", "HEAD")
	if err != nil {
		t.Fatal(err)
	}
	dir := made(t, Options{Remote: remote, Bazel: "6.5.0"})
	if got := read(t, filepath.Join(dir, "countersign.bzl")); !strings.Contains(got, `"commit": "`+strings.TrimSpace(head)+`",`) ||
		!strings.Contains(got, `"remote": "`+remote+`",`) {
		t.Errorf("countersign.bzl pins\n%s", got)
	}
	o := Options{Dir: filepath.Join(t.TempDir(), "d"), Remote: filepath.Join(remote, "gone"), Bazel: "6.5.0"}
	if _, err := Init(t.Context(), o); err == nil || !strings.Contains(err.Error(), "ask "+o.Remote) {
		t.Errorf("no such remote: %v", err)
	}
}
