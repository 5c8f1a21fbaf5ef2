package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"countersign/hclspec"
	"countersign/patience"
	"countersign/pipeline/apply"
	"countersign/pipeline/consul"
	"countersign/pipeline/hosts"
	"countersign/pipeline/job"
	"countersign/pipeline/load"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/publish"
	"countersign/pipeline/registry"
	"countersign/pipeline/resign"
	"countersign/pipeline/routes"
	"countersign/pipeline/vault"
	"countersign/release"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/transit"
)

// Options is what a deploy is told by its user.
type Options struct {
	Build       Builder           // builds what is to be deployed; nil: Manifest tells what was built
	Manifest    string            // build manifest, see load.Manifest
	Environment string            // environment file
	JobsDir     string            // where the rendered jobs are kept
	Functions   []string          // only these; empty: all there are, and with Build as many as can be
	NoTest      bool              // do not have Build run the tests of what changed
	Builder     string            // URI of who builds and deploys, stated in attestations; "": DefaultBuilder
	Canary      routes.Share      // of calls that changed functions get at first, beside what runs; 0: they replace it
	PlanOnly    bool              // change nothing: not the registry, not the files, not Consul, not the cluster
	LockWait    time.Duration     // how long to wait for another deploy to end
	Timeout     time.Duration     // how long each function may take to become healthy
	Observer    progress.Observer // may be nil
}

// DefaultBuilder names this command as the builder in attestations.
const DefaultBuilder = "https://countersign.example/builders/deploy/v1"

// Deploy takes what a build manifest lists to running, healthy functions. Whatever stops it, the versions that ran
// before go on serving, and running it again goes on where it stopped.
func Deploy(ctx context.Context, o Options) (*Result, error) {
	begin := time.Now()
	if o.Builder == "" {
		o.Builder = DefaultBuilder
	}
	d := &deploy{Options: o, steps: progress.NewRecorder(o.Observer)}
	err := d.all(patience.WithTeller(ctx, d.steps.Waits))
	return d.result(time.Since(begin)), err
}

// deploy is one run of Deploy. Its fields are filled in on the way.
type deploy struct {
	Options
	steps       *progress.Recorder
	manifest    *load.Manifest
	left        []load.Left                 // what is not deployed while the rest is
	running     map[string]release.Function // what ran when it was loaded
	environment *hclspec.Environment        // nil until it is loaded
	publication *publish.Publication        // nil until it is loaded
	consul      *consul.Client
	deployer    attest.Deployer // zero until it is asked for
	engine      *apply.Engine
	rollout     *apply.Rollout // nil until it was to be checked
	recorder    *recorder      // nil if only a plan is wanted
	refresher   *refresher     // nil if only a plan is wanted
	refreshed   []Refreshed    // what was signed again apart from what is deployed, or could not be
}

// all runs the steps in their order.
func (d *deploy) all(ctx context.Context) error {
	if err := d.build(ctx); err != nil {
		return err
	}
	err := d.steps.Step("", progress.StepLoad, func(func(string)) (progress.Outcome, error) { return d.load(ctx) })
	if err != nil {
		return err
	}
	if d.PlanOnly {
		return d.locked(ctx)
	}
	return apply.Locked(ctx, d.consul, d.steps, d.LockWait, d.locked)
}

// locked are the steps that no other deploy may disturb.
func (d *deploy) locked(ctx context.Context) (err error) {
	if d.recorder != nil {
		if err := d.recorder.settle(ctx); err != nil {
			return err
		}
	}
	if err := d.leave(d.publication.Describe(ctx)); err != nil {
		return err
	}
	if err := d.fitting(ctx); err != nil {
		return err
	}
	if d.rollout, err = d.engine.Check(ctx, d.publication.Record()); err != nil {
		return err
	}
	failed, err := d.test(ctx)
	if err != nil {
		return err
	}
	if len(failed) > 0 {
		if err := d.leave(failed); err != nil {
			return err
		}
		if err := d.fitting(ctx); err != nil {
			return err
		}
		if d.rollout, err = d.engine.Check(ctx, d.publication.Record()); err != nil {
			return err
		}
	}
	if err := d.publication.Publish(ctx); err != nil {
		return err
	}
	if err := d.deltas(ctx); err != nil {
		return err
	}
	if err := d.rollout.Run(ctx, d.publication.Record()); err != nil || d.recorder == nil {
		return err
	}
	again, err := d.refresh(ctx)
	if err != nil {
		return err
	}
	return d.recorder.record(ctx, release.Record{Action: release.ActionDeploy}, d.publication.Record().Functions, again)
}

// load reads everything that the user wrote and the build made, and makes the clients of the environment's servers.
func (d *deploy) load(ctx context.Context) (progress.Outcome, error) {
	build, left, err := load.New(d.manifest, d.Environment)
	if err != nil || !d.partial() {
		if err := load.Whole(left, err); err != nil {
			return progress.Outcome{}, err
		}
	}
	env := build.Environment
	d.environment, d.left = env, append(d.left, left...)
	cluster, err := nomad.New(env.Nomad)
	if err != nil {
		return progress.Outcome{}, err
	}
	if d.consul, err = consul.New(env.Consul); err != nil {
		return progress.Outcome{}, err
	}
	if d.running, err = cluster.Running(ctx); err != nil {
		return progress.Outcome{}, err
	}
	if err := d.checkSpecs(build); err != nil {
		return progress.Outcome{}, err
	}
	sources, err := build.Select(d.Functions)
	if err != nil {
		return progress.Outcome{}, err
	}
	d.publication = publish.New(
		publish.Options{Environment: env, Builder: d.Builder, PlanOnly: d.PlanOnly}, sources, d.steps)
	keys, err := vault.Keys(env.Vault)
	if err != nil {
		return progress.Outcome{}, err
	}
	if err := d.identify(ctx, cluster); err != nil {
		return progress.Outcome{}, err
	}
	d.publication.UseKeys(keys, func(function string) attest.Signer { return keys.Signer(function) })
	d.engine = d.newEngine(cluster, keys)
	if !d.PlanOnly {
		if d.recorder, err = newRecorder(d.engine, d.consul, keys, d.deployer); err != nil {
			return progress.Outcome{}, err
		}
		d.refresher = &refresher{env: env, cluster: cluster, ledger: d.recorder.ledger, keys: keys, resigner: resign.New(env, keys, d.deployer)}
	}
	noun := "functions"
	if len(sources) == 1 {
		noun = "function"
	}
	detail := fmt.Sprintf("%d %s for environment %s", len(sources), noun, env.Name)
	if d.deployer.Stated() {
		detail += fmt.Sprintf(", deployed by %q", d.deployer.Name())
	}
	return progress.Did(detail), nil
}

// identify finds out who deploys. A plan needs nobody's name: it may be made by who can't sign.
func (d *deploy) identify(ctx context.Context, cluster *nomad.Cluster) (err error) {
	if d.PlanOnly {
		return nil
	}
	if d.deployer, err = vault.Caller(ctx, d.environment.Vault); err != nil {
		return err
	}
	d.publication.Deployer = d.deployer
	cluster.DeployAs(job.Deployer{Name: d.deployer.Name(), EntityID: d.deployer.EntityID,
		DisplayName: d.deployer.DisplayName, From: consul.Here()})
	return nil
}

func (d *deploy) newEngine(cluster *nomad.Cluster, keys *transit.Client) *apply.Engine {
	e := &apply.Engine{
		Options: apply.Options{
			Environment: d.environment, JobsDir: d.JobsDir, Canary: d.Canary, PlanOnly: d.PlanOnly, Timeout: d.Timeout,
		},
		Cluster: cluster, Routes: d.consul, Instances: d.consul, Hosts: hosts.New(d.environment), Steps: d.steps,
		Artifacts: registry.NewReader(d.environment, keys), Described: d.publication.Described,
	}
	e.Published = e.Artifacts
	if d.PlanOnly {
		e.Artifacts = d.publication // nothing of it is published, see apply.Artifacts
	}
	return e
}

// result is what the deploy did so far.
func (d *deploy) result(took time.Duration) *Result {
	r := &Result{PlanOnly: d.PlanOnly, Deployer: d.deployer.Name(), Steps: d.steps.Timings(), MS: progress.Milliseconds(took)}
	if d.environment != nil {
		r.Environment = d.environment.Name
	}
	for _, l := range d.left {
		_, runs := d.running[l.Function]
		r.Left = append(r.Left, LeftResult{l.Function, l.Reason(), runs})
	}
	slices.SortFunc(r.Left, func(a, b LeftResult) int { return strings.Compare(a.Function, b.Function) })
	r.Unpinned, r.Refreshed = d.unpinned(), d.refreshed
	if d.recorder != nil && d.recorder.made != nil {
		r.Release = d.recorder.made.Number
	}
	if d.engine != nil {
		r.Routing = d.engine.Routing()
	}
	if d.publication == nil {
		return r
	}
	for _, f := range d.publication.Functions() {
		r.Functions = append(r.Functions, resultOf(f, d.rollout, d.JobsDir))
	}
	return r
}
