package apply

import (
	"context"
	"errors"
	"fmt"

	"countersign/pipeline/failure"
	"countersign/pipeline/nomad"
	"countersign/pipeline/routes"
	"countersign/release"
)

// checkCanaries tells which functions get a canary, since the user wants one or since they break callers, and refuses what would disturb one that is open.
func (r *Rollout) checkCanaries(now *routes.Entries, documents release.Interfaces) error {
	open, callers := now.Canaries(), release.Callers(release.Callees(r.running))
	var errs []error
	for _, f := range r.functions {
		if runs, ok := r.running[f.name]; ok && runs.InterfaceDigest != f.next.InterfaceDigest {
			for _, caller := range callers[f.name] {
				if _, isOpen := open[caller]; isOpen {
					errs = append(errs, endFirst(caller, "and the interface of "+f.name+", which it calls, would change"))
				}
			}
		}
		next, runs := f.next.ID(), r.running[f.name].ID()
		c, isOpen := open[f.name]
		switch {
		case isOpen && r.goesOn(f, c) && (runs == c.Stable || runs == c.Release):
			f.canary, f.takesOver = &c, true
		case isOpen && (r.Canary == 0 || c.Release != next):
			errs = append(errs, endFirst(f.name, fmt.Sprintf("release %s gets %s of the calls", c.Release, c.Share)))
		case isOpen && runs != c.Stable && runs != c.Release:
			errs = append(errs, endFirst(f.name, "but its job runs neither of the two releases"))
		case isOpen:
			f.canary = &c
		case r.Canary != 0 && runs != "" && runs != next:
			f.canary = &routes.Canary{Function: f.name, Stable: runs, Release: next}
			errs = append(errs, now.CheckForeign(f.name))
		case runs != "" && runs != next && r.breaks(f, documents):
			f.canary, f.takesOver = &routes.Canary{Function: f.name, Stable: runs, Release: next}, true
			errs = append(errs, now.CheckForeign(f.name))
		}
	}
	return errors.Join(errs...)
}

// endFirst refuses to deploy a function whose canary is open.
func endFirst(function, what string) error {
	return &failure.ConflictError{
		What:   fmt.Sprintf("a canary of function %q is open: %s", function, what),
		Advice: fmt.Sprintf("`countersign promote %s` or `countersign abort %[1]s` first", function),
	}
}

// checkCanaryPlan refuses what a canary can't be: anything but a new job version beside a stable one, or one that runs.
func (r *Rollout) checkCanaryPlan(ctx context.Context, f *function) error {
	switch {
	case f.plan.Action == nomad.ActionUpdate && f.plan.Canary && r.PlanOnly:
		return nil
	case f.plan.Action == nomad.ActionUpdate && f.plan.Canary:
		return r.Cluster.AwaitStable(ctx, f.name)
	case f.plan.Action == nomad.ActionAwait && f.plan.Canarying():
		return nil
	case (f.plan.Action == nomad.ActionNone || f.plan.Action == nomad.ActionAwait) && f.takesOver: // it was promoted, and what followed was interrupted
		return nil
	}
	return endFirst(f.name, fmt.Sprintf("and its job is not one that waits to be promoted (%s)", f.plan.Action))
}

// canaryFailed adds to the failure of a canary what is left of it.
func canaryFailed(f *function, err error) error {
	return fmt.Errorf("%w\n  no call goes to release %s: `countersign abort %s` ends its canary, the same deploy goes on with it",
		err, f.canary.Release, f.name)
}
