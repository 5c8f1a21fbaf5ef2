package git

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A program's output is copied by io.Copy, which must not go around the limit.
func TestLimitedByCopy(t *testing.T) {
	l := &limited{left: 10}
	n, err := io.Copy(l, io.LimitReader(strings.NewReader(strings.Repeat("x", 1000)), 1000))
	if err == nil || len(l.String()) > 10 {
		t.Errorf("%d copied, %d kept, %v", n, len(l.String()), err)
	}
}

// remote is a git repository as others fetch from it.
type remote struct{ dir string }

func newRemote(t *testing.T) remote {
	t.Helper()
	r := remote{t.TempDir()}
	if err := Init(t.Context(), r.dir); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r remote) run(t *testing.T, args ...string) string {
	t.Helper()
	out, err := At(r.dir).Run(t.Context(), append([]string{"-c", "user.name=t", "-c", "user.email=t@t.example"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r remote) commit(t *testing.T, subject string) string {
	t.Helper()
	r.run(t, "commit", "--quiet", "--allow-empty", "-m", subject)
	return r.run(t, "rev-parse", "HEAD")
}

// What a remote may be that somebody names: never something that has git run a program, or that tells a secret.
func TestCheckRemote(t *testing.T) {
	for _, good := range []string{"https://git.example.com/x", "ssh://git@git.example.com/x", "git@example.com:x", "file:///x", "/x"} {
		if got, err := CheckRemote(good); err != nil || got != good {
			t.Errorf("%s: %q, %v", good, got, err)
		}
	}
	for _, bad := range []string{"", "--upload-pack=touch x", "ext::sh -c id", "foo::bar", "https://me:hunter2@x.example/y", "https://hunter2@x.example/",
		"/x y", "/x\"", "/x\ny", "/x\\", "https://x\u202e.example/"} {
		got, err := CheckRemote(bad)
		if err == nil {
			t.Errorf("%q is taken, as %q", bad, got)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error tells a password: %v", err)
		}
	}
}

// A remote, or a repository, that would have git run a program: whatever the pins say, it is not run.
func TestNoProgramIsRun(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	// What the user permits to the git of his own counts for nothing.
	config := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(config, []byte("[protocol \"ext\"]\n\tallow = always\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	r := newRemote(t)
	commit := r.commit(t, "first")
	for _, bad := range []string{"ext::sh -c touch% " + marker, "--upload-pack=touch " + marker} {
		c, err := NewClone(t.TempDir(), "", Source{Name: "x", Remote: bad, Ref: HEAD}, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Fetch(t.Context()); err == nil {
			t.Errorf("%s was fetched", bad)
		}
	}
	script := "#!/bin/sh\ntouch " + marker + "\n"
	for _, hook := range []string{"post-checkout", "fsmonitor", "reference-transaction"} {
		if err := os.WriteFile(filepath.Join(r.dir, ".git/hooks", hook), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	r.run(t, "config", "core.fsmonitor", filepath.Join(r.dir, ".git/hooks/fsmonitor"))
	r.run(t, "status")
	r.run(t, "checkout", "--quiet", "--detach", commit)
	if _, err := os.Stat(marker); err == nil {
		t.Error("a program was run")
	}
}

// A git hook's variables name the repository that it is of; how remotes are reached is the user's word.
func TestEnviron(t *testing.T) {
	t.Setenv("GIT_INDEX_FILE", "/x")
	t.Setenv("GIT_OBJECT_DIRECTORY", "/x")
	t.Setenv("GIT_ALLOW_PROTOCOL", "ext")
	t.Setenv("GIT_SSH_COMMAND", "ssh -4")
	env := "\n" + strings.Join(Environ(), "\n") + "\n"
	for name, kept := range map[string]bool{"GIT_INDEX_FILE": false, "GIT_OBJECT_DIRECTORY": false, "GIT_ALLOW_PROTOCOL": false, "GIT_SSH_COMMAND": true} {
		if strings.Contains(env, "\n"+name+"=") != kept {
			t.Errorf("%s is kept: %v", name, !kept)
		}
	}
}

// Of a commit, only files are read, and none that is too large.
func TestFile(t *testing.T) {
	r := newRemote(t)
	if err := os.WriteFile(filepath.Join(r.dir, "text"), []byte("0123456789"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("text", filepath.Join(r.dir, "link")); err != nil {
		t.Fatal(err)
	}
	r.run(t, "add", "--all")
	commit := r.commit(t, "files")
	r.run(t, "update-index", "--add", "--cacheinfo", "160000,"+commit+",submodule")
	commit = r.commit(t, "a submodule")
	of := At(r.dir)
	if text, err := of.File(t.Context(), commit, "text", 10); err != nil || string(text) != "0123456789" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := of.File(t.Context(), commit, "text", 9); !IsRefusal(err) {
		t.Errorf("a file that is too large: %v", err)
	}
	for _, path := range []string{"link", "submodule", "none", ".", "../x"} {
		if text, err := of.File(t.Context(), commit, path, 10); err == nil {
			t.Errorf("%s: %q", path, text)
		}
	}
}

// Only what the ref's history holds counts, as of the last fetch.
func TestCloneHoldsTheRefsHistory(t *testing.T) {
	r := newRemote(t)
	first := r.commit(t, "first")
	foreign := r.run(t, "commit-tree", "-p", first, "-m", "of a stranger", first+"^{tree}")
	r.run(t, "update-ref", "refs/pull/1/head", foreign)
	c, err := NewClone(t.TempDir(), filepath.Dir(r.dir), Source{Name: "x", Remote: "//" + filepath.Base(r.dir), Ref: "main"}, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := c.Fetch(t.Context()); err != nil || got != first {
		t.Errorf("%s, %v", got, err)
	}
	if err := c.Ensure(t.Context(), foreign); !IsRefusal(err) {
		t.Errorf("a stranger's commit: %v", err)
	}
	second := r.commit(t, "second")
	if err := c.Ensure(t.Context(), second); err != nil {
		t.Error(err)
	}
	// Moved back: what was taken back counts no more.
	r.run(t, "update-ref", "refs/heads/main", first)
	if got, err := c.Fetch(t.Context()); err != nil || got != first {
		t.Errorf("%s, %v", got, err)
	}
	if ok, err := c.Holds(t.Context(), second); ok || err != nil {
		t.Errorf("what was taken back is there: %v", err)
	}
}
