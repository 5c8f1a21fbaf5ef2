package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"countersign/pipeline/progress"
)

// runWaves runs callees before callers. What comes after a wave that failed is not touched.
func (d *deploy) runWaves(ctx context.Context) error {
	for i, wave := range d.waves {
		err := d.each(progress.StepRun, wave, func(u *unit) (progress.Outcome, error) {
			started, err := d.cluster.Run(ctx, u.plan)
			u.started = started
			if u.plan.Action == ActionNone || u.plan.Action == ActionAwait {
				return progress.Nothing("registered already"), err
			}
			return progress.Did(string(u.plan.Action)), err
		})
		// What was registered is awaited even if registering another failed: the user wants to know how it ends.
		started := slices.DeleteFunc(slices.Clone(wave), func(u *unit) bool { return u.started == nil })
		err = errors.Join(err, d.eachTelling(progress.StepWait, started, func(u *unit, tell func(string)) (progress.Outcome, error) {
			return d.wait(ctx, u, tell)
		}))
		if err != nil {
			return d.notRun(d.waves[i+1:], err)
		}
	}
	return nil
}

func (d *deploy) wait(ctx context.Context, u *unit, tell func(string)) (progress.Outcome, error) {
	var err error
	u.started.canary = u.canary != nil
	u.healthy, err = d.cluster.WaitHealthy(ctx, u.started, d.Timeout, tell)
	if err != nil && u.canary != nil {
		return progress.Outcome{}, canaryFailed(u, err)
	}
	if err != nil {
		return progress.Outcome{}, err
	}
	detail := fmt.Sprintf("%d healthy", u.healthy)
	if u.plan.Action == ActionNone {
		return progress.Nothing(detail), nil
	}
	return progress.Did(detail), nil
}

// notRun adds to err which functions were left alone because of it.
func (d *deploy) notRun(rest [][]*unit, err error) error {
	var names []string
	for _, wave := range rest {
		for _, u := range wave {
			if u.plan.Action != ActionNone {
				names = append(names, u.Name)
			}
		}
	}
	if names == nil {
		return err
	}
	return errors.Join(err, fmt.Errorf("not run, since functions before them failed: %s", strings.Join(names, ", ")))
}
