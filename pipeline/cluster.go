package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"countersign"

	nomad "github.com/hashicorp/nomad/api"

	"countersign/hclspec"
	"countersign/release"
)

// Cluster is the Nomad cluster that runs the functions.
type Cluster struct {
	nomad *nomad.Client
}

// NewCluster returns the cluster that the environment names. What it leaves out comes from Nomad's usual variables:
// NOMAD_ADDR, NOMAD_TOKEN, NOMAD_CACERT and so on.
func NewCluster(env hclspec.Nomad) (*Cluster, error) {
	config := nomad.DefaultConfig()
	if env.Address != "" {
		config.Address = env.Address
	}
	if env.Region != "" {
		config.Region = env.Region
	}
	if env.Namespace != "" {
		config.Namespace = env.Namespace
	}
	client, err := nomad.NewClient(config)
	if err != nil {
		return nil, fmt.Errorf("make a Nomad client for %s: %w", config.Address, err)
	}
	return &Cluster{client}, nil
}

// Running returns the functions that the cluster runs now, by name, as far as their jobs tell: without Artifact and Key.
func (c *Cluster) Running(ctx context.Context) (map[string]release.Function, error) {
	list, _, err := c.nomad.Jobs().ListOptions(
		&nomad.JobListOptions{Fields: &nomad.JobListFields{Meta: true}}, query(ctx))
	if err != nil {
		return nil, fmt.Errorf("list the jobs: %w", c.wrap(err))
	}
	running := map[string]release.Function{}
	for _, job := range list {
		if job.Stop || job.Meta[countersign.MetaArtifact] == "" {
			continue
		}
		calls, err := parseCalls(job.Meta[countersign.MetaCalls])
		if err != nil {
			return nil, fmt.Errorf("meta %q of job %q: %w", countersign.MetaCalls, job.ID, err)
		}
		running[job.ID] = release.Function{
			ArtifactDigest:  job.Meta[countersign.MetaArtifact],
			Commit:          job.Meta[countersign.MetaCommit],
			SpecDigest:      job.Meta[countersign.MetaSpec],
			InterfaceDigest: job.Meta[countersign.MetaInterface],
			Repository:      job.Meta[countersign.MetaRepository],
			Calls:           calls,
			Callees:         callees(job.Meta),
		}
	}
	return running, nil
}

// callees reads countersign.MetaCallees. Jobs of earlier versions lack it, and name only the callees that their code knows.
func callees(meta map[string]string) []string {
	if list, ok := meta[countersign.MetaCallees]; ok {
		return strings.Fields(list)
	}
	calls, err := parseCalls(meta[countersign.MetaCalls])
	if err != nil {
		return nil
	}
	return slices.Sorted(maps.Keys(calls))
}

// Deployment is what the job of a function is to run.
type Deployment struct {
	Artifact  string    // OCI reference with a digest
	Submitted time.Time // when this version of the job was registered
}

// Deployed returns what the registered job of function is to run, or nil if there is no such job.
func (c *Cluster) Deployed(ctx context.Context, function string) (*Deployment, error) {
	job, _, err := c.nomad.Jobs().Info(function, query(ctx))
	if isNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read job %q: %w", function, c.wrap(err))
	}
	for _, group := range job.TaskGroups {
		for _, task := range group.Tasks {
			if name, ok := task.Config["artifact"].(string); ok && task.Driver == "countersign" {
				d := &Deployment{Artifact: name}
				if job.SubmitTime != nil {
					d.Submitted = time.Unix(0, *job.SubmitTime)
				}
				return d, nil
			}
		}
	}
	return nil, fmt.Errorf("job %q has no task of driver countersign", function)
}

// Plan is a job that Nomad parsed and compared with what is registered.
type Plan struct {
	Function string
	Action   Action
	Summary  string // what changes, for people
	job      *nomad.Job
	source   string
	index    uint64            // of the registered job; Run refuses if it moved
	latest   *nomad.Deployment // of the registered version of the job, or nil
	canary   bool              // the new allocations wait for their promotion
}

// Plan parses a rendered job on the server, so that the file is what runs, and asks the scheduler what it would do.
// The error is a *PlacementError if no node can take it. With canary, another release than the registered one would run
// beside it.
func (c *Cluster) Plan(ctx context.Context, function string, source []byte, canary bool) (*Plan, error) {
	job, err := c.nomad.Jobs().ParseHCLOpts(&nomad.JobsParseRequest{JobHCL: string(source), Canonicalize: true})
	if err != nil {
		return nil, fmt.Errorf("parse: %w", c.wrap(err))
	}
	if job.ID == nil || *job.ID != function {
		return nil, fmt.Errorf("the file holds another job than %q", function)
	}
	registered, latest, err := c.registered(ctx, function)
	if err != nil {
		return nil, err
	}
	p := &Plan{Function: function, job: job, source: string(source)}
	if latest != nil && isOf(latest, registered) {
		p.latest = latest
	}
	kept := keepCount(job, registered)
	if canary && registered != nil && releaseOf(registered) != releaseOf(job) {
		if !tellsRelease(registered) {
			return nil, errors.New("what runs does not tell its release in Consul, since an earlier version deployed it: " +
				"deploy once without -canary")
		}
		makeCanary(job)
		p.canary = true
	}
	answer, err := c.ask(ctx, job, registered)
	if err != nil {
		return nil, err
	}
	p.index = answer.JobModifyIndex
	p.Action = decide(answer.Diff, registered, latest)
	if p.Action != ActionNone && len(answer.FailedTGAllocs) > 0 {
		return nil, &PlacementError{function, placementReasons(answer.FailedTGAllocs)}
	}
	p.Summary = strings.Join(slices.DeleteFunc([]string{summarize(answer.Diff), kept}, func(s string) bool {
		return s == ""
	}), ", ")
	return p, nil
}

// ask asks the scheduler what registering job would do. Settings that a canary left in the registered job are no change.
func (c *Cluster) ask(ctx context.Context, job, registered *nomad.Job) (*nomad.JobPlanResponse, error) {
	asked := *job
	if len(job.TaskGroups) == 1 && job.TaskGroups[0].Update != nil {
		group, update := *job.TaskGroups[0], *job.TaskGroups[0].Update
		group.Update, asked.TaskGroups = &update, []*nomad.TaskGroup{&group}
	}
	kept := keepCanary(&asked, registered)
	answer, _, err := c.nomad.Jobs().PlanOpts(&asked, &nomad.PlanOptions{Diff: true}, write(ctx))
	if err == nil && kept && answer.Diff.Type != "None" {
		answer, _, err = c.nomad.Jobs().PlanOpts(job, &nomad.PlanOptions{Diff: true}, write(ctx))
	}
	if err != nil {
		return nil, fmt.Errorf("ask for a plan: %w", c.wrap(err))
	}
	return answer, nil
}

// registered returns the job that is registered and its latest deployment, each nil if there is none.
func (c *Cluster) registered(ctx context.Context, function string) (*nomad.Job, *nomad.Deployment, error) {
	job, _, err := c.nomad.Jobs().Info(function, query(ctx))
	if isNotFound(err) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the registered job: %w", c.wrap(err))
	}
	latest, _, err := c.nomad.Jobs().LatestDeployment(function, query(ctx))
	if err != nil {
		return nil, nil, fmt.Errorf("read the latest deployment: %w", c.wrap(err))
	}
	return job, latest, nil
}

// Started is a job that was handed to Nomad.
type Started struct {
	Function   string
	evaluation string // "" if none has to be awaited
	deployment string // "" if not known yet
	canary     bool   // healthy canaries are what is awaited
}

// Run registers a planned job. It does nothing for a job that is registered already, unless its deployment failed. The
// error is a *ConflictError if the job was changed since it was planned.
func (c *Cluster) Run(ctx context.Context, p *Plan) (*Started, error) {
	s := &Started{Function: p.Function}
	if p.Action == ActionNone || p.Action == ActionAwait {
		if p.latest != nil {
			s.deployment = p.latest.ID
		}
		return s, nil
	}
	options := &nomad.RegisterOptions{
		EnforceIndex: true,
		ModifyIndex:  p.index,
		Submission:   &nomad.JobSubmission{Source: p.source, Format: "hcl2"},
	}
	if p.Action == ActionRetry {
		// Nomad starts no second deployment of one version, and registering the same job makes no new version. Stopping
		// does. There is no older version to lose: to that, Nomad would have reverted the job.
		if _, _, err := c.nomad.Jobs().Deregister(p.Function, false, write(ctx)); err != nil {
			return nil, fmt.Errorf("stop the job whose deployment failed: %w", c.wrap(err))
		}
		options.EnforceIndex = false
	}
	answer, _, err := c.nomad.Jobs().RegisterOpts(p.job, options, write(ctx))
	if err != nil && strings.Contains(err.Error(), nomad.RegisterEnforceIndexErrPrefix) {
		return nil, &ConflictError{
			What:   fmt.Sprintf("job %q was changed after it was planned", p.Function),
			Advice: "run the deploy again to see the new plan",
		}
	}
	if err != nil {
		return nil, fmt.Errorf("register the job: %w", c.wrap(err))
	}
	s.evaluation = answer.EvalID
	return s, nil
}

func (c *Cluster) wrap(err error) error { return nomadError(c.nomad.Address(), err) }

func query(ctx context.Context) *nomad.QueryOptions { return (&nomad.QueryOptions{}).WithContext(ctx) }

func write(ctx context.Context) *nomad.WriteOptions { return (&nomad.WriteOptions{}).WithContext(ctx) }

func isNotFound(err error) bool {
	var response nomad.UnexpectedResponseError
	return errors.As(err, &response) && response.StatusCode() == 404
}
