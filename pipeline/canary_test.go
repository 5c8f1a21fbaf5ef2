package pipeline

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/release"
)

// canarying is a deploy of quote, which calls tax, as release digit; release "a" runs, and cart calls it.
func canarying(share Share, digit string) *deploy {
	return &deploy{
		Options: Options{Canary: share},
		units: []*unit{{
			Source: &Source{Built: Built{Name: "quote"}, Function: &hclspec.Function{Name: "quote", Calls: []string{"tax"}}},
			iface:  &artifact.Interface{Digest: digest("1")},
			packed: &packed{reference: artifact.Reference{Digest: digest(digit)}},
			plan:   &Plan{},
		}},
		running: map[string]release.Function{
			"quote": {ArtifactDigest: digest("a"), InterfaceDigest: digest("1"), Callees: []string{"fx"}},
			"cart":  {ArtifactDigest: digest("c"), Callees: []string{"quote"}},
		},
	}
}

func TestCheckCanaries(t *testing.T) {
	opened := routed(&routing{}, planOpen(testCanary, &routing{})) // from release a to b
	opened = routed(opened, planShare(testCanary, 1000, opened))
	of := func(c Canary) *routing { return routed(&routing{}, planOpen(c, &routing{})) }
	other := func(function string) *routing { c := testCanary; c.Function = function; return of(c) }
	ended := of(Canary{Function: "quote", Stable: "dddddddddddd", Release: "bbbbbbbbbbbb"})
	newInterface := func(d *deploy) { d.units[0].iface.Digest = digest("2") }
	for _, tc := range []struct {
		name   string
		share  Share
		digit  string
		now    *routing
		change func(*deploy)
		canary bool
		refuse string // part of the error
	}{
		{"replace", 0, "b", &routing{}, nil, false, ""},
		{"new canary", 1000, "b", &routing{}, nil, true, ""},
		{"unchanged", 1000, "a", &routing{}, nil, false, ""},
		{"new function", 1000, "b", &routing{}, func(d *deploy) { delete(d.running, "quote") }, false, ""},
		{"a canary of another function is open", 0, "b", other("fx"), nil, false, ""},
		{"move the share, or go on", 5000, "b", opened, nil, true, ""},
		{"the job went back meanwhile", 5000, "b", opened, nil, true, ""},
		{"replace while a canary is open", 0, "b", opened, nil, false, "10%"},
		{"replace by what ran before", 0, "a", opened, nil, false, "promote quote"},
		{"another canary while one is open", 1000, "e", opened, nil, false, "abort quote"},
		{"somebody ran a third release", 1000, "b", ended, nil, false, "neither"},
		{"other interface, and somebody calls it", 1000, "b", &routing{}, newInterface, true, "(cart)"},
		{"other interface, and nobody calls it", 1000, "b", &routing{},
			func(d *deploy) { newInterface(d); delete(d.running, "cart") }, true, ""},
		{"other interface, and its caller has a canary", 0, "b", other("cart"), newInterface, false, `"cart"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := canarying(tc.share, tc.digit)
			if tc.change != nil {
				tc.change(d)
			}
			err := d.checkCanaries(tc.now)
			if (err != nil) != (tc.refuse != "") || err != nil && !strings.Contains(err.Error(), tc.refuse) {
				t.Fatalf("checkCanaries: %v, want an error with %q", err, tc.refuse)
			}
			var conflict *ConflictError
			var misfit *CanaryMisfitError
			if err != nil && !errors.As(err, &conflict) && !errors.As(err, &misfit) {
				t.Errorf("the error is %T", err)
			}
			c := d.units[0].canary
			if (c != nil) != tc.canary {
				t.Fatalf("canary %+v, want one: %t", c, tc.canary)
			}
			if c != nil && (c.Stable != "aaaaaaaaaaaa" || c.Release != "bbbbbbbbbbbb") {
				t.Errorf("canary %+v; want it from a to b", c)
			}
		})
	}
}

func TestPlanRoutes(t *testing.T) {
	d := canarying(1000, "b")
	if err := d.checkCanaries(&routing{}); err != nil {
		t.Fatal(err)
	}
	d.units[0].plan.canary = true
	var kinds []string
	changes, _, err := d.planRoutes(&routing{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range changes {
		kinds = append(kinds, c.entry.GetKind()+" "+c.entry.GetName())
	}
	// Splits need the protocol, and the splitter the subsets. Until quote has one version again it may call what either
	// calls: fx and tax.
	want := []string{"service-defaults quote", "service-resolver quote", "service-splitter quote",
		"service-intentions fx", "service-intentions quote", "service-intentions tax", "service-intentions *"}
	if !slices.Equal(kinds, want) {
		t.Errorf("writes %q, want %q", kinds, want)
	}
	d.PlanOnly, d.units[0].plan.canary, d.units[0].canary = true, false, nil
	changes, _, err = d.planRoutes(&routing{})
	if err != nil {
		t.Fatal(err)
	}
	if list := strings.Join(texts(changes), "; "); strings.Contains(list, "fx") || !strings.Contains(list, "quote may call tax") {
		t.Errorf("a plan without canary says %s; want what is left in the end", list)
	}
}
