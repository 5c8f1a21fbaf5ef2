package apply

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"countersign/hclspec"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/routes"
	"countersign/release"
)

// settleTime is between the moment calls are led away from a release and the moment its instances stop. Routers learn of
// it from Consul by blocking queries, within about 100 ms; this is what a busy machine may take. Calls that run by then
// have the job's kill_timeout to end.
const settleTime = time.Second

// Promote has the canaries of functions, or all that are open, take over: all calls go to the new release, then the
// release before stops. It returns the canaries with the share that each had, also after an error. The errors are
// *NoCanaryError, *MisfitCanariesError and *nomad.CanaryGoneError, which leave everything as it was, and those of waiting.
func (e *Engine) Promote(ctx context.Context, functions []string) ([]routes.Canary, error) {
	return e.end(ctx, functions, func(c routes.Canary) string { return c.Release }, true, e.promote)
}

// Abort ends the canaries of functions, or all that are open: all calls go to the release before, then the new one stops.
// It returns the canaries with the share that each had, also after an error.
func (e *Engine) Abort(ctx context.Context, functions []string) ([]routes.Canary, error) {
	return e.end(ctx, functions, func(c routes.Canary) string { return c.Stable }, false, e.abort)
}

// end ends canaries one after the other, callers first, and then takes permissions away that only what stopped needed.
func (e *Engine) end(ctx context.Context, functions []string, left func(routes.Canary) string, strict bool,
	end func(context.Context, routes.Canary) error) ([]routes.Canary, error) {
	now, err := e.Routes.Entries(ctx)
	if err != nil {
		return nil, err
	}
	running, err := e.Cluster.Running(ctx)
	if err != nil {
		return nil, err
	}
	canaries, err := chosen(now.Canaries(), functions, running)
	if err != nil {
		return canaries, err
	}
	order(canaries, running)
	if err := e.fits(ctx, canaries, now.Canaries(), running, left, strict); err != nil {
		return canaries, err
	}
	var errs []error
	for _, c := range canaries {
		if err := end(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Function, err))
		}
	}
	return canaries, errors.Join(append(errs, e.narrowAll(ctx))...)
}

// chosen returns the canaries of functions, all that are open if none is named, in order of name.
func chosen(open map[string]routes.Canary, functions []string, running map[string]release.Function) (
	canaries []routes.Canary, err error) {
	names := slices.Clone(functions)
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(open))
	}
	slices.Sort(names)
	var errs []error
	for _, name := range slices.Compact(names) {
		if c, isOpen := open[name]; isOpen {
			canaries = append(canaries, c)
		} else if _, runs := running[name]; !runs {
			errs = append(errs, &hclspec.UnknownFunctionError{Name: name, Where: "that runs", Known: slices.Collect(maps.Keys(running))})
		} else {
			errs = append(errs, &NoCanaryError{name})
		}
	}
	return canaries, errors.Join(errs...)
}

func (e *Engine) promote(ctx context.Context, c routes.Canary) error {
	if err := e.Cluster.Promotable(ctx, c.Function, c.Release); err != nil {
		return err
	}
	if err := e.lead(ctx, c, routes.Whole); err != nil {
		return err
	}
	return e.replace(ctx, c)
}

// replace has the canary of a function, to which all calls are led, take over, and closes it.
func (e *Engine) replace(ctx context.Context, c routes.Canary) error {
	var started *nomad.Started
	err := e.Steps.Step(c.Function, progress.StepPromote, func(func(string)) (o progress.Outcome, err error) {
		started, err = e.Cluster.Promote(ctx, c.Function)
		return progress.Did("release " + c.Release), err
	})
	if err != nil {
		return err
	}
	err = e.Steps.Step(c.Function, progress.StepWait, func(tell func(string)) (progress.Outcome, error) {
		healthy, err := e.serving(ctx, started, tell)
		return progress.Did(fmt.Sprintf("%d healthy", healthy)), err
	})
	if err != nil {
		return err
	}
	return e.close(ctx, c.Function)
}

func (e *Engine) abort(ctx context.Context, c routes.Canary) error {
	if err := e.lead(ctx, c, 0); err != nil {
		return err
	}
	var started *nomad.Started
	err := e.Steps.Step(c.Function, progress.StepAbort, func(func(string)) (o progress.Outcome, err error) {
		started, err = e.Cluster.Abort(ctx, c.Function, c.Stable, c.Release)
		return progress.Did("back to release " + c.Stable), err
	})
	if err != nil {
		return err
	}
	err = e.Steps.Step(c.Function, progress.StepWait, func(tell func(string)) (progress.Outcome, error) {
		if started == nil {
			return progress.Nothing("the job was stopped"), nil
		}
		healthy, err := e.serving(ctx, started, tell)
		if err != nil {
			return progress.Outcome{}, err
		}
		return progress.Did(fmt.Sprintf("%d healthy", healthy)), e.Cluster.AwaitGone(ctx, c.Function, c.Release, tell)
	})
	if err != nil {
		return err
	}
	return e.close(ctx, c.Function)
}

// lead leads calls to a release, and gives every router time to learn of it.
func (e *Engine) lead(ctx context.Context, c routes.Canary, share routes.Share) error {
	return e.Steps.Step(c.Function, progress.StepShift, func(func(string)) (progress.Outcome, error) {
		o, err := e.change(ctx, func(now *routes.Entries) (changes, error) {
			return changes{list: routes.PlanShare(c, share, now), none: "as it is"}, nil
		})
		if err != nil {
			return progress.Outcome{}, err
		}
		select {
		case <-ctx.Done():
			return progress.Outcome{}, context.Cause(ctx)
		case <-time.After(settleTime):
		}
		return o, nil
	})
}

// close deletes what split the calls. Only one release is left, so that changes nothing for calls. Consul refuses it while
// an entry of somebody else's names one of the subsets.
func (e *Engine) close(ctx context.Context, function string) error {
	return e.Steps.Step(function, progress.StepClose, func(func(string)) (progress.Outcome, error) {
		return e.change(ctx, func(now *routes.Entries) (changes, error) {
			return changes{list: routes.PlanClose(function, now), none: "as it is"}, nil
		})
	})
}

// narrowAll takes intentions away that nothing which runs needs any more.
func (e *Engine) narrowAll(ctx context.Context) error {
	return e.Steps.Step("", progress.StepNarrow, func(func(string)) (progress.Outcome, error) {
		running, err := e.Cluster.Running(ctx)
		if err != nil {
			return progress.Outcome{}, err
		}
		return e.change(ctx, func(now *routes.Entries) (c changes, err error) {
			c.none = "as it is"
			c.list, _, err = narrowed(release.Callees(running), func(string) bool { return false }, now)
			return c, err
		})
	})
}
