package gosource

import (
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
)

// Beside finds packages in modules whose roots are the directories of dir, as Bazel has the repositories of teams.
func Beside(dir string) Finder {
	roots := map[string]string{} // module -> directory
	entries, err := os.ReadDir(dir)
	if err != nil {
		return func(string) string { return "" }
	}
	for _, e := range entries {
		root := filepath.Join(dir, e.Name())
		src, err := os.ReadFile(filepath.Join(root, "go.mod"))
		m := modfile.ModulePath(src)
		if err != nil || m == "" {
			continue
		}
		if _, taken := roots[m]; taken {
			root = "" // one of them is not what it says, and must not have a part in what is found for others
		}
		roots[m] = root
	}
	return func(importPath string) string { return within(roots, importPath) }
}

// Required finds packages of the modules that the go.mod at or above dir names: where it replaces them by directories, and
// in the module cache.
func Required(dir string) Finder {
	_, root := moduleOf(dir)
	roots := map[string]string{}
	if src, err := os.ReadFile(filepath.Join(root, "go.mod")); err == nil && root != "" {
		if file, err := modfile.Parse("go.mod", src, nil); err == nil {
			for _, r := range file.Require {
				if escaped, err := module.EscapePath(r.Mod.Path); err == nil {
					roots[r.Mod.Path] = filepath.Join(moduleCache(), filepath.FromSlash(escaped)+"@"+r.Mod.Version)
				}
			}
			for _, r := range file.Replace {
				if r.New.Version == "" {
					roots[r.Old.Path] = filepath.Join(root, filepath.FromSlash(r.New.Path))
				}
			}
		}
	}
	return func(importPath string) string { return within(roots, importPath) }
}

// moduleCache is where the go command keeps modules.
func moduleCache() string {
	if dir := os.Getenv("GOMODCACHE"); dir != "" {
		return dir
	}
	gopath, _, _ := strings.Cut(os.Getenv("GOPATH"), string(os.PathListSeparator))
	if gopath == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return ""
		}
		gopath = filepath.Join(home, "go")
	}
	return filepath.Join(gopath, "pkg", "mod")
}

// within returns the directory of a package in the module with the longest path that holds it.
func within(roots map[string]string, importPath string) string {
	for m := importPath; m != "." && m != "/"; m = parent(m) {
		if root, known := roots[m]; known && root == "" {
			return ""
		} else if known {
			return filepath.Join(root, filepath.FromSlash(strings.TrimPrefix(importPath, m)))
		}
	}
	return ""
}

func parent(importPath string) string {
	i := strings.LastIndex(importPath, "/")
	if i < 0 {
		return "."
	}
	return importPath[:i]
}
