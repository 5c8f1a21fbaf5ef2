//go:build integration

package bazel

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	repository "countersign/deployment"
)

// product is a git repository that stands for Countersign's: the real rules and tools/bazel, with a tool and Go rules that do
// nothing, so that a build takes seconds.
func product(t *testing.T) string {
	t.Helper()
	root := checkout(t)
	files := map[string]string{
		"WORKSPACE":    "workspace(name = \"countersign\")\n",
		"BUILD.bazel":  "",
		"go_deps.bzl":  "def go_dependencies():\n    pass\n",
		"sdk/go.mod":   "module countersign.internal/sdk\n",
		"sdk/BUILD":    "",
		"tools/repos":  fmt.Sprintf("#!/bin/sh\ncd %s && exec go run ./tools/gitrepos \"$@\"\n", root),
		"bazel/README": "",
		"bazel/rules.bzl": `load(":repository_rules.bzl", "generated")
def countersign_rules():
    nothing = "def go_library(**_):\n    pass\ndef go_binary(**_):\n    pass\ndef go_test(**_):\n    pass\n"
    generated(name = "io_bazel_rules_go", files = {"go/BUILD.bazel": "", "go/def.bzl": nothing})
    generated(name = "bazel_gazelle_go_repository_tools", files = {"BUILD.bazel": "", "bin/gazelle": ""})
`,
		"bazel/toolchains.bzl": "def countersign_toolchains():\n    pass\n",
		"cmd/countersign/BUILD.bazel": "load(\":tool.bzl\", \"tool\")\n" +
			"tool(name = \"countersign\", visibility = [\"//visibility:public\"])\n",
		"cmd/countersign/tool.bzl": doesNothing,
	}
	for _, name := range rules {
		files["bazel/"+name] = read(t, filepath.Join(root, "bazel", name))
	}
	files["tools/bazel"] = read(t, filepath.Join(root, "tools/bazel"))
	dir := t.TempDir()
	fill(t, dir, files)
	commitAll(t, dir)
	return dir
}

// commitAll commits what is in dir and returns the commit.
func commitAll(t *testing.T, dir string) string {
	t.Helper()
	tm := team{dir: dir}
	tm.git(t, "init", "--quiet")
	tm.git(t, "symbolic-ref", "HEAD", "refs/heads/main")
	tm.git(t, "add", "--all")
	tm.git(t, "commit", "--quiet", "--allow-empty", "-m", "files")
	return tm.git(t, "rev-parse", "HEAD")
}

// initialised is a repository that `countersign init` made, from product.
type initialised struct {
	workspace
	product string
	entries string // of repos.bzl
}

func initialise(t *testing.T) *initialised {
	t.Helper()
	d := &initialised{product: product(t)}
	dir := filepath.Join(t.TempDir(), "deployment")
	if _, err := repository.Init(t.Context(), repository.Options{Dir: dir, Remote: "file://" + d.product}); err != nil {
		t.Fatal(err)
	}
	rc := filepath.Join(dir, ".bazelrc")
	text := read(t, rc)
	for _, line := range []string{"build --@io_bazel_rules_go//go/config:pure\n", "build --disk_cache=~/.cache/bazel-disk\n"} {
		text = strings.ReplaceAll(text, line, "")
	}
	write(t, rc, text, 0o644)
	d.workspace = own(t, dir)
	return d
}

// team makes a team's repository, somewhere, and pins it.
func (d *initialised) team(t *testing.T, name string, files map[string]string) (remote, commit string) {
	t.Helper()
	remote = filepath.Join(t.TempDir(), name)
	for file, content := range files {
		write(t, filepath.Join(remote, file), content, 0o755)
	}
	commit = commitAll(t, remote)
	d.entries += fmt.Sprintf("    %q: {\n        \"commit\": %q,\n        \"remote\": %q,\n    },\n", name, commit, remote)
	write(t, filepath.Join(d.dir, "repos.bzl"), "FUNCTIONS = {\n"+d.entries+"}\n", 0o644)
	return remote, commit
}

// A repository that was made from nothing but a git remote of Countersign builds and deploys its own pins, keeps secrets
// from builds, and takes a newer Countersign when its pin is moved.
func TestDeploymentRepository(t *testing.T) {
	t.Setenv("VAULT_TOKEN", secret)
	d := initialise(t)
	d.refuses(t, "pins no function yet", "build", "//:deploy")

	hidden := []string{filepath.Join(d.dir, ".git/token"), filepath.Join(d.dir, ".cluster/secrets/token")}
	files := aFunction("quote")
	for i, file := range hidden {
		write(t, file, secret, 0o600)
		files["BUILD.bazel"] += fmt.Sprintf("genrule(name = \"leak%d\", outs = [\"leak%d.txt\"], cmd = \"{ cat %s %s; env; } > $@ || true\")\n",
			i, i, file, filepath.Join("/checkout", file))
	}
	remote, commit := d.team(t, "quote", files)
	d.must(t, "build", "//:deploy.quote", "@quote//:leak0", "@quote//:leak1")
	bin := d.must(t, "info", "bazel-bin")
	for i := range hidden {
		if got := read(t, filepath.Join(bin, fmt.Sprintf("external/quote/leak%d.txt", i))); strings.Contains(got, secret) {
			t.Errorf("a build read %s", got)
		}
	}
	var m struct {
		Functions []struct{ Name, Target, Repository, Commit string }
	}
	if err := json.Unmarshal([]byte(read(t, filepath.Join(bin, "deploy.quote.json"))), &m); err != nil {
		t.Fatal(err)
	}
	if got, want := fmt.Sprint(m.Functions), fmt.Sprintf("[{quote @quote//:quote %s %s}]", remote, commit); got != want {
		t.Errorf("the manifest states %s, want %s", got, want)
	}
	// The tool runs outside of the build, with the caller's secrets.
	got := d.must(t, "run", "//:deploy", "--", "-canary", "10 %")
	if !strings.HasPrefix(got, d.dir+" "+secret+" deploy --build ") || !strings.HasSuffix(got, " -canary 10 %") {
		t.Errorf("the tool was given %s", got)
	}

	write(t, filepath.Join(d.product, "cmd/countersign/tool.bzl"), strings.Replace(doesNothing, "$PWD", "newer $COUNTERSIGN_BAZEL_OPTIONS", 1), 0o644)
	newer := commitAll(t, d.product)
	pin := filepath.Join(d.dir, "countersign.bzl")
	old := read(t, pin)
	pins := func(commit string) string {
		return regexp.MustCompile(`"commit": ".*"`).ReplaceAllString(old, `"commit": "`+commit+`"`)
	}
	write(t, pin, pins("main"), 0o644)
	d.refuses(t, "names no full commit", "build", "//:deploy")
	write(t, pin, pins(newer), 0o644)
	if got := d.must(t, "run", "//:deploy"); !strings.HasPrefix(got, "newer ") {
		t.Errorf("with a newer Countersign: %s", got)
	}
	d.bumpAndCheckout(t, remote)
	write(t, pin, pins(strings.Repeat("ab", 20)), 0o644)
	d.refuses(t, "no branch or tag of file://"+d.product+" holds the commit abab", "build", "//:deploy")
	write(t, pin, old, 0o644) // for the end of the server
}

// A team's repository may have a workspace of its own, for its own work. In a deployment nothing in it counts: neither what
// it calls @countersign, nor its settings, nor its tools/bazel.
func TestTeamsOwnWorkspaceCountsForNothing(t *testing.T) {
	t.Parallel()
	d := initialise(t)
	marker := filepath.Join(t.TempDir(), "ran")
	files := aFunction("quote")
	files["WORKSPACE"] = "workspace(name = \"deployment\")\nlocal_repository(name = \"countersign\", path = \"evil\")\n" +
		"local_repository(name = \"tax\", path = \"evil\")\nlocal_repository(name = \"countersign_pinned\", path = \"evil\")\n"
	files["MODULE.bazel"] = "module(name = \"deployment\")\nlocal_path_override(module_name = \"countersign\", path = \"evil\")\n"
	files["evil/WORKSPACE"] = "workspace(name = \"countersign\")\n"
	files["evil/bazel/BUILD.bazel"] = ""
	files["evil/bazel/function.bzl"] = "fail(\"the team's rules were taken\")\n"
	files["evil/bazel/deploy.bzl"] = "fail(\"the team's rules were taken\")\n"
	files[".bazelrc"] = "build --spawn_strategy=local --override_repository=countersign=" + marker + "\n"
	files[".bazelversion"] = "0.0.1\n"
	files["repos.bzl"] = "FUNCTIONS = {\"quote\": {\"commit\": \"" + strings.Repeat("0", 40) + "\", \"remote\": \"https://git.example/x\"}}\n"
	files["tools/bazel"] = "#!/bin/sh\ntouch " + marker + "\n"
	_, commit := d.team(t, "quote", files)
	d.team(t, "tax", aFunction("tax"))
	d.must(t, "build", "//:deploy.quote")
	manifest := read(t, filepath.Join(d.must(t, "info", "bazel-bin"), "deploy.quote.json"))
	if !strings.Contains(manifest, strconv.Quote(commit)) || strings.Contains(manifest, "git.example") {
		t.Errorf("the manifest states %s", manifest)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("the team's tools/bazel ran")
	}
}

// goFiles are a function whose build takes part of a third-party module.
func goFiles(mod, sum string) map[string]string {
	files := aFunction("quote")
	files["BUILD.bazel"] += "alias(name = \"uuid\", actual = \"@go_modules//github.com/google/uuid\")\n"
	files["go.mod"] = "module countersign.example/quote\n\ngo 1.26\n\n" + mod
	files["go.sum"] = sum
	return files
}

const (
	uuidMod = "require github.com/google/uuid v1.6.0\n"
	uuidSum = "github.com/google/uuid v1.6.0 h1:NIvaJDMOsjHA8n1jAhLSgzrAzy1Hgr+hNrb57e+94F0=\n"
)

// What a team's go.mod and go.sum can't have: each is refused by name, before anything of it is built.
func TestGoModulesRefused(t *testing.T) {
	t.Parallel()
	d := initialise(t)
	d.team(t, "tax", with(aFunction("tax"), "go.mod", "module countersign.example/tax\n"))
	dir, entries := "", d.entries
	for _, tc := range []struct{ name, mod, sum, want string }{
		{"replaced by another module", uuidMod + "replace github.com/google/uuid => github.com/evil/uuid v1.6.0\n", uuidSum,
			"replaces github.com/google/uuid by github.com/evil/uuid v1.6.0"},
		{"replaced by another version", uuidMod + "replace github.com/google/uuid v1.6.0 => github.com/google/uuid v1.5.0\n", uuidSum,
			"replaces github.com/google/uuid"},
		{"replaced by a directory", uuidMod + "replace github.com/google/uuid => ../../../etc\n", uuidSum,
			"replaces github.com/google/uuid by the directory ../../../etc"},
		{"another's hash", uuidMod, strings.Replace(uuidSum, "NIva", "AAAA", 1), "what is served is not what the team built with"},
		{"no hash", uuidMod, "", "has no hash of github.com/google/uuid v1.6.0"},
		{"hash of another version", uuidMod, strings.Replace(uuidSum, "v1.6.0", "v1.5.0", 1), "has no hash of"},
		{"hash of go.mod alone", uuidMod, strings.Replace(uuidSum, "v1.6.0 ", "v1.6.0/go.mod ", 1), "has no hash of"},
		{"two hashes", uuidMod, uuidSum + strings.Replace(uuidSum, "NIva", "AAAA", 1), "two hashes of github.com/google/uuid"},
		{"the product's module", "require countersign v1.0.0\n", "countersign v1.0.0 h1:x=\n", "begins with no domain"},
		{"a standard package", "require net/http v1.0.0\n", "net/http v1.0.0 h1:x=\n", "begins with no domain"},
		{"no module path", "require example.com/-x/.y v1.0.0\n", "", "no module path"},
		{"a version that leads elsewhere", "require example.com/x v1.0.0/../../y\n", "", `version "v1.0.0/../../y" invalid`},
		{"huge go.sum", uuidMod, strings.Repeat(uuidSum, 60000), "at most 4194304 are read"},
		{"huge go.mod", strings.Repeat("// x\n", 1000000), uuidSum, "at most 4194304 are read"},
		{"very many modules", requireMany(1001), uuidSum, "requires 1001 modules; at most 1000"},
		{"no such module", "require github.com/google/uuid v1.99.0\n", strings.Replace(uuidSum, "v1.6.0", "v1.99.0", 1),
			"fetch github.com/google/uuid v1.99.0"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if dir != "" {
				os.RemoveAll(dir)
			}
			d.entries = entries
			dir, _ = d.team(t, "quote", goFiles(tc.mod, tc.sum))
			d.refuses(t, tc.want, "query", "deps(@quote//:uuid)")
		})
	}
	// The SDK and pinned teams are no third-party modules: nothing of them is fetched.
	d.entries = entries
	d.team(t, "quote", goFiles("require (\n\tcountersign.internal/sdk v0.0.0\n\tcountersign.example/tax v0.0.0\n)\n"+
		"replace countersign.example/tax => ../tax\n", ""))
	d.refuses(t, "no such package '@quote.go_modules//github.com/google/uuid'", "query", "deps(@quote//:uuid)")
	// Another module of a pin's name is not the pin's.
	d.entries = entries
	d.team(t, "quote", goFiles("require evil.example/tax v0.0.0\n", ""))
	d.refuses(t, "has no hash of evil.example/tax v0.0.0", "query", "deps(@quote//:uuid)")
}

func requireMany(n int) string {
	var b strings.Builder
	b.WriteString("require (\n")
	for i := range n {
		fmt.Fprintf(&b, "\texample.com/m%d v1.0.0\n", i)
	}
	return b.String() + ")\n"
}
