package nomad

import (
	"context"
	"fmt"
	"time"

	"countersign"

	"github.com/hashicorp/nomad/api"

	"countersign/pipeline/failure"
)

// stableTime is how long Nomad may take to declare a version that runs stable: to that it goes back when a canary fails.
const stableTime = time.Minute

// makeCanary changes a job so that its new allocations run beside all the old ones until a person promotes them. There
// are as many as of the old release: with one call more or all calls, they have the capacity.
func makeCanary(job *api.Job) {
	for _, group := range job.TaskGroups {
		if group.Update != nil && group.Count != nil {
			no, canaries := false, *group.Count
			group.Update.AutoPromote, group.Update.Canary = &no, &canaries
		}
	}
}

// keepCanary makes the update settings of job those that a canary left in the registered job, and tells whether there
// are any. What runs is no other for them.
func keepCanary(job, registered *api.Job) bool {
	if registered == nil || len(job.TaskGroups) != 1 || len(registered.TaskGroups) != 1 {
		return false
	}
	have, update := registered.TaskGroups[0].Update, job.TaskGroups[0].Update
	if have == nil || update == nil || have.AutoPromote == nil || *have.AutoPromote {
		return false
	}
	update.AutoPromote, update.Canary = have.AutoPromote, have.Canary
	return true
}

// releaseOf returns the release that a job is to run, see Release.
func releaseOf(job *api.Job) string {
	return countersign.ReleaseID(job.Meta[countersign.MetaArtifact])
}

// tellsRelease tells whether the instances of a registered job say in Consul which release they are.
func tellsRelease(job *api.Job) bool {
	for _, group := range job.TaskGroups {
		for _, service := range group.Services {
			if service.Meta[countersign.MetaRelease] != "" {
				return true
			}
		}
	}
	return false
}

// AwaitStable waits until Nomad could go back to the registered version of a job.
func (c *Cluster) AwaitStable(ctx context.Context, function string) error {
	ctx, cancel := context.WithTimeout(ctx, stableTime)
	defer cancel()
	for {
		job, latest, err := c.registered(ctx, function)
		switch {
		case err != nil:
			return err
		case job == nil || job.Stable != nil && *job.Stable:
			return nil
		case latest != nil && latest.Status != api.DeploymentStatusRunning && isOf(latest, job):
			return fmt.Errorf("the release that runs is not healthy (%s), so a canary could not go back to it: "+
				"deploy without -canary", latest.StatusDescription)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the release that runs is not stable in Nomad, so a canary could not go back to it: %w", ctx.Err())
		case <-time.After(pollInterval):
		}
	}
}

// Promote makes the canary the version that all allocations run, and returns what is to be awaited. It does nothing if
// that was done already.
func (c *Cluster) Promote(ctx context.Context, function string) (*Started, error) {
	job, latest, err := c.registered(ctx, function)
	if err != nil {
		return nil, err
	}
	s := &Started{Function: function}
	if latest != nil && isOf(latest, job) {
		s.deployment = latest.ID
	}
	if s.deployment == "" || !isCanarying(latest) {
		return s, nil
	}
	answer, _, err := c.client.Deployments().PromoteAll(latest.ID, write(ctx))
	if err != nil {
		return nil, fmt.Errorf("promote deployment %s: %w", shortID(latest.ID), c.wrap(err))
	}
	s.evaluation = answer.EvalID
	return s, nil
}

// Promotable tells whether the canary could take all calls: the error is a *CanaryGoneError if it could not.
func (c *Cluster) Promotable(ctx context.Context, function, canary string) error {
	job, latest, err := c.registered(ctx, function)
	if err != nil {
		return err
	}
	gone := &CanaryGoneError{Function: function, Release: canary}
	switch {
	case job == nil || job.Stop != nil && *job.Stop:
		gone.Status = "its job was stopped"
	case releaseOf(job) != canary:
		gone.Status = "its job runs release " + releaseOf(job)
	case latest == nil || !isOf(latest, job):
		return nil // Nomad forgets deployments that ended well
	case latest.Status == api.DeploymentStatusFailed || latest.Status == api.DeploymentStatusCancelled:
		gone.Status = latest.StatusDescription
	case isCanarying(latest) && !canariesHealthy(latest):
		gone.Status = "not all of its allocations are healthy"
	default:
		return nil
	}
	return gone
}

// Canarying tells whether the deployment that the plan found going on is that of canaries which wait for their
// promotion, or may become so: Nomad has not made it yet.
func (p *Plan) Canarying() bool { return p.latest == nil || isCanarying(p.latest) }

// isCanarying tells whether a deployment has canaries that are not promoted.
func isCanarying(d *api.Deployment) bool {
	for _, group := range d.TaskGroups {
		if group.DesiredCanaries > 0 && !group.Promoted {
			return d.Status == api.DeploymentStatusRunning || d.Status == api.DeploymentStatusPaused
		}
	}
	return false
}

// canariesHealthy tells whether all canaries of a deployment are healthy.
func canariesHealthy(d *api.Deployment) bool {
	for _, group := range d.TaskGroups {
		if len(group.PlacedCanaries) < group.DesiredCanaries || group.HealthyAllocs < group.DesiredCanaries {
			return false
		}
	}
	return true
}

// Abort stops the allocations of a canary and has the job go back to the stable release. It returns what is to be
// awaited, nil for a job that was stopped altogether. It does nothing if that was done already.
func (c *Cluster) Abort(ctx context.Context, function, stable, canary string) (*Started, error) {
	job, latest, err := c.registered(ctx, function)
	if err != nil || job == nil || job.Stop != nil && *job.Stop {
		return nil, err
	}
	s := &Started{Function: function}
	if releaseOf(job) != canary {
		return s, nil
	}
	if latest != nil && isOf(latest, job) && isCanarying(latest) {
		answer, _, err := c.client.Deployments().Fail(latest.ID, write(ctx))
		if err != nil {
			return nil, fmt.Errorf("end deployment %s: %w", shortID(latest.ID), c.wrap(err))
		}
		s.evaluation = answer.EvalID
		if answer.RevertedJobVersion != nil {
			return s, nil
		}
	} else if latest == nil || !isOf(latest, job) || latest.Status != api.DeploymentStatusFailed {
		return nil, &failure.ConflictError{
			What:   fmt.Sprintf("release %s of function %q is promoted already", canary, function),
			Advice: "`countersign promote " + function + "` ends its canary; deploy the release before to go back",
		}
	}
	return c.revert(ctx, function, stable, job)
}

// revert registers the stable version of a job again, for Nomad found none that it would have gone back to itself.
func (c *Cluster) revert(ctx context.Context, function, stable string, job *api.Job) (*Started, error) {
	versions, _, _, err := c.client.Jobs().Versions(function, false, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the versions of job %q: %w", function, c.wrap(err))
	}
	for _, version := range versions { // latest first
		if releaseOf(version) != stable {
			continue
		}
		answer, _, err := c.client.Jobs().Revert(function, *version.Version, job.Version, write(ctx), "", "")
		if err != nil {
			return nil, fmt.Errorf("go back to version %d of the job: %w", *version.Version, c.wrap(err))
		}
		return &Started{Function: function, evaluation: answer.EvalID}, nil
	}
	return nil, fmt.Errorf("no version of job %q with release %s is left in Nomad: deploy it by hand, then abort again",
		function, stable)
}

// AwaitGone waits until no allocation of a release runs, and returns an *InterruptedError if ctx ends before.
func (c *Cluster) AwaitGone(ctx context.Context, function, release string, tell func(string)) error {
	for {
		n, err := c.alive(ctx, function, release)
		switch {
		case err != nil && !failure.IsUnreachable(err):
			return err
		case err != nil:
			tell("Nomad can't be reached; trying again")
		case n == 0:
			return nil
		default:
			tell("the canary ends its calls")
		}
		select {
		case <-ctx.Done():
			return &InterruptedError{Function: function, Err: context.Cause(ctx)}
		case <-time.After(pollInterval):
		}
	}
}

// alive counts the allocations of a release that have not ended.
func (c *Cluster) alive(ctx context.Context, function, release string) (int, error) {
	versions, _, _, err := c.client.Jobs().Versions(function, false, query(ctx))
	if isNotFound(err) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the versions of job %q: %w", function, c.wrap(err))
	}
	of := map[uint64]bool{}
	for _, version := range versions {
		of[*version.Version] = releaseOf(version) == release
	}
	allocations, _, err := c.client.Jobs().Allocations(function, false, query(ctx))
	if err != nil {
		return 0, fmt.Errorf("read the allocations of job %q: %w", function, c.wrap(err))
	}
	n := 0
	for _, a := range allocations {
		if of[a.JobVersion] && isAlive(a) {
			n++
		}
	}
	return n, nil
}
