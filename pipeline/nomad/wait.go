package nomad

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"countersign/pipeline/failure"
)

// pollInterval is how often Nomad is asked how a deployment goes on.
const pollInterval = 200 * time.Millisecond

// WaitHealthy waits until what was started is healthy and runs now, and returns the IDs of its allocations. tell is called
// with what happens meanwhile. The error is an *UnhealthyError if Nomad gave up or the timeout passed, and an
// *InterruptedError if ctx ended.
func (c *Cluster) WaitHealthy(ctx context.Context, s *Started, timeout time.Duration, tell func(string)) ([]string, error) {
	timed, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	healthy, err := c.follow(timed, s, tell)
	switch {
	case err == nil:
		return healthy, nil
	case ctx.Err() != nil:
		return nil, &InterruptedError{Function: s.Function, Deployment: s.deployment, Err: context.Cause(ctx)}
	case timed.Err() == nil || failure.IsUnreachable(err):
		return nil, err
	}
	last, cancelLast := context.WithTimeout(ctx, 10*time.Second)
	defer cancelLast()
	allocations, err := c.allocations(last, s)
	if err != nil {
		return nil, err
	}
	return nil, &UnhealthyError{
		Function: s.Function, Deployment: s.deployment, Allocations: failing(allocations),
		Status: fmt.Sprintf("not within %s; Nomad goes on trying", timeout),
	}
}

// follow polls until the job is healthy, or Nomad gives up, or ctx ends. While Nomad can't be reached it tries again:
// deployments go on without us.
func (c *Cluster) follow(ctx context.Context, s *Started, tell func(string)) ([]string, error) {
	for {
		healthy, done, err := c.look(ctx, s, tell)
		if failure.IsUnreachable(err) && ctx.Err() == nil {
			tell("Nomad can't be reached; trying again")
		} else if done || err != nil {
			return healthy, err
		}
		select {
		case <-ctx.Done():
			if err == nil {
				err = ctx.Err()
			}
			return nil, err
		case <-time.After(pollInterval):
		}
	}
}

// look asks once how far the job is. What a deployment says counts until it ended; what runs now counts in any case: an
// allocation that was healthy then may be another, or none, by now.
func (c *Cluster) look(ctx context.Context, s *Started, tell func(string)) (healthy []string, done bool, err error) {
	if err := c.awaitEvaluation(ctx, s); err != nil {
		return nil, false, err
	}
	if s.Canary && s.deployment == "" {
		if err := c.findDeployment(ctx, s); err != nil || s.deployment == "" {
			return nil, false, err
		}
	}
	allocations, err := c.allocations(ctx, s)
	if err != nil {
		return nil, false, err
	}
	tell(lastEvent(allocations))
	if s.deployment != "" {
		if done, err := c.askDeployment(ctx, s, allocations); err != nil || !done {
			return nil, false, err
		}
	}
	n, err := c.now(ctx, s)
	switch {
	case err != nil:
		return nil, false, err
	case len(n.running) < n.wanted:
		return nil, false, nil
	case n.leaving > 0 && !s.Canary:
		tell("the version before still answers")
		return nil, false, nil
	}
	return n.running, true, nil
}

// findDeployment finds the deployment of the registered version of a job, unless Nomad has not made it yet.
func (c *Cluster) findDeployment(ctx context.Context, s *Started) error {
	job, latest, err := c.registered(ctx, s.Function)
	if err == nil && job != nil && latest != nil && isOf(latest, job) {
		s.deployment = latest.ID
	}
	return err
}

// now is what a job runs at one time.
type now struct {
	running []string // allocations of the registered version that run and are not known to be unhealthy
	wanted  int      // how many the registered version asks for
	leaving int      // allocations of other versions that have not ended: until they are gone, calls may reach them
}

func (c *Cluster) now(ctx context.Context, s *Started) (n now, err error) {
	job, _, err := c.client.Jobs().Info(s.Function, query(ctx))
	if err != nil {
		return n, fmt.Errorf("read job %q: %w", s.Function, c.wrap(err))
	}
	for _, group := range job.TaskGroups {
		if group.Count != nil {
			n.wanted += *group.Count
		}
	}
	list, _, err := c.client.Jobs().Allocations(s.Function, false, query(ctx))
	if err != nil {
		return n, fmt.Errorf("read the allocations of job %q: %w", s.Function, c.wrap(err))
	}
	for _, a := range list {
		switch {
		case a.JobVersion != *job.Version && isAlive(a):
			n.leaving++
		case a.JobVersion == *job.Version && isRunning(a):
			n.running = append(n.running, a.ID)
		}
	}
	return n, nil
}

// isRunning tells whether an allocation runs, is to go on, and is not unhealthy. One that replaces another after a
// deployment has no health in Nomad; Consul and the host tell it.
func isRunning(a *api.AllocationListStub) bool {
	unhealthy := a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil && !*a.DeploymentStatus.Healthy
	return a.ClientStatus == api.AllocClientStatusRunning && a.DesiredStatus == api.AllocDesiredStatusRun && !unhealthy
}

// isAlive tells whether an allocation may still answer. Nomad calls it pending while it stops it.
func isAlive(a *api.AllocationListStub) bool {
	return a.ClientStatus == api.AllocClientStatusRunning || a.ClientStatus == api.AllocClientStatusPending
}

// awaitEvaluation waits until the scheduler placed the job's allocations, and finds out the deployment.
func (c *Cluster) awaitEvaluation(ctx context.Context, s *Started) error {
	for s.evaluation != "" {
		e, _, err := c.client.Evaluations().Info(s.evaluation, query(ctx))
		if err != nil {
			return fmt.Errorf("read evaluation %s: %w", shortID(s.evaluation), c.wrap(err))
		}
		switch {
		case e.Status == api.EvalStatusFailed || e.Status == api.EvalStatusCancelled:
			return &UnhealthyError{Function: s.Function, Status: "the scheduler says: " + e.StatusDescription}
		case len(e.FailedTGAllocs) > 0:
			return &PlacementError{s.Function, placementReasons(e.FailedTGAllocs)}
		case e.Status == api.EvalStatusComplete:
			s.deployment, s.evaluation = e.DeploymentID, ""
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollInterval / 4):
		}
	}
	return nil
}

// askDeployment tells whether the deployment is done.
func (c *Cluster) askDeployment(ctx context.Context, s *Started, allocations []*api.AllocationListStub) (bool, error) {
	d, _, err := c.client.Deployments().Info(s.deployment, query(ctx))
	if isNotFound(err) {
		s.deployment = "" // forgotten by Nomad: look at the allocations themselves
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read deployment %s: %w", shortID(s.deployment), c.wrap(err))
	}
	switch d.Status {
	case api.DeploymentStatusSuccessful:
		return true, nil
	case api.DeploymentStatusRunning:
		if s.Canary {
			return canariesHealthy(d), nil
		}
		return allHealthy(d), nil
	case api.DeploymentStatusFailed, api.DeploymentStatusCancelled:
		return false, &UnhealthyError{
			Function: s.Function, Deployment: s.deployment, Status: d.StatusDescription, Allocations: failing(allocations),
		}
	}
	return false, nil
}

// allHealthy tells whether a running deployment has all its allocations healthy. Nomad takes a second or two more to
// declare it successful, which nobody has to wait for.
func allHealthy(d *api.Deployment) bool {
	for _, group := range d.TaskGroups {
		if group.HealthyAllocs < group.DesiredTotal || (group.DesiredCanaries > 0 && !group.Promoted) {
			return false
		}
	}
	return len(d.TaskGroups) > 0
}

// allocations returns those of the deployment, or those of the job that are to run if there is no deployment.
func (c *Cluster) allocations(ctx context.Context, s *Started) ([]*api.AllocationListStub, error) {
	if s.deployment != "" {
		list, _, err := c.client.Deployments().Allocations(s.deployment, query(ctx))
		if err != nil && !isNotFound(err) {
			return nil, fmt.Errorf("read the allocations of deployment %s: %w", shortID(s.deployment), c.wrap(err))
		}
		return list, nil
	}
	list, _, err := c.client.Jobs().Allocations(s.Function, false, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the allocations of job %q: %w", s.Function, c.wrap(err))
	}
	return slices.DeleteFunc(list, func(a *api.AllocationListStub) bool {
		return a.DesiredStatus != api.AllocDesiredStatusRun
	}), nil
}

func isHealthy(a *api.AllocationListStub) bool {
	return a.ClientStatus == api.AllocClientStatusRunning &&
		a.DeploymentStatus != nil && a.DeploymentStatus.Healthy != nil && *a.DeploymentStatus.Healthy
}

// failing describes the allocations that are not healthy, the latest first.
func failing(allocations []*api.AllocationListStub) []AllocationFailure {
	var out []AllocationFailure
	for _, a := range allocations {
		if isHealthy(a) {
			continue
		}
		f := AllocationFailure{ID: a.ID, Node: a.NodeName, Status: a.ClientStatus}
		for _, e := range events(a) {
			f.Events = append(f.Events, eventText(e))
		}
		out = append(out, f)
	}
	slices.Reverse(out)
	return out
}

// events returns the task events of an allocation, oldest first.
func events(a *api.AllocationListStub) []*api.TaskEvent {
	var list []*api.TaskEvent
	for _, state := range a.TaskStates {
		list = append(list, state.Events...)
	}
	slices.SortStableFunc(list, func(x, y *api.TaskEvent) int { return int(x.Time - y.Time) })
	return list
}

func eventText(e *api.TaskEvent) string {
	message := e.DisplayMessage
	if message == "" {
		message = e.Message
	}
	if message == "" {
		return e.Type
	}
	return e.Type + ": " + strings.TrimSpace(message)
}

// lastEvent returns the latest task event of the newest allocation that is not healthy, or of any.
func lastEvent(allocations []*api.AllocationListStub) string {
	var newest *api.AllocationListStub
	for _, a := range allocations {
		if newest == nil || (isHealthy(newest) && !isHealthy(a)) ||
			(isHealthy(newest) == isHealthy(a) && a.CreateIndex > newest.CreateIndex) {
			newest = a
		}
	}
	if newest == nil {
		return "waiting for an allocation"
	}
	list := events(newest)
	if len(list) == 0 {
		return "allocation " + shortID(newest.ID) + " is " + newest.ClientStatus
	}
	return eventText(list[len(list)-1])
}
