package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"countersign/pipeline"
	"countersign/pipeline/load"
)

const (
	auditIOArgs    = "[-env FILE] [-json]"
	auditIOSummary = "show which storage and network every function that runs may touch, as attested"
)

func init() { register(command{"audit io", auditIOArgs, auditIOSummary, auditIO}) }

func auditIO(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "audit io", auditIOArgs, auditIOSummary+"\n\nTags and their bounds come from the attested specs, and only what they are "+
		"bound to, and the nodes, from Nomad.\nExit code 3 if something that runs does not verify, 1 if a job differs from what is attested.\n")
	envFile := fs.String("env", os.Getenv("COUNTERSIGN_ENVIRONMENT"),
		"environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	asJSON := fs.Bool("json", false, "print JSON")
	rest, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(rest) != 0 {
		return &usageError{"want no arguments: it is about the whole deployment"}
	}
	env, err := load.Environment(*envFile)
	if err != nil {
		return err
	}
	reaches, err := pipeline.AuditIO(s.patient(ctx, "audit io"), env)
	if err != nil {
		return err
	}
	if *asJSON {
		if err := printJSON(s.out, reaches, nil); err != nil {
			return err
		}
	} else {
		printReaches(s.out, reaches)
	}
	code := exitOK
	for _, r := range reaches {
		switch {
		case r.Refused:
			code = exitUnverified
		case code == exitOK && (!r.Verified || r.Unbound != nil || r.Extra != nil):
			code = exitFailure
		}
	}
	if code != exitOK {
		return &exitError{code}
	}
	return nil
}

// printReaches prints a line per tag, and then what to look at.
func printReaches(w io.Writer, reaches []pipeline.Reach) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FUNCTION\tRELEASE\tTAG\tACCESS\tAT\tAT MOST\tBOUND TO\tNODES")
	var nothing []string
	for _, r := range reaches {
		row := func(tag, access, at, most, bound string) {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", r.Function, r.Release, tag, access, at, most, printable(bound),
				printable(strings.Join(r.Nodes, ",")))
		}
		for _, t := range r.Storage {
			row("storage "+t.Tag, t.Access, t.Path, most(t), bound(t.Source, t.Target))
		}
		for _, t := range r.Network {
			access := "connects"
			if t.Listen {
				access = "listens"
			}
			row("network "+t.Tag, access, "-", t.Protocol, bound(t.Address))
		}
		if r.Verified && len(r.Storage)+len(r.Network) == 0 {
			nothing = append(nothing, r.Function)
		}
	}
	// The writer below reports its own errors.
	_ = tw.Flush()
	if nothing = slices.Compact(nothing); nothing != nil {
		fmt.Fprintf(w, "\nNo storage and no network: %s\n", strings.Join(nothing, ", "))
	}
	shared := pipeline.SameTarget(reaches)
	for _, target := range slices.Sorted(maps.Keys(shared)) {
		fmt.Fprintf(w, "\nShared, and written: %s by %s\n", printable(target), strings.Join(shared[target], ", "))
	}
	for _, r := range reaches {
		switch {
		case r.Refused:
			fmt.Fprintf(w, "\nNOT VERIFIED: what %s may touch is not known: %s\n", r.Function, printable(r.Error))
		case !r.Verified:
			fmt.Fprintf(w, "\nUNKNOWN: what %s may touch could not be read: %s\n", r.Function, printable(r.Error))
		case r.Unbound != nil || r.Extra != nil:
			fmt.Fprintf(w, "\nDIFFERS: the job of %s does not bind [%s] and binds [%s], unlike what is attested: no host starts it. Deploy it again.\n",
				r.Function, printable(strings.Join(r.Unbound, ", ")), printable(strings.Join(r.Extra, ", ")))
		}
	}
}

// bound is what a tag is bound to, for people.
func bound(parts ...string) string {
	if text := strings.TrimSpace(strings.Join(parts, " ")); text != "" {
		return text
	}
	return "nothing"
}

// most is how much a tag may hold.
func most(t pipeline.StorageReach) string {
	bytes := "no bound on bytes"
	if t.MaxBytes > 0 {
		bytes = strconv.FormatInt(t.MaxBytes, 10) + " bytes"
	}
	return fmt.Sprintf("%s, %d files", bytes, t.MaxFiles)
}
