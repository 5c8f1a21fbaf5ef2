package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign"

	"countersign/pipeline/progress"
	"countersign/release"
)

// settleTime is between the moment calls are led away from a release and the moment its instances stop. Routers learn of
// it from Consul by blocking queries, within about 100 ms; this is what a busy machine may take. Calls that run by then
// have the job's kill_timeout to end.
const settleTime = time.Second

// checkCanaries tells which functions get a canary, and refuses what would disturb one that is open.
func (d *deploy) checkCanaries(now *routing) error {
	open, callers := now.canaries(), release.Callers(release.Callees(d.running))
	var errs []error
	for _, u := range d.units {
		if runs, ok := d.running[u.Name]; ok && runs.InterfaceDigest != u.iface.Digest {
			for _, caller := range callers[u.Name] {
				if open[caller] != nil {
					errs = append(errs, endFirst(caller, "and the interface of "+u.Name+", which it calls, would change"))
				}
			}
		}
		release, runs := countersign.ReleaseID(u.packed.reference.Digest), ""
		if r, ok := d.running[u.Name]; ok {
			runs = countersign.ReleaseID(r.ArtifactDigest)
		}
		c := open[u.Name]
		switch {
		case c != nil && (d.Canary == 0 || c.Release != release):
			errs = append(errs, endFirst(u.Name, fmt.Sprintf("release %s gets %s of the calls", c.Release, c.Share)))
		case c != nil && runs != c.Stable && runs != c.Release:
			errs = append(errs, endFirst(u.Name, "but its job runs neither of the two releases"))
		case c != nil:
			u.canary = &c.Canary
		case d.Canary != 0 && runs != "" && runs != release:
			u.canary = &Canary{Function: u.Name, Stable: runs, Release: release}
			errs = append(errs, now.foreign(u.Name), d.checkCanaryInterface(u))
		}
	}
	return errors.Join(errs...)
}

// endFirst refuses to deploy a function whose canary is open.
func endFirst(function, what string) error {
	return &ConflictError{
		What:   fmt.Sprintf("a canary of function %q is open: %s", function, what),
		Advice: fmt.Sprintf("`countersign promote %s` or `countersign abort %[1]s` first", function),
	}
}

// checkCanaryInterface refuses a canary with another interface than the release that runs: callers would meet both.
func (d *deploy) checkCanaryInterface(u *unit) error {
	if d.running[u.Name].InterfaceDigest == u.iface.Digest {
		return nil
	}
	callers := release.Callers(d.callees(true))[u.Name]
	if callers == nil {
		return nil
	}
	return &CanaryMisfitError{Function: u.Name, Callers: callers}
}

// checkCanaryPlan refuses what a canary can't be: anything but a new job version beside a stable one, or one that runs.
func (d *deploy) checkCanaryPlan(ctx context.Context, u *unit) error {
	switch {
	case u.plan.Action == ActionUpdate && u.plan.canary && d.PlanOnly:
		return nil
	case u.plan.Action == ActionUpdate && u.plan.canary:
		return d.cluster.awaitStable(ctx, u.Name)
	case u.plan.Action == ActionAwait && (u.plan.latest == nil || isCanarying(u.plan.latest)):
		return nil
	}
	return endFirst(u.Name, fmt.Sprintf("and its job is not one that waits to be promoted (%s)", u.plan.Action))
}

// callees returns which functions may call which after this deploy; with before, also those that may do so until then.
func (d *deploy) callees(before bool) map[string][]string {
	all := release.Callees(d.running)
	for _, u := range d.units {
		list := slices.Clone(u.Function.Calls)
		if before {
			list = append(list, all[u.Name]...)
		}
		all[u.Name] = list
	}
	return all
}

// route writes to Consul what has to be there before a job runs: who may call whom, and that a canary gets no calls
// yet. It takes nothing away that calls of this moment need. With PlanOnly it tells all that a deploy would change.
func (d *deploy) route(ctx context.Context) (progress.Outcome, error) {
	now, err := d.routes.read(ctx)
	if err != nil {
		return progress.Outcome{}, err
	}
	changes, remarks, err := d.planRoutes(now)
	if err != nil {
		return progress.Outcome{}, err
	}
	return d.change(ctx, changes, remarks, "calls may go where specs say")
}

func (d *deploy) planRoutes(now *routing) (changes []routeChange, remarks []string, err error) {
	names := make([]string, len(d.units))
	for i, u := range d.units {
		names[i] = u.Name
	}
	if changes, err = planDefaults(names, now); err != nil {
		return nil, nil, err
	}
	for _, u := range d.units {
		if u.plan.canary {
			changes = append(changes, planOpen(*u.canary, now)...)
		}
	}
	callees, narrow := d.callees(true), (func(string) bool)(nil)
	if d.PlanOnly {
		callees, narrow = d.callees(false), d.narrows(now)
	}
	intentions, remarks, err := planIntentions(release.Callers(callees), narrow, now)
	return append(changes, intentions...), remarks, err
}

// shift gives the canaries of this deploy, which are healthy, their share of the calls.
func (d *deploy) shift(ctx context.Context) error {
	if !slices.ContainsFunc(d.units, func(u *unit) bool { return u.canary != nil }) {
		return nil
	}
	return d.Step("", progress.StepShift, func(func(string)) (progress.Outcome, error) {
		now, err := d.routes.read(ctx)
		if err != nil {
			return progress.Outcome{}, err
		}
		var changes []routeChange
		for _, u := range d.units {
			if u.canary != nil {
				changes = append(changes, planShare(*u.canary, d.Canary, now)...)
			}
		}
		o, err := d.change(ctx, changes, nil, d.Canary.String()+" of the calls, as before")
		for _, u := range d.units {
			if err == nil && u.canary != nil {
				u.canary.Share = d.Canary
			}
		}
		return o, err
	})
}

// narrow takes intentions away that nothing needs any more, now that what needed them is gone.
func (d *deploy) narrow(ctx context.Context) error {
	return d.Step("", progress.StepNarrow, func(func(string)) (progress.Outcome, error) {
		now, err := d.routes.read(ctx)
		if err != nil {
			return progress.Outcome{}, err
		}
		changes, remarks, err := planIntentions(release.Callers(d.callees(false)), d.narrows(now), now)
		if err != nil {
			return progress.Outcome{}, err
		}
		return d.change(ctx, changes, remarks, "no call is permitted that no spec lists")
	})
}

// narrows tells whose intentions may be taken away: a function with an open canary runs in two versions.
func (d *deploy) narrows(now *routing) func(caller string) bool {
	return narrows(now, func(caller string) bool {
		return slices.ContainsFunc(d.units, func(u *unit) bool { return u.Name == caller && u.canary != nil })
	})
}

func narrows(now *routing, busy func(caller string) bool) func(caller string) bool {
	open := now.canaries()
	return func(caller string) bool { return open[caller] == nil && !busy(caller) }
}

// change makes changes, unless only a plan is wanted, and notes them for the result.
func (d *deploy) change(ctx context.Context, changes []routeChange, remarks []string, none string) (progress.Outcome, error) {
	if !d.PlanOnly {
		if err := d.routes.apply(ctx, changes); err != nil {
			return progress.Outcome{}, err
		}
	}
	d.routing = append(d.routing, texts(changes)...)
	o := progress.Nothing(strings.Join(append([]string{none}, remarks...), "; "))
	if len(changes) > 0 {
		o = progress.Did(strings.Join(append(texts(changes), remarks...), "; "))
	}
	if d.PlanOnly && len(changes) > 0 {
		o.Detail = "would be: " + o.Detail
	}
	return o, nil
}

// canaryFailed adds to the failure of a canary what is left of it.
func canaryFailed(u *unit, err error) error {
	return fmt.Errorf("%w\n  no call goes to release %s: `countersign abort %s` ends its canary, the same deploy goes on with it",
		err, u.canary.Release, u.Name)
}
