package gosource

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// tree writes files below a new directory and returns it.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const api = "package %[1]s\nimport \"countersign.internal/sdk\"\ntype Q struct{}\nvar Do = sdk.Define[Q, Q](%[1]q)\n"

// teams are the modules that the calls of the tests are of.
func teams() map[string]string {
	files := map[string]string{}
	for _, name := range []string{"tax", "fx"} {
		files[name+"/go.mod"] = "module x.example/" + name + "\n"
		files[name+"/api.go"] = fmt.Sprintf(api, name)
	}
	files["quote/go.mod"] = "module x.example/quote\nrequire (\n\tx.example/tax v0.0.0\n\tx.example/fx v0.0.0\n)\n" +
		"replace (\n\tx.example/tax => ../tax\n\tx.example/fx => ../fx\n)\n"
	files["quote/api.go"] = fmt.Sprintf(api, "quote")
	files["quote/function/main.go"] = "package main\nimport (\n\t\"countersign.internal/sdk\"\n\t\"x.example/quote\"\n)\n" +
		"func init() { sdk.Handle(quote.Do, nil) }\nfunc main() {}\n"
	return files
}

func TestCalls(t *testing.T) {
	for name, tc := range map[string]struct {
		files map[string]string // in addition
		want  string            // file:line callee …
	}{
		"none": {},
		"a call": {map[string]string{
			"quote/function/b.go": "package main\nimport \"x.example/tax\"\nfunc f() { tax.Do.Call(nil, tax.Q{}) }\n"}, "b.go:3 tax"},
		"only its types": {map[string]string{
			"quote/function/b.go": "package main\nimport \"x.example/tax\"\nvar q tax.Q\n"}, ""},
		"a name of its own, handed on": {map[string]string{
			"quote/function/b.go": "package main\nimport other \"x.example/fx\"\nvar f = other.Do\n"}, "b.go:3 fx"},
		"in a package that it imports": {map[string]string{
			"quote/function/b.go":    "package main\nimport _ \"x.example/quote/internal/p\"\n",
			"quote/internal/p/p.go":  "package p\nimport \"x.example/tax\"\nfunc F() { tax.Do.Call(nil, tax.Q{}) }\n",
			"quote/internal/q/no.go": "package q\nimport \"x.example/fx\"\nfunc F() { fx.Do.Call(nil, fx.Q{}) }\n"}, "p.go:3 tax"},
		"in a test, or for another platform": {map[string]string{
			"quote/function/b_test.go":  "package main\nimport \"x.example/tax\"\nvar f = tax.Do\n",
			"quote/function/b_linux.go": "package main\nimport \"x.example/tax\"\nvar f = tax.Do\n"}, ""},
		"of itself": {map[string]string{
			"quote/function/b.go": "package main\nimport \"x.example/quote\"\nvar f = quote.Do\n"}, ""},
		"of another function of the repository": {map[string]string{
			"quote/till/main.go": "package main\nimport (\n\"countersign.internal/sdk\"\n\"x.example/fx\"\n)\n" +
				"var Till = sdk.Define[int, int](\"till\")\nfunc init() { sdk.Handle(Till, nil); fx.Do.Call(nil, fx.Q{}) }\n"}, ""},
		"not Go": {map[string]string{"quote/function/b.go": "package main\nfunc {"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			files := teams()
			maps.Copy(files, tc.files)
			dir := tree(t, files)
			for how, find := range map[string]Finder{"beside": Beside(dir), "required": Required(filepath.Join(dir, "quote"))} {
				calls, err := Calls(filepath.Join(dir, "quote"), "quote", find)
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				for _, c := range calls {
					got = append(got, fmt.Sprintf("%s:%d %s", filepath.Base(c.Position.Filename), c.Position.Line, c.Callee))
				}
				if strings.Join(got, " ") != tc.want {
					t.Errorf("%s: %v, want %s", how, got, tc.want)
				}
			}
		})
	}
}

// A repository that says that it is another team's module decides nothing about what is found for others.
func TestAModuleThatTwoClaim(t *testing.T) {
	files := teams()
	files["evil/go.mod"] = files["tax/go.mod"]
	files["evil/api.go"] = strings.ReplaceAll(files["tax/api.go"], `"tax"`, `"nonsense"`)
	files["quote/function/b.go"] = "package main\nimport \"x.example/tax\"\nvar f = tax.Do\n"
	dir := tree(t, files)
	calls, err := Calls(filepath.Join(dir, "quote"), "quote", Beside(dir))
	if err != nil || len(calls) > 0 {
		t.Errorf("%v, %v; want nothing", calls, err)
	}
}

// A module's go.mod leads nowhere but to Go code.
func TestNoGoMod(t *testing.T) {
	dir := tree(t, map[string]string{"main.go": "package main\nimport \"a.example/b\"\nfunc init() { b.X() }\n"})
	if calls, err := Calls(dir, "x", Required(dir)); err != nil || calls != nil {
		t.Errorf("%v, %v", calls, err)
	}
}
