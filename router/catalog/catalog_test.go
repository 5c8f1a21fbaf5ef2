package catalog

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"

	"countersign/router"
)

func TestNextIndex(t *testing.T) {
	for _, c := range []struct{ last, answered, want uint64 }{
		{0, 7, 7}, {7, 7, 7}, {7, 9, 9}, // as it goes
		{9, 7, 0}, {9, 0, 0}, // backwards: anew
		{0, 0, 1}, // 0 would not block
	} {
		if got := nextIndex(c.last, c.answered); got != c.want {
			t.Errorf("after %d the answer %d: wait from %d, want %d", c.last, c.answered, got, c.want)
		}
	}
}

// compiled is an answer of Consul 1.21 to /v1/discovery-chain/tax, shortened: some durations are text, some numbers.
const compiled = `{"Chain": {"ServiceName": "tax", "Protocol": "http", "StartNode": "router:tax",
"Nodes": {
  "router:tax": {"Type": "router", "Name": "tax", "Routes": [
    {"Definition": {"Match": {"HTTP": {"PathPrefix": "/call", "Methods": ["POST"], "CaseInsensitive": true,
      "Header": [{"Name": "x", "Exact": "1", "Invert": true}]}},
      "Destination": {"ServiceSubset": "canary", "RequestTimeout": "5s", "NumRetries": 4000000000,
      "PrefixRewrite": "/", "IdleTimeout": "1s", "RetryOn": ["5xx"], "RequestHeaders": {"Add": {"a": "b"}}}},
      "NextNode": "resolver:canary"},
    {"Definition": {"Match": {"HTTP": {"QueryParam": [{"Name": "q", "Present": true}]}}}, "NextNode": "splitter:tax"},
    {"NextNode": "splitter:tax"}, null]},
  "splitter:tax": {"Type": "splitter", "Splits": [{"Weight": 66.66, "NextNode": "resolver:stable"},
    {"Weight": 33.34, "NextNode": "resolver:canary"}]},
  "resolver:stable": {"Type": "resolver", "Resolver": {"ConnectTimeout": "700ms", "RequestTimeout": 3000000000,
    "Target": "stable.tax", "Failover": {"Targets": ["fx", "peer"]}},
    "LoadBalancer": {"Policy": "least_request", "LeastRequestConfig": {"ChoiceCount": 3}}},
  "resolver:canary": {"Type": "resolver", "Resolver": {"Default": true, "ConnectTimeout": "5s", "Target": "canary.tax"},
    "LoadBalancer": {"Policy": "ring_hash", "HashPolicies": [{"Field": "header", "FieldValue": "x-user"},
      {"Field": "cookie", "FieldValue": "c"}, {"SourceIP": true, "Terminal": true}]}}},
"Targets": {
  "stable.tax": {"Service": "tax", "ServiceSubset": "stable", "Datacenter": "dc1",
    "Subset": {"Filter": "Service.Meta.release == \"r1\"", "OnlyPassing": true}},
  "canary.tax": {"Service": "tax", "ServiceSubset": "canary", "Datacenter": "dc1",
    "Subset": {"Filter": "Service.Meta.release == \"r2\""}},
  "fx": {"Service": "fx", "Datacenter": "dc2", "Subset": {}},
  "peer": {"Service": "fx", "Peer": "other"}}}}`

func TestConvertChain(t *testing.T) {
	var answer chainAnswer
	if err := json.Unmarshal([]byte(compiled), &answer); err != nil {
		t.Fatal(err)
	}
	got, err := convertChain("tax", &answer)
	if err != nil {
		t.Fatal(err)
	}
	want := router.Chain{Function: "tax", Start: "router:tax", Nodes: map[string]router.Node{
		"router:tax": {Routes: []router.Route{
			{Match: router.Match{PathPrefix: "/call", Methods: []string{"POST"}, CaseInsensitive: true,
				Headers: []router.HeaderMatch{{Name: "x", Exact: "1", Invert: true}}},
				Next: "resolver:canary", RequestTimeout: 5 * time.Second, NumRetries: router.MaxRetries},
			{Match: router.Match{QueryParams: true}, Next: "splitter:tax"},
			{Next: "splitter:tax"},
		}},
		"splitter:tax": {Splits: []router.Split{{Weight: float64(float32(66.66)), Next: "resolver:stable"},
			{Weight: float64(float32(33.34)), Next: "resolver:canary"}}},
		"resolver:stable": {Resolver: &router.Resolver{Target: "stable.tax", Failover: []string{"fx", "peer"},
			ConnectTimeout: 700 * time.Millisecond, RequestTimeout: 3 * time.Second},
			Balance: router.Balance{Policy: "least_request", Choices: 3}},
		"resolver:canary": {Resolver: &router.Resolver{Target: "canary.tax"}, Balance: router.Balance{Policy: "ring_hash",
			Hash: []router.HashOn{{Header: "x-user"}, {Terminal: true}}}},
	}, Targets: map[string]router.Target{
		"stable.tax": {Function: "tax", Subset: "stable", Filtered: true},
		"canary.tax": {Function: "tax", Subset: "canary", Filtered: true},
		"fx":         {Function: "fx"},
		"peer":       {Function: "fx"},
	}}
	if !reflect.DeepEqual(got.Chain, want) {
		t.Errorf("got\n%+v, want\n%+v", got.Chain, want)
	}
	keys := map[string]targetKey{
		"stable.tax": {"tax", `Service.Meta.release == "r1"`, "dc1", true},
		"canary.tax": {"tax", `Service.Meta.release == "r2"`, "dc1", false},
		"fx":         {"fx", "", "dc2", false},
	}
	if !reflect.DeepEqual(got.keys, keys) {
		t.Errorf("watches %+v, want %+v", got.keys, keys)
	}
	notes := strings.Join(got.notes, "\n")
	for _, note := range []string{"prefix_rewrite", "request_headers", "idle_timeout", "retry_on", "query parameters",
		`"cookie"`, "peers"} {
		if !strings.Contains(notes, note) {
			t.Errorf("no note about %s in\n%s", note, notes)
		}
	}
}

func TestConvertChainRefuses(t *testing.T) {
	for answer, want := range map[string]string{
		`{}`: "without a chain",
		`{"Chain": {"Nodes": {"n": {"Type": "teleporter"}}}}`: "teleporter",
		`{"Chain": {"Nodes": {"n": {"Type": "resolver"}}}}`:   "resolver",
	} {
		var a chainAnswer
		if err := json.Unmarshal([]byte(answer), &a); err != nil {
			t.Fatal(err)
		}
		if _, err := convertChain("tax", &a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want an error with %q", answer, err, want)
		}
	}
	var a chainAnswer
	if json.Unmarshal([]byte(`{"Chain": {"Nodes": {"n": {"Resolver": {"ConnectTimeout": "soon"}}}}}`), &a) == nil {
		t.Error("a connect timeout of \"soon\" is accepted")
	}
}

func TestConvertIntentions(t *testing.T) {
	allow, deny := api.IntentionActionAllow, api.IntentionActionDeny
	jwt := &api.IntentionJWTRequirement{}
	got := convertIntentions([]api.ConfigEntry{
		&api.ServiceConfigEntry{Name: "not an intention"},
		&api.ServiceIntentionsConfigEntry{Name: "tax", Sources: []*api.SourceIntention{
			{Name: "quote", Action: allow}, {Name: "*", Action: deny}, {Name: "quote", Peer: "other", Action: allow},
			{Name: "quote", Namespace: "team", Action: allow}, {SamenessGroup: "group", Action: allow}, nil,
			{Name: "fx", Permissions: []*api.IntentionPermission{
				{Action: allow, HTTP: &api.IntentionHTTPPermission{PathExact: "/call/tax", Methods: []string{"POST"}}},
				{Action: allow, HTTP: &api.IntentionHTTPPermission{Header: []api.IntentionHTTPHeaderPermission{{Name: "x"}}}},
				{Action: deny, JWT: jwt}, nil}},
		}},
		&api.ServiceIntentionsConfigEntry{Name: "vat", JWT: jwt, Sources: []*api.SourceIntention{
			{Name: "quote", Action: allow}, {Name: "fx", Action: deny},
			{Name: "tax", Permissions: []*api.IntentionPermission{{Action: allow}, {Action: deny}}}}},
		&api.ServiceIntentionsConfigEntry{Name: "elsewhere", Namespace: "team",
			Sources: []*api.SourceIntention{{Name: "*", Action: allow}}},
	})
	want := []router.Intention{
		{Source: "quote", Destination: "tax", Allow: true}, {Source: "*", Destination: "tax"},
		{Source: "fx", Destination: "tax", Permissions: []router.Permission{
			{Allow: true, PathExact: "/call/tax", Methods: []string{"POST"}}, {Allow: true, Unknowable: true},
			{Unknowable: true}}},
		{Source: "quote", Destination: "vat", Allow: true, Permissions: []router.Permission{{Allow: true, Unknowable: true}}},
		{Source: "fx", Destination: "vat"},
		{Source: "tax", Destination: "vat", Permissions: []router.Permission{{Allow: true, Unknowable: true}, {}}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
}

func TestConvertHealth(t *testing.T) {
	entry := func(allocation, address string, statuses ...string) *api.ServiceEntry {
		e := &api.ServiceEntry{Node: &api.Node{Node: "n", Address: "10.0.0.1"},
			Service: &api.AgentService{Address: address, Port: 80, Meta: map[string]string{"allocation": allocation, "release": "r"}}}
		for _, s := range statuses {
			e.Checks = append(e.Checks, &api.HealthCheck{Status: s})
		}
		return e
	}
	entries := []*api.ServiceEntry{nil, {}, entry("c", "fd00::1", "passing", "critical"), entry("b", "10.0.0.2", "warning"),
		entry("a", "", "passing", "passing")}
	for onlyPassing, warning := range map[bool]bool{true: false, false: true} {
		want := []router.Listed{
			{Allocation: "a", Release: "r", Node: "n", Address: "10.0.0.1:80", Passing: true},
			{Allocation: "b", Release: "r", Node: "n", Address: "10.0.0.2:80", Passing: warning},
			{Allocation: "c", Release: "r", Node: "n", Address: "[fd00::1]:80"},
		}
		if got := convertHealth(entries, onlyPassing); !reflect.DeepEqual(got, want) {
			t.Errorf("only passing %v: got\n%+v, want\n%+v", onlyPassing, got, want)
		}
	}
}

func TestConvertCoordinates(t *testing.T) {
	at := func(x float64, dimensions uint) *coordinate.Coordinate {
		config := coordinate.DefaultConfig()
		config.Dimensionality = dimensions
		c := coordinate.NewCoordinate(config)
		c.Vec[0], c.Height = x, 0
		return c
	}
	entries := []*api.CoordinateEntry{nil, {Node: "without"}, {Node: "here", Coord: at(0, 8)}, {Node: "far", Coord: at(.04, 8)},
		{Node: "incompatible", Coord: at(0, 2)}}
	got := convertCoordinates("here", entries)
	want := map[string]time.Duration{"here": 0, "far": 40 * time.Millisecond}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := convertCoordinates("nowhere", entries); len(got) != 0 {
		t.Errorf("without a coordinate of its own: %v", got)
	}
}

func TestWantIsCounted(t *testing.T) {
	w, err := New(Config{Address: "127.0.0.1:1", Changed: func(router.Snapshot) {}})
	if err != nil {
		t.Fatal(err)
	}
	w.Drop("never")
	w.Want("tax", "fx")
	w.Want("tax")
	w.Drop("tax", "fx")
	if !reflect.DeepEqual(w.wanted, map[string]int{"tax": 1}) {
		t.Errorf("wanted are %v, want tax once", w.wanted)
	}
	if n := len(w.needed()); n != 4 {
		t.Errorf("%d watches, want the three and the chain", n)
	}
}

func TestChainIsShownWhenItsTargetsAreKnown(t *testing.T) {
	d := newData()
	old := &chain{Chain: router.Chain{Function: "tax", Targets: map[string]router.Target{"t": {Function: "tax"}}},
		keys: map[string]targetKey{"t": {function: "tax"}}}
	d.chains["tax"] = &chainData{latest: old}
	if s, _ := d.snapshot(); len(s.Chains) != 0 {
		t.Errorf("shown before its target is known: %+v", s.Chains)
	}
	d.health[targetKey{function: "tax"}] = []router.Listed{{Allocation: "a"}}
	if s, more := d.snapshot(); len(s.Chains) != 1 || len(s.Chains[0].Targets["t"].Endpoints) != 1 || more {
		t.Errorf("not shown with its instance: %+v", s.Chains)
	}
	d.chains["tax"].latest = &chain{Chain: router.Chain{Function: "tax", Start: "new"},
		keys: map[string]targetKey{"u": {function: "vat"}}}
	if s, _ := d.snapshot(); len(s.Chains) != 1 || s.Chains[0].Start != "" || len(d.chains["tax"].targets()) != 2 {
		t.Errorf("the old chain should be shown until the new one's target is known, and both watched: %+v", s.Chains)
	}
	d.health[targetKey{function: "vat"}] = nil
	if s, more := d.snapshot(); s.Chains[0].Start != "new" || !more {
		t.Errorf("the new chain should be shown, and the old one's target be dropped: %+v", s.Chains)
	}
}

// TestConsulDoesNotAnswer connects to something that takes connections and says nothing.
func TestConsulDoesNotAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	w, err := New(Config{Address: l.Addr().String(), Changed: func(router.Snapshot) { t.Error("a snapshot of nothing") }})
	if err != nil {
		t.Fatal(err)
	}
	w.Want("tax")
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { w.Run(ctx); close(done) }()
	short, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := w.Wait(short, "tax"); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "tax") {
		t.Errorf("Wait: %v; want it to run out of time, and to name the function", err)
	}
	if w.Age() < 100*time.Millisecond {
		t.Errorf("age is %v", w.Age())
	}
	stop()
	select {
	case <-done:
	case <-time.After(time.Second):
		t.Error("Run goes on after its context ended")
	}
}

func TestNewRefuses(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	changed := func(router.Snapshot) {}
	for name, c := range map[string]Config{
		"no address":      {Changed: changed},
		"nobody to tell":  {Address: "127.0.0.1:1"},
		"no certificates": {Address: "127.0.0.1:1", Changed: changed, CACert: empty},
		"no file":         {Address: "127.0.0.1:1", Changed: changed, CACert: empty + "x"},
	} {
		if _, err := New(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestFilteredIntentionsAreRefused has a Consul that leaves out of its answer what the token may not read.
func TestFilteredIntentionsAreRefused(t *testing.T) {
	filtered := "true"
	consul := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"Index", "LastContact"} {
			w.Header().Set("X-Consul-"+name, "7")
		}
		w.Header().Set("X-Consul-KnownLeader", "true")
		w.Header().Set("X-Consul-Results-Filtered-By-ACLs", filtered)
		w.Write([]byte(`[{"Kind": "service-intentions", "Name": "tax", "Sources": [{"Name": "*", "Action": "allow"}]}]`))
	}))
	defer consul.Close()
	w, err := New(Config{Address: consul.URL, Changed: func(router.Snapshot) {}})
	if err != nil {
		t.Fatal(err)
	}
	ask := func() error {
		_, _, err := w.intentionsQuery().ask(t.Context(), new(api.QueryOptions).WithContext(t.Context()))
		return err
	}
	if err := ask(); !errors.Is(err, errFiltered) || w.data.hasIntentions {
		t.Errorf("%v, kept %v; want a refusal", err, w.data.intentions)
	}
	filtered = "false"
	if err := ask(); err != nil || !w.data.hasIntentions {
		t.Errorf("a whole answer: %v, kept %v", err, w.data.intentions)
	}
}
