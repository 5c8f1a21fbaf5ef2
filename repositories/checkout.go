package repositories

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"countersign"
	"countersign/git"
	"countersign/pins"
)

// attributes are those of a checkout: its files are the commit's, byte for byte, as in a build. No attribute of the team's has them
// filtered by a program of the user's.
const attributes = "* -text -eol -filter -ident -working-tree-encoding\n"

// marker is a file in the .git of a checkout that says that `countersign checkout` made it, so that checkin may remove it.
const marker = "countersign-checkout"

// fetchedRef holds, in a checkout, the history that the pinned commit was found in.
const fetchedRef = "refs/countersign/fetched"

// Checkout is a clone of a pinned repository that Bazel builds in place of the pinned commit.
type Checkout struct {
	Name     string `json:"name"`
	Dir      string `json:"dir"`
	Pinned   string `json:"pinned"` // commit; "" if it is not pinned any more
	Head     string `json:"head"`   // commit
	Branch   string `json:"branch"` // "" for none
	Changes  int    `json:"changes"`
	Unpushed int    `json:"unpushed"` // commits that no branch of a remote has
	Stash    bool   `json:"stash"`
	Error    string `json:"error,omitempty"` // why the above is not known
}

// Checkout clones the repository of a name, or of the function of that name, at its pinned commit, and has Bazel build it
// from there. dir is where; "" for CheckoutsDir.
func (d *Deployment) Checkout(ctx context.Context, name, dir string) (*Checkout, error) {
	e, ok := d.file.Entry(name)
	if !ok {
		if e, ok = d.file.Of(name); !ok {
			_, err := d.entry(name)
			return nil, err
		}
	}
	if err := d.knowsCheckouts(); err != nil {
		return nil, err
	}
	o, err := lockOverrides(d.Dir())
	if err != nil {
		return nil, err
	}
	defer o.close()
	v, err := d.place(o, e.Name, dir)
	if err != nil {
		return nil, err
	}
	clone, err := d.clone(e)
	if err != nil {
		return nil, err
	}
	if err := clone.Ensure(ctx, e.Commit); err != nil {
		return nil, err
	}
	if err := o.write(o.list); err != nil { // so that git ignores what comes
		return nil, err
	}
	if err := makeCheckout(ctx, clone, e, v.dir(d.Dir())); err != nil {
		return nil, fmt.Errorf("check out %s: %w", e.Name, err)
	}
	if err := o.put(v); err != nil {
		return nil, err
	}
	return d.stateOf(ctx, v), nil
}

// place returns where a repository is to be checked out.
func (d *Deployment) place(o *overrides, name, dir string) (override, error) {
	if there, ok := o.lookUp(name); ok {
		return override{}, fmt.Errorf("%s is checked out already, in %s", name, there.dir(d.Dir()))
	}
	v := override{name, filepath.Join(CheckoutsDir, name)}
	if dir != "" {
		var err error
		if v.path, err = filepath.Abs(dir); err != nil {
			return v, err
		}
		if !writable(v.path) {
			return v, fmt.Errorf("%q holds spaces or control characters, which the build can't have in the path of a checkout", v.path)
		}
		below, err := filepath.Rel(d.Dir(), v.path)
		if err == nil && filepath.IsLocal(below) && filepath.Dir(below) != CheckoutsDir {
			return v, fmt.Errorf("%s is in the deployment repository, which would take it for a part of itself: choose %s, or a directory outside",
				v.path, filepath.Join(d.Dir(), CheckoutsDir, name))
		}
	}
	if _, err := os.Lstat(v.dir(d.Dir())); !errors.Is(err, fs.ErrNotExist) {
		return v, fmt.Errorf("%s is there already, and is not a checkout that is in use: move it away, or name another directory with -dir", v.dir(d.Dir()))
	}
	return v, nil
}

var productCommit = regexp.MustCompile(`(?m)^    "commit": "([0-9a-f]{40}|[0-9a-f]{64})",$`)

// knowsCheckouts fails if the tools/bazel that builds here is of a Countersign that would pass checkouts over: whoever works in one
// would test something else. If it was not fetched yet, that can't be told.
func (d *Deployment) knowsCheckouts() error {
	script := filepath.Join(d.Dir(), "tools/bazel")
	if text, err := os.ReadFile(filepath.Join(d.Dir(), "countersign.bzl")); err == nil {
		m := productCommit.FindSubmatch(text)
		if m == nil {
			return nil // for tools/bazel to say
		}
		script = filepath.Join(d.Dir(), ".repos/.countersign", string(m[1]), "tools/bazel")
	}
	text, err := os.ReadFile(script)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !bytes.Contains(text, []byte(CheckoutsDir+"/"+overridesName)) {
		return fmt.Errorf("%s is of a Countersign that builds no checkouts: move the pin in countersign.bzl to a newer one", script)
	}
	return nil
}

// makeCheckout clones into dir: all of it is there, or nothing.
func makeCheckout(ctx context.Context, clone *git.Clone, e pins.Entry, dir string) error {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	// What begins with a dot is no checkout that anybody looks for.
	made, err := os.MkdirTemp(filepath.Dir(dir), ".checkout-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(made) // has no effect after the rename
	if err := os.Chmod(made, 0o755); err != nil {
		return err
	}
	if err := fillCheckout(ctx, clone, e, made); err != nil {
		return err
	}
	return os.Rename(made, dir)
}

func fillCheckout(ctx context.Context, clone *git.Clone, e pins.Entry, dir string) error {
	format := "--object-format=sha1"
	if len(e.Commit) == 64 {
		format = "--object-format=sha256"
	}
	if _, err := (git.Repository{}).Run(ctx, "init", "--quiet", format, "--", dir); err != nil {
		return err
	}
	for name, text := range map[string]string{"info/attributes": attributes, marker: e.Name + "\n"} {
		file := filepath.Join(dir, ".git", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	branch, err := clone.Branch(ctx)
	if err != nil {
		return err
	}
	r := git.At(dir)
	fetch := []string{"fetch", "--quiet", "--no-write-fetch-head", "--", clone.Dir, "+" + git.Tip + ":" + fetchedRef, "+refs/tags/*:refs/tags/*"}
	steps := [][]string{
		{"config", "remote.origin.url", clone.Remote()},
		{"config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"},
	}
	local := branch
	if branch == "" {
		local = "work" // of a tag: git would lose commits that are on no branch
	} else {
		fetch = append(fetch, "+"+git.Tip+":refs/remotes/origin/"+branch)
		steps = append(steps, []string{"config", "branch." + branch + ".remote", "origin"}, []string{"config", "branch." + branch + ".merge", "refs/heads/" + branch})
	}
	steps = append(steps, fetch, []string{"checkout", "--quiet", "--no-track", "-B", local, e.Commit})
	for _, step := range steps {
		if _, err := r.Run(ctx, step...); err != nil {
			return err
		}
	}
	return makeWorkspace(dir)
}

// makeWorkspace makes a WORKSPACE where the team has none: without one, Bazel takes no directory in place of a repository. Git
// takes no notice of it.
func makeWorkspace(dir string) error {
	for _, name := range []string{"WORKSPACE", "WORKSPACE.bazel"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	err := os.WriteFile(filepath.Join(dir, ".git/info/exclude"), []byte("/WORKSPACE\n"), 0o644)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "WORKSPACE"), nil, 0o644)
}

// Checkouts returns what is checked out.
func (d *Deployment) Checkouts(ctx context.Context) ([]*Checkout, error) {
	list, err := readOverrides(d.Dir())
	if err != nil {
		return nil, err
	}
	all := []*Checkout{}
	for _, v := range list {
		all = append(all, d.stateOf(ctx, v))
	}
	return all, ctx.Err()
}

func (d *Deployment) stateOf(ctx context.Context, v override) *Checkout {
	c := &Checkout{Name: v.name, Dir: v.dir(d.Dir())}
	if e, ok := d.file.Entry(v.name); ok {
		c.Pinned = e.Commit
	}
	if err := c.read(ctx); err != nil {
		c.Error = err.Error()
	}
	return c
}

// read looks what is in the checkout.
func (c *Checkout) read(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(c.Dir, ".git")); err != nil {
		return fmt.Errorf("it is no git repository: %w", err)
	}
	r := git.At(c.Dir)
	var err error
	if c.Head, err = r.Run(ctx, "rev-parse", "--verify", "HEAD^{commit}"); err != nil {
		return err
	}
	if c.Branch, err = r.Run(ctx, "symbolic-ref", "--short", "--quiet", "HEAD"); err != nil {
		c.Branch = "" // there is none
	}
	status, err := r.Run(ctx, "status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=none")
	if err != nil {
		return err
	}
	c.Changes = strings.Count(status, "\x00")
	count, err := r.Run(ctx, "rev-list", "--count", "HEAD", "--branches", "--not", "--remotes", "--glob="+fetchedRef)
	if err != nil {
		return err
	}
	if c.Unpushed, err = strconv.Atoi(count); err != nil {
		return err
	}
	_, err = r.Run(ctx, "rev-parse", "--verify", "--quiet", "refs/stash")
	c.Stash = err == nil
	return ctx.Err()
}

// Lost tells what is in the checkout and nowhere else; "" for nothing.
func (c *Checkout) Lost() string {
	var what []string
	add := func(n int, one, many string) {
		if n == 1 {
			what = append(what, "1 "+one)
		} else if n > 1 {
			what = append(what, strconv.Itoa(n)+" "+many)
		}
	}
	add(c.Changes, "uncommitted change", "uncommitted changes")
	add(c.Unpushed, "commit that is not pushed", "commits that are not pushed")
	if c.Stash {
		what = append(what, "a stash")
	}
	if c.Error != "" {
		what = append(what, "what can't be told ("+c.Error+")")
	}
	return strings.Join(what, ", ")
}

// Checkin has Bazel build a repository from its pin again, and removes the checkout. It is refused while there is work in it that is
// nowhere else, unless force is set. With keep the directory stays.
func (d *Deployment) Checkin(ctx context.Context, name string, force, keep bool) (*Checkout, error) {
	o, err := lockOverrides(d.Dir())
	if err != nil {
		return nil, err
	}
	defer o.close()
	v, ok := o.lookUp(name)
	if !ok {
		if e, of := d.file.Of(name); of {
			v, ok = o.lookUp(e.Name)
		}
	}
	if !ok {
		return nil, fmt.Errorf("%s is not checked out", name)
	}
	c := d.stateOf(ctx, v)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if _, err := os.Lstat(c.Dir); errors.Is(err, fs.ErrNotExist) || keep {
		return c, o.remove(v.name)
	}
	if lost := c.Lost(); lost != "" && !force {
		return nil, fmt.Errorf("%s has %s: push it, or end the checkout and leave the directory with -keep, or lose it with -force", c.Dir, lost)
	}
	if text, err := os.ReadFile(filepath.Join(c.Dir, ".git", marker)); err != nil || string(text) != v.name+"\n" {
		return nil, fmt.Errorf("%s is not what `countersign checkout %s` made, and is not removed: end the checkout with -keep", c.Dir, v.name)
	}
	if err := o.remove(v.name); err != nil {
		return nil, err
	}
	if err := os.RemoveAll(c.Dir); err != nil {
		return nil, fmt.Errorf("%s is built from its pin again, but its checkout could not be removed: %w", v.name, err)
	}
	return c, nil
}

// AtPin tells whether the checkout is what is pinned.
func (c *Checkout) AtPin() bool {
	return c.Error == "" && c.Changes == 0 && countersign.ValidCommit(c.Head) && c.Head == c.Pinned
}
