package apply

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	consul "github.com/hashicorp/consul/api"

	"countersign/interfaces"
	"countersign/pipeline/failure"
	"countersign/pipeline/nomad"
	"countersign/pipeline/routes"
	"countersign/release"
)

// digest is 64 times one hexadecimal digit.
func digest(digit string) string { return "sha256:" + strings.Repeat(digit, 64) }

var testCanary = routes.Canary{Function: "quote", Stable: "aaaaaaaaaaaa", Release: "bbbbbbbbbbbb"}

// canarying is a rollout of quote, which calls tax, as release digit; release "a" runs, and cart calls it.
func canarying(share routes.Share, digit string) *Rollout {
	quote := &function{
		name: "quote", plan: &nomad.Plan{},
		next: release.Function{ArtifactDigest: digest(digit), InterfaceDigest: digest("1"), Callees: []string{"tax"}},
	}
	return &Rollout{
		Engine:    &Engine{Options: Options{Canary: share}},
		functions: []*function{quote}, byName: map[string]*function{"quote": quote}, waves: [][]string{{"quote"}},
		running: map[string]release.Function{
			"quote": {ArtifactDigest: digest("a"), InterfaceDigest: digest("1"), Callees: []string{"fx"}},
			"cart":  {ArtifactDigest: digest("c"), Callees: []string{"quote"}, Calls: map[string]string{"quote": digest("1")}},
		},
	}
}

// opening is what Consul has when a canary is open and gets a share of the calls.
func opening(c routes.Canary, share routes.Share) *routes.Entries {
	now := &routes.Entries{
		Resolvers: map[string]*consul.ServiceResolverConfigEntry{}, Splitters: map[string]*consul.ServiceSplitterConfigEntry{},
	}
	for _, change := range append(routes.PlanOpen(c, now), routes.PlanShare(c, share, now)...) {
		switch e := change.Entry.(type) {
		case *consul.ServiceResolverConfigEntry:
			now.Resolvers[e.Name] = e
		case *consul.ServiceSplitterConfigEntry:
			now.Splitters[e.Name] = e
		}
	}
	return now
}

// documents reads the interface documents of what evolved made.
func documents(name string, f release.Function) (*interfaces.Document, error) {
	src, ok := strings.CutPrefix(f.Repository, "document:")
	if !ok {
		return nil, errors.New("it is not there")
	}
	return interfaces.Parse([]byte(src))
}

const (
	before  = `"reply":{"kind":"object"}`
	andMore = `"reply":{"kind":"object","fields":[{"name":"more","optional":true,"type":{"kind":"string"}}]}`
)

// evolved gives quote, as it runs and as its caller knows it, an interface, and the canary another.
func evolved(t *testing.T, r *Rollout, reply string) {
	t.Helper()
	of := func(name, calls, reply string) release.Function {
		f := release.Function{Repository: fmt.Sprintf(`document:{"calls":{%s},"function":%q,%s,"request":{"kind":"any"}}`, calls, name, reply)}
		doc, err := documents(name, f)
		if err != nil {
			t.Fatal(err)
		}
		if f.InterfaceDigest = doc.Digest(); calls != "" {
			f.Calls = map[string]string{"quote": doc.Calls["quote"].Digest()}
		}
		return f
	}
	from := func(f *release.Function, is release.Function) {
		f.Repository, f.InterfaceDigest, f.Calls = is.Repository, is.InterfaceDigest, is.Calls
	}
	runs, cart, next := r.running["quote"], r.running["cart"], r.functions[0]
	from(&runs, of("quote", "", before))
	from(&cart, of("cart", `"quote":{`+before+`,"request":{"kind":"any"}}`, before))
	from(&next.next, of("quote", "", reply))
	r.running["quote"], r.running["cart"] = runs, cart
}

func TestCheckCanaries(t *testing.T) {
	opened := opening(testCanary, 1000) // from release a to b
	of := func(c routes.Canary) *routes.Entries { return opening(c, 0) }
	other := func(function string) *routes.Entries { c := testCanary; c.Function = function; return of(c) }
	ended := of(routes.Canary{Function: "quote", Stable: "dddddddddddd", Release: "bbbbbbbbbbbb"})
	newInterface := func(r *Rollout) { r.functions[0].next.InterfaceDigest = digest("2") }
	for _, tc := range []struct {
		name   string
		share  routes.Share
		digit  string
		now    *routes.Entries
		change func(*Rollout)
		canary bool
		refuse string // part of the error
	}{
		{"replace", 0, "b", &routes.Entries{}, nil, false, ""},
		{"new canary", 1000, "b", &routes.Entries{}, nil, true, ""},
		{"unchanged", 1000, "a", &routes.Entries{}, nil, false, ""},
		{"new function", 1000, "b", &routes.Entries{}, func(r *Rollout) { delete(r.running, "quote") }, false, ""},
		{"a canary of another function is open", 0, "b", other("fx"), nil, false, ""},
		{"move the share, or go on", 5000, "b", opened, nil, true, ""},
		{"the job went back meanwhile", 5000, "b", opened, nil, true, ""},
		{"replace while a canary is open", 0, "b", opened, nil, false, "10%"},
		{"replace by what ran before", 0, "a", opened, nil, false, "promote quote"},
		{"another canary while one is open", 1000, "e", opened, nil, false, "abort quote"},
		{"somebody ran a third release", 1000, "b", ended, nil, false, "neither"},
		{"other interface that serves who calls it", 1000, "b", &routes.Entries{}, func(r *Rollout) { evolved(t, r, andMore) }, true, ""},
		{"other interface that does not serve who calls it", 1000, "b", &routes.Entries{},
			func(r *Rollout) { evolved(t, r, `"reply":{"kind":"any"}`) }, true, ""},
		{"replace, by another interface that serves who calls it", 0, "b", &routes.Entries{}, func(r *Rollout) { evolved(t, r, andMore) }, false, ""},
		{"beside: another interface that does not serve who calls it", 0, "b", &routes.Entries{},
			func(r *Rollout) { evolved(t, r, `"reply":{"kind":"any"}`) }, true, ""},
		{"beside: what the interfaces are can't be told", 0, "b", &routes.Entries{}, func(r *Rollout) { evolved(t, r, andMore); r.functions[0].next.Repository = "" }, true, ""},
		{"beside: interrupted before", 0, "b", of(testCanary), nil, true, ""},
		{"beside: interrupted while it took over", 0, "b", opening(testCanary, routes.Whole), nil, true, ""},
		{"beside: another one was interrupted", 0, "e", of(testCanary), nil, false, "abort quote"},
		{"other interface, and nobody calls it", 1000, "b", &routes.Entries{},
			func(r *Rollout) { newInterface(r); delete(r.running, "cart") }, true, ""},
		{"other interface, and its caller has a canary", 0, "b", other("cart"), newInterface, true, `"cart"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := canarying(tc.share, tc.digit)
			if tc.change != nil {
				tc.change(r)
			}
			err := r.checkCanaries(tc.now, documents)
			if (err != nil) != (tc.refuse != "") || err != nil && !strings.Contains(err.Error(), tc.refuse) {
				t.Fatalf("checkCanaries: %v, want an error with %q", err, tc.refuse)
			}
			var conflict *failure.ConflictError
			if err != nil && !errors.As(err, &conflict) {
				t.Errorf("the error is %T", err)
			}
			c := r.functions[0].canary
			if (c != nil) != tc.canary {
				t.Fatalf("canary %+v, want one: %t", c, tc.canary)
			}
			if c != nil && (c.Stable != "aaaaaaaaaaaa" || c.Release != "bbbbbbbbbbbb") {
				t.Errorf("canary %+v; want it from a to b", c)
			}
			if beside := strings.HasPrefix(tc.name, "beside") && tc.canary; tc.refuse == "" && (r.functions[0].takesOver != beside || c != nil && r.functions[0].shares() == beside) {
				t.Errorf("takes over by itself: %t", r.functions[0].takesOver)
			}
		})
	}
}

func TestPlanRoutes(t *testing.T) {
	r := canarying(1000, "b")
	if err := r.checkCanaries(&routes.Entries{}, nil); err != nil {
		t.Fatal(err)
	}
	r.functions[0].plan.Canary = true
	var kinds []string
	changes, err := r.planRoutes(&routes.Entries{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes.list {
		kinds = append(kinds, c.Entry.GetKind()+" "+c.Entry.GetName())
	}
	// Splits need the protocol, and the splitter the subsets. Until quote has one version again it may call what either
	// calls: fx and tax.
	want := []string{"service-defaults quote", "service-resolver quote", "service-splitter quote",
		"service-intentions fx", "service-intentions quote", "service-intentions tax", "service-intentions *"}
	if !slices.Equal(kinds, want) {
		t.Errorf("writes %q, want %q", kinds, want)
	}
	r.PlanOnly, r.functions[0].plan.Canary, r.functions[0].canary = true, false, nil
	changes, err = r.planRoutes(&routes.Entries{})
	if err != nil {
		t.Fatal(err)
	}
	if list := strings.Join(routes.Texts(changes.list), "; "); strings.Contains(list, "fx") || !strings.Contains(list, "quote may call tax") {
		t.Errorf("a plan without canary says %s; want what is left in the end", list)
	}
}
