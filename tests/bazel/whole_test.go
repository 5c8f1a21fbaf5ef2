//go:build integration

package bazel

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// idsFiles are a team's repository whose function takes part of three third-party modules. Of go-colorable, a file that is built
// everywhere but for Windows imports another one.
func idsFiles(sdk string) map[string]string {
	return map[string]string{
		"go.mod": "module functions.example/ids\n\ngo 1.26\n\nrequire (\n\tgithub.com/google/uuid v1.6.0\n" +
			"\tgithub.com/mattn/go-colorable v0.1.15\n)\n\n" +
			"require (\n\t" + sdk + " v0.0.0\n\tgithub.com/mattn/go-isatty v0.0.22 // indirect\n\tgolang.org/x/sys v0.50.0 // indirect\n)\n",
		"go.sum": uuidSum + "github.com/mattn/go-colorable v0.1.15 h1:+u9SLTRGnXv73cEsnsmoZBom+dMU88B2M0aDcWy0/jY=\n" +
			"github.com/mattn/go-isatty v0.0.22 h1:j8l17JJ9i6VGPUFUYoTUKPSgKe/83EYU2zBC7YNKMw4=\n" +
			"golang.org/x/sys v0.50.0 h1:dkKZEFTEKaLr1sjhs0WiKqoi8Jj5nHbS3Njmx1UoMJs=\n",
		"ids.hcl": "function \"ids\" {\n  description = \"The identifier of a name\"\n  runtime     = \"wasm\"\n\n" +
			"  call {\n    timeout = \"10s\"\n  }\n\n  ingress {\n    http = true\n    auth = \"signed\"\n  }\n}\n",
		"ids.go": "// Package ids is the API of the function \"ids\".\npackage ids\n\nimport \"" + sdk + "\"\n\n" +
			"type Request struct {\n\tName string `json:\"name\"`\n}\n\ntype Reply struct {\n\tID string `json:\"id\"`\n}\n\n" +
			"var Of = sdk.Define[Request, Reply](\"ids\")\n",
		"function/main.go": "package main\n\nimport (\n\t\"bytes\"\n\t\"context\"\n\n\t\"" + sdk + "\"\n\t\"functions.example/ids\"\n" +
			"\t\"github.com/google/uuid\"\n\t\"github.com/mattn/go-colorable\"\n)\n\nfunc init() { sdk.Handle(ids.Of, of) }\n\n" +
			"func main() { sdk.Main() }\n\nfunc of(_ context.Context, r ids.Request) (ids.Reply, error) {\n\tvar b bytes.Buffer\n" +
			"\tcolorable.NewNonColorable(&b).Write([]byte(uuid.NewSHA1(uuid.NameSpaceDNS, []byte(r.Name)).String()))\n" +
			"\treturn ids.Reply{ID: b.String()}, nil\n}\n",
		"BUILD.bazel": `load("@countersign//bazel:function.bzl", "countersign_function")
load("@io_bazel_rules_go//go:def.bzl", "go_library")

go_library(
    name = "api",
    srcs = ["ids.go"],
    importpath = "functions.example/ids",
    visibility = ["//visibility:public"],
    deps = ["@countersign//sdk"],
)

countersign_function(
    name = "ids",
    deps = [
        ":api",
        "@countersign//sdk",
        "@go_modules//github.com/google/uuid",
        "@go_modules//github.com/mattn/go-colorable",
    ],
)
`,
	}
}

// From an empty directory to the first verified call, as docs/deployment-repository.md tells it: init, pin, cluster, deploy, call.
// Countersign is a git repository that nothing but its URL is known of, the example is one of a team's, and another team brings
// third-party Go modules with nothing but its go.mod and go.sum.
func TestFromInitToACall(t *testing.T) {
	root := checkout(t)
	bin := os.Getenv("COUNTERSIGN_BIN")
	if bin == "" {
		bin = filepath.Join(root, "bin")
	}
	cli := filepath.Join(bin, "countersign")
	source := filepath.Join(t.TempDir(), "countersign")
	copyTo(t, root, source)
	commitAll(t, source)

	dir := filepath.Join(t.TempDir(), "deployment")
	command(t, t.TempDir(), cli, "init", "-from", "file://"+source, dir)
	base, _ := keep(t, "deployment-test", 0) // to fetch and build all of Countersign anew takes minutes
	w := workspace{dir: dir, outputBase: base}
	t.Cleanup(func() {
		exec.Command("bash", "-c", `cd "$1" && exec bazel --output_base="$2" shutdown`, "-", dir, w.outputBase).Run()
	})

	sdk := strings.Fields(read(t, filepath.Join(root, "sdk/go.mod")))[1]
	ids := filepath.Join(t.TempDir(), "ids")
	for name, content := range idsFiles(sdk) {
		write(t, filepath.Join(ids, name), content, 0o644)
	}
	thumbnail := filepath.Join(root, ".repos/thumbnail")
	entry := "    %q: {\n        \"commit\": %q,\n        \"remote\": %q,\n    },\n"
	write(t, filepath.Join(dir, "repos.bzl"), "FUNCTIONS = {\n"+fmt.Sprintf(entry, "ids", commitAll(t, ids), ids)+
		fmt.Sprintf(entry, "thumbnail", team{dir: thumbnail}.git(t, "rev-parse", "HEAD"), "file://"+thumbnail)+"}\n", 0o644)

	command(t, dir, cli, "cluster", "up")
	t.Cleanup(func() {
		if out, err := exec.Command(cli, "cluster", "down", "-dir", filepath.Join(dir, ".cluster"), "-purge").CombinedOutput(); err != nil {
			t.Errorf("cluster down: %v\n%s", err, out)
		}
	})
	// As a user does in a shell.
	sh := func(script string) string {
		return command(t, dir, "bash", "-c", "set -e; source .cluster/env; "+script, "-", w.outputBase, cli)
	}
	out := sh(`bazel --output_base="$1" run //:deploy -- -env environments/dev.hcl`)
	if !strings.Contains(out, "Deployed to dev: 2 changed") {
		t.Errorf("the deploy says\n%s", out)
	}
	if got, want := strings.TrimSpace(sh(`"$2" call ids '{"name":"example.com"}'`)), `{"id":"cfbff0d1-9375-5685-968c-48ce8b15ae17"}`; got != want {
		t.Errorf("ids returns %s, want %s", got, want)
	}
	if got := sh(`"$2" verify thumbnail`); !strings.Contains(got, "file://"+thumbnail) {
		t.Errorf("verify does not name where thumbnail is from:\n%s", got)
	}
	if _, err := os.Stat(filepath.Join(dir, "jobs/ids.nomad.hcl")); err != nil {
		t.Error(err)
	}
	if got := sh(`bazel --output_base="$1" run //:deploy -- -env environments/dev.hcl`); !strings.Contains(got, "Nothing to do") {
		t.Errorf("again, it says\n%s", got)
	}
}
