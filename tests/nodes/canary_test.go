//go:build integration

package nodes

import (
	"fmt"
	"maps"
	"math"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	consul "github.com/hashicorp/consul/api"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"countersign/callgraph"
	"countersign/tests/harness"
)

// routersSettle is what routers take to learn of a change in Consul; the pipeline waits as long before it stops instances.
const routersSettle = time.Second

const (
	// canaryRate is how many calls a second there are during a canary: deploys need the processors, too.
	canaryRate = 60
	// countedRate is how many there are while they are counted and nothing is deployed.
	countedRate = 160
)

// TestCanaryShares takes tax through a canary that is aborted and one that is promoted while quote calls it on all nodes,
// and counts at the hosts which release answered.
func TestCanaryShares(t *testing.T) {
	deployed(t)
	c := canary{function: "tax", edit: func(spec string) string { return strings.Replace(spec, `"1s"`, `"900ms"`, 1) }}
	defer c.restore(t)
	load := startLoadOf(t, canaryRate, 1, 2, 3)
	defer load.end()
	load.warm(t)
	steady := func(when string) {
		t.Helper()
		if n := load.failures(); n > 0 {
			t.Fatalf("%s: %s\n%s", when, load.report(load.began), load.example)
		}
	}
	shareIs := func(percent float64, atLeast int) {
		t.Helper()
		share := percent / 100
		more := startLoadOf(t, countedRate-canaryRate, 1, 2, 3)
		canary, all := c.count(t, atLeast)
		more.end()
		if n := more.failures(); n > 0 {
			t.Errorf("while calls were counted: %s\n%s", more.report(more.began), more.example)
		}
		sigma := math.Sqrt(float64(all) * share * (1 - share))
		off := (float64(canary) - float64(all)*share) / max(sigma, 1)
		t.Logf("splitter says %g%%: the canary answered %d of %d calls, %.2f%%, %.1f sigma off",
			percent, canary, all, 100*float64(canary)/float64(all), off)
		if math.Abs(off) > 5 {
			t.Errorf("the canary answered %d of %d calls; want %g%% within 5 sigma, that is %.0f", canary, all, percent, 5*sigma)
		}
	}

	c.open(t, "10%")
	shareIs(10, 1500)
	steady("10%")
	c.open(t, "50%")
	shareIs(50, 1000)
	steady("50%")

	run(t, "abort", "tax")
	shareIs(0, 500)
	c.closed(t, c.stable)
	steady("aborted")

	c.open(t, "10%")
	shareIs(10, 500)
	run(t, "promote", "tax")
	shareIs(100, 500)
	c.closed(t, c.release)
	if out := run(t, c.deploy(t)...); !strings.Contains(out, "Nothing to do") {
		t.Errorf("a deploy of what was promoted says\n%s\nwant that there is nothing to do", out)
	}
	load.end()
	steady("promoted")
	t.Log(load.report(load.began))
}

// canary is a changed function on its way.
type canary struct {
	function        string
	edit            func(spec string) string // makes another artifact of it
	manifest        string
	stable, release string // known when it is open
}

// deploy returns the arguments of the command that deploys the changed function.
func (c *canary) deploy(t *testing.T) []string {
	t.Helper()
	if c.manifest == "" {
		c.manifest = h.Manifest(t, func(function, spec string) string {
			return c.edit(everywhere(function, spec))
		}, c.function)
	}
	return []string{"deploy", "-manifest", c.manifest, "-jobs-dir", filepath.Dir(h.JobFile(c.function))}
}

// open gives the changed function a share of the calls, and waits until the routers know.
func (c *canary) open(t *testing.T, share string) {
	t.Helper()
	run(t, append(c.deploy(t), "--canary", share)...)
	entry, _, err := consulClient(t).ConfigEntries().Get(consul.ServiceResolver, c.function, nil)
	if err != nil {
		t.Fatal(err)
	}
	resolver := entry.(*consul.ServiceResolverConfigEntry)
	c.stable, c.release = resolver.Meta["stable"], resolver.Meta["canary"]
	if resolver.ConnectTimeout != time.Second {
		t.Errorf("the resolver lets connections take %s; want what it is without one, 1s", resolver.ConnectTimeout)
	}
	nodes := map[string][]int{}
	for _, i := range instances(t, c.function) {
		nodes[i.release] = append(nodes[i.release], i.node)
	}
	t.Logf("instances of %s by release: %v", c.function, nodes)
	if len(nodes) != 2 || len(nodes[c.stable]) == 0 || len(nodes[c.release]) == 0 {
		t.Fatalf("with an open canary: nodes of releases %v; want %s and %s", nodes, c.stable, c.release)
	}
	time.Sleep(routersSettle)
}

// count lets at least n calls pass, and returns how many of them the canary answered, and how many there were.
func (c *canary) count(t *testing.T, n int) (canary, all int) {
	t.Helper()
	before := served(t, c.function)
	harness.Eventually(t, fmt.Sprintf("%d calls of %s", n, c.function), time.Minute, func() bool {
		canary, all = 0, 0
		for release, calls := range served(t, c.function) {
			calls -= before[release]
			all += calls
			if release == c.release {
				canary = calls
			}
		}
		return all >= n
	})
	return canary, all
}

// closed checks that one release is left, and that Consul splits nothing any more.
func (c *canary) closed(t *testing.T, release string) {
	t.Helper()
	for _, i := range instances(t, c.function) {
		if i.release != release {
			t.Errorf("an instance on node %d has release %s; want %s alone", i.node, i.release, release)
		}
	}
	for _, kind := range []string{consul.ServiceResolver, consul.ServiceSplitter} {
		if _, _, err := consulClient(t).ConfigEntries().Get(kind, c.function, nil); err == nil || !strings.Contains(err.Error(), "404") {
			t.Errorf("Consul's %s of %s: %v; want that it is gone", kind, c.function, err)
		}
	}
}

// restore brings back what ran before the test.
func (c *canary) restore(t *testing.T) {
	t.Helper()
	if _, _, err := consulClient(t).ConfigEntries().Get(consul.ServiceResolver, c.function, nil); err == nil {
		run(t, "abort", c.function)
	}
	h.DeployEdited(t, everywhere, []string{c.function})
}

// run runs the command, which has to succeed, and returns what it printed.
func run(t *testing.T, args ...string) string {
	t.Helper()
	out, code := h.Command(t, "", args...)
	if code != 0 {
		t.Fatalf("%v: exit code %d\n%s", args, code, out)
	}
	return out
}

// served returns how many calls of a function its instances answered on all hosts, by release.
func served(t *testing.T, function string) map[string]int {
	t.Helper()
	hosts := map[string]bool{}
	for _, i := range instances(t, "quote") {
		hosts[i.address] = true
	}
	calls := map[string]int{}
	for _, host := range slices.Sorted(maps.Keys(hosts)) {
		resp, err := http.Get("http://" + host + callgraph.Path)
		if err != nil {
			t.Fatal(err)
		}
		parser := expfmt.NewTextParser(model.UTF8Validation)
		families, err := parser.TextToMetricFamilies(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range families["countersign_served_calls_total"].GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if labels["function"] == function {
				calls[labels["release"]] += int(m.GetCounter().GetValue())
			}
		}
	}
	return calls
}
