package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"countersign/pipeline"
	"countersign/pipeline/bazel"
	"countersign/pipeline/load"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/routes"
)

const (
	deployArgs    = "[-env FILE] [flags] [function…]"
	deploySummary = "build, test, sign, publish, plan and run functions, and wait until they are healthy (bazel run //:deploy)"
)

func init() { register(command{"deploy", deployArgs, deploySummary, deploy}) }

func deploy(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "deploy", deployArgs, deploySummary)
	var o pipeline.Options
	build := fs.String("build", "", "`file` that tells what Bazel can build, which bazel run //:deploy writes and names")
	fs.StringVar(&o.Manifest, "manifest", "", "manifest `file` of what was built already, instead of -build")
	fs.BoolVar(&o.NoTest, "no-test", false, "do not run the tests of what changed; the attestation tells that they were skipped")
	fs.StringVar(&o.Environment, "env", os.Getenv("COUNTERSIGN_ENVIRONMENT"),
		"environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	fs.StringVar(&o.JobsDir, "jobs-dir", "", "`directory` of the rendered jobs (default jobs in the Bazel workspace)")
	fs.StringVar(&o.Builder, "builder", os.Getenv("COUNTERSIGN_BUILDER"),
		"`URI` of who builds, stated in attestations (default $COUNTERSIGN_BUILDER or "+pipeline.DefaultBuilder+")")
	canary := fs.String("canary", "", "`share` of the calls, such as 10%, that changed functions get at first, beside what runs")
	fs.BoolVar(&o.PlanOnly, "plan-only", false, "show what would change, and change nothing")
	fs.DurationVar(&o.LockWait, "wait", 0, "how long to wait for another deploy to end")
	fs.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "how long each function may take to become healthy")
	timings := fs.Bool("timings", false, "print how long each step took")
	asJSON := fs.Bool("json", false, "print the result as JSON, and the progress to standard error")
	names, err := parse(fs, args)
	if err != nil {
		return err
	}
	if (o.Manifest == "") == (*build == "") {
		return &usageError{"which build? use `bazel run //:deploy`, or name the manifest of what was built with -manifest"}
	}
	if *build != "" {
		workspace, err := bazel.Open(*build, os.Getenv)
		if err != nil {
			return err
		}
		o.Build = workspace
	}
	if *canary != "" {
		if o.Canary, err = routes.ParseShare(*canary); err != nil {
			return &usageError{"-canary " + err.Error()}
		}
	}
	o.Functions, o.JobsDir = names, jobsDir(o.JobsDir)
	out := s.out
	if *asJSON {
		out = s.err
	}
	view := newProgress(out, progress.FunctionSteps)
	o.Observer = view
	result, err := pipeline.Deploy(ctx, o)
	view.Close()
	if *asJSON {
		return leftBehind(result, printJSON(s.out, result, err))
	}
	if *timings {
		printTimings(s.out, result.Steps)
	}
	if err == nil {
		fmt.Fprintln(s.out, conclusion(result))
	}
	printLeft(s.out, result, err)
	return leftBehind(result, err)
}

// leftBehind is the error of a deploy that went well for some functions only.
func leftBehind(r *pipeline.Result, err error) error {
	if err == nil && len(r.Left) > 0 {
		return &exitError{exitLeftBehind}
	}
	return err
}

// printLeft tells which functions were left behind and why, unless err does, and which run without a pin.
func printLeft(w io.Writer, r *pipeline.Result, err error) {
	var nothing *load.NothingError
	if len(r.Left) > 0 && !errors.As(err, &nothing) {
		fmt.Fprintln(w, "Left behind:")
		for _, l := range r.Left {
			state := "it does not run"
			if l.Runs {
				state = "what ran before goes on"
			}
			fmt.Fprintf(w, "  %s (%s): %s\n", l.Function, state, strings.ReplaceAll(l.Reason, "\n", "\n    "))
		}
	}
	for _, name := range r.Unpinned {
		fmt.Fprintf(w, "%s runs, and repos.bzl does not name it any more: `countersign remove %[1]s` takes it away.\n", name)
	}
}

// printJSON prints a result, also an incomplete one, and returns the error that it came with.
func printJSON(w io.Writer, result any, err error) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	if jsonErr := e.Encode(result); err == nil {
		err = jsonErr
	}
	return err
}

// jobsDir returns where rendered jobs go. Bazel tells the workspace; without it, it is the working directory.
func jobsDir(flag string) string {
	if flag != "" {
		return flag
	}
	return filepath.Join(os.Getenv("BUILD_WORKSPACE_DIRECTORY"), "jobs")
}

// conclusion is the last line of a deploy that went well.
func conclusion(r *pipeline.Result) string {
	counts, signed := map[nomad.Action]int{}, 0
	for _, f := range r.Functions {
		counts[f.Action]++
		if f.Signed {
			signed++
		}
	}
	took := time.Duration(r.MS * float64(time.Millisecond)).Round(10 * time.Millisecond)
	changes := len(r.Functions) - counts[nomad.ActionNone]
	switch {
	case r.PlanOnly:
		return fmt.Sprintf("Plan: %d to create, %d to update, %d unchanged (%s). Nothing was changed.",
			counts[nomad.ActionCreate], changes-counts[nomad.ActionCreate], counts[nomad.ActionNone], took)
	case !r.Changed():
		return fmt.Sprintf("Nothing to do: all %d functions run as built (%s).", len(r.Functions), took)
	}
	return fmt.Sprintf("Deployed to %s: %d changed, %d unchanged, %d signed; all healthy (%s).", r.Environment, changes,
		counts[nomad.ActionNone], signed, took) + numbered(r.Release) + canaries(r)
}

// numbered tells the number of the release that was recorded.
func numbered(release int) string {
	if release == 0 {
		return ""
	}
	return fmt.Sprintf(" This is release %d.", release)
}

// canaries tells which functions run in two releases, and how that ends.
func canaries(r *pipeline.Result) string {
	var b strings.Builder
	for _, f := range r.Functions {
		b.WriteString(canaryLine(f.Canary))
	}
	return b.String()
}

// canaryLine tells of a canary, which may be nil, and how it ends.
func canaryLine(c *routes.Canary) string {
	if c == nil {
		return ""
	}
	return fmt.Sprintf("\nCanary: %s of the calls of %s go to release %s, the others to %s. "+
		"`countersign promote %[2]s` or `countersign abort %[2]s` ends it.", c.Share, c.Function, c.Release, c.Stable)
}

// printTimings prints a line per step of each function.
func printTimings(w io.Writer, steps []progress.Timing) {
	tw := tabwriter.NewWriter(w, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(tw, "step\tfunction\tstate\tms\t")
	for _, t := range steps {
		function := t.Function
		if function == "" {
			function = "*"
		}
		fmt.Fprintf(tw, "%s\t%s\t%s\t%.1f\t\n", t.Step, function, t.State, float64(t.Duration.Microseconds())/1000)
	}
	// The writer below reports its own errors.
	_ = tw.Flush()
}
