// Package scaffold makes a team's repository: a function that says hello, with everything that it needs to be tested with
// plain Go, built by Bazel and deployed.
//
// It owns the first text of each file, and which names a repository can have. It must not know servers, nor how a
// repository is pinned.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/module"

	"countersign"
	"countersign/hclspec"
	"countersign/modproxy"
)

//go:embed templates
var templates embed.FS

// Repository is a repository to be made.
type Repository struct {
	Name   string            // of the function
	Module string            // path of the Go module
	SDK    *modproxy.Version // that go.mod requires; nil for none
}

// DefaultPrefix is what module paths begin with unless a person says otherwise. ".internal" is reserved for private use.
const DefaultPrefix = "functions.internal"

// reserved are names that something else has already, in a repository or in its build.
var reserved = map[string]string{
	"api":         "the Bazel target of what callers import is called so",
	"countersign": "the repository of the rules and of the SDK is called so in the build",
	"function":    "the directory of the implementation is called so",
	"internal":    "Go lets nobody import a package of that name",
	"sdk":         "the SDK is called so",
	"vendor":      "Go takes a directory of that name for copies of other modules",
}

// majorVersion matches what Go takes for the major version of a module, at the end of a path.
var majorVersion = regexp.MustCompile(`^v[0-9]+$`)

// Check tells why a repository can't be made.
func (r Repository) Check() error {
	if !countersign.ValidName(r.Name) {
		return fmt.Errorf("function name %q: use %s", r.Name, countersign.NameForm)
	}
	if why, taken := reserved[r.Name]; taken {
		return fmt.Errorf("function name %q: %s", r.Name, why)
	}
	if majorVersion.MatchString(r.Name) {
		return fmt.Errorf("function name %q: Go takes that for a major version, at the end of a module path", r.Name)
	}
	if err := module.CheckPath(r.Module); err != nil {
		return fmt.Errorf("module path: %w", err)
	}
	if r.Module == modproxy.SDKPath || strings.HasPrefix(r.Module, modproxy.SDKPath+"/") {
		return fmt.Errorf("module path %s is that of the SDK", r.Module)
	}
	return nil
}

// fields are what the templates are filled in with.
type fields struct {
	Repository
	Package  string // of the API
	Import   string // of the API, with its name where that is not plain
	Variable string // of the function in the API
}

// Workspace is the name of the Bazel workspace, which has no hyphens.
func (f fields) Workspace() string { return strings.ReplaceAll(f.Name, "-", "_") }

// Prefix is the module path without its last element, if it has several: a pattern of GONOSUMDB.
func (f fields) Prefix() string {
	if i := strings.LastIndexByte(f.Module, '/'); i > 0 {
		return f.Module[:i]
	}
	return f.Module
}

// NamesModule tells whether the pin has to name the module.
func (f fields) NamesModule() bool {
	base, _, _ := module.SplitPathVersion(f.Module)
	return path.Base(base) != f.Name
}

// taken are names that the code uses for something else, and documentation, the one package name that go passes over.
var taken = []string{"context", "documentation", "errors", "sdk", "testing", "string", "error", "nil", "main", "init", "t", "req", "handle", "reply", "err"}

func (r Repository) fields() fields {
	f := fields{Repository: r, Package: strings.ReplaceAll(r.Name, "-", "")}
	if token.IsKeyword(f.Package) || slices.Contains(taken, f.Package) {
		f.Package += "fn"
	}
	f.Import = fmt.Sprintf("%q", r.Module)
	if path.Base(r.Module) != f.Package {
		f.Import = f.Package + " " + f.Import
	}
	for word := range strings.SplitSeq(r.Name, "-") {
		f.Variable += strings.ToUpper(word[:min(1, len(word))]) + word[min(1, len(word)):]
	}
	if f.Variable == "Request" || f.Variable == "Reply" {
		f.Variable += "Function"
	}
	return f
}

// Files returns the content of each file.
func (r Repository) Files() (map[string][]byte, error) {
	if err := r.Check(); err != nil {
		return nil, err
	}
	names := map[string]string{
		"BUILD.bazel.tmpl": "BUILD.bazel", "README.md.tmpl": "README.md", "WORKSPACE.tmpl": "WORKSPACE",
		"api.go.tmpl": r.Name + ".go", "gitignore.tmpl": ".gitignore", "go.mod.tmpl": "go.mod",
		"main.go.tmpl": "function/main.go", "main_test.go.tmpl": "function/main_test.go",
		"spec.hcl.tmpl": r.Name + ".hcl", "test.yml.tmpl": ".github/workflows/test.yml",
	}
	if r.SDK != nil {
		names["go.sum.tmpl"] = "go.sum"
	}
	files := map[string][]byte{}
	for name, file := range names {
		text, err := fill(name, r.fields())
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", file, err)
		}
		files[file] = text
	}
	return files, nil
}

// fill fills in a template, in the canonical layout.
func fill(name string, f fields) ([]byte, error) {
	t, err := template.ParseFS(templates, "templates/"+name)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	if err := t.Execute(&text, f); err != nil {
		return nil, err
	}
	switch {
	case strings.HasSuffix(name, ".go.tmpl"):
		return format.Source(text.Bytes())
	case strings.HasSuffix(name, ".hcl.tmpl"):
		out, diags := hclspec.Format(text.Bytes())
		if diags.HasErrors() {
			return nil, diags
		}
		return out, nil
	}
	return text.Bytes(), nil
}

// Write makes a directory, if it is not there, and the files in it. It overwrites nothing: if one of the files is there, it
// makes none.
func Write(dir string, files map[string][]byte) (err error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	// What is in the directory may be links that lead out of it.
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	names := slices.Sorted(maps.Keys(files))
	var there []string
	for _, name := range names {
		if _, err := root.Lstat(name); err == nil {
			there = append(there, name)
		} else if !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("%s has %s already, and nothing is overwritten", dir, strings.Join(there, ", "))
	}
	var made []string
	defer func() {
		if err != nil {
			for _, name := range made {
				_ = root.Remove(name)
			}
		}
	}()
	for _, name := range names {
		if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
			return err
		}
		file, err := root.OpenFile(name, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644)
		if err != nil {
			return err
		}
		made = append(made, name)
		_, err = file.Write(files[name])
		if closeErr := file.Close(); err == nil {
			err = closeErr
		}
		if err != nil {
			return err
		}
	}
	return nil
}
