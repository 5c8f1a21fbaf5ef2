package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"countersign"
	"countersign/pipeline"
	"countersign/pipeline/progress"
	"countersign/pipeline/releases"
)

const (
	keysRefreshArgs    = "[function…] [-dry-run] [-resign] [-env FILE] [-json]"
	keysRefreshSummary = "have the latest key versions attest what earlier ones attest, and restart nothing"
)

func init() {
	register(command{"keys refresh", keysRefreshArgs, keysRefreshSummary, keysRefresh})
}

func keysRefresh(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "keys refresh", keysRefreshArgs, keysRefreshSummary+fmt.Sprintf(`

For every artifact that runs, or that one of the last %d releases consists of, an attestation is verified, and what it states
is signed again with the latest version of the function's key. Then retiring the earlier versions stops nothing, and tools
that know only the latest version verify. Each deploy does the same. What was done already is not done again.

Exit code 3 if something does not verify, but for what does not run and is of a retired version: that is only told.
`, releases.Kept))
	var o pipeline.RefreshOptions
	fs.StringVar(&o.Environment, "env", os.Getenv("COUNTERSIGN_ENVIRONMENT"), "environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	fs.BoolVar(&o.DryRun, "dry-run", false, "tell what would be signed again, and change nothing")
	fs.BoolVar(&o.Archive, "resign", false, "also what only retired versions attest, as far as release records vouch for it and for the "+
		"public key; not if the version was stolen")
	fs.DurationVar(&o.LockWait, "wait", 0, "how long to wait for a deploy to end")
	asJSON := fs.Bool("json", false, "print the result as JSON, and the progress to standard error")
	names, err := parse(fs, args)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !countersign.ValidName(name) {
			return &usageError{fmt.Sprintf("%.80q is not the name of a function", name)}
		}
	}
	o.Functions = names
	out := s.out
	if *asJSON {
		out = s.err
	}
	view := newProgress(out, []progress.Step{})
	o.Observer = view
	result, err := pipeline.Refresh(ctx, o)
	view.Close()
	if *asJSON {
		return refreshCode(result, printJSON(s.out, result, err))
	}
	printRefreshed(s.out, result)
	if err == nil {
		verb := "Signed again"
		if o.DryRun {
			verb = "Would sign again"
		}
		fmt.Fprintf(s.out, "%s %d of %d artifacts (%s).\n", verb, result.Count(pipeline.RefreshAdded), len(result.Artifacts),
			time.Duration(result.MS*float64(time.Millisecond)).Round(10*time.Millisecond))
	}
	if result.Count(pipeline.RefreshRetired) > 0 && !o.Archive {
		fmt.Fprintln(s.out, "What is retired was left alone. If no retired version was stolen, -resign signs again what release records vouch for.")
	}
	return refreshCode(result, err)
}

// refreshCode is the exit code for what was refused or failed.
func refreshCode(r *pipeline.RefreshResult, err error) error {
	if err != nil {
		return err
	}
	code := exitOK
	for _, a := range r.Artifacts {
		switch {
		case a.State == pipeline.RefreshRefused, a.State == pipeline.RefreshRetired && a.Runs:
			code = exitUnverified
		case a.State == pipeline.RefreshFailed && code == exitOK:
			code = exitFailure
		}
	}
	if code != exitOK {
		return &exitError{code}
	}
	return nil
}

// printRefreshed prints a line per artifact that was not as it ought to be.
func printRefreshed(w io.Writer, r *pipeline.RefreshResult) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	head := "FUNCTION\tRELEASE\tRUNS\tPART OF\tRESULT\n"
	for _, a := range r.Artifacts {
		if a.State == pipeline.RefreshNothing {
			continue
		}
		runs := "-"
		if a.Runs {
			runs = "yes"
		}
		fmt.Fprintf(tw, "%s%s\t%s\t%s\t%s\t%s\n", head, a.Function, a.Release, runs, ranges(a.Releases), refreshed(a, r.DryRun))
		head = ""
	}
	// The writer below reports its own errors.
	_ = tw.Flush()
}

// refreshed tells what became of an artifact.
func refreshed(a pipeline.Refreshed, dryRun bool) string {
	switch a.State {
	case pipeline.RefreshAdded:
		text := "signed again"
		if dryRun {
			text = "would be signed again"
		}
		text += fmt.Sprintf(" by key version %d (was %d", a.Latest, a.Was)
		if a.Archived {
			text += ", verified with the archived public key"
		}
		return text + ")"
	case pipeline.RefreshRetired:
		return "RETIRED: " + printable(a.Error)
	case pipeline.RefreshRefused:
		return "REFUSED: " + printable(a.Error)
	}
	return "FAILED: " + printable(a.Error)
}
