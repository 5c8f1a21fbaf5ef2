package nomad

import (
	"testing"

	"github.com/hashicorp/nomad/api"
)

func jobWithUpdate(count, canary int, autoPromote bool) *api.Job {
	return &api.Job{TaskGroups: []*api.TaskGroup{{
		Count: &count, Update: &api.UpdateStrategy{Canary: &canary, AutoPromote: &autoPromote},
	}}}
}

func TestMakeCanary(t *testing.T) {
	job := jobWithUpdate(3, 1, true)
	makeCanary(job)
	if u := job.TaskGroups[0].Update; *u.Canary != 3 || *u.AutoPromote {
		t.Errorf("canary = %d, auto_promote = %t; want as many as run, and no promotion by itself", *u.Canary, *u.AutoPromote)
	}
}

func TestKeepCanary(t *testing.T) {
	for _, tc := range []struct {
		name       string
		registered *api.Job
		kept       bool
	}{
		{"new job", nil, false},
		{"as rendered", jobWithUpdate(3, 1, true), false},
		{"a canary that was promoted", jobWithUpdate(3, 3, false), true},
		{"without update block", &api.Job{TaskGroups: []*api.TaskGroup{{}}}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			job := jobWithUpdate(3, 1, true)
			if kept := keepCanary(job, tc.registered); kept != tc.kept {
				t.Fatalf("keepCanary = %t, want %t", kept, tc.kept)
			}
			if u := job.TaskGroups[0].Update; (*u.Canary == 3 && !*u.AutoPromote) != tc.kept {
				t.Errorf("canary = %d, auto_promote = %t", *u.Canary, *u.AutoPromote)
			}
		})
	}
}

func TestCanariesOfDeployment(t *testing.T) {
	state := func(status string, placed, healthy int, promoted bool) *api.Deployment {
		return &api.Deployment{Status: status, TaskGroups: map[string]*api.DeploymentState{"quote": {
			DesiredCanaries: 2, PlacedCanaries: make([]string, placed), HealthyAllocs: healthy, Promoted: promoted,
		}}}
	}
	for _, tc := range []struct {
		name             string
		d                *api.Deployment
		waiting, healthy bool
	}{
		{"placed", state("running", 2, 1, false), true, false},
		{"being replaced", state("running", 1, 2, false), true, false},
		{"healthy", state("running", 2, 2, false), true, true},
		{"paused", state("paused", 2, 2, false), true, true},
		{"promoted", state("running", 2, 2, true), false, true},
		{"failed", state("failed", 2, 1, false), false, false},
	} {
		if waits := isCanarying(tc.d); waits != tc.waiting {
			t.Errorf("%s: waits for its promotion: %t, want %t", tc.name, waits, tc.waiting)
		}
		if healthy := canariesHealthy(tc.d); healthy != tc.healthy {
			t.Errorf("%s: canaries healthy: %t, want %t", tc.name, healthy, tc.healthy)
		}
	}
}
