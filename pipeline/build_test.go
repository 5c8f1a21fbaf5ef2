package pipeline

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"oras.land/oras-go/v2/content/oci"

	"countersign/artifact"
	"countersign/pipeline/load"
)

const environment = `environment "dev" {
  registry {
    address = "registry.example:5000"
    prefix  = "functions"
  }
  nomad {
    address = "http://nomad.example:4646"
  }
  consul {
    address = "http://consul.example:8500"
  }
  vault {
    address = "http://vault.example:8200"
  }
}
`

// built writes what a build of functions leaves, each with the functions that it calls, and reads it. The environment is
// that of environmentFile, or one without servers. The modules are no modules: what they would say is in the user's
// cache, as if they had been asked before.
func built(t *testing.T, environmentFile string, callees map[string][]string) (dir string, build *load.Build) {
	t.Helper()
	dir = t.TempDir()
	t.Setenv("XDG_CACHE_HOME", filepath.Join(dir, "cache"))
	var m load.Manifest
	for name, list := range callees {
		module := "\x00asm " + name
		write(t, filepath.Join(dir, "cache/countersign/interfaces", fmt.Sprintf("%x.json", sha256.Sum256([]byte(module)))),
			document(t, name, list...))
		quoted, err := json.Marshal(append([]string{}, list...))
		if err != nil {
			t.Fatal(err)
		}
		m.Functions = append(m.Functions, load.Built{
			Name: name, Target: "@" + name + "//:" + name, Runtime: "wasm",
			Wasm:       write(t, filepath.Join(dir, name+".wasm"), module),
			Spec:       write(t, filepath.Join(dir, name+".hcl"), fmt.Sprintf("function %q {\n  calls = %s\n}\n", name, quoted)),
			Repository: "https://git.example/" + name, Commit: strings.Repeat("1", 40), Ref: "main",
		})
	}
	manifest, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	if environmentFile == "" {
		environmentFile = write(t, filepath.Join(dir, "dev.hcl"), environment)
	}
	build, err = load.Read(write(t, filepath.Join(dir, "manifest.json"), string(manifest)), environmentFile)
	if err != nil {
		t.Fatal(err)
	}
	return dir, build
}

func write(t *testing.T, file, content string) string {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}

// document is the interface document of a function, which calls others like it.
func document(t *testing.T, name string, callees ...string) string {
	t.Helper()
	request, reply := map[string]string{"kind": "string"}, map[string]string{"format": "int64", "kind": "integer"}
	calls := map[string]any{}
	for _, callee := range callees {
		calls[callee] = map[string]any{"request": request, "reply": reply}
	}
	b, err := json.Marshal(map[string]any{"function": name, "calls": calls, "reply": reply, "request": request})
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// directory is a registry on disk: one repository for all functions.
func directory(t *testing.T) func(artifact.Reference) (artifact.Store, error) {
	t.Helper()
	store, err := oci.New(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return func(artifact.Reference) (artifact.Store, error) { return store, nil }
}
