package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign"
	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/apply"
	"countersign/pipeline/progress"
	"countersign/pipeline/registry"
	"countersign/pipeline/releases"
	"countersign/pipeline/vault"
	"countersign/release"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// recorder records what runs after something was moved.
type recorder struct {
	environment *hclspec.Environment
	ledger      *releases.Ledger
	keys        *transit.Client
	cluster     apply.Cluster
	routes      apply.Routes
	steps       *progress.Recorder
	deployer    attest.Deployer

	head *releases.Entry // the release before; nil if there is none
	made *releases.Entry // by this command; nil if what runs is what was recorded before
}

// newRecorder returns the recorder of a command that moves functions by an engine.
func newRecorder(e *apply.Engine, pointer releases.Pointer, keys *transit.Client, deployer attest.Deployer) (*recorder, error) {
	ledger, err := releases.Open(e.Environment, pointer, keys)
	return &recorder{environment: e.Environment, ledger: ledger, keys: keys, cluster: e.Cluster, routes: e.Routes, steps: e.Steps,
		deployer: deployer}, err
}

// identified is newRecorder with the keys and the name of who runs the command, by the token in use.
func identified(ctx context.Context, e *apply.Engine, pointer releases.Pointer) (*recorder, error) {
	keys, err := vault.Keys(e.Environment.Vault)
	if err != nil {
		return nil, err
	}
	deployer, err := vault.Caller(ctx, e.Environment.Vault)
	if err != nil {
		return nil, err
	}
	return newRecorder(e, pointer, keys, deployer)
}

// settle finishes what an interrupted command left of the records, before anything is changed: what can't be recorded in the
// end is not begun.
func (r *recorder) settle(ctx context.Context) error {
	return r.steps.Step("", progress.StepSettle, func(func(string)) (_ progress.Outcome, err error) {
		if r.head, err = r.ledger.Settle(ctx); err != nil {
			return progress.Outcome{}, err
		}
		if r.head == nil {
			return progress.Did("no release is recorded yet"), nil
		}
		return progress.Did(fmt.Sprintf("the last one is release %d", r.head.Number)), nil
	})
}

// record makes the record of what runs now, unless that is what the last one says. known are functions as they were published
// or recorded: what a server says of one that runs is taken for no more than which artifact that is.
func (r *recorder) record(ctx context.Context, record release.Record, known ...map[string]release.Function) error {
	return r.steps.Step("", progress.StepRecord, func(func(string)) (progress.Outcome, error) {
		if r.head != nil {
			known = append(known, r.head.Functions)
		}
		var left []string
		var err error
		if record.Functions, left, err = r.serving(ctx, known); err != nil {
			return progress.Outcome{}, fmt.Errorf("what was asked for is done, and is not recorded: %w", err)
		}
		remark := ""
		if left != nil {
			remark = "; without " + strings.Join(left, ", ")
		}
		if r.head == nil && len(record.Functions) == 0 || r.head != nil && release.Diff(r.head.Record, &record).Empty() {
			return progress.Nothing("as recorded" + remark), nil
		}
		record.Deployer = release.Deployer{Entity: r.deployer.Entity, EntityID: r.deployer.EntityID, DisplayName: r.deployer.DisplayName}
		if record.Keys, err = r.archive(ctx, record.Functions); err == nil {
			r.made, err = r.ledger.Append(ctx, r.head, &record)
		}
		if err != nil {
			return progress.Outcome{}, fmt.Errorf("what was asked for is done, and is not recorded; the next deploy records it: %w", err)
		}
		return progress.Did(fmt.Sprintf("release %d%s", r.made.Number, remark)), nil
	})
}

// serving returns what runs. Of a function with a canary that is the release before: the canary is recorded when it takes over.
// left are functions of which no attested artifact was found.
func (r *recorder) serving(ctx context.Context, known []map[string]release.Function) (functions map[string]release.Function,
	left []string, err error) {
	running, err := r.cluster.Running(ctx)
	if err != nil {
		return nil, nil, err
	}
	now, err := r.routes.Entries(ctx)
	if err != nil {
		return nil, nil, err
	}
	reader, functions := registry.NewReader(r.environment, r.keys), map[string]release.Function{}
	canaries := now.Canaries()
	for _, name := range slices.Sorted(maps.Keys(running)) {
		f := running[name]
		if c, open := canaries[name]; open && f.ID() != c.Stable {
			if f, err = r.cluster.Release(ctx, name, c.Stable); err != nil {
				return nil, nil, err
			}
		}
		i := slices.IndexFunc(known, func(k map[string]release.Function) bool {
			return k[name].ArtifactDigest == f.ArtifactDigest && k[name].Key != ""
		})
		if i >= 0 {
			functions[name] = known[i][name]
			continue
		}
		switch f, err = publishedAs(ctx, reader, r.environment, name, f.ArtifactDigest); {
		case isRefused(err):
			left = append(left, fmt.Sprintf("%s, which runs without an artifact that counts (%v)", name, err))
		case err != nil:
			return nil, nil, err
		default:
			functions[name] = f
		}
	}
	return functions, left, nil
}

// publishedAs returns what the registry has of a function's artifact, as attested.
func publishedAs(ctx context.Context, reader *registry.Reader, env *hclspec.Environment, name, digest string) (release.Function, error) {
	ref := registry.Reference(env.Registry, name)
	f := release.Function{Artifact: ref.Registry + "/" + ref.Repository, ArtifactDigest: digest}
	documents, attestation, err := reader.Read(ctx, f)
	if err != nil {
		return f, err
	}
	spec, iface, err := apply.Parse(name, documents)
	if err != nil {
		return f, &apply.RecordError{Function: name, What: err.Error()}
	}
	f.SpecDigest, f.InterfaceDigest, f.Calls = documents.SpecDigest(), iface.Digest, iface.Calls
	f.Callees = slices.Sorted(slices.Values(spec.Calls))
	f.Repository, f.Commit, f.Key = attestation.Repository, attestation.Commit, attestation.Key.String()
	return f, nil
}

// archive returns the public halves of the key versions that functions name: after they are retired, Vault does not tell them.
func (r *recorder) archive(ctx context.Context, functions map[string]release.Function) (map[string]string, error) {
	keys := map[string]string{}
	for name, f := range functions {
		if r.head != nil && r.head.Keys[f.Key] != "" {
			keys[f.Key] = r.head.Keys[f.Key]
			continue
		}
		id, err := keyring.ParseKeyID(f.Key)
		if err != nil {
			return nil, err
		}
		ring, err := r.keys.PublicKeys(ctx, name)
		if err != nil {
			return nil, err
		}
		if keys[f.Key], err = ring.Archive(id.Version); err != nil {
			return nil, err
		}
	}
	return keys, nil
}

func isRefused(err error) bool {
	return countersign.IsUnverified(err) || errors.Is(err, artifact.ErrNotFound)
}
