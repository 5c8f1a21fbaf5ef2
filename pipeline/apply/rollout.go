package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/routes"
	"countersign/release"
)

// Rollout is one record on its way to the cluster.
type Rollout struct {
	*Engine
	functions []*function // callees first
	byName    map[string]*function
	waves     [][]string
	running   map[string]release.Function // what ran when it was checked
}

// function is one function of a rollout. Only one step at a time works on it.
type function struct {
	name      string
	next      release.Function
	job       []byte
	canary    *routes.Canary // if it runs beside another release, or is to
	takesOver bool           // the canary is there for callers of the release before, and takes over when they are gone
	plan      *nomad.Plan
	started   *nomad.Started
	healthy   int
}

// Result is what a rollout did about one function.
type Result struct {
	Action      nomad.Action   // "" if it did not come to a plan
	Changes     string         // what the plan changes, for people
	Allocations int            // that are healthy
	Canary      *routes.Canary // if it runs beside another release, or is to
}

// Result returns what was done about a function so far.
func (r *Rollout) Result(name string) Result {
	f := r.byName[name]
	if f == nil {
		return Result{}
	}
	result := Result{Allocations: f.healthy, Canary: f.canary}
	if f.plan != nil {
		result.Action, result.Changes = f.plan.Action, f.plan.Summary
	}
	return result
}

// Check tells whether the functions of a record would fit to what runs, and to the canaries that are open. It needs no
// more of the record than what is known before anything is signed, so a deploy that does not fit publishes nothing. The
// rollout is there even if the error says that it must not be run; the error is a *release.MisfitError, a
// *failure.ConflictError, or several of them.
func (e *Engine) Check(ctx context.Context, record *release.Record) (*Rollout, error) {
	r := &Rollout{Engine: e, byName: map[string]*function{}, waves: record.Waves()}
	for _, name := range slices.Concat(r.waves...) {
		f := &function{name: name, next: record.Functions[name]}
		r.functions, r.byName[name] = append(r.functions, f), f
	}
	return r, e.Steps.Step("", progress.StepCheck, func(func(string)) (progress.Outcome, error) {
		var err error
		if r.running, err = e.Cluster.Running(ctx); err != nil {
			return progress.Outcome{}, err
		}
		now, err := e.Routes.Entries(ctx)
		if err != nil {
			return progress.Outcome{}, err
		}
		if err := release.Fit(record.Functions, r.running, e.beside(ctx, now, r.running), r.Documents(ctx)); err != nil {
			return progress.Outcome{}, err
		}
		err = r.checkCanaries(now, r.Documents(ctx))
		return progress.Did("callers and callees fit" + r.tellBeside()), err
	})
}

// Run brings a record that Check accepted to the cluster. record is the same as it was checked, now with what is
// attested. Whatever stops it, the versions that ran before go on serving, and running it again goes on where it stopped.
func (r *Rollout) Run(ctx context.Context, record *release.Record) error {
	if err := r.take(record); err != nil {
		return err
	}
	if err := r.each(progress.StepRender, func(f *function) (progress.Outcome, error) { return r.render(ctx, f) }); err != nil {
		return err
	}
	if err := r.each(progress.StepPlan, func(f *function) (progress.Outcome, error) { return r.makePlan(ctx, f) }); err != nil {
		return err
	}
	if err := r.route(ctx); err != nil || r.PlanOnly {
		return err
	}
	if err := r.runWaves(ctx); err != nil {
		return r.leftBeside(r.functions, err)
	}
	if err := r.shift(ctx); err != nil {
		return err
	}
	if err := r.takeOver(ctx); err != nil {
		return err
	}
	return r.narrow(ctx)
}

// take replaces what was checked by what is to be run, which may say more, but nothing else.
func (r *Rollout) take(record *release.Record) error {
	if len(record.Functions) != len(r.byName) {
		return errors.New("the release is not the one that was checked: check it again")
	}
	for name, next := range record.Functions {
		f := r.byName[name]
		if f == nil || f.next.Reference() != next.Reference() {
			return fmt.Errorf("the release of function %q is not the one that was checked: check it again", name)
		}
		f.next = next
	}
	return nil
}

func (r *Rollout) each(step progress.Step, f func(*function) (progress.Outcome, error)) error {
	names := slices.Concat(r.waves...)
	return r.Steps.Each(step, names, func(name string, _ func(string)) (progress.Outcome, error) { return f(r.byName[name]) })
}

// callees returns which functions may call which after this rollout; with before, also those that may do so until then.
func (r *Rollout) callees(before bool) map[string][]string {
	all := release.Callees(r.running)
	for _, f := range r.functions {
		list := slices.Clone(f.next.Callees)
		if before {
			list = append(list, all[f.name]...)
		}
		all[f.name] = list
	}
	return all
}
