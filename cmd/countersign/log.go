package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"countersign"

	"countersign/pipeline"
	"countersign/pipeline/load"
)

const (
	logArgs    = "[function…] [-n NUMBER] [-env FILE] [-json]"
	logSummary = "tell who moved what, when, and from where"
)

func init() { register(command{"log", logArgs, logSummary, showLog}) }

func showLog(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "log", logArgs, logSummary+", the latest first: the versions of the jobs that Nomad keeps, and what the\n"+
		"attestations of their artifacts state. Who deployed is what the deploy stated; Vault's audit log has\nwhose token signed.\n")
	envFile := fs.String("env", os.Getenv("COUNTERSIGN_ENVIRONMENT"),
		"environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	n := fs.Int("n", 20, "`number` of entries, 0: all that there are")
	asJSON := fs.Bool("json", false, "print JSON")
	names, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case *n < 0:
		return &usageError{"-n: want a number of entries"}
	}
	env, err := load.Environment(*envFile)
	if err != nil {
		return err
	}
	entries, err := pipeline.Log(s.patient(ctx, "log"), env, names, *n)
	if err != nil {
		return err
	}
	if *asJSON {
		if entries == nil {
			entries = []pipeline.LogEntry{}
		}
		return printJSON(s.out, entries, nil)
	}
	printLog(s.out, entries)
	seen := map[string]bool{}
	for _, e := range entries {
		if e.Error != "" && !seen[e.Error] {
			seen[e.Error] = true
			fmt.Fprintf(s.err, "countersign log: attestation of %s %s: %s\n", printable(e.Function), e.Release, printable(e.Error))
		}
	}
	return nil
}

// printLog prints a line per entry.
func printLog(w io.Writer, entries []pipeline.LogEntry) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "TIME\tFUNCTION\tVERSION\tACTION\tRELEASE\tCOMMIT\tBY\tFROM\tSIGNED FOR")
	for _, e := range entries {
		by, from := "unknown", "-"
		if d := e.Deployed; d != nil {
			by, from = who(d), cmp.Or(printable(d.From), "-")
		}
		fmt.Fprintf(tw, "%s\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", e.Time.Local().Format(time.DateTime), printable(e.Function), e.JobVersion,
			e.Action, moved(e.OldRelease, e.Release), moved(countersign.Short(e.OldCommit), countersign.Short(e.Commit)), by, from,
			signedFor(e))
	}
	// The writer below reports its own errors.
	_ = tw.Flush()
}

// moved is what something became.
func moved(before, now string) string {
	now = cmp.Or(printable(now), "-")
	if before == "" {
		return now
	}
	return printable(before) + " -> " + now
}

// who is somebody, with the login that he used if that says more.
func who(d *pipeline.LoggedBy) string {
	if d.Login == "" || d.Login == d.By {
		return printable(d.By)
	}
	return printable(d.By) + " (" + printable(d.Login) + ")"
}

// signedFor is who had the artifact signed, as its attestation states.
func signedFor(e pipeline.LogEntry) string {
	a := e.Attested
	if a == nil {
		return "not verified"
	}
	text := "not stated"
	if a.Deployer != nil {
		text = printable(a.Deployer.By)
	}
	if a.Again != nil {
		text += ", again for " + printable(a.Again.By)
	}
	return text
}
