package repositories

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/git"
)

// team is a team's repository: a bare one that others fetch from, and where its commits are made.
type team struct{ bare, work string }

func newTeam(t *testing.T, name string, files map[string]string) team {
	t.Helper()
	tm := team{filepath.Join(t.TempDir(), name+".git"), t.TempDir()}
	if err := git.Init(t.Context(), tm.work); err != nil {
		t.Fatal(err)
	}
	if _, err := (git.Repository{}).Run(t.Context(), "clone", "--quiet", "--bare", tm.work, tm.bare); err != nil {
		t.Fatal(err)
	}
	tm.commit(t, files)
	return tm
}

func (tm team) git(t *testing.T, args ...string) string {
	t.Helper()
	return run(t, tm.work, args...)
}

func run(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := git.At(dir).Run(t.Context(), append([]string{"-c", "user.name=t", "-c", "user.email=t@t.example"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (tm team) commit(t *testing.T, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		write(t, filepath.Join(tm.work, name), text)
	}
	tm.git(t, "add", "--all")
	tm.git(t, "commit", "--quiet", "--allow-empty", "-m", "files")
	tm.git(t, "push", "--quiet", tm.bare, "HEAD:main")
	return tm.git(t, "rev-parse", "HEAD")
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

func build(name string) map[string]string {
	return map[string]string{
		"BUILD.bazel": "load(\"@countersign//bazel:function.bzl\", \"countersign_function\")\ncountersign_function(name = \"" + name + "\")\n",
		name + ".hcl": "function \"" + name + "\" {}\n",
		"go.mod":      "module shop.example/" + name + "\n",
	}
}

// deployment is a deployment repository in a directory of its own.
type deployment struct{ dir, cache string }

func newDeployment(t *testing.T) deployment {
	t.Helper()
	d := deployment{t.TempDir(), t.TempDir()}
	write(t, filepath.Join(d.dir, "repos.bzl"), "FUNCTIONS = {}\n")
	return d
}

func (d deployment) open(t *testing.T) *Deployment {
	t.Helper()
	opened, err := Open(filepath.Join(d.dir, "repos.bzl"), d.cache, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func (d deployment) add(t *testing.T, tm team) {
	t.Helper()
	opened := d.open(t)
	_, _, err := opened.Add(t.Context(), Addition{Remote: tm.bare})
	if err == nil {
		err = opened.Write()
	}
	if err != nil {
		t.Fatal(err)
	}
}

// What a remote serves besides its branches and tags is no team's word, and what it took back is not any more: neither can be pinned.
func TestOnlyTheRefsCommitsArePinned(t *testing.T) {
	tm, d := newTeam(t, "tea", build("tea")), newDeployment(t)
	d.add(t, tm)
	first := tm.git(t, "rev-parse", "HEAD")
	second := tm.commit(t, nil)
	stranger := tm.git(t, "commit-tree", "-p", second, "-m", "proposal", second+"^{tree}")
	tm.git(t, "push", "--quiet", tm.bare, stranger+":refs/pull/1/head")
	if _, err := d.open(t).Bump(t.Context(), []string{"tea"}, second); err != nil {
		t.Fatal(err)
	}
	tm.git(t, "push", "--quiet", "--force", tm.bare, first+":main") // second is in the clone, and not the team's word any more
	for _, id := range []string{stranger, second, second[:8], strings.Repeat("1", 40), "main", "--help", "HEAD^", "refs/pull/1/head"} {
		opened := d.open(t)
		if moves, err := opened.Bump(t.Context(), []string{"tea"}, id); err == nil || opened.Changed() {
			t.Errorf("%s: %+v, %v", id, moves, err)
		}
	}
	// A branch with the name of a commit is no commit.
	tm.git(t, "push", "--quiet", tm.bare, stranger+":refs/heads/"+second[:8])
	if _, err := d.open(t).Bump(t.Context(), []string{"tea"}, second[:8]); !git.IsRefusal(err) {
		t.Errorf("a branch that is called like a commit: %v", err)
	}
}

// A repository that says in its go.mod that it is the SDK, or another one's module, is not pinned as that.
func TestNoModuleOfOthers(t *testing.T) {
	d := newDeployment(t)
	d.add(t, newTeam(t, "tea", build("tea")))
	for name, path := range map[string]string{"sdk": "countersign.internal/sdk", "below": "countersign.internal/sdk/x"} {
		files := build(name)
		files["go.mod"] = "module " + path + "\n"
		if _, _, err := d.open(t).Add(t.Context(), Addition{Remote: newTeam(t, name, files).bare}); !git.IsRefusal(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// Files that are hostile, or none: what can be read of the others is.
func TestHostileContent(t *testing.T) {
	files := build("tea")
	files["deep/BUILD"] = strings.Repeat("(", 1<<20)
	files["huge/BUILD"] = strings.Repeat("#", maxFile+1)
	files["bad/BUILD.bazel"] = "load(\"@countersign//bazel:function.bzl\", \"countersign_function\")\n" +
		"countersign_function(name = \"../../x\")\ncountersign_function(name = N)\ncountersign_function(\"x\")\ncountersign_function(name = \"a\", spec = \"//../../etc:passwd\")\n"
	files["go.mod"] = "module \x00\n"
	files["tea.hcl"] = "function \"tea\" { calls = [\"\x1b[2J\", \"cup\"] }\n"
	tm, d := newTeam(t, "tea", files), newDeployment(t)
	if err := os.Symlink("/etc/passwd", filepath.Join(tm.work, "BUILD")); err != nil {
		t.Fatal(err)
	}
	tm.commit(t, nil)
	opened := d.open(t)
	e, _, err := opened.Add(t.Context(), Addition{Remote: tm.bare})
	if err != nil || fmt.Sprint(e.Functions) != "map[a://bad:a tea://:tea]" {
		t.Errorf("%v, %v", e.Functions, err)
	}
}

// The files of a checkout are the commit's, and no program of the user's that the team names is run on them.
func TestCheckoutRunsNothing(t *testing.T) {
	marker := filepath.Join(t.TempDir(), "ran")
	config := filepath.Join(t.TempDir(), "config")
	write(t, config, "[core]\n\tautocrlf = true\n[filter \"evil\"]\n\tsmudge = touch "+marker+" && cat\n\tclean = cat\n")
	files := build("tea")
	files[".gitattributes"], files["text"] = "* filter=evil\n", "one\ntwo\n"
	tm, d := newTeam(t, "tea", files), newDeployment(t)
	d.add(t, tm)
	t.Setenv("GIT_CONFIG_GLOBAL", config)
	c, err := d.open(t).Checkout(t.Context(), "tea", "")
	if err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(c.Dir, "text")); err != nil || string(text) != "one\ntwo\n" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a filter was run")
	}
	if !c.AtPin() || c.Branch != "main" || c.Lost() != "" {
		t.Errorf("%+v", c)
	}
}

// Work that is nowhere else outlives a checkin, and so does every directory that no checkout made.
func TestCheckinLosesNothing(t *testing.T) {
	tm, d := newTeam(t, "tea", build("tea")), newDeployment(t)
	d.add(t, tm)
	for name, work := range map[string]func(dir string){
		"1 uncommitted change": func(dir string) { write(t, filepath.Join(dir, "new"), "x") },
		"is not pushed": func(dir string) {
			run(t, dir, "checkout", "--quiet", "-b", "other")
			run(t, dir, "commit", "--quiet", "--allow-empty", "-m", "mine")
			run(t, dir, "checkout", "--quiet", "main")
		},
		"a stash": func(dir string) {
			write(t, filepath.Join(dir, "go.mod"), "x")
			run(t, dir, "stash", "--quiet")
		},
		"can't be told": func(dir string) { write(t, filepath.Join(dir, ".git/HEAD"), "none") },
	} {
		c, err := d.open(t).Checkout(t.Context(), "tea", "")
		if err != nil {
			t.Fatal(err)
		}
		work(c.Dir)
		if _, err := d.open(t).Checkin(t.Context(), "tea", false, false); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := os.Stat(c.Dir); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := d.open(t).Checkin(t.Context(), "tea", true, false); err != nil {
			t.Errorf("%s, by force: %v", name, err)
		}
	}
	mine := t.TempDir()
	write(t, filepath.Join(mine, "x"), "x")
	run(t, tm.work, "init", "--quiet", mine)
	write(t, filepath.Join(d.dir, CheckoutsDir, overridesName), "tea "+mine+"\n")
	if _, err := d.open(t).Checkin(t.Context(), "tea", true, false); err == nil {
		t.Error("a directory that no checkout made is removed")
	}
	if _, err := os.Stat(filepath.Join(mine, "x")); err != nil {
		t.Error(err)
	}
}

// The source of what is deployed is the commit's files and nothing else, whatever the user's git is told, whatever attributes say, and
// also when its branch was moved back meanwhile.
func TestSourceIsTheCommits(t *testing.T) {
	files := build("tea")
	files[".gitattributes"], files["text"], files["ignored"], files[".gitignore"] = "* text eol=crlf ident export-ignore\n", "one $Id$\n", "x", "ignored\n"
	tm := newTeam(t, "tea", files)
	if err := os.Symlink("../../../etc/passwd", filepath.Join(tm.work, "link")); err != nil {
		t.Fatal(err)
	}
	tm.git(t, "add", "--force", "ignored", "link")
	commit := tm.commit(t, nil)
	tm.git(t, "update-index", "--add", "--cacheinfo", "160000,"+commit+",sub")
	tm.git(t, "commit", "--quiet", "-m", "sub")
	tm.git(t, "push", "--quiet", tm.bare, "HEAD:main")
	commit = tm.git(t, "rev-parse", "HEAD")
	tm.commit(t, map[string]string{"later": "x"})
	config := filepath.Join(t.TempDir(), "config")
	write(t, config, "[core]\n\tautocrlf = true\n\tfileMode = false\n")
	t.Setenv("GIT_CONFIG_GLOBAL", config)

	o := Origin{Function: "tea", Remote: tm.bare, Commit: commit}
	fetch := func(o Origin) (*Source, error) {
		t.Helper()
		dir := filepath.Join(t.TempDir(), "source")
		s, err := o.Fetch(t.Context(), dir, "", t.TempDir(), func(string) {})
		if _, stat := os.Lstat(dir); (err == nil) != (stat == nil) {
			t.Errorf("%v, and %v", err, stat)
		}
		if left, _ := filepath.Glob(filepath.Join(filepath.Dir(dir), ".source-*")); left != nil {
			t.Errorf("left: %q", left)
		}
		return s, err
	}
	for _, moved := range []bool{false, true} {
		if moved { // and servers of the kind that give out any commit
			run(t, tm.bare, "--git-dir="+tm.bare, "--work-tree="+tm.bare, "config", "uploadpack.allowAnySHA1InWant", "true")
			tm.git(t, "push", "--quiet", "--force", tm.bare, commit+"~2:main")
		}
		s, err := fetch(o)
		if err != nil {
			t.Fatal(err)
		}
		if want := tm.git(t, "rev-parse", commit+"^{tree}"); s.Tree != want || s.Files != 8 {
			t.Errorf("%+v, want %s", s, want)
		}
		if text, err := os.ReadFile(filepath.Join(s.Dir, "text")); err != nil || string(text) != "one $Id$\n" {
			t.Errorf("%q, %v", text, err)
		}
		for _, not := range []string{"later", ".git"} {
			if _, err := os.Lstat(filepath.Join(s.Dir, not)); err == nil {
				t.Errorf("there is a %s", not)
			}
		}
	}
	for _, bad := range []Origin{
		{Function: "tea", Remote: tm.bare, Commit: strings.Repeat("1", 40)},
		{Function: "tea", Remote: tm.bare, Commit: "main"},
		{Function: "tea", Remote: "ext::sh -c true", Commit: commit},
		{Function: "tea", Remote: "--upload-pack=true", Commit: commit},
		{Function: "tea", Remote: "//tea", Commit: commit},
	} {
		if s, err := fetch(bad); err == nil {
			t.Errorf("%+v: %+v", bad, s)
		}
	}
}
