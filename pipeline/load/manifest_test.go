package load

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodFunction = `{"name":"quote","target":"@quote//:quote","runtime":"wasm","wasm":"quote/quote.wasm",` +
	`"spec":"quote/function.hcl","repository":"https://git.example/quote.git",` +
	`"commit":"0123456789abcdef0123456789abcdef01234567","ref":"refs/heads/main"}`

func TestParseManifest(t *testing.T) {
	list := func(functions ...string) string { return `{"functions":[` + strings.Join(functions, ",") + `]}` }
	edit := func(old, new string) string { return list(strings.Replace(goodFunction, old, new, 1)) }
	for _, tc := range []struct{ name, manifest, want string }{
		{"good", list(goodFunction), ""},
		{"native", edit(`"runtime":"wasm"`, `"runtime":"native","native":{"linux/amd64":"a","linux/arm64":"b"}`), ""},
		{"not JSON", "{", "parse JSON"},
		{"more than one value", list(goodFunction) + "{}", "something follows"},
		{"unknown member", `{"functions":[],"x":1}`, "unknown field"},
		{"no function", list(), "lists no function"},
		{"twice", list(goodFunction, goodFunction), "listed twice"},
		{"name with a slash", edit(`"quote"`, `"../quote"`), "DNS label"},
		{"name too long", edit(`"quote"`, `"`+strings.Repeat("q", 64)+`"`), "DNS label"},
		{"name ends in a dash", edit(`"quote"`, `"quote-"`), "DNS label"},
		{"runtime", edit(`"wasm"`, `"jvm"`), "neither"},
		{"no module", edit(`"wasm":"quote/quote.wasm",`, ``), `needs a module`},
		{"native without executables", edit(`"runtime":"wasm"`, `"runtime":"native"`), "needs executables"},
		{"platform", edit(`"runtime":"wasm"`, `"runtime":"native","native":{"plan9/386":"a"}`), "platform"},
		{"no spec", edit(`"spec":"quote/function.hcl",`, ``), `"spec" is missing`},
		{"commit", edit(`0123456789abcdef0123456789abcdef01234567`, `main`), "commit"},
		{"no ref", edit(`,"ref":"refs/heads/main"`, ``), `"ref" is missing`},
		{"ref of a pull request", edit(`refs/heads/main`, `refs/pull/1/head`), "branch or tag"},
		{"ref with an option", edit(`refs/heads/main`, `--upload-pack=x`), "branch or tag"},
		{"repository that a job would interpolate", edit(`git.example`, `${env.SECRET}`), "repository"},
		{"repository of two lines", edit(`git.example`, `a\nb`), "repository"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := parseManifest([]byte(tc.manifest))
			if tc.want == "" && err != nil {
				t.Fatalf("refused: %v", err)
			}
			if tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)) {
				t.Errorf("error = %v, want one with %q", err, tc.want)
			}
		})
	}
}

func TestManifestTellsAllAtOnce(t *testing.T) {
	_, err := parseManifest([]byte(`{"functions":[{"name":"A"},{"name":"b","runtime":"wasm"}]}`))
	for _, want := range []string{`"A"`, "neither", `"b"`, `"target" is missing`, `commit ""`, "needs a module"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error does not tell %q: %v", want, err)
		}
	}
}

// A team's action can make a link where a file is meant, and what reads the manifest can read more than an action.
func TestReadManifestRefusesLinksElsewhere(t *testing.T) {
	dir := t.TempDir()
	bin := filepath.Join(dir, "base/execroot/main/bazel-out/k8-fastbuild/bin")
	runfiles := filepath.Join(bin, "deploy.runfiles")
	secret := filepath.Join(dir, "home/token")
	for _, file := range []string{
		secret, filepath.Join(bin, "external/quote/built.wasm"), filepath.Join(dir, "base/external/quote/function.hcl"),
		filepath.Join(dir, "base/server/password"), filepath.Join(dir, "base-of-another/x"),
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(file), 0o755), os.WriteFile(file, nil, 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	link := func(target, path string) {
		t.Helper()
		os.Remove(path)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.Symlink(target, path)); err != nil {
			t.Fatal(err)
		}
	}
	manifest := filepath.Join(runfiles, "main/deploy.json")
	if err := os.WriteFile(filepath.Join(bin, "deploy.json"), fmt.Appendf(nil, `{"functions":[%s]}`, goodFunction), 0o644); err != nil {
		t.Fatal(err)
	}
	link(filepath.Join(bin, "deploy.json"), manifest)
	link(filepath.Join(dir, "base/external/quote/function.hcl"), filepath.Join(runfiles, "quote/function.hcl"))
	out := filepath.Join(bin, "external/quote/quote.wasm")
	link(out, filepath.Join(runfiles, "quote/quote.wasm"))

	link(filepath.Join(bin, "external/quote/built.wasm"), out)
	m, err := ReadManifest(manifest)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Functions[0].Wasm; got != filepath.Join(bin, "external/quote/built.wasm") {
		t.Errorf("the module is %s, not the file that the link leads to", got)
	}
	for _, target := range []string{
		secret, "/proc/self/environ", "../../../../../../../../home/token", filepath.Join(dir, "base/server/password"),
		filepath.Join(dir, "base-of-another/x"),
	} {
		link(target, out)
		if _, err := ReadManifest(manifest); err == nil || !strings.Contains(err.Error(), "neither fetched nor built") {
			t.Errorf("a link to %s: error = %v", target, err)
		}
	}
}

func TestReadManifestFindsFiles(t *testing.T) {
	write := func(t *testing.T, path, content string) string {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for name, tc := range map[string]struct{ manifest, files string }{
		"next to the manifest": {"out/deploy.json", "out"},
		"root of the runfiles": {"deploy.runfiles/main/sub/deploy.json", "deploy.runfiles"},
		"elsewhere":            {"out/deploy.json", "runfiles"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			t.Setenv("RUNFILES_DIR", filepath.Join(dir, "runfiles"))
			file := write(t, filepath.Join(dir, tc.manifest), fmt.Sprintf(`{"functions":[%s]}`, goodFunction))
			if _, err := ReadManifest(file); err == nil || !strings.Contains(err.Error(), "quote/quote.wasm") {
				t.Errorf("without the files: error = %v, want one that names them", err)
			}
			wasm := write(t, filepath.Join(dir, tc.files, "quote/quote.wasm"), "")
			spec := write(t, filepath.Join(dir, tc.files, "quote/function.hcl"), "")
			m, err := ReadManifest(file)
			if err != nil {
				t.Fatal(err)
			}
			if f := m.Functions[0]; f.Wasm != wasm || f.Spec != spec {
				t.Errorf("wasm %s, spec %s; want %s, %s", f.Wasm, f.Spec, wasm, spec)
			}
		})
	}
}
