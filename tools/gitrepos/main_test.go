package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const pinsText = `FUNCTIONS = {
    "tea": {
        "commit": "0000000000000000000000000000000000000000",
        "remote": "//.repos/tea",
    },
}
`

// checkout makes a checkout with one example, tea.
func checkout(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	write(t, filepath.Join(root, "repos.bzl"), pinsText)
	write(t, filepath.Join(root, "examples/tea/tea.go"), "package tea\n")
	write(t, filepath.Join(root, "examples/tea/.gitignore"), "/bazel-*\n")
	write(t, filepath.Join(root, "examples/tea/bazel-out/x"), "built\n")
	return root
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func update(t *testing.T, root string) (commit string) {
	t.Helper()
	if err := run(t.Context(), root, true, io.Discard); err != nil {
		t.Fatal(err)
	}
	pins, err := readPins(filepath.Join(root, "repos.bzl"))
	if err != nil {
		t.Fatal(err)
	}
	return pins.commits["tea"]
}

func inTea(t *testing.T, root string, args ...string) string {
	t.Helper()
	out, err := repository{dir: filepath.Join(root, ".repos/tea")}.git(t.Context(), args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCommitDependsOnFilesAlone(t *testing.T) {
	first, second := checkout(t), checkout(t)
	t.Setenv("GIT_AUTHOR_NAME", "someone else")
	t.Setenv("GIT_DIR", "/nonexistent")
	commit := update(t, first)
	if other := update(t, second); other != commit {
		t.Errorf("%s in one checkout, %s in another", commit, other)
	}
	if files := inTea(t, first, "ls-files"); files != ".gitignore\ntea.go" {
		t.Errorf("the repository holds %q", files)
	}
	if head := inTea(t, first, "rev-parse", "HEAD"); head != commit {
		t.Errorf("HEAD is %s, the pin %s", head, commit)
	}
	if _, err := os.Stat(filepath.Join(first, ".repos/tea/tea.go")); err != nil {
		t.Error("the files are not checked out:", err)
	}
}

func TestWrongPinIsToldNotMoved(t *testing.T) {
	root := checkout(t)
	var wrong *pinError
	if err := run(t.Context(), root, false, io.Discard); !errors.As(err, &wrong) || wrong.name != "tea" {
		t.Fatalf("got %v, want an error about the pin of tea", err)
	}
	if text, _ := os.ReadFile(filepath.Join(root, "repos.bzl")); string(text) != pinsText {
		t.Errorf("repos.bzl was changed without -update:\n%s", text)
	}
	update(t, root)
	if err := run(t.Context(), root, false, io.Discard); err != nil {
		t.Error("after -update:", err)
	}
}

func TestMissingPin(t *testing.T) {
	root := checkout(t)
	write(t, filepath.Join(root, "examples/fx/fx.go"), "package fx\n")
	for _, update := range []bool{false, true} {
		err := run(t.Context(), root, update, io.Discard)
		if err == nil || !strings.Contains(err.Error(), "pins no commit of fx") {
			t.Errorf("update %v: got %v", update, err)
		}
	}
}

func TestNewContentMovesOnAndKeepsThePast(t *testing.T) {
	root := checkout(t)
	old := update(t, root)
	write(t, filepath.Join(root, "examples/tea/tea.go"), "package tea // better\n")
	commit := update(t, root)
	if commit == old {
		t.Fatal("the commit is the same")
	}
	if text, _ := os.ReadFile(filepath.Join(root, ".repos/tea/tea.go")); string(text) != "package tea // better\n" {
		t.Errorf("checked out is %q", text)
	}
	inTea(t, root, "cat-file", "-e", "refs/pins/"+old)
}

func TestUsersWorkIsLeftAlone(t *testing.T) {
	root := checkout(t)
	commit := update(t, root)
	mine := filepath.Join(root, ".repos/tea/tea.go")
	write(t, mine, "package tea // mine\n")
	if again := update(t, root); again != commit {
		t.Errorf("an edit in .repos moved the pin from %s to %s", commit, again)
	}

	write(t, filepath.Join(root, "examples/tea/tea.go"), "package tea // theirs\n")
	err := run(t.Context(), root, true, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "uncommitted changes") {
		t.Errorf("over an edit: %v", err)
	}
	inTea(t, root, "add", "--all")
	r := repository{dir: filepath.Join(root, ".repos/tea")}
	me := []string{"GIT_AUTHOR_NAME=Me", "GIT_COMMITTER_NAME=Me"}
	if _, err := r.gitEnv(t.Context(), me, "commit", "--quiet", "-m", "mine"); err != nil {
		t.Fatal(err)
	}
	err = run(t.Context(), root, true, io.Discard)
	if err == nil || !strings.Contains(err.Error(), "a commit that is not of examples/") {
		t.Errorf("over a commit: %v", err)
	}
	if text, _ := os.ReadFile(mine); string(text) != "package tea // mine\n" {
		t.Errorf("the user's file is now %q", text)
	}
}

// remoteOf makes a repository with a commit on main, and one that only a pull request's reference holds.
func remoteOf(t *testing.T) (dir, commit, foreign string) {
	t.Helper()
	dir = t.TempDir()
	in := func(args ...string) string {
		t.Helper()
		out, err := mirror{root: dir, dir: filepath.Join(dir, ".git")}.git(t.Context(),
			append([]string{"-c", "user.name=t", "-c", "user.email=t@t.example"}, args...)...)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	in("init", "--quiet")
	in("symbolic-ref", "HEAD", "refs/heads/trunk")
	in("commit", "--quiet", "--allow-empty", "-m", "first")
	commit = in("rev-parse", "HEAD")
	foreign = in("commit-tree", "-p", commit, "-m", "of a stranger", commit+"^{tree}")
	in("update-ref", "refs/pull/1/head", foreign)
	return dir, commit, foreign
}

func TestFetchMirrorsBranchesAndTagsAlone(t *testing.T) {
	remote, commit, foreign := remoteOf(t)
	root := checkout(t)
	write(t, filepath.Join(root, "repos.bzl"), "FUNCTIONS = {\n    \"shop\": {\n        \"commit\": \""+commit+
		"\",\n        \"remote\": \""+remote+"\",\n    },\n}\n")
	if err := fetchAll(t.Context(), root, io.Discard); err != nil {
		t.Fatal(err)
	}
	m := mirror{root: root, dir: filepath.Join(root, mirrors, "shop")}
	for what, args := range map[string][]string{
		"HEAD is the remote's": {"merge-base", "--is-ancestor", commit, "HEAD"},
		"the branch":           {"rev-parse", "--verify", "refs/heads/trunk"},
	} {
		if _, err := m.git(t.Context(), args...); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	if _, err := m.git(t.Context(), "cat-file", "-e", foreign); err == nil {
		t.Error("a commit of a pull request was fetched")
	}
	// What is there already is not asked for again: the remote may be gone, or ask for a password.
	if err := os.RemoveAll(remote); err != nil {
		t.Fatal(err)
	}
	if err := fetchAll(t.Context(), root, io.Discard); err != nil {
		t.Errorf("again, without the remote: %v", err)
	}
	write(t, filepath.Join(root, "repos.bzl"), "FUNCTIONS = {\n    \"shop\": {\n        \"commit\": \""+commit+
		"\",\n        \"remote\": \"--upload-pack=false\",\n    },\n}\n")
	// What can't be fetched is told, in a line, to whoever builds what needs it, and keeps nobody else from building.
	var out bytes.Buffer
	if err := fetchAll(t.Context(), root, &out); err != nil || !strings.Contains(out.String(), "the remote is not a URL") {
		t.Errorf("an option as a remote: %v\n%s", err, out.String())
	}
	note, err := os.ReadFile(filepath.Join(root, mirrors, "shop.failed"))
	if err != nil || string(note) != "--upload-pack=false\nthe remote is not a URL\n" {
		t.Errorf("noted: %q, %v", note, err)
	}
}
