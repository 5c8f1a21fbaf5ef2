package gosource

import (
	"errors"
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/mod/modfile"
)

// sdkPath is the package of Define and Handle.
const sdkPath = "countersign.internal/sdk"

// maxFile bounds a source file, in bytes.
const maxFile = 4 << 20

// Call is a place where a function's code uses another function.
type Call struct {
	Callee   string
	Position token.Position // of the use
	End      int            // offset just behind it
}

// Finder finds the directory of a package by its import path, "" if it can't. It is asked for packages that are not of
// the module itself.
type Finder func(importPath string) (dir string)

// Calls returns the calls in the code of a function whose module is at or below root, in order of place. It returns none
// if the function's main package can't be found: not every function is written in Go.
func Calls(root, function string, find Finder) ([]Call, error) {
	s := &scanner{find: find, packages: map[string]*pkg{}}
	mains, err := s.mains(root)
	if err != nil {
		return nil, err
	}
	var calls []Call
	for _, dir := range mains {
		if s.serves(dir) != function {
			continue
		}
		seen := map[string]bool{}
		s.walk(dir, seen)
		for d := range seen {
			calls = append(calls, s.uses(d, function)...)
		}
	}
	slices.SortFunc(calls, func(a, b Call) int {
		if c := strings.Compare(a.Position.Filename, b.Position.Filename); c != 0 {
			return c
		}
		return a.Position.Offset - b.Position.Offset
	})
	return calls, nil
}

// scanner remembers the packages that were parsed, by directory.
type scanner struct {
	find     Finder
	packages map[string]*pkg
}

// pkg is a package as far as it matters.
type pkg struct {
	name    string
	module  string // import path of its module
	root    string // directory of its module
	set     *token.FileSet
	files   []*ast.File
	defines map[string]string // variable -> function that it defines
}

// mains returns the directories below root that hold a main package.
func (s *scanner) mains(root string) (dirs []string, err error) {
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if !d.IsDir() {
			return nil
		}
		if path != root && (strings.HasPrefix(name, ".") || strings.HasPrefix(name, "_") || name == "testdata" || name == "vendor" ||
			name == "node_modules" || strings.HasPrefix(name, "bazel-")) {
			return fs.SkipDir
		}
		if p := s.load(path); p != nil && p.name == "main" {
			dirs = append(dirs, path)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for Go packages: %w", err)
	}
	return dirs, nil
}

// load parses the package in dir, as it is built for WebAssembly. It returns nil if there is none; what is not Go in it
// the compiler reports.
func (s *scanner) load(dir string) *pkg {
	if p, done := s.packages[dir]; done {
		return p
	}
	s.packages[dir] = nil
	context := build.Default
	context.GOOS, context.GOARCH, context.CgoEnabled = "wasip1", "wasm", false
	found, err := context.ImportDir(dir, 0)
	if err != nil {
		return nil
	}
	p := &pkg{name: found.Name, set: token.NewFileSet(), defines: map[string]string{}}
	p.module, p.root = moduleOf(dir)
	for _, name := range found.GoFiles {
		file := filepath.Join(dir, name)
		if info, err := os.Stat(file); err != nil || info.Size() > maxFile {
			continue
		}
		if f, err := parser.ParseFile(p.set, file, nil, parser.SkipObjectResolution); err == nil {
			p.files = append(p.files, f)
		}
	}
	for _, f := range p.files {
		sdk := importName(f, sdkPath)
		ast.Inspect(f, func(n ast.Node) bool {
			if v, ok := n.(*ast.ValueSpec); ok && sdk != "" {
				for i, value := range v.Values {
					if function := defined(value, sdk); function != "" && i < len(v.Names) {
						p.defines[v.Names[i].Name] = function
					}
				}
			}
			return true
		})
	}
	s.packages[dir] = p
	return p
}

// defined returns the name in sdk.Define[Request, Reply]("name"), or "".
func defined(value ast.Expr, sdk string) string {
	call, ok := value.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return ""
	}
	callee := call.Fun
	if generic, ok := callee.(*ast.IndexListExpr); ok {
		callee = generic.X
	}
	if !isSelector(callee, sdk, "Define") {
		return ""
	}
	literal, ok := call.Args[0].(*ast.BasicLit)
	if !ok || literal.Kind != token.STRING {
		return ""
	}
	name, err := strconv.Unquote(literal.Value)
	if err != nil {
		return ""
	}
	return name
}

func isSelector(e ast.Expr, pkg, name string) bool {
	s, ok := e.(*ast.SelectorExpr)
	if !ok || s.Sel.Name != name {
		return false
	}
	x, ok := s.X.(*ast.Ident)
	return ok && x.Name == pkg
}

// importName returns by which name a file knows a package, or "". A package that is imported without a name goes by the
// last element of its path, without a major version.
func importName(f *ast.File, importPath string) string {
	for _, i := range f.Imports {
		if p, err := strconv.Unquote(i.Path.Value); err == nil && p == importPath {
			if i.Name != nil {
				return i.Name.Name
			}
			return path.Base(p)
		}
	}
	return ""
}

// serves returns the function that the main package in dir hands to sdk.Handle, or "".
func (s *scanner) serves(dir string) (function string) {
	p := s.load(dir)
	for _, f := range p.files {
		sdk := importName(f, sdkPath)
		if sdk == "" {
			continue
		}
		ast.Inspect(f, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok || len(call.Args) == 0 || !isSelector(call.Fun, sdk, "Handle") {
				return true
			}
			switch arg := call.Args[0].(type) {
			case *ast.Ident:
				function = p.defines[arg.Name]
			case *ast.SelectorExpr:
				if x, ok := arg.X.(*ast.Ident); ok {
					function = s.definedBy(f, p, x.Name, arg.Sel.Name)
				}
			}
			return true
		})
	}
	return function
}

// definedBy returns the function that a variable of an imported package defines, or "".
func (s *scanner) definedBy(f *ast.File, p *pkg, name, variable string) string {
	for _, i := range f.Imports {
		importPath, err := strconv.Unquote(i.Path.Value)
		if err != nil || i.Name != nil && i.Name.Name != name {
			continue
		}
		dir := s.dirOf(p, importPath)
		if dir == "" {
			continue
		}
		imported := s.load(dir)
		if imported == nil || i.Name == nil && imported.name != name {
			continue
		}
		return imported.defines[variable]
	}
	return ""
}

// dirOf returns the directory of a package that p imports, "" if it is not known. The standard library defines no function.
func (s *scanner) dirOf(p *pkg, importPath string) string {
	if importPath == p.module {
		return p.root
	}
	if rest, inside := strings.CutPrefix(importPath, p.module+"/"); inside && p.module != "" {
		return filepath.Join(p.root, filepath.FromSlash(rest))
	}
	if importPath == sdkPath || !strings.Contains(importPath, ".") && !strings.Contains(importPath, "/") {
		return ""
	}
	return s.find(importPath)
}

// walk collects the directories of a package and of all packages that it imports from any module but the SDK's.
func (s *scanner) walk(dir string, seen map[string]bool) {
	p := s.load(dir)
	if p == nil || seen[dir] {
		return
	}
	seen[dir] = true
	for _, f := range p.files {
		for _, i := range f.Imports {
			if importPath, err := strconv.Unquote(i.Path.Value); err == nil {
				if d := s.dirOf(p, importPath); d != "" {
					s.walk(d, seen)
				}
			}
		}
	}
}

// uses returns where the package in dir uses variables that define functions, other than its own.
func (s *scanner) uses(dir, function string) (calls []Call) {
	p := s.load(dir)
	for _, f := range p.files {
		ast.Inspect(f, func(n ast.Node) bool {
			selector, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			x, ok := selector.X.(*ast.Ident)
			if !ok {
				return true
			}
			if callee := s.definedBy(f, p, x.Name, selector.Sel.Name); callee != "" && callee != function {
				calls = append(calls, Call{callee, p.set.PositionFor(x.Pos(), false), p.set.PositionFor(selector.End(), false).Offset})
			}
			return true
		})
	}
	return calls
}

// moduleOf returns the import path and the directory of the module that holds dir, "" if there is none.
func moduleOf(dir string) (importPath, root string) {
	for d := dir; ; d = filepath.Dir(d) {
		src, err := os.ReadFile(filepath.Join(d, "go.mod"))
		if err == nil {
			return modfile.ModulePath(src), d
		}
		if !errors.Is(err, fs.ErrNotExist) || d == filepath.Dir(d) {
			return "", ""
		}
	}
}
