package apply

import (
	"context"
	"slices"

	"countersign/pipeline/progress"
	"countersign/pipeline/routes"
	"countersign/release"
)

// route writes to Consul what has to be there before a job runs: who may call whom, and that a canary gets no calls
// yet. It takes nothing away that calls of this moment need. With PlanOnly it tells all that a deploy would change.
func (r *Rollout) route(ctx context.Context) error {
	return r.Steps.Step("", progress.StepRoute, func(func(string)) (progress.Outcome, error) {
		return r.change(ctx, r.planRoutes)
	})
}

func (r *Rollout) planRoutes(now *routes.Entries) (c changes, err error) {
	c.none = "calls may go where specs say"
	if c.list, err = routes.PlanDefaults(slices.Concat(r.waves...), now); err != nil {
		return c, err
	}
	for _, f := range r.functions {
		if f.plan.Canary {
			c.list = append(c.list, routes.PlanOpen(*f.canary, now)...)
		}
	}
	var intentions []routes.Change
	if r.PlanOnly {
		intentions, c.remarks, err = narrowed(r.callees(false), r.hasCanary, now)
	} else {
		intentions, c.remarks, err = routes.PlanIntentions(release.Callers(r.callees(true)), nil, now)
	}
	c.list = append(c.list, intentions...)
	return c, err
}

// hasCanary tells whether a function of this rollout runs in two versions.
func (r *Rollout) hasCanary(name string) bool {
	return r.byName[name] != nil && r.byName[name].canary != nil
}

// shares tells whether the function has a canary that is to get a share of the calls.
func (f *function) shares() bool { return f.canary != nil && !f.takesOver }

// shift gives the canaries of this rollout, which are healthy, their share of the calls.
func (r *Rollout) shift(ctx context.Context) error {
	if !slices.ContainsFunc(r.functions, (*function).shares) {
		return nil
	}
	return r.Steps.Step("", progress.StepShift, func(func(string)) (progress.Outcome, error) {
		o, err := r.change(ctx, func(now *routes.Entries) (changes, error) {
			c := changes{none: r.Canary.String() + " of the calls, as before"}
			for _, f := range r.functions {
				if f.shares() {
					c.list = append(c.list, routes.PlanShare(*f.canary, r.Canary, now)...)
				}
			}
			return c, nil
		})
		for _, f := range r.functions {
			if err == nil && f.shares() {
				f.canary.Share = r.Canary
			}
		}
		return o, err
	})
}

// narrow takes intentions away that nothing needs any more, now that what needed them is gone.
func (r *Rollout) narrow(ctx context.Context) error {
	return r.Steps.Step("", progress.StepNarrow, func(func(string)) (progress.Outcome, error) {
		return r.change(ctx, func(now *routes.Entries) (c changes, err error) {
			c.none = "no call is permitted that no spec lists"
			c.list, c.remarks, err = narrowed(r.callees(false), r.hasCanary, now)
			return c, err
		})
	})
}
