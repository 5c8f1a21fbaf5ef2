//go:build integration

package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	consul "github.com/hashicorp/consul/api"
)

// consulClient returns a client of the cluster's Consul.
func consulClient(t *testing.T) *consul.Client {
	t.Helper()
	config := consul.DefaultConfig()
	config.Address = env.ConsulAddr
	c, err := consul.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// releases returns the releases of a function's healthy instances, as Consul has them.
func releases(t *testing.T, function string) []string {
	t.Helper()
	entries, _, err := consulClient(t).Health().Service(function, "", true, nil)
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, e := range entries {
		if e.Service.Connect == nil || !e.Service.Connect.Native || len(e.Service.Meta["allocation"]) != 36 {
			t.Errorf("instance %+v; want it to be Connect native and to tell its allocation", e.Service)
		}
		list = append(list, e.Service.Meta["release"])
	}
	slices.Sort(list)
	return list
}

// split returns how Consul splits the calls of a function: weight and subset, and the release of each subset.
func split(t *testing.T, function string) string {
	t.Helper()
	chain, _, err := consulClient(t).DiscoveryChain().Get(function, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	node := chain.Chain.Nodes["splitter:"+function+".default.default"]
	if node == nil {
		if len(chain.Chain.Targets) != 1 {
			t.Errorf("there is no splitter, and %d targets", len(chain.Chain.Targets))
		}
		return ""
	}
	var parts []string
	for _, s := range node.Splits {
		target := chain.Chain.Targets[chain.Chain.Nodes[s.NextNode].Resolver.Target]
		parts = append(parts, fmt.Sprintf("%v %s %s", s.Weight, target.ServiceSubset,
			strings.TrimPrefix(target.Subset.Filter, "Service.Meta.release == ")))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

// keepCalling calls chaos until the returned function is called, which tells how many calls there were and what those
// that failed printed.
func keepCalling(t *testing.T) (stop func() (calls int, failed []string)) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var calls int
	var failed []string
	wg.Add(1)
	go func() {
		defer wg.Done()
		for ctx.Err() == nil {
			calls++
			if out, code := call(t, "chaos", `{"do":"behave"}`); code != 0 {
				failed = append(failed, out)
			}
		}
	}()
	return func() (int, []string) {
		cancel()
		wg.Wait()
		return calls, failed
	}
}

// TestCanary takes a changed function through a canary that is aborted and one that is promoted, while it is called all
// the time.
func TestCanary(t *testing.T) {
	deploy(t, "chaos")
	jobs := filepath.Dir(h.JobFile("chaos"))
	must := func(args ...string) string {
		t.Helper()
		out, code := command(t, "", args...)
		if code != 0 {
			t.Fatalf("%v: exit code %d\n%s", args, code, out)
		}
		return out
	}
	changed := h.Manifest(t, func(_, spec string) string { return strings.Replace(spec, `"2s"`, `"1500ms"`, 1) }, "chaos")
	original := h.Manifest(t, nil, "chaos")
	withCanary := func(share string) []string {
		return []string{"deploy", "-manifest", changed, "-jobs-dir", jobs, "--canary", share}
	}
	before := releases(t, "chaos")
	if len(before) != 1 {
		t.Fatalf("healthy releases before: %v", before)
	}
	stop := keepCalling(t)

	must(withCanary("10%")...)
	both := releases(t, "chaos")
	if len(both) != 2 || both[0] == both[1] {
		t.Fatalf("healthy releases: %v; want two", both)
	}
	canary := both[0]
	if canary == before[0] {
		canary = both[1]
	}
	checkSplit := func(stable, share string) {
		t.Helper()
		want := ""
		if share != "" {
			parts := []string{stable + ` stable "` + before[0] + `"`, share + ` canary "` + canary + `"`}
			slices.Sort(parts)
			want = strings.Join(parts, ", ")
		}
		if got := split(t, "chaos"); got != want {
			t.Errorf("calls are split %s; want %s", got, want)
		}
	}
	checkSplit("90", "10")
	for _, manifest := range []string{changed, original} {
		out, code := command(t, "", "deploy", "-manifest", manifest, "-jobs-dir", jobs)
		if code != 1 || !strings.Contains(out, "countersign promote chaos") {
			t.Errorf("a deploy while a canary is open: exit code %d\n%s\nwant how to end it", code, out)
		}
	}
	must(withCanary("12.5")...)
	checkSplit("87.5", "12.5")
	if now := releases(t, "chaos"); !slices.Equal(now, both) {
		t.Errorf("after moving the share: releases %v, want %v", now, both)
	}

	must("abort", "chaos")
	checkSplit("", "")
	if now := releases(t, "chaos"); !slices.Equal(now, before) {
		t.Errorf("after aborting: releases %v, want %v", now, before)
	}
	if out := must("deploy", "-manifest", original, "-jobs-dir", jobs); !strings.Contains(out, "Nothing to do") {
		t.Errorf("a deploy of what ran before says\n%s\nwant that there is nothing to do", out)
	}

	must(withCanary("10%")...)
	checkSplit("90", "10")
	must("promote")
	checkSplit("", "")
	if now := releases(t, "chaos"); !slices.Equal(now, []string{canary}) {
		t.Errorf("after promoting: releases %v, want %v", now, canary)
	}
	if out := must("deploy", "-manifest", changed, "-jobs-dir", jobs); !strings.Contains(out, "Nothing to do") {
		t.Errorf("a deploy of what was promoted says\n%s\nwant that there is nothing to do", out)
	}
	if out := must("promote"); !strings.Contains(out, "no canary is open") {
		t.Errorf("promoting once more says\n%s", out)
	}
	calls, failed := stop()
	if len(failed) > 0 || calls < 10 {
		t.Errorf("%d of %d calls failed: %v", len(failed), calls, failed)
	}
	must("deploy", "-manifest", original, "-jobs-dir", jobs)
	if now := releases(t, "chaos"); !slices.Equal(now, before) {
		t.Errorf("a deploy after a canary: releases %v, want %v", now, before)
	}
}

// TestIntentionsFollowSpecs looks at who may call whom in Consul after the demo was deployed.
func TestIntentionsFollowSpecs(t *testing.T) {
	deploy(t, examples()...)
	for _, tc := range []struct {
		source, destination string
		allowed             bool
	}{
		{"quote", "tax", true}, {"quote", "fx", true}, {"tax", "fx", false}, {"tax", "quote", false}, {"thumbnail", "tax", false},
	} {
		ok, _, err := consulClient(t).Connect().IntentionCheck(&consul.IntentionCheck{
			Source: tc.source, Destination: tc.destination, SourceType: consul.IntentionSourceConsul,
		}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if ok != tc.allowed {
			t.Errorf("Consul lets %s call %s: %t, want %t", tc.source, tc.destination, ok, tc.allowed)
		}
	}
}
