//go:build integration

package bazel

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const secret = "a token that no build may see"

// secrets puts a secret wherever deployers have theirs, and returns the files.
func secrets(t *testing.T, d *deployment) []string {
	t.Helper()
	home, err := os.UserHomeDir()
	if err != nil {
		t.Fatal(err)
	}
	var files []string
	for _, dir := range []string{home, filepath.Join(home, ".cache"), os.TempDir()} {
		f, err := os.CreateTemp(dir, ".countersign-test-")
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		t.Cleanup(func() { os.Remove(f.Name()) })
		files = append(files, f.Name())
	}
	for _, dir := range []string{"/etc", "/etc/ssl/private", "/var/lib", "/srv", "/opt", "/run"} {
		if f, err := os.CreateTemp(dir, ".countersign-test-"); err == nil { // if the tests are run by root
			f.Close()
			t.Cleanup(func() { os.Remove(f.Name()) })
			files = append(files, f.Name())
		}
	}
	files = append(files, filepath.Join(d.dir, ".cluster/secrets/token"), filepath.Join(d.dir, ".git/config"))
	for _, file := range files {
		write(t, file, secret, 0o600)
	}
	return files
}

// leakRules are rules of a team's that read files: in an action of any kind, and by the server through a link.
const leakRules = `def _reads(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".txt")
    ctx.actions.run_shell(outputs = [out], arguments = [out.path] + ctx.attr.files, mnemonic = ctx.attr.mnemonic,
        command = 'o="$1"; shift; cat "$@" > "$o" 2>/dev/null; true', execution_requirements = ctx.attr.requirements)
    return [DefaultInfo(files = depset([out]))]
reads = rule(implementation = _reads, attrs = {"files": attr.string_list(), "mnemonic": attr.string(),
    "requirements": attr.string_dict()})
def _link(ctx):
    link = ctx.actions.declare_file(ctx.label.name + ".link")
    out = ctx.actions.declare_file(ctx.label.name + ".txt")
    ctx.actions.run_shell(outputs = [link], arguments = [ctx.attr.file, link.path], command = 'ln -s "$1" "$2"')
    ctx.actions.expand_template(template = link, output = out, substitutions = {})
    return [DefaultInfo(files = depset([out]))]
link = rule(implementation = _link, attrs = {"file": attr.string()})
`

// What a team's repository says is run by the build, and nothing that it says shows it the deployer's secrets: no action,
// no action that asks for no sandbox, and no file that the server itself reads through a link.
func TestBuildsSeeNoSecrets(t *testing.T) {
	t.Setenv("VAULT_TOKEN", secret)
	d := newDeployment(t)
	files := secrets(t, d)
	socket := filepath.Join(t.TempDir(), "agent")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	files = append(files, fmt.Sprintf("/proc/%d/environ", os.Getpid()), fmt.Sprintf("/proc/%d/root%s", os.Getpid(), files[0]))

	reading := "set +e; { cat " + strings.Join(files, " ") + " /proc/*/environ; env; ls " + filepath.Dir(socket) + "; " +
		"ls -R " + filepath.Dir(files[0]) + "/.[!c]* /run /home /srv /mnt /var; } > $@ 2>/dev/null; true"
	team := aFunction("quote")
	team["BUILD.bazel"] += `load(":leak.bzl", "link", "reads")
genrule(name = "plain", outs = ["plain.txt"], cmd = """` + reading + `""")
reads(name = "javac", files = FILES, mnemonic = "Javac")
reads(name = "worker", files = FILES, mnemonic = "Javac", requirements = {"supports-workers": "1"})
[link(name = "link%d" % i, file = f) for i, f in enumerate(FILES)]
`
	team["BUILD.bazel"] = strings.ReplaceAll(team["BUILD.bazel"], "FILES", `["`+strings.Join(files, `", "`)+`"]`)
	team["leak.bzl"] = leakRules
	d.commit(t, "quote", team)
	d.deploys(t, "@quote//:quote")
	bin := filepath.Join(d.must(t, "info", "bazel-bin"), "external/quote")
	d.must(t, "build", "@quote//:plain", "@quote//:javac", "@quote//:worker")
	for _, name := range []string{"plain", "javac", "worker"} {
		if got := read(t, filepath.Join(bin, name+".txt")); strings.Contains(got, secret) || strings.Contains(got, "agent") {
			t.Errorf("%s read\n%s", name, got)
		}
	}
	links := []string{"build", "--keep_going"}
	for i := range files {
		links = append(links, fmt.Sprintf("@quote//:link%d", i))
	}
	out, err := d.run(t.Context(), links...)
	if err == nil {
		t.Errorf("links out of the build are built:\n%s", out)
	}
	for i, file := range files {
		name := fmt.Sprintf("link%d", i)
		if got, err := os.ReadFile(filepath.Join(bin, name+".txt")); err == nil {
			t.Errorf("a link to %s was read: %q", file, got)
		}
	}
	for _, tag := range []string{"local", "no-sandbox"} {
		team["BUILD.bazel"] = fmt.Sprintf("genrule(name = \"x\", outs = [\"x.txt\"], cmd = \"echo > $@\", tags = [%q])\n", tag)
		d.commit(t, "quote", team)
		d.deploys(t, "@quote//:quote")
		d.refuses(t, "No usable spawn strategy", "build", "@quote//:x")
	}
}

// Actions of different teams meet nowhere: what one leaves where programs put temporary files, no other finds.
func TestActionsShareNoFiles(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t)
	team := aFunction("quote")
	team["BUILD.bazel"] += `genrule(name = "leaves", outs = ["leaves.txt"], cmd = """
for d in /tmp /scratch /dev/shm /var/tmp ~ $$PWD/../../.. /; do (echo x > $$d/left) 2>/dev/null || true; done
mktemp > $@""")
genrule(name = "finds", srcs = [":leaves.txt"], outs = ["finds.txt"], cmd = """
for d in /tmp /scratch /dev/shm /var/tmp ~ $$PWD/../../.. /; do (ls $$d/left || true) 2>/dev/null; done > $@""")
`
	d.commit(t, "quote", team)
	d.deploys(t, "@quote//:quote")
	d.must(t, "build", "@quote//:finds")
	bin := filepath.Join(d.must(t, "info", "bazel-bin"), "external/quote")
	if got := read(t, filepath.Join(bin, "leaves.txt")); !strings.HasPrefix(got, "/scratch/") {
		t.Errorf("temporary files are in %s", got)
	}
	if got := read(t, filepath.Join(bin, "finds.txt")); got != "" {
		t.Errorf("another action found\n%s", got)
	}
}

// Signing is no part of the build: what `bazel run` runs has the caller's environment and directory, and the secrets.
func TestDeployRunsOutsideOfTheBuild(t *testing.T) {
	t.Setenv("VAULT_TOKEN", secret)
	d := newDeployment(t)
	d.commit(t, "quote", aFunction("quote"))
	d.deploys(t, "@quote//:quote")
	got := d.must(t, "run", "//:deploy", "--", "-canary", "10 %")
	if !strings.HasPrefix(got, d.dir+" "+secret+" deploy --build ") || !strings.HasSuffix(got, " -canary 10 %") {
		t.Errorf("the tool was given %s", got)
	}

	// A server that was started without tools/bazel, which is what an older Bazel would be, deploys nothing.
	if err := os.Remove(filepath.Join(d.dir, "tools/bazel")); err != nil {
		t.Fatal(err)
	}
	d.must(t, "shutdown")
	d.refusesToBuild(t, "the build is not contained", "quote")
	d.refusesToBuild(t, "the build is not contained")
}

// A build sees no path of the machine and has no credentials: what it is to build is brought in first.
func TestRemotesAreFetchedOutside(t *testing.T) {
	t.Parallel()
	d := sharedDeployment(t)
	write(t, filepath.Join(d.dir, "tools/repos"), fmt.Sprintf("#!/bin/sh\ncd %s && exec go run ./tools/gitrepos -root %s \"$@\"\n",
		checkout(t), d.dir), 0o755)
	commit := d.commit(t, "quote", aFunction("quote"))
	remote := filepath.Join(t.TempDir(), "quote")
	if err := os.Rename(filepath.Join(d.dir, ".repos/quote"), remote); err != nil {
		t.Fatal(err)
	}
	d.pin("quote", map[string]string{"remote": strconv.Quote(remote)})
	d.deploys(t, "@quote//:quote")
	m, _ := builds(t, d.open(t))
	if f := m.Functions[0]; f.Commit != commit || f.Repository != remote {
		t.Errorf("the manifest has %+v", f)
	}
}

// A server from before .cluster was made anew would see it.
func TestNewClusterIsHiddenToo(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	file := filepath.Join(d.dir, ".cluster/secrets/token")
	team := aFunction("quote")
	for _, name := range []string{"before", "after", "linked"} {
		team["BUILD.bazel"] += fmt.Sprintf("genrule(name = %q, outs = [\"%s.txt\"], cmd = \"cat %s %s > $@ || true\")\n", name, name,
			file, filepath.Join("/checkout", file))
	}
	d.commit(t, "quote", team)
	d.deploys(t, "@quote//:quote")
	for _, name := range []string{"before", "after", "linked"} {
		if err := os.RemoveAll(filepath.Join(d.dir, ".cluster")); err != nil {
			t.Fatal(err)
		}
		if name == "linked" { // as `countersign cluster up` makes it in a checkout below /tmp
			if err := os.Symlink(t.TempDir(), filepath.Join(d.dir, ".cluster")); err != nil {
				t.Fatal(err)
			}
		}
		write(t, file, secret, 0o600)
		d.must(t, "build", "@quote//:"+name)
		if got := read(t, filepath.Join(d.must(t, "info", "bazel-bin"), "external/quote", name+".txt")); got != "" {
			t.Errorf("%s: read %q", name, got)
		}
	}
}
