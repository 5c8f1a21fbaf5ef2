package router

import (
	"math"
	"testing"
	"time"

	"countersign"
)

// twoSubsets is a chain of tax with a resolver for each of releases old and new and one for fx, which start leads to.
func twoSubsets(start Node) Chain {
	return Chain{Function: "tax", Start: "start",
		Nodes: map[string]Node{
			"start": start,
			"old":   {Resolver: &Resolver{Target: "old", RequestTimeout: 3 * time.Second}},
			"new":   {Resolver: &Resolver{Target: "new", ConnectTimeout: 700 * time.Millisecond}},
			"fx":    {Resolver: &Resolver{Target: "fx"}},
		},
		Targets: map[string]Target{
			"old": {Function: "tax", Subset: "stable", Filtered: true, Endpoints: listed("old")},
			"new": {Function: "tax", Subset: "canary", Filtered: true, Endpoints: listed("new")},
			"fx":  {Function: "fx", Endpoints: listed("fx")},
		}}
}

func TestServiceRouter(t *testing.T) {
	h := func(m ...HeaderMatch) Match { return Match{Headers: m} }
	for name, c := range map[string]struct {
		match  Match
		header func(string) string
		want   string
	}{
		"anything":               {Match{}, nil, "new"},
		"path":                   {Match{PathExact: "/call/tax"}, nil, "new"},
		"other path":             {Match{PathExact: "/call/taxi"}, nil, "old"},
		"path in capitals":       {Match{PathExact: "/Call/TAX"}, nil, "old"},
		"path in any case":       {Match{PathExact: "/Call/TAX", CaseInsensitive: true}, nil, "new"},
		"prefix":                 {Match{PathPrefix: "/call"}, nil, "new"},
		"prefix in any case":     {Match{PathPrefix: "/CALL", CaseInsensitive: true}, nil, "new"},
		"other prefix":           {Match{PathPrefix: "/canary"}, nil, "old"},
		"regex":                  {Match{PathRegex: "/call/(tax|fx)"}, nil, "new"},
		"regex in any case":      {Match{PathRegex: "/CALL/.*", CaseInsensitive: true}, nil, "new"},
		"regex of a part":        {Match{PathRegex: "tax"}, nil, "old"},
		"malformed regex":        {Match{PathRegex: "["}, nil, "old"},
		"POST":                   {Match{Methods: []string{"post"}}, nil, "new"},
		"GET":                    {Match{Methods: []string{"GET", "PUT"}}, nil, "old"},
		"query parameter":        {Match{QueryParams: true}, nil, "old"},
		"header":                 {h(HeaderMatch{Name: "x", Exact: "1"}), headers("x", "1"), "new"},
		"header, other value":    {h(HeaderMatch{Name: "x", Exact: "1"}), headers("x", "2"), "old"},
		"header, none":           {h(HeaderMatch{Name: "x", Exact: "1"}), nil, "old"},
		"header prefix":          {h(HeaderMatch{Name: "x", Prefix: "ab"}), headers("x", "abc"), "new"},
		"header, other prefix":   {h(HeaderMatch{Name: "x", Prefix: "ab"}), headers("x", "cab"), "old"},
		"header suffix":          {h(HeaderMatch{Name: "x", Suffix: "bc"}), headers("x", "abc"), "new"},
		"header, other suffix":   {h(HeaderMatch{Name: "x", Suffix: "bc"}), headers("x", "bca"), "old"},
		"header regex":           {h(HeaderMatch{Name: "x", Regex: "[0-9]+"}), headers("x", "12"), "new"},
		"header, part of regex":  {h(HeaderMatch{Name: "x", Regex: "[0-9]+"}), headers("x", "12a"), "old"},
		"header present":         {h(HeaderMatch{Name: "x", Present: true}), headers("x", "y"), "new"},
		"header not present":     {h(HeaderMatch{Name: "x", Present: true}), headers("z", "y"), "old"},
		"header absent":          {h(HeaderMatch{Name: "x", Present: true, Invert: true}), headers("z", "y"), "new"},
		"header not absent":      {h(HeaderMatch{Name: "x", Present: true, Invert: true}), headers("x", "y"), "old"},
		"inverted":               {h(HeaderMatch{Name: "x", Exact: "1", Invert: true}), headers("x", "2"), "new"},
		"inverted, equal":        {h(HeaderMatch{Name: "x", Exact: "1", Invert: true}), headers("x", "1"), "old"},
		"inverted, none":         {h(HeaderMatch{Name: "x", Exact: "1", Invert: true}), nil, "old"},
		"malformed header regex": {h(HeaderMatch{Name: "x", Regex: "(", Invert: true}), headers("x", "2"), "old"},
		"header without value":   {h(HeaderMatch{Name: "x", Invert: true}), headers("x", "2"), "old"},
		"both headers": {h(HeaderMatch{Name: "x", Exact: "1"}, HeaderMatch{Name: "y", Exact: "2"}),
			headers("x", "1", "y", "2"), "new"},
		"one of two headers": {h(HeaderMatch{Name: "x", Exact: "1"}, HeaderMatch{Name: "y", Exact: "2"}),
			headers("x", "1"), "old"},
	} {
		t.Run(name, func(t *testing.T) {
			var r testRouter
			r.Update(only(twoSubsets(Node{Routes: []Route{{Match: c.match, Next: "new"}, {Next: "old"}}})))
			if got := goes(&r, Query{Callee: "tax", Header: c.header}); got != c.want {
				t.Errorf("goes to %s, want %s", got, c.want)
			}
		})
	}
}

func TestRoutesAreTriedInOrder(t *testing.T) {
	var r testRouter
	x := Match{Headers: []HeaderMatch{{Name: "x", Present: true}}}
	y := Match{Headers: []HeaderMatch{{Name: "y", Present: true}}}
	r.Update(only(twoSubsets(Node{Routes: []Route{{Match: x, Next: "new"}, {Match: y, Next: "old"}}})))
	for want, h := range map[string]func(string) string{
		"new": headers("x", "1", "y", "1"), "old": headers("y", "1"), "unavailable": headers("z", "1"),
	} {
		if got := goes(&r, Query{Callee: "tax", Header: h}); got != want {
			t.Errorf("goes to %s, want %s", got, want)
		}
	}
}

func TestPolicy(t *testing.T) {
	var r testRouter
	x := Match{Headers: []HeaderMatch{{Name: "x", Present: true}}}
	y := Match{Headers: []HeaderMatch{{Name: "y", Present: true}}}
	r.Update(only(twoSubsets(Node{Routes: []Route{
		{Match: x, Next: "old", RequestTimeout: time.Second, NumRetries: 99}, {Match: y, Next: "new"}, {Next: "old"}}})))
	for name, c := range map[string]struct {
		header func(string) string
		want   Policy
	}{
		"the route's":    {headers("x", "1"), Policy{DefaultConnectTimeout, time.Second, MaxRetries}},
		"the resolver's": {nil, Policy{DefaultConnectTimeout, 3 * time.Second, DefaultRetries}},
		"connect":        {headers("y", "1"), Policy{700 * time.Millisecond, 0, DefaultRetries}},
	} {
		choice, err := r.Route(&Query{Caller: "quote", Callee: "tax", Header: c.header})
		if err != nil || *choice.Policy != c.want {
			t.Errorf("%s: %+v, %v; want %+v", name, choice.Policy, err, c.want)
		}
	}
}

// TestSplit fails by chance less than once in a thousand million runs: the bounds are six standard deviations.
func TestSplit(t *testing.T) {
	const n = 40000
	nested := twoSubsets(Node{Splits: []Split{{12.34, "new"}, {87.66, "more"}}})
	nested.Nodes["more"] = Node{Splits: []Split{{50, "old"}, {50, "fx"}}}
	for name, c := range map[string]struct {
		chain Chain
		want  map[string]float64
	}{
		"tenth": {twoSubsets(Node{Splits: []Split{{90, "old"}, {10, "new"}}}), map[string]float64{"old": .9, "new": .1}},
		"hundredths": {twoSubsets(Node{Splits: []Split{{99.75, "old"}, {0.25, "new"}}}),
			map[string]float64{"old": .9975, "new": .0025}},
		"all":    {twoSubsets(Node{Splits: []Split{{0, "old"}, {100, "new"}}}), map[string]float64{"new": 1}},
		"nested": {nested, map[string]float64{"new": .1234, "old": .4383, "fx": .4383}},
		"less than 100 %": {twoSubsets(Node{Splits: []Split{{30, "old"}, {10, "new"}}}),
			map[string]float64{"old": .75, "new": .25}},
	} {
		t.Run(name, func(t *testing.T) {
			var r testRouter
			r.Update(only(c.chain))
			got := counts(&r, n, Query{Callee: "tax", Allowed: func(string) bool { return true }})
			for allocation, p := range c.want {
				if sigma := math.Sqrt(n * p * (1 - p)); math.Abs(float64(got[allocation])-n*p) > 6*sigma {
					t.Errorf("%s got %d of %d calls, want %.0f±%.0f", allocation, got[allocation], n, n*p, 6*sigma)
				}
			}
			if len(got) != len(c.want) {
				t.Errorf("calls went to %v", got)
			}
		})
	}
}

func TestAnotherFunctionIsFollowedOnlyIfAllowed(t *testing.T) {
	chain := Chain{Function: "tax", Start: "r", Nodes: map[string]Node{"r": {Resolver: &Resolver{Target: "vat"}}},
		Targets: map[string]Target{"vat": {Function: "vat", Endpoints: listed("v")}}}
	allowed := func(f string) bool { return f == "vat" }
	toTax := []Intention{{Source: "*", Destination: "tax", Allow: true}}
	toVat := Intention{Source: "quote", Destination: "vat", Allow: true}
	for name, c := range map[string]struct {
		query      Query
		intentions []Intention
		ingress    bool
		want       string
	}{
		"listed": {Query{Caller: "quote", Allowed: allowed}, append(toTax, toVat), false, "v"},
		"not listed": {Query{Caller: "quote", Allowed: func(string) bool { return false }}, allowAll, true,
			"not_permitted"},
		"nothing listed":       {Query{Caller: "quote"}, allowAll, true, "not_permitted"},
		"no intention":         {Query{Caller: "quote", Allowed: allowed}, toTax, true, "not_permitted"},
		"outside, ingress":     {Query{}, nil, true, "v"},
		"outside, no ingress":  {Query{}, allowAll, false, "not_permitted"},
		"outside, no pretence": {Query{Allowed: allowed}, allowAll, false, "not_permitted"},
	} {
		t.Run(name, func(t *testing.T) {
			var r testRouter
			r.Update(Snapshot{Chains: []Chain{chain}, Intentions: c.intentions,
				Functions: []Function{{"tax", true}, {"vat", c.ingress}}})
			c.query.Callee = "tax"
			if got := ask(&r, c.query); got != c.want {
				t.Errorf("goes to %s, want %s", got, c.want)
			}
			if choice, err := r.Route(&c.query); err == nil && choice.Function != "vat" {
				t.Errorf("function is %q, want vat", choice.Function)
			}
		})
	}
}

func TestFailover(t *testing.T) {
	chain := func(primary []Listed) Chain {
		return Chain{Function: "tax", Start: "r",
			Nodes: map[string]Node{"r": {Resolver: &Resolver{Target: "a", Failover: []string{"missing", "b", "c", "d"}}}},
			Targets: map[string]Target{
				"a": {Function: "tax", Endpoints: primary},
				"b": {Function: "forbidden", Endpoints: listed("b")},
				"c": {Function: "vat"},
				"d": {Function: "fx", Endpoints: listed("d")},
			}}
	}
	allowed := func(f string) bool { return f != "forbidden" }
	var r testRouter
	r.Update(only(chain(listed("a"))))
	if got := goes(&r, Query{Callee: "tax", Allowed: allowed}); got != "a" {
		t.Errorf("with a healthy instance: %s", got)
	}
	tried := []*Endpoint{endpoint(t, &r, "tax", "a")}
	if got := goes(&r, Query{Callee: "tax", Allowed: allowed, Tried: tried}); got != "d" {
		t.Errorf("when it was tried: %s", got)
	}
	tried[0].Begin()
	tried[0].EndUnreachable()
	if got := goes(&r, Query{Callee: "tax", Allowed: allowed}); got != "d" {
		t.Errorf("when it is ejected: %s", got)
	}
	if got := goes(&r, Query{Callee: "tax"}); got != "a" {
		t.Errorf("when it is ejected, and nothing else is allowed: %s", got)
	}
	sick := listed("a")
	sick[0].Passing = false
	r.Update(only(chain(sick)))
	if got := goes(&r, Query{Callee: "tax", Allowed: allowed}); got != "d" {
		t.Errorf("when it is critical: %s", got)
	}
}

func TestWhatIsNotThere(t *testing.T) {
	var r testRouter
	if got := goes(&r, Query{Callee: "tax"}); got != "unavailable" {
		t.Errorf("before the first update: %s", got)
	}
	r.Update(Snapshot{Intentions: append([]Intention{{Source: "a", Destination: "planned"}}, allowAll...),
		Functions: []Function{{"registered", false}, {"open", true}},
		Chains:    []Chain{plain("gone", nil), {Function: "registered"}}})
	for callee, want := range map[string]string{
		"nobody": "unknown_function", "planned": "unavailable", "open": "unavailable", "gone": "unknown_function",
		"registered": "unavailable",
	} {
		if got := goes(&r, Query{Callee: callee}); got != want {
			t.Errorf("%s: %s, want %s", callee, got, want)
		}
	}
	for callee, want := range map[string]string{
		"nobody": "unknown_function", "registered": "not_permitted", "open": "unavailable",
	} {
		if got := ask(&r, Query{Callee: callee}); got != want {
			t.Errorf("from outside, %s: %s, want %s", callee, got, want)
		}
	}
	if err := routeError(&r, Query{Caller: "quote", Callee: "nobody"}); countersign.CodeOf(err) == "" {
		t.Error("no error")
	}
}
