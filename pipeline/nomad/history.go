package nomad

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/hashicorp/nomad/api"

	"countersign/pipeline/job"
	"countersign/release"
)

// Version is a version of a function's job that Nomad keeps.
type Version struct {
	Function    string
	Number      uint64
	Registered  time.Time
	Artifact    string           // OCI reference with a digest
	Release     release.Function // as far as the job's meta tells: without Artifact and Key
	Deployer    *job.Deployer    // who deployed it, as the deploy said; nil if nobody tells
	Count       int              // of allocations that it asks for
	Stopped     bool             // it asks for none
	Current     bool             // no later one is registered
	Allocations int              // of this version that have not ended
	Nodes       []string         // names of those that have them
	Bindings    []Binding        // of I/O tags, as the job has them
}

// Runs tells whether it has allocations, or is to have some.
func (v Version) Runs() bool {
	return v.Artifact != "" && (v.Allocations > 0 || v.Current && !v.Stopped && v.Count > 0)
}

// Functions returns the names of the functions that have a job, also of those that are stopped.
func (c *Cluster) Functions(ctx context.Context) ([]string, error) {
	list, _, err := c.client.Jobs().ListOptions(&api.JobListOptions{Fields: &api.JobListFields{Meta: true}}, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("list the jobs: %w", c.wrap(err))
	}
	var names []string
	for _, stub := range list {
		if _, ours, _ := job.ReadMeta(stub.ID, stub.Meta); ours {
			names = append(names, stub.ID)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Versions returns the versions of a function's job that Nomad keeps, the latest first; none if there is no such job.
func (c *Cluster) Versions(ctx context.Context, function string) ([]Version, error) {
	jobs, _, _, err := c.client.Jobs().Versions(function, false, query(ctx))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the versions of job %q: %w", function, c.wrap(err))
	}
	allocations, _, err := c.client.Jobs().Allocations(function, true, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("read the allocations of job %q: %w", function, c.wrap(err))
	}
	var versions []Version
	for i, j := range jobs {
		v := versionOf(function, j)
		v.Current = i == 0
		for _, a := range allocations {
			if a.JobVersion == v.Number && isAlive(a) {
				v.Allocations++
			}
		}
		v.Nodes = nodesOf(allocations, v.Number)
		versions = append(versions, v)
	}
	return versions, nil
}

// versionOf reads one version. What its meta lacks, since somebody wrote the job himself, is left out.
func versionOf(function string, j *api.Job) Version {
	v := Version{Function: function, Artifact: artifactOf(j), Stopped: j.Stop != nil && *j.Stop, Bindings: bindings(j)}
	if j.Version != nil {
		v.Number = *j.Version
	}
	if j.SubmitTime != nil {
		v.Registered = time.Unix(0, *j.SubmitTime)
	}
	v.Release, _, _ = job.ReadMeta(function, j.Meta)
	for _, group := range j.TaskGroups {
		if group.Count != nil {
			v.Count += *group.Count
		}
	}
	for _, s := range services(j) {
		if d, ok := job.ReadDeployer(s.Meta, v.Number); ok && v.Deployer == nil {
			v.Deployer = &d
		}
	}
	return v
}
