package apply

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"countersign/artifact"
	"countersign/hclspec"
	"countersign/interfaces"
	"countersign/pipeline/routes"
	"countersign/release"
	"countersign/vaultsign/attest"
)

// versions is a Cluster that knows releases, and nothing else.
type versions struct {
	Cluster
	known map[string]release.Function
}

// Release implements Cluster.
func (v versions) Release(_ context.Context, function, id string) (release.Function, error) {
	f, ok := v.known[function+"@"+id]
	if !ok {
		return f, errors.New("it is forgotten")
	}
	return f, nil
}

// unread are artifacts that can't be read.
type unread struct{}

// Read implements Artifacts.
func (unread) Read(context.Context, release.Function) (*artifact.Documents, *attest.Attestation, error) {
	return nil, nil, errors.New("the registry is away")
}

// described makes a function whose reply has one field, built with a callee whose reply has one, if it has a callee.
func described(t *testing.T, known map[string]*interfaces.Document, name, digit, field, callee, calleeField string) release.Function {
	t.Helper()
	reply := func(field string) string {
		return fmt.Sprintf(`"reply":{"kind":"object","fields":[{"name":%q,"type":{"kind":"string"}}]}`, field)
	}
	calls := ""
	if callee != "" {
		calls = fmt.Sprintf(`%q:{%s,"request":{"kind":"any"}}`, callee, reply(calleeField))
	}
	doc, err := interfaces.Parse(fmt.Appendf(nil, `{"calls":{%s},"function":%q,%s,"request":{"kind":"any"}}`, calls, name, reply(field)))
	if err != nil {
		t.Fatal(err)
	}
	f := release.Function{Artifact: "registry/" + name, ArtifactDigest: digest(digit), InterfaceDigest: doc.Digest()}
	if callee != "" {
		f.Calls, f.Callees = map[string]string{callee: doc.Calls[callee].Digest()}, []string{callee}
	}
	known[f.ArtifactDigest] = doc
	return f
}

// TestEndingCanaries has a canary of tax with another interface, one of quote that needs it, and cart, which calls quote.
func TestEndingCanaries(t *testing.T) {
	known := map[string]*interfaces.Document{}
	old := map[string]release.Function{
		"quote": described(t, known, "quote", "1", "price", "tax", "rate"), "tax": described(t, known, "tax", "2", "rate", "", "")}
	next := map[string]release.Function{
		"quote": described(t, known, "quote", "3", "price", "tax", "points"), "tax": described(t, known, "tax", "4", "points", "", "")}
	open, v := map[string]routes.Canary{}, versions{known: map[string]release.Function{}}
	for name := range old {
		open[name] = routes.Canary{Function: name, Stable: old[name].ID(), Release: next[name].ID()}
		v.known[name+"@"+old[name].ID()], v.known[name+"@"+next[name].ID()] = old[name], next[name]
	}
	running := map[string]release.Function{"quote": next["quote"], "tax": next["tax"], "cart": described(t, known, "cart", "5", "sum", "quote", "price")}
	promoted, aborted := func(c routes.Canary) string { return c.Release }, func(c routes.Canary) string { return c.Stable }
	e := &Engine{Options: Options{Environment: &hclspec.Environment{}}, Cluster: v, Artifacts: unread{}}
	readable := func(f release.Function) *interfaces.Document { return known[f.ArtifactDigest] }
	for _, tt := range []struct {
		name   string
		ended  []string
		left   func(routes.Canary) string
		strict bool
		read   func(release.Function) *interfaces.Document
		refuse string
	}{
		{"promote both", []string{"tax", "quote"}, promoted, true, readable, ""},
		{"abort both", []string{"tax", "quote"}, aborted, false, readable, ""},
		{"promote the caller", []string{"quote"}, promoted, true, readable, ""},
		{"abort the caller", []string{"quote"}, aborted, false, readable, ""},
		{"promote the callee", []string{"tax"}, promoted, true, readable, `"rate"`},
		{"abort the callee", []string{"tax"}, aborted, false, readable, `"points"`},
		{"promote what can't be compared", []string{"tax"}, promoted, true, nil, "the registry is away"},
		{"abort what can't be compared", []string{"tax"}, aborted, false, nil, ""},
	} {
		var ended []routes.Canary
		for _, name := range tt.ended {
			ended = append(ended, open[name])
		}
		order(ended, running)
		if len(ended) == 2 && ended[0].Function != "quote" {
			t.Errorf("%s: callees come first: %v", tt.name, ended)
		}
		e.Described = tt.read
		err := e.fits(t.Context(), ended, open, running, tt.left, tt.strict)
		var misfit *MisfitCanariesError
		if errors.As(err, &misfit) != (tt.refuse != "") || err != nil && !strings.Contains(err.Error(), tt.refuse) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
	// A release that Nomad has forgotten keeps nothing from being ended.
	delete(v.known, "tax@"+next["tax"].ID())
	if err := e.fits(t.Context(), []routes.Canary{open["tax"]}, open, running, promoted, true); err != nil {
		t.Error("a forgotten release:", err)
	}
}

// TestWayBack: a deploy of tax, quote and cart with tax's new interface stopped after quote was replaced, since cart failed.
func TestWayBack(t *testing.T) {
	known := map[string]*interfaces.Document{}
	oldTax, newTax := described(t, known, "tax", "2", "rate", "", ""), described(t, known, "tax", "4", "points", "", "")
	oldQuote, newQuote := described(t, known, "quote", "1", "price", "tax", "rate"), described(t, known, "quote", "3", "price", "tax", "points")
	oldCart := described(t, known, "cart", "5", "sum", "tax", "rate")
	tax := routes.Canary{Function: "tax", Stable: oldTax.ID(), Release: newTax.ID()}
	open := map[string]routes.Canary{"tax": tax}
	running := map[string]release.Function{"tax": newTax, "quote": newQuote, "cart": oldCart}
	v := versions{known: map[string]release.Function{"tax@" + oldTax.ID(): oldTax, "tax@" + newTax.ID(): newTax}}
	e := &Engine{Options: Options{Environment: &hclspec.Environment{}}, Cluster: v, Artifacts: unread{}}
	e.Described = func(f release.Function) *interfaces.Document { return known[f.ArtifactDigest] }
	ways := map[string]error{}
	ways["promote tax"] = e.fits(t.Context(), []routes.Canary{tax}, open, running, func(c routes.Canary) string { return c.Release }, true)
	ways["abort tax"] = e.fits(t.Context(), []routes.Canary{tax}, open, running, func(c routes.Canary) string { return c.Stable }, false)
	docs := e.Documents(t.Context())
	try := func(way string, deploy map[string]release.Function) {
		ways[way] = release.Fit(deploy, running, e.beside(t.Context(), opening(tax, 0), running), docs)
		if ways[way] != nil {
			return
		}
		r := &Rollout{Engine: e, byName: map[string]*function{}, running: running}
		for name, next := range deploy {
			f := &function{name: name, next: next}
			r.functions, r.byName[name] = append(r.functions, f), f
		}
		ways[way] = r.checkCanaries(opening(tax, 0), docs)
	}
	try("deploy the quote before", map[string]release.Function{"quote": oldQuote})
	try("deploy all as before", map[string]release.Function{"quote": oldQuote, "tax": oldTax, "cart": oldCart})
	if ways["deploy the quote before"] != nil || ways["promote tax"] == nil || ways["abort tax"] == nil {
		t.Errorf("want a way back by the quote before alone: %v", ways)
	}
}

// TestNamesOfCanaries has a name that is mistyped, and one of a function that has no canary.
func TestNamesOfCanaries(t *testing.T) {
	running := map[string]release.Function{"quote": {}, "tax": {}}
	for name, want := range map[string]string{"qoute": `did you mean "quote"?`, "tax": "no open canary"} {
		if _, err := chosen(map[string]routes.Canary{"quote": testCanary}, []string{name}, running); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
