package nomad

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"countersign"

	"github.com/hashicorp/nomad/api"

	"countersign/pipeline/job"
)

// Action is what running a planned job takes.
type Action string

// The actions.
const (
	ActionNone   Action = "unchanged" // exactly this runs
	ActionCreate Action = "create"    // the job is new
	ActionUpdate Action = "update"    // another version of the job is registered
	ActionAwait  Action = "await"     // the job is registered; its deployment goes on
	ActionRetry  Action = "retry"     // the job is registered, but its deployment failed
)

// decide tells what to do about a job, from the difference that Nomad found between it and the registered one. The
// registered job and its latest deployment are nil if there are none.
func decide(diff *api.JobDiff, registered *api.Job, latest *api.Deployment) Action {
	switch {
	case registered == nil || diff.Type == "Added":
		return ActionCreate
	case changes(diff):
		return ActionUpdate
	case wantsNothing(registered):
		return ActionNone
	case latest == nil || !isOf(latest, registered):
		// Nomad forgets old deployments, but keeps that one ended well.
		if registered.Stable != nil && *registered.Stable {
			return ActionNone
		}
		return ActionAwait
	}
	switch latest.Status {
	case api.DeploymentStatusSuccessful:
		return ActionNone
	case api.DeploymentStatusFailed, api.DeploymentStatusCancelled:
		return ActionRetry
	}
	if latest.Status == api.DeploymentStatusRunning && allHealthy(latest) {
		return ActionNone
	}
	return ActionAwait
}

// changes tells whether a difference is one. For a group that has a scaling block, Nomad 1.10 always finds an edited one
// without an edited field.
func changes(diff *api.JobDiff) bool {
	if diff.Type != "Edited" || len(diff.Fields) > 0 || len(diff.Objects) > 0 {
		return diff.Type != "None"
	}
	explained := false
	for _, group := range diff.TaskGroups {
		if group.Type == "None" {
			continue
		}
		explained = len(group.Objects) > 0
		if group.Type != "Edited" || len(group.Fields) > 0 || slices.ContainsFunc(group.Objects, isEdit) ||
			slices.ContainsFunc(group.Tasks, func(t *api.TaskDiff) bool { return t.Type != "None" }) {
			return true
		}
	}
	return !explained
}

func isEdit(o *api.ObjectDiff) bool {
	return o.Name != "Scaling" || o.Type != "Edited" || len(o.Fields) > 0 || len(o.Objects) > 0
}

// isOf tells whether d deploys the version of job that is registered.
func isOf(d *api.Deployment, job *api.Job) bool {
	return job.Version != nil && d.JobVersion == *job.Version &&
		job.CreateIndex != nil && d.JobCreateIndex == *job.CreateIndex
}

// wantsNothing tells whether job is to have no allocation at all.
func wantsNothing(job *api.Job) bool {
	for _, group := range job.TaskGroups {
		if group.Count == nil || *group.Count > 0 {
			return false
		}
	}
	return true
}

// keepCount keeps the number of allocations that somebody scaled the registered job to, within the bounds of the new
// job: deploying is not scaling. It changes planned and returns a remark, or "" if the count is that of the file.
func keepCount(planned, registered *api.Job) string {
	if registered == nil || (registered.Stop != nil && *registered.Stop) ||
		len(planned.TaskGroups) != 1 || len(registered.TaskGroups) != 1 {
		return ""
	}
	least, most, ok := job.ReadScaling(planned.Meta)
	oldLeast, _, oldOK := job.ReadScaling(registered.Meta)
	have := registered.TaskGroups[0].Count
	if !ok || !oldOK || have == nil || *have == oldLeast {
		return ""
	}
	count := min(max(*have, least), most)
	if count == least {
		return ""
	}
	planned.TaskGroups[0].Count = &count
	if update := planned.TaskGroups[0].Update; update != nil {
		parallel := job.MaxParallel(count)
		update.MaxParallel = &parallel
	}
	return fmt.Sprintf("scaled to %d", count)
}

// placementReasons puts into words why Nomad's scheduler found no node.
func placementReasons(failed map[string]*api.AllocationMetric) []string {
	var reasons []string
	for _, group := range slices.Sorted(maps.Keys(failed)) {
		m := failed[group]
		if m == nil {
			continue
		}
		if m.NodesEvaluated == 0 {
			reasons = append(reasons, "there is no node in the job's datacenters and node pool")
		}
		for _, constraint := range slices.Sorted(maps.Keys(m.ConstraintFiltered)) {
			hint := ""
			if strings.Contains(constraint, "missing drivers") {
				hint = " (the node has no healthy countersign driver)"
			}
			reasons = append(reasons, fmt.Sprintf("constraint %q rules out %s%s", constraint,
				nodes(m.ConstraintFiltered[constraint]), hint))
		}
		for _, dimension := range slices.Sorted(maps.Keys(m.DimensionExhausted)) {
			reasons = append(reasons, fmt.Sprintf("not enough %s on %s", dimension,
				nodes(m.DimensionExhausted[dimension])))
		}
		for _, quota := range m.QuotaExhausted {
			reasons = append(reasons, "quota used up: "+quota)
		}
	}
	if len(reasons) == 0 {
		reasons = []string{"Nomad gives no reason"}
	}
	return reasons
}

func nodes(n int) string {
	if n == 1 {
		return "1 node"
	}
	return fmt.Sprintf("%d nodes", n)
}

// summarize puts the differences of a job that people care about into a few words.
func summarize(diff *api.JobDiff) string {
	var parts []string
	for _, object := range diff.Objects {
		if object.Name != "Meta" {
			continue
		}
		for _, field := range object.Fields {
			switch field.Name {
			case countersign.MetaArtifact:
				parts = append(parts, change("artifact", field))
			case countersign.MetaCommit:
				parts = append(parts, change("commit", field))
			}
		}
	}
	for _, group := range diff.TaskGroups {
		updates := make([]string, 0, len(group.Updates))
		for kind, n := range group.Updates {
			if kind != "ignore" {
				updates = append(updates, fmt.Sprintf("%d %s", n, kind))
			}
		}
		slices.Sort(updates)
		parts = append(parts, updates...)
	}
	return strings.Join(parts, ", ")
}

func change(what string, field *api.FieldDiff) string {
	if field.Old == "" {
		return what + " " + countersign.Short(field.New)
	}
	return fmt.Sprintf("%s %s -> %s", what, countersign.Short(field.Old), countersign.Short(field.New))
}
