package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"countersign"
	"countersign/pins"
	"countersign/pipeline"
	"countersign/pipeline/progress"
	"countersign/pipeline/routes"
)

const (
	rollbackArgs       = "[-to RELEASE] [-env FILE] [flags] [function…]"
	rollbackSummary    = "bring functions, or a whole release, back to what ran before, with all that has to move with it"
	rollforwardArgs    = "[-env FILE] [flags]"
	rollforwardSummary = "take the latest rollback back"
)

func init() {
	register(command{"rollback", rollbackArgs, rollbackSummary, rollback})
	register(command{"rollforward", rollforwardArgs, rollforwardSummary, rollforward})
}

const rollbackHelp = rollbackSummary + `

  countersign rollback             the release before the one that runs
  countersign rollback -to 7       release 7
  countersign rollback quote       quote, to the version that it replaced
  countersign rollback -to 7 quote quote as it was in release 7

Functions whose interfaces would not fit any more move along, as few as can be. Nothing is built: what ran is in the registry,
and is verified again. The pins in repos.bzl follow. -plan-only shows all of it and changes nothing.
`

func rollback(ctx context.Context, s streams, args []string) error {
	return moveBack(ctx, s, "rollback", rollbackArgs, rollbackHelp, args)
}

func rollforward(ctx context.Context, s streams, args []string) error {
	return moveBack(ctx, s, "rollforward", rollforwardArgs, rollforwardSummary, args)
}

func moveBack(ctx context.Context, s streams, verb, argsLine, help string, args []string) error {
	fs := flags(s, verb, argsLine, help)
	o := pipeline.RollbackOptions{Forward: verb == "rollforward"}
	if !o.Forward {
		fs.IntVar(&o.To, "to", 0, "`number` of the release to go back to (default the one before)")
	}
	fs.StringVar(&o.Environment, "env", os.Getenv("COUNTERSIGN_ENVIRONMENT"),
		"environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	fs.StringVar(&o.JobsDir, "jobs-dir", "", "`directory` of the rendered jobs (default jobs in the Bazel workspace)")
	fs.StringVar(&o.Repos, "repos", "", "repos.bzl `file` whose pins follow (default the one in this directory or above, if any)")
	fs.BoolVar(&o.Resign, "resign", false, "sign again what only a retired version of its key attests, if a release record has its public key and says the same")
	canary := fs.String("canary", "", "`share` of the calls, such as 10%, that moved functions get at first, beside what runs")
	fs.BoolVar(&o.PlanOnly, "plan-only", false, "show what would change, and change nothing")
	fs.DurationVar(&o.LockWait, "wait", 0, "how long to wait for another deploy to end")
	fs.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "how long each function may take to become healthy")
	timings := fs.Bool("timings", false, "print how long each step took")
	asJSON := fs.Bool("json", false, "print the result as JSON, and the progress to standard error")
	var err error
	if o.Functions, err = parse(fs, args); err != nil {
		return err
	}
	switch {
	case o.Forward && len(o.Functions) > 0:
		return &usageError{"it takes no functions: it takes the latest rollback back as a whole"}
	case o.To < 0:
		return &usageError{"-to names a release by its number; `countersign releases` lists them"}
	}
	if *canary != "" {
		if o.Canary, err = routes.ParseShare(*canary); err != nil {
			return &usageError{"-canary " + err.Error()}
		}
	}
	if o.Repos, err = reposFile(o.Repos); err != nil {
		return err
	}
	o.JobsDir = jobsDir(o.JobsDir)
	out := s.out
	if *asJSON {
		out = s.err
	}
	view := newProgress(out, progress.RollbackSteps)
	o.Observer = view
	result, err := pipeline.Rollback(ctx, o)
	view.Close()
	if *asJSON {
		return printJSON(s.out, result, err)
	}
	if *timings {
		printTimings(s.out, result.Steps)
	}
	printMoves(s.out, result, err)
	return err
}

// reposFile returns the file whose pins follow, "" if there is none. One that the user named has to be there.
func reposFile(flag string) (string, error) {
	if flag != "" {
		_, err := pins.Read(flag)
		return flag, err
	}
	dir := os.Getenv("BUILD_WORKSPACE_DIRECTORY")
	if dir == "" {
		dir = "."
	}
	path, err := pins.Find(dir)
	if errors.Is(err, pins.ErrNone) {
		return "", nil
	}
	return path, err
}

// printMoves tells people what moved and why, or was to, and how it ended.
func printMoves(w io.Writer, r *pipeline.RollbackResult, err error) {
	for _, m := range r.Moves {
		from := "nothing"
		if m.From != "" {
			from = printable(countersign.ReleaseID(m.From))
		}
		fmt.Fprintf(w, "%s: %s -> %s of release %d, commit %s\n  %s\n", m.Function, from,
			countersign.ReleaseID(m.To[strings.LastIndex(m.To, "@")+1:]), m.Release, countersign.Short(m.Commit), printable(m.Reason))
		if m.SignedAgain {
			fmt.Fprintf(w, "  the version of the key that attested it is retired: the latest signs it again\n")
		}
	}
	for _, name := range r.Stay {
		fmt.Fprintf(w, "%s runs on: release %d does not have it; `countersign remove %[1]s` takes it away.\n", printable(name), r.Restores)
	}
	for _, p := range r.Pins {
		fmt.Fprintln(w, pinLine(p, r.PlanOnly))
	}
	if err == nil {
		fmt.Fprintln(w, movedConclusion(r))
	}
}

func pinLine(p pipeline.PinResult, planOnly bool) string {
	line := fmt.Sprintf("repos.bzl: pin %s to %s", p.Repository, p.To)
	switch {
	case p.Set && planOnly:
		line = fmt.Sprintf("repos.bzl: %s would be pinned to %s", p.Repository, p.To)
	case p.Set:
		line = fmt.Sprintf("repos.bzl: %s is pinned to %s now", p.Repository, p.To)
	case p.Repository == "":
		line = "commit " + p.To
	}
	if p.Remark != "" {
		line += ": " + printable(p.Remark)
	}
	return line
}

// movedConclusion is the last line of a rollback that went well.
func movedConclusion(r *pipeline.RollbackResult) string {
	took := time.Duration(r.MS * float64(time.Millisecond)).Round(10 * time.Millisecond)
	switch {
	case r.PlanOnly:
		return fmt.Sprintf("Plan: %d to move (%s). Nothing was changed.", len(r.Moves), took)
	case len(r.Moves) == 0 && r.Release == 0:
		return fmt.Sprintf("Nothing to do: what is asked for runs (%s).", took)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Moved %d in %s; all healthy (%s).%s", len(r.Moves), r.Environment, took, numbered(r.Release))
	for _, m := range r.Moves {
		b.WriteString(canaryLine(m.Canary))
	}
	return b.String()
}
