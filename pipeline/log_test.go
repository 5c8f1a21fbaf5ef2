package pipeline

import (
	"testing"
	"time"

	"countersign/pipeline/job"
	"countersign/pipeline/nomad"
	"countersign/release"
)

// TestLogEntries has a job that was deployed twice, scaled, reverted, stopped and started, as Nomad keeps it.
func TestLogEntries(t *testing.T) {
	one := release.Function{ArtifactDigest: "sha256:" + "1111111111111111", Commit: "c1", Repository: "r"}
	two := release.Function{ArtifactDigest: "sha256:" + "2222222222222222", Commit: "c2", Repository: "r"}
	alice := &job.Deployer{Name: "alice", EntityID: "e1", DisplayName: "oidc-alice", From: "alice@laptop"}
	at := func(minute int) time.Time { return time.Unix(int64(60*minute), 0) }
	version := func(n uint64, f release.Function, by *job.Deployer, count int, stopped bool) nomad.Version {
		return nomad.Version{Function: "quote", Number: n, Registered: at(int(n)), Artifact: "reg/quote@" + f.ArtifactDigest, Release: f,
			Deployer: by, Count: count, Stopped: stopped}
	}
	versions := []nomad.Version{
		version(7, one, nil, 2, false), // nomad job run
		version(6, one, nil, 2, true),  // nomad job stop
		version(5, one, nil, 2, false), // nomad job revert
		version(4, two, alice, 2, false),
		version(3, one, alice, 2, false), // another job of the same release
		version(2, one, nil, 2, false),   // nomad job scale
		version(1, one, alice, 1, false),
		version(0, two, nil, 1, false), // by hand
	}
	want := []struct {
		action LogAction
		by     string
		old    string
	}{
		{LogStarted, "", ""}, {LogStopped, "", ""}, {LogWentBack, "", two.ID()}, {LogDeployed, "alice", one.ID()}, {LogUpdated, "alice", ""},
		{LogScaled, "", ""}, {LogDeployed, "alice", two.ID()}, {LogStarted, "", ""},
	}
	for i, e := range entries(versions) {
		by := ""
		if e.Deployed != nil {
			by = e.Deployed.By
		}
		if e.Action != want[i].action || by != want[i].by || e.OldRelease != want[i].old || !e.Time.Equal(versions[i].Registered) {
			t.Errorf("version %d is told as %q by %q, from release %q; want %+v", e.JobVersion, e.Action, by, e.OldRelease, want[i])
		}
	}
	if e := entries(versions[:3])[2]; e.Action != LogRegistered {
		t.Errorf("the oldest version that is kept is told as %q", e.Action)
	}
}

// TestRunningReleases has two versions of one release, another that a canary is compared to, and one that ended.
func TestRunningReleases(t *testing.T) {
	v := func(n uint64, artifact string, current bool, count, allocations int) nomad.Version {
		return nomad.Version{Number: n, Artifact: artifact, Current: current, Count: count, Allocations: allocations}
	}
	got := runningReleases([]nomad.Version{v(5, "b", true, 2, 1), v(4, "a", false, 2, 2), v(3, "b", false, 1, 1), v(2, "c", false, 1, 0)})
	if len(got) != 2 || got[0].Artifact != "b" || got[0].Allocations != 2 || len(got[0].JobVersions) != 2 || got[1].Artifact != "a" {
		t.Errorf("what runs is %+v", got)
	}
	// A job whose allocations can't start has none that run, and is the one to tell of.
	if got := runningReleases([]nomad.Version{v(5, "b", true, 1, 0)}); len(got) != 1 {
		t.Errorf("of a job that can't start: %+v", got)
	}
	if got := runningReleases([]nomad.Version{{Number: 5, Artifact: "b", Current: true, Count: 1, Stopped: true}}); got != nil {
		t.Errorf("of a stopped job: %+v", got)
	}
}
