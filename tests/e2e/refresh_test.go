//go:build integration

package e2e

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"countersign/artifact"
	"countersign/pipeline"
	"countersign/vaultsign/attest"
)

// keyUse is what `countersign keys` tells of a function.
func keyUse(t *testing.T, function string) pipeline.KeyUse {
	t.Helper()
	out, _ := command(t, "", "keys", function, "-json")
	var uses []pipeline.KeyUse
	if err := json.Unmarshal([]byte(out), &uses); err != nil || len(uses) != 1 {
		t.Fatalf("%v: %s", err, out)
	}
	return uses[0]
}

// refresh runs `countersign keys refresh` and returns what it says of each artifact.
func refresh(t *testing.T, wantCode int, args ...string) []pipeline.Refreshed {
	t.Helper()
	cmd := append([]string{"keys", "refresh", "-json"}, args...)
	c := exec.CommandContext(t.Context(), h.CLI, cmd...)
	var progress strings.Builder
	c.Env, c.Stderr = h.Environ(), &progress
	out, err := c.Output()
	var r pipeline.RefreshResult
	if code := c.ProcessState.ExitCode(); code != wantCode || json.Unmarshal(out, &r) != nil {
		t.Errorf("countersign %v: %v, exit code %d; want %d\n%s\n%s", cmd, err, code, wantCode, progress.String(), out)
	}
	return r.Artifacts
}

// added are the releases that were signed again.
func added(list []pipeline.Refreshed) (names []string) {
	for _, r := range list {
		if r.State == pipeline.RefreshAdded {
			names = append(names, r.Release)
		}
	}
	return names
}

// carried counts the attestations of an artifact that name a key version.
func carried(t *testing.T, name string, version int) (n int) {
	t.Helper()
	ref, err := artifact.ParseReference(name)
	if err != nil {
		t.Fatal(err)
	}
	store, err := artifact.Open(ref, true)
	if err != nil {
		t.Fatal(err)
	}
	bundles, err := artifact.Bundles(t.Context(), store, ref)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range bundles {
		if id, err := attest.NamedKey(b); err == nil && id.Version == version {
			n++
		}
	}
	return n
}

// twoReleases deploys chaos in two releases, the second of which runs, and returns their names and artifacts.
func twoReleases(t *testing.T, timeout string) (before, now pipeline.ReleaseUse) {
	t.Helper()
	h.DeployEdited(t, func(_, spec string) string { return strings.Replace(spec, `"2s"`, `"`+timeout+`"`, 1) }, []string{"chaos"})
	deploy(t, "chaos")
	list := keyUse(t, "chaos").Releases
	if len(list) < 2 || !list[0].Runs() || list[1].Runs() || len(list[1].Recorded) == 0 || len(list[0].Recorded) == 0 {
		t.Fatalf("keys tells of %+v; want what runs, and the release before", list)
	}
	return list[1], list[0]
}

// TestRefresh rotates under load, signs again by command, twice at once, and retires: what runs and the release before are
// attested by the latest version, once. No call fails, nothing is restarted, and the function starts again on the node.
func TestRefresh(t *testing.T) {
	before, now := twoReleases(t, "1700ms")
	allocation, host := running(t, "chaos"), hosts(t)
	stop := loadChaos(t)
	latest := rotate(t, "chaos")
	use := keyUse(t, "chaos")
	old := slices.IndexFunc(use.Versions, func(v pipeline.KeyVersion) bool { return v.Version == latest-1 })
	if old < 0 || !slices.Contains(use.Versions[old].NeededBy, now.Release) || !slices.Contains(use.Versions[old].NeededBy, before.Release) ||
		use.Versions[old].Created.IsZero() || len(use.Versions[len(use.Versions)-1].Attests) != 0 {
		t.Errorf("the key's versions are %+v; want that %s and %s need version %d", use.Versions, before.Release, now.Release, latest-1)
	}
	keysSay(t, 1, "countersign keys refresh chaos", "chaos", "-min", fmt.Sprint(latest))
	if got := added(refresh(t, 0, "chaos", "-dry-run")); !slices.Contains(got, now.Release) || carried(t, now.Artifact, latest) > 0 {
		t.Errorf("a dry run would sign %v again", got)
	}
	var both sync.WaitGroup
	signed := make([][]string, 2)
	for i := range signed {
		both.Go(func() { signed[i] = added(refresh(t, 0, "chaos", "-wait", "1m")) })
	}
	both.Wait()
	all := slices.Concat(signed...)
	for _, r := range []pipeline.ReleaseUse{before, now} {
		if n := carried(t, r.Artifact, latest); n != 1 || !slices.Contains(all, r.Release) {
			t.Errorf("release %s carries %d attestations of version %d; signed again were %v", r.Release, n, latest, signed)
		}
	}
	lookAtKeys(t, "chaos", fmt.Sprintf("Attested by key version %d, the latest", latest))
	keysSay(t, 0, "min_decryption_version="+fmt.Sprint(latest), "chaos", "-min", fmt.Sprint(latest))
	retireBelow(t, "chaos", latest)
	undisturbed(t, allocation, host)
	if calls, failed := stop(); calls < 10 || len(failed) > 0 {
		t.Errorf("%d of %d calls failed:\n%s", len(failed), calls, strings.Join(failed, "\n"))
	}
	kill(t, hosts(t))
	eventually(t, "the function answers from a new host", func() bool { return answers(t) })
	if told := events(running(t, "chaos")); !strings.Contains(told, fmt.Sprintf("chaos:v%d", latest)) {
		t.Errorf("it was started with another attestation than that of version %d:\n%s", latest, told)
	}
}

// TestDeployRefreshes rotates the key of one function and deploys another: the first is signed again, too, and the new release
// has the public key of the version that attests it.
func TestDeployRefreshes(t *testing.T) {
	before, now := twoReleases(t, "1600ms")
	version := rotate(t, "chaos")
	if out := deploy(t, "tax"); !strings.Contains(out, "signed again") {
		t.Errorf("the deploy of another function does not say what it signed again:\n%s", out)
	}
	for _, r := range []pipeline.ReleaseUse{before, now} {
		if n := carried(t, r.Artifact, version); n != 1 {
			t.Errorf("release %s carries %d attestations of version %d", r.Release, n, version)
		}
	}
	number, _ := latest(t)
	out, _ := command(t, "", "release", "show", fmt.Sprint(number), "-json")
	if !strings.Contains(out, fmt.Sprintf(`/chaos:v%d":`, version)) {
		t.Errorf("the public key of version %d is not in the record:\n%s", version, out)
	}
	if out := deploy(t, "tax"); !strings.Contains(out, "Nothing to do") {
		t.Errorf("another deploy finds something to do:\n%s", out)
	}
}

// TestResignFromTheArchive retires a version before anything was signed again: that is refused, and done with -resign, with the
// public key that the release record has. Then it starts again.
func TestResignFromTheArchive(t *testing.T) {
	before, now := twoReleases(t, "1500ms")
	latest := rotate(t, "chaos")
	retireBelow(t, "chaos", latest)
	keysSay(t, 1, "keys refresh -resign chaos", "chaos")
	for _, r := range refresh(t, 3, "chaos") {
		if (r.Release == now.Release || r.Release == before.Release) && r.State != pipeline.RefreshRetired {
			t.Errorf("%+v; want that it is left alone", r)
		}
	}
	if n := carried(t, now.Artifact, latest); n != 0 {
		t.Errorf("without -resign, %d attestations were made", n)
	}
	for _, r := range refresh(t, 0, "chaos", "-resign") {
		if (r.Release == now.Release || r.Release == before.Release) && (r.State != pipeline.RefreshAdded || !r.Archived) {
			t.Errorf("%+v; want that it is signed again from the archive", r)
		}
	}
	keysSay(t, 0, "ok", "chaos")
	kill(t, hosts(t))
	eventually(t, "the function answers from a new host", func() bool { return answers(t) })
}
