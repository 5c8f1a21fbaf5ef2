package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"countersign/git"
	"countersign/modproxy"
	"countersign/scaffold"
)

const (
	newArgs    = "[-module PATH] [-dir DIRECTORY] [-repos FILE|DIRECTORY|URL] NAME"
	newSummary = "make a team's repository with the function NAME: code, tests, spec, build"
)

func init() { register(command{"new", newArgs, newSummary, newVerb}) }

func newVerb(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "new", newArgs, newSummary+`

go.mod requires the SDK at the version that the deployment pins, if there are pins to be found. Nothing is overwritten.
`)
	var pins modproxyFlags
	pins.register(fs)
	path := fs.String("module", "", "the Go module's `path` (default "+scaffold.DefaultPrefix+"/NAME, which only `countersign modproxy` serves)")
	dir := fs.String("dir", "", "`directory` to make (default NAME)")
	args, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(args) != 1 {
		return &usageError{"want the name of one function"}
	}
	r := scaffold.Repository{Name: args[0], Module: *path}
	if r.Module == "" {
		r.Module = scaffold.DefaultPrefix + "/" + r.Name
	}
	if *dir == "" {
		*dir = r.Name
	}
	if err := r.Check(); err != nil {
		return &usageError{err.Error()}
	}
	if r.SDK, err = pins.sdk(ctx, s); err != nil {
		return err
	}
	files, err := r.Files()
	if err != nil {
		return err
	}
	if err := scaffold.Write(*dir, files); err != nil {
		return fmt.Errorf("make a repository in %s: %w", *dir, err)
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintln(s.out, filepath.Join(*dir, name))
	}
	gitInit(ctx, s, *dir)
	fmt.Fprintf(s.err, "Next: cd %s && %s\nREADME.md tells how it is deployed.\n", shellQuoted(*dir), pins.test(r.SDK != nil))
	return nil
}

// test is the command that tests a new repository, in its directory. Without a version of the SDK it gets one first.
func (f *modproxyFlags) test(hasSDK bool) string {
	if !hasSDK {
		return "countersign modproxy -repos DEPLOYMENT -- sh -c 'go mod tidy && go test ./...'"
	}
	if f.repos == os.Getenv("COUNTERSIGN_REPOS") {
		return "countersign modproxy -- go test ./..."
	}
	repos := f.repos
	if _, err := os.Stat(repos); err == nil {
		if abs, err := filepath.Abs(repos); err == nil {
			repos = abs
		}
	}
	return "countersign modproxy -repos " + shellQuoted(repos) + " -- go test ./..."
}

// sdk returns the version of the SDK that is pinned; nil if no pins are named and none are found.
func (f *modproxyFlags) sdk(ctx context.Context, s streams) (*modproxy.Version, error) {
	if f.repos == "" {
		if _, err := modproxy.FindSource("."); err != nil {
			return nil, nil
		}
	}
	server, err := f.open(ctx, s)
	if err != nil {
		return nil, err
	}
	sdk, err := server.Pinned(ctx, modproxy.SDKPath)
	if err != nil {
		return nil, fmt.Errorf("find the version of the SDK that is pinned: %w", err)
	}
	return &sdk, nil
}

// gitInit makes a git repository of a directory that is in none. Without git it says so.
func gitInit(ctx context.Context, s streams, dir string) {
	if _, err := os.Lstat(filepath.Join(dir, ".git")); !errors.Is(err, fs.ErrNotExist) {
		return
	}
	if err := git.Init(ctx, dir); err != nil {
		fmt.Fprintf(s.err, "countersign new: no git repository yet: %v\n", err)
	}
}
