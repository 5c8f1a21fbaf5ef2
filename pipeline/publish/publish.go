package publish

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"countersign"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/interfaces"
	"countersign/pipeline/load"
	"countersign/pipeline/progress"
	"countersign/pipeline/registry"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// Options are what the user decides about a release.
type Options struct {
	Environment *hclspec.Environment
	Builder     string          // URI of what builds and deploys, stated in attestations
	Deployer    attest.Deployer // whose token signs, stated in attestations
	PlanOnly    bool            // sign and publish nothing
	// Open returns the store of an artifact; nil: the environment's registry.
	Open func(artifact.Reference) (artifact.Store, error)
}

// Keys is what signing needs of Vault.
type Keys interface {
	registry.KeyRings
	// EnsureKey makes the key of function, unless there is one.
	EnsureKey(ctx context.Context, function string) (created bool, err error)
}

// Publication is a release in the making. Its steps are to be done in their order.
type Publication struct {
	Options
	functions []*Function // callees first
	byName    map[string]*Function
	keys      Keys
	signer    func(function string) attest.Signer
	steps     *progress.Recorder
}

// Function is one function on its way into the registry. Only one step at a time works on it.
type Function struct {
	*load.Source
	Interface   *artifact.Interface // nil until it is described
	Artifact    artifact.Reference  // with the digest of the manifest; "" until it is described
	Attestation *attest.Attestation // nil until it is signed; nil in the end only if a plan found none
	Signed      bool                // by this publication
	SignedAgain bool                // by this publication: another attestation, of an earlier version of the key, still counts
	Published   bool                // by this publication

	// Tests tells what became of the function's tests, for the attestation: attest.TestsPassed and so on.
	Tests attest.Tests

	contents artifact.Contents
	store    artifact.Store
	present  bool   // the registry has the manifest
	why      error  // why no attestation of the registry counts, nil if one does; see find
	found    bool   // it was looked for
	latest   int    // version of the function's key
	carried  int    // attestations that the registry has
	bundle   []byte // a new attestation that is not attached yet, or nil
}

// New begins a release of sources.
func New(o Options, sources []*load.Source, steps *progress.Recorder) *Publication {
	p := &Publication{Options: o, byName: map[string]*Function{}, steps: steps}
	if p.Open == nil {
		p.Open = func(ref artifact.Reference) (artifact.Store, error) {
			return registry.Open(o.Environment.Registry, ref)
		}
	}
	order := release.Record{Functions: map[string]release.Function{}}
	for _, s := range sources {
		p.byName[s.Name] = &Function{Source: s}
		order.Functions[s.Name] = release.Function{Callees: s.Function.Calls}
	}
	for _, name := range slices.Concat(order.Waves()...) {
		p.functions = append(p.functions, p.byName[name])
	}
	return p
}

// UseKeys names who has the keys and signs with them. It is to be called before Publish.
func (p *Publication) UseKeys(keys Keys, signer func(function string) attest.Signer) {
	p.keys, p.signer = keys, signer
}

// Functions returns the functions, callees before their callers.
func (p *Publication) Functions() []*Function { return p.functions }

// Describe asks what was built for its interfaces, and computes the artifacts. left are functions for which that can't be
// done. After it there is a Record of the others, once they are left out by Leave.
func (p *Publication) Describe(ctx context.Context) (left []load.Left) {
	p.steps.Expect(progress.StepDescribe, p.names())
	failed := map[string]error{}
	var mu sync.Mutex
	// The errors of all steps together say the same.
	_ = p.each(progress.StepDescribe, func(f *Function) (progress.Outcome, error) {
		o, err := p.describe(ctx, f)
		if err != nil {
			mu.Lock()
			defer mu.Unlock()
			failed[f.Name] = err
		}
		return o, err
	})
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		left = append(left, load.Left{Function: name, Err: failed[name]})
	}
	return left
}

// Leave takes functions out of the publication.
func (p *Publication) Leave(left []load.Left) {
	for _, l := range left {
		delete(p.byName, l.Function)
		p.functions = slices.DeleteFunc(p.functions, func(f *Function) bool { return f.Name == l.Function })
	}
}

// Unattested returns the functions of whose artifacts the registry has no attestation that counts: those that changed, and
// are going to be signed.
func (p *Publication) Unattested(ctx context.Context) (changed []*Function, err error) {
	for _, f := range p.functions {
		if err := p.find(ctx, f); err != nil {
			return nil, fmt.Errorf("look for an attestation of %q: %w", f.Name, err)
		}
		if f.why != nil {
			changed = append(changed, f)
		}
	}
	return changed, nil
}

// Publish signs and publishes what was described, as far as that was not done before. With PlanOnly it only finds out what
// it would do. Publishing ends every function's way: the record may be run.
func (p *Publication) Publish(ctx context.Context) error {
	err := p.each(progress.StepSign, func(f *Function) (progress.Outcome, error) { return p.sign(ctx, f) })
	if err != nil {
		return err
	}
	return p.each(progress.StepPublish, func(f *Function) (progress.Outcome, error) { return p.publish(ctx, f) })
}

func (p *Publication) each(step progress.Step, f func(*Function) (progress.Outcome, error)) error {
	return p.steps.Each(step, p.names(), func(name string, _ func(string)) (progress.Outcome, error) {
		return f(p.byName[name])
	})
}

func (p *Publication) names() []string {
	list := make([]string, len(p.functions))
	for i, f := range p.functions {
		list[i] = f.Name
	}
	return list
}

// Record returns the release as far as it is known: after Describe everything but what is attested, after Publish all of
// it. Until an attestation is found, repository and commit are those of the build.
func (p *Publication) Record() *release.Record {
	r := &release.Record{Environment: p.Environment.Name, Functions: map[string]release.Function{}}
	for _, f := range p.functions {
		r.Functions[f.Name] = f.release()
	}
	return r
}

func (f *Function) release() release.Function {
	callees := slices.Clone(f.Function.Calls)
	slices.Sort(callees)
	out := release.Function{
		Artifact: f.Artifact.Registry + "/" + f.Artifact.Repository, ArtifactDigest: f.Artifact.Digest,
		SpecDigest: f.SpecDigest, InterfaceDigest: f.Interface.Digest, Calls: f.Interface.Calls, Callees: callees,
		Repository: f.Repository, Commit: f.Commit,
	}
	if a := f.Attestation; a != nil {
		// What is attested may come from an older commit that gave the same artifact. It is still what runs.
		out.Repository, out.Commit, out.Key = a.Repository, a.Commit, a.Key.String()
	}
	return out
}

// Read returns the documents of an artifact that was described, published or not, and its attestation, nil if it has
// none yet. It is for plans alone: they show what a deploy would do before anything of it is in the registry.
func (p *Publication) Read(_ context.Context, wanted release.Function) (*artifact.Documents, *attest.Attestation, error) {
	for _, f := range p.functions {
		if f.Artifact.Digest == wanted.ArtifactDigest && f.Artifact.Digest != "" {
			return f.contents.Documents(f.Artifact), f.Attestation, nil
		}
	}
	return nil, nil, fmt.Errorf("%s is not part of this plan", wanted.Reference())
}

// Described returns the interface document of an artifact that was described, published or not, or nil.
func (p *Publication) Described(wanted release.Function) *interfaces.Document {
	for _, f := range p.functions {
		if f.Artifact.Digest == wanted.ArtifactDigest && f.Artifact.Digest != "" {
			return f.Interface.Document
		}
	}
	return nil
}

// publish puts artifact and attestation into the registry, as far as it lacks them.
func (p *Publication) publish(ctx context.Context, f *Function) (progress.Outcome, error) {
	switch {
	case f.present && f.bundle == nil:
		return progress.Nothing(countersign.Short(f.Artifact.Digest) + " is there"), nil
	case p.PlanOnly:
		return progress.Nothing("would be published as " + f.Artifact.String()), nil
	}
	if !f.present {
		manifest, _, err := artifact.Push(ctx, f.store, f.contents)
		if err != nil {
			return progress.Outcome{}, err
		}
		if got := manifest.Digest.String(); got != f.Artifact.Digest {
			return progress.Outcome{}, fmt.Errorf("the registry was given %s, and %s was signed", got, f.Artifact.Digest)
		}
	}
	if err := artifact.AttachBundle(ctx, f.store, f.Artifact, f.bundle, attest.PredicateType); err != nil {
		return progress.Outcome{}, err
	}
	f.Published = true
	if f.present {
		return progress.Did("attestation of " + countersign.Short(f.Artifact.Digest)), nil
	}
	return progress.Did(f.Artifact.String()), nil
}
