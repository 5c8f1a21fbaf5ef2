//go:build integration

package nodes

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	consul "github.com/hashicorp/consul/api"
	nomad "github.com/hashicorp/nomad/api"
)

// TestConsulUIShowsTheTruth opens the pages of quote in the Consul UI while a canary of it is open and an operator has
// written a route to it. What has to be shown comes from Nomad, the spec and the command line, and not from Consul.
// COUNTERSIGN_SCREENSHOTS names a directory that keeps the pictures.
func TestConsulUIShowsTheTruth(t *testing.T) {
	deployed(t)
	c := canary{function: "quote", edit: func(spec string) string { return strings.Replace(spec, `"2s"`, `"1900ms"`, 1) }}
	defer c.restore(t) // with the abort that the operator's route keeps from ending
	c.open(t, "10%")
	defer routeToCanary(t)()

	filter := func(release string) string { return fmt.Sprintf("Service.Meta.release == %q", release) }
	type object = map[string]any
	expectations, err := json.Marshal(object{
		"function":  "quote",
		"instances": shownInstances(t, "quote"),
		"intentions": []object{
			{"source": "quote", "destination": "tax", "action": "allow"},
			{"source": "quote", "destination": "fx", "action": "allow"},
			{"source": "*", "destination": "*", "action": "deny"},
		},
		"topology": object{"upstreams": []string{"tax", "fx"}, "downstreams": []string{}},
		"routing": object{
			"routes": []object{
				{"match": `Prefix /; headers: x-canary exactly matching "1"`, "to": "resolver:canary.quote"},
				{"match": "Prefix /", "to": "splitter:quote"},
			},
			"splits":  object{"stable": 90, "canary": 10},
			"subsets": object{"stable": filter(c.stable), "canary": filter(c.release)},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	file, screenshots := filepath.Join(dir, "expect.json"), os.Getenv("COUNTERSIGN_SCREENSHOTS")
	if screenshots == "" {
		screenshots = filepath.Join(dir, "screenshots")
	}
	if err := os.WriteFile(file, expectations, 0o600); err != nil {
		t.Fatal(err)
	}
	checker := filepath.Join(dir, "consului")
	if out, err := exec.Command("go", "build", "-C", filepath.Join(h.Checkout, "tests/consului"), "-o", checker, ".").CombinedOutput(); err != nil {
		t.Fatalf("build the checker: %v\n%s", err, out)
	}
	out, code := h.Exec(t, "", checker, "-consul", env.ConsulAddr, "-expect", file, "-out", screenshots)
	t.Logf("exit code %d\n%s", code, out)
	if code != 0 || !strings.Contains(out, "ok    Routing: split canary=10%") {
		t.Error("the Consul UI does not show what there is")
	}
	if out, code := h.Command(t, "", "abort", "quote"); code != 1 || !strings.Contains(out, "a service-router, or another entry, leads") {
		t.Errorf("abort while the operator's route leads to the canary: exit code %d\n%s\nwant advice", code, out)
	}
}

// routeToCanary writes a service-router as an operator would, and returns what removes it again: that comes before the end
// of the canary, whose subset it names.
func routeToCanary(t *testing.T) (remove func()) {
	t.Helper()
	entries := consulClient(t).ConfigEntries()
	router := &consul.ServiceRouterConfigEntry{Kind: consul.ServiceRouter, Name: "quote", Routes: []consul.ServiceRoute{{
		Match: &consul.ServiceRouteMatch{HTTP: &consul.ServiceRouteHTTPMatch{
			Header: []consul.ServiceRouteHTTPMatchHeader{{Name: "x-canary", Exact: "1"}}}},
		Destination: &consul.ServiceRouteDestination{ServiceSubset: "canary"},
	}}}
	if _, _, err := entries.Set(router, nil); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := entries.Delete(consul.ServiceRouter, "quote", nil); err != nil {
			t.Error(err)
		}
	}
}

// shownInstances is what the UI has to show of the instances of a function, as Nomad runs them.
func shownInstances(t *testing.T, function string) []map[string]any {
	t.Helper()
	allocations, _, err := nomadClient(t).Jobs().Allocations(function, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []map[string]any
	for _, stub := range allocations {
		if stub.ClientStatus != nomad.AllocClientStatusRunning || stub.DesiredStatus != nomad.AllocDesiredStatusRun {
			continue
		}
		allocation, _, err := nomadClient(t).Allocations().Info(stub.ID, nil)
		if err != nil {
			t.Fatal(err)
		}
		reference := fmt.Sprint(allocation.GetTaskGroup().Tasks[0].Config["artifact"])
		_, digest, _ := strings.Cut(reference, "@")
		release := strings.TrimPrefix(digest, "sha256:")[:12]
		list = append(list, map[string]any{"node": allocation.NodeName, "artifact": digest, "release": release,
			"tags": []string{"countersign", "ingress"}})
	}
	return list
}
