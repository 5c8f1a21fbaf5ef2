//go:build integration

package e2e

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	nomad "github.com/hashicorp/nomad/api"
)

func TestSecondDeployDoesNothing(t *testing.T) {
	deploy(t, examples()...)
	out := deploy(t, examples()...)
	if !strings.Contains(out, "Nothing to do") {
		t.Errorf("the second deploy says:\n%s\nwant that there is nothing to do", out)
	}
}

// TestUpdateIsWhatAnswers deploys a changed spec: when the deploy has ended, no call reaches the version before.
func TestUpdateIsWhatAnswers(t *testing.T) {
	deploy(t, "chaos")
	before := running(t, "chaos").ID
	h.DeployEdited(t, func(_, spec string) string { return strings.Replace(spec, `"2s"`, `"1s"`, 1) }, []string{"chaos"})
	allocs, _, err := nomadClient(t).Jobs().Allocations("chaos", false, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range allocs {
		if a.ID == before && a.ClientStatus != nomad.AllocClientStatusComplete {
			t.Errorf("the allocation of the version before is %s; want that it has ended", a.ClientStatus)
		}
	}
	if !answers(t) {
		t.Error("the new version does not answer")
	}
}

// TestDeployAwaitsWhatServes kills the host and deploys what Nomad and Consul still have as running and passing: at once,
// when they have noticed, and in between. When the deploy has ended, the first call is answered.
func TestDeployAwaitsWhatServes(t *testing.T) {
	deploy(t, "chaos")
	for _, later := range []time.Duration{0, 500 * time.Millisecond, 2500 * time.Millisecond} {
		kill(t, hosts(t))
		time.Sleep(later)
		out := deploy(t, "chaos")
		if !answers(t) {
			t.Errorf("%s after the host was killed, a deploy said that the function is healthy, and it did not answer:\n%s", later, out)
		}
	}
}

// TestScaleKeepsToTheSpec asks for more allocations than the spec of chaos permits, and for as many.
func TestScaleKeepsToTheSpec(t *testing.T) {
	deploy(t, "chaos")
	if out, code := run(t, "", filepath.Join(env.BinDir, "nomad"), "job", "scale", "chaos", "2"); code == 0 || !strings.Contains(out, "maximum") {
		t.Errorf("exit code %d; want a refusal of more than the spec permits\n%s", code, out)
	}
	if out, code := run(t, "", filepath.Join(env.BinDir, "nomad"), "job", "scale", "-detach", "chaos", "1"); code != 0 {
		t.Errorf("exit code %d\n%s", code, out)
	}
}
