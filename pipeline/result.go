package pipeline

import (
	"slices"

	"countersign/pipeline/apply"
	"countersign/pipeline/job"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/pipeline/publish"
	"countersign/pipeline/routes"
)

// Result is what a deploy did. It is useful, though incomplete, after an error, too.
type Result struct {
	Environment string            `json:"environment"`
	PlanOnly    bool              `json:"plan_only"`
	Deployer    string            `json:"deployer,omitempty"` // name of the Vault entity or token that deploys
	Release     int               `json:"release,omitempty"`  // number of the record that was made; 0: none, since nothing changed
	Functions   []FunctionResult  `json:"functions"`
	Left        []LeftResult      `json:"left_behind,omitempty"`
	Unpinned    []string          `json:"unpinned,omitempty"`  // functions that run and that repos.bzl does not name any more
	Refreshed   []Refreshed       `json:"refreshed,omitempty"` // what was signed again beside the functions above, or could not be
	Routing     []string          `json:"routing,omitempty"`   // what changed in Consul, for people
	Steps       []progress.Timing `json:"steps"`
	MS          float64           `json:"ms"` // altogether
}

// LeftResult is a function that was not deployed while others were.
type LeftResult struct {
	Function string `json:"function"`
	Reason   string `json:"reason"` // for people; may have several lines
	Runs     bool   `json:"runs"`   // in the version that ran before
}

// FunctionResult is what a deploy did about one function.
type FunctionResult struct {
	Name        string       `json:"name"`
	Action      nomad.Action `json:"action"` // "" if it did not come to a plan
	Artifact    string       `json:"artifact"`
	Interface   string       `json:"interface_digest"`
	Repository  string       `json:"repository"`             // as attested
	Commit      string       `json:"commit"`                 // as attested
	Key         string       `json:"key"`                    // key and version of the attestation
	Signed      bool         `json:"signed"`                 // by this deploy
	SignedAgain bool         `json:"signed_again,omitempty"` // under a later version of the key; an earlier one still counts
	Published   bool         `json:"published"`              // by this deploy
	Job         string       `json:"job"`                    // file
	Changes     string       `json:"changes,omitempty"`
	Allocations int          `json:"healthy_allocations,omitempty"`

	Canary *routes.Canary `json:"canary,omitempty"` // if it runs beside another release
}

// Changed tells whether anything was different from what was there.
func (r *Result) Changed() bool {
	return r.Release > 0 || len(r.Routing) > 0 || count(r.Refreshed, RefreshAdded) > 0 || slices.ContainsFunc(r.Functions, func(f FunctionResult) bool {
		return f.Signed || f.Published || f.Action != nomad.ActionNone
	})
}

// resultOf is what a deploy did about a function of its publication. rollout is nil if it did not come to that.
func resultOf(f *publish.Function, rollout *apply.Rollout, jobsDir string) FunctionResult {
	r := FunctionResult{Name: f.Name, Job: job.File(jobsDir, f.Name), Signed: f.Signed, SignedAgain: f.SignedAgain,
		Published: f.Published}
	if f.Interface != nil {
		r.Interface = f.Interface.Digest
	}
	if f.Artifact.Digest != "" {
		r.Artifact = f.Artifact.String()
	}
	if a := f.Attestation; a != nil {
		r.Repository, r.Commit, r.Key = a.Repository, a.Commit, a.Key.String()
	}
	if rollout != nil {
		done := rollout.Result(f.Name)
		r.Action, r.Changes, r.Allocations, r.Canary = done.Action, done.Changes, done.Allocations, done.Canary
	}
	return r
}
