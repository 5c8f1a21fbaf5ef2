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
	return "the specs or the environment are not right; nothing was changed\n\n" + e.Text()
}

// Text returns the diagnostics with the lines that are meant.
func (e *DiagnosticsError) Text() string {
	var b bytes.Buffer
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
	build, left, err := New(manifest, environmentFile)
	return build, whole(left, err)
}

// New reads the specs that a manifest names and an environment. left are functions that can't be deployed as they are; the
// error says what is wrong with the environment, and is a *DiagnosticsError if it is HCL that is wrong.
func New(manifest *Manifest, environmentFile string) (*Build, []Left, error) {
	l := newLoader()
	loaded := &Build{files: l.files}
	var err error
	if loaded.Environment, err = l.environment(environmentFile); err != nil {
		return nil, nil, err
	}
	var left []Left
	for _, built := range manifest.Functions {
		source, err := l.source(built)
		if err != nil {
			left = append(left, Left{built.Name, err})
			continue
		}
		loaded.Sources = append(loaded.Sources, source)
	}
	if l.diagnostics.HasErrors() {
		return nil, left, &DiagnosticsError{l.diagnostics, l.files}
	}
	slices.SortFunc(loaded.Sources, func(a, b *Source) int { return strings.Compare(a.Name, b.Name) })
	return loaded, left, nil
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
	diagnostics hcl.Diagnostics // of the environment
}

func newLoader() *loader {
	return &loader{files: map[string][]byte{}}
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

// source finds the spec of a function. The error is a *DiagnosticsError if it is the spec that is wrong.
func (l *loader) source(built Built) (*Source, error) {
	src, err := l.read(built.Spec)
	if err != nil {
		return nil, fmt.Errorf("read the spec of function %q: %w", built.Name, err)
	}
	functions, diagnostics := hclspec.ParseFunctions(built.Spec, src)
	if diagnostics.HasErrors() {
		return nil, &DiagnosticsError{diagnostics, l.files}
	}
	i := slices.IndexFunc(functions, func(f *hclspec.Function) bool { return f.Name == built.Name })
	if i < 0 {
		return nil, fmt.Errorf("spec %s declares no function %q, the name in the BUILD file (%s): make them the same",
			built.Spec, built.Name, built.Target)
	}
	f := functions[i]
	if f.Runtime != built.Runtime {
		return nil, fmt.Errorf("function %q has runtime %q in its spec and %q in its BUILD file: make them the same",
			built.Name, f.Runtime, built.Runtime)
	}
	if want := absoluteLabel(f.Target, built.Target); f.Target != hclspec.DefaultTarget(f.Name) && want != built.Target {
		return nil, fmt.Errorf("function %q has target %q in its spec, and repos.bzl has %s built: make them the same, in the "+
			"spec or in the functions of the pin", built.Name, f.Target, built.Target)
	}
	if diagnostics, err = l.checkFetched(f, built.Spec); err != nil {
		return nil, err
	}
	if diagnostics.HasErrors() {
		return nil, &DiagnosticsError{diagnostics, l.files}
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
			return nil, &hclspec.UnknownFunctionError{
				Name: name, Where: "in the build manifest", Known: slices.Sorted(maps.Keys(byName)),
			}
		}
		chosen[name] = byName[name]
	}
	var out []*Source
	for _, name := range slices.Sorted(maps.Keys(chosen)) {
		out = append(out, chosen[name])
	}
	return out, nil
}

// absoluteLabel is a label in full, as built is. One without a repository is of the repository of built, so that a team
// need not know by which name its repository is pinned.
func absoluteLabel(label, built string) string {
	if strings.HasPrefix(label, "//") {
		repository, _, _ := strings.Cut(built, "//")
		label = repository + label
	}
	if !strings.Contains(label, ":") {
		label += ":" + label[strings.LastIndex(label, "/")+1:]
	}
	return label
}
