//go:build integration

package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/serf/coordinate"

	"countersign"
	"countersign/router"
)

// noInstance is the type of instances of this host, of which there are none.
type noInstance struct{}

func (noInstance) ID() string              { return "" }
func (noInstance) Function() string        { return "" }
func (noInstance) InFlight() int           { return 0 }
func (noInstance) InterfaceDigest() string { return "" }

// bench is a router that follows a real Consul.
type bench struct {
	*consul
	router  router.Router[noInstance]
	watcher *Watcher
}

func newBench(t *testing.T, functions ...string) *bench {
	b := &bench{consul: startConsul(t, "")}
	b.watcher = b.watch(Config{Changed: b.router.Update, Log: slog.New(slog.NewTextHandler(t.Output(), nil))})
	b.watcher.Want(functions...)
	return b
}

func (b *bench) wait(functions ...string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := b.watcher.Wait(ctx, functions...); err != nil {
		b.t.Fatal(err)
	}
}

// route returns the allocation to which a call goes, or the code of its error.
func (b *bench) route(caller, callee string, header map[string]string) string {
	choice, err := b.router.Route(&router.Query{Caller: caller, Callee: callee,
		Allowed: func(string) bool { return true }, Header: func(name string) string { return header[name] }})
	if err != nil {
		return string(countersign.CodeOf(err))
	}
	return choice.Remote.Allocation
}

// becomes waits until a call goes to an allocation, or fails with a code.
func (b *bench) becomes(caller, callee, want string) time.Duration {
	b.t.Helper()
	start := time.Now()
	b.eventually(5*time.Second, fmt.Sprintf("%s -> %s goes to %s", caller, callee, want), func() bool {
		return b.route(caller, callee, nil) == want
	})
	return time.Since(start)
}

func allow(callee string, callers ...string) *api.ServiceIntentionsConfigEntry {
	e := &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: callee}
	for _, c := range callers {
		e.Sources = append(e.Sources, &api.SourceIntention{Name: c, Action: api.IntentionActionAllow})
	}
	return e
}

func speaksHTTP(function string) *api.ServiceConfigEntry {
	return &api.ServiceConfigEntry{Kind: api.ServiceDefaults, Name: function, Protocol: "http"}
}

// subsets is a service-resolver with a subset for each of stable and canary, as a deploy writes it.
func subsets(function, stable, canary string) *api.ServiceResolverConfigEntry {
	filter := func(release string) api.ServiceResolverSubset {
		return api.ServiceResolverSubset{Filter: fmt.Sprintf("Service.Meta.release == %q", release)}
	}
	return &api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: function, DefaultSubset: "stable",
		Subsets: map[string]api.ServiceResolverSubset{"stable": filter(stable), "canary": filter(canary)}}
}

func TestChangesInConsulArrive(t *testing.T) {
	b := newBench(t, "tax")
	b.wait("tax")
	b.becomes("quote", "tax", "not_permitted") // nothing allows it
	b.write(allow("tax", "quote"))
	b.becomes("quote", "tax", "unavailable") // something is called tax, and nobody is there
	b.register("tax", "t1", "r1", api.HealthPassing)
	took := b.becomes("quote", "tax", "t1")
	t.Logf("an instance was called %v after it was registered", took)
	b.register("tax", "t1", "r1", api.HealthCritical)
	b.becomes("quote", "tax", "unavailable")
	b.register("tax", "t1", "r1", api.HealthPassing)
	b.becomes("quote", "tax", "t1")
	b.node("t1", api.HealthCritical) // its node fails
	b.becomes("quote", "tax", "unavailable")
	b.node("t1", api.HealthPassing)
	b.becomes("quote", "tax", "t1")
	if got := b.route("other", "tax", nil); got != "not_permitted" {
		t.Errorf("a call without intention: %s", got)
	}
	if err := b.router.Permitted("quote", "tax"); err != nil {
		t.Error(err)
	}
	b.deregister("t1")
	b.becomes("quote", "tax", "unavailable")
	b.write(allow("*", "quote"))
	b.eventually(5*time.Second, "a name that nobody has is unknown", func() bool {
		return b.route("quote", "nobody", nil) == "unknown_function"
	})
}

func TestFunctionsWithIngressAreWatchedUnasked(t *testing.T) {
	b := newBench(t)
	b.wait()
	if got := b.route("", "quote", nil); got != "unknown_function" {
		t.Errorf("before: %s", got)
	}
	b.register("quote", "q1", "r1", api.HealthPassing, "ingress")
	b.register("tax", "t1", "r1", api.HealthPassing)
	b.becomes("", "quote", "q1")
	b.becomes("", "tax", "not_permitted")
}

func TestRouterSplitterAndResolverOfConsul(t *testing.T) {
	b := newBench(t, "tax")
	b.register("tax", "old", "r1", api.HealthPassing)
	b.register("tax", "new", "r2", api.HealthPassing)
	b.register("fx", "f1", "r1", api.HealthPassing)
	resolver := subsets("tax", "r1", "r2")
	resolver.ConnectTimeout, resolver.RequestTimeout = 700*time.Millisecond, 3*time.Second
	resolver.Failover = map[string]api.ServiceResolverFailover{"canary": {Service: "fx"}}
	b.write(speaksHTTP("tax"), speaksHTTP("fx"), allow("tax", "quote"), allow("fx", "quote"), resolver,
		&api.ServiceSplitterConfigEntry{Kind: api.ServiceSplitter, Name: "tax", Splits: []api.ServiceSplit{
			{Weight: 75, ServiceSubset: "stable"}, {Weight: 25, ServiceSubset: "canary"}}},
		&api.ServiceRouterConfigEntry{Kind: api.ServiceRouter, Name: "tax", Routes: []api.ServiceRoute{
			header("x-release", "new", &api.ServiceRouteDestination{ServiceSubset: "canary",
				RequestTimeout: 5 * time.Second, NumRetries: 4}),
			header("x-other", "1", &api.ServiceRouteDestination{Service: "fx"}),
		}})
	b.eventually(5*time.Second, "the header chooses the release", func() bool {
		return b.route("quote", "tax", map[string]string{"x-release": "new"}) == "new" &&
			b.route("quote", "tax", map[string]string{"x-other": "1"}) == "f1"
	})

	const n = 10000
	count := map[string]int{}
	for range n {
		count[b.route("quote", "tax", nil)]++
	}
	if sigma := math.Sqrt(n * 0.25 * 0.75); math.Abs(float64(count["new"])-n*0.25) > 6*sigma ||
		count["new"]+count["old"] != n {
		t.Errorf("25 %% of %d calls should go to the new release: %v", n, count)
	}

	choice, err := b.router.Route(&router.Query{Caller: "quote", Callee: "tax",
		Header: func(name string) string { return map[string]string{"x-release": "new"}[name] }})
	want := router.Policy{ConnectTimeout: 700 * time.Millisecond, RequestTimeout: 5 * time.Second, Retries: 4}
	if err != nil || *choice.Policy != want {
		t.Errorf("policy by the route: %+v, %v; want %+v", choice.Policy, err, want)
	}
	choice, err = b.router.Route(&router.Query{Caller: "quote", Callee: "tax"})
	want.RequestTimeout, want.Retries = 3*time.Second, router.DefaultRetries
	if err != nil || *choice.Policy != want {
		t.Errorf("policy by the resolver: %+v, %v; want %+v", choice.Policy, err, want)
	}

	b.deregister("new") // the canary fails over to another function
	b.eventually(5*time.Second, "the canary fails over", func() bool {
		return b.route("quote", "tax", map[string]string{"x-release": "new"}) == "f1"
	})
}

func header(name, value string, to *api.ServiceRouteDestination) api.ServiceRoute {
	return api.ServiceRoute{Destination: to, Match: &api.ServiceRouteMatch{HTTP: &api.ServiceRouteHTTPMatch{
		PathPrefix: "/", Header: []api.ServiceRouteHTTPMatchHeader{{Name: name, Exact: value}}}}}
}

func TestRedirectAndPermissionsOfConsul(t *testing.T) {
	b := newBench(t, "tax")
	b.register("tax", "t1", "r1", api.HealthPassing)
	b.register("vat", "v1", "r1", api.HealthPassing)
	path := func(callee, path string) *api.ServiceIntentionsConfigEntry {
		return &api.ServiceIntentionsConfigEntry{Kind: api.ServiceIntentions, Name: callee,
			Sources: []*api.SourceIntention{{Name: "quote", Permissions: []*api.IntentionPermission{{
				Action: api.IntentionActionAllow, HTTP: &api.IntentionHTTPPermission{PathPrefix: path}}}}}}
	}
	b.write(speaksHTTP("tax"), speaksHTTP("vat"), path("tax", "/call/"), allow("*", "*"))
	b.becomes("quote", "tax", "t1")
	b.write(path("tax", "/elsewhere"))
	b.becomes("quote", "tax", "not_permitted") // the more exact one decides
	b.write(path("tax", "/call/tax"), &api.ServiceResolverConfigEntry{Kind: api.ServiceResolver, Name: "tax",
		Redirect: &api.ServiceResolverRedirect{Service: "vat"}})
	b.becomes("quote", "tax", "v1")
	_, err := b.router.Route(&router.Query{Caller: "quote", Callee: "tax",
		Allowed: func(f string) bool { return f == "tax" }})
	if countersign.CodeOf(err) != countersign.CodeNotPermitted || !strings.Contains(err.Error(), `"vat"`) {
		t.Errorf("a redirect to a function that the spec does not list: %v", err)
	}
}

func TestTheLastSnapshotOutlivesConsul(t *testing.T) {
	b := newBench(t, "tax")
	populate := func(allocation string) {
		b.write(allow("tax", "quote"))
		b.register("tax", allocation, "r1", api.HealthPassing)
	}
	for i := range 20 { // so that the index is far ahead of the one after the restart
		b.write(allow(fmt.Sprintf("f%d", i), "quote"))
	}
	populate("t1")
	b.becomes("quote", "tax", "t1")
	if age := b.watcher.Age(); age != 0 {
		t.Errorf("age is %v while Consul answers", age)
	}

	b.kill()
	b.eventually(5*time.Second, "the watcher notices", func() bool { return b.watcher.Age() > 0 })
	for range 100 {
		if got := b.route("quote", "tax", nil); got != "t1" {
			t.Fatalf("while Consul is away a call goes to %s", got)
		}
		time.Sleep(5 * time.Millisecond)
	}

	b.start() // without data
	populate("t2")
	start := time.Now()
	b.eventually(maxBackoff+5*time.Second, "the new data arrives", func() bool {
		return b.route("quote", "tax", nil) == "t2"
	})
	t.Logf("recovered %v after Consul had its data again", time.Since(start))
	b.eventually(maxBackoff+5*time.Second, "every watch is in touch", func() bool { return b.watcher.Age() == 0 })
	b.register("tax", "t2", "r1", api.HealthCritical) // the watches block again, and see changes at once
	b.becomes("quote", "tax", "unavailable")
}

func TestWatchOfAnUnregisteredFunctionDoesNotSpin(t *testing.T) {
	b := newBench(t)
	b.wait()
	q := b.watcher.healthQuery(targetKey{function: "nobody"})
	asked := 0
	ask := q.ask
	q.ask = func(ctx context.Context, opts *api.QueryOptions) (bool, *api.QueryMeta, error) {
		asked++
		return ask(ctx, opts)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for i := range 100 { // another service changes all the time
		time.AfterFunc(time.Duration(i)*30*time.Millisecond, func() {
			if ctx.Err() == nil {
				_, _ = b.client.Catalog().Register(&api.CatalogRegistration{Node: "n", Address: "127.0.0.3",
					Service: &api.AgentService{ID: "busy", Service: "busy", Port: 1 + i}}, nil)
			}
		})
	}
	b.watcher.follow(ctx, q)
	if asked == 0 || asked > 15 {
		t.Errorf("a watch of a function that nobody registered asked %d times in 3 s", asked)
	}
}

func TestMoreWatchesThanConnections(t *testing.T) {
	b := newBench(t, "tax")
	b.write(allow("tax", "quote"))
	b.wait("tax")
	var many []string
	for i := range 90 {
		many = append(many, fmt.Sprintf("many%d", i))
	}
	b.watcher.Want(many...)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := b.watcher.Wait(ctx, many...); err != nil {
		t.Fatal(err)
	}
	b.register("tax", "t1", "r1", api.HealthPassing)
	start := time.Now()
	b.eventually(10*time.Second, "a change arrives", func() bool { return b.route("quote", "tax", nil) == "t1" })
	t.Logf("a change arrived in %v with 183 watches", time.Since(start))
	b.watcher.Drop(many...)
	b.eventually(10*time.Second, "the watches end", func() bool {
		b.watcher.mu.Lock()
		defer b.watcher.mu.Unlock()
		return len(b.watcher.running) == 5 && len(b.watcher.data.health) == 1 && len(b.watcher.data.chains) == 1
	})
}

func TestDistancesOfConsul(t *testing.T) {
	b := newBench(t)
	b.wait()
	at := func(x float64) *coordinate.Coordinate {
		c := coordinate.NewCoordinate(coordinate.DefaultConfig())
		c.Vec[0], c.Height = x, 0
		return c
	}
	for _, allocation := range []string{"near", "far"} {
		b.register("tax", allocation, "r1", api.HealthPassing)
	}
	for node, x := range map[string]float64{"here": 0, "node-near": 0.001, "node-far": 0.050} {
		entry := &api.CoordinateEntry{Node: node, Coord: at(x)}
		if _, err := b.client.Coordinate().Update(entry, nil); err != nil {
			t.Fatal(err)
		}
	}
	b.eventually(30*time.Second, "the distances are known", func() bool {
		_, _, err := b.watcher.coordinatesQuery().ask(t.Context(), (&api.QueryOptions{}).WithContext(t.Context()))
		if err != nil {
			t.Fatal(err)
		}
		b.watcher.mu.Lock()
		defer b.watcher.mu.Unlock()
		d := b.watcher.data.distances
		return d["node-near"].Round(time.Millisecond) == time.Millisecond &&
			d["node-far"].Round(time.Millisecond) == 50*time.Millisecond
	})
}

// TestTokenThatIsDocumented holds docs/routing.md to what the queries need.
func TestTokenThatIsDocumented(t *testing.T) {
	b := &bench{consul: startConsul(t, "5a3e3f0b-0d1c-4f6a-9c9a-3d1f0e7f6b11")}
	const rules = `service_prefix "" {
  policy     = "read"
  intentions = "read"
}
node_prefix "" { policy = "read" }
agent_prefix "" { policy = "read" }`
	text, err := os.ReadFile("../../docs/routing.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(text), rules) {
		t.Errorf("the documentation does not have these rules:\n%s", rules)
	}
	policy, _, err := b.client.ACL().PolicyCreate(&api.ACLPolicy{Name: "routing", Rules: rules}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, _, err := b.client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: policy.ID}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	b.watcher = b.watch(Config{Changed: b.router.Update, Token: token.SecretID, Log: log})
	b.watcher.Want("tax")
	b.wait("tax")
	b.write(allow("tax", "quote"))
	b.write(allow("*", "other")) // a part of the intentions would not do
	b.register("tax", "t1", "r1", api.HealthPassing)
	b.becomes("quote", "tax", "t1")
	b.becomes("other", "tax", "t1")
	b.eventually(5*time.Second, "every query is answered", func() bool { return b.watcher.Age() == 0 })
	_, _, err = b.watcher.coordinatesQuery().ask(t.Context(), (&api.QueryOptions{}).WithContext(t.Context()))
	if err != nil {
		t.Error(err)
	}

	// A token that may read some intentions only, so that a denial could be among the others.
	few, _, err := b.client.ACL().PolicyCreate(&api.ACLPolicy{Name: "some", Rules: `service "quote" {
  policy     = "read"
  intentions = "read"
}
node_prefix "" { policy = "read" }
agent_prefix "" { policy = "read" }`}, nil)
	if err != nil {
		t.Fatal(err)
	}
	some, _, err := b.client.ACL().TokenCreate(&api.ACLToken{Policies: []*api.ACLLink{{ID: few.ID}}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	var part router.Router[noInstance]
	if err := b.watch(Config{Changed: part.Update, Token: some.SecretID}).Wait(shortly(t)); err == nil || !strings.Contains(err.Error(), "may not read all intentions") {
		t.Errorf("with a part of the intentions: %v; want that it is not enough", err)
	}

	var refused router.Router[noInstance]
	without := b.watch(Config{Changed: refused.Update})
	without.Want("tax")
	if err := without.Wait(shortly(t), "tax"); err == nil || !strings.Contains(err.Error(), "Permission denied") {
		t.Errorf("without a token: %v; want that permission is denied", err)
	}
}

func shortly(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	t.Cleanup(cancel)
	return ctx
}
