//go:build integration

package bazel

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"countersign/pipeline/bazel"
	"countersign/pipeline/load"
)

// deployment is a small workspace that deploys: the real rules, tools/bazel and settings, with a tool and Go rules that do
// nothing, so that a build takes seconds.
type deployment struct {
	workspace
	teams map[string]team
}

// team is a repository of functions in a deployment, and its pin.
type team struct {
	dir, commit string
	members     map[string]string // other members of its entry in repos.bzl, as Starlark
}

// rules are the files of bazel/ that a deployment needs besides the Go rules.
var rules = []string{"BUILD.bazel", "bazel4.bzl", "deploy.bzl", "function.bzl", "function_repository.bzl", "go_modules.bzl", "pins.bzl", "repository_rules.bzl"}

// doesNothing is a rule that makes the tool: it prints what it was given.
const doesNothing = `def _impl(ctx):
    tool = ctx.actions.declare_file("countersign")
    ctx.actions.write(tool, "#!/bin/sh\necho \"$PWD $VAULT_TOKEN $*\"\n", is_executable = True)
    return [DefaultInfo(executable = tool)]
tool = rule(implementation = _impl, executable = True)
`

// newDeployment makes a deployment with a server of its own.
func newDeployment(t *testing.T) *deployment {
	t.Helper()
	return &deployment{own(t, scratch(t, deploymentFiles(t))), map[string]team{}}
}

// sharedDeployment makes a deployment whose server others use after it.
func sharedDeployment(t *testing.T) *deployment {
	t.Helper()
	return &deployment{deployments.use(t, deploymentFiles(t)), map[string]team{}}
}

var deployments shared

func deploymentFiles(t *testing.T) map[string]string {
	t.Helper()
	root := checkout(t)
	settings := read(t, filepath.Join(root, ".bazelrc"))
	for _, line := range []string{"build --@io_bazel_rules_go//go/config:pure\n", "build --disk_cache=~/.cache/bazel-disk\n"} {
		settings = strings.ReplaceAll(settings, line, "")
	}
	files := map[string]string{
		".bazelrc": settings,
		"WORKSPACE": `workspace(name = "countersign")
local_repository(name = "io_bazel_rules_go", path = "rules_go")
load("//bazel:bazel4.bzl", "bazel4_repositories")
bazel4_repositories()
load("//:repos.bzl", "function_repositories")
function_repositories()
`,
		"rules_go/WORKSPACE": "", "rules_go/go/BUILD.bazel": "",
		"rules_go/go/def.bzl": "def go_library(**_):\n    pass\ndef go_binary(**_):\n    pass\ndef go_test(**_):\n    pass\n",
		"cmd/countersign/BUILD.bazel": "load(\":tool.bzl\", \"tool\")\n" +
			"tool(name = \"countersign\", visibility = [\"//visibility:public\"])\n",
		"cmd/countersign/tool.bzl": doesNothing,
		"tools/bazel":              read(t, filepath.Join(root, "tools/bazel")),
	}
	for _, name := range rules {
		files["bazel/"+name] = read(t, filepath.Join(root, "bazel", name))
	}
	return files
}

// commit makes, or goes on with, a team's repository, and pins what was committed. A content that begins with "-> " is
// a symbolic link.
func (d *deployment) commit(t *testing.T, name string, files map[string]string) string {
	t.Helper()
	tm := team{dir: filepath.Join(d.dir, ".repos", name)}
	if err := os.RemoveAll(tm.dir); err != nil {
		t.Fatal(err)
	}
	for file, content := range files {
		path := filepath.Join(tm.dir, file)
		target, link := strings.CutPrefix(content, "-> ")
		if !link {
			mode := os.FileMode(0o644)
			if strings.HasPrefix(content, "#!") {
				mode = 0o755
			}
			write(t, path, content, mode)
			continue
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	tm.git(t, "init", "--quiet")
	tm.git(t, "symbolic-ref", "HEAD", "refs/heads/main")
	tm.git(t, "add", "--all")
	tm.git(t, "commit", "--quiet", "-m", "files")
	tm.commit = tm.git(t, "rev-parse", "HEAD")
	d.teams[name] = tm
	return tm.commit
}

func (tm team) git(t *testing.T, args ...string) string {
	t.Helper()
	args = append([]string{"-C", tm.dir, "-c", "user.name=t", "-c", "user.email=t@t.example"}, args...)
	return strings.TrimSpace(command(t, tm.dir, "git", args...))
}

// deploys writes repos.bzl with the teams' pins, and a deploy target of functions.
func (d *deployment) deploys(t *testing.T, functions ...string) {
	t.Helper()
	var entries strings.Builder
	for _, name := range slices.Sorted(maps.Keys(d.teams)) {
		members := map[string]string{"commit": strconv.Quote(d.teams[name].commit), "remote": `"//.repos/` + name + `"`}
		maps.Copy(members, d.teams[name].members)
		fmt.Fprintf(&entries, "    %q: {\n", name)
		for _, member := range slices.Sorted(maps.Keys(members)) {
			fmt.Fprintf(&entries, "        %q: %s,\n", member, members[member])
		}
		entries.WriteString("    },\n")
	}
	write(t, filepath.Join(d.dir, "repos.bzl"), "load(\"//bazel:pins.bzl\", \"declare_pinned\")\nFUNCTIONS = {\n"+entries.String()+
		"}\ndef function_repositories():\n    declare_pinned(FUNCTIONS)\n", 0o644)
	write(t, filepath.Join(d.dir, "BUILD.bazel"), fmt.Sprintf("load(\"//bazel:deploy.bzl\", \"deploy\")\n"+
		"deploy(name = \"deploy\", functions = [\"%s\"])\n", strings.Join(functions, `", "`)), 0o644)
}

// pin changes members of a team's entry in repos.bzl, as Starlark.
func (d *deployment) pin(name string, members map[string]string) {
	tm := d.teams[name]
	tm.members = members
	d.teams[name] = tm
}

// open returns what a deploy has of the workspace. options are those that the user gave to bazel run.
func (d *deployment) open(t *testing.T, options ...string) *bazel.Workspace {
	t.Helper()
	d.must(t, append(append([]string{"build"}, options...), "//:deploy")...)
	return openIn(t, d.workspace, options...)
}

// openIn opens a workspace whose deploy target is built.
func openIn(t *testing.T, w workspace, options ...string) *bazel.Workspace {
	t.Helper()
	vars := map[string]string{
		"BUILD_WORKSPACE_DIRECTORY": w.dir, "COUNTERSIGN_BAZEL_OPTIONS": strings.Join(options, "\n"),
	}
	if w.outputBase != "" {
		vars["COUNTERSIGN_BAZEL_STARTUP"] = "--output_base=" + w.outputBase
	}
	opened, err := bazel.Open(filepath.Join(w.must(t, "info", "bazel-bin"), "deploy.build.json"),
		func(name string) string { return vars[name] })
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

// builds has a deploy build functions, all if none is named, and returns the manifest and what was left behind.
func builds(t *testing.T, w *bazel.Workspace, names ...string) (*load.Manifest, map[string]string) {
	t.Helper()
	m, left, err := w.Build(t.Context(), names, func(string) {})
	if err != nil {
		t.Fatal(err)
	}
	return m, reasons(left)
}

func reasons(left []load.Left) map[string]string {
	all := map[string]string{}
	for _, l := range left {
		all[l.Function] = l.Reason()
	}
	return all
}

// refusesToBuild has a deploy build functions, and wants it to fail and to say why with want.
func (d *deployment) refusesToBuild(t *testing.T, want string, names ...string) string {
	t.Helper()
	return cannotBuild(t, d.open(t), want, names...)
}

func cannotBuild(t *testing.T, w *bazel.Workspace, want string, names ...string) string {
	t.Helper()
	_, _, err := w.Build(t.Context(), names, func(string) {})
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("building %v: %v; want %q", names, err, want)
		return ""
	}
	return err.Error()
}

// aFunction is the BUILD file of a team that makes functions with a rule of its own, and does not run Go.
func aFunction(names ...string) map[string]string {
	build := "load(\":own.bzl\", \"own\")\n"
	for _, name := range names {
		build += fmt.Sprintf("own(name = %q, visibility = [\"//visibility:public\"])\n", name)
	}
	return map[string]string{"BUILD.bazel": build, "module.wasm": "x", "spec.hcl": "function \"x\" {}\n", "own.bzl": ownRule("")}
}

// ownRule is a team's own rule that returns a FunctionInfo. extra are arguments of it.
func ownRule(extra string) string {
	return `load("@countersign//bazel:function.bzl", "FunctionInfo")
def _impl(ctx):
    source = ctx.actions.declare_file(ctx.label.name + ".json")
    ctx.actions.write(source, '{"commit":"` + strings.Repeat("dead", 10) + `","repository":"https://git.example/payments"}\n')
    return [
        FunctionInfo(` + extra + `native = {}, runtime = "wasm", spec = ctx.file.spec, wasm = ctx.file.wasm),
        DefaultInfo(),
    ]
own = rule(implementation = _impl, attrs = {
    "spec": attr.label(default = ":spec.hcl", allow_single_file = True),
    "wasm": attr.label(default = ":module.wasm", allow_single_file = True),
})
`
}
