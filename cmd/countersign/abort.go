package main

import (
	"context"
	"fmt"

	"countersign/pipeline"
	"countersign/pipeline/progress"
	"countersign/pipeline/routes"
)

const (
	abortArgs    = "[-env FILE] [flags] [function…]"
	abortSummary = "take all calls from canaries and stop them (see deploy -canary)"
)

func init() { register(command{"abort", abortArgs, abortSummary, abort}) }

func abort(ctx context.Context, s streams, args []string) error {
	return endCanaries(ctx, s, args, ending{
		"abort", abortArgs, abortSummary, progress.AbortSteps, pipeline.Abort,
		func(c routes.Canary) string {
			return fmt.Sprintf("Aborted %s: all calls go to release %s; release %s has stopped.", c.Function, c.Stable, c.Release)
		},
	})
}
