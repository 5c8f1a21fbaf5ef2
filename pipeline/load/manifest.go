package load

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"countersign"

	"countersign/hclspec"
	"countersign/strictjson"
)

// Manifest lists what Bazel built: the hand-over from the deploy rule (bazel/) to the pipeline. Its format is
// described in docs/deploy.md.
type Manifest struct {
	Functions []Built `json:"functions"`
}

// Built is one function as Bazel built it. Paths in a manifest file are relative to the file or to the root of the
// runfiles tree that holds it; ReadManifest makes them usable from the working directory.
type Built struct {
	Name       string            `json:"name"`
	Target     string            `json:"target"`           // Bazel label
	Runtime    string            `json:"runtime"`          // hclspec.RuntimeWasm or hclspec.RuntimeNative
	Wasm       string            `json:"wasm"`             // path of the WebAssembly module
	Native     map[string]string `json:"native,omitempty"` // platform, such as linux/amd64 -> path of the executable
	Spec       string            `json:"spec"`             // path of the function spec
	Repository string            `json:"repository"`       // where the source is, as pinned in repos.bzl
	Commit     string            `json:"commit"`           // full commit of the source
	Ref        string            `json:"ref"`              // branch or tag whose history holds Commit, as pinned; or HEAD
}

var nativePlatform = regexp.MustCompile(`^linux/(amd64|arm64)$`)

// ReadManifest reads and checks a manifest file. The error names everything that is wrong with it.
func ReadManifest(file string) (*Manifest, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read the build manifest: %w", err)
	}
	m, err := parseManifest(src)
	if err == nil {
		roots := manifestRoots(file)
		err = m.resolve(roots, builtBelow(roots))
	}
	if err != nil {
		return nil, fmt.Errorf("build manifest %s: %w", file, err)
	}
	return m, nil
}

// ReadParts reads manifests that Bazel wrote of one function each, in order of name. execroot is the directory that
// their paths are relative to, that in which Bazel runs actions.
func ReadParts(files []string, execroot string) (*Manifest, error) {
	var all Manifest
	base := filepath.Dir(filepath.Dir(execroot))
	for _, file := range files {
		src, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("read the manifest of what Bazel built: %w", err)
		}
		m, err := parseManifest(src)
		if err == nil {
			// The links of an execroot to external repositories are those that the last build needed.
			err = m.resolve([]string{execroot, base}, []string{filepath.Join(base, "execroot"), filepath.Join(base, "external")})
		}
		if err != nil {
			return nil, fmt.Errorf("build manifest %s: %w", file, err)
		}
		all.Functions = append(all.Functions, m.Functions...)
	}
	return &all, all.check()
}

// parseManifest decodes src and checks everything but the files it names.
func parseManifest(src []byte) (*Manifest, error) {
	var m Manifest
	if err := strictjson.Decode(src, &m); err != nil {
		return nil, fmt.Errorf("parse JSON: %w", err)
	}
	return &m, m.check()
}

// check tells what of m is missing or malformed.
func (m *Manifest) check() error {
	if len(m.Functions) == 0 {
		return errors.New("lists no function; add some to the deploy target in BUILD.bazel")
	}
	var errs []error
	seen := map[string]bool{}
	for i, f := range m.Functions {
		if seen[f.Name] {
			errs = append(errs, fmt.Errorf("function %q is listed twice", f.Name))
		}
		seen[f.Name] = true
		if err := f.check(); err != nil {
			errs = append(errs, fmt.Errorf("function %d (%q): %w", i+1, f.Name, err))
		}
	}
	return errors.Join(errs...)
}

// check tells what of f is missing or malformed.
func (f *Built) check() error {
	var errs []error
	if !countersign.ValidName(f.Name) {
		errs = append(errs, errors.New("the name must be a DNS label that starts with a letter"))
	}
	if f.Runtime != hclspec.RuntimeWasm && f.Runtime != hclspec.RuntimeNative {
		errs = append(errs, fmt.Errorf(`runtime %q is neither "wasm" nor "native"`, f.Runtime))
	}
	if f.Runtime == hclspec.RuntimeNative && len(f.Native) == 0 {
		errs = append(errs, errors.New(`runtime "native" needs executables in "native"`))
	}
	if f.Wasm == "" {
		errs = append(errs, errors.New(`needs a module in "wasm"; a native function's interface is read from it, too`))
	}
	for platform := range f.Native {
		if !nativePlatform.MatchString(platform) {
			errs = append(errs, fmt.Errorf("platform %q is neither linux/amd64 nor linux/arm64", platform))
		}
	}
	for _, field := range []struct{ name, value string }{
		{"target", f.Target}, {"spec", f.Spec}, {"repository", f.Repository}, {"ref", f.Ref},
	} {
		if field.value == "" {
			errs = append(errs, fmt.Errorf("%q is missing", field.name))
		}
	}
	if strings.ContainsFunc(f.Repository, unicode.IsControl) || strings.Contains(f.Repository, "${") {
		errs = append(errs, fmt.Errorf("repository %q holds control characters or ${", f.Repository))
	}
	if f.Ref != "" && !countersign.ValidRef(f.Ref) {
		errs = append(errs, fmt.Errorf("ref %q is not the name of a branch or tag", f.Ref))
	}
	if !countersign.ValidCommit(f.Commit) {
		errs = append(errs, fmt.Errorf("commit %q is not a full Git commit in hexadecimal", f.Commit))
	}
	return errors.Join(errs...)
}

// manifestRoots returns the directories that paths of a manifest file may be relative to, the nearest first: the
// file's own, its parents up to the root of the runfiles tree, and the runfiles tree that Bazel names.
func manifestRoots(file string) []string {
	dir := filepath.Dir(file)
	if abs, err := filepath.Abs(dir); err == nil {
		dir = abs
	}
	roots := []string{dir}
	if i := strings.LastIndex(dir+"/", ".runfiles/"); i >= 0 {
		top := dir[:i+len(".runfiles")]
		for d := dir; d != top; {
			d = filepath.Dir(d)
			roots = append(roots, d)
		}
	}
	if r := os.Getenv("RUNFILES_DIR"); r != "" {
		roots = append(roots, r)
	}
	return roots
}

// resolve replaces every path of m by the one below the first of roots where the file is. The file itself has to be below
// one of allowed.
func (m *Manifest) resolve(roots, allowed []string) error {
	var errs []error
	find := func(function, path string) string {
		if path == "" || filepath.IsAbs(path) {
			return path
		}
		for _, root := range roots {
			p := filepath.Join(root, path)
			if !isFile(p) {
				continue
			}
			file, err := built(p, allowed)
			if err != nil {
				errs = append(errs, fmt.Errorf("function %q: %w", function, err))
			}
			return file
		}
		errs = append(errs, fmt.Errorf("function %q: no file %s below %s; build it first",
			function, path, strings.Join(roots, " or ")))
		return path
	}
	for i := range m.Functions {
		f := &m.Functions[i]
		f.Spec, f.Wasm = find(f.Name, f.Spec), find(f.Name, f.Wasm)
		for platform, path := range f.Native {
			f.Native[platform] = find(f.Name, path)
		}
	}
	return errors.Join(errs...)
}

// outputBase finds where Bazel keeps what it fetched and built: the directory above the execroot that holds a file.
var outputBase = regexp.MustCompile(`^(/.+?)/execroot/[^/]+/bazel-out/`)

// builtBelow returns where files may be that are found below roots: there, and among what Bazel fetched or built.
func builtBelow(roots []string) []string {
	allowed := slices.Clone(roots)
	for _, root := range roots {
		real, err := filepath.EvalSymlinks(root)
		if err != nil {
			continue // a root that is not there holds nothing
		}
		allowed = append(allowed, real)
		if m := outputBase.FindStringSubmatch(real + "/"); m != nil {
			allowed = append(allowed, filepath.Join(m[1], "execroot"), filepath.Join(m[1], "external"))
		}
	}
	return allowed
}

// built resolves the links of a runfiles tree, and returns the file itself. It refuses one that is not below any of
// allowed: what an action makes may be a link, and this process can read more than an action can. /proc/self/environ is
// another file here than there.
func built(path string, allowed []string) (string, error) {
	file, err := filepath.EvalSymlinks(path)
	if err != nil {
		return "", err
	}
	for _, dir := range allowed {
		if strings.HasPrefix(file, dir+"/") {
			return file, nil
		}
	}
	return "", fmt.Errorf("%s is a link to %s, which Bazel neither fetched nor built", path, file)
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
