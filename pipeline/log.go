package pipeline

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"countersign"

	"countersign/hclspec"
	"countersign/pipeline/failure"
	"countersign/pipeline/nomad"
	"countersign/pipeline/vault"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/transit"
)

// LogEntry is one version of a function's job: what moved, when, from where, and who moved it.
type LogEntry struct {
	Time        time.Time `json:"time"`
	Function    string    `json:"function"`
	JobVersion  uint64    `json:"job_version"`
	Action      LogAction `json:"action"`
	Current     bool      `json:"current"` // no later version is registered
	Release     string    `json:"release"`
	OldRelease  string    `json:"old_release,omitempty"` // if it was another
	Artifact    string    `json:"artifact"`
	Repository  string    `json:"repository"` // as the job tells
	Commit      string    `json:"commit"`
	OldCommit   string    `json:"old_commit,omitempty"` // if it was another
	Allocations int       `json:"allocations"`          // that the version asks for
	Deployed    *LoggedBy `json:"deployed,omitempty"`   // by whom, as the deploy said; absent: nobody tells
	Attested    *Attested `json:"attested,omitempty"`   // what the artifact's attestation states, verified
	Error       string    `json:"attestation_error,omitempty"`
}

// LoggedBy is who did something.
type LoggedBy struct {
	By       string `json:"by"`                  // name of the Vault entity, or of the token
	EntityID string `json:"entity_id,omitempty"` // of Vault
	Login    string `json:"login,omitempty"`     // display name of the token
	From     string `json:"from,omitempty"`      // user and machine
}

// Attested is what an attestation says of who had it signed.
type Attested struct {
	Key      string    `json:"key"`
	Deployer *LoggedBy `json:"deployer,omitempty"`     // after the build; absent: not stated
	Again    *LoggedBy `json:"signed_again,omitempty"` // under a later version of the key
}

// LogAction is what a version of a job was made for.
type LogAction string

// The actions.
const (
	LogDeployed   LogAction = "deployed"   // another release
	LogUpdated    LogAction = "updated"    // the same release, the job is another
	LogScaled     LogAction = "scaled"     // another number of allocations
	LogStopped    LogAction = "stopped"    // the job asks for none any more
	LogStarted    LogAction = "started"    // a stopped job, or a new one
	LogRegistered LogAction = "registered" // what was before is not known any more
	LogWentBack   LogAction = "went back"  // to a release of an earlier version, without a deploy: an abort, or Nomad itself
)

// Log tells what Nomad and the attestations of the artifacts know of who moved what, the latest first. No function named
// means all; at most limit entries, 0: all that there are.
func Log(ctx context.Context, env *hclspec.Environment, functions []string, limit int) ([]LogEntry, error) {
	cluster, err := nomad.New(env.Nomad)
	if err != nil {
		return nil, err
	}
	known, err := cluster.Functions(ctx)
	if err != nil {
		return nil, err
	}
	if functions == nil {
		functions = known
	}
	lists := make([][]LogEntry, len(functions))
	group, within := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, function := range functions {
		group.Go(func() error {
			if !countersign.ValidName(function) {
				return fmt.Errorf("%q is not the name of a function", function)
			}
			versions, err := cluster.Versions(within, function)
			if err == nil && len(versions) == 0 {
				err = fmt.Errorf("there is no job %q in Nomad", function)
			}
			lists[i] = entries(versions)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	all := slices.Concat(lists...)
	slices.SortStableFunc(all, func(a, b LogEntry) int { return b.Time.Compare(a.Time) })
	if limit > 0 && len(all) > limit {
		all = all[:limit]
	}
	return all, attestations(ctx, env, all)
}

// entries tells what each version of a job changed, versions being sorted from the latest on.
func entries(versions []nomad.Version) (list []LogEntry) {
	for i, v := range versions {
		e := LogEntry{Time: v.Registered, Function: v.Function, JobVersion: v.Number, Current: v.Current, Artifact: v.Artifact,
			Release: v.Release.ID(), Repository: v.Release.Repository, Commit: v.Release.Commit, Allocations: v.Count}
		if d := v.Deployer; d != nil {
			e.Deployed = &LoggedBy{By: d.Name, EntityID: d.EntityID, Login: d.DisplayName, From: d.From}
		}
		older := versions[i+1:]
		if len(older) > 0 && older[0].Release.ID() != e.Release {
			e.OldRelease = older[0].Release.ID()
		}
		if len(older) > 0 && older[0].Release.Commit != e.Commit {
			e.OldCommit = older[0].Release.Commit
		}
		e.Action = action(v, older)
		list = append(list, e)
	}
	return list
}

func action(v nomad.Version, older []nomad.Version) LogAction {
	switch {
	case v.Stopped:
		return LogStopped
	case len(older) == 0 && v.Number == 0:
		return LogStarted
	case len(older) == 0:
		return LogRegistered
	case older[0].Stopped:
		return LogStarted
	case older[0].Artifact == v.Artifact && older[0].Count != v.Count && v.Deployer == nil:
		return LogScaled
	case older[0].Artifact == v.Artifact:
		return LogUpdated
	case v.Deployer == nil && slices.ContainsFunc(older[1:], func(o nomad.Version) bool { return o.Artifact == v.Artifact }):
		return LogWentBack
	}
	return LogDeployed
}

// attestations adds what the attestations of the entries' artifacts state. One that can't be read or does not verify is
// said where it was wanted; what Nomad tells is worth telling without it.
func attestations(ctx context.Context, env *hclspec.Environment, list []LogEntry) error {
	keys, err := vault.Keys(env.Vault)
	if err != nil {
		return err
	}
	type answer struct {
		attested *Attested
		err      error
	}
	of := map[string]answer{}
	var away error // a server that does not answer is not asked again
	for i := range list {
		e := &list[i]
		a, ok := of[e.Artifact]
		if !ok && away == nil {
			a.attested, a.err = attestationOf(ctx, env, keys, e.Function, e.Artifact)
			of[e.Artifact] = a
			if failure.IsUnreachable(a.err) {
				away = a.err
			}
		} else if !ok {
			a.err = away
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if e.Attested = a.attested; a.err != nil {
			e.Error = a.err.Error()
		}
	}
	return nil
}

func attestationOf(ctx context.Context, env *hclspec.Environment, keys *transit.Client, function, name string) (*Attested, error) {
	documents, want, err := pull(ctx, env, name)
	if err != nil {
		return nil, err
	}
	ring, err := keys.PublicKeys(ctx, function)
	if errors.Is(err, transit.ErrNoKey) {
		return nil, &vault.NoKeyError{Function: function, Mount: env.Vault.TransitMount}
	}
	if err != nil {
		return nil, err
	}
	a, err := attest.VerifyAny(documents.Bundles, ring, want)
	if err != nil {
		return nil, err
	}
	return &Attested{Key: a.Key.String(), Deployer: loggedBy(a.Deployer), Again: loggedBy(a.SignedAgain.By)}, nil
}

func loggedBy(d attest.Deployer) *LoggedBy {
	if !d.Stated() {
		return nil
	}
	return &LoggedBy{By: d.Name(), EntityID: d.EntityID, Login: d.DisplayName}
}
