package load

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"countersign/gosource"
	"countersign/hclspec"
)

// fetched finds the directory of all fetched repositories, and the name of one, in a path.
var fetched = regexp.MustCompile(`^(/.+/external)/([^/]+)/`)

// CheckSource reports the calls in the Go code of a function that its spec does not list. The code is looked for below the
// directory of the spec, then in the whole module that holds it. Files that diagnostics name are added to sources.
func CheckSource(f *hclspec.Function, spec string, sources map[string][]byte) (hcl.Diagnostics, error) {
	return checkSource(f, filepath.Dir(spec), gosource.Required(filepath.Dir(spec)), sources, func(file string) string { return file })
}

// checkFetched is CheckSource for a spec of a repository that Bazel fetched. Others are not looked at: what was built from
// them is not known here.
func (l *loader) checkFetched(f *hclspec.Function, spec string) (hcl.Diagnostics, error) {
	m := fetched.FindStringSubmatch(spec)
	if m == nil {
		return nil, nil
	}
	return checkSource(f, filepath.Dir(spec), gosource.Beside(m[1]), l.files, func(file string) string {
		return "@" + strings.TrimPrefix(file, m[1]+"/")
	})
}

func checkSource(f *hclspec.Function, dir string, find gosource.Finder, sources map[string][]byte, show func(file string) string) (
	hcl.Diagnostics, error) {
	found, err := gosource.Calls(dir, f.Name, find)
	if err != nil {
		return nil, fmt.Errorf("function %q: %w", f.Name, err)
	}
	var calls []hclspec.CodeCall
	for _, c := range found {
		at, name := c.Position, show(c.Position.Filename)
		if src, err := os.ReadFile(at.Filename); err == nil {
			sources[name] = src
		}
		length := c.End - at.Offset
		calls = append(calls, hclspec.CodeCall{Callee: c.Callee, Range: hcl.Range{
			Filename: name,
			Start:    hcl.Pos{Line: at.Line, Column: at.Column, Byte: at.Offset},
			End:      hcl.Pos{Line: at.Line, Column: at.Column + length, Byte: c.End},
		}})
	}
	return hclspec.CheckCode(f, calls), nil
}
