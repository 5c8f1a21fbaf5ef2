package job

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign"

	"countersign/release"
)

// MetaEntry is one key and value of a job's meta.
type MetaEntry struct{ Key, Value string }

// Meta returns what the job tells about itself.
func (j *Job) Meta() []MetaEntry {
	list := j.origin()
	for _, e := range []MetaEntry{
		{countersign.MetaCalls, formatCalls(j.Release.Calls)},
		{countersign.MetaCallees, j.callees()},
		{countersign.MetaScaling, fmt.Sprintf("%d-%d", j.Spec.Scaling.Min, j.Spec.Scaling.Max)},
	} {
		if e.Value != "" {
			list = append(list, e)
		}
	}
	return list
}

// origin is what the job and its Consul service tell about the release.
func (j *Job) origin() []MetaEntry {
	return []MetaEntry{
		{countersign.MetaArtifact, j.Release.ArtifactDigest},
		{countersign.MetaCommit, j.Release.Commit},
		{countersign.MetaInterface, j.Release.InterfaceDigest},
		{countersign.MetaRepository, j.Release.Repository},
		{countersign.MetaSpec, j.Release.SpecDigest},
	}
}

// ServiceMeta returns what each instance in Consul tells, apart from its allocation.
func (j *Job) ServiceMeta() []MetaEntry {
	list := append(j.origin(), MetaEntry{countersign.MetaRelease, j.Release.ID()})
	if tags := j.storageTags(); tags != nil {
		list = append(list, MetaEntry{countersign.MetaIOStorage, strings.Join(tags, ",")})
	}
	if tags := j.networkTags(); tags != nil {
		list = append(list, MetaEntry{countersign.MetaIONetwork, strings.Join(tags, ",")})
	}
	return list
}

func (j *Job) callees() string {
	callees := slices.Clone(j.Spec.Calls)
	slices.Sort(callees)
	return strings.Join(callees, " ")
}

// ReadMeta returns what the meta of the named job tells of the function that it runs, without Artifact and Key, and whether it is
// the job of a function at all.
func ReadMeta(job string, meta map[string]string) (f release.Function, ours bool, err error) {
	if meta[countersign.MetaArtifact] == "" {
		return f, false, nil
	}
	f = release.Function{
		ArtifactDigest: meta[countersign.MetaArtifact], SpecDigest: meta[countersign.MetaSpec],
		InterfaceDigest: meta[countersign.MetaInterface],
		Repository:      meta[countersign.MetaRepository], Commit: meta[countersign.MetaCommit],
	}
	if f.Calls, err = parseCalls(meta[countersign.MetaCalls]); err != nil {
		return f, true, fmt.Errorf("meta %q of job %q: %w", countersign.MetaCalls, job, err)
	}
	if list, ok := meta[countersign.MetaCallees]; ok {
		f.Callees = strings.Fields(list)
	} else {
		// Jobs of earlier versions name only the callees that their code knows.
		f.Callees = slices.Sorted(maps.Keys(f.Calls))
	}
	return f, true, nil
}

// ReadScaling reads countersign.MetaScaling: how many allocations a job has at least and at most.
func ReadScaling(meta map[string]string) (least, most int, ok bool) {
	n, err := fmt.Sscanf(meta[countersign.MetaScaling], "%d-%d", &least, &most)
	return least, most, n == 2 && err == nil
}

// formatCalls and parseCalls turn release.Function.Calls into a value of a job's meta and back: "fx=sha256:…
// tax=sha256:…".
func formatCalls(calls map[string]string) string {
	parts := make([]string, 0, len(calls))
	for _, callee := range slices.Sorted(maps.Keys(calls)) {
		parts = append(parts, callee+"="+calls[callee])
	}
	return strings.Join(parts, " ")
}

func parseCalls(s string) (map[string]string, error) {
	calls := map[string]string{}
	for _, part := range strings.Fields(s) {
		callee, digest, ok := strings.Cut(part, "=")
		if !ok || callee == "" || digest == "" {
			return nil, errors.New("want callee=digest, got " + part)
		}
		calls[callee] = digest
	}
	return calls, nil
}
