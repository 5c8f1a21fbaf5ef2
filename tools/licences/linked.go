package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// product is what is handed to somebody: the packages that match a pattern in a module's directory, built for a
// platform, with all that they import.
type product struct {
	dir, pattern string
	goos, goarch string
}

// products returns everything that users run or link: the commands, the SDK, and the example functions.
func products() []product {
	list := []product{{".", "./cmd/...", "linux", "amd64"}, {".", "./cmd/...", "linux", "arm64"}}
	functions, _ := filepath.Glob("examples/*/go.mod") // the pattern is well-formed, so there is no error
	dirs := []string{"sdk"}
	for _, file := range functions {
		dirs = append(dirs, filepath.Dir(file))
	}
	for _, dir := range dirs {
		list = append(list, product{dir, "./...", "linux", "amd64"}, product{dir, "./...", "wasip1", "wasm"})
	}
	return list
}

// linkedPackage is a package of somebody else's module.
type linkedPackage struct {
	ImportPath string
	Dir        string
	GoFiles    []string
	Standard   bool
	Module     *linkedModule
}

// linkedModule is where a package comes from.
type linkedModule struct {
	Path    string
	Version string
	Dir     string
	Main    bool
	Replace *linkedModule
}

// listLinked asks the go command for what is linked into the products, each package once, without the standard library
// and this repository's own modules.
func listLinked(products []product) ([]linkedPackage, error) {
	var linked []linkedPackage
	seen := map[string]int{}
	for _, p := range products {
		packages, err := p.list()
		if err != nil {
			return nil, fmt.Errorf("listing what is linked into %s in %s for %s: %w", p.pattern, p.dir, p.goos, err)
		}
		for _, pkg := range packages {
			if pkg.Standard || pkg.Module.own() {
				continue
			}
			if i, ok := seen[pkg.ImportPath]; ok { // another platform has other files
				linked[i].GoFiles = append(linked[i].GoFiles, pkg.GoFiles...)
				continue
			}
			seen[pkg.ImportPath] = len(linked)
			linked = append(linked, pkg)
		}
	}
	for i := range linked {
		slices.Sort(linked[i].GoFiles)
		linked[i].GoFiles = slices.Compact(linked[i].GoFiles)
	}
	return linked, nil
}

// own tells whether a module is of this repository: the one in whose directory the go command runs, or one that it is
// given by a path.
func (m *linkedModule) own() bool {
	return m != nil && (m.Main || m.Replace != nil && m.Replace.Version == "")
}

// workspace is what the go command is told of workspaces: the examples have one, which puts the SDK of this checkout in
// place of the version that a team's clone would fetch.
func (p product) workspace() string {
	if filepath.Dir(p.dir) == "examples" {
		return ""
	}
	return "off"
}

func (p product) list() ([]linkedPackage, error) {
	cmd := exec.Command("go", "list", "-deps", "-json=ImportPath,Dir,GoFiles,Standard,Module", p.pattern)
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "GOOS="+p.goos, "GOARCH="+p.goarch, "CGO_ENABLED=0", "GOWORK="+p.workspace())
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w\n%s", err, stderr.Bytes())
	}
	var packages []linkedPackage
	for d := json.NewDecoder(bytes.NewReader(out)); ; {
		var pkg linkedPackage
		if err := d.Decode(&pkg); errors.Is(err, io.EOF) {
			return packages, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading what go list printed: %w", err)
		}
		packages = append(packages, pkg)
	}
}
