package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"countersign"

	"countersign/pipeline"
	"countersign/pipeline/load"
	"countersign/pipeline/releases"
	"countersign/release"
)

const (
	releasesArgs       = "[-n NUMBER] [-env FILE] [-json]"
	releasesSummary    = "list the releases of an environment, verified, the latest first"
	releaseShowArgs    = "NUMBER [-env FILE] [-json]"
	releaseShowSummary = "show what a release consists of"
)

func init() {
	register(command{"releases", releasesArgs, releasesSummary, listReleases})
	register(command{"release show", releaseShowArgs, releaseShowSummary, showRelease})
}

// releaseHead is a release in a list.
type releaseHead struct {
	Number    int            `json:"number"`
	Digest    string         `json:"digest"`
	Artifact  string         `json:"artifact"` // that holds the record, for `cosign verify-attestation`
	Created   time.Time      `json:"created"`
	Deployer  string         `json:"deployer"`
	Action    release.Action `json:"action"`
	Restores  int            `json:"restores,omitempty"`
	TakesBack int            `json:"takes_back,omitempty"`
	Changed   []string       `json:"changed"` // functions, since the release before
}

func listReleases(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "releases", releasesArgs, releasesSummary)
	envFile := fs.String("env", os.Getenv("COUNTERSIGN_ENVIRONMENT"), "environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	n := fs.Int("n", 20, "`number` of releases, 0: all")
	asJSON := fs.Bool("json", false, "print JSON")
	rest, err := parse(fs, args)
	switch {
	case err != nil:
		return err
	case len(rest) > 0 || *n < 0:
		return &usageError{"it takes no arguments, and -n a number of releases"}
	}
	env, err := load.Environment(*envFile)
	if err != nil {
		return err
	}
	more := *n
	if more > 0 {
		more++ // the one before tells what the last one changed
	}
	list, err := pipeline.ReadReleases(s.patient(ctx, "releases"), env, more)
	if err != nil {
		return err
	}
	heads := []releaseHead{}
	for i, e := range list {
		if *n > 0 && i == *n {
			break
		}
		before := &release.Record{}
		if i+1 < len(list) {
			before = list[i+1].Record
		}
		heads = append(heads, releaseHead{e.Number, e.Digest, releases.Repository(env).WithDigest(e.Manifest).String(), e.Created,
			e.Deployer.Name(), e.Action, e.Restores, e.TakesBack, touched(release.Diff(before, e.Record))})
	}
	if *asJSON {
		return printJSON(s.out, heads, nil)
	}
	tw := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "RELEASE\tTIME\tBY\tMADE BY\tCHANGED")
	for _, h := range heads {
		fmt.Fprintf(tw, "%d\t%s\t%s\t%s\t%s\n", h.Number, h.Created.Format(time.RFC3339), printable(h.Deployer), h.Action,
			strings.Join(h.Changed, ", "))
	}
	return tw.Flush()
}

// touched names the functions of a difference.
func touched(d *release.Difference) []string {
	names := append(slices.Clone(d.Added), d.Removed...)
	for _, c := range d.Changed {
		names = append(names, c.Function)
	}
	slices.Sort(names)
	return names
}

// readReleases reads the releases that the arguments of a command name.
func readReleases(ctx context.Context, s streams, name, args, summary string, count int, argv []string, also func(*flag.FlagSet)) (list []*releases.Entry, asJSON bool, err error) {
	fs := flags(s, name, args, summary)
	envFile := fs.String("env", os.Getenv("COUNTERSIGN_ENVIRONMENT"), "environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	fs.BoolVar(&asJSON, "json", false, "print JSON")
	if also != nil {
		also(fs)
	}
	rest, err := parse(fs, argv)
	if err != nil {
		return nil, false, err
	}
	var numbers []int
	for _, text := range rest {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return nil, false, &usageError{fmt.Sprintf("%.40q is not the number of a release; `countersign releases` lists them", text)}
		}
		numbers = append(numbers, n)
	}
	if len(numbers) != count {
		return nil, false, &usageError{"name the number of the release, as `countersign releases` lists them"}
	}
	env, err := load.Environment(*envFile)
	if err != nil {
		return nil, false, err
	}
	ledger, err := pipeline.Releases(env)
	if err != nil {
		return nil, false, err
	}
	for _, n := range numbers {
		e, err := ledger.Get(s.patient(ctx, name), n)
		if err != nil {
			return nil, false, err
		}
		list = append(list, e)
	}
	return list, asJSON, nil
}

func showRelease(ctx context.Context, s streams, args []string) error {
	list, asJSON, err := readReleases(ctx, s, "release show", releaseShowArgs, releaseShowSummary, 1, args, nil)
	if err != nil {
		return err
	}
	e := list[0]
	if asJSON {
		src, err := e.Encode()
		if err != nil {
			return err
		}
		return printJSON(s.out, json.RawMessage(src), nil)
	}
	fmt.Fprintf(s.out, "Release %d of %s, made by a %s of %s at %s\n", e.Number, e.Environment, e.Action, printable(e.Deployer.Name()),
		e.Created.Format(time.RFC3339))
	tw := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(tw, "FUNCTION\tRELEASE\tCOMMIT\tREPOSITORY\tSPEC\tINTERFACE\tKEY")
	for _, name := range e.Names() {
		f := e.Functions[name]
		fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", name, f.ID(), countersign.Short(f.Commit), printable(f.Repository),
			countersign.ReleaseID(f.SpecDigest), countersign.ReleaseID(f.InterfaceDigest), f.Key[strings.LastIndex(f.Key, ":")+1:])
	}
	return tw.Flush()
}
