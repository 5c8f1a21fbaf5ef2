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
	"time"

	"countersign/pipeline"
	"countersign/pipeline/load"
)

const (
	keysArgs    = "[function…] [-min VERSION] [-env FILE] [-json]"
	keysSummary = "show key versions, what each attests, and what could not start again without them"
)

func init() { register(command{"keys", keysArgs, keysSummary, keys}) }

func keys(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "keys", keysArgs, keysSummary+"\n\nLooks at what runs, and at what the last releases consist of.\n"+
		"Exit code 1 if something that runs could not start again. With -min, ask before a version is retired:\n"+
		"what would be so if min_decryption_version were VERSION; then also if there were no way back to a\nrelease to which there is one now. Nothing is changed.\n")
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
		printKeys(s.out, uses, time.Now())
		advise(s.out, uses, env.Vault.TransitMount, *least)
	}
	if slices.ContainsFunc(uses, func(u pipeline.KeyUse) bool { return !u.StartsAgain() }) {
		return &exitError{exitFailure}
	}
	return nil
}

// printKeys prints a line per release, and one per version of each key.
func printKeys(w io.Writer, uses []pipeline.KeyUse, now time.Time) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FUNCTION\tRELEASE\tJOB VERSIONS\tALLOCATIONS\tPART OF\tLATEST\tMIN\tATTESTED BY\tSTATE")
	for _, u := range uses {
		for _, r := range u.Releases {
			fmt.Fprintf(tw, "%s\t%s\t%s\t%d\t%s\t%d\t%d\t%s\t%s\n", u.Function, r.Release, joined(r.JobVersions), r.Allocations,
				ranges(r.Recorded), u.Latest, u.Min, joined(r.Versions), keyState(r))
		}
	}
	fmt.Fprintln(tw)
	fmt.Fprintln(tw, "FUNCTION\tKEY VERSION\tAGE\tATTESTS\tNEEDED BY\tNEXT ROTATION")
	for _, u := range uses {
		for _, v := range u.Versions {
			next := "-"
			if v.Version == u.Latest {
				next = nextRotation(u, now)
			}
			fmt.Fprintf(tw, "%s\t%d\t%s\t%s\t%s\t%s\n", u.Function, v.Version, age(now.Sub(v.Created)), some(v.Attests), some(v.NeededBy), next)
		}
	}
	// The writer below reports its own errors.
	_ = tw.Flush()
}

// nextRotation tells when Vault makes the next version of a key.
func nextRotation(u pipeline.KeyUse, now time.Time) string {
	switch left := u.NextRotation.Sub(now); {
	case u.AutoRotate == 0:
		return "by hand"
	case left <= 0:
		return "within the hour"
	default:
		return "in " + age(left)
	}
}

// age is a duration for people: no more than its largest unit tells anybody.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}

// some are a few names of many.
func some(names []string) string {
	const most = 3
	switch {
	case len(names) == 0:
		return "-"
	case len(names) > most+1:
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ","), len(names)-most)
	}
	return strings.Join(names, ",")
}

// ranges are the numbers of releases, the latest first, as people write them: 9,7-3.
func ranges(numbers []int) string {
	var parts []string
	for i := 0; i < len(numbers); {
		j := i
		for j+1 < len(numbers) && numbers[j+1] == numbers[j]-1 {
			j++
		}
		part := strconv.Itoa(numbers[i])
		if j > i {
			part += "-" + strconv.Itoa(numbers[j])
		}
		parts, i = append(parts, part), j+1
	}
	if parts == nil {
		return "-"
	}
	return strings.Join(parts, ",")
}

func keyState(r pipeline.ReleaseUse) string {
	switch r.State {
	case pipeline.KeyLatest:
		return "ok"
	case pipeline.KeyBehind:
		return fmt.Sprintf("until version %d is retired", r.Versions[len(r.Versions)-1])
	case pipeline.KeyRefused:
		if !r.Runs() {
			return "NO WAY BACK: " + printable(r.Error)
		}
		return "WOULD NOT START AGAIN: " + printable(r.Error)
	}
	return "UNKNOWN: " + printable(r.Error)
}

// advise says what to do next.
func advise(w io.Writer, uses []pipeline.KeyUse, mount string, least int) {
	var behind, refused, lost, retired []string
	asked := true // and all is well
	for _, u := range uses {
		asked = asked && u.StartsAgain()
		for _, r := range u.Releases {
			switch {
			case r.State == pipeline.KeyBehind:
				behind = append(behind, u.Function)
			case r.Lost: // by what was asked about: as it is, it can be signed again
				lost = append(lost, u.Function)
			case r.State == pipeline.KeyRefused:
				if r.Runs() {
					refused = append(refused, u.Function)
				}
				if len(r.Retired) > 0 && len(r.Recorded) > 0 {
					retired = append(retired, u.Function)
				}
			}
		}
	}
	if before := slices.Compact(append(behind, lost...)); len(before) > 0 {
		slices.Sort(before)
		fmt.Fprintf(w, "\n`countersign keys refresh %s` before that: it signs again with the latest version, and restarts nothing. So does each deploy.\n",
			strings.Join(slices.Compact(before), " "))
	}
	if refused = slices.Compact(refused); refused != nil {
		fmt.Fprintf(w, "\nDeploy %s: until then the next restart is refused.\n", strings.Join(refused, ", "))
	}
	if retired = slices.Compact(retired); retired != nil {
		fmt.Fprintf(w, "\nIf no retired version was stolen, `countersign keys refresh -resign %s` signs again what release records vouch for.\n",
			strings.Join(retired, " "))
	}
	if least > 0 && asked {
		for _, u := range uses {
			fmt.Fprintf(w, "\nNothing needs an earlier version: vault write %s/keys/%s/config min_decryption_version=%d\n", mount,
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
