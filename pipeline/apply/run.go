package apply

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
)

// runWaves runs callees before callers. What comes after a wave that failed is not touched.
func (r *Rollout) runWaves(ctx context.Context) error {
	for i, wave := range r.waves {
		err := r.Steps.Each(progress.StepRun, wave, func(name string, _ func(string)) (progress.Outcome, error) {
			return r.run(ctx, r.byName[name])
		})
		// What was registered is awaited even if registering another failed: the user wants to know how it ends.
		started := slices.DeleteFunc(slices.Clone(wave), func(name string) bool { return r.byName[name].started == nil })
		err = errors.Join(err, r.Steps.Each(progress.StepWait, started,
			func(name string, tell func(string)) (progress.Outcome, error) {
				return r.wait(ctx, r.byName[name], tell)
			}))
		if err != nil {
			return r.notRun(r.waves[i+1:], err)
		}
	}
	return nil
}

func (r *Rollout) run(ctx context.Context, f *function) (o progress.Outcome, err error) {
	f.started, err = r.Cluster.Run(ctx, f.plan)
	if f.plan.Action == nomad.ActionNone || f.plan.Action == nomad.ActionAwait {
		return progress.Nothing("registered already"), err
	}
	return progress.Did(string(f.plan.Action)), err
}

func (r *Rollout) wait(ctx context.Context, f *function, tell func(string)) (progress.Outcome, error) {
	var err error
	f.started.Canary = f.canary != nil
	f.healthy, err = r.serving(ctx, f.started, tell)
	if err != nil && f.canary != nil {
		return progress.Outcome{}, canaryFailed(f, err)
	}
	if err != nil {
		return progress.Outcome{}, err
	}
	detail := fmt.Sprintf("%d healthy", f.healthy)
	if f.plan.Action == nomad.ActionNone {
		return progress.Nothing(detail), nil
	}
	return progress.Did(detail), nil
}

// notRun adds to err which functions were left alone because of it.
func (r *Rollout) notRun(rest [][]string, err error) error {
	var names []string
	for _, wave := range rest {
		for _, name := range wave {
			if r.byName[name].plan.Action != nomad.ActionNone {
				names = append(names, name)
			}
		}
	}
	if names == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("not run, since functions before them failed: %s", strings.Join(names, ", ")))
}
