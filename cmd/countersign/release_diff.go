package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"countersign"

	"countersign/pins"
	"countersign/pipeline/releases"
	"countersign/release"
	"countersign/repositories"
)

const (
	releaseDiffArgs    = "FROM TO [-env FILE] [-json]"
	releaseDiffSummary = "show what changes from one release to another, with what was committed to repositories that are pinned here"
)

func init() {
	register(command{"release diff", releaseDiffArgs, releaseDiffSummary, diffReleases})
}

// releaseDiff is what changes from one release to another.
type releaseDiff struct {
	From    int              `json:"from"`
	To      int              `json:"to"`
	Added   []string         `json:"added"`
	Removed []string         `json:"removed"`
	Changed []functionChange `json:"changed"`
}

type functionChange struct {
	Function  string               `json:"function"`
	Fields    map[string][2]string `json:"fields"`            // member of the record -> before, after
	Commits   *repositories.Change `json:"commits,omitempty"` // if the repository is pinned here, and answers
	NoCommits string               `json:"no_commits,omitempty"`
}

func diffReleases(ctx context.Context, s streams, args []string) error {
	var at pinFlags
	list, asJSON, err := readReleases(ctx, s, "release diff", releaseDiffArgs, releaseDiffSummary, 2, args, at.register)
	if err != nil {
		return err
	}
	from, to := list[0], list[1]
	d := release.Diff(from.Record, to.Record)
	out := releaseDiff{From: from.Number, To: to.Number, Added: append([]string{}, d.Added...), Removed: append([]string{}, d.Removed...),
		Changed: []functionChange{}}
	for _, c := range d.Changed {
		change := functionChange{Function: c.Function, Fields: map[string][2]string{}}
		for _, field := range c.Fields {
			change.Fields[field] = [2]string{member(from.Functions[c.Function], field), member(to.Functions[c.Function], field)}
		}
		out.Changed = append(out.Changed, change)
	}
	at.tellCommits(ctx, s, from, to, out.Changed)
	if asJSON {
		return printJSON(s.out, out, nil)
	}
	if d.Empty() {
		fmt.Fprintf(s.out, "Releases %d and %d run the same.\n", out.From, out.To)
	}
	for _, name := range out.Added {
		fmt.Fprintf(s.out, "+ %s %s\n", name, to.Functions[name].ID())
	}
	for _, name := range out.Removed {
		fmt.Fprintf(s.out, "- %s %s\n", name, from.Functions[name].ID())
	}
	for i, c := range out.Changed {
		fmt.Fprintf(s.out, "~ %s\n", c.Function)
		for _, field := range d.Changed[i].Fields {
			fmt.Fprintf(s.out, "    %s: %s -> %s\n", field, printable(c.Fields[field][0]), printable(c.Fields[field][1]))
			if field == "commit" {
				printCommits(s.out, c)
			}
		}
	}
	return nil
}

// tellCommits adds the commits between two releases to what changed, as far as the repositories are pinned here and answer.
func (f *pinFlags) tellCommits(ctx context.Context, s streams, from, to *releases.Entry, changed []functionChange) {
	var d *repositories.Deployment
	for i := range changed {
		c := &changed[i]
		before, after := from.Functions[c.Function], to.Functions[c.Function]
		if before.Commit == after.Commit || before.Repository != after.Repository {
			continue
		}
		var err error
		if d == nil {
			if d, err = f.open(s, "release diff"); errors.Is(err, pins.ErrNone) {
				return
			}
		}
		if err == nil {
			c.Commits, err = d.Between(s.patient(ctx, "release diff"), c.Function, after.Repository, before.Commit, after.Commit)
		}
		if err != nil {
			c.NoCommits = err.Error()
		}
	}
}

// printCommits prints what was committed between two releases of a function.
func printCommits(w io.Writer, c functionChange) {
	if c.NoCommits != "" {
		fmt.Fprintf(w, "      (the commits can't be told: %s)\n", printable(c.NoCommits))
	}
	if c.Commits == nil {
		return
	}
	print := func(what string, list []repositories.Commit, count int) {
		for _, commit := range list {
			fmt.Fprintf(w, "      %s%s %s\n", what, countersign.Short(commit.ID), printable(commit.Subject))
		}
		if more := count - len(list); more > 0 {
			fmt.Fprintf(w, "      %sand %d more\n", what, more)
		}
	}
	print("+ ", c.Commits.Commits, c.Commits.Ahead)
	print("- ", c.Commits.Undone, c.Commits.Behind)
}

// member returns what a record says of a function, as text.
func member(f release.Function, field string) string {
	switch field {
	case "artifact":
		return f.Artifact
	case "artifact_digest":
		return f.ArtifactDigest
	case "callees":
		return strings.Join(f.Callees, " ")
	case "calls":
		var parts []string
		for callee, digest := range f.Calls {
			parts = append(parts, callee+"="+digest)
		}
		slices.Sort(parts)
		return strings.Join(parts, " ")
	case "commit":
		return f.Commit
	case "interface_digest":
		return f.InterfaceDigest
	case "key":
		return f.Key
	case "repository":
		return f.Repository
	}
	return f.SpecDigest
}
