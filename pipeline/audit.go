package pipeline

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"countersign"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/nomad"
	"countersign/pipeline/vault"
	"countersign/vaultsign/attest"
	"countersign/vaultsign/keyring"
	"countersign/vaultsign/transit"
)

// Reach is what one release of a function that runs may touch: what its attested spec declares, and what its job binds that
// to. If it does not verify, nothing is known of it but its bindings.
type Reach struct {
	Function string         `json:"function"`
	Release  string         `json:"release,omitempty"`
	Artifact string         `json:"artifact"` // OCI reference with a digest
	Verified bool           `json:"verified"`
	Error    string         `json:"error,omitempty"`  // why it was not verified
	Refused  bool           `json:"refused"`          // it was checked, and does not verify
	Commit   string         `json:"commit,omitempty"` // as attested, as all below but nodes and bindings
	Key      string         `json:"key,omitempty"`
	Runtime  string         `json:"runtime,omitempty"`
	Nodes    []string       `json:"nodes"` // that run it
	Storage  []StorageReach `json:"storage"`
	Network  []NetworkReach `json:"network"`
	Unbound  []string       `json:"unbound,omitempty"`    // tags that are attested, and not bound by the job: no host starts it
	Extra    []string       `json:"undeclared,omitempty"` // tags that the job binds, and that are not attested: no host starts it
}

// StorageReach is a storage tag.
type StorageReach struct {
	Tag      string `json:"tag"`
	Path     string `json:"path"`
	Access   string `json:"access"`
	MaxBytes int64  `json:"max_bytes"` // 0: no bound
	MaxFiles int    `json:"max_files"`
	Source   string `json:"source"`           // path, volume, csi_volume or allocation_local
	Target   string `json:"target,omitempty"` // a directory of the node, or a volume's name
}

// NetworkReach is a network tag.
type NetworkReach struct {
	Tag      string `json:"tag"`
	Protocol string `json:"protocol"`
	Listen   bool   `json:"listen"`
	Address  string `json:"address"`
}

// AuditIO tells what every function that runs may touch, by what was attested of it. Beside the registered version of a job
// another may run, such as that to which a canary is compared: each has a Reach.
func AuditIO(ctx context.Context, env *hclspec.Environment) ([]Reach, error) {
	cluster, err := nomad.New(env.Nomad)
	if err != nil {
		return nil, err
	}
	keys, err := vault.Keys(env.Vault)
	if err != nil {
		return nil, err
	}
	running, err := cluster.Running(ctx)
	if err != nil {
		return nil, err
	}
	functions := slices.Sorted(maps.Keys(running))
	found := make([][]Reach, len(functions))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, function := range functions {
		group.Go(func() (err error) {
			found[i], err = reachesOf(ctx, env, cluster, keys, function)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return slices.Concat(found...), nil
}

// reachesOf tells it of the releases of one function. Versions of the job that bind one artifact to something else are told
// apart.
func reachesOf(ctx context.Context, env *hclspec.Environment, cluster *nomad.Cluster, keys *transit.Client, function string) (
	[]Reach, error) {
	versions, err := cluster.Versions(ctx, function)
	if err != nil {
		return nil, err
	}
	ring, err := keys.PublicKeys(ctx, function)
	if errors.Is(err, transit.ErrNoKey) {
		ring, err = keyring.KeyRing{Function: function}, nil // with no key, nothing verifies
	}
	if err != nil {
		return nil, err
	}
	list := []Reach{}
	var bound [][]nomad.Binding
	for _, v := range versions {
		if !v.Runs() {
			continue
		}
		i := -1
		for n := range list {
			if list[n].Artifact == v.Artifact && slices.Equal(bound[n], v.Bindings) {
				i = n
			}
		}
		if i < 0 {
			i, bound = len(list), append(bound, v.Bindings)
			list = append(list, reachOf(ctx, env, ring, function, v))
		}
		list[i].Nodes = append(list[i].Nodes, v.Nodes...)
		slices.Sort(list[i].Nodes)
		list[i].Nodes = slices.Compact(list[i].Nodes)
	}
	return list, nil
}

// reachOf verifies what a version of a job runs, and reads the spec that is attested of it.
func reachOf(ctx context.Context, env *hclspec.Environment, ring keyring.KeyRing, function string, v nomad.Version) Reach {
	r := Reach{Function: function, Artifact: v.Artifact, Nodes: []string{}, Storage: []StorageReach{}, Network: []NetworkReach{}}
	spec, err := r.verify(ctx, env, ring)
	if err != nil {
		r.Error, r.Refused = err.Error(), countersign.IsUnverified(err)
		for _, b := range v.Bindings {
			r.Extra = append(r.Extra, b.Kind+" "+b.Tag)
		}
		return r
	}
	r.Verified, r.Runtime = true, spec.Runtime
	r.declare(spec, v.Bindings)
	return r
}

// verify returns the attested spec.
func (r *Reach) verify(ctx context.Context, env *hclspec.Environment, ring keyring.KeyRing) (*hclspec.Function, error) {
	documents, want, err := pull(ctx, env, r.Artifact)
	if err != nil {
		return nil, err
	}
	want.Function = r.Function // not what the artifact's name says: a job may run another's
	a, err := attest.VerifyAny(documents.Bundles, ring, want)
	if err != nil {
		return nil, err
	}
	r.Release, r.Commit, r.Key = countersign.ReleaseID(want.ManifestDigest), a.Commit, a.Key.String()
	return attestedSpec(documents, r.Function)
}

// attestedSpec reads the spec of an artifact that was verified.
func attestedSpec(documents *artifact.Documents, function string) (*hclspec.Function, error) {
	functions, diags := hclspec.ParseFunctions(function+".hcl", documents.Spec)
	if diags.HasErrors() {
		return nil, fmt.Errorf("read the attested spec: %w", diags)
	}
	for _, f := range functions {
		if f.Name == function {
			return f, nil
		}
	}
	return nil, fmt.Errorf("the attested spec does not declare function %q", function)
}

// declare fills in the tags of the attested spec with what the job binds them to.
func (r *Reach) declare(spec *hclspec.Function, bindings []nomad.Binding) {
	left := slices.Clone(bindings)
	take := func(kind, tag string) nomad.Binding {
		i := slices.IndexFunc(left, func(b nomad.Binding) bool { return b.Kind == kind && b.Tag == tag })
		if i < 0 {
			r.Unbound = append(r.Unbound, kind+" "+tag)
			return nomad.Binding{}
		}
		b := left[i]
		left = slices.Delete(left, i, i+1)
		return b
	}
	for _, t := range spec.Storage {
		b := take("storage", t.Tag)
		source := b.Source
		switch {
		case b.CSI:
			source = "csi_volume"
		case source == "allocation":
			source = "allocation_local" // as in the environment's file
		}
		r.Storage = append(r.Storage, StorageReach{t.Tag, t.Path, t.Access, t.MaxBytes, t.MaxFiles, source, b.Target})
	}
	for _, t := range spec.Network {
		r.Network = append(r.Network, NetworkReach{t.Tag, t.Protocol, t.Listen, take("network", t.Tag).Target})
	}
	for _, b := range left {
		r.Extra = append(r.Extra, b.Kind+" "+b.Tag)
	}
}

// SameTarget lists the storage that several functions reach: the functions by what their tags are bound to, where at least
// one may write.
func SameTarget(reaches []Reach) map[string][]string {
	users, written := map[string][]string{}, map[string]bool{}
	for _, r := range reaches {
		for _, s := range r.Storage {
			if s.Target == "" {
				continue
			}
			target := s.Source + " " + s.Target
			users[target] = append(users[target], r.Function)
			written[target] = written[target] || s.Access == hclspec.AccessReadWrite
		}
	}
	maps.DeleteFunc(users, func(target string, functions []string) bool {
		slices.SortFunc(functions, cmp.Compare[string])
		users[target] = slices.Compact(functions)
		return !written[target] || len(users[target]) < 2 || strings.HasSuffix(target, " ")
	})
	return users
}
