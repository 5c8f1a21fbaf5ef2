package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"countersign"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/nomad"
	"countersign/pipeline/registry"
	"countersign/pipeline/vault"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// atOnce is how many functions are looked at at a time.
const atOnce = 8

// KeyUse tells which versions of a function's key attest what runs.
type KeyUse struct {
	Function string       `json:"function"`
	Latest   int          `json:"latest_version"`
	Min      int          `json:"min_version"` // lowest that counts: Vault's min_decryption_version, or what was asked about
	Releases []ReleaseUse `json:"releases"`    // that run
}

// ReleaseUse is one release of a function that runs.
type ReleaseUse struct {
	Release     string   `json:"release"`
	Artifact    string   `json:"artifact"`     // OCI reference with a digest
	JobVersions []uint64 `json:"job_versions"` // of Nomad
	Allocations int      `json:"allocations"`  // that have not ended
	Versions    []int    `json:"attested_by"`  // key versions that attest it and count
	Retired     []int    `json:"retired"`      // key versions that other attestations name, and that do not count
	State       KeyState `json:"state"`
	Error       string   `json:"error,omitempty"` // why no attestation counts, or could be read
}

// KeyState is whether a release could start again.
type KeyState string

// The states.
const (
	KeyLatest  KeyState = "latest"          // the latest version attests it
	KeyBehind  KeyState = "behind"          // an earlier version attests it: it starts until that is retired
	KeyRefused KeyState = "would_not_start" // no version that counts attests it: the next start is refused
	KeyUnknown KeyState = "unknown"         // its attestations could not be read
)

// StartsAgain tells whether everything that runs could start again, as far as its attestations say.
func (u KeyUse) StartsAgain() bool {
	return !slices.ContainsFunc(u.Releases, func(r ReleaseUse) bool { return r.State == KeyRefused || r.State == KeyUnknown })
}

// Keys tells for functions, all that run if none is named, which versions of their keys attest what runs. With least above
// what counts now, it tells what would be so if that were the lowest version that counts.
func Keys(ctx context.Context, env *hclspec.Environment, functions []string, least int) ([]KeyUse, error) {
	cluster, err := nomad.New(env.Nomad)
	if err != nil {
		return nil, err
	}
	keys, err := vault.Keys(env.Vault)
	if err != nil {
		return nil, err
	}
	named := functions != nil
	if !named {
		running, err := cluster.Running(ctx)
		if err != nil {
			return nil, err
		}
		functions = slices.Sorted(maps.Keys(running))
	}
	uses := make([]KeyUse, len(functions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, function := range functions {
		group.Go(func() (err error) {
			uses[i], err = keyUse(ctx, env, cluster, keys, function, least)
			if err == nil && named && len(uses[i].Releases) == 0 {
				err = fmt.Errorf("function %q does not run", function)
			}
			return err
		})
	}
	return uses, group.Wait()
}

func keyUse(ctx context.Context, env *hclspec.Environment, cluster *nomad.Cluster, keys *transit.Client, function string,
	least int) (KeyUse, error) {
	u := KeyUse{Function: function}
	if !countersign.ValidName(function) {
		return u, fmt.Errorf("%q is not the name of a function", function)
	}
	versions, err := cluster.Versions(ctx, function)
	if err != nil || len(versions) == 0 {
		return u, err
	}
	ring, err := keys.PublicKeys(ctx, function)
	if errors.Is(err, transit.ErrNoKey) {
		return u, &vault.NoKeyError{Function: function, Mount: env.Vault.TransitMount}
	}
	if err != nil {
		return u, err
	}
	if least > ring.Latest() {
		return u, fmt.Errorf("the key of function %q has no version %d, the latest is %d: `vault write -f %s/keys/%[1]s/rotate` "+
			"makes another", function, least, ring.Latest(), env.Vault.TransitMount)
	}
	ring.MinVersion = max(ring.MinVersion, least)
	u.Latest, u.Min = ring.Latest(), ring.MinVersion
	for _, r := range runningReleases(versions) {
		r.look(ctx, env, ring)
		u.Releases = append(u.Releases, r)
	}
	return u, nil
}

// runningReleases are those that have allocations, or are to have some: beside the registered version of a job another
// may run, such as that to which a canary is compared.
func runningReleases(versions []nomad.Version) (list []ReleaseUse) {
	for _, v := range versions {
		if !v.Runs() {
			continue
		}
		i := slices.IndexFunc(list, func(r ReleaseUse) bool { return r.Artifact == v.Artifact })
		if i < 0 {
			i = len(list)
			list = append(list, ReleaseUse{Artifact: v.Artifact, Versions: []int{}, Retired: []int{}})
		}
		list[i].JobVersions = append(list[i].JobVersions, v.Number)
		list[i].Allocations += v.Allocations
	}
	return list
}

// look reads the attestations of a release.
func (r *ReleaseUse) look(ctx context.Context, env *hclspec.Environment, ring keyring.KeyRing) {
	documents, want, err := pull(ctx, env, r.Artifact)
	if err != nil {
		r.State, r.Error = KeyUnknown, err.Error()
		return
	}
	r.Release = countersign.ReleaseID(want.ManifestDigest)
	for _, bundle := range documents.Bundles {
		a, err := attest.Verify(bundle, ring, want)
		var refused *attest.VerificationError
		if err == nil {
			r.Versions = append(r.Versions, a.Key.Version)
		} else if errors.As(err, &refused) && refused.Reason == attest.VersionRetired {
			if id, err := keyring.ParseKeyID(refused.KeyID); err == nil {
				r.Retired = append(r.Retired, id.Version)
			}
		}
	}
	for _, list := range []*[]int{&r.Versions, &r.Retired} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	switch {
	case slices.Contains(r.Versions, ring.Latest()):
		r.State = KeyLatest
	case len(r.Versions) > 0:
		r.State = KeyBehind
	default:
		_, err := attest.VerifyAny(documents.Bundles, ring, want)
		r.State, r.Error = KeyRefused, err.Error()
	}
}

// pull reads an artifact without its executables, and what its attestations have to be about.
func pull(ctx context.Context, env *hclspec.Environment, name string) (*artifact.Documents, attest.Want, error) {
	ref, err := artifact.ParseReference(name)
	if err != nil {
		return nil, attest.Want{}, err
	}
	store, err := registry.Open(env.Registry, ref)
	if err != nil {
		return nil, attest.Want{}, err
	}
	documents, err := artifact.PullDocuments(ctx, store, ref)
	if err != nil {
		return nil, attest.Want{}, err
	}
	want, err := registry.Want(documents)
	return documents, want, err
}
