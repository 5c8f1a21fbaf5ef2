package pipeline

import (
	"fmt"
	"maps"
	"slices"

	"countersign/hclspec"
	"countersign/pipeline/registry"
	"countersign/pipeline/releases"
	"countersign/pipeline/resign"
	"countersign/release"
)

// inUse is an artifact that runs, or that one of the last releases consists of, so that it may be gone back to.
type inUse struct {
	function string
	name     string            // OCI reference with a digest
	runs     bool              // it is what a registered job has
	releases []int             // that consist of it, the latest first
	recorded []resign.Recorded // what they tell of it; what runs and is in no release is named, and nothing else is known
}

// artifactsInUse returns what is in use, by function. history are the latest releases, the latest first; running is what
// Nomad tells. What Nomad says of an artifact is taken for no more than its digest.
func artifactsInUse(env *hclspec.Environment, history []*releases.Entry, running map[string]release.Function) map[string][]*inUse {
	all := map[string][]*inUse{}
	find := func(function, name string) *inUse {
		i := slices.IndexFunc(all[function], func(u *inUse) bool { return u.name == name })
		if i < 0 {
			i = len(all[function])
			all[function] = append(all[function], &inUse{function: function, name: name})
		}
		return all[function][i]
	}
	for _, name := range slices.Sorted(maps.Keys(running)) {
		ref := registry.Reference(env.Registry, name).WithDigest(running[name].ArtifactDigest)
		find(name, ref.String()).runs = true
	}
	for _, e := range history {
		for name, f := range e.Functions {
			u := find(name, f.Reference())
			u.releases = append(u.releases, e.Number)
			u.recorded = append(u.recorded, resign.Recorded{Function: f, Keys: e.Keys})
		}
	}
	for name, list := range all {
		for _, u := range list {
			if u.recorded == nil {
				ref := registry.Reference(env.Registry, name)
				u.recorded = []resign.Recorded{{Function: release.Function{Artifact: ref.Registry + "/" + ref.Repository,
					ArtifactDigest: running[name].ArtifactDigest}}}
			}
		}
	}
	return all
}

// only keeps the named functions; all if none is named.
func only(all map[string][]*inUse, functions []string) (map[string][]*inUse, error) {
	if len(functions) == 0 {
		return all, nil
	}
	some := map[string][]*inUse{}
	for _, name := range functions {
		if all[name] == nil {
			return nil, fmt.Errorf("function %q neither runs, nor is it part of one of the last %d releases", name, releases.Kept)
		}
		some[name] = all[name]
	}
	return some, nil
}
