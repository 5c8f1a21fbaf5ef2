package router

import (
	"strings"
	"testing"

	"countersign"
)

func TestIntentions(t *testing.T) {
	allow := func(s, d string) Intention { return Intention{Source: s, Destination: d, Allow: true} }
	deny := func(s, d string) Intention { return Intention{Source: s, Destination: d} }
	with := func(p ...Permission) []Intention {
		return []Intention{{Source: "quote", Destination: "tax", Permissions: p}}
	}
	for name, c := range map[string]struct {
		intentions []Intention
		ok         bool
		why        string
	}{
		"none":                        {nil, false, "no intention allows it"},
		"exact":                       {[]Intention{allow("quote", "tax")}, true, ""},
		"of others":                   {[]Intention{allow("quote", "fx"), allow("fx", "tax")}, false, "no intention"},
		"exact over any source":       {[]Intention{deny("*", "tax"), allow("quote", "tax")}, true, ""},
		"exact denial":                {[]Intention{allow("*", "tax"), deny("quote", "tax")}, false, "quote -> tax denies"},
		"destination before source":   {[]Intention{deny("*", "tax"), allow("quote", "*")}, false, "* -> tax denies"},
		"any source":                  {[]Intention{allow("*", "tax"), deny("*", "*")}, true, ""},
		"any destination":             {[]Intention{allow("quote", "*"), deny("*", "*")}, true, ""},
		"any":                         {[]Intention{allow("*", "*")}, true, ""},
		"two for a pair":              {[]Intention{allow("quote", "tax"), deny("quote", "tax")}, false, "denies"},
		"two for a pair, other order": {[]Intention{deny("quote", "tax"), allow("quote", "tax")}, false, "denies"},

		"permission":           {with(Permission{Allow: true}), true, ""},
		"path":                 {with(Permission{Allow: true, PathExact: "/call/tax"}), true, ""},
		"other path":           {with(Permission{Allow: true, PathExact: "/call/ta"}), false, "has no permission that allows"},
		"prefix":               {with(Permission{Allow: true, PathPrefix: "/call/"}), true, ""},
		"other prefix":         {with(Permission{Allow: true, PathPrefix: "/x"}), false, "no permission"},
		"regex":                {with(Permission{Allow: true, PathRegex: "/call/t.x"}), true, ""},
		"regex of a part":      {with(Permission{Allow: true, PathRegex: "call"}), false, "no permission"},
		"malformed regex":      {with(Permission{Allow: true, PathRegex: "("}), false, "no permission"},
		"escaping regex":       {with(Permission{Allow: true, PathRegex: "x)|(.*"}), false, "no permission"},
		"method":               {with(Permission{Allow: true, Methods: []string{"GET", "POST"}}), true, ""},
		"other method":         {with(Permission{Allow: true, Methods: []string{"GET"}}), false, "no permission"},
		"headers allow":        {with(Permission{Allow: true, Unknowable: true}), false, "no permission"},
		"headers deny":         {with(Permission{Unknowable: true}, Permission{Allow: true}), false, "denies"},
		"headers deny other":   {with(Permission{Unknowable: true, PathExact: "/x"}, Permission{Allow: true}), true, ""},
		"malformed denial":     {with(Permission{PathRegex: "("}, Permission{Allow: true}), false, "denies"},
		"denial comes first":   {with(Permission{PathPrefix: "/call"}, Permission{Allow: true}), false, "denies"},
		"denial of other path": {with(Permission{PathPrefix: "/x"}, Permission{Allow: true}), true, ""},
		"permissions decide instead of the action": {[]Intention{{Source: "quote", Destination: "tax", Allow: true,
			Permissions: []Permission{{Allow: true, PathExact: "/x"}}}}, false, "no permission"},
	} {
		t.Run(name, func(t *testing.T) {
			var r testRouter
			s := only(plain("tax", listed("a")))
			s.Intentions = c.intentions
			r.Update(s)
			for what, err := range map[string]error{
				"Permitted": r.Permitted("quote", "tax"),
				"Route":     routeError(&r, Query{Caller: "quote", Callee: "tax"}),
			} {
				switch {
				case c.ok && err != nil:
					t.Errorf("%s: %v", what, err)
				case !c.ok && countersign.CodeOf(err) != countersign.CodeNotPermitted:
					t.Errorf("%s: %v; want a refusal", what, err)
				case !c.ok && (!strings.Contains(err.Error(), c.why) || !strings.Contains(err.Error(), `"quote"`)):
					t.Errorf("%s: %v; want it to name the caller and that %s", what, err, c.why)
				}
			}
		})
	}
}

func routeError(r *testRouter, q Query) error {
	_, err := r.Route(&q)
	return err
}

// TestNoCallsBeforeIntentionsAreKnown has instances here before Consul has answered for the first time.
func TestNoCallsBeforeIntentionsAreKnown(t *testing.T) {
	var r testRouter
	refused := func(when string, q Query) {
		t.Helper()
		err := routeError(&r, q)
		if countersign.CodeOf(err) != countersign.CodeUnavailable || !strings.Contains(err.Error(), "intentions are not known") {
			t.Errorf("%s: %v; want a refusal, since the intentions are not known", when, err)
		}
	}
	anything := func(string) bool { return true }
	refused("without an instance", Query{Caller: "quote", Callee: "tax"})
	busy, idle := &running{id: "busy", function: "tax", inFlight: 9}, &running{id: "idle", function: "tax", inFlight: 1}
	r.Add(busy)
	r.Add(idle)
	r.Add(&running{id: "q", function: "quote", inFlight: 0})
	refused("with instances", Query{Caller: "quote", Callee: "tax"})
	refused("with a spec that allows all", Query{Caller: "quote", Callee: "tax", Allowed: anything})
	refused("of itself", Query{Caller: "tax", Callee: "tax", Allowed: anything})
	refused("again, elsewhere", Query{Caller: "quote", Callee: "tax", LocalTried: []string{"idle"}})
	refused("of a function that is not here", Query{Caller: "quote", Callee: "fx", Allowed: anything})
	r.Remove(busy)
	refused("after one left", Query{Caller: "quote", Callee: "tax"})
	r.Add(busy)
	// From outside the callee's own spec decides, which its host knows.
	if got := ask(&r, Query{Callee: "tax"}); got != "idle" {
		t.Errorf("from outside: %s", got)
	}
	if got := ask(&r, Query{Callee: "tax", LocalTried: []string{"idle", "busy"}}); got != "unavailable" {
		t.Errorf("from outside, after both were tried: %s", got)
	}
	r.Update(Snapshot{Functions: []Function{{Name: "tax"}}, Intentions: []Intention{{Source: "quote", Destination: "tax"}}})
	if got := goes(&r, Query{Callee: "tax"}); got != "not_permitted" {
		t.Errorf("once a denial is known: %s", got)
	}
	r.Update(Snapshot{Functions: []Function{{Name: "tax"}}, Intentions: allowAll})
	if got := goes(&r, Query{Callee: "tax"}); got != "idle" {
		t.Errorf("once it is allowed: %s", got)
	}
}

func TestPermittedWithoutConsul(t *testing.T) {
	var r testRouter
	if err := r.Permitted("quote", "tax"); countersign.CodeOf(err) != countersign.CodeUnavailable {
		t.Errorf("before the first update: %v; want unavailable", err)
	}
	r.Add(&running{id: "a", function: "tax"})
	if err := r.Permitted("quote", "tax"); countersign.CodeOf(err) != countersign.CodeUnavailable {
		t.Errorf("with an instance, before the first update: %v; want unavailable", err)
	}
	if err := r.Permitted("", "tax"); err != nil {
		t.Errorf("from outside: %v", err)
	}
	alone := testRouter{Standalone: true}
	if err := alone.Permitted("quote", "tax"); err != nil {
		t.Errorf("standalone: %v", err)
	}
	r.Update(Snapshot{Intentions: allowAll})
	for _, name := range []string{"*", ""} {
		if err := r.Permitted("*", name); countersign.CodeOf(err) != countersign.CodeNotPermitted {
			t.Errorf("* -> %q: %v; want a refusal: no function has this name", name, err)
		}
	}
}
