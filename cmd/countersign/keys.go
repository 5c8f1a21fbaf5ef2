package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"countersign/pipeline"
	"countersign/pipeline/load"
)

const (
	keysArgs    = "[function…] [-min VERSION] [-env FILE] [-json]"
	keysSummary = "show which key versions attest what runs, and what could not start again"
)

func init() { register(command{"keys", keysArgs, keysSummary, keys}) }

func keys(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "keys", keysArgs, keysSummary+"\n\nExit code 1 if something that runs could not start again. "+
		"With -min, ask before a version is retired:\nwhat would be so if min_decryption_version were VERSION. Nothing is changed.\n")
	envFile := fs.String("env", os.Getenv("COUNTERSIGN_ENVIRONMENT"),
		"environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	least := fs.Int("min", 0, "`version` of the key below which none is to count (default what Vault has)")
	asJSON := fs.Bool("json", false, "print JSON")
	names, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case *least < 0:
		return &usageError{"-min: want a version, such as 2"}
	case *least > 0 && len(names) == 0:
		return &usageError{"-min: each function has a key of its own, so name one"}
	}
	env, err := load.Environment(*envFile)
	if err != nil {
		return err
	}
	uses, err := pipeline.Keys(s.patient(ctx, "keys"), env, names, *least)
	if err != nil {
		return err
	}
	if *asJSON {
		if err := printJSON(s.out, uses, nil); err != nil {
			return err
		}
	} else {
		printKeys(s.out, uses)
		advise(s.out, uses, env.Vault.TransitMount, *least)
	}
	if slices.ContainsFunc(uses, func(u pipeline.KeyUse) bool { return !u.StartsAgain() }) {
		return &exitError{exitFailure}
	}
	return nil
}

// printKeys prints a line per release that runs.
func printKeys(w io.Writer, uses []pipeline.KeyUse) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FUNCTION\tRELEASE\tJOB VERSIONS\tALLOCATIONS\tLATEST\tMIN\tATTESTED BY\tSTATE")
	for _, u := range uses {
		for _, r := range u.Releases {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\n", u.Function, r.Release, joined(r.JobVersions), r.Allocations, u.Latest,
				u.Min, joined(r.Versions), keyState(r))
		}
	}
	// The writer below reports its own errors.
	_ = tw.Flush()
}

func keyState(r pipeline.ReleaseUse) string {
	switch r.State {
	case pipeline.KeyLatest:
		return "ok"
	case pipeline.KeyBehind:
		return fmt.Sprintf("until version %d is retired", r.Versions[len(r.Versions)-1])
	case pipeline.KeyRefused:
		return "WOULD NOT START AGAIN: " + printable(r.Error)
	}
	return "UNKNOWN: " + printable(r.Error)
}

// advise says what to do next.
func advise(w io.Writer, uses []pipeline.KeyUse, mount string, least int) {
	var behind, refused, unknown []string
	for _, u := range uses {
		for _, r := range u.Releases {
			switch r.State {
			case pipeline.KeyBehind:
				behind = append(behind, u.Function)
			case pipeline.KeyRefused:
				refused = append(refused, u.Function)
			case pipeline.KeyUnknown:
				unknown = append(unknown, u.Function)
			}
		}
	}
	if behind = slices.Compact(behind); behind != nil {
		fmt.Fprintf(w, "\nDeploy %s before that: it signs again with the latest version, and restarts nothing.\n", strings.Join(behind, ", "))
	}
	if refused = slices.Compact(refused); refused != nil {
		fmt.Fprintf(w, "\nDeploy %s: until then the next restart is refused.\n", strings.Join(refused, ", "))
	}
	if least > 0 && refused == nil && unknown == nil {
		for _, u := range uses {
			fmt.Fprintf(w, "\nNothing that runs needs an earlier version: vault write %s/keys/%s/config min_decryption_version=%d\n", mount,
				u.Function, u.Min)
		}
	}
}

// joined are numbers for people.
func joined[N int | uint64](numbers []N) string {
	if len(numbers) == 0 {
		return "-"
	}
	parts := make([]string, len(numbers))
	for i, n := range numbers {
		parts[i] = strconv.FormatUint(uint64(n), 10)
	}
	return strings.Join(parts, ",")
}

// printable makes text that others wrote one line, without what a terminal would obey.
func printable(text string) string {
	return strings.Join(strings.FieldsFunc(text, func(c rune) bool { return c == ' ' || !strconv.IsPrint(c) }), " ")
}
