package nomad

import (
	"github.com/hashicorp/nomad/api"

	"countersign/pipeline/job"
)

// DeployAs has the jobs that are registered from now on tell who deployed them.
func (c *Cluster) DeployAs(d job.Deployer) { c.deployer = d }

// keepDeployer has planned tell of who deployed what the registered job tells: that somebody else deploys the same is no
// difference.
func keepDeployer(planned, registered *api.Job) {
	if registered == nil {
		return
	}
	have := map[string]map[string]string{}
	for _, s := range services(registered) {
		have[s.Name] = s.Meta
	}
	for _, s := range services(planned) {
		if s.Meta != nil {
			job.KeepDeployer(s.Meta, have[s.Name])
		}
	}
}

// setDeployer has version of a job tell who deploys it.
func (c *Cluster) setDeployer(planned *api.Job, version uint64) {
	if c.deployer == (job.Deployer{}) {
		return
	}
	for _, s := range services(planned) {
		if s.Meta == nil {
			s.Meta = map[string]string{}
		}
		job.SetDeployer(s.Meta, c.deployer, version)
	}
}

// services are those of a job's groups.
func services(j *api.Job) (list []*api.Service) {
	for _, group := range j.TaskGroups {
		list = append(list, group.Services...)
	}
	return list
}

// nextVersion is the version that a job gets when it is registered.
func nextVersion(registered *api.Job) uint64 {
	if registered == nil || registered.Version == nil {
		return 0
	}
	return *registered.Version + 1
}
