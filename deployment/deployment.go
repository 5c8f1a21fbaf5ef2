package deployment

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"text/template"

	"countersign"
)

//go:embed files
var files embed.FS

// layout is where each of files goes.
var layout = []struct {
	name, path string
	mode       fs.FileMode
}{
	{"README.md", "README.md", 0o644},
	{"WORKSPACE", "WORKSPACE", 0o644},
	{"MODULE.bazel", "MODULE.bazel", 0o644},
	{"BUILD.bazel", "BUILD.bazel", 0o644},
	{"bazelrc", ".bazelrc", 0o644},
	{"bazelversion", ".bazelversion", 0o644},
	{"gitignore", ".gitignore", 0o644},
	{"countersign.bzl", "countersign.bzl", 0o644},
	{"repos.bzl", "repos.bzl", 0o644},
	{"dev.hcl", "environments/dev.hcl", 0o644},
	{"prod.hcl", "environments/prod.hcl", 0o644},
	{"bazel", "tools/bazel", 0o755},
	{"check", "ci/check", 0o755},
	{"deploy", "ci/deploy", 0o755},
	{"github.yml", ".github/workflows/deploy.yml", 0o644},
}

// Options say what a repository is made of.
type Options struct {
	Dir    string // where; it must not hold anything but a .git
	Remote string // where git fetches Countersign from
	Commit string // the commit of it that is pinned; "" for that of the remote's HEAD
	Bazel  string // the version of Bazel for .bazelversion; "" for what is installed, else DefaultBazel
}

// Result is what was made.
type Result struct {
	Dir            string // absolute
	Remote, Commit string // as pinned
	Bazel          string
}

// Init makes a deployment repository. It overwrites nothing: a directory that holds something is refused.
func Init(ctx context.Context, o Options) (*Result, error) {
	r := &Result{Commit: o.Commit}
	var err error
	if r.Dir, err = filepath.Abs(o.Dir); err != nil {
		return nil, fmt.Errorf("find %s: %w", o.Dir, err)
	}
	if err := checkEmpty(r.Dir); err != nil {
		return nil, err
	}
	if r.Remote, err = checkRemote(o.Remote); err != nil {
		return nil, err
	}
	bazel, err := bazelFor(ctx, o.Bazel)
	if err != nil {
		return nil, err
	}
	r.Bazel = bazel.Version
	if r.Commit == "" {
		if r.Commit, err = headOf(ctx, r.Remote); err != nil {
			return nil, err
		}
	}
	if !countersign.ValidCommit(r.Commit) {
		return nil, fmt.Errorf("commit %q is not a full commit id; branches and tags can move", r.Commit)
	}
	texts, err := render(struct {
		Remote, Commit, Bazel string
		Debian                bool
		Rc                    []rcLine
	}{r.Remote, r.Commit, bazel.Version, bazel.debian, bazel.rc})
	if err != nil {
		return nil, err
	}
	if err := write(r.Dir, texts); err != nil {
		return nil, fmt.Errorf("make the deployment repository %s: %w", r.Dir, err)
	}
	return r, initGit(ctx, r.Dir)
}

// checkEmpty fails if dir holds more than the .git of somebody who began with `git init`.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("look into %s: %w", dir, err)
	}
	for _, e := range entries {
		if e.Name() != ".git" {
			return fmt.Errorf("%s holds %s already: a deployment repository is made in a new or an empty directory", dir, e.Name())
		}
	}
	return nil
}

// render returns the texts of layout, in its order.
func render(data any) ([][]byte, error) {
	var texts [][]byte
	for _, f := range layout {
		t, err := template.ParseFS(files, "files/"+f.name+".tmpl")
		if err != nil {
			return nil, fmt.Errorf("read the template of %s: %w", f.path, err)
		}
		var b bytes.Buffer
		if err := t.Option("missingkey=error").Execute(&b, data); err != nil {
			return nil, fmt.Errorf("write %s: %w", f.path, err)
		}
		texts = append(texts, b.Bytes())
	}
	return texts, nil
}

// write makes the files of layout. One that has appeared meanwhile is left as it is, and is an error.
func write(dir string, texts [][]byte) error {
	for i, f := range layout {
		path := filepath.Join(dir, f.path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
		if err != nil {
			return err
		}
		_, err = file.Write(texts[i])
		if err := errors.Join(err, file.Close()); err != nil {
			return err
		}
	}
	return nil
}
