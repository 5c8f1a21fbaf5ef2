package pipeline

import (
	"context"
	"fmt"
	"sync"

	"countersign/pipeline/progress"
	"countersign/pipeline/resign"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// verify reads what is to run from the registry, and verifies it, before anything is changed.
func (r *rollback) verify(ctx context.Context) error {
	var names []string
	moves := map[string]release.Move{}
	for _, m := range r.moves {
		names, moves[m.Function] = append(names, m.Function), m
	}
	r.signed = map[string]bool{}
	var mu sync.Mutex
	return r.engine.Steps.Each(progress.StepVerify, names, func(name string, _ func(string)) (progress.Outcome, error) {
		m := moves[name]
		_, _, err := r.engine.Artifacts.Read(ctx, m.To.Function)
		if !attest.IsRetired(err) {
			return progress.Did(r.describe(m)), err
		}
		if !r.Resign {
			return progress.Outcome{}, &RetiredError{m.Function, m.To.Release, err}
		}
		again, err := r.resign(ctx, m)
		if err != nil {
			return progress.Outcome{}, err
		}
		mu.Lock()
		defer mu.Unlock()
		r.signed[name] = true
		if r.PlanOnly {
			return progress.Nothing(fmt.Sprintf("would be signed by key version %d, and then be planned", again.Latest)), nil
		}
		return progress.Did(fmt.Sprintf("signed by key version %d, %s", again.Latest, r.describe(m))), nil
	})
}

// resign has the latest version of the key state what a retired one does, for what the release records vouch for.
func (r *rollback) resign(ctx context.Context, m release.Move) (*resign.Outcome, error) {
	var by attest.Deployer
	if r.recorder != nil {
		by = r.recorder.deployer
	}
	again := resign.New(r.engine.Environment, r.keys, by)
	again.Archive, again.DryRun = true, r.PlanOnly
	var recorded []resign.Recorded
	for _, record := range r.past {
		if f := record.Functions[m.Function]; f.Reference() == m.To.Reference() {
			recorded = append(recorded, resign.Recorded{Function: f, Keys: record.Keys})
		}
	}
	return again.Resign(ctx, recorded...)
}

// RetiredError says that a version can't run again, since the version of the key that attests it is retired. Nothing was changed.
type RetiredError struct {
	Function string
	Release  int
	Err      error
}

// Error implements error.
func (e *RetiredError) Error() string {
	return fmt.Sprintf("%s of release %d can't run again, since the version of the key that attests it is retired; nothing was changed: %v"+
		"\n  -resign has the latest version sign it again, if the release record vouches for it; do that only if the retired version was "+
		"not stolen before that release", e.Function, e.Release, e.Err)
}

// Unwrap returns the cause.
func (e *RetiredError) Unwrap() error { return e.Err }
