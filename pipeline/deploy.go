package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"countersign"

	"countersign/vaultsign/attest"
)

// Options is what a deploy is told by its user.
type Options struct {
	Manifest    string        // build manifest, see Manifest
	Environment string        // environment file
	JobsDir     string        // where the rendered jobs are kept
	Functions   []string      // only these; empty: all of the manifest
	Builder     string        // URI of who builds and deploys, stated in attestations; "": DefaultBuilder
	Canary      Share         // of calls that changed functions get at first, beside what runs; 0: they replace it
	PlanOnly    bool          // change nothing: not the registry, not the files, not Consul, not the cluster
	LockWait    time.Duration // how long to wait for another deploy to end
	Timeout     time.Duration // how long each function may take to become healthy
	Observer    Observer      // may be nil
}

// DefaultBuilder names this command as the builder in attestations.
const DefaultBuilder = "https://countersign.example/builders/deploy/v1"

// Result is what a deploy did. It is useful, though incomplete, after an error, too.
type Result struct {
	Environment string           `json:"environment"`
	PlanOnly    bool             `json:"plan_only"`
	Functions   []FunctionResult `json:"functions"`
	Routing     []string         `json:"routing,omitempty"` // what changed in Consul, for people
	Steps       []Timing         `json:"steps"`
	MS          float64          `json:"ms"` // altogether
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
	d := &deploy{Options: o, recorder: recorder{observer: o.Observer}}
	err := d.all(ctx)
	r := &Result{PlanOnly: o.PlanOnly, Routing: d.routing, Steps: d.timings, MS: milliseconds(time.Since(begin))}
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
	recorder
	loaded  *Loaded
	units   []*unit // the functions to deploy, callees first
	waves   [][]*unit
	cluster *Cluster
	routes  *routes
	routing []string // what changed in Consul
	running map[string]Running
	keys    keyStore
	signer  func(function string) attest.Signer
}

// unit is one function on its way. Only one step at a time works on it.
type unit struct {
	*Source
	iface       *Interface
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
	err := d.step("", StepLoad, func(func(string)) (outcome, error) { return d.load(ctx) })
	if err != nil {
		return err
	}
	if d.PlanOnly {
		return d.locked(ctx)
	}
	return d.withLock(ctx, d.loaded.Environment.Consul, d.LockWait, d.locked)
}

// locked are the steps that no other deploy may disturb.
func (d *deploy) locked(ctx context.Context) error {
	for _, u := range d.units {
		d.tell(Progress{Function: u.Name, Step: StepDescribe, State: Pending})
	}
	if err := d.each(StepDescribe, d.units, func(u *unit) (outcome, error) { return d.describe(ctx, u) }); err != nil {
		return err
	}
	if err := d.fit(ctx); err != nil {
		return err
	}
	for _, s := range []struct {
		step Step
		f    func(context.Context, *unit) (outcome, error)
	}{{StepSign, d.sign}, {StepPublish, d.publish}, {StepRender, d.render}, {StepPlan, d.makePlan}} {
		if err := d.each(s.step, d.units, func(u *unit) (outcome, error) { return s.f(ctx, u) }); err != nil {
			return err
		}
	}
	err := d.step("", StepRoute, func(func(string)) (outcome, error) { return d.route(ctx) })
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
func (d *deploy) load(ctx context.Context) (outcome, error) {
	var err error
	if d.loaded, err = Load(d.Manifest, d.Environment); err != nil {
		return outcome{}, err
	}
	env := d.loaded.Environment
	sources, err := d.loaded.selected(d.Functions)
	if err != nil {
		return outcome{}, err
	}
	d.order(sources)
	if d.cluster, err = NewCluster(env.Nomad); err != nil {
		return outcome{}, err
	}
	if d.routes, err = newRoutes(env.Consul); err != nil {
		return outcome{}, err
	}
	if d.running, err = d.cluster.Running(ctx); err != nil {
		return outcome{}, err
	}
	if err := d.loaded.Check(slices.Sorted(maps.Keys(d.running))...); err != nil {
		return outcome{}, err
	}
	keys, err := newKeys(env.Vault)
	if err != nil {
		return outcome{}, err
	}
	d.keys, d.signer = keys, func(function string) attest.Signer { return keys.Signer(function) }
	noun := "functions"
	if len(sources) == 1 {
		noun = "function"
	}
	return did(fmt.Sprintf("%d %s for environment %s", len(sources), noun, env.Name)), nil
}

// order makes units of sources and puts callees before their callers.
func (d *deploy) order(sources []*Source) {
	byName, calls := map[string]*unit{}, map[string][]string{}
	for _, s := range sources {
		byName[s.Name] = &unit{Source: s, jobFile: filepath.Join(d.JobsDir, s.Name+".nomad.hcl")}
		calls[s.Name] = s.Function.Calls
	}
	for _, names := range waves(calls) {
		var wave []*unit
		for _, name := range names {
			wave = append(wave, byName[name])
		}
		d.waves, d.units = append(d.waves, wave), append(d.units, wave...)
	}
}

// describe asks the module for its interface, in a sandbox. A native function's module is built from the same source.
func (d *deploy) describe(ctx context.Context, u *unit) (outcome, error) {
	module, err := os.ReadFile(u.Wasm)
	if err != nil {
		return outcome{}, fmt.Errorf("read the module: %w", err)
	}
	document, cached, err := describe(ctx, module)
	if err != nil {
		return outcome{}, err
	}
	if u.iface, err = parseInterface(u.Name, document, u.Function.Calls); err != nil {
		return outcome{}, err
	}
	u.packed, err = pack(u.Source, d.loaded.Environment, module, document)
	return outcome{detail: "interface " + countersign.Short(u.iface.Digest), idle: cached}, err
}

// fit checks that callers and callees fit, also those that run and are not part of this deploy.
func (d *deploy) fit(ctx context.Context) error {
	return d.step("", StepCheck, func(func(string)) (outcome, error) {
		var err error
		if d.running, err = d.cluster.Running(ctx); err != nil { // again: another deploy may have ended meanwhile
			return outcome{}, err
		}
		deploying := map[string]*Interface{}
		for _, u := range d.units {
			deploying[u.Name] = u.iface
		}
		if err := checkInterfaces(deploying, d.running); err != nil {
			return outcome{}, err
		}
		now, err := d.routes.read(ctx)
		if err != nil {
			return outcome{}, err
		}
		return did("callers and callees fit"), d.checkCanaries(now)
	})
}

// render makes the job and writes it, unless only a plan is wanted.
func (d *deploy) render(_ context.Context, u *unit) (outcome, error) {
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
		return outcome{}, err
	}
	if d.PlanOnly {
		return nothing("not written: only a plan is wanted"), nil
	}
	changed, err := writeIfChanged(u.jobFile, u.job)
	if err != nil {
		return outcome{}, fmt.Errorf("job file %s: %w", u.jobFile, err)
	}
	if !changed {
		return nothing("as it is in " + u.jobFile), nil
	}
	return did("wrote " + u.jobFile), nil
}

func (d *deploy) makePlan(ctx context.Context, u *unit) (outcome, error) {
	var err error
	if u.plan, err = d.cluster.Plan(ctx, u.Name, u.job, u.canary != nil); err != nil {
		return outcome{}, err
	}
	if u.canary != nil {
		if err := d.checkCanaryPlan(ctx, u); err != nil {
			return outcome{}, err
		}
	}
	if u.plan.Action == ActionNone {
		return nothing(strings.TrimSuffix("no changes, "+u.plan.Summary, ", ")), nil
	}
	return did(strings.TrimSuffix(fmt.Sprintf("%s: %s", u.plan.Action, u.plan.Summary), ": ")), nil
}

// parallel is how many functions a step works on at the same time. Describing uses a processor each, the other steps
// wait for the same few servers.
func parallel(step Step) int {
	if step == StepDescribe {
		return runtime.GOMAXPROCS(0)
	}
	return 4
}

func (d *deploy) each(step Step, units []*unit, f func(*unit) (outcome, error)) error {
	return d.eachTelling(step, units, func(u *unit, _ func(string)) (outcome, error) { return f(u) })
}

// eachTelling runs a step for several functions and returns the errors of all: users fix several problems at once.
func (d *deploy) eachTelling(step Step, units []*unit, f func(*unit, func(string)) (outcome, error)) error {
	errs := map[string]error{}
	var mu sync.Mutex
	var wg sync.WaitGroup
	slots := make(chan struct{}, parallel(step))
	for _, u := range units {
		wg.Add(1)
		go func() {
			defer wg.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			err := d.step(u.Name, step, func(tell func(string)) (outcome, error) { return f(u, tell) })
			if err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs[u.Name] = fmt.Errorf("%s %s: %w", step, u.Name, err)
			}
		}()
	}
	wg.Wait()
	var list []error
	for _, name := range slices.Sorted(maps.Keys(errs)) {
		list = append(list, errs[name])
	}
	return errors.Join(list...)
}
