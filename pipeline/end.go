package pipeline

import (
	"context"
	"time"

	"countersign/patience"
	"countersign/pipeline/apply"
	"countersign/pipeline/consul"
	"countersign/pipeline/hosts"
	"countersign/pipeline/load"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/registry"
	"countersign/pipeline/routes"
	"countersign/pipeline/vault"
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
	Canaries    []routes.Canary   `json:"canaries"`          // that were open, with the share that each had
	Release     int               `json:"release,omitempty"` // number of the record that was made; 0: none
	Routing     []string          `json:"routing,omitempty"`
	Steps       []progress.Timing `json:"steps"`
	MS          float64           `json:"ms"` // altogether
}

// Promote has canaries take over: all calls go to the new release, then the release before stops. Whatever interrupts
// it, running it again goes on where it stopped. The errors are those of a deploy, and *apply.NoCanaryError and
// *nomad.CanaryGoneError; the last leaves everything as it was.
func Promote(ctx context.Context, o CanaryOptions) (*CanaryResult, error) {
	return endCanaries(ctx, o, release.ActionPromote, (*apply.Engine).Promote)
}

// Abort ends canaries: all calls go to the release before, then the new one stops. Running it again goes on where it
// stopped.
func Abort(ctx context.Context, o CanaryOptions) (*CanaryResult, error) {
	return endCanaries(ctx, o, release.ActionAbort, (*apply.Engine).Abort)
}

func endCanaries(ctx context.Context, o CanaryOptions, action release.Action,
	end func(*apply.Engine, context.Context, []string) ([]routes.Canary, error)) (*CanaryResult, error) {
	begin := time.Now()
	e := &apply.Engine{Options: apply.Options{Timeout: o.Timeout}, Steps: progress.NewRecorder(o.Observer)}
	ctx = patience.WithTeller(ctx, e.Steps.Waits)
	r := &CanaryResult{}
	var lock *consul.Client
	var records *recorder
	err := e.Steps.Step("", progress.StepLoad, func(func(string)) (_ progress.Outcome, err error) {
		lock, err = connect(e, o.Environment)
		if e.Environment != nil {
			r.Environment = e.Environment.Name
		}
		if err == nil {
			records, err = identified(ctx, e, lock)
		}
		return progress.Did("environment " + r.Environment), err
	})
	if err == nil {
		err = apply.Locked(ctx, lock, e.Steps, o.LockWait, func(ctx context.Context) (err error) {
			if err := records.settle(ctx); err != nil {
				return err
			}
			if r.Canaries, err = end(e, ctx, o.Functions); err != nil {
				return err
			}
			return records.record(ctx, release.Record{Action: action})
		})
	}
	if records != nil && records.made != nil {
		r.Release = records.made.Number
	}
	r.Routing, r.Steps, r.MS = e.Routing(), e.Steps.Timings(), progress.Milliseconds(time.Since(begin))
	return r, err
}

// connect reads an environment file, and makes the clients that an engine needs to end canaries. It returns that of
// Consul, which has the lock.
func connect(e *apply.Engine, environment string) (*consul.Client, error) {
	var err error
	if e.Environment, err = load.Environment(environment); err != nil {
		return nil, err
	}
	if e.Cluster, err = nomad.New(e.Environment.Nomad); err != nil {
		return nil, err
	}
	keys, err := vault.Keys(e.Environment.Vault)
	if err != nil {
		return nil, err
	}
	e.Artifacts = registry.NewReader(e.Environment, keys)
	e.Hosts = hosts.New(e.Environment)
	client, err := consul.New(e.Environment.Consul)
	e.Routes, e.Instances = client, client
	return client, err
}
