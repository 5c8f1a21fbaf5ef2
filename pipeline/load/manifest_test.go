package load

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const goodFunction = `{"name":"quote","target":"@quote//:quote","runtime":"wasm","wasm":"quote/quote.wasm",` +
	`"spec":"quote/function.hcl","repository":"https://git.example/quote.git",` +
	`"commit":"0123456789abcdef0123456789abcdef01234567"}`

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
