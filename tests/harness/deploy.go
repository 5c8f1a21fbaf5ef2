//go:build integration

package harness

import (
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"

	"countersign/pipeline/load"
)

// sources are where functions come from: directory of the module and package of the function.
var sources = map[string]struct{ dir, pkg string }{
	"quote":     {"examples/quote", "./function"},
	"tax":       {"examples/tax", "./function"},
	"fx":        {"examples/fx", "./function"},
	"thumbnail": {"examples/thumbnail", "./function"},
	"chaos":     {"tests/functions/chaos", "."},
	"hasher":    {"tests/functions/hasher", "."},
	"fetcher":   {"tests/functions/fetcher", "."},
}

// Examples are the functions of the demo.
func Examples() []string {
	names := slices.Sorted(maps.Keys(sources))
	return slices.DeleteFunc(names, func(n string) bool { return !strings.HasPrefix(sources[n].dir, "examples/") })
}

// Edit changes the spec of a function before it is deployed.
type Edit func(function, spec string) string

// SpecPath returns the file of a function's spec.
func (r *Run) SpecPath(function string) string {
	return filepath.Join(r.Checkout, sources[function].dir, function+".hcl")
}

// JobFile returns where the rendered job of a function is.
func (r *Run) JobFile(function string) string {
	return filepath.Join(r.Scratch, "jobs", function+".nomad.hcl")
}

// WasmOf compiles a function once and returns the module's path.
func (r *Run) WasmOf(t testing.TB, function string) string {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if path := r.wasm[function]; path != "" {
		return path
	}
	source := sources[function]
	path := filepath.Join(r.Scratch, function+".wasm")
	if err := r.build(t.Context(), filepath.Join(r.Checkout, source.dir), path, source.pkg, "GOOS=wasip1", "GOARCH=wasm"); err != nil {
		t.Fatal(err)
	}
	r.wasm[function] = path
	return path
}

// Change changes what is deployed of a function until restore is called: it compiles it with changes of its source, each
// an old text and a new one, by the file's name in the function's repository.
func (r *Run) Change(t testing.TB, function string, files map[string][2]string) (restore func()) {
	t.Helper()
	source, dir := sources[function], t.TempDir()
	replace := map[string]string{}
	for file, change := range files {
		path := filepath.Join(r.Checkout, source.dir, file)
		src, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(src), change[0]) != 1 {
			t.Fatalf("%s does not hold %q once", path, change[0])
		}
		replace[path] = filepath.Join(dir, strings.ReplaceAll(file, "/", "-"))
		if err := os.WriteFile(replace[path], []byte(strings.Replace(string(src), change[0], change[1], 1)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	file, out := filepath.Join(dir, "overlay.json"), filepath.Join(dir, function+".wasm")
	if err := os.WriteFile(file, overlay, 0o600); err != nil {
		t.Fatal(err)
	}
	flags := strings.TrimSpace(os.Getenv("GOFLAGS") + " -overlay=" + file)
	if err := r.build(t.Context(), filepath.Join(r.Checkout, source.dir), out, source.pkg, "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS="+flags); err != nil {
		t.Fatal(err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	before := r.wasm[function]
	r.wasm[function] = out
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.wasm[function] = before
	}
}

// TryDeploy deploys functions and returns what the command printed and its exit code.
func (r *Run) TryDeploy(t testing.TB, functions []string, flags ...string) (string, int) {
	t.Helper()
	args := append([]string{"deploy", "-manifest", r.Manifest(t, nil, functions...), "-jobs-dir", filepath.Join(r.Scratch, "jobs")}, flags...)
	return r.Command(t, "", args...)
}

// nativeOf compiles a function as a static executable and returns its path.
func (r *Run) nativeOf(t testing.TB, function string) string {
	t.Helper()
	path := filepath.Join(r.Scratch, function)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, sources[function].pkg)
	cmd.Dir, cmd.Env = filepath.Join(r.Checkout, sources[function].dir), append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", function, err, out)
	}
	return path
}

// nativeRuntime is what a spec has whose function is native.
var nativeRuntime = regexp.MustCompile(`(?m)^\s*runtime\s*=\s*"native"`)

// Manifest writes the build manifest of functions, as Bazel's deploy rule would. edit may be nil.
func (r *Run) Manifest(t testing.TB, edit Edit, functions ...string) string {
	t.Helper()
	head, err := exec.Command("git", "-C", r.Checkout, "rev-parse", "HEAD").Output()
	if err != nil {
		t.Fatalf("git rev-parse HEAD: %v", err)
	}
	dir := t.TempDir()
	var m load.Manifest
	for _, name := range functions {
		f := load.Built{Name: name, Target: "@" + name + "//:" + name, Runtime: "wasm", Wasm: r.WasmOf(t, name),
			Spec: r.SpecPath(name), Repository: "//" + sources[name].dir, Commit: strings.TrimSpace(string(head)), Ref: "HEAD"}
		if edit != nil {
			f.Spec = edited(t, dir, name, f.Spec, edit)
		}
		if spec, err := os.ReadFile(f.Spec); err != nil {
			t.Fatal(err)
		} else if nativeRuntime.Match(spec) {
			f.Runtime, f.Native = "native", map[string]string{"linux/" + runtime.GOARCH: r.nativeOf(t, name)}
		}
		m.Functions = append(m.Functions, f)
	}
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "manifest.json")
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// edited writes a changed copy of a spec and returns its path.
func edited(t testing.TB, dir, function, spec string, edit Edit) string {
	t.Helper()
	src, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, function+".hcl")
	if err := os.WriteFile(path, []byte(edit(function, string(src))), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Deploy deploys functions and fails the test if they do not become healthy. What runs already is left alone.
func (r *Run) Deploy(t testing.TB, functions ...string) string {
	t.Helper()
	return r.DeployEdited(t, nil, functions)
}

// DeployEdited deploys functions with changed specs, and with further flags of the command.
func (r *Run) DeployEdited(t testing.TB, edit Edit, functions []string, flags ...string) string {
	t.Helper()
	functions = slices.Sorted(slices.Values(functions))
	args := append([]string{"deploy", "-manifest", r.Manifest(t, edit, functions...), "-jobs-dir", filepath.Join(r.Scratch, "jobs")}, flags...)
	out, code := r.Command(t, "", args...)
	if code != 0 {
		t.Fatalf("deploy of %v: exit code %d\n%s", functions, code, out)
	}
	return out
}
