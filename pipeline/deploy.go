package pipeline

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"countersign"

	"countersign/artifact"
	"countersign/pipeline/progress"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// Options is what a deploy is told by its user.
type Options struct {
	Manifest    string            // build manifest, see Manifest
	Environment string            // environment file
	JobsDir     string            // where the rendered jobs are kept
	Functions   []string          // only these; empty: all of the manifest
	Builder     string            // URI of who builds and deploys, stated in attestations; "": DefaultBuilder
	Canary      Share             // of calls that changed functions get at first, beside what runs; 0: they replace it
	PlanOnly    bool              // change nothing: not the registry, not the files, not Consul, not the cluster
	LockWait    time.Duration     // how long to wait for another deploy to end
	Timeout     time.Duration     // how long each function may take to become healthy
	Observer    progress.Observer // may be nil
}

// DefaultBuilder names this command as the builder in attestations.
const DefaultBuilder = "https://countersign.example/builders/deploy/v1"

// Result is what a deploy did. It is useful, though incomplete, after an error, too.
type Result struct {
	Environment string            `json:"environment"`
	PlanOnly    bool              `json:"plan_only"`
	Functions   []FunctionResult  `json:"functions"`
	Routing     []string          `json:"routing,omitempty"` // what changed in Consul, for people
	Steps       []progress.Timing `json:"steps"`
	MS          float64           `json:"ms"` // altogether
}

// FunctionResult is what a deploy did about one function.
type FunctionResult struct {
	Name        string `json:"name"`
	Action      Action `json:"action"` // "" if it did not come to a plan
	Artifact    string `json:"artifact"`
	Interface   string `json:"interface_digest"`
	Repository  string `json:"repository"` // as attested
	Commit      string `json:"commit"`     // as attested
	Key         string `json:"key"`        // key and version of the attestation
	Signed      bool   `json:"signed"`     // by this deploy
	Published   bool   `json:"published"`  // by this deploy
	Job         string `json:"job"`        // file
	Changes     string `json:"changes,omitempty"`
	Allocations int    `json:"healthy_allocations,omitempty"`

	Canary *Canary `json:"canary,omitempty"` // if it runs beside another release
}

// Changed tells whether anything was different from what was there.
func (r *Result) Changed() bool {
	return len(r.Routing) > 0 || slices.ContainsFunc(r.Functions, func(f FunctionResult) bool {
		return f.Signed || f.Published || f.Action != ActionNone
	})
}

// Deploy takes what a build manifest lists to running, healthy functions. Whatever stops it, the versions that ran
// before go on serving, and running it again goes on where it stopped.
func Deploy(ctx context.Context, o Options) (*Result, error) {
	begin := time.Now()
	d := &deploy{Options: o, Recorder: progress.NewRecorder(o.Observer)}
	err := d.all(ctx)
	r := &Result{PlanOnly: o.PlanOnly, Routing: d.routing, Steps: d.Recorder.Timings(), MS: progress.Milliseconds(time.Since(begin))}
	if d.loaded != nil {
		r.Environment = d.loaded.Environment.Name
	}
	for _, u := range d.units {
		r.Functions = append(r.Functions, u.result())
	}
	return r, err
}

// deploy is one run of Deploy. Its fields are filled in by the steps.
type deploy struct {
	Options
	*progress.Recorder
	loaded  *Loaded
	units   []*unit // the functions to deploy, callees first
	waves   [][]*unit
	cluster *Cluster
	routes  *routes
	routing []string // what changed in Consul
	running map[string]release.Function
	keys    keyStore
	signer  func(function string) attest.Signer
}

// unit is one function on its way. Only one step at a time works on it.
type unit struct {
	*Source
	iface       *artifact.Interface
	packed      *packed
	attestation *attest.Attestation
	job         []byte
	jobFile     string
	canary      *Canary // if it runs beside another release, or is to
	plan        *Plan
	started     *Started
	healthy     int
}

func (u *unit) result() FunctionResult {
	r := FunctionResult{Name: u.Name, Job: u.jobFile, Allocations: u.healthy, Canary: u.canary}
	if u.iface != nil {
		r.Interface = u.iface.Digest
	}
	if u.packed != nil {
		r.Artifact, r.Signed, r.Published = u.packed.reference.String(), u.packed.signed, u.packed.published
	}
	if u.attestation != nil {
		r.Repository, r.Commit = u.attestation.Repository, u.attestation.Commit
		r.Key = u.attestation.Key.String()
	}
	if u.plan != nil {
		r.Action, r.Changes = u.plan.Action, u.plan.Summary
	}
	return r
}

// all runs the steps in their order.
func (d *deploy) all(ctx context.Context) error {
	err := d.Step("", progress.StepLoad, func(func(string)) (progress.Outcome, error) { return d.load(ctx) })
	if err != nil {
		return err
	}
	if d.PlanOnly {
		return d.locked(ctx)
	}
	return withLock(ctx, d.Recorder, d.loaded.Environment.Consul, d.LockWait, d.locked)
}

// locked are the steps that no other deploy may disturb.
func (d *deploy) locked(ctx context.Context) error {
	d.Expect(progress.StepDescribe, names(d.units))
	if err := d.each(progress.StepDescribe, d.units, func(u *unit) (progress.Outcome, error) { return d.describe(ctx, u) }); err != nil {
		return err
	}
	if err := d.fit(ctx); err != nil {
		return err
	}
	for _, s := range []struct {
		step progress.Step
		f    func(context.Context, *unit) (progress.Outcome, error)
	}{{progress.StepSign, d.sign}, {progress.StepPublish, d.publish}, {progress.StepRender, d.render}, {progress.StepPlan, d.makePlan}} {
		if err := d.each(s.step, d.units, func(u *unit) (progress.Outcome, error) { return s.f(ctx, u) }); err != nil {
			return err
		}
	}
	err := d.Step("", progress.StepRoute, func(func(string)) (progress.Outcome, error) { return d.route(ctx) })
	if err != nil || d.PlanOnly {
		return err
	}
	if err := d.runWaves(ctx); err != nil {
		return err
	}
	if err := d.shift(ctx); err != nil {
		return err
	}
	return d.narrow(ctx)
}

// load reads everything that the user wrote and the build made, and makes the clients of the environment's servers.
func (d *deploy) load(ctx context.Context) (progress.Outcome, error) {
	var err error
	if d.loaded, err = Load(d.Manifest, d.Environment); err != nil {
		return progress.Outcome{}, err
	}
	env := d.loaded.Environment
	sources, err := d.loaded.selected(d.Functions)
	if err != nil {
		return progress.Outcome{}, err
	}
	d.order(sources)
	if d.cluster, err = NewCluster(env.Nomad); err != nil {
		return progress.Outcome{}, err
	}
	if d.routes, err = newRoutes(env.Consul); err != nil {
		return progress.Outcome{}, err
	}
	if d.running, err = d.cluster.Running(ctx); err != nil {
		return progress.Outcome{}, err
	}
	if err := d.loaded.Check(slices.Sorted(maps.Keys(d.running))...); err != nil {
		return progress.Outcome{}, err
	}
	keys, err := newKeys(env.Vault)
	if err != nil {
		return progress.Outcome{}, err
	}
	d.keys, d.signer = keys, func(function string) attest.Signer { return keys.Signer(function) }
	noun := "functions"
	if len(sources) == 1 {
		noun = "function"
	}
	return progress.Did(fmt.Sprintf("%d %s for environment %s", len(sources), noun, env.Name)), nil
}

// order makes units of sources and puts callees before their callers.
func (d *deploy) order(sources []*Source) {
	byName, record := map[string]*unit{}, release.Record{Functions: map[string]release.Function{}}
	for _, s := range sources {
		byName[s.Name] = &unit{Source: s, jobFile: filepath.Join(d.JobsDir, s.Name+".nomad.hcl")}
		record.Functions[s.Name] = release.Function{Callees: s.Function.Calls}
	}
	for _, names := range record.Waves() {
		var wave []*unit
		for _, name := range names {
			wave = append(wave, byName[name])
		}
		d.waves, d.units = append(d.waves, wave), append(d.units, wave...)
	}
}

// describe asks the module for its interface, in a sandbox. A native function's module is built from the same source.
func (d *deploy) describe(ctx context.Context, u *unit) (progress.Outcome, error) {
	module, err := os.ReadFile(u.Wasm)
	if err != nil {
		return progress.Outcome{}, fmt.Errorf("read the module: %w", err)
	}
	document, cached, err := describe(ctx, module)
	if err != nil {
		return progress.Outcome{}, err
	}
	if u.iface, err = artifact.ParseInterface(u.Name, document, u.Function.Calls); err != nil {
		return progress.Outcome{}, err
	}
	u.packed, err = pack(u.Source, d.loaded.Environment, module, document)
	return progress.Outcome{Detail: "interface " + countersign.Short(u.iface.Digest), Idle: cached}, err
}

// fit checks that callers and callees fit, also those that run and are not part of this deploy.
func (d *deploy) fit(ctx context.Context) error {
	return d.Step("", progress.StepCheck, func(func(string)) (progress.Outcome, error) {
		var err error
		if d.running, err = d.cluster.Running(ctx); err != nil { // again: another deploy may have ended meanwhile
			return progress.Outcome{}, err
		}
		deploying := map[string]release.Function{}
		for _, u := range d.units {
			deploying[u.Name] = release.Function{InterfaceDigest: u.iface.Digest, Calls: u.iface.Calls}
		}
		if err := release.Fit(deploying, d.running); err != nil {
			return progress.Outcome{}, err
		}
		now, err := d.routes.read(ctx)
		if err != nil {
			return progress.Outcome{}, err
		}
		return progress.Did("callers and callees fit"), d.checkCanaries(now)
	})
}

// render makes the job and writes it, unless only a plan is wanted.
func (d *deploy) render(_ context.Context, u *unit) (progress.Outcome, error) {
	job := &Job{
		Spec: u.Function, Environment: d.loaded.Environment,
		Artifact: u.packed.reference.String(), ArtifactDigest: u.packed.reference.Digest,
		SpecDigest: u.SpecDigest, InterfaceDigest: u.iface.Digest, Calls: u.iface.Calls,
		Repository: u.Repository, Commit: u.Commit,
	}
	if u.attestation != nil {
		// What is attested may come from an older commit that gave the same artifact. It is still what runs.
		job.Repository, job.Commit = u.attestation.Repository, u.attestation.Commit
	}
	var err error
	if u.job, err = Render(job); err != nil {
		return progress.Outcome{}, err
	}
	if d.PlanOnly {
		return progress.Nothing("not written: only a plan is wanted"), nil
	}
	changed, err := writeIfChanged(u.jobFile, u.job)
	if err != nil {
		return progress.Outcome{}, fmt.Errorf("job file %s: %w", u.jobFile, err)
	}
	if !changed {
		return progress.Nothing("as it is in " + u.jobFile), nil
	}
	return progress.Did("wrote " + u.jobFile), nil
}

func (d *deploy) makePlan(ctx context.Context, u *unit) (progress.Outcome, error) {
	var err error
	if u.plan, err = d.cluster.Plan(ctx, u.Name, u.job, u.canary != nil); err != nil {
		return progress.Outcome{}, err
	}
	if u.canary != nil {
		if err := d.checkCanaryPlan(ctx, u); err != nil {
			return progress.Outcome{}, err
		}
	}
	if u.plan.Action == ActionNone {
		return progress.Nothing(strings.TrimSuffix("no changes, "+u.plan.Summary, ", ")), nil
	}
	return progress.Did(strings.TrimSuffix(fmt.Sprintf("%s: %s", u.plan.Action, u.plan.Summary), ": ")), nil
}

func (d *deploy) each(step progress.Step, units []*unit, f func(*unit) (progress.Outcome, error)) error {
	return d.eachTelling(step, units, func(u *unit, _ func(string)) (progress.Outcome, error) { return f(u) })
}

// eachTelling runs a step for several functions and returns the errors of all.
func (d *deploy) eachTelling(step progress.Step, units []*unit, f func(*unit, func(string)) (progress.Outcome, error)) error {
	byName := map[string]*unit{}
	for _, u := range units {
		byName[u.Name] = u
	}
	return d.Each(step, names(units), func(name string, tell func(string)) (progress.Outcome, error) {
		return f(byName[name], tell)
	})
}

func names(units []*unit) []string {
	list := make([]string, len(units))
	for i, u := range units {
		list[i] = u.Name
	}
	return list
}
