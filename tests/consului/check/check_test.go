package check

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"countersign/tests/consului/page"
)

const (
	digestA = "sha256:aaaaaaaaaaaa1111"
	digestB = "sha256:bbbbbbbbbbbb2222"
)

// want and shown agree.
func want() *Expectations {
	return &Expectations{
		Function: "quote",
		Instances: []Instance{
			{Release: "aaaaaaaaaaaa", Artifact: digestA, Node: "n1", Tags: []string{"io-storage-rules"}},
			{Release: "bbbbbbbbbbbb", Artifact: digestB, Node: "n2", Tags: []string{"io-storage-rules", "ingress"}},
		},
		Intentions: []page.Intention{{Source: "*", Destination: "*", Action: "deny"},
			{Source: "quote", Destination: "tax", Action: "allow"}},
		Topology: &Topology{Upstreams: []string{"tax", "fx"}, Downstreams: []string{}},
		Routing: &Routing{
			Routes: []page.Route{{Match: "Prefix /v2", To: "resolver:canary.quote"},
				{Match: "Prefix /", To: "splitter:quote"}},
			Splits:  map[string]float64{"stable": 99.5, "canary": 0.5},
			Subsets: map[string]string{"stable": "a", "canary": "b"},
		},
	}
}

type shown struct {
	instances  []page.Instance
	intentions []page.Intention
	topology   page.Topology
	routing    page.Routing
}

func shows() *shown {
	instance := func(release, digest, node string) page.Instance {
		return page.Instance{Node: node, Tags: []string{"release-" + release, "ingress", "io-storage-rules"},
			Meta: map[string]string{"release": release, "artifact_digest": digest}}
	}
	return &shown{
		instances: []page.Instance{instance("bbbbbbbbbbbb", digestB, "n2"), instance("aaaaaaaaaaaa", digestA, "n1")},
		intentions: []page.Intention{{Source: "quote", Destination: "tax", Action: "allow"},
			{Source: "*", Destination: "*", Action: "deny"}},
		topology: page.Topology{Upstreams: []string{"fx", "tax"}},
		routing: page.Routing{
			Routes: []page.Route{{Match: "Prefix /v2", To: "resolver:canary.quote"},
				{Match: "Prefix /", To: "splitter:quote"}},
			Splits:  map[string]float64{"stable": 99.5, "canary": 0.5},
			Subsets: []string{"canary", "stable"}, Filters: map[string]string{"stable": "a", "canary": "b"},
		},
	}
}

func failures(w *Expectations, s *shown) (lines []string) {
	all := append(Instances(w.Instances, s.instances), Intentions(w.Intentions, s.intentions)...)
	all = append(append(all, w.Topology.Compare(s.topology)...), w.Routing.Compare(s.routing)...)
	for _, r := range all {
		if !r.OK {
			lines = append(lines, r.String())
		}
	}
	return lines
}

func TestWhatAgreesPasses(t *testing.T) {
	if got := failures(want(), shows()); got != nil {
		t.Errorf("failures: %q", got)
	}
}

func TestEachDifferenceFails(t *testing.T) {
	for name, change := range map[string]struct {
		change func(*shown)
		line   string // one of the failures begins so
	}{
		"other digest": {func(s *shown) { s.instances[1].Meta["artifact_digest"] = digestB },
			"FAIL  Instances: wanted release aaaaaaaaaaaa of " + digestA},
		"other release in the meta": {func(s *shown) { s.instances[1].Meta["release"] = "cccccccccccc" },
			"FAIL  Instances: wanted release aaaaaaaaaaaa"},
		"other release in the tags": {func(s *shown) { s.instances[1].Tags[0] = "release-cccccccccccc" },
			"FAIL  Instances: wanted release aaaaaaaaaaaa"},
		"tag missing": {func(s *shown) { s.instances[0].Tags = s.instances[0].Tags[:2] },
			"FAIL  Instances: wanted release bbbbbbbbbbbb"},
		"I/O that is not in the spec": {func(s *shown) { s.instances[0].Tags = append(s.instances[0].Tags, "io-network-x") },
			"FAIL  Instances: wanted release bbbbbbbbbbbb"},
		"other node": {func(s *shown) { s.instances[0].Node = "n1" }, "FAIL  Instances: wanted release bbbbbbbbbbbb"},
		"instance missing": {func(s *shown) { s.instances = s.instances[:1] },
			"FAIL  Instances: wanted release aaaaaaaaaaaa of " + digestA +
				" on n1 with tags io-storage-rules; the page shows none"},
		"instance too many": {func(s *shown) { s.instances = append(s.instances, s.instances[0]) },
			"FAIL  Instances: wanted no other instance; the page shows release bbbbbbbbbbbb"},
		"intention missing": {func(s *shown) { s.intentions = s.intentions[1:] },
			"FAIL  Intentions: wanted intention quote -> tax allow; the page shows * -> * deny"},
		"intention denies": {func(s *shown) { s.intentions[0].Action = "deny" },
			"FAIL  Intentions: wanted intention quote -> tax allow"},
		"intention too many": {func(s *shown) {
			s.intentions = append(s.intentions, page.Intention{Source: "x", Destination: "quote", Action: "allow"})
		}, "FAIL  Intentions: wanted no other intention; the page shows x -> quote allow"},
		"upstream missing": {func(s *shown) { s.topology.Upstreams = s.topology.Upstreams[1:] },
			"FAIL  Topology: wanted upstream fx; the page shows tax"},
		"upstreams of all": {func(s *shown) { s.topology.Upstreams = append(s.topology.Upstreams, "* (All Services)") },
			"FAIL  Topology: wanted no other upstream; the page shows * (All Services)"},
		"downstream too many": {func(s *shown) { s.topology.Downstreams = []string{"x"} },
			"FAIL  Topology: wanted no other downstream; the page shows x"},
		"routes in another order": {func(s *shown) {
			r := s.routing.Routes
			r[0], r[1] = r[1], r[0]
		}, `FAIL  Routing: wanted route 1 "Prefix /v2" to resolver:canary.quote`},
		"route elsewhere": {func(s *shown) { s.routing.Routes[0].To = "resolver:stable.quote" },
			`FAIL  Routing: wanted route 1 "Prefix /v2" to resolver:canary.quote`},
		"route missing": {func(s *shown) { s.routing.Routes = s.routing.Routes[:1] },
			`FAIL  Routing: wanted route 2 "Prefix /" to splitter:quote; the page shows none`},
		"route too many": {func(s *shown) { s.routing.Routes = append(s.routing.Routes, s.routing.Routes[0]) },
			"FAIL  Routing: wanted no other route"},
		"other weight": {func(s *shown) { s.routing.Splits["canary"] = 5 },
			"FAIL  Routing: wanted split canary=0.5%; the page shows canary=5%, stable=99.5%"},
		"split missing": {func(s *shown) { delete(s.routing.Splits, "canary") },
			"FAIL  Routing: wanted split canary=0.5%; the page shows stable=99.5%"},
		"split too many": {func(s *shown) { s.routing.Splits["fx"] = 0.1 },
			"FAIL  Routing: wanted no other split; the page shows fx=0.1%"},
		"subset missing": {func(s *shown) { s.routing.Subsets = s.routing.Subsets[1:] },
			"FAIL  Routing: wanted subset canary; the page shows stable"},
		"subset too many": {func(s *shown) { s.routing.Subsets = append(s.routing.Subsets, "old") },
			"FAIL  Routing: wanted no other subset; the page shows old"},
		"other filter": {func(s *shown) { s.routing.Filters["canary"] = "a" },
			"FAIL  Routing: wanted filter of subset canary: b"},
	} {
		t.Run(name, func(t *testing.T) {
			s := shows()
			change.change(s)
			got := failures(want(), s)
			for _, line := range got {
				if strings.HasPrefix(line, change.line) {
					return
				}
			}
			t.Errorf("failures %q, want one that begins with %q", got, change.line)
		})
	}
}

func TestLoadRefusesWhatWouldNotBeChecked(t *testing.T) {
	for _, text := range []string{
		`{"function":"f","instances":[],"intentions":[],"topology":{}}`,
		`{"function":"f","instances":[],"intentions":[],"topology":{},"routing":{},"more":1}`,
		`{"instances":[],"intentions":[],"topology":{},"routing":{}}`,
	} {
		path := filepath.Join(t.TempDir(), "expect.json")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(path); err == nil {
			t.Errorf("Load takes %s", text)
		}
	}
}
