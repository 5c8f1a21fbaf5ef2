package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"countersign"
	"countersign/artifact"
	"countersign/hclspec"
	"countersign/patience"
	"countersign/pipeline/apply"
	"countersign/pipeline/consul"
	"countersign/pipeline/failure"
	"countersign/pipeline/load"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/releases"
	"countersign/pipeline/resign"
	"countersign/pipeline/vault"
	"countersign/release"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/transit"
)

// RefreshOptions is what signing again is told by its user.
type RefreshOptions struct {
	Environment string            // environment file
	Functions   []string          // whose artifacts; empty: of all functions that run or are part of one of the last releases
	DryRun      bool              // change nothing
	Archive     bool              // also repeat what a retired version attests, see resign.Resigner
	LockWait    time.Duration     // how long to wait for a deploy to end
	Observer    progress.Observer // may be nil
}

// RefreshResult is what signing again did. It is useful, though incomplete, after an error, too.
type RefreshResult struct {
	Environment string            `json:"environment"`
	DryRun      bool              `json:"dry_run,omitempty"`
	Artifacts   []Refreshed       `json:"artifacts"`
	Steps       []progress.Timing `json:"steps"`
	MS          float64           `json:"ms"` // altogether
}

// Refreshed is what became of one artifact.
type Refreshed struct {
	Function string       `json:"function"`
	Release  string       `json:"release"`
	Artifact string       `json:"artifact"`           // OCI reference with a digest
	Runs     bool         `json:"runs"`               // a registered job has it
	Releases []int        `json:"releases"`           // that consist of it, of the last ones
	State    RefreshState `json:"state"`              //
	Was      int          `json:"was,omitempty"`      // key version of the attestation that was verified
	Latest   int          `json:"latest,omitempty"`   // version of the key
	Archived bool         `json:"archived,omitempty"` // that was verified with the archived public key of a retired version
	Removed  int          `json:"removed,omitempty"`  // old attestations that were taken off, since there were too many
	Error    string       `json:"error,omitempty"`

	err      error
	after    *attest.Attestation
	recorded release.Function // what the latest release that consists of it tells of it
}

// RefreshState is what became of an artifact.
type RefreshState string

// The states.
const (
	RefreshNothing RefreshState = "latest"       // the latest version attested it already
	RefreshAdded   RefreshState = "signed_again" // with DryRun: would be
	RefreshRetired RefreshState = "retired"      // nothing that it carries counts any more
	RefreshRefused RefreshState = "refused"      // something was checked and does not verify
	RefreshFailed  RefreshState = "failed"       // a server did not do it
)

// Refresh has the latest version of each function's key attest what runs and what the last releases consist of. It holds the
// deploy lock, so two at once, or one and a deploy, follow each other. Whatever interrupts it, running it again goes on. The error
// says that something failed on the way; what was refused is in the result alone.
func Refresh(ctx context.Context, o RefreshOptions) (*RefreshResult, error) {
	begin := time.Now()
	r := &RefreshResult{DryRun: o.DryRun, Artifacts: []Refreshed{}}
	steps := progress.NewRecorder(o.Observer)
	err := refreshAll(patience.WithTeller(ctx, steps.Waits), o, r, steps)
	r.Steps, r.MS = steps.Timings(), progress.Milliseconds(time.Since(begin))
	return r, err
}

func refreshAll(ctx context.Context, o RefreshOptions, r *RefreshResult, steps *progress.Recorder) error {
	var f *refresher
	var lock *consul.Client
	err := steps.Step("", progress.StepLoad, func(func(string)) (_ progress.Outcome, err error) {
		env, err := load.Environment(o.Environment)
		if err != nil {
			return progress.Outcome{}, err
		}
		r.Environment = env.Name
		if lock, err = consul.New(env.Consul); err == nil {
			f, err = newRefresher(ctx, env, lock, o.DryRun)
		}
		return progress.Did("environment " + env.Name), err
	})
	if err != nil {
		return err
	}
	f.resigner.Archive = o.Archive
	refresh := func(ctx context.Context) error {
		return steps.Step("", progress.StepRefresh, func(tell func(string)) (_ progress.Outcome, err error) {
			if !o.DryRun { // the record itself is signed, too
				if _, err := f.ledger.Settle(ctx); err != nil {
					return progress.Outcome{}, err
				}
			}
			r.Artifacts, err = f.refresh(ctx, o.Functions, false, tell)
			return refreshOutcome(r.Artifacts, o.DryRun), err
		})
	}
	if o.DryRun {
		return refresh(ctx)
	}
	return apply.Locked(ctx, lock, steps, o.LockWait, refresh)
}

// refresher signs again what is in use.
type refresher struct {
	env      *hclspec.Environment
	cluster  *nomad.Cluster
	ledger   *releases.Ledger
	keys     *transit.Client
	resigner *resign.Resigner
}

func newRefresher(ctx context.Context, env *hclspec.Environment, pointer releases.Pointer, dryRun bool) (*refresher, error) {
	f := &refresher{env: env}
	var err error
	if f.cluster, err = nomad.New(env.Nomad); err != nil {
		return nil, err
	}
	if f.keys, err = vault.Keys(env.Vault); err != nil {
		return nil, err
	}
	if f.ledger, err = releases.Open(env, pointer, f.keys); err != nil {
		return nil, err
	}
	var by attest.Deployer
	if !dryRun {
		if by, err = vault.Caller(ctx, env.Vault); err != nil {
			return nil, err
		}
	}
	f.resigner = resign.New(env, f.keys, by)
	f.resigner.DryRun = dryRun
	return f, nil
}

// refresh signs again what is in use of functions, all if none is named. With trust, it believes a release record that the latest
// version attests an artifact, and does not ask the registry. The error says that a server could not be asked, so that the result
// is incomplete; what else became of an artifact is in the result, which is ordered by function, the latest release first.
func (f *refresher) refresh(ctx context.Context, functions []string, trust bool, tell func(string)) ([]Refreshed, error) {
	history, err := f.ledger.History(ctx, releases.Kept)
	if err != nil {
		return nil, err
	}
	running, err := f.cluster.Running(ctx)
	if err != nil {
		return nil, err
	}
	used, err := only(artifactsInUse(f.env, history, running), functions)
	if err != nil {
		return nil, err
	}
	todo := slices.Concat(slices.Collect(maps.Values(used))...)
	list := []Refreshed{}
	var mu sync.Mutex
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, u := range todo {
		group.Go(func() error {
			r := f.one(ctx, u, trust)
			mu.Lock()
			defer mu.Unlock()
			list = append(list, r)
			tell(fmt.Sprintf("%d of %d", len(list), len(todo)))
			if failure.IsUnreachable(r.err) || ctx.Err() != nil {
				return r.err // the others would wait for the same server
			}
			return nil
		})
	}
	err = group.Wait()
	slices.SortFunc(list, func(a, b Refreshed) int {
		return cmp.Or(strings.Compare(a.Function, b.Function), cmp.Compare(slices.Max(append(b.Releases, 0)), slices.Max(append(a.Releases, 0))),
			strings.Compare(a.Artifact, b.Artifact))
	})
	return list, err
}

// one signs one artifact again.
func (f *refresher) one(ctx context.Context, u *inUse, trust bool) Refreshed {
	r := Refreshed{Function: u.function, Artifact: u.name, Runs: u.runs, Releases: append([]int{}, u.releases...)}
	r.recorded, r.Release = u.recorded[0].Function, u.recorded[0].ID()
	if trust {
		ring, err := f.keys.PublicKeys(ctx, u.function)
		latest := ring.KeyID(ring.Latest()).String()
		if err == nil && slices.ContainsFunc(u.recorded, func(e resign.Recorded) bool { return e.Key == latest }) {
			r.State, r.Was, r.Latest = RefreshNothing, ring.Latest(), ring.Latest()
			return r
		}
	}
	o, err := f.resigner.Resign(ctx, u.recorded...)
	var refused *resign.RefusedError
	switch {
	case err == nil && !o.Added():
		r.State = RefreshNothing
	case err == nil:
		r.State = RefreshAdded
	case errors.As(err, &refused) && refused.Retired:
		r.State = RefreshRetired
	case countersign.IsUnverified(err) || errors.Is(err, artifact.ErrNotFound):
		r.State = RefreshRefused
	default:
		r.State = RefreshFailed
	}
	if err != nil {
		r.err, r.Error = err, err.Error()
	}
	if o != nil {
		r.Latest, r.Archived, r.Removed, r.after = o.Latest, o.Archived, o.Removed, o.After
	}
	if o != nil && o.Before != nil {
		r.Was = o.Before.Key.Version
	}
	return r
}

// refresh is a step of every deploy. What of an artifact is refused, or was not done, is told and stops nothing: it is nothing that
// this deploy changed. It returns what is known by it of functions that run, for the record.
func (d *deploy) refresh(ctx context.Context) (known map[string]release.Function, err error) {
	known = map[string]release.Function{}
	return known, d.steps.Step("", progress.StepRefresh, func(tell func(string)) (progress.Outcome, error) {
		list, err := d.refresher.refresh(ctx, nil, true, tell)
		for _, r := range list {
			if r.State != RefreshNothing {
				d.refreshed = append(d.refreshed, r)
			}
			if _, later := known[r.Function]; r.after != nil && r.recorded.Key != "" && !later {
				f := r.recorded
				f.Repository, f.Commit, f.Key = r.after.Repository, r.after.Commit, r.after.Key.String()
				known[r.Function] = f
			}
		}
		if err != nil {
			return progress.Outcome{}, fmt.Errorf("what was asked for is done, and is not recorded; the next deploy records it, and has the "+
				"latest key versions attest what may be gone back to: %w", err)
		}
		return refreshOutcome(list, false), nil
	})
}

// Count returns how many artifacts are in a state.
func (r *RefreshResult) Count(state RefreshState) int { return count(r.Artifacts, state) }

func count(list []Refreshed, state RefreshState) (n int) {
	for _, r := range list {
		if r.State == state {
			n++
		}
	}
	return n
}

// refreshOutcome is what a step tells of it.
func refreshOutcome(list []Refreshed, dryRun bool) progress.Outcome {
	added, verb := count(list, RefreshAdded), "signed again"
	if dryRun {
		verb = "would be signed again"
	}
	text := fmt.Sprintf("%d of %d artifacts %s", added, len(list), verb)
	for _, state := range []RefreshState{RefreshRetired, RefreshRefused, RefreshFailed} {
		if n := count(list, state); n > 0 {
			text += fmt.Sprintf(", %d %s", n, state)
		}
	}
	if added+count(list, RefreshNothing) < len(list) {
		text += " (`countersign keys refresh -dry-run` tells why)"
	}
	return progress.Outcome{Detail: text, Idle: added == 0}
}
