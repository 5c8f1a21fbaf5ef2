// Package modules tests a clone of a team's repository on a machine that has nothing but Go and git: no checkout beside it,
// empty caches, and the modules that `countersign modproxy` serves.
package modules

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// deployment makes the git repositories of the examples and of the SDK in a directory of their own. That fails if the pins in
// repos.bzl, or what go.mod and go.sum of an example say, are not what is in this checkout.
func deployment(t *testing.T) (dir string) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	dir = t.TempDir()
	for _, name := range []string{"examples", "sdk"} {
		if err := os.CopyFS(filepath.Join(dir, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	pins, err := os.ReadFile(filepath.Join(root, "repos.bzl"))
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "repos.bzl"), pins, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	run(t, root, nil, "go", "run", "./tools/gitrepos", "-root", dir)
	return dir
}

func run(t *testing.T, dir string, env []string, command ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), command[0], command[1:]...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(command, " "), err, out)
	}
	return string(out)
}

// laptop is an environment with nothing in it.
func laptop(t *testing.T) []string {
	t.Helper()
	home := t.TempDir()
	setting := func(name string) string {
		return name + "=" + strings.TrimSpace(run(t, ".", nil, "go", "env", name))
	}
	return []string{setting("GOPROXY"), setting("GOSUMDB"), setting("GOCACHE"), // what is compiled is kept, not what is fetched; with -trimpath, wherever it was
		"HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(home, "cache"), "GOMODCACHE=" + filepath.Join(home, "mod"), "GOPATH=" + filepath.Join(home, "go"),
		"GOENV=off", "GOWORK=", "GOFLAGS=-modcacherw -trimpath", "GOPRIVATE=", "GONOSUMDB=", "GONOPROXY=", "GIT_CONFIG_GLOBAL=/dev/null"}
}

func TestACloneWorksWithPlainGo(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(t.TempDir(), "countersign")
	run(t, root, nil, "go", "build", "-o", bin, "./cmd/countersign")
	pins := deployment(t)
	env := append(laptop(t), "GIT_AUTHOR_NAME=t", "GIT_AUTHOR_EMAIL=t@t.example", "GIT_COMMITTER_NAME=t", "GIT_COMMITTER_EMAIL=t@t.example")
	proxied := func(dir string, command ...string) string {
		t.Helper()
		return run(t, dir, env, append([]string{bin, "modproxy", "-repos", pins, "--"}, command...)...)
	}

	for _, name := range []string{"quote", "tax", "fx", "thumbnail"} {
		clone := filepath.Join(t.TempDir(), name)
		run(t, ".", env, "git", "clone", "--quiet", filepath.Join(pins, ".repos", name), clone)
		proxied(clone, "go", "test", "./...")
		proxied(clone, "go", "vet", "./...")
		proxied(clone, "go", "mod", "tidy")
		proxied(clone, "go", "mod", "verify")
		if diff := run(t, clone, env, "git", "status", "--porcelain"); diff != "" {
			t.Errorf("go mod tidy in %s changed\n%s", name, diff)
		}
	}

	// A new repository, which calls a function of another team's.
	greet := filepath.Join(t.TempDir(), "greet")
	run(t, ".", env, bin, "new", "-repos", pins, "-dir", greet, "greet")
	proxied(greet, "go", "test", "./...")
	run(t, greet, env, "git", "add", ".")
	run(t, greet, env, "git", "commit", "--quiet", "-m", "greet")
	proxied(greet, "go", "mod", "tidy")
	if diff := run(t, greet, env, "git", "status", "--porcelain"); diff != "" {
		t.Errorf("go mod tidy in what `countersign new` made changed\n%s", diff)
	}
	proxied(greet, "go", "get", "countersign.example/tax@pinned")
	caller := "package main\n\nimport \"countersign.example/tax\"\n\nvar _ = tax.Rate\n"
	if err := os.WriteFile(filepath.Join(greet, "function", "tax.go"), []byte(caller), 0o600); err != nil {
		t.Fatal(err)
	}
	proxied(greet, "go", "mod", "tidy")
	proxied(greet, "go", "test", "./...")
	proxied(greet, "env", "GOOS=wasip1", "GOARCH=wasm", "go", "build", "-buildmode=c-shared", "-o", filepath.Join(t.TempDir(), "greet.wasm"), "./function")

	// The proxies that the machine has anyway serve the rest.
	if proxy := run(t, ".", nil, "go", "env", "GOPROXY"); strings.HasPrefix(proxy, "off") {
		t.Log("no proxy for modules of others: GOPROXY is", proxy)
	} else {
		proxied(greet, "go", "get", "golang.org/x/sync@v0.25.0")
	}

	// What a team pins may not be swapped under a version that go.sum knows.
	sums := filepath.Join(greet, "go.sum")
	text, err := os.ReadFile(sums)
	if err != nil {
		t.Fatal(err)
	}
	wrong := strings.Replace(string(text), " h1:", " h1:AAAA", 1)
	if err := os.WriteFile(sums, []byte(wrong), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "modproxy", "-repos", pins, "--", "go", "mod", "download")
	cmd.Dir, cmd.Env = greet, append(os.Environ(), append(env, "GOMODCACHE="+filepath.Join(t.TempDir(), "mod"))...)
	if out, err := cmd.CombinedOutput(); err == nil {
		t.Errorf("go took a module that is not what go.sum says\n%s", out)
	}
}
