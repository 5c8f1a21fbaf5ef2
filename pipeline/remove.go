package pipeline

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"countersign/hclspec"
	"countersign/patience"
	"countersign/pipeline/apply"
	"countersign/pipeline/consul"
	"countersign/pipeline/job"
	"countersign/pipeline/load"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/routes"
	"countersign/release"
)

// RemoveOptions is what taking a function away is told by its user.
type RemoveOptions struct {
	Environment string            // environment file
	Function    string            // to be taken away
	JobsDir     string            // where the rendered jobs are kept
	Force       bool              // even if functions that run may call it
	LockWait    time.Duration     // how long to wait for a deploy to end
	Timeout     time.Duration     // how long its calls may take to end
	Observer    progress.Observer // may be nil
}

// RemoveResult is what taking a function away did. It is useful, though incomplete, after an error, too.
type RemoveResult struct {
	Environment string            `json:"environment"`
	Function    string            `json:"function"`
	Job         bool              `json:"job"`               // there was a job
	File        string            `json:"file,omitempty"`    // rendered job that was deleted
	Routing     []string          `json:"routing,omitempty"` // what was deleted in Consul, for people
	Kept        []string          `json:"kept,omitempty"`    // what is there still, for people
	Steps       []progress.Timing `json:"steps"`
	MS          float64           `json:"ms"` // altogether
}

// CalledError refuses to take away a function that functions which run may call. Nothing was changed.
type CalledError struct {
	Function string
	Callers  []string
}

// Error implements error.
func (e *CalledError) Error() string {
	return fmt.Sprintf("function %q is in the calls of %s: deploy them without it first, or remove them (-force: their calls "+
		"fail from then on)", e.Function, strings.Join(e.Callers, " and "))
}

// Remove takes a function away: its job, what Consul has of it, and its rendered job. Its key in Vault and its artifacts
// stay, so that it can be deployed again, and what it did can be verified. Running it again goes on where it stopped.
func Remove(ctx context.Context, o RemoveOptions) (*RemoveResult, error) {
	begin := time.Now()
	r := &remove{RemoveOptions: o, steps: progress.NewRecorder(o.Observer), result: RemoveResult{Function: o.Function}}
	err := r.all(patience.WithTeller(ctx, r.steps.Waits))
	r.result.Steps, r.result.MS = r.steps.Timings(), progress.Milliseconds(time.Since(begin))
	return &r.result, err
}

// remove is one run of Remove.
type remove struct {
	RemoveOptions
	steps   *progress.Recorder
	result  RemoveResult
	cluster *nomad.Cluster
	consul  *consul.Client
	records *recorder
}

func (r *remove) all(ctx context.Context) error {
	err := r.steps.Step("", progress.StepLoad, func(func(string)) (progress.Outcome, error) {
		env, err := load.Environment(r.RemoveOptions.Environment)
		if err != nil {
			return progress.Outcome{}, err
		}
		r.result.Environment = env.Name
		if r.cluster, err = nomad.New(env.Nomad); err != nil {
			return progress.Outcome{}, err
		}
		if r.consul, err = consul.New(env.Consul); err == nil {
			r.records, err = identified(ctx, &apply.Engine{Options: apply.Options{Environment: env}, Cluster: r.cluster, Routes: r.consul, Steps: r.steps}, r.consul)
		}
		return progress.Did("environment " + env.Name), err
	})
	if err != nil {
		return err
	}
	return apply.Locked(ctx, r.consul, r.steps, r.LockWait, r.locked)
}

func (r *remove) locked(ctx context.Context) error {
	if err := r.records.settle(ctx); err != nil {
		return err
	}
	err := r.steps.Step(r.Function, progress.StepCheck, func(func(string)) (progress.Outcome, error) { return r.check(ctx) })
	if err != nil {
		return err
	}
	err = r.steps.Step(r.Function, progress.StepStop, func(tell func(string)) (_ progress.Outcome, err error) {
		ctx, cancel := context.WithTimeout(ctx, r.Timeout)
		defer cancel()
		if r.result.Job, err = r.cluster.Remove(ctx, r.Function, tell); err != nil || !r.result.Job {
			return progress.Nothing("there is no job"), err
		}
		return progress.Did("the job is gone"), nil
	})
	if err != nil {
		return err
	}
	err = r.steps.Step(r.Function, progress.StepClean, func(func(string)) (progress.Outcome, error) { return r.clean(ctx) })
	if err != nil {
		return err
	}
	return r.records.record(ctx, release.Record{Action: release.ActionRemove})
}

// check refuses what would break callers, and names that there are not.
func (r *remove) check(ctx context.Context) (progress.Outcome, error) {
	running, err := r.cluster.Running(ctx)
	if err != nil {
		return progress.Outcome{}, err
	}
	// A caller with a canary, or in the middle of a deploy, may call it in another version than the registered one.
	now, err := r.consul.Entries(ctx)
	if err != nil {
		return progress.Outcome{}, err
	}
	callers := release.Callers(release.Callees(running))[r.Function]
	for _, caller := range routes.Callers(r.Function, now) {
		if _, runs := running[caller]; runs && !slices.Contains(callers, caller) {
			callers = append(callers, caller)
		}
	}
	callers = slices.DeleteFunc(callers, func(caller string) bool { return caller == r.Function })
	slices.Sort(callers)
	if len(callers) > 0 && !r.Force {
		return progress.Outcome{}, &CalledError{r.Function, callers}
	}
	changes, _ := routes.PlanRemove(r.Function, now)
	if _, runs := running[r.Function]; !runs {
		deployed, err := r.cluster.Deployed(ctx, r.Function)
		if err != nil {
			return progress.Outcome{}, fmt.Errorf("%q is no function, and is left alone: %w", r.Function, err)
		}
		if deployed == nil && len(changes) == 0 && !job.Exists(job.File(r.JobsDir, r.Function)) {
			return progress.Outcome{}, &hclspec.UnknownFunctionError{
				Name: r.Function, Where: "that runs", Known: slices.Sorted(maps.Keys(running)),
			}
		}
	}
	if len(callers) > 0 {
		return progress.Did(strings.Join(callers, ", ") + " will fail to call it"), nil
	}
	return progress.Did("nothing that runs calls it"), nil
}

// clean deletes what is left of a function that does not run any more.
func (r *remove) clean(ctx context.Context) (progress.Outcome, error) {
	now, err := r.consul.Entries(ctx)
	if err != nil {
		return progress.Outcome{}, err
	}
	changes, remarks := routes.PlanRemove(r.Function, now)
	if err := r.consul.Write(ctx, changes); err != nil {
		return progress.Outcome{}, err
	}
	r.result.Routing, r.result.Kept = routes.Texts(changes), remarks
	file := job.File(r.JobsDir, r.Function)
	existed, err := job.Remove(file)
	if err != nil {
		return progress.Outcome{}, fmt.Errorf("delete the rendered job: %w", err)
	}
	done := r.result.Routing
	if existed {
		r.result.File = file
		done = append(slices.Clone(done), file+" is deleted")
	}
	return progress.Did(strings.Join(append(slices.Clone(done), remarks...), "; ")), nil
}
