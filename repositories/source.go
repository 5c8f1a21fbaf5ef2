package repositories

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"countersign"
	"countersign/git"
)

// Origin is where an artifact was built from, as its verified attestation tells.
type Origin struct {
	Function string
	Remote   string // for git; one that begins with // is a path below the deployment repository
	Commit   string
	Ref      string // "" for the remote's HEAD
}

// Source is the source of an artifact, in a directory.
type Source struct {
	Dir    string `json:"dir"`
	Commit string `json:"commit"`
	Tree   string `json:"tree"` // git's hash over all of the files; the directory has it, too
	Files  int    `json:"files"`
}

// Fetch writes the files of an origin's commit into a new directory, without history. base is the deployment repository, "" for none;
// cache is a directory for clones. What is in the directory in the end has git's hash of the commit's files, or there is no directory.
func (o Origin) Fetch(ctx context.Context, dir, base, cache string, tell func(string)) (*Source, error) {
	if !countersign.ValidCommit(o.Commit) {
		return nil, fmt.Errorf("%.80q is not a full commit id", o.Commit)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s is there already: name another directory with -dir", dir)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return nil, err
	}
	clone, err := o.clone(base, cache, tell)
	if err != nil {
		return nil, err
	}
	clone.Ask = true
	scratch, err := os.MkdirTemp(filepath.Dir(dir), ".source-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(scratch)
	store, err := o.fetch(ctx, clone, filepath.Join(scratch, "git"))
	if err != nil {
		return nil, err
	}
	s := &Source{Dir: dir, Commit: o.Commit}
	files := filepath.Join(scratch, "files")
	if err := s.export(ctx, store, files); err != nil {
		return nil, err
	}
	return s, os.Rename(files, dir)
}

func (o Origin) clone(base, cache string, tell func(string)) (*git.Clone, error) {
	ref := o.Ref
	if ref == "" {
		ref = git.HEAD
	}
	if !strings.HasPrefix(o.Remote, "//") {
		if _, err := git.CheckRemote(o.Remote); err != nil {
			return nil, fmt.Errorf("the attested repository: %w", err)
		}
	}
	return git.NewClone(cache, base, git.Source{Name: o.Function, Remote: o.Remote, Ref: ref, SHA256: len(o.Commit) == 64}, tell)
}

// fetch makes a repository that has the commit. Its id is the hash of what it holds, so it does not matter who gives it out. Servers that
// give out only what branches and tags point at are asked for the history.
func (o Origin) fetch(ctx context.Context, clone *git.Clone, dir string) (git.Repository, error) {
	format := "--object-format=sha1"
	if len(o.Commit) == 64 {
		format = "--object-format=sha256"
	}
	r := git.Repository{Dir: dir, Ask: true}
	if _, err := r.Run(ctx, "init", "--quiet", "--bare", format); err != nil {
		return r, err
	}
	if err := os.MkdirAll(filepath.Join(dir, "info"), 0o755); err != nil {
		return r, err
	}
	if err := os.WriteFile(filepath.Join(dir, "info/attributes"), []byte(attributes), 0o644); err != nil {
		return r, err
	}
	from := clone.Remote()
	if held, _ := clone.Holds(ctx, o.Commit); held {
		from = clone.Dir
	}
	shallow := []string{"fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", "--"}
	if _, err := r.Run(ctx, append(shallow, from, "+"+o.Commit+":refs/countersign/source")...); err == nil {
		return r, nil
	}
	if err := clone.Ensure(ctx, o.Commit); err != nil {
		return r, err
	}
	_, err := r.Run(ctx, "fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--", clone.Dir, "+"+git.Tip+":refs/countersign/source")
	return r, err
}

// export writes the files of the commit, and compares what was written with it.
func (s *Source) export(ctx context.Context, store git.Repository, dir string) error {
	tree, err := store.Run(ctx, "rev-parse", "--verify", "--quiet", "--end-of-options", s.Commit+"^{tree}")
	if err != nil {
		return err
	}
	s.Tree = tree
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	store.WorkTree = dir
	index := func(name string) git.Repository {
		r := store
		r.Env = []string{"GIT_INDEX_FILE=" + filepath.Join(store.Dir, name)}
		return r
	}
	plain := []string{"-c", "core.fileMode=true", "-c", "core.symlinks=true", "-c", "core.autocrlf=false", "-c", "core.excludesFile=/dev/null"}
	do := func(r git.Repository, args ...string) error {
		_, err := r.Run(ctx, append(plain[:len(plain):len(plain)], args...)...)
		return err
	}
	out := index("out")
	if err := do(out, "read-tree", s.Commit); err != nil {
		return err
	}
	if err := do(out, "checkout-index", "--all"); err != nil {
		return err
	}
	// Back from the files: what git would commit of the directory is what the commit holds.
	back := index("back")
	if err := do(back, "add", "--all", "--force", "--", "."); err != nil {
		return err
	}
	entries, err := store.Tree(ctx, s.Commit, "")
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Mode != "160000" {
			s.Files++
			continue
		}
		if err := do(back, "update-index", "--add", "--cacheinfo", e.Mode+","+e.Object+","+e.Path); err != nil {
			return err // a submodule, of which a build has nothing
		}
	}
	got, err := back.Run(ctx, "write-tree")
	if err != nil {
		return err
	}
	if got != tree {
		return git.Refusef("what was written has the hash %s, and the files of commit %s have %s", got, s.Commit, tree)
	}
	return nil
}
