package load

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/hclspec"
)

// A line directive of a team's must not have another file read and shown.
func TestLineDirectiveShowsNoOtherFile(t *testing.T) {
	external := filepath.Join(t.TempDir(), "external")
	secret := filepath.Join(t.TempDir(), "token")
	for file, text := range map[string]string{
		secret:                                strings.Repeat("hvs.SECRET ", 99) + "\n",
		filepath.Join(external, "tax/go.mod"): "module x.example/tax\n",
		filepath.Join(external, "tax/tax.go"): "package tax\nimport \"countersign.internal/sdk\"\nvar Tax = sdk.Define[int, int](\"tax\")\n",
		filepath.Join(external, "m/go.mod"):   "module x.example/m\n",
		filepath.Join(external, "m/m.hcl"):    "function \"m\" {\n}\n",
		filepath.Join(external, "m/m.go"):     "package m\nimport \"countersign.internal/sdk\"\nvar M = sdk.Define[int, int](\"m\")\n",
		filepath.Join(external, "m/function/main.go"): "package main\nimport (\n\"countersign.internal/sdk\"\n\"x.example/m\"\n\"x.example/tax\"\n)\n" +
			"func init() { sdk.Handle(m.M, nil) }\n//line " + secret + ":1\nvar _ = tax.Tax\n",
	} {
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	l := newLoader()
	spec := filepath.Join(external, "m/m.hcl")
	src, err := os.ReadFile(spec)
	if err != nil {
		t.Fatal(err)
	}
	fs, diagnostics := hclspec.ParseFunctions(spec, src)
	if diagnostics.HasErrors() {
		t.Fatal(diagnostics)
	}
	d, err := l.checkFetched(fs[0], spec)
	if err != nil {
		t.Fatal(err)
	}
	if !d.HasErrors() {
		t.Fatal("the call is not found")
	}
	if text := (&DiagnosticsError{d, l.files}).Text(); strings.Contains(text, "SECRET") {
		t.Errorf("shown:\n%s", text)
	}
}
