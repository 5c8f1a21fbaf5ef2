package apply

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/pipeline/job"
	"countersign/pipeline/nomad"
	"countersign/pipeline/progress"
	"countersign/release"
)

// render reads what the record names, makes the job of it and writes it, unless only a plan is wanted.
func (r *Rollout) render(ctx context.Context, f *function) (progress.Outcome, error) {
	documents, attestation, err := r.Artifacts.Read(ctx, f.next)
	if err != nil {
		return progress.Outcome{}, err
	}
	if attestation == nil && !r.PlanOnly {
		return progress.Outcome{}, fmt.Errorf("%s was read without an attestation", f.next.Reference())
	}
	spec, err := specOf(f.name, f.next, documents)
	if err != nil {
		return progress.Outcome{}, err
	}
	if attestation != nil {
		f.next.Repository, f.next.Commit, f.next.Key = attestation.Repository, attestation.Commit, attestation.Key.String()
	}
	f.job, err = job.Render(&job.Job{Spec: spec, Environment: r.Environment, Release: f.next})
	if err != nil {
		return progress.Outcome{}, err
	}
	if r.PlanOnly {
		return progress.Nothing("not written: only a plan is wanted"), nil
	}
	file := job.File(r.JobsDir, f.name)
	changed, err := job.Write(file, f.job)
	if err != nil {
		return progress.Outcome{}, fmt.Errorf("job file %s: %w", file, err)
	}
	if !changed {
		return progress.Nothing("as it is in " + file), nil
	}
	return progress.Did("wrote " + file), nil
}

// Parse returns the spec and the interface that are in an artifact of a function.
func Parse(name string, documents *artifact.Documents) (*hclspec.Function, *artifact.Interface, error) {
	specs, diagnostics := hclspec.ParseFunctions(documents.Reference.String(), documents.Spec)
	if diagnostics.HasErrors() {
		return nil, nil, fmt.Errorf("the spec in %s: %w", documents.Reference, diagnostics)
	}
	i := slices.IndexFunc(specs, func(spec *hclspec.Function) bool { return spec.Name == name })
	if i < 0 {
		return nil, nil, &RecordError{Function: name, What: "its spec is about other functions"}
	}
	iface, err := artifact.ParseInterface(name, documents.Interface, specs[i].Calls)
	return specs[i], iface, err
}

// specOf returns the spec of an artifact. The error is a *RecordError if the artifact is not what its record says.
func specOf(name string, f release.Function, documents *artifact.Documents) (*hclspec.Function, error) {
	spec, iface, err := Parse(name, documents)
	if err != nil {
		return nil, err
	}
	callees := slices.Sorted(slices.Values(spec.Calls))
	refuse := func(what string) (*hclspec.Function, error) { return nil, &RecordError{Function: name, What: what} }
	switch {
	case documents.SpecDigest() != f.SpecDigest:
		return refuse("it has spec " + documents.SpecDigest() + ", not " + f.SpecDigest)
	case iface.Digest != f.InterfaceDigest:
		return refuse("it has interface " + iface.Digest + ", not " + f.InterfaceDigest)
	case !slices.Equal(callees, f.Callees):
		return refuse(fmt.Sprintf("its spec lets it call %q, not %q", callees, f.Callees))
	case !maps.Equal(iface.Calls, f.Calls):
		return refuse("it was built with other interfaces of its callees")
	}
	return spec, nil
}

func (r *Rollout) makePlan(ctx context.Context, f *function) (progress.Outcome, error) {
	var err error
	if f.plan, err = r.Cluster.Plan(ctx, f.name, f.job, f.canary != nil); err != nil {
		return progress.Outcome{}, err
	}
	if f.canary != nil {
		if err := r.checkCanaryPlan(ctx, f); err != nil {
			return progress.Outcome{}, err
		}
	}
	if f.plan.Action == nomad.ActionNone {
		return progress.Nothing(strings.TrimSuffix("no changes, "+f.plan.Summary, ", ")), nil
	}
	return progress.Did(strings.TrimSuffix(fmt.Sprintf("%s: %s", f.plan.Action, f.plan.Summary), ": ")), nil
}
