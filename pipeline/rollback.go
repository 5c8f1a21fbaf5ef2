package pipeline

import (
	"context"
	"fmt"
	"time"

	"countersign"
	"countersign/patience"
	"countersign/pipeline/apply"
	"countersign/pipeline/consul"
	"countersign/pipeline/job"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/releases"
	"countersign/pipeline/routes"
	"countersign/pipeline/vault"
	"countersign/release"
	"countersign/vaultsign/transit"
)

// RollbackOptions is what moving functions to recorded versions is told by its user.
type RollbackOptions struct {
	Environment string            // environment file
	Functions   []string          // that go back to the version before; empty: the whole release does
	To          int               // number of the release to go to; with Functions, only they do; 0: the one before
	Forward     bool              // take the latest rollback back; Functions and To must be empty
	JobsDir     string            // where the rendered jobs are kept
	Repos       string            // path of the repos.bzl that is brought in line, "": there is none
	Resign      bool              // sign again what only a retired version of its key attests, if a release record vouches for it
	Canary      routes.Share      // of calls that moved functions get at first, beside what runs; 0: they replace it
	PlanOnly    bool              // change nothing
	LockWait    time.Duration     // how long to wait for another deploy to end
	Timeout     time.Duration     // how long each function may take to become healthy
	Observer    progress.Observer // may be nil
}

// RollbackResult is what moving functions to recorded versions did. It is useful, though incomplete, after an error, too.
type RollbackResult struct {
	Environment string            `json:"environment"`
	PlanOnly    bool              `json:"plan_only"`
	Deployer    string            `json:"deployer,omitempty"` // name of the Vault entity or token that moves
	Restores    int               `json:"restores,omitempty"` // number of the release that is brought back as a whole
	Release     int               `json:"release,omitempty"`  // number of the record that was made; 0: none
	Moves       []MoveResult      `json:"moves"`
	Stay        []string          `json:"stay,omitempty"` // functions that run on, and that the restored release does not have
	Pins        []PinResult       `json:"pins,omitempty"`
	Routing     []string          `json:"routing,omitempty"` // what changed in Consul, for people
	Steps       []progress.Timing `json:"steps"`
	MS          float64           `json:"ms"` // altogether
}

// MoveResult is a function that was to be moved.
type MoveResult struct {
	Function    string       `json:"function"`
	From        string       `json:"from,omitempty"` // digest of the artifact that ran; "": none
	To          string       `json:"to"`             // OCI reference of the artifact
	Release     int          `json:"release"`        // number of a release in which that ran
	Commit      string       `json:"commit"`         // as recorded
	Reason      string       `json:"reason"`
	SignedAgain bool         `json:"signed_again,omitempty"` // since the version of the key that attested it is retired
	Action      nomad.Action `json:"action"`                 // "" if it did not come to a plan
	Allocations int          `json:"healthy_allocations,omitempty"`

	Canary *routes.Canary `json:"canary,omitempty"` // if it runs beside another release
}

// Rollback brings functions, or a whole release, to versions that were recorded, and what has to move with them so that all
// callers and callees fit. Nothing is built: the artifacts are in the registry, and their attestations are verified before
// anything is changed. Whatever interrupts it, the versions that ran before go on serving, and running it again goes on. The
// errors are those of a deploy, and *release.NoEarlierError, *release.NoWayBackError and *RetiredError.
func Rollback(ctx context.Context, o RollbackOptions) (*RollbackResult, error) {
	begin := time.Now()
	r := &rollback{RollbackOptions: o, engine: &apply.Engine{
		Options: apply.Options{JobsDir: o.JobsDir, Canary: o.Canary, PlanOnly: o.PlanOnly, Timeout: o.Timeout},
		Steps:   progress.NewRecorder(o.Observer),
	}}
	err := r.all(patience.WithTeller(ctx, r.engine.Steps.Waits))
	return r.result(time.Since(begin)), err
}

// rollback is one run of Rollback. Its fields are filled in on the way.
type rollback struct {
	RollbackOptions
	engine   *apply.Engine
	consul   *consul.Client
	keys     *transit.Client
	ledger   *releases.Ledger
	recorder *recorder // nil if only a plan is wanted

	past    release.History
	head    *release.Record // the latest; empty if there is none
	target  target
	begun   map[string]release.Function // that an interrupted run moved
	moves   []release.Move
	signed  map[string]bool // functions that were signed again, or would be with a plan
	rollout *apply.Rollout  // nil until it was to be checked
	pins    []PinResult
}

func (r *rollback) all(ctx context.Context) error {
	err := r.engine.Steps.Step("", progress.StepLoad, func(func(string)) (progress.Outcome, error) { return r.load(ctx) })
	if err != nil {
		return err
	}
	if r.PlanOnly {
		return r.locked(ctx)
	}
	return apply.Locked(ctx, r.consul, r.engine.Steps, r.LockWait, r.locked)
}

// load reads the environment, and makes the clients of its servers.
func (r *rollback) load(ctx context.Context) (o progress.Outcome, err error) {
	if r.consul, err = connect(r.engine, r.Environment); err != nil {
		return o, err
	}
	env := r.engine.Environment
	if r.keys, err = vault.Keys(env.Vault); err != nil {
		return o, err
	}
	if r.ledger, err = releases.Open(env, r.consul, r.keys); err != nil {
		return o, err
	}
	o = progress.Did("environment " + env.Name)
	if r.PlanOnly {
		return o, nil
	}
	if r.recorder, err = identified(ctx, r.engine, r.consul); err != nil {
		return o, err
	}
	d := r.recorder.deployer
	r.engine.Cluster.(*nomad.Cluster).DeployAs(job.Deployer{Name: d.Name(), EntityID: d.EntityID, DisplayName: d.DisplayName, From: consul.Here()})
	return o, nil
}

// locked are the steps that no other deploy may disturb.
func (r *rollback) locked(ctx context.Context) (err error) {
	if r.recorder != nil {
		if err := r.recorder.settle(ctx); err != nil {
			return err
		}
	}
	if err := r.choose(ctx); err != nil {
		return err
	}
	if err := r.verify(ctx); err != nil {
		return err
	}
	record := &release.Record{Environment: r.engine.Environment.Name, Functions: map[string]release.Function{}}
	for _, m := range r.moves {
		record.Functions[m.Function] = m.To.Function
	}
	if len(r.moves) > 0 && !(r.PlanOnly && len(r.signed) > 0) {
		if r.rollout, err = r.engine.Check(ctx, record); err != nil {
			return err
		}
		if err := r.rollout.Run(ctx, record); err != nil {
			return err
		}
	}
	pinned := r.align() // before it is recorded: what is interrupted here goes on from here
	if r.PlanOnly {
		return pinned
	}
	action := release.ActionRollback
	if r.Forward {
		action = release.ActionRollforward
	}
	if err := r.recorder.record(ctx, release.Record{Action: action, Restores: r.target.restores}); err != nil {
		return err
	}
	return pinned
}

// describe tells what a move is, in one line.
func (r *rollback) describe(m release.Move) string {
	text := fmt.Sprintf("to %s of release %d", m.To.ID(), m.To.Release)
	if m.To.Commit != "" {
		text += " (commit " + countersign.Short(m.To.Commit) + ")"
	}
	return text + ": " + m.Reason()
}

// result is what was done so far.
func (r *rollback) result(took time.Duration) *RollbackResult {
	result := &RollbackResult{PlanOnly: r.PlanOnly, Restores: r.target.restores, Stay: r.target.stay, Pins: r.pins, Moves: []MoveResult{},
		Routing: r.engine.Routing(), Steps: r.engine.Steps.Timings(), MS: progress.Milliseconds(took)}
	if r.engine.Environment != nil {
		result.Environment = r.engine.Environment.Name
	}
	if r.recorder != nil {
		result.Deployer = r.recorder.deployer.Name()
		if r.recorder.made != nil {
			result.Release = r.recorder.made.Number
		}
	}
	for _, m := range r.moves {
		move := MoveResult{Function: m.Function, From: m.From.ArtifactDigest, To: m.To.Reference(), Release: m.To.Release, Commit: m.To.Commit,
			Reason: m.Reason(), SignedAgain: r.signed[m.Function]}
		if r.rollout != nil {
			done := r.rollout.Result(m.Function)
			move.Action, move.Allocations, move.Canary = done.Action, done.Allocations, done.Canary
		}
		result.Moves = append(result.Moves, move)
	}
	return result
}
