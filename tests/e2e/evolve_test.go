//go:build integration

package e2e

import (
	"encoding/json"
	"regexp"
	"testing"
)

// Parts of the source of tax, for changes of it.
const (
	taxReply   = "BasisPoints int `json:\"basis_points\"`"
	taxRequest = "Category string `json:\"category,omitempty\"`"
	taxMakes   = "reply := tax.RateReply{Region: req.Region,"
)

// TestACalleeEvolvesAlone adds an optional field to the reply of tax and deploys it alone, while quote runs that was built
// with the tax before.
func TestACalleeEvolvesAlone(t *testing.T) {
	deploy(t, examples()...)
	quote, before, want := version(t, "quote"), version(t, "tax"), priced(t)
	restore := h.Change(t, "tax", map[string][2]string{
		"tax.go":           {taxReply, taxReply + "\n\tLaw string `json:\"law,omitempty\"`"},
		"function/main.go": {taxMakes, taxMakes + ` Law: "2006/112/EC",`},
	})
	defer func() { restore(); deploy(t, "tax") }()
	deploy(t, "tax")
	if version(t, "tax") == before || version(t, "quote") != quote {
		t.Error("want a new tax and the same quote")
	}
	if got := priced(t); got != want {
		t.Errorf("quote answers %s, and did %s", got, want)
	}
	// The node had the version before, so it fetched the difference.
	if events := events(running(t, "tax")); !regexp.MustCompile(`\d{2,6} of \d{7} bytes fetched, as a delta`).MatchString(events) {
		t.Errorf("the events of tax are %s", events)
	}
}

// TestABreakingChangeIsRefused changes tax in ways that quote, which runs, would not notice: it would read 0 %.
func TestABreakingChangeIsRefused(t *testing.T) {
	deploy(t, examples()...)
	before, want := version(t, "tax"), priced(t)
	const fits = `quote@[0-9a-f]{7} \(running, not part of this deploy\) was built with tax's `
	for name, tc := range map[string]struct {
		old, new, want string
	}{
		"a reply field renamed": {taxReply, "BasisPoints int `json:\"rate\"`",
			fits + `reply field "basis_points" integer int64, but tax@[0-9a-f]{7} has no such field`},
		"a reply field of another type": {taxReply, "BasisPoints int `json:\"basis_points,string\"`",
			fits + `reply field "basis_points" integer int64, but tax@[0-9a-f]{7} has string quoted int64`},
		"a request field that is needed": {taxRequest, taxRequest + "\n\tYear int `json:\"year\"`",
			fits + `request without field "year", but tax@[0-9a-f]{7} has it: integer int64`},
		"a request field removed": {taxRequest, "Category string `json:\"-\"`",
			fits + `request field "category" optional string, but tax@[0-9a-f]{7} has no such field`},
	} {
		t.Run(name, func(t *testing.T) {
			defer h.Change(t, "tax", map[string][2]string{"tax.go": {tc.old, tc.new}})()
			for _, flags := range [][]string{nil, {"-plan-only"}, {"-canary", "10%"}} {
				out, code := h.TryDeploy(t, []string{"tax"}, flags...)
				if code == 0 || !regexp.MustCompile(tc.want).MatchString(out) {
					t.Errorf("deploy %q: exit code %d, want a refusal that says %s\n%s", flags, code, tc.want, out)
				}
			}
			if version(t, "tax") != before {
				t.Error("tax was replaced all the same")
			}
			if got := priced(t); got != want {
				t.Errorf("quote answers %s, and did %s", got, want)
			}
		})
	}
}

// version returns that of a function's job.
func version(t *testing.T, function string) uint64 {
	t.Helper()
	job, _, err := nomadClient(t).Jobs().Info(function, nil)
	if err != nil {
		t.Fatal(err)
	}
	return *job.Version
}

// priced returns what a basket costs.
func priced(t *testing.T) string {
	t.Helper()
	out, code := command(t, `{"sku":"tea","quantity":2,"region":"EU","currency":"EUR"}`, "call", "quote", "-")
	var reply struct{ Net, Tax, Total int64 }
	if err := json.Unmarshal([]byte(out), &reply); code != 0 || err != nil || reply.Tax == 0 || reply.Total != reply.Net+reply.Tax {
		t.Fatalf("exit code %d, %v: %s", code, err, out)
	}
	return out
}
