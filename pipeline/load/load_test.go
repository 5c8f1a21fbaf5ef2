package load

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const (
	taxSpec = `function "tax" {
}
`
	quoteSpec = `function "quote" {
  calls = ["tax"]
}
`
	devEnvironment = `environment "dev" {
  registry {
    address = "registry.example:5000"
    prefix  = "functions"
  }
  nomad {
    address = env.TEST_NOMAD_ADDR
  }
  consul {
    address = "http://consul.example:8500"
  }
  vault {
    address = "http://vault.example:8200"
  }
}
`
)

// writeBuild writes a build manifest with the specs that it names, and an environment.
func writeBuild(t *testing.T, specs map[string]string, environment string) (manifestFile, environmentFile string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		return file
	}
	var entries []string
	for name, spec := range specs {
		write(name+".wasm", "")
		write(name+".hcl", spec)
		entries = append(entries, fmt.Sprintf(`{"name":%q,"target":"@%s//:%s","runtime":"wasm","wasm":"%s.wasm",`+
			`"spec":"%s.hcl","repository":"https://git.example/%s","commit":"%s","ref":"HEAD"}`,
			name, name, name, name, name, name, strings.Repeat("0", 40)))
	}
	t.Setenv("TEST_NOMAD_ADDR", "http://nomad.example:4646")
	return write("deploy.json", `{"functions":[`+strings.Join(entries, ",")+`]}`), write("dev.hcl", environment)
}

func TestLoad(t *testing.T) {
	loaded, err := Read(writeBuild(t, map[string]string{"tax": taxSpec, "quote": quoteSpec}, devEnvironment))
	if err != nil {
		t.Fatal(err)
	}
	if err := loaded.Check(); err != nil {
		t.Error(err)
	}
	if a := loaded.Environment.Nomad.Address; a != "http://nomad.example:4646" {
		t.Errorf("Nomad's address is %q, not that of the environment variable", a)
	}
	var names []string
	for _, s := range loaded.Sources {
		names = append(names, s.Name)
		if s.Function == nil || s.Function.Name != s.Name || !strings.HasPrefix(s.SpecDigest, "sha256:") {
			t.Errorf("source %s: spec %v, digest %q", s.Name, s.Function, s.SpecDigest)
		}
	}
	if got := strings.Join(names, " "); got != "quote tax" {
		t.Errorf("sources: %s; want quote tax", got)
	}
	if _, err := loaded.Select([]string{"qoute"}); err == nil || !strings.Contains(err.Error(), `did you mean "quote"?`) {
		t.Errorf("unknown name: error = %v, want one that names the nearest", err)
	}
	if got, err := loaded.Select([]string{"tax", "tax"}); err != nil || len(got) != 1 || got[0].Name != "tax" {
		t.Errorf("selected(tax) = %v, %v", got, err)
	}
}

func TestLoadShowsTheLines(t *testing.T) {
	for name, tc := range map[string]struct {
		specs       map[string]string
		environment string
		want        []string
	}{
		"unknown attribute": {
			map[string]string{"tax": "function \"tax\" {\n  colour = \"red\"\n}\n"}, devEnvironment,
			[]string{"tax.hcl", "colour"},
		},
		"environment and spec at once": {
			map[string]string{"tax": "function \"tax\" {\n  colour = \"red\"\n}\n"},
			strings.Replace(devEnvironment, "registry", "registrar", 1), []string{"tax.hcl", "colour", "dev.hcl", "registrar"},
		},
		"not HCL": {map[string]string{"tax": "function {"}, devEnvironment, []string{"tax.hcl"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(writeBuild(t, tc.specs, tc.environment))
			var diagnostics *DiagnosticsError
			if !errors.As(err, &diagnostics) {
				t.Fatalf("error = %v, want a *DiagnosticsError", err)
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message does not show %q:\n%v", want, err)
				}
			}
		})
	}
}

func TestLoadChecksAcrossFunctions(t *testing.T) {
	loaded, err := Read(writeBuild(t, map[string]string{"quote": quoteSpec}, devEnvironment))
	if err != nil {
		t.Fatal(err)
	}
	var diagnostics *DiagnosticsError
	if err := loaded.Check(); !errors.As(err, &diagnostics) || !strings.Contains(err.Error(), "tax") {
		t.Errorf("a call to a function that is nowhere: error = %v, want diagnostics that name it", err)
	}
	if err := loaded.Check("tax"); err != nil {
		t.Errorf("a call to a function that runs already: %v", err)
	}
}

func TestLoadRefusesOtherNamesAndRuntimes(t *testing.T) {
	for name, tc := range map[string]struct{ spec, want string }{
		"another function": {quoteSpec, `no function "tax"`},
		"another target":   {"function \"tax\" {\n  target = \"//vat:tax\"\n}\n", `has target "//vat:tax" in its spec`},
		"another runtime":  {"function \"tax\" {\n  runtime = \"native\"\n}\n", `runtime "native" in its spec`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Read(writeBuild(t, map[string]string{"tax": tc.spec}, devEnvironment))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error = %v, want one with %q", err, tc.want)
			}
		})
	}
	for _, target := range []string{"//:tax", "@tax//:tax"} { // a team need not know by which name it is pinned
		spec := "function \"tax\" {\n  target = \"" + target + "\"\n}\n"
		if _, err := Read(writeBuild(t, map[string]string{"tax": spec}, devEnvironment)); err != nil {
			t.Errorf("target %q: %v", target, err)
		}
	}
	manifest, _ := writeBuild(t, map[string]string{"tax": taxSpec}, devEnvironment)
	if _, err := Read(manifest, ""); err == nil || !strings.Contains(err.Error(), "COUNTERSIGN_ENVIRONMENT") {
		t.Errorf("no environment: error = %v, want one that says how to name it", err)
	}
}
