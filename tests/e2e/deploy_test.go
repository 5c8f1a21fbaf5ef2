//go:build integration

package e2e

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	nomad "github.com/hashicorp/nomad/api"

	"countersign/pipeline"
)

// sources are where the functions of these tests come from: directory of the module and package of the function.
var sources = map[string]struct{ dir, pkg string }{
	"quote":     {"examples/quote", "./function"},
	"tax":       {"examples/tax", "./function"},
	"fx":        {"examples/fx", "./function"},
	"thumbnail": {"examples/thumbnail", "./function"},
	"chaos":     {"tests/functions/chaos", "."},
	"hasher":    {"tests/functions/hasher", "."},
}

// built remembers which modules were compiled in this run.
var built struct {
	sync.Mutex
	wasm map[string]string
}

// wasmOf compiles a function once and returns the module's path.
func wasmOf(t *testing.T, function string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if path := built.wasm[function]; path != "" {
		return path
	}
	source := sources[function]
	path := filepath.Join(scratch, function+".wasm")
	if err := goBuild(t.Context(), filepath.Join(checkout, source.dir), path, source.pkg, "GOOS=wasip1", "GOARCH=wasm"); err != nil {
		t.Fatal(err)
	}
	if built.wasm == nil {
		built.wasm = map[string]string{}
	}
	built.wasm[function] = path
	return path
}

// nativeOf compiles a function as a static executable and returns its path.
func nativeOf(t *testing.T, function string) string {
	t.Helper()
	path := filepath.Join(scratch, function)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, sources[function].pkg)
	cmd.Dir, cmd.Env = filepath.Join(checkout, sources[function].dir), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", function, err, out)
	}
	return path
}

// manifestOf writes the build manifest of functions, as Bazel's deploy rule would.
func manifestOf(t *testing.T, functions ...string) string {
	t.Helper()
	head, err := exec.Command("git", "-C", checkout, "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatalf("git rev-parse HEAD: %v", err)
	}
	var m pipeline.Manifest
	for _, name := range functions {
		dir := filepath.Join(checkout, sources[name].dir)
		f := pipeline.Built{Name: name, Target: "@" + name + "//:" + name, Runtime: "wasm", Wasm: wasmOf(t, name),
			Spec: filepath.Join(dir, name+".hcl"), Repository: "file://" + dir, Commit: strings.TrimSpace(string(head))}
		if name == "hasher" {
			f.Runtime, f.Native = "native", map[string]string{"linux/" + runtime.GOARCH: nativeOf(t, name)}
		}
		m.Functions = append(m.Functions, f)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "manifest.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// changedManifest writes the build manifest of a function whose spec has some text replaced.
func changedManifest(t *testing.T, function, old, replacement string) string {
	t.Helper()
	spec := filepath.Join(checkout, sources[function].dir, function+".hcl")
	src, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	manifest := manifestOf(t, function)
	changed := filepath.Join(filepath.Dir(manifest), function+".hcl")
	if err := os.WriteFile(changed, bytes.Replace(src, []byte(old), []byte(replacement), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(manifest, bytes.Replace(b, []byte(spec), []byte(changed), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	return manifest
}

// deploy deploys functions and fails the test if they do not become healthy. What runs already is left alone.
func deploy(t *testing.T, functions ...string) string {
	t.Helper()
	slices.Sort(functions)
	out, code := command(t, "", "deploy", "-manifest", manifestOf(t, functions...), "-jobs-dir", filepath.Join(scratch, "jobs"))
	if code != 0 {
		t.Fatalf("deploy of %v: exit code %d\n%s", functions, code, out)
	}
	return out
}

// run runs a program with the cluster's environment and returns what it printed and its exit code.
func run(t *testing.T, stdin, program string, args ...string) (string, int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), env.Vars()...)
	cmd.Env = append(cmd.Env, "PATH="+env.BinDir+":"+os.Getenv("PATH"))
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatalf("%s %v: %v", program, args, err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// command runs the countersign command.
func command(t *testing.T, stdin string, args ...string) (string, int) {
	t.Helper()
	return run(t, stdin, cli, args...)
}

// examples are the functions of the demo.
func examples() []string {
	names := slices.Collect(maps.Keys(sources))
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(sources[n].dir, "examples/") })
}

func TestSecondDeployDoesNothing(t *testing.T) {
	deploy(t, examples()...)
	out := deploy(t, examples()...)
	if !strings.Contains(out, "Nothing to do") {
		t.Errorf("the second deploy says:\n%s\nwant that there is nothing to do", out)
	}
}

// TestUpdateIsWhatAnswers deploys a changed spec: when the deploy has ended, no call reaches the version before.
func TestUpdateIsWhatAnswers(t *testing.T) {
	deploy(t, "chaos")
	before := running(t, "chaos").ID
	manifest := changedManifest(t, "chaos", `"2s"`, `"1s"`)
	out, code := command(t, "", "deploy", "-manifest", manifest, "-jobs-dir", filepath.Join(scratch, "jobs"))
	if code != 0 {
		t.Fatalf("deploy: exit code %d\n%s", code, out)
	}
	allocs, _, err := nomadClient(t).Jobs().Allocations("chaos", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range allocs {
		if a.ID == before && a.ClientStatus != nomad.AllocClientStatusComplete {
			t.Errorf("the allocation of the version before is %s; want that it has ended", a.ClientStatus)
		}
	}
	if !answers(t) {
		t.Error("the new version does not answer")
	}
}
