package nomad

import (
	"strings"
	"testing"

	"countersign"

	"github.com/hashicorp/nomad/api"
)

// digest is 64 times one hexadecimal digit.
func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

func ptr[T any](v T) *T { return &v }

// registeredJob is version 3 of a job.
func registeredJob(count int, stable bool) *api.Job {
	return &api.Job{
		Version: ptr(uint64(3)), CreateIndex: ptr(uint64(10)), Stable: &stable,
		TaskGroups: []*api.TaskGroup{{Count: &count}},
	}
}

func TestDecide(t *testing.T) {
	deployment := func(version uint64, status string) *api.Deployment {
		return &api.Deployment{JobVersion: version, JobCreateIndex: 10, Status: status}
	}
	running := func(group api.DeploymentState) *api.Deployment {
		d := deployment(3, "running")
		d.TaskGroups = map[string]*api.DeploymentState{"quote": &group}
		return d
	}
	for _, tc := range []struct {
		name       string
		diff       string
		registered *api.Job
		latest     *api.Deployment
		want       Action
	}{
		{"new", "Added", nil, nil, ActionCreate},
		{"purged in between", "None", nil, nil, ActionCreate},
		{"changed", "Edited", registeredJob(1, true), deployment(3, "successful"), ActionUpdate},
		{"changed while a deployment goes on", "Edited", registeredJob(1, false), deployment(3, "running"), ActionUpdate},
		{"runs", "None", registeredJob(1, true), deployment(3, "successful"), ActionNone},
		{"runs since long", "None", registeredJob(1, true), nil, ActionNone},
		{"interrupted: goes on", "None", registeredJob(1, false), deployment(3, "running"), ActionAwait},
		{"interrupted before its deployment was made", "None", registeredJob(1, false), nil, ActionAwait},
		{
			"only Nomad's last word is missing", "None", registeredJob(1, false),
			running(api.DeploymentState{DesiredTotal: 1, HealthyAllocs: 1}), ActionNone,
		},
		{
			"the canary is healthy and waits for its promotion", "None", registeredJob(1, false),
			running(api.DeploymentState{DesiredTotal: 1, HealthyAllocs: 1, DesiredCanaries: 1}), ActionAwait,
		},
		{"paused", "None", registeredJob(1, false), deployment(3, "paused"), ActionAwait},
		{"failed", "None", registeredJob(1, false), deployment(3, "failed"), ActionRetry},
		{"cancelled", "None", registeredJob(1, false), deployment(3, "cancelled"), ActionRetry},
		{"an older version failed", "None", registeredJob(1, true), deployment(2, "failed"), ActionNone},
		{"wants no allocation", "None", registeredJob(0, false), deployment(3, "failed"), ActionNone},
		{
			"the deployment is of an earlier job of that name", "None", registeredJob(1, true),
			&api.Deployment{JobVersion: 3, JobCreateIndex: 2, Status: "failed"}, ActionNone,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := decide(&api.JobDiff{Type: tc.diff}, tc.registered, tc.latest); got != tc.want {
				t.Errorf("decide = %s, want %s", got, tc.want)
			}
		})
	}
}

func TestKeepCount(t *testing.T) {
	job := func(count int, bounds string) *api.Job {
		return &api.Job{Meta: map[string]string{countersign.MetaScaling: bounds}, TaskGroups: []*api.TaskGroup{{Count: &count}}}
	}
	stopped := job(5, "1-8")
	stopped.Stop = ptr(true)
	for _, tc := range []struct {
		name       string
		registered *api.Job
		bounds     string // of the new job, which asks for the first
		want       int
	}{
		{"new job", nil, "2-8", 2},
		{"as the file said", job(2, "2-8"), "2-8", 2},
		{"scaled up", job(5, "2-8"), "2-8", 5},
		{"scaled up to many", job(9, "2-9"), "2-9", 9},
		{"scaled up beyond the new bounds", job(7, "2-8"), "2-4", 4},
		{"scaled up, but below the new bounds", job(3, "2-8"), "4-8", 4},
		{"scaled down", job(0, "2-8"), "2-8", 2},
		{"the file's count was raised", job(2, "2-8"), "3-8", 3},
		{"the file's count was lowered", job(3, "3-8"), "2-8", 2},
		{"stopped", stopped, "2-8", 2},
		{"not one of ours", job(5, ""), "2-8", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			least := int(tc.bounds[0] - '0')
			j := job(least, tc.bounds)
			one := 1
			j.TaskGroups[0].Update = &api.UpdateStrategy{MaxParallel: &one}
			remark := keepCount(j, tc.registered)
			if got, want := *j.TaskGroups[0].Update.MaxParallel, max(1, tc.want/4); got != want {
				t.Errorf("%d allocations are replaced at a time, want %d", got, want)
			}
			if got := *j.TaskGroups[0].Count; got != tc.want {
				t.Errorf("count = %d, want %d", got, tc.want)
			}
			if (remark != "") != (tc.want != least) {
				t.Errorf("remark %q does not go with count %d", remark, tc.want)
			}
		})
	}
}

func TestPlacementReasons(t *testing.T) {
	for _, tc := range []struct {
		name   string
		metric *api.AllocationMetric
		want   []string
	}{
		{"nothing known", nil, []string{"no reason"}},
		{"no node", &api.AllocationMetric{}, []string{"there is no node"}},
		{
			"filtered",
			&api.AllocationMetric{NodesEvaluated: 2, ConstraintFiltered: map[string]int{"missing drivers": 2}},
			[]string{"missing drivers", "2 nodes", "countersign driver"},
		},
		{
			"full",
			&api.AllocationMetric{NodesEvaluated: 3, DimensionExhausted: map[string]int{"memory": 1, "cpu": 2}},
			[]string{"not enough cpu on 2 nodes", "not enough memory on 1 node"},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := (&PlacementError{"quote", placementReasons(map[string]*api.AllocationMetric{"quote": tc.metric})}).Error()
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("%q does not tell %q", got, want)
				}
			}
		})
	}
}

func TestSummarize(t *testing.T) {
	diff := &api.JobDiff{
		Objects: []*api.ObjectDiff{{Name: "Meta", Fields: []*api.FieldDiff{
			{Name: countersign.MetaArtifact, Old: digest("a"), New: digest("b")},
			{Name: countersign.MetaCommit, New: strings.Repeat("c", 40)},
			{Name: countersign.MetaSpec, Old: "x", New: "y"},
		}}},
		TaskGroups: []*api.TaskGroupDiff{{Updates: map[string]uint64{"ignore": 1, "canary": 1}}},
	}
	want := "artifact sha256:aaaaaaaaaaaa -> sha256:bbbbbbbbbbbb, commit cccccccccccc, 1 canary"
	if got := summarize(diff); got != want {
		t.Errorf("summarize = %q, want %q", got, want)
	}
}

func TestUnhealthyTellsWhy(t *testing.T) {
	stub := func(id string, healthy bool, events ...*api.TaskEvent) *api.AllocationListStub {
		return &api.AllocationListStub{
			ID: id + "-0000-0000", NodeName: "node1", ClientStatus: "failed",
			DeploymentStatus: &api.AllocDeploymentStatus{Healthy: &healthy},
			TaskStates:       map[string]*api.TaskState{"quote": {Events: events}},
		}
	}
	running := stub("aaaaaaaa", true)
	running.ClientStatus = "running"
	err := &UnhealthyError{Function: "quote", Status: "Failed due to unhealthy allocations", Allocations: failing(
		[]*api.AllocationListStub{
			running,
			stub("bbbbbbbb", false,
				&api.TaskEvent{Type: "Driver Failure", Time: 2, DisplayMessage: "attestation refused: version_retired"},
				&api.TaskEvent{Type: "Received", Time: 1}),
		})}
	want := `function "quote" did not become healthy: Failed due to unhealthy allocations
  allocation bbbbbbbb on node1 is failed:
    Received
    Driver Failure: attestation refused: version_retired
  its log: nomad alloc logs -stderr bbbbbbbb`
	if err.Error() != want {
		t.Errorf("got:\n%s\nwant:\n%s", err, want)
	}
}

// TestChanges has what Nomad finds of a job with a scaling block that was not changed, and real changes beside it.
func TestChanges(t *testing.T) {
	scaling := &api.ObjectDiff{Type: "Edited", Name: "Scaling"}
	none := func() *api.JobDiff {
		return &api.JobDiff{Type: "Edited", TaskGroups: []*api.TaskGroupDiff{{Type: "Edited", Objects: []*api.ObjectDiff{scaling},
			Tasks: []*api.TaskDiff{{Type: "None"}}}}}
	}
	if changes(&api.JobDiff{Type: "None"}) || changes(none()) {
		t.Error("nothing changed")
	}
	field := []*api.FieldDiff{{Type: "Edited", Name: "max"}}
	for name, edit := range map[string]func(*api.JobDiff, *api.TaskGroupDiff){
		"the job":   func(j *api.JobDiff, _ *api.TaskGroupDiff) { j.Fields = field },
		"its meta":  func(j *api.JobDiff, _ *api.TaskGroupDiff) { j.Objects = []*api.ObjectDiff{{Name: "Meta"}} },
		"added":     func(j *api.JobDiff, _ *api.TaskGroupDiff) { j.Type = "Added" },
		"the count": func(_ *api.JobDiff, g *api.TaskGroupDiff) { g.Fields = field },
		"the bounds": func(_ *api.JobDiff, g *api.TaskGroupDiff) {
			g.Objects = []*api.ObjectDiff{{Type: "Edited", Name: "Scaling", Fields: field}}
		},
		"a first scaling": func(_ *api.JobDiff, g *api.TaskGroupDiff) {
			g.Objects = []*api.ObjectDiff{{Type: "Added", Name: "Scaling"}}
		},
		"the policy": func(_ *api.JobDiff, g *api.TaskGroupDiff) {
			g.Objects = []*api.ObjectDiff{{Type: "Edited", Name: "Scaling", Objects: []*api.ObjectDiff{scaling}}}
		},
		"something beside": func(_ *api.JobDiff, g *api.TaskGroupDiff) {
			g.Objects = append(g.Objects, &api.ObjectDiff{Type: "Edited", Name: "Service"})
		},
		"a task": func(_ *api.JobDiff, g *api.TaskGroupDiff) { g.Tasks[0].Type = "Edited" },
		"a group more": func(j *api.JobDiff, _ *api.TaskGroupDiff) {
			j.TaskGroups = append(j.TaskGroups, &api.TaskGroupDiff{Type: "Added"})
		},
	} {
		diff := none()
		edit(diff, diff.TaskGroups[0])
		if !changes(diff) {
			t.Errorf("%s: it counts as no change", name)
		}
	}
}
