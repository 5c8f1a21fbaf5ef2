package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"countersign/pipeline"
	"countersign/pipeline/progress"
	"countersign/pipeline/routes"
)

const (
	promoteArgs    = "[-env FILE] [flags] [function…]"
	promoteSummary = "give canaries all calls and stop the release before (see deploy -canary)"
)

func init() { register(command{"promote", promoteArgs, promoteSummary, promote}) }

func promote(ctx context.Context, s streams, args []string) error {
	return endCanaries(ctx, s, args, ending{
		"promote", promoteArgs, promoteSummary, progress.PromoteSteps, pipeline.Promote,
		func(c routes.Canary) string {
			return fmt.Sprintf("Promoted %s: all calls go to release %s; release %s has stopped.", c.Function, c.Release, c.Stable)
		},
	})
}

// ending is a command that ends canaries.
type ending struct {
	name, args, summary string
	steps               []progress.Step
	end                 func(context.Context, pipeline.CanaryOptions) (*pipeline.CanaryResult, error)
	conclusion          func(routes.Canary) string
}

func endCanaries(ctx context.Context, s streams, args []string, e ending) error {
	fs := flags(s, e.name, e.args, e.summary)
	var o pipeline.CanaryOptions
	fs.StringVar(&o.Environment, "env", os.Getenv("COUNTERSIGN_ENVIRONMENT"),
		"environment `file` (default $COUNTERSIGN_ENVIRONMENT)")
	fs.DurationVar(&o.LockWait, "wait", 0, "how long to wait for a deploy to end")
	fs.DurationVar(&o.Timeout, "timeout", 3*time.Minute, "how long each function may take")
	timings := fs.Bool("timings", false, "print how long each step took")
	asJSON := fs.Bool("json", false, "print the result as JSON, and the progress to standard error")
	var err error
	if o.Functions, err = parse(fs, args); err != nil {
		return err
	}
	out := s.out
	if *asJSON {
		out = s.err
	}
	view := newProgress(out, e.steps)
	o.Observer = view
	result, err := e.end(ctx, o)
	view.Close()
	if *asJSON {
		return printJSON(s.out, result, err)
	}
	if *timings {
		printTimings(s.out, result.Steps)
	}
	if err != nil {
		return err
	}
	if len(result.Canaries) == 0 {
		fmt.Fprintln(s.out, "Nothing to do: no canary is open.")
	}
	for _, c := range result.Canaries {
		fmt.Fprintln(s.out, e.conclusion(c))
	}
	return nil
}
