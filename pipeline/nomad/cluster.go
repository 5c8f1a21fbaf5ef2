package nomad

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/nomad/api"

	"countersign/hclspec"
	"countersign/patience"
	"countersign/pipeline/job"
	"countersign/release"
)

// Cluster is the Nomad cluster that runs the functions.
type Cluster struct {
	client   *api.Client
	deployer job.Deployer // who has jobs registered; zero: not told
}

// New returns the cluster that the environment names. What it leaves out comes from Nomad's usual variables:
// NOMAD_ADDR, NOMAD_TOKEN, NOMAD_CACERT and so on.
func New(env hclspec.Nomad) (*Cluster, error) {
	config := api.DefaultConfig()
	if env.Address != "" {
		config.Address = env.Address
	}
	if env.Region != "" {
		config.Region = env.Region
	}
	if env.Namespace != "" {
		config.Namespace = env.Namespace
	}
	if !strings.HasPrefix(config.Address, "unix://") { // for a socket, the library makes what carries requests itself
		config.HttpClient = &http.Client{Transport: http.DefaultTransport.(*http.Transport).Clone()}
		if err := api.ConfigureTLS(config.HttpClient, config.TLSConfig); err != nil {
			return nil, fmt.Errorf("use the TLS settings for Nomad (NOMAD_CACERT and so on): %w", err)
		}
		config.HttpClient.Transport = &patience.Transport{
			Base: config.HttpClient.Transport, Server: "Nomad at " + config.Address,
		}
	}
	client, err := api.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a Nomad client for %s: %w", config.Address, err)
	}
	return &Cluster{client: client}, nil
}

// Running returns the functions that the cluster runs now, by name, as far as their jobs tell: without Artifact and Key.
func (c *Cluster) Running(ctx context.Context) (map[string]release.Function, error) {
	list, _, err := c.client.Jobs().ListOptions(
		&api.JobListOptions{Fields: &api.JobListFields{Meta: true}}, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("list the jobs: %w", c.wrap(err))
	}
	running := map[string]release.Function{}
	for _, stub := range list {
		f, ours, err := job.ReadMeta(stub.ID, stub.Meta)
		if stub.Stop || !ours {
			continue
		}
		if err != nil {
			return nil, err
		}
		running[stub.ID] = f
	}
	return running, nil
}

// Release returns a release of a function that Nomad still knows as a version of its job.
func (c *Cluster) Release(ctx context.Context, function, id string) (release.Function, error) {
	versions, _, _, err := c.client.Jobs().Versions(function, false, query(ctx))
	if err != nil {
		return release.Function{}, fmt.Errorf("read the versions of job %q: %w", function, c.wrap(err))
	}
	for _, version := range versions { // latest first
		if releaseOf(version) == id {
			f, _, err := job.ReadMeta(function, version.Meta)
			return f, err
		}
	}
	return release.Function{}, fmt.Errorf("no version of job %q with release %s is left in Nomad", function, id)
}

// Deployment is what the job of a function is to run.
type Deployment struct {
	Artifact  string    // OCI reference with a digest
	Submitted time.Time // when this version of the job was registered
}

// Deployed returns what the registered job of function is to run, or nil if there is no such job.
func (c *Cluster) Deployed(ctx context.Context, function string) (*Deployment, error) {
	job, _, err := c.client.Jobs().Info(function, query(ctx))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read job %q: %w", function, c.wrap(err))
	}
	if name := artifactOf(job); name != "" {
		d := &Deployment{Artifact: name}
		if job.SubmitTime != nil {
			d.Submitted = time.Unix(0, *job.SubmitTime)
		}
		return d, nil
	}
	return nil, fmt.Errorf("job %q has no task of driver countersign", function)
}

// artifactOf returns the artifact that a job is to run, "" if it runs no function.
func artifactOf(job *api.Job) string {
	for _, group := range job.TaskGroups {
		for _, task := range group.Tasks {
			if name, ok := task.Config["artifact"].(string); ok && task.Driver == "countersign" {
				return name
			}
		}
	}
	return ""
}

// registered returns the job that is registered and its latest deployment, each nil if there is none.
func (c *Cluster) registered(ctx context.Context, function string) (*api.Job, *api.Deployment, error) {
	job, _, err := c.client.Jobs().Info(function, query(ctx))
	if isNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the registered job: %w", c.wrap(err))
	}
	latest, _, err := c.client.Jobs().LatestDeployment(function, query(ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("read the latest deployment: %w", c.wrap(err))
	}
	return job, latest, nil
}

func (c *Cluster) wrap(err error) error { return nomadError(c.client.Address(), err) }

func query(ctx context.Context) *api.QueryOptions { return (&api.QueryOptions{}).WithContext(ctx) }

func write(ctx context.Context) *api.WriteOptions { return (&api.WriteOptions{}).WithContext(ctx) }

func isNotFound(err error) bool {
	var response api.UnexpectedResponseError
	return errors.As(err, &response) && response.StatusCode() == 404
}
