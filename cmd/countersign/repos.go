package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"countersign"
	"countersign/pins"
	"countersign/repositories"
)

const (
	reposArgs          = "[-repos FILE|DIRECTORY] [-json]"
	reposSummary       = "list the pinned repositories: what is new in each, and who depends on it"
	bumpArgs           = "REPOSITORY... [-to COMMIT] [-dry-run] [-repos FILE|DIRECTORY]"
	bumpSummary        = "move the pins of repositories to their newest commits"
	reposAddArgs       = "REMOTE [-name NAME] [-ref REF] [-to COMMIT] [-function NAME=LABEL]... [-dry-run] [-repos FILE|DIRECTORY]"
	reposAddSummary    = "pin a team's repository"
	reposRemoveArgs    = "REPOSITORY [-force] [-dry-run] [-repos FILE|DIRECTORY]"
	reposRemoveSummary = "take the pin of a repository away; what of it runs is not touched"
)

// `repos remove` takes a pin away, and `remove` a function of an environment: what is built and what runs are changed by
// different people at different times, so neither does the other's work.
func init() {
	register(command{"repos", reposArgs, reposSummary, repos})
	register(command{"bump", bumpArgs, bumpSummary, bump})
	register(command{"repos add", reposAddArgs, reposAddSummary, reposAdd})
	register(command{"repos remove", reposRemoveArgs, reposRemoveSummary, reposRemove})
}

// pinFlags say which repos.bzl is meant.
type pinFlags struct {
	repos, cache string
	dryRun       bool
}

func (f *pinFlags) register(fs *flag.FlagSet) {
	fs.StringVar(&f.repos, "repos", os.Getenv("COUNTERSIGN_REPOS"), "`where` the pins are: repos.bzl, or a directory that holds it\n"+
		"(default $COUNTERSIGN_REPOS, else repos.bzl in this directory or above)")
	fs.StringVar(&f.cache, "cache", "", "`directory` for clones (default countersign/modproxy in the user's cache)")
}

func (f *pinFlags) registerEdit(fs *flag.FlagSet) {
	f.register(fs)
	fs.BoolVar(&f.dryRun, "dry-run", false, "tell what would change, and change nothing")
}

// path returns where repos.bzl is.
func (f *pinFlags) path() (string, error) {
	if f.repos == "" {
		return pins.Find(".")
	}
	info, err := os.Stat(f.repos)
	if err != nil {
		return "", fmt.Errorf("find the pins (-repos or COUNTERSIGN_REPOS is a file or a directory here, since they may be changed): %w", err)
	}
	if info.IsDir() {
		return filepath.Join(f.repos, pins.FileName), nil
	}
	return f.repos, nil
}

func (f *pinFlags) open(s streams, verb string) (*repositories.Deployment, error) {
	path, err := f.path()
	if err != nil {
		return nil, err
	}
	if f.cache, err = cloneCache(f.cache); err != nil {
		return nil, err
	}
	return repositories.Open(path, f.cache, func(text string) { fmt.Fprintf(s.err, "countersign %s: %s\n", verb, printable(text)) })
}

// write writes the pins, unless they are only to be looked at.
func (f *pinFlags) write(s streams, d *repositories.Deployment) error {
	if f.dryRun {
		fmt.Fprintln(s.out, "Nothing was written.")
		return nil
	}
	return d.Write()
}

func repos(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "repos", reposArgs, reposSummary+`

Every remote is asked for the newest commit of its pin's ref. One that can't be reached is told in its row, and what is known
of its pin is shown all the same.
`)
	var f pinFlags
	f.register(fs)
	asJSON := fs.Bool("json", false, "print JSON")
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) > 0:
		return &usageError{fmt.Sprintf("unexpected argument %q; `countersign help repos` lists what else there is", rest[0])}
	}
	d, err := f.open(s, "repos")
	if err != nil {
		return err
	}
	all, err := d.List(ctx)
	if err != nil {
		return err
	}
	if *asJSON {
		return printJSON(s.out, all, nil)
	}
	for i, r := range all {
		if i > 0 {
			fmt.Fprintln(s.out)
		}
		printRepository(s.out, r)
	}
	if len(all) == 0 {
		fmt.Fprintln(s.out, "Nothing is pinned yet: `countersign repos add REMOTE` pins a repository.")
	}
	return nil
}

func printRepository(w io.Writer, r *repositories.Repository) {
	fmt.Fprintf(w, "%s  %s  %s of %s\n", r.Name, countersign.Short(r.Commit), r.Ref, printable(r.Remote))
	switch {
	case r.Error != "":
		fmt.Fprintf(w, "  not known: %s\n", printable(r.Error))
	case r.Bump.Ahead == 0 && r.Bump.Behind == 0:
		fmt.Fprintln(w, "  newest")
	}
	if r.Bump != nil {
		printChange(w, r.Bump)
	}
	for _, f := range r.Functions {
		fmt.Fprintf(w, "  function %s (%s)", f.Name, printable(f.Label))
		if len(f.Calls) > 0 {
			fmt.Fprintf(w, " calls %s", strings.Join(f.Calls, ", "))
		}
		fmt.Fprintln(w)
	}
	if len(r.CalledBy) > 0 {
		fmt.Fprintf(w, "  called by %s\n", strings.Join(r.CalledBy, ", "))
	}
	for _, i := range r.ImportedBy {
		fmt.Fprintf(w, "  imported by %s, at %s\n", i.Repository, printable(i.Version))
	}
}

// printChange prints what moving a pin changes. Subjects and names are what teams wrote.
func printChange(w io.Writer, c *repositories.Change) {
	print := func(what, mark string, commits []repositories.Commit, count int) {
		if count == 0 {
			return
		}
		fmt.Fprintf(w, "  %s: %s\n", what, plural(count, "commit"))
		for _, commit := range commits {
			fmt.Fprintf(w, "    %s %s %s %s\n", mark, countersign.Short(commit.ID), commit.Time.Format("2006-01-02"), printable(commit.Subject))
		}
		if more := count - len(commits); more > 0 {
			fmt.Fprintf(w, "    … and %d more\n", more)
		}
	}
	print("new, up to "+countersign.Short(c.To), "+", c.Commits, c.Ahead)
	print("taken back", "-", c.Undone, c.Behind)
	for _, note := range c.Notes {
		fmt.Fprintf(w, "  note: %s\n", printable(note))
	}
}

func bump(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "bump", bumpArgs, bumpSummary+`

Moves the pins in repos.bzl, all or none, and changes nothing else in the file. The commits have to be in the history of the
pins' refs, as the remotes have them now. What is moved runs after the next bazel run //:deploy.
`)
	var f pinFlags
	f.registerEdit(fs)
	to := fs.String("to", "", "`commit` to pin, older or newer: its id, or the first seven digits of it or more")
	names, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(names) == 0:
		return &usageError{"name the repositories; `countersign repos` lists them"}
	case *to != "" && len(names) > 1:
		return &usageError{"-to is a commit of one repository"}
	}
	d, err := f.open(s, "bump")
	if err != nil {
		return err
	}
	d.Ask()
	moves, err := d.Bump(ctx, names, *to)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	for _, m := range moves {
		if m.From == m.To {
			fmt.Fprintf(s.out, "%s stays at %s\n", m.Name, countersign.Short(m.To))
			continue
		}
		fmt.Fprintf(s.out, "%s %s -> %s\n", m.Name, countersign.Short(m.From), countersign.Short(m.To))
		printChange(s.out, m.Change)
	}
	if !d.Changed() {
		return nil
	}
	return f.write(s, d)
}

func reposAdd(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "repos add", reposAddArgs, reposAddSummary+`

Its functions are those that its BUILD files declare with countersign_function; name them with -function if a rule of the team's
makes them, or if not all are to be deployed.
`)
	var f pinFlags
	f.registerEdit(fs)
	var a repositories.Addition
	fs.StringVar(&a.Name, "name", "", "`name` of the repository here (default the last part of the remote)")
	fs.StringVar(&a.Ref, "ref", "", "branch or tag whose history holds what is deployed (default the remote's HEAD)")
	fs.StringVar(&a.Commit, "to", "", "`commit` to pin (default the newest)")
	fs.Func("function", "`NAME=LABEL` of a function, such as cart=//cart; may be repeated", func(v string) error {
		name, label, found := strings.Cut(v, "=")
		if !found || !countersign.ValidName(name) {
			return fmt.Errorf("want NAME=LABEL, such as cart=//cart")
		}
		if a.Functions == nil {
			a.Functions = map[string]string{}
		}
		a.Functions[name] = label
		return nil
	})
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) != 1:
		return &usageError{"name one remote: a URL or path for git"}
	}
	a.Remote = rest[0]
	d, err := f.open(s, "repos add")
	if err != nil {
		return err
	}
	d.Ask()
	e, notes, err := d.Add(ctx, a)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	fmt.Fprintf(s.out, "%s is pinned at %s, with %s\n", e.Name, countersign.Short(e.Commit), strings.Join(e.Names(), ", "))
	for _, note := range notes {
		fmt.Fprintf(s.out, "  note: %s\n", printable(note))
	}
	return f.write(s, d)
}

func reposRemove(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "repos remove", reposRemoveArgs, reposRemoveSummary+`

It is refused while other pinned repositories call its functions or import its module. What runs is taken away by
countersign remove.
`)
	var f pinFlags
	f.registerEdit(fs)
	force := fs.Bool("force", false, "even if others depend on it, or if that can't be told")
	names, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(names) != 1:
		return &usageError{"name one repository; `countersign repos` lists them"}
	}
	d, err := f.open(s, "repos remove")
	if err != nil {
		return err
	}
	removed, err := d.Remove(ctx, names[0], *force)
	if err != nil {
		return fmt.Errorf("nothing was changed: %w", err)
	}
	fmt.Fprintf(s.out, "%s is not pinned any more\n", removed.Name)
	for _, function := range removed.Functions {
		fmt.Fprintf(s.out, "  note: where %s runs, it goes on; `countersign remove %s` takes it away\n", function.Name, function.Name)
	}
	return f.write(s, d)
}
