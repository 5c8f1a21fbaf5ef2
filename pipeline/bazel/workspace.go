package bazel

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"countersign/hclspec"
	"countersign/strictjson"
)

// Workspace is a Bazel workspace with a deploy target.
type Workspace struct {
	dir          string // where Bazel is started
	startup      []string
	options      []string          // of build and test, as the user gave them to bazel run
	functions    map[string]target // by name
	repositories map[string]string // of repos.bzl -> label of the file that vouches for it
	bin          string            // where the deploy target's package is built
	execroot     string            // what paths in manifests are relative to
}

// target is a function that the deploy target can build.
type target struct {
	Name     string `json:"name"`
	Target   string `json:"target"`   // label of the function
	Manifest string `json:"manifest"` // label of what builds it and writes its manifest
}

// execrootOf finds the directory in which Bazel runs actions, from the path of a built file.
var execrootOf = regexp.MustCompile(`^(/.+?/execroot/[^/]+)/bazel-out/`)

// Open reads the file that the deploy rule wrote. getenv looks up variables of the environment: in it Bazel names the
// workspace, and tools/bazel the options of the command line.
func Open(file string, getenv func(string) string) (*Workspace, error) {
	src, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read what there is to build (bazel run //:deploy names it): %w", err)
	}
	var content struct {
		Functions    []target          `json:"functions"`
		Repositories map[string]string `json:"repositories"`
	}
	if err := strictjson.Decode(src, &content); err != nil {
		return nil, fmt.Errorf("read what there is to build: %s: %w", file, err)
	}
	real, err := filepath.EvalSymlinks(file)
	if err != nil {
		return nil, err
	}
	root := execrootOf.FindStringSubmatch(real)
	if root == nil {
		return nil, fmt.Errorf("%s was not built by Bazel: use `bazel run //:deploy`", file)
	}
	w := &Workspace{
		dir: getenv("BUILD_WORKSPACE_DIRECTORY"), startup: lines(getenv("COUNTERSIGN_BAZEL_STARTUP")),
		options: lines(getenv("COUNTERSIGN_BAZEL_OPTIONS")), functions: map[string]target{},
		repositories: content.Repositories, bin: filepath.Dir(real), execroot: root[1],
	}
	if err := w.checkedOut(); err != nil {
		return nil, err
	}
	if w.dir == "" {
		return nil, errors.New("BUILD_WORKSPACE_DIRECTORY is not set: use `bazel run //:deploy`")
	}
	for _, f := range content.Functions {
		w.functions[f.Name] = f
	}
	return w, nil
}

// CheckedOutError says that a repository is built from a checkout and not from its pin, which is why nothing is deployed.
type CheckedOutError struct{ Repositories []string }

func (e *CheckedOutError) Error() string {
	list := strings.Join(e.Repositories, ", ")
	return fmt.Sprintf("nothing was built or changed: %s is checked out, and only what a pinned commit holds is deployed. Commit, push and `countersign bump` "+
		"it, then `countersign checkin` it; or set COUNTERSIGN_CHECKOUTS=off to deploy what is pinned, without what is in the checkout", list)
}

// checkouts begins the directories of repositories that tools/bazel overrides by what `countersign checkout` lists.
const checkouts = "/checkouts/"

// checkedOut is an error if there are such repositories. Even one that holds no more than its pin has no proof of that.
func (w *Workspace) checkedOut() error {
	var names []string
	for _, option := range w.options {
		name, path, found := strings.Cut(strings.TrimPrefix(option, "--override_repository="), "=")
		if strings.HasPrefix(option, "--override_repository=") && found && strings.HasPrefix(path, checkouts) {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	return &CheckedOutError{names}
}

// lines returns the lines of text that are not empty.
func lines(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == '\n' })
}

// Functions returns the names of all functions that the deploy target has, in order.
func (w *Workspace) Functions() []string {
	var names []string
	for name := range w.functions {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// check refuses names of functions that there are not.
func (w *Workspace) check(names []string) error {
	var errs []error
	for _, name := range names {
		if _, known := w.functions[name]; !known {
			errs = append(errs, &hclspec.UnknownFunctionError{Name: name, Where: "in repos.bzl", Known: w.Functions()})
		}
	}
	return errors.Join(errs...)
}

// part returns the file of a function's manifest.
func (w *Workspace) part(name string) string {
	label := w.functions[name].Manifest
	return filepath.Join(w.bin, label[strings.LastIndex(label, ":")+1:]+".json")
}
