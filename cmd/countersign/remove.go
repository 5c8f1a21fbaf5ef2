package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"countersign"
	"countersign/pipeline"
	"countersign/pipeline/progress"
)

const (
	removeArgs    = "[-env FILE] [-force] [flags] <function>"
	removeSummary = "take a function away: its job, its entries in Consul and its rendered job"
)

func init() { register(command{"remove", removeArgs, removeSummary, remove}) }

func remove(ctx context.Context, s streams, args []string) error {
	fs := flags(s, "remove", removeArgs, removeSummary+`

It is refused while functions that run list it in their calls. Its key in Vault and its artifacts in the registry stay: to
deploy it again, pin it again. Take its pin out of repos.bzl as well, or the next deploy brings it back.
`)
	var o pipeline.RemoveOptions
	fs.StringVar(&o.Environment, "env", os.Getenv("COUNTERSIGN_ENVIRONMENT"),
		"environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	fs.StringVar(&o.JobsDir, "jobs-dir", "", "`directory` of the rendered jobs (default jobs in the Bazel workspace)")
	fs.BoolVar(&o.Force, "force", false, "even if functions that run list it in their calls, which fail from then on")
	fs.DurationVar(&o.LockWait, "wait", 0, "how long to wait for a deploy to end")
	fs.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "how long its calls may take to end")
	asJSON := fs.Bool("json", false, "print the result as JSON, and the progress to standard error")
	names, err := parse(fs, args)
	if err != nil {
		return err
	}
	if len(names) != 1 || !countersign.ValidName(names[0]) {
		return &usageError{"name the one function that is to be taken away"}
	}
	o.Function, o.JobsDir = names[0], jobsDir(o.JobsDir)
	out := s.out
	if *asJSON {
		out = s.err
	}
	view := newProgress(out, progress.RemoveSteps)
	o.Observer = view
	result, err := pipeline.Remove(ctx, o)
	view.Close()
	if *asJSON {
		return printJSON(s.out, result, err)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(s.out, "Removed %s from %s. Its key in Vault and its artifacts stay.\n", result.Function, result.Environment)
	for _, kept := range result.Kept {
		fmt.Fprintln(s.out, kept+".")
	}
	return nil
}
