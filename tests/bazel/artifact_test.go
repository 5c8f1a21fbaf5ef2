//go:build integration

package bazel

import (
	"debug/elf"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// functions are built by the tests: those of the examples' repositories, and one that runs natively.
var functions = []string{
	"@fx//:fx", "@quote//:quote", "@tax//:tax", "@thumbnail//:thumbnail", "//tests/bazel/native",
}

// artifacts are what functions build to, below bazel-bin.
var artifacts = []string{
	"external/fx/fx.wasm",
	"external/quote/quote.wasm",
	"external/tax/tax.wasm",
	"external/thumbnail/thumbnail.wasm",
	"tests/bazel/native/native.wasm",
	"tests/bazel/native/native_linux_amd64_/native_linux_amd64",
	"tests/bazel/native/native_linux_arm64_/native_linux_arm64",
}

// build builds functions and returns the digest of each artifact.
func build(t *testing.T, w workspace, flags ...string) map[string]string {
	t.Helper()
	w.must(t, append(append([]string{"build"}, flags...), functions...)...)
	bin := w.must(t, "info", "bazel-bin")
	digests := map[string]string{}
	for _, a := range artifacts {
		digests[a] = digest(t, filepath.Join(bin, a))
	}
	return digests
}

// What is built from uncommitted files must not be deployed under the pinned commit's name. First of the tests of the checkout:
// tools/bazel starts a server anew that can't see an overridden repository, and all the others can use the one that does.
func TestOverriddenRepositoryIsNotDeployed(t *testing.T) {
	w := ours(t)
	override := "--override_repository=tax=" + filepath.Join(w.dir, "examples/tax")
	w.must(t, "build", override, "//:deploy")
	deploys := openIn(t, w, override)
	cannotBuild(t, deploys, "is not built from a pinned commit", "tax")
	// quote contains code of tax, by its API package.
	cannotBuild(t, deploys, "is not built from a pinned commit", "quote")
	// A rule of fx could depend on tax by a transition, which no query tells.
	cannotBuild(t, deploys, "is not built from a pinned commit", "fx")
}

// Everything is compiled a second time at another place, the standard library included. What was compiled at such places
// has a cache of its own, so that each digest still comes from two compilations when neither had to be done today.
func TestSameDigestsAnywhere(t *testing.T) {
	t.Parallel()
	root := checkout(t)
	here := build(t, ours(t))

	elsewhere := filepath.Join(t.TempDir(), "a-checkout-at-a-path-of-another-length")
	copyTo(t, root, elsewhere)
	makeRepositories(t, elsewhere)
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	there := build(t, own(t, elsewhere), "--disk_cache="+filepath.Join(cache, "bazel/elsewhere"))

	for _, a := range artifacts {
		if here[a] != there[a] {
			t.Errorf("%s: sha256 %s here, %s there", a, here[a], there[a])
		}
	}
}

func TestNativeExecutables(t *testing.T) {
	w := ours(t)
	w.must(t, "build", "//tests/bazel/native")
	dir := filepath.Join(w.must(t, "info", "bazel-bin"), "tests/bazel/native")
	for platform, machine := range map[string]elf.Machine{"amd64": elf.EM_X86_64, "arm64": elf.EM_AARCH64} {
		name := "native_linux_" + platform
		f, err := elf.Open(filepath.Join(dir, name+"_", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Machine != machine {
			t.Errorf("%s is for %v", name, f.Machine)
		}
		for _, p := range f.Progs {
			if p.Type == elf.PT_INTERP || p.Type == elf.PT_DYNAMIC {
				t.Errorf("%s is not static: it has a segment %v", name, p.Type)
			}
		}
		if f.Section(".symtab") != nil || f.Section(".debug_info") != nil {
			t.Errorf("%s holds symbols or debug information", name)
		}
		assertNoPath(t, filepath.Join(dir, name+"_", name), w.dir)
	}
	assertNoPath(t, filepath.Join(dir, "native.wasm"), w.dir)
}

// assertNoPath fails if an artifact holds the path of the checkout that built it.
func assertNoPath(t *testing.T, artifact, path string) {
	t.Helper()
	content, err := os.ReadFile(artifact)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(content), path) {
		t.Errorf("%s contains %s", artifact, path)
	}
}

func TestDeployManifest(t *testing.T) {
	w := ours(t)
	w.must(t, "build", "//:deploy")
	m, left := builds(t, openIn(t, w))
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	var names []string
	for _, f := range m.Functions {
		names = append(names, f.Name)
		head := strings.TrimSpace(command(t, filepath.Join(w.dir, ".repos", f.Name), "git", "rev-parse", "HEAD"))
		if f.Commit != head || f.Repository != "//.repos/"+f.Name || f.Target != "@"+f.Name+"//:"+f.Name {
			t.Errorf("%+v, want commit %s of //.repos/%s", f, head, f.Name)
		}
		if f.Runtime != "wasm" || len(f.Native) != 0 {
			t.Errorf("%s: runtime %s, native %v", f.Name, f.Runtime, f.Native)
		}
		module, err := os.ReadFile(f.Wasm)
		if err != nil || !strings.HasPrefix(string(module), "\x00asm\x01\x00\x00\x00") {
			t.Errorf("%s: %s is no WebAssembly module (%v)", f.Name, f.Wasm, err)
		}
		if _, err := os.Stat(f.Spec); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(names, " "); got != "fx quote tax thumbnail" {
		t.Errorf("the manifest lists %s", got)
	}
}
