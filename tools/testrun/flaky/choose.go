package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// target is a package, or a group of tests that need servers.
type target struct {
	name   string
	group  bool
	module string // directory of its module
	pkg    string // its import path
	dir    string // where its tests run
}

// listed is what is read of go list.
type listed struct {
	Dir, ImportPath                    string
	Imports, TestImports, XTestImports []string
	TestGoFiles, XTestGoFiles          []string
	Deps                               []string
}

// choose returns what to test: what is named, or what has changed since base.
func choose(ctx context.Context, base, importers string, named []string) ([]target, error) {
	if !slices.Contains([]string{"none", "direct", "all"}, importers) {
		return nil, fmt.Errorf("-importers %s: want none, direct or all", importers)
	}
	if len(named) > 0 {
		return fromNames(ctx, named)
	}
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	files, err := changedFiles(ctx, base)
	if err != nil {
		return nil, err
	}
	changed, err := packagesOf(root, files)
	if err != nil {
		return nil, err
	}
	var targets []target
	for _, module := range slices.Sorted(maps.Keys(changed)) {
		dirs := changed[module]
		all, err := list(ctx, module, "./...")
		if err != nil {
			return nil, err
		}
		if module != root {
			targets = append(targets, tested(module, matching(all, dirs, "none"))...)
		} else {
			targets = append(targets, tested(module, matching(all, dirs, importers))...)
		}
	}
	return targets, nil
}

// fromNames returns named groups and packages. Groups are known to tools/integration.
func fromNames(ctx context.Context, named []string) (targets []target, err error) {
	var packages []string
	for _, name := range named {
		if strings.ContainsAny(name, "./") {
			packages = append(packages, name)
		} else {
			targets = append(targets, target{name: name, group: true})
		}
	}
	if len(packages) == 0 {
		return targets, nil
	}
	all, err := list(ctx, ".", packages...)
	return append(targets, tested(".", all)...), err
}

// changedFiles returns what differs from base, by paths from the root of the checkout.
func changedFiles(ctx context.Context, base string) ([]string, error) {
	if base == "" {
		base = "origin/main"
		if _, err := output(ctx, ".", "git", "rev-parse", "--verify", "--quiet", base); err != nil {
			base = "HEAD~1"
		}
	}
	differing, err := output(ctx, ".", "git", "diff", "--name-only", "-z", base, "--")
	if err != nil {
		return nil, fmt.Errorf("comparing with %s: %w", base, err)
	}
	untracked, err := output(ctx, ".", "git", "ls-files", "-z", "--others", "--exclude-standard")
	if err != nil {
		return nil, fmt.Errorf("looking for new files: %w", err)
	}
	files := strings.Split(differing+untracked, "\x00")
	return slices.DeleteFunc(files, func(f string) bool { return f == "" }), nil
}

// packagesOf returns, by module, the directories of the packages that files belong to. A module whose go.mod has changed
// is there with its own directory followed by "/...".
func packagesOf(root string, files []string) (map[string][]string, error) {
	packages := map[string][]string{}
	for _, file := range files {
		dir := filepath.Dir(filepath.Join(root, file))
		if above, _, ok := strings.Cut(file, "/testdata/"); ok {
			dir = filepath.Join(root, above)
		}
		for dir != root && !isPackage(dir) && !exists(filepath.Join(dir, "go.mod")) {
			dir = filepath.Dir(dir)
		}
		module := dir
		for module != root && !exists(filepath.Join(module, "go.mod")) {
			module = filepath.Dir(module)
		}
		if name := filepath.Base(file); name == "go.mod" || name == "go.sum" {
			dir = filepath.Join(module, "...")
		} else if dir == root && filepath.Dir(file) != "." {
			continue // of no package: documents, scripts
		}
		if !slices.Contains(packages[module], dir) {
			packages[module] = append(packages[module], dir)
		}
	}
	return packages, nil
}

func isPackage(dir string) bool {
	files, _ := filepath.Glob(filepath.Join(dir, "*.go"))
	return len(files) > 0
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// matching returns the packages in directories, and those that import one of them.
func matching(all []listed, dirs []string, importers string) []listed {
	changed := map[string]bool{}
	for _, p := range all {
		whole := slices.ContainsFunc(dirs, func(d string) bool {
			module, ok := strings.CutSuffix(d, "/...")
			return ok && strings.HasPrefix(p.Dir+"/", module+"/")
		})
		changed[p.ImportPath] = whole || slices.Contains(dirs, p.Dir)
	}
	return slices.DeleteFunc(slices.Clone(all), func(p listed) bool {
		if changed[p.ImportPath] {
			return false
		}
		var imports []string
		switch importers {
		case "direct":
			imports = slices.Concat(p.Imports, p.TestImports, p.XTestImports)
		case "all":
			imports = slices.Concat(p.Deps, p.TestImports, p.XTestImports)
		}
		return !slices.ContainsFunc(imports, func(i string) bool { return changed[i] })
	})
}

// tested makes targets of packages that have tests.
func tested(module string, packages []listed) (targets []target) {
	for _, p := range packages {
		if len(p.TestGoFiles)+len(p.XTestGoFiles) > 0 {
			targets = append(targets, target{name: p.ImportPath, module: module, pkg: p.ImportPath, dir: p.Dir})
		}
	}
	return targets
}

// list asks go list about packages of a module.
func list(ctx context.Context, module string, patterns ...string) ([]listed, error) {
	text, err := output(ctx, module, "go", append([]string{"list", "-json"}, patterns...)...)
	if err != nil {
		return nil, fmt.Errorf("listing packages of %s: %w", module, err)
	}
	var all []listed
	for d := json.NewDecoder(strings.NewReader(text)); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, fmt.Errorf("reading go list: %w", err)
		}
		all = append(all, p)
	}
}

// output runs a command that has to succeed and returns its standard output.
func output(ctx context.Context, dir, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return "", fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(exit.Stderr)))
	}
	return string(out), err
}
