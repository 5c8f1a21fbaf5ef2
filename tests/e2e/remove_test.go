//go:build integration

package e2e

import (
	"os"
	"strings"
	"testing"

	consul "github.com/hashicorp/consul/api"
)

// A function is taken away whole, and not while something that runs may call it.
func TestRemove(t *testing.T) {
	calls := func(function, spec string) string {
		if function != "hasher" {
			return spec
		}
		return strings.Replace(spec, "function \"hasher\" {", "function \"hasher\" {\n  calls = [\"chaos\"]", 1)
	}
	h.DeployEdited(t, calls, []string{"chaos", "hasher"})
	remove := func(t *testing.T, want int, args ...string) string {
		t.Helper()
		out, code := h.Command(t, "", append([]string{"remove", "-jobs-dir", h.Scratch + "/jobs"}, args...)...)
		if code != want {
			t.Fatalf("remove %v: exit code %d, want %d\n%s", args, code, want, out)
		}
		return out
	}
	if out := remove(t, 1, "chaos"); !strings.Contains(out, `function "chaos" is in the calls of hasher`) {
		t.Errorf("removing what hasher may call says\n%s", out)
	}
	if running(t, "chaos") == nil {
		t.Error("a refused removal stopped it")
	}
	if out := remove(t, 1, "chas"); !strings.Contains(out, `did you mean "chaos"?`) {
		t.Errorf("a wrong name says\n%s", out)
	}

	config := consul.DefaultConfig()
	config.Address = env.ConsulAddr
	c, err := consul.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	there := func(kind, name string) bool {
		_, _, err := c.ConfigEntries().Get(kind, name, nil)
		return err == nil
	}
	if !there(consul.ServiceIntentions, "chaos") || !there(consul.ServiceDefaults, "hasher") {
		t.Fatal("before, Consul lacks what is to be removed")
	}
	out := remove(t, 0, "hasher")
	if there(consul.ServiceIntentions, "chaos") || there(consul.ServiceDefaults, "hasher") || !there(consul.ServiceDefaults, "chaos") {
		t.Errorf("entries are left, or gone that should stay\n%s", out)
	}
	if _, err := os.Stat(h.JobFile("hasher")); err == nil {
		t.Error("the rendered job is left")
	}
	if job, _, err := nomadClient(t).Jobs().Info("hasher", nil); err == nil {
		t.Errorf("the job is left: %v", *job.Status)
	}
	if out, code := h.Command(t, "", "call", "hasher", "{}"); code == 0 {
		t.Errorf("it answers still: %s", out)
	}
	remove(t, 0, "chaos") // its caller is gone
	if there(consul.ServiceDefaults, "chaos") {
		t.Error("chaos' service-defaults are left")
	}

	// Somebody who means it can take away what is called, and what is there can be deployed again.
	h.DeployEdited(t, calls, []string{"chaos", "hasher"})
	remove(t, 0, "-force", "chaos")
	if there(consul.ServiceIntentions, "chaos") {
		t.Error("after -force the intention is left")
	}
	remove(t, 0, "hasher")
	h.Deploy(t, "chaos", "hasher")
}
