package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/pipeline/progress"
	"countersign/pipeline/releases"
	"countersign/pipeline/routes"
	"countersign/release"
)

// horizon is how many of the latest releases versions of functions are looked for in. A release that is named with -to, and
// those after it, are looked at, too.
const horizon = 50

// target is where a rollback goes.
type target struct {
	wish     map[string]release.Version
	restores int      // number of the release that is brought back as a whole, or 0
	stay     []string // functions that run, and that it does not have
}

// choose finds what is to be moved.
func (r *rollback) choose(ctx context.Context) error {
	return r.engine.Steps.Step("", progress.StepChoose, func(func(string)) (o progress.Outcome, err error) {
		history, err := r.history(ctx)
		if err != nil {
			return o, err
		}
		r.past, r.head = history, &release.Record{}
		if len(history) > 0 {
			r.head = history[0]
		}
		running, err := r.engine.Cluster.Running(ctx)
		if err != nil {
			return o, err
		}
		if r.target, err = r.aim(history, running); err != nil {
			return o, err
		}
		if r.moves, err = release.Restore(r.target.wish, running, history, r.engine.Documents(ctx)); err != nil {
			return o, err
		}
		now, err := r.engine.Routes.Entries(ctx)
		if err != nil {
			return o, err
		}
		r.goOn(history, running, now.Canaries())
		var names []string
		for _, m := range r.moves {
			names = append(names, m.Function)
		}
		if names == nil {
			return progress.Nothing("what is asked for runs already"), nil
		}
		text := strings.Join(names, ", ")
		if r.target.restores > 0 {
			text = fmt.Sprintf("release %d: %s", r.target.restores, text)
		}
		return progress.Did(text), nil
	})
}

// goOn takes up what an interrupted run left: functions that it moved, whose pins have to follow, and those of them that run in
// two releases, of which the one that was recorded before is to take over.
func (r *rollback) goOn(history release.History, running map[string]release.Function, open map[string]routes.Canary) {
	r.begun = map[string]release.Function{}
	for _, name := range slices.Sorted(maps.Keys(running)) {
		runs := running[name]
		versions := history.Versions(name, 0)
		i := slices.IndexFunc(versions, func(v release.Version) bool { return v.ArtifactDigest == runs.ArtifactDigest })
		if i < 0 || runs.ArtifactDigest == r.head.Functions[name].ArtifactDigest {
			continue
		}
		r.begun[name] = versions[i].Function
		c, isOpen := open[name]
		known := slices.ContainsFunc(r.moves, func(m release.Move) bool { return m.Function == name })
		if isOpen && !known && (c.Share == 0 || c.Share == routes.Whole) && c.Release == runs.ID() {
			r.moves = append(r.moves, release.Move{Function: name, From: runs, To: versions[i]})
		}
	}
}

// history returns the records that versions are looked for in.
func (r *rollback) history(ctx context.Context) (history release.History, err error) {
	entries, err := r.ledger.History(ctx, horizon)
	if err != nil {
		return nil, err
	}
	last := 0
	if len(entries) > 0 {
		last = entries[0].Number
	}
	switch {
	case r.To > last:
		return nil, &releases.UnknownReleaseError{Environment: r.ledger.Environment, Number: r.To, Last: last}
	case r.To > 0 && last-r.To >= len(entries): // further back than usual
		if entries, err = r.ledger.History(ctx, last-r.To+1); err != nil {
			return nil, err
		}
	}
	for _, e := range entries {
		history = append(history, e.Record)
	}
	return history, nil
}

// aim tells where the user wants to go.
func (r *rollback) aim(history release.History, running map[string]release.Function) (target, error) {
	switch {
	case r.Forward:
		return whole(history.Forward())(running)
	case len(r.Functions) > 0:
		return r.aimAt(history, running)
	case r.To > 0:
		return whole(history.Get(r.To), nil)(running)
	}
	back, err := history.Back()
	if len(history) > 0 && !between(running, r.head, back) {
		back, err = r.head, nil // what runs was never recorded: a deploy failed half-way
	}
	return whole(back, err)(running)
}

// whole returns what makes a target of all functions of a release.
func whole(to *release.Record, err error) func(map[string]release.Function) (target, error) {
	return func(running map[string]release.Function) (target, error) {
		if err != nil {
			return target{}, err
		}
		t := target{wish: map[string]release.Version{}, restores: to.Number}
		for name, f := range to.Functions {
			t.wish[name] = release.Version{Function: f, Release: to.Number}
		}
		for _, name := range slices.Sorted(maps.Keys(running)) {
			if _, has := to.Functions[name]; !has {
				t.stay = append(t.stay, name)
			}
		}
		return t, nil
	}
}

// between tells whether what runs is the latest release, or on its way from there to another: each function is as either has it.
func between(running map[string]release.Function, head, back *release.Record) bool {
	is := func(name string, r *release.Record) bool {
		return r != nil && r.Functions[name].ArtifactDigest == running[name].ArtifactDigest
	}
	for name := range running {
		if !is(name, head) && !is(name, back) {
			return false
		}
	}
	for name := range head.Functions {
		if !is(name, head) && !is(name, back) {
			return false
		}
	}
	return true
}

// aimAt finds the versions that functions which the user named go to. One that runs in a version that was never recorded, since
// a deploy failed half-way, goes back to what is recorded.
func (r *rollback) aimAt(history release.History, running map[string]release.Function) (target, error) {
	t := target{wish: map[string]release.Version{}}
	var errs []error
	for _, name := range r.Functions {
		v, err := r.version(history, name, running[name])
		errs = append(errs, err)
		t.wish[name] = v
	}
	return t, errors.Join(errs...)
}

func (r *rollback) version(history release.History, name string, runs release.Function) (v release.Version, err error) {
	if r.To > 0 {
		f, has := history.Get(r.To).Functions[name]
		if !has {
			return v, &release.NoEarlierError{Function: name, Reason: fmt.Sprintf("release %d does not have it", r.To)}
		}
		return release.Version{Function: f, Release: r.To}, nil
	}
	before, err := history.Before(name)
	if len(history) == 0 {
		return before, err
	}
	recorded := history[0].Functions[name]
	switch runs.ArtifactDigest {
	case "", recorded.ArtifactDigest, before.ArtifactDigest: // what is recorded, or an interrupted rollback
		return before, err
	}
	if recorded.ArtifactDigest == "" {
		return v, &release.NoEarlierError{Function: name, Reason: "what runs of it was never recorded, and nothing before it"}
	}
	return release.Version{Function: recorded, Release: history[0].Number}, nil
}
