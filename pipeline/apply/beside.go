package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/pipeline/routes"
	"countersign/release"
)

// A change that breaks callers runs beside the release that they were built with, as a canary that gets no share of the
// calls: routers lead each caller to what it was built with. When the last caller of the release before is gone, the new one takes
// over. Deploys do that by themselves; whoever opens canaries by hand ends them in the same order.

// breaks tells whether a function that runs calls f as it is now, and could not call f as it is to be.
func (r *Rollout) breaks(f *function, documents release.Interfaces) bool {
	for caller, from := range r.running {
		if from.Calls[f.name] != "" && release.Meet(caller, from, f.name, f.next, documents) != nil {
			return true
		}
	}
	return false
}

// takingOver returns the names of those that run beside the release before, until they take over.
func takingOver(functions []*function) (names []string) {
	for _, f := range functions {
		if f.takesOver {
			names = append(names, f.name)
		}
	}
	return names
}

// tellBeside names what will run beside the release before.
func (r *Rollout) tellBeside() string {
	names := takingOver(r.functions)
	if names == nil {
		return ""
	}
	return "; the interface of " + strings.Join(names, " and ") + " breaks callers that run, so either release runs until they are gone"
}

// goesOn tells whether c is what an interrupted rollout left of a change that breaks callers.
func (r *Rollout) goesOn(f *function, c routes.Canary) bool {
	return r.Canary == 0 && c.Release == f.next.ID() && (c.Share == 0 || c.Share == routes.Whole)
}

// takeOver ends that releases run beside those that they replace: callers first, since theirs are the callees.
func (r *Rollout) takeOver(ctx context.Context) error {
	var list []*function
	for _, wave := range slices.Backward(r.waves) {
		for _, name := range wave {
			if f := r.byName[name]; f.takesOver {
				list = append(list, f)
			}
		}
	}
	if err := r.gone(ctx, list); err != nil {
		return r.leftBeside(list, err)
	}
	for _, f := range list { // all before the first stops: they may call each other in a circle
		if err := r.lead(ctx, *f.canary, routes.Whole); err != nil {
			return r.leftBeside(list, err)
		}
	}
	for i, f := range list {
		if err := r.replace(ctx, *f.canary); err != nil {
			return r.leftBeside(list[i:], err)
		}
		f.canary, f.takesOver = nil, false
	}
	return nil
}

// gone makes sure that what runs by now needs none of the releases that are about to be replaced: a caller may have been put back
// meanwhile, by Nomad or by hand.
func (r *Rollout) gone(ctx context.Context, list []*function) error {
	if len(list) == 0 {
		return nil
	}
	now, err := r.Routes.Entries(ctx)
	if err != nil {
		return err
	}
	running, err := r.Cluster.Running(ctx)
	if err != nil {
		return err
	}
	var ended []routes.Canary
	for _, f := range list {
		ended = append(ended, *f.canary)
	}
	return r.fits(ctx, ended, now.Canaries(), running, func(c routes.Canary) string { return c.Release }, true)
}

// leftBeside adds to a failure what runs in two releases because of it.
func (r *Rollout) leftBeside(list []*function, err error) error {
	names := takingOver(list)
	if names == nil || err == nil {
		return err
	}
	return fmt.Errorf("%w\n  %s may run in two releases, each for the callers that were built with it: the same deploy goes on, "+
		"`countersign abort %s` goes back, once the callers that were replaced are deployed as they were before", err, strings.Join(names, " and "), strings.Join(names, " "))
}

// MisfitCanariesError refuses to end canaries, since functions that go on running would have nobody left to call. Nothing was
// changed.
type MisfitCanariesError struct{ Misfits []release.Misfit }

// Error implements error.
func (e *MisfitCanariesError) Error() string {
	var text strings.Builder
	text.WriteString("what would go on running would not fit; nothing was changed:")
	for _, m := range e.Misfits {
		text.WriteString("\n  " + m.String())
	}
	text.WriteString("\n  end the canaries of both at once, as `countersign promote` and `countersign abort` do that name none, " +
		"or deploy a caller that has no canary so that it fits what is left")
	return text.String()
}

// order sorts canaries so that callers come before their callees.
func order(canaries []routes.Canary, running map[string]release.Function) {
	place := map[string]int{}
	for i, wave := range (&release.Record{Functions: running}).Waves() {
		for _, name := range wave {
			place[name] = -i
		}
	}
	slices.SortStableFunc(canaries, func(a, b routes.Canary) int { return place[a.Function] - place[b.Function] })
}

// fits refuses to end canaries if a caller that goes on would meet no release of a callee that it can call. left says which
// release of an ended canary goes on. What can't be compared is a refusal if strict.
func (e *Engine) fits(ctx context.Context, ended []routes.Canary, open map[string]routes.Canary, running map[string]release.Function,
	left func(routes.Canary) string, strict bool) error {
	alive := map[string][]release.Function{}
	for name, f := range running {
		alive[name] = []release.Function{f}
	}
	changed := map[string]bool{}
	for name, c := range open {
		ids := []string{c.Stable, c.Release}
		if slices.ContainsFunc(ended, func(c routes.Canary) bool { return c.Function == name }) {
			ids, changed[name] = []string{left(c)}, true
		}
		alive[name] = nil
		for _, id := range ids {
			if f, err := e.Cluster.Release(ctx, name, id); err == nil { // one that Nomad does not know can't be compared
				alive[name] = append(alive[name], f)
			}
		}
	}
	var misfits []release.Misfit
	documents := e.Documents(ctx)
	for _, caller := range slices.Sorted(maps.Keys(alive)) {
		for _, from := range alive[caller] {
			for _, callee := range slices.Sorted(maps.Keys(from.Calls)) {
				if !changed[callee] || len(alive[callee]) == 0 {
					continue
				}
				if m := meetAny(caller, from, callee, alive[callee], documents); m != nil && (strict || m.Unknown == nil) {
					m.Caller.Runs, m.Callee.Runs = true, true
					misfits = append(misfits, *m)
				}
			}
		}
	}
	if misfits == nil {
		return nil
	}
	return &MisfitCanariesError{misfits}
}

// meetAny tells what is the matter with the last of several releases of a callee if the caller can call none of them.
func meetAny(caller string, from release.Function, callee string, to []release.Function, documents release.Interfaces) (m *release.Misfit) {
	for _, f := range to {
		if m = release.Meet(caller, from, callee, f, documents); m == nil {
			return nil
		}
	}
	return m
}

// beside returns the other releases of functions that run in two.
func (e *Engine) beside(ctx context.Context, now *routes.Entries, running map[string]release.Function) map[string]release.Function {
	others := map[string]release.Function{}
	for name, c := range now.Canaries() {
		for _, id := range []string{c.Stable, c.Release} {
			if id == running[name].ID() {
				continue
			}
			if f, err := e.Cluster.Release(ctx, name, id); err == nil {
				others[name] = f
			}
		}
	}
	return others
}
