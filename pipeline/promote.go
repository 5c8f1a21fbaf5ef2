package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	consul "github.com/hashicorp/consul/api"

	"countersign/hclspec"
	"countersign/pipeline/progress"
	"countersign/release"
)

// CanaryOptions is what ending canaries is told by its user.
type CanaryOptions struct {
	Environment string            // environment file
	Functions   []string          // whose canaries; empty: all that are open
	LockWait    time.Duration     // how long to wait for a deploy to end
	Timeout     time.Duration     // how long each function may take
	Observer    progress.Observer // may be nil
}

// CanaryResult is what ending canaries did. It is useful, though incomplete, after an error, too.
type CanaryResult struct {
	Environment string            `json:"environment"`
	Canaries    []Canary          `json:"canaries"` // that were open, with the share that each had
	Routing     []string          `json:"routing,omitempty"`
	Steps       []progress.Timing `json:"steps"`
	MS          float64           `json:"ms"` // altogether
}

// Promote has canaries take over: all calls go to the new release, then the release before stops. Whatever interrupts
// it, running it again goes on where it stopped. The errors are those of a deploy, and *NoCanaryError and
// *CanaryGoneError; the last leaves everything as it was.
func Promote(ctx context.Context, o CanaryOptions) (*CanaryResult, error) {
	return endCanaries(ctx, o, (*ending).promote)
}

// Abort ends canaries: all calls go to the release before, then the new one stops. Running it again goes on where it
// stopped.
func Abort(ctx context.Context, o CanaryOptions) (*CanaryResult, error) {
	return endCanaries(ctx, o, (*ending).abort)
}

// ending is one run of Promote or Abort.
type ending struct {
	CanaryOptions
	*progress.Recorder
	env      *hclspec.Environment
	cluster  *Cluster
	routes   *routes
	canaries []Canary
	routing  []string
}

func endCanaries(ctx context.Context, o CanaryOptions, end func(*ending, context.Context, Canary) error) (
	*CanaryResult, error) {
	begin := time.Now()
	e := &ending{CanaryOptions: o, Recorder: progress.NewRecorder(o.Observer)}
	err := e.Step("", progress.StepLoad, func(func(string)) (progress.Outcome, error) { return e.load() })
	if err == nil {
		err = withLock(ctx, e.Recorder, e.env.Consul, o.LockWait, func(ctx context.Context) error { return e.all(ctx, end) })
	}
	r := &CanaryResult{Canaries: e.canaries, Routing: e.routing, Steps: e.Recorder.Timings(), MS: progress.Milliseconds(time.Since(begin))}
	if e.env != nil {
		r.Environment = e.env.Name
	}
	return r, err
}

func (e *ending) load() (progress.Outcome, error) {
	var err error
	if e.env, err = LoadEnvironment(e.Environment); err != nil {
		return progress.Outcome{}, err
	}
	if e.cluster, err = NewCluster(e.env.Nomad); err != nil {
		return progress.Outcome{}, err
	}
	e.routes, err = newRoutes(e.env.Consul)
	return progress.Did("environment " + e.env.Name), err
}

// all ends the canaries one after the other, and then takes permissions away that only what stopped needed.
func (e *ending) all(ctx context.Context, end func(*ending, context.Context, Canary) error) error {
	now, err := e.routes.read(ctx)
	if err != nil {
		return err
	}
	open := now.canaries()
	names := e.Functions
	if len(names) == 0 {
		names = slices.Collect(maps.Keys(open))
	}
	slices.Sort(names)
	var errs []error
	for _, name := range slices.Compact(names) {
		if open[name] == nil {
			errs = append(errs, &NoCanaryError{name})
			continue
		}
		e.canaries = append(e.canaries, open[name].Canary)
	}
	if len(errs) > 0 {
		return errors.Join(errs...)
	}
	for _, c := range e.canaries {
		if err := end(e, ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", c.Function, err))
		}
	}
	return errors.Join(append(errs, e.narrow(ctx))...)
}

func (e *ending) promote(ctx context.Context, c Canary) error {
	if err := e.cluster.promotable(ctx, c); err != nil {
		return err
	}
	if err := e.shift(ctx, c, wholeShare); err != nil {
		return err
	}
	var started *Started
	err := e.Step(c.Function, progress.StepPromote, func(func(string)) (o progress.Outcome, err error) {
		started, err = e.cluster.promote(ctx, c)
		return progress.Did("release " + c.Release), err
	})
	if err != nil {
		return err
	}
	err = e.Step(c.Function, progress.StepWait, func(tell func(string)) (progress.Outcome, error) {
		healthy, err := e.cluster.WaitHealthy(ctx, started, e.Timeout, tell)
		return progress.Did(fmt.Sprintf("%d healthy", healthy)), err
	})
	if err != nil {
		return err
	}
	return e.close(ctx, c.Function)
}

func (e *ending) abort(ctx context.Context, c Canary) error {
	if err := e.shift(ctx, c, 0); err != nil {
		return err
	}
	var started *Started
	err := e.Step(c.Function, progress.StepAbort, func(func(string)) (o progress.Outcome, err error) {
		started, err = e.cluster.abort(ctx, c)
		return progress.Did("back to release " + c.Stable), err
	})
	if err != nil {
		return err
	}
	err = e.Step(c.Function, progress.StepWait, func(tell func(string)) (progress.Outcome, error) {
		if started == nil {
			return progress.Nothing("the job was stopped"), nil
		}
		healthy, err := e.cluster.WaitHealthy(ctx, started, e.Timeout, tell)
		if err != nil {
			return progress.Outcome{}, err
		}
		return progress.Did(fmt.Sprintf("%d healthy", healthy)), e.cluster.awaitGone(ctx, c.Function, c.Release, tell)
	})
	if err != nil {
		return err
	}
	return e.close(ctx, c.Function)
}

// shift leads calls to a release, and gives every router time to learn of it.
func (e *ending) shift(ctx context.Context, c Canary, share Share) error {
	return e.Step(c.Function, progress.StepShift, func(func(string)) (progress.Outcome, error) {
		o, err := e.change(ctx, func(now *routing) ([]routeChange, error) { return planShare(c, share, now), nil })
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
func (e *ending) close(ctx context.Context, function string) error {
	return e.Step(function, progress.StepClose, func(func(string)) (progress.Outcome, error) {
		o, err := e.change(ctx, func(now *routing) ([]routeChange, error) { return planClose(function, now), nil })
		var status consul.StatusError
		if errors.As(err, &status) && strings.Contains(status.Body, "subset") {
			err = fmt.Errorf("%w; a service-router, or another entry, leads calls to %s or %s of %s: change it, and run this again",
				err, subsetStable, subsetCanary, function)
		}
		return o, err
	})
}

// narrow takes intentions away that nothing needs any more.
func (e *ending) narrow(ctx context.Context) error {
	return e.Step("", progress.StepNarrow, func(func(string)) (progress.Outcome, error) {
		running, err := e.cluster.Running(ctx)
		if err != nil {
			return progress.Outcome{}, err
		}
		return e.change(ctx, func(now *routing) ([]routeChange, error) {
			nobody := func(string) bool { return false }
			changes, _, err := planIntentions(release.Callers(release.Callees(running)), narrows(now, nobody), now)
			return changes, err
		})
	})
}

// change reads what Consul has, makes the changes that plan finds, and notes them for the result.
func (e *ending) change(ctx context.Context, plan func(now *routing) ([]routeChange, error)) (progress.Outcome, error) {
	now, err := e.routes.read(ctx)
	if err != nil {
		return progress.Outcome{}, err
	}
	changes, err := plan(now)
	if err != nil {
		return progress.Outcome{}, err
	}
	if err := e.routes.apply(ctx, changes); err != nil {
		return progress.Outcome{}, err
	}
	e.routing = append(e.routing, texts(changes)...)
	if len(changes) == 0 {
		return progress.Nothing("as it is"), nil
	}
	return progress.Did(strings.Join(texts(changes), "; ")), nil
}
