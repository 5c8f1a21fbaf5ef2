package load

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"

	"countersign/hclspec"
)

// Build is what a deploy is about: functions as built, with their specs, and where they are to run.
type Build struct {
	Environment *hclspec.Environment
	Sources     []*Source // of all functions of the manifest, in order of name
	files       map[string][]byte
}

// Source is one function as built, with its spec.
type Source struct {
	Built
	Function   *hclspec.Function
	SpecSource []byte
	SpecDigest string
}

// DiagnosticsError says what is wrong in specs and environment, with the lines that are meant.
type DiagnosticsError struct {
	Diagnostics hcl.Diagnostics
	Sources     map[string][]byte // content of the files by name
}

// Error implements error. The text has several lines.
func (e *DiagnosticsError) Error() string {
	var b bytes.Buffer
	b.WriteString("the specs or the environment are not right; nothing was changed\n\n")
	if err := hclspec.WriteDiagnostics(&b, e.Sources, e.Diagnostics, 0, false); err != nil {
		return e.Diagnostics.Error()
	}
	return strings.TrimRight(b.String(), "\n")
}

// Read reads a build manifest, the specs that it names and an environment. The error is a *DiagnosticsError if it is
// HCL that is wrong.
func Read(manifestFile, environmentFile string) (*Build, error) {
	manifest, err := ReadManifest(manifestFile)
	if err != nil {
		return nil, err
	}
	l := newLoader()
	loaded := &Build{files: l.files}
	if loaded.Environment, err = l.environment(environmentFile); err != nil {
		return nil, err
	}
	for _, built := range manifest.Functions {
		source, err := l.source(built)
		if err != nil {
			return nil, err
		}
		if source != nil {
			loaded.Sources = append(loaded.Sources, source)
		}
	}
	if l.diagnostics.HasErrors() {
		return nil, &DiagnosticsError{l.diagnostics, l.files}
	}
	slices.SortFunc(loaded.Sources, func(a, b *Source) int { return strings.Compare(a.Name, b.Name) })
	return loaded, nil
}

// Check checks all specs and the environment against each other. elsewhere are functions that run already, which may
// be called, too. The error is a *DiagnosticsError.
func (l *Build) Check(elsewhere ...string) error {
	functions := make([]*hclspec.Function, len(l.Sources))
	for i, s := range l.Sources {
		functions[i] = s.Function
	}
	if diagnostics := hclspec.Check(functions, l.Environment, elsewhere...); diagnostics.HasErrors() {
		return &DiagnosticsError{diagnostics, l.files}
	}
	return nil
}

// Environment reads and checks an environment file.
func Environment(file string) (*hclspec.Environment, error) {
	l := newLoader()
	env, err := l.environment(file)
	if err == nil && l.diagnostics.HasErrors() {
		err = &DiagnosticsError{l.diagnostics, l.files}
	}
	return env, err
}

type loader struct {
	files       map[string][]byte
	functions   map[string][]*hclspec.Function // by spec file
	diagnostics hcl.Diagnostics
}

func newLoader() *loader {
	return &loader{files: map[string][]byte{}, functions: map[string][]*hclspec.Function{}}
}

func (l *loader) read(file string) ([]byte, error) {
	if src, ok := l.files[file]; ok {
		return src, nil
	}
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	l.files[file] = src
	return src, nil
}

func (l *loader) environment(file string) (*hclspec.Environment, error) {
	if file == "" {
		return nil, errors.New("which environment? name its file with -env or $COUNTERSIGN_ENVIRONMENT " +
			"(`source` the env file of a local cluster)")
	}
	src, err := l.read(file)
	if err != nil {
		return nil, fmt.Errorf("read the environment file: %w", err)
	}
	variables := map[string]string{}
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		variables[name] = value
	}
	env, diagnostics := hclspec.ParseEnvironment(file, src, variables)
	l.diagnostics = append(l.diagnostics, diagnostics...)
	return env, nil
}

// source finds the spec of a function. It returns nil if diagnostics tell why there is none.
func (l *loader) source(built Built) (*Source, error) {
	src, err := l.read(built.Spec)
	if err != nil {
		return nil, fmt.Errorf("read the spec of function %q: %w", built.Name, err)
	}
	functions, parsed := l.functions[built.Spec]
	if !parsed {
		var diagnostics hcl.Diagnostics
		functions, diagnostics = hclspec.ParseFunctions(built.Spec, src)
		l.functions[built.Spec] = functions
		l.diagnostics = append(l.diagnostics, diagnostics...)
	}
	i := slices.IndexFunc(functions, func(f *hclspec.Function) bool { return f.Name == built.Name })
	if i < 0 {
		if l.diagnostics.HasErrors() {
			return nil, nil
		}
		return nil, fmt.Errorf("spec %s declares no function %q, the name in the BUILD file (%s): make them the same",
			built.Spec, built.Name, built.Target)
	}
	f := functions[i]
	if f.Runtime != built.Runtime {
		return nil, fmt.Errorf("function %q has runtime %q in its spec and %q in its BUILD file: make them the same",
			built.Name, f.Runtime, built.Runtime)
	}
	return &Source{Built: built, Function: f, SpecSource: src, SpecDigest: hclspec.Digest(src)}, nil
}

// Select returns the sources of the functions of that name, all of them if there is no name.
func (l *Build) Select(names []string) ([]*Source, error) {
	if len(names) == 0 {
		return l.Sources, nil
	}
	byName := map[string]*Source{}
	for _, s := range l.Sources {
		byName[s.Name] = s
	}
	chosen := map[string]*Source{}
	for _, name := range names {
		if byName[name] == nil {
			return nil, fmt.Errorf("no function %q in the build manifest; it has %s", name,
				strings.Join(slices.Sorted(maps.Keys(byName)), ", "))
		}
		chosen[name] = byName[name]
	}
	var out []*Source
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		out = append(out, chosen[name])
	}
	return out, nil
}
