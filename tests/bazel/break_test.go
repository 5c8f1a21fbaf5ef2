//go:build integration

package bazel

import (
	"maps"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"countersign/pipeline/load"
)

// compiled is a team whose functions are compiled by a command, from module.wasm as $1 to $2.
func compiled(name, command string, deps ...string) map[string]string {
	return map[string]string{
		"BUILD.bazel": "load(\":own.bzl\", \"own\")\nexports_files([\"module.wasm\"])\n" +
			"own(name = " + strconv.Quote(name) + ", cmd = " + strconv.Quote(command) + ", deps = " + starlark(deps) +
			", visibility = [\"//visibility:public\"])\n",
		"module.wasm": name, "spec.hcl": "function \"" + name + "\" {}\n",
		"own.bzl": `load("@countersign//bazel:function.bzl", "FunctionInfo")
def _impl(ctx):
    out = ctx.actions.declare_file(ctx.label.name + ".wasm")
    ctx.actions.run_shell(outputs = [out], inputs = ctx.files.deps + [ctx.file.wasm], command = ctx.attr.cmd,
        arguments = [ctx.file.wasm.path, out.path], mnemonic = "GoCompilePkg")
    return [FunctionInfo(native = {}, runtime = "wasm", spec = ctx.file.spec, wasm = out), DefaultInfo(files = depset([out]))]
own = rule(implementation = _impl, attrs = {
    "cmd": attr.string(),
    "deps": attr.label_list(allow_files = True),
    "spec": attr.label(default = ":spec.hcl", allow_single_file = True),
    "wasm": attr.label(default = ":module.wasm", allow_single_file = True),
})
`,
	}
}

func starlark(list []string) string {
	quoted := make([]string, len(list))
	for i, s := range list {
		quoted[i] = strconv.Quote(s)
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

func namesIn(m *load.Manifest) string {
	var names []string
	for _, f := range m.Functions {
		names = append(names, f.Name)
	}
	return strings.Join(names, " ")
}

// What one team breaks keeps nobody else's function from going out: a pin that is none, a compile error, a BUILD file that
// can't be read. It is told in a line each, and with what the compiler said.
func TestOneTeamsBreakIsThatTeams(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	const build = "cp $1 $2"
	d.commit(t, "fx", compiled("fx", build))
	d.commit(t, "quote", compiled("quote", build, "@fx//:module.wasm"))
	// What a compiler prints is not believed, whatever it looks like.
	d.commit(t, "party", compiled("party", "echo 'Target //:deploy.party up-to-date:' >&2; echo 'party.go:12:7: undefined: nope' >&2; exit 1"))
	d.commit(t, "guest", compiled("guest", build, "@party//:party"))
	d.commit(t, "typo", with(compiled("typo", build), "BUILD.bazel", "nonsense(\n"))
	d.commit(t, "moved", compiled("moved", build))
	d.pin("moved", map[string]string{"commit": strconv.Quote(strings.Repeat("ab", 20))})
	d.commit(t, "gone", compiled("gone", build))
	d.pin("gone", map[string]string{"remote": strconv.Quote("//.repos/nowhere")})
	all := []string{"fx", "gone", "guest", "moved", "party", "quote", "typo"}
	var labels []string
	for _, name := range all {
		labels = append(labels, "@"+name+"//:"+name)
	}
	d.deploys(t, labels...)
	w := d.open(t)

	m, left := builds(t, w)
	if got := namesIn(m); got != "fx quote" {
		t.Errorf("built: %s; want fx quote", got)
	}
	for name, want := range map[string]string{
		"party": "party.go:12:7: undefined: nope", "guest": "party.go:12:7: undefined: nope",
		"moved": "has no commit abab", "gone": "there is no repository", "typo": "BUILD.bazel:2:1: syntax error",
	} {
		if reason := left[name]; !strings.Contains(reason, want) || strings.Contains(reason, "Traceback") {
			t.Errorf("%s is left behind for %q; want %q", name, reason, want)
		}
		if pin := name == "moved" || name == "gone"; pin && strings.Contains(left[name], "\n") {
			t.Errorf("%s: a pin that can't be fetched is one line, not\n%s", name, left[name])
		}
	}
	if got := strings.Join(slices.Sorted(maps.Keys(left)), " "); got != "gone guest moved party typo" {
		t.Errorf("left behind: %s", got)
	}

	// With names only these are built, and what they need. Nothing of the others is even fetched.
	d.must(t, "clean", "--expunge")
	w = d.open(t)
	if m, left := builds(t, w, "quote"); namesIn(m) != "quote" || len(left) != 0 {
		t.Errorf("built %s, left %v", namesIn(m), left)
	}
	external := filepath.Join(d.must(t, "info", "output_base"), "external")
	for name, want := range map[string]bool{"fx": true, "quote": true, "party": false, "typo": false} {
		if there := len(glob(t, filepath.Join(external, name, "BUILD.bazel"))) > 0; there != want {
			t.Errorf("%s is fetched: %t, want %t", name, there, want)
		}
	}
	cannotBuild(t, w, "undefined: nope", "fx", "party")
	cannotBuild(t, w, "has no commit abab", "moved")
	cannotBuild(t, w, `did you mean "fx"?`, "xf")

	// While something stands in for a repository, nothing is deployed.
	other := filepath.Join(d.dir, ".repos/other")
	for name, content := range compiled("fx", "true") {
		write(t, filepath.Join(other, name), content, 0o644)
	}
	write(t, filepath.Join(other, "WORKSPACE"), "", 0o644)
	w = d.open(t, "--override_repository=fx="+other)
	cannotBuild(t, w, "@fx is not built from a pinned commit", "quote")
	cannotBuild(t, w, "no function can be deployed")

}

func glob(t *testing.T, pattern string) []string {
	t.Helper()
	found, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	return found
}
