package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"countersign"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/nomad"
	"countersign/pipeline/registry"
	"countersign/pipeline/releases"
	"countersign/pipeline/vault"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// atOnce is how many functions are looked at at a time.
const atOnce = 8

// KeyUse tells which versions of a function's key attest what runs, and what the last releases consist of.
type KeyUse struct {
	Function     string       `json:"function"`
	Latest       int          `json:"latest_version"`
	Min          int          `json:"min_version"`            // lowest that counts: Vault's min_decryption_version, or what was asked about
	AutoRotate   int64        `json:"auto_rotate_seconds"`    // Vault's auto_rotate_period; 0: Vault makes no versions by itself
	NextRotation time.Time    `json:"next_rotation,omitzero"` // from when on Vault makes the next version; it looks once an hour
	Versions     []KeyVersion `json:"versions"`               // that Vault still tells of, the earliest first
	Releases     []ReleaseUse `json:"releases"`               // what runs, then what may be gone back to, the latest first
}

// KeyVersion is one version of a function's key, and what becomes of what it signed if it is retired.
type KeyVersion struct {
	Version  int       `json:"version"`
	Created  time.Time `json:"created"`
	Attests  []string  `json:"attests"`   // releases of the function
	NeededBy []string  `json:"needed_by"` // those of them that no later version attests: they can't start once it is retired
}

// ReleaseUse is one release of a function that runs, or that one of the last releases of the environment consists of.
type ReleaseUse struct {
	Release     string   `json:"release"`
	Artifact    string   `json:"artifact"`     // OCI reference with a digest
	JobVersions []uint64 `json:"job_versions"` // of Nomad, that run; none: it does not run
	Allocations int      `json:"allocations"`  // that have not ended
	Recorded    []int    `json:"recorded_in"`  // releases of the environment, of the last ones, the latest first
	Versions    []int    `json:"attested_by"`  // key versions that attest it and count
	Retired     []int    `json:"retired"`      // key versions that other attestations name, and that do not count
	State       KeyState `json:"state"`
	Lost        bool     `json:"lost"`            // it could start, if the lowest version that counts were not the one asked about
	Error       string   `json:"error,omitempty"` // why no attestation counts, or could be read

	now []int // key versions that attest it and count, whatever was asked about
}

// Runs tells whether it runs, or is to.
func (r *ReleaseUse) Runs() bool { return len(r.JobVersions) > 0 }

// KeyState is whether a release could start again.
type KeyState string

// The states.
const (
	KeyLatest  KeyState = "latest"          // the latest version attests it
	KeyBehind  KeyState = "behind"          // an earlier version attests it: it starts until that is retired
	KeyRefused KeyState = "would_not_start" // no version that counts attests it: the next start is refused
	KeyUnknown KeyState = "unknown"         // its attestations could not be read
)

// StartsAgain tells whether everything that runs could start again, as far as its attestations say, and whether nothing could be gone
// back to that can be now.
func (u KeyUse) StartsAgain() bool {
	return !slices.ContainsFunc(u.Releases, func(r ReleaseUse) bool {
		return r.Lost || r.Runs() && (r.State == KeyRefused || r.State == KeyUnknown)
	})
}

// Keys tells for functions, all that run or are part of one of the last releases if none is named, which versions of their keys
// attest what. With least above what counts now, it tells what would be so if that were the lowest version that counts.
func Keys(ctx context.Context, env *hclspec.Environment, functions []string, least int) ([]KeyUse, error) {
	cluster, err := nomad.New(env.Nomad)
	if err != nil {
		return nil, err
	}
	keys, err := vault.Keys(env.Vault)
	if err != nil {
		return nil, err
	}
	for _, function := range functions {
		if !countersign.ValidName(function) {
			return nil, fmt.Errorf("%q is not the name of a function", function)
		}
	}
	history, err := ReadReleases(ctx, env, releases.Kept)
	if err != nil {
		return nil, err
	}
	running, err := cluster.Running(ctx)
	if err != nil {
		return nil, err
	}
	used, err := only(artifactsInUse(env, history, running), functions)
	if err != nil {
		return nil, err
	}
	functions = slices.Sorted(maps.Keys(used))
	uses := make([]KeyUse, len(functions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, function := range functions {
		group.Go(func() (err error) {
			uses[i], err = keyUse(ctx, env, cluster, keys, function, used[function], least)
			return err
		})
	}
	return uses, group.Wait()
}

func keyUse(ctx context.Context, env *hclspec.Environment, cluster *nomad.Cluster, keys *transit.Client, function string, used []*inUse,
	least int) (KeyUse, error) {
	u := KeyUse{Function: function, Versions: []KeyVersion{}}
	versions, err := cluster.Versions(ctx, function)
	if err != nil {
		return u, err
	}
	u.Releases = withRecorded(runningReleases(versions), used)
	key, err := keys.Key(ctx, function)
	if errors.Is(err, transit.ErrNoKey) {
		err = &vault.NoKeyError{Function: function, Mount: env.Vault.TransitMount}
		if len(u.Releases) > 0 && u.Releases[0].Runs() {
			return u, err
		}
		for i := range u.Releases { // somebody deleted the key of what does not run any more
			u.Releases[i].State, u.Releases[i].Error = KeyRefused, err.Error()
		}
		return u, nil
	}
	if err != nil {
		return u, err
	}
	ring := key.Ring
	if least > ring.Latest() {
		return u, fmt.Errorf("the key of function %q has no version %d, the latest is %d: `vault write -f %s/keys/%[1]s/rotate` "+
			"makes another", function, least, ring.Latest(), env.Vault.TransitMount)
	}
	u.Latest, u.Min = ring.Latest(), max(ring.MinVersion, least)
	if u.AutoRotate = int64(key.AutoRotate.Seconds()); u.AutoRotate > 0 {
		u.NextRotation = key.Created[u.Latest].Add(key.AutoRotate)
	}
	for i := range u.Releases {
		u.Releases[i].look(ctx, env, ring, u.Min)
	}
	for _, version := range slices.Sorted(maps.Keys(ring.Versions)) {
		u.Versions = append(u.Versions, versionUse(version, key.Created[version], u.Releases))
	}
	return u, nil
}

// versionUse tells what a version of a key is good for.
func versionUse(version int, created time.Time, list []ReleaseUse) KeyVersion {
	v := KeyVersion{Version: version, Created: created, Attests: []string{}, NeededBy: []string{}}
	for _, r := range list {
		if !slices.Contains(r.now, version) {
			continue
		}
		v.Attests = append(v.Attests, r.Release)
		if slices.Max(r.now) == version {
			v.NeededBy = append(v.NeededBy, r.Release)
		}
	}
	return v
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
			list = append(list, ReleaseUse{Artifact: v.Artifact, Recorded: []int{}, Versions: []int{}, Retired: []int{}})
		}
		list[i].JobVersions = append(list[i].JobVersions, v.Number)
		list[i].Allocations += v.Allocations
	}
	for i := range list {
		list[i].Release = releaseOf(list[i].Artifact)
	}
	return list
}

// releaseOf names the release of an artifact for people; "" if what a job has is no reference.
func releaseOf(artifactName string) string {
	ref, err := artifact.ParseReference(artifactName)
	if err != nil {
		return ""
	}
	return countersign.ReleaseID(ref.Digest)
}

// withRecorded adds what the last releases consist of to what runs, the latest first.
func withRecorded(list []ReleaseUse, used []*inUse) []ReleaseUse {
	list = append([]ReleaseUse{}, list...)
	used = slices.Clone(used)
	slices.SortStableFunc(used, func(a, b *inUse) int { return slices.Max(append(b.releases, 0)) - slices.Max(append(a.releases, 0)) })
	for _, u := range used {
		i := slices.IndexFunc(list, func(r ReleaseUse) bool { return r.Artifact == u.name })
		switch {
		case i >= 0:
			list[i].Recorded = append(list[i].Recorded, u.releases...)
		case len(u.releases) > 0:
			list = append(list, ReleaseUse{Release: releaseOf(u.name), Artifact: u.name, JobVersions: []uint64{}, Recorded: u.releases,
				Versions: []int{}, Retired: []int{}})
		}
	}
	return list
}

// look reads the attestations of a release, and tells what they are worth if least is the lowest version that counts.
func (r *ReleaseUse) look(ctx context.Context, env *hclspec.Environment, ring keyring.KeyRing, least int) {
	documents, want, err := pull(ctx, env, r.Artifact)
	if err != nil {
		r.State, r.Error = KeyUnknown, err.Error()
		return
	}
	for _, bundle := range documents.Bundles {
		a, err := attest.Verify(bundle, ring, want)
		var refused *attest.VerificationError
		if err == nil {
			r.now = append(r.now, a.Key.Version)
			if a.Key.Version >= least {
				r.Versions = append(r.Versions, a.Key.Version)
			} else {
				r.Retired = append(r.Retired, a.Key.Version)
			}
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
		ring.MinVersion = least
		_, err := attest.VerifyAny(documents.Bundles, ring, want)
		r.State, r.Error, r.Lost = KeyRefused, err.Error(), len(r.now) > 0
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
