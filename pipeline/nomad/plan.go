package nomad

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/hashicorp/nomad/api"

	"countersign/pipeline/failure"
)

// Plan is a job that Nomad parsed and compared with what is registered.
type Plan struct {
	Function string
	Action   Action
	Summary  string // what changes, for people
	Canary   bool   // another release than the registered one: its allocations will wait for their promotion
	job      *api.Job
	source   string
	index    uint64          // of the registered job; Run refuses if it moved
	version  uint64          // that registering makes
	latest   *api.Deployment // of the registered version of the job, or nil
}

// Plan parses a rendered job on the server, so that the file is what runs, and asks the scheduler what it would do.
// The error is a *PlacementError if no node can take it. With canary, another release than the registered one would run
// beside it.
func (c *Cluster) Plan(ctx context.Context, function string, source []byte, canary bool) (*Plan, error) {
	job, err := c.client.Jobs().ParseHCLOpts(&api.JobsParseRequest{JobHCL: string(source), Canonicalize: true})
	if err != nil {
		return nil, fmt.Errorf("parse: %w", c.wrap(err))
	}
	if job.ID == nil || *job.ID != function {
		return nil, fmt.Errorf("the file holds another job than %q", function)
	}
	registered, latest, err := c.registered(ctx, function)
	if err != nil {
		return nil, err
	}
	p := &Plan{Function: function, job: job, source: string(source), version: nextVersion(registered)}
	if latest != nil && isOf(latest, registered) {
		p.latest = latest
	}
	kept := keepCount(job, registered)
	keepDeployer(job, registered)
	if canary && registered != nil && releaseOf(registered) != releaseOf(job) {
		if !tellsRelease(registered) {
			return nil, errors.New("what runs does not tell its release in Consul, since an earlier version deployed it: " +
				"deploy once without -canary")
		}
		makeCanary(job)
		p.Canary = true
	}
	answer, err := c.ask(ctx, job, registered)
	if err != nil {
		return nil, err
	}
	p.index = answer.JobModifyIndex
	p.Action = decide(answer.Diff, registered, latest)
	if p.Action != ActionNone && len(answer.FailedTGAllocs) > 0 {
		return nil, &PlacementError{function, placementReasons(answer.FailedTGAllocs)}
	}
	if p.Action == ActionNone {
		answer.Diff = &api.JobDiff{} // see changes
	}
	p.Summary = strings.Join(slices.DeleteFunc([]string{summarize(answer.Diff), kept}, func(s string) bool {
		return s == ""
	}), ", ")
	return p, nil
}

// ask asks the scheduler what registering job would do. Settings that a canary left in the registered job are no change.
func (c *Cluster) ask(ctx context.Context, job, registered *api.Job) (*api.JobPlanResponse, error) {
	asked := *job
	if len(job.TaskGroups) == 1 && job.TaskGroups[0].Update != nil {
		group, update := *job.TaskGroups[0], *job.TaskGroups[0].Update
		group.Update, asked.TaskGroups = &update, []*api.TaskGroup{&group}
	}
	kept := keepCanary(&asked, registered)
	answer, _, err := c.client.Jobs().PlanOpts(&asked, &api.PlanOptions{Diff: true}, write(ctx))
	if err == nil && kept && changes(answer.Diff) {
		answer, _, err = c.client.Jobs().PlanOpts(job, &api.PlanOptions{Diff: true}, write(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("ask for a plan: %w", c.wrap(err))
	}
	return answer, nil
}

// Started is a job that was handed to Nomad.
type Started struct {
	Function   string
	Canary     bool   // healthy canaries are what is awaited; false as Run returns it
	evaluation string // "" if none has to be awaited
	deployment string // "" if not known yet
}

// Run registers a planned job. It does nothing for a job that is registered already, unless its deployment failed. The
// error is a *failure.ConflictError if the job was changed since it was planned.
func (c *Cluster) Run(ctx context.Context, p *Plan) (*Started, error) {
	s := &Started{Function: p.Function}
	if p.Action == ActionNone || p.Action == ActionAwait {
		if p.latest != nil {
			s.deployment = p.latest.ID
		}
		return s, nil
	}
	options := &api.RegisterOptions{
		EnforceIndex: true,
		ModifyIndex:  p.index,
		Submission:   &api.JobSubmission{Source: p.source, Format: "hcl2"},
	}
	if p.Action == ActionRetry {
		// Nomad starts no second deployment of one version, and registering the same job makes no new version. Stopping
		// does. There is no older version to lose: to that, Nomad would have reverted the job.
		if _, _, err := c.client.Jobs().Deregister(p.Function, false, write(ctx)); err != nil {
			return nil, fmt.Errorf("stop the job whose deployment failed: %w", c.wrap(err))
		}
		options.EnforceIndex = false
		stopped, _, err := c.registered(ctx, p.Function)
		if err != nil {
			return nil, err
		}
		p.version = nextVersion(stopped)
	}
	c.setDeployer(p.job, p.version)
	answer, _, err := c.client.Jobs().RegisterOpts(p.job, options, write(ctx))
	if err != nil && strings.Contains(err.Error(), api.RegisterEnforceIndexErrPrefix) {
		return nil, &failure.ConflictError{
			What:   fmt.Sprintf("job %q was changed after it was planned", p.Function),
			Advice: "run the deploy again to see the new plan",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("register the job: %w", c.wrap(err))
	}
	s.evaluation = answer.EvalID
	return s, nil
}
