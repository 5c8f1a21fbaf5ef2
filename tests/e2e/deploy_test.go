//go:build integration

package e2e

import (
	"strings"
	"testing"

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
