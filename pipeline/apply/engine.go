package apply

import (
	"context"
	"errors"
	"strings"
	"time"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/interfaces"
	"countersign/pipeline/consul"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/routes"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// Options are what the user decides about a change of a cluster.
type Options struct {
	Environment *hclspec.Environment
	JobsDir     string        // where rendered jobs are kept
	Canary      routes.Share  // of calls that changed functions get at first, beside what runs; 0: they replace it
	PlanOnly    bool          // change nothing: not the files, not Consul, not the cluster
	Timeout     time.Duration // how long each function may take to become healthy
}

// Cluster is what runs functions; *nomad.Cluster is the one there is outside of tests.
type Cluster interface {
	Running(ctx context.Context) (map[string]release.Function, error)
	Plan(ctx context.Context, function string, source []byte, canary bool) (*nomad.Plan, error)
	Run(ctx context.Context, p *nomad.Plan) (*nomad.Started, error)
	WaitHealthy(ctx context.Context, s *nomad.Started, timeout time.Duration, tell func(string)) ([]string, error)
	AwaitStable(ctx context.Context, function string) error
	Promotable(ctx context.Context, function, canary string) error
	Promote(ctx context.Context, function string) (*nomad.Started, error)
	Abort(ctx context.Context, function, stable, canary string) (*nomad.Started, error)
	AwaitGone(ctx context.Context, function, release string, tell func(string)) error
}

// Routes decide where calls go; *consul.Client are those that there are outside of tests.
type Routes interface {
	Entries(ctx context.Context) (*routes.Entries, error)
	Write(ctx context.Context, changes []routes.Change) error
}

// Artifacts are what records name. Read returns the documents of the artifact that f names, and its attestation, verified
// under the present key ring. It is a *registry.Reader.
//
// There is one exception: a plan shows what a deploy would do before anything of it is published, so a plan of a deploy
// reads what would be published from memory, where the attestation is nil if there is none yet. An engine that is to
// change anything refuses what is not attested, whatever it reads from.
type Artifacts interface {
	Read(ctx context.Context, f release.Function) (*artifact.Documents, *attest.Attestation, error)
}

// Engine changes what runs in an environment. Whoever uses it to change anything holds the lock, see Locked.
type Engine struct {
	Options
	Cluster   Cluster
	Routes    Routes
	Instances Instances
	Hosts     Hosts
	Artifacts Artifacts // only needed for rollouts
	Published Artifacts // likewise: what runs; nil: Artifacts
	Steps     *progress.Recorder

	// Described returns the interface document of an artifact that is not published yet, or nil. It may be nil itself.
	Described func(release.Function) *interfaces.Document

	routing []string
}

// Routing returns what was changed, or would be with PlanOnly, in Consul, for people.
func (e *Engine) Routing() []string { return e.routing }

// Locked runs f as steps that hold the deploy lock.
func Locked(ctx context.Context, client *consul.Client, steps *progress.Recorder, wait time.Duration,
	f func(context.Context) error) (err error) {
	var lock *consul.Lock
	err = steps.Step("", progress.StepLock, func(func(string)) (o progress.Outcome, err error) {
		ctx, lock, err = client.Lock(ctx, wait)
		return progress.Did("no other deploy runs"), err
	})
	if err != nil {
		return err
	}
	defer func() {
		if err != nil && errors.Is(context.Cause(ctx), consul.ErrLockLost) {
			err = errors.Join(consul.ErrLockLost, err)
		}
		err = errors.Join(err, lock.Release())
	}()
	return f(ctx)
}

// changes is what a step found that is to be written to Consul.
type changes struct {
	list    []routes.Change
	remarks []string // for people
	none    string   // what to say if there is nothing to write
}

// change reads what Consul has, makes the changes that plan finds, unless only a plan is wanted, and notes them for the
// result.
func (e *Engine) change(ctx context.Context, plan func(now *routes.Entries) (changes, error)) (progress.Outcome, error) {
	now, err := e.Routes.Entries(ctx)
	if err != nil {
		return progress.Outcome{}, err
	}
	c, err := plan(now)
	if err != nil {
		return progress.Outcome{}, err
	}
	if !e.PlanOnly {
		if err := e.Routes.Write(ctx, c.list); err != nil {
			return progress.Outcome{}, err
		}
	}
	texts := routes.Texts(c.list)
	e.routing = append(e.routing, texts...)
	if len(texts) == 0 {
		return progress.Nothing(strings.Join(append([]string{c.none}, c.remarks...), "; ")), nil
	}
	o := progress.Did(strings.Join(append(texts, c.remarks...), "; "))
	if e.PlanOnly {
		o.Detail = "would be: " + o.Detail
	}
	return o, nil
}

// narrowed says what is to be written so that exactly callees may be called. A caller that may run in two versions, since
// it has a canary or is busy, keeps what either needs.
func narrowed(callees map[string][]string, busy func(caller string) bool, now *routes.Entries) (
	[]routes.Change, []string, error) {
	open := now.Canaries()
	narrow := func(caller string) bool {
		_, two := open[caller]
		return !two && !busy(caller)
	}
	return routes.PlanIntentions(release.Callers(callees), narrow, now)
}
