//go:build integration

package nomad

import (
	"errors"
	"strings"
	"testing"
	"time"

	"countersign/hclspec"
	"countersign/pipeline/job"
	"countersign/pipeline/load/loadtest"
	"countersign/release"
)

func testJob() *job.Job {
	return &job.Job{
		Spec: &hclspec.Function{
			Description: "Price of a basket, taxes included", Runtime: hclspec.RuntimeWasm,
			Calls:     []string{"tax", "fx"},
			Resources: hclspec.Resources{CPU: 200, Memory: 64 << 20, Concurrency: 16},
			Scaling:   hclspec.Scaling{Min: 1, Max: 8, TargetConcurrency: 8},
			Call:      hclspec.Call{Timeout: 2 * time.Second},
		},
		Release: release.Function{
			Artifact: "registry.example:5000/functions/quote", ArtifactDigest: digest("a"),
			SpecDigest: digest("b"), InterfaceDigest: digest("c"),
			Calls:      map[string]string{"tax": digest("d"), "fx": digest("e")},
			Repository: "https://git.example/teams/quote.git", Commit: strings.Repeat("0123456789", 4),
		},
	}
}

// TestNomadTakesRenderedJobs plans jobs on a cluster without the driver: Nomad parses and validates all of the file,
// and says that no node can run it.
func TestNomadTakesRenderedJobs(t *testing.T) {
	env := loadtest.Environment(t)
	cluster, err := New(env.Nomad)
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*job.Job){
		"plain":   func(*job.Job) {},
		"hostile": func(j *job.Job) { j.Release.Repository = "https://git.example/\"}\n${env.SECRET}%{ if true }" },
	} {
		t.Run(name, func(t *testing.T) {
			j := testJob()
			j.Environment, j.Spec.Name = env, loadtest.FreshName("plan")
			change(j)
			source, err := job.Render(j)
			if err != nil {
				t.Fatal(err)
			}
			_, err = cluster.Plan(t.Context(), j.Spec.Name, source, false)
			var placement *PlacementError
			if !errors.As(err, &placement) || !strings.Contains(err.Error(), "countersign driver") {
				t.Errorf("plan: %v; want that no node has the driver", err)
			}
			if d, err := cluster.Deployed(t.Context(), j.Spec.Name); d != nil || err != nil {
				t.Errorf("planning registered %+v, %v", d, err)
			}
			if _, err := cluster.Plan(t.Context(), "another", source, false); err == nil {
				t.Error("a file with another job was taken")
			}
		})
	}
}
